"""Reports: the evidence on one question, "is this candidate no worse than that baseline?".

- A report names every digest it rests on and carries the per-case raw scores, so that anyone can
  judge it again, or derive its estimates anew.
- It holds scores, never outputs: those stay in the local run cache under `run_id`.
- A failed run stays in its row with its error; a score that could not be had is None.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Final

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.estimate import Estimate, MetricVerdict, Verdict
from llmvc.errors import FormatError

TYPE: Final = "report/1"
ARMS: Final = ("baseline", "candidate")
APPLICATION_FAULT: Final = "application: "
"""How the error of a run begins in which the application failed; its scores are 0."""


@dataclass(frozen=True, slots=True)
class Run:
    """One call of a bundle on one case.

    Attributes:
        run: its number, from 0.
        run_id: digest of its run-cache entry; None if the call failed.
        scores: scorer name -> score in [0, 1]; None where a scorer could not tell.
        error: why there is no output; None if there is one.
        cost_usd: None if it is not known.
        latency_s: None if it was not measured.
        input_tokens: as the provider counted them.
        output_tokens: as the provider counted them.
        cached_tokens: the part of the input that the provider read from its cache.
        ttft_s: seconds to the first token; None if the answer was not streamed.
        context_share: share of the context window that input and output used.
        truncated: whether messages were left out to fit the window; None if that is not known.
        judge_usd: what judging this run cost; None without a judge, or if it is not known.
    """

    run: int
    run_id: Digest | None
    scores: Mapping[str, float | None]
    error: str | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    ttft_s: float | None = None
    context_share: float | None = None
    truncated: bool | None = None
    judge_usd: float | None = None


@dataclass(frozen=True, slots=True)
class CaseRuns:
    """All runs on one case, by arm; `baseline` is empty where there is none.

    Attributes:
        id: the case's id.
        group: cases that share a document or conversation; None if it stands alone.
        candidate: in the order of their numbers.
        baseline: the same under the baseline.
        tags: the labels that slices and must-pass rules name, sorted.
    """

    id: str
    group: str | None
    candidate: tuple[Run, ...]
    baseline: tuple[Run, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """The evidence on one question; see the module's docstring.

    Attributes:
        bundle: the bundle's name.
        candidate: digest measured.
        baseline: digest compared with; None on a first release.
        suite: digest of the suite.
        seed: seed of everything random in the estimates.
        cases: those measured, sorted by case id.
        estimates: one per metric of the suite, in its order.
        verdict: what the gate says of the estimates.
        started: RFC 3339, UTC.
        finished: RFC 3339, UTC.
        actor: who measured; None in a merged report.
        tool: `llmvc <version>`.
        prices: {"digest", "date"} of the price table; None if no price was needed.
        data: where each dataset lay: {"dataset", "path" or "uri"}.
        providers: identities seen: {"arm", "provider", "kind", "model", "fingerprint", "calls"},
            and "notes" where the endpoint silently did otherwise than asked.
        application: {"commit", "dirty"} where the application itself ran; else None.
        merges: sorted digests of the reports united here; empty for a leaf.
        look: the planned look, from 1, at which the measurement ended; all of them in a merged
            report.
        planned: {"cases", "groups", "largest"}: cases and groups of the whole suite, and cases in
            the largest group.
        tried: candidates known to have been tried on this baseline and suite, this one included.
        alpha: one-sided level of this report's verdict.
    """

    bundle: str
    candidate: Digest
    baseline: Digest | None
    suite: Digest
    seed: int
    cases: tuple[CaseRuns, ...]
    estimates: tuple[Estimate, ...]
    verdict: Verdict
    started: str
    finished: str
    actor: str | None
    tool: str
    prices: Mapping[str, canon.Json] | None = None
    data: tuple[Mapping[str, canon.Json], ...] = ()
    providers: tuple[Mapping[str, canon.Json], ...] = ()
    application: Mapping[str, canon.Json] | None = None
    judges: Mapping[str, canon.Json] = field(default_factory=dict)
    merges: tuple[Digest, ...] = ()
    look: int = 1
    planned: Mapping[str, int] = field(default_factory=dict)
    tried: int = 1
    alpha: float = 0.05

    @cached_property
    def data_bytes(self) -> bytes:
        """The canonical `report/1` bytes."""
        body = {item.name: _plain(getattr(self, item.name)) for item in fields(self)}
        return canon.encode({"llmvc": TYPE, **body})

    @cached_property
    def digest(self) -> Digest:
        """The report's identity."""
        return digest.of_bytes(self.data_bytes)

    @property
    def recorded(self) -> bool:
        """Whether any run was replayed from shipped recordings instead of called."""
        return any(seen.get("kind") == "recorded" for seen in self.providers)

    def failures(self, arm: str) -> int:
        """Counts the runs of one arm that say nothing, because the provider failed.

        An application that failed did give an outcome: its run has a `run_id` and scores 0.
        """
        runs = (run for case in self.cases for run in getattr(case, arm))
        return sum(run.run_id is None for run in runs)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Report":
        """Reads a stored report.

        Raises:
            FormatError: the bytes are not a report.
        """
        body: dict[str, Any] = dict(canon.decode_object(data, TYPE))
        try:
            verdict = body["verdict"]
            report = cls(
                bundle=body["bundle"],
                candidate=digest.parse(body["candidate"]),
                baseline=None if body["baseline"] is None else digest.parse(body["baseline"]),
                suite=digest.parse(body["suite"]),
                seed=body["seed"],
                cases=tuple(_case(case) for case in body["cases"]),
                estimates=tuple(_estimate(item) for item in body["estimates"]),
                verdict=Verdict(
                    verdict["verdict"],
                    verdict["reason"],
                    tuple(MetricVerdict(**item) for item in verdict["metrics"]),
                    verdict["settle"],
                ),
                started=body["started"],
                finished=body["finished"],
                actor=body["actor"],
                tool=body["tool"],
                prices=body["prices"],
                data=tuple(body["data"]),
                providers=tuple(body["providers"]),
                application=body["application"],
                judges=body["judges"],
                merges=tuple(digest.parse(item) for item in body["merges"]),
                look=body["look"],
                planned=body["planned"],
                tried=body["tried"],
                alpha=body["alpha"],
            )
        except (KeyError, TypeError, AttributeError) as err:
            raise FormatError(
                f"report lacks or misspells a member: {err}",
                hint="it was stored by an older llmvc, or made by hand: measure again",
            ) from err
        # What was read is its identity, and encoding thousands of runs again takes its time.
        report.__dict__["data_bytes"] = data
        return report


def _case(body: dict[str, Any]) -> CaseRuns:
    candidate, baseline = _runs(body["candidate"]), _runs(body["baseline"])
    return CaseRuns(body["id"], body["group"], candidate, baseline, tuple(body["tags"]))


def _estimate(body: dict[str, Any]) -> Estimate:
    cases = {name: tuple(ids) for name, ids in body["cases"].items()}
    values: dict[str, Any] = {**body, "cases": cases}
    return Estimate(**values)


def _runs(rows: Iterable[dict[str, Any]]) -> tuple[Run, ...]:
    return tuple(Run(**row) for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, CaseRuns):
        runs = {arm: [_run(run) for run in getattr(value, arm)] for arm in ARMS}
        return {"id": value.id, "group": value.group, "tags": list(value.tags), **runs}
    if isinstance(value, Estimate | Verdict):
        return asdict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _run(run: Run) -> dict[str, canon.Json]:
    return {
        "run": run.run,
        "run_id": run.run_id,
        "scores": dict(run.scores),
        "error": run.error,
        "cost_usd": run.cost_usd,
        "latency_s": run.latency_s,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cached_tokens": run.cached_tokens,
        "ttft_s": run.ttft_s,
        "context_share": run.context_share,
        "truncated": run.truncated,
        "judge_usd": run.judge_usd,
    }


def broken_share(cases: Iterable[CaseRuns]) -> float:
    """Returns the share of the baseline's runs in which the application itself failed.

    They score 0, so that a baseline that is broken makes any candidate look good.
    """
    runs = [run for case in cases for run in case.baseline]
    broken = sum((run.error or "").startswith(APPLICATION_FAULT) for run in runs)
    return broken / len(runs) if runs else 0.0


def looks(leaves: Iterable[Report]) -> tuple[int, ...]:
    """Returns the look at which each measurement of one question ended; their sum is what counts.

    A measurement whose runs all stand in another one, such as one that was interrupted and gone on
    with, is no further one. Neither is one in which a provider failed, where all runs of its
    candidate stand in one that is complete: nothing could be decided by it.
    """
    given = tuple(leaves)
    complete = [_run_ids(leaf, "candidate") for leaf in given if not _failures(leaf)]
    distinct: dict[frozenset[Digest], int] = {}
    for leaf in given:
        candidate = _run_ids(leaf, "candidate")
        if _failures(leaf) and any(candidate <= other for other in complete):
            continue
        runs = candidate | _run_ids(leaf, "baseline")
        distinct[runs] = max(leaf.look, distinct.get(runs, 1))
    return tuple(
        look for one, look in distinct.items() if not any(one < other for other in distinct)
    )


def _failures(report: Report) -> int:
    return sum(report.failures(arm) for arm in ARMS)


def _run_ids(report: Report, arm: str) -> frozenset[Digest]:
    runs = (run.run_id for case in report.cases for run in getattr(case, arm))
    return frozenset(run_id for run_id in runs if run_id)
