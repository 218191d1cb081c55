"""Reports: made from a finished run, and united when there are several on one question.

- A merged report is a function of its leaves: the same ones in any order give the same bytes.
- Runs are united by `run_id`. A run that failed stays only while no other report has that run.
- A leaf whose runs all stand in another leaf is no further look at the data.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from llmvc.core import canon, digest
from llmvc.core.bundle import Bundle
from llmvc.core.estimate import Estimate, Verdict
from llmvc.core.report import CaseRuns, Report, Run, broken_share, looks
from llmvc.core.suite import Suite
from llmvc.errors import FormatError
from llmvc.evals.estimates import Design
from llmvc.evals.summary import summarize
from llmvc.evals.trust import uniting
from llmvc.gate.decide import FAIL, PASS, decide
from llmvc.gate.level import Standing, level

if TYPE_CHECKING:
    from llmvc.core.digest import Digest
    from llmvc.evals.plan import Plan
    from llmvc.evals.progress import RunResult


def assemble(
    result: "RunResult",
    suite: Suite,
    *,
    bundle: str,
    candidate: Bundle,
    baseline: Bundle | None,
    actor: str,
    tool: str,
    data: Sequence[Mapping[str, canon.Json]] = (),
    tried: int = 1,
    judges: Mapping[str, canon.Json] | None = None,
) -> Report:
    """Makes the report of one eval.

    Args:
        result: what the runner brought.
        suite: what was measured by.
        bundle: the bundle's name.
        candidate: what was measured.
        baseline: what it was compared with; None on a first release.
        actor: who measured.
        tool: `llmvc <version>`.
        data: where each dataset lay.
        tried: candidates tried on this baseline and suite, this one included.
        judges: what is known of the suite's judges, `Evidence.to_dict()` by their digest.
    """
    standing = _standing(suite, result.look, tried)
    judged = judge_runs(
        result.cases,
        suite,
        standing,
        has_baseline=baseline is not None,
        seed=result.seed,
        planned=result.planned,
        judges=judges,
    )
    return Report(
        bundle=bundle,
        candidate=candidate.digest,
        baseline=None if baseline is None else baseline.digest,
        suite=suite.digest,
        seed=result.seed,
        cases=result.cases,
        estimates=judged.estimates,
        verdict=judged.verdict,
        started=result.started,
        finished=result.finished,
        actor=actor,
        tool=tool,
        prices=result.prices,
        data=tuple(data),
        providers=result.providers,
        application=result.application,
        judges=judges or {},
        look=standing.look or 1,
        planned=result.planned,
        tried=tried,
        alpha=judged.alpha,
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """Estimates, the level that they were made at, and the verdict on them."""

    estimates: tuple[Estimate, ...]
    alpha: float
    verdict: Verdict


def judge_runs(
    cases: Sequence[CaseRuns],
    suite: Suite,
    standing: Standing,
    *,
    has_baseline: bool,
    seed: int,
    planned: Mapping[str, int],
    applications: int = 1,
    describe: bool = True,
    judges: Mapping[str, canon.Json] | None = None,
) -> Judged:
    """Estimates and judges runs.

    Where no verdict may be read, the estimates are told at the suite's alpha all the same.

    Args:
        cases: every case that was measured.
        suite: what was measured by.
        standing: which look this is, and how many candidates were tried.
        has_baseline: whether there is something to compare with.
        seed: of everything random.
        planned: the size of the whole suite; see `Report.planned`.
        applications: how many revisions of the application were measured.
        describe: whether to tell what decides nothing too.
        judges: what is known of the suite's judges, `Report.judges`.
    """
    alpha = level(suite, standing) or suite.alpha
    estimates = summarize(cases, suite, Design(alpha, seed, planned, describe, judges or {}))
    if applications > 1:
        why = f"the reports measured {applications} revisions of the application"
        estimates = tuple(
            Estimate(e.metric, e.kind, n=e.n, cases=e.cases, reason=why) for e in estimates
        )
    runs = [run for case in cases for run in (*case.candidate, *case.baseline)]
    verdict = decide(
        estimates,
        suite,
        has_baseline=has_baseline,
        failures=sum(run.run_id is None for run in runs),
        broken=broken_share(cases),
        standing=replace(standing, made_at=alpha),
        judges=judges,
    )
    return Judged(estimates, alpha, verdict)


def decided(
    cases: Sequence[CaseRuns],
    suite: Suite,
    stage: int,
    *,
    has_baseline: bool,
    plan: "Plan",
    tried: int,
    judges: Mapping[str, canon.Json] | None = None,
) -> bool:
    """Says whether an eval may end at a stage of its plan that is not the last one.

    Only a comparison has a test that is valid at any stop: a first release is measured whole. None
    passes before the rules on single cases were asked of all that they speak of.
    """
    last = stage == len(plan.stages)
    if last or (suite.looks.by == "any-time" and not has_baseline):
        return False
    # Looks may be many: what decides nothing is told once, at the end.
    gating = replace(suite, metrics=tuple(metric for metric in suite.metrics if metric.gate))
    judged = judge_runs(
        cases,
        gating,
        _standing(suite, stage, tried),
        has_baseline=has_baseline,
        seed=plan.seed,
        planned=plan.size,
        describe=False,
        judges=judges,
    )
    said = judged.verdict.verdict
    return said == FAIL or (said == PASS and not _rules_left(suite, stage, plan))


def _rules_left(suite: Suite, stage: int, plan: "Plan") -> bool:
    """Says whether rules on single cases would go unasked if the eval ended at a stage.

    They hold for every case and every run, so that a pass waits for all that they speak of. So it
    does for a gating cost: few cases do not show its runaways, and several looks at it pass them.
    """
    gating = [metric for metric in suite.metrics if metric.gate]
    tags = {tag for metric in gating for tag in metric.must_pass}
    whole = ("severe", "cost", "tokens")
    if any(metric.kind in whole or metric.severity is not None for metric in gating):
        return True
    reached, _ = plan.stages[stage - 1]
    left = plan.cases if suite.looks.by == "runs" else plan.cases[reached:]
    return any(not tags.isdisjoint(arms[0].case.tags) for arms in left)


def _standing(suite: Suite, stage: int, tried: int) -> Standing:
    """Returns where a measurement stands; one that may stop at any time is one look, wherever."""
    return Standing(1 if suite.looks.by == "any-time" else stage, tried=tried)


def merge(reports: Iterable[Report], suite: Suite) -> Report:
    """Unites the reports on one question.

    Merged reports among the inputs are passed over: their leaves count. A single leaf is returned
    as it is.

    Args:
        reports: in any order, the same one more than once or not.
        suite: what they were measured by.

    Raises:
        FormatError: they are not about one question, or a leaf of a merged one is missing.
    """
    given = {report.digest: report for report in reports}
    leaves = [report for _, report in sorted(given.items()) if not report.merges]
    _check_one_question(leaves, given.values(), suite)
    first = leaves[0]
    if len(leaves) == 1:
        return first
    cases = _united(leaves)
    applications = {canon.encode(leaf.application): leaf.application for leaf in leaves}
    ended = looks(leaves)
    tried = max(leaf.tried for leaf in leaves)
    standing = Standing(sum(ended), merged=len(ended) > 1, tried=tried)
    judges = uniting.judges([leaf.judges for leaf in leaves])
    judged = judge_runs(
        cases,
        suite,
        standing,
        has_baseline=first.baseline is not None,
        seed=first.seed,
        planned=first.planned,
        applications=len(applications),
        judges=judges,
    )
    return Report(
        bundle=first.bundle,
        candidate=first.candidate,
        baseline=first.baseline,
        suite=first.suite,
        seed=first.seed,
        cases=cases,
        estimates=judged.estimates,
        verdict=judged.verdict,
        started=min(report.started for report in leaves),
        finished=max(report.finished for report in leaves),
        actor=None,
        tool=", ".join(sorted({report.tool for report in leaves})),
        prices=_newest(_distinct(report.prices for report in leaves)),
        data=_distinct(entry for report in leaves for entry in report.data),
        providers=_providers(leaves),
        application=first.application if len(applications) == 1 else None,
        judges=judges,
        merges=tuple(report.digest for report in leaves),
        look=sum(ended),
        planned=first.planned,
        tried=tried,
        alpha=judged.alpha,
    )


def _check_one_question(leaves: Sequence[Report], given: Iterable[Report], suite: Suite) -> None:
    if not leaves:
        raise FormatError("there is no report to merge", hint="measure first: llmvc eval")
    # Not the name: one bundle under two names is one candidate, and shares its evidence.
    questions = {(r.candidate, r.baseline, r.suite, r.seed) for r in given}
    if len(questions) > 1:
        raise FormatError("the reports are not about one candidate, baseline and suite")
    if leaves[0].suite != suite.digest:
        raise FormatError(f"the reports were made by suite {digest.short(leaves[0].suite)}")
    known = {leaf.digest for leaf in leaves}
    for report in given:
        missing = sorted(set(report.merges) - known)
        if missing:
            raise FormatError(
                f"report {digest.short(report.digest)} unites {digest.short(missing[0])}, "
                "which is not here",
                hint="run llmvc fetch",
            )


def _united(leaves: Sequence[Report]) -> tuple[CaseRuns, ...]:
    """Returns every case with the runs that any leaf has of it."""
    rows: dict[str, list[CaseRuns]] = {}
    for leaf in leaves:
        for case in leaf.cases:
            rows.setdefault(case.id, []).append(case)
    return tuple(
        CaseRuns(
            case_id,
            found[0].group,
            _union(run for case in found for run in case.candidate),
            _union(run for case in found for run in case.baseline),
            found[0].tags,
        )
        for case_id, found in sorted(rows.items())
    )


def _union(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Unites the runs of one case on one arm, whatever order they come in."""
    made: dict[Digest, Run] = {}
    missing: dict[int, Run] = {}
    for run in runs:
        if run.run_id is not None:
            made[run.run_id] = _first(run, made.get(run.run_id))
        else:
            missing[run.run] = _first(run, missing.get(run.run))
    for run in made.values():
        missing.pop(run.run, None)
    kept = (*made.values(), *missing.values())
    return tuple(sorted(kept, key=lambda run: (run.run, run.run_id or "")))


def _first(run: Run, other: Run | None) -> Run:
    """Returns one of two records of the same run, by their content and not by their order."""
    if other is None or other == run:
        return run
    return min(run, other, key=lambda one: canon.encode(asdict(one)))


def _providers(leaves: Iterable[Report]) -> tuple[Mapping[str, canon.Json], ...]:
    """Returns the identities seen, with the notes of all leaves.

    `calls` is the most that one leaf counted, as leaves share.
    """
    most: dict[bytes, tuple[dict[str, canon.Json], int]] = {}
    notes: dict[bytes, set[str]] = {}
    for leaf in leaves:
        for seen in leaf.providers:
            who = {name: seen[name] for name in seen if name not in ("calls", "notes")}
            key, calls, told = canon.encode(who), seen.get("calls"), seen.get("notes")
            counted = calls if isinstance(calls, int) else 0
            most[key] = (who, max(counted, most[key][1] if key in most else 0))
            notes.setdefault(key, set()).update(map(str, told if isinstance(told, list) else ()))
    return tuple(
        {**who, "calls": calls, **({"notes": sorted(notes[key])} if notes[key] else {})}
        for key, (who, calls) in sorted(most.items())
    )


def _distinct(
    values: Iterable[Mapping[str, canon.Json] | None],
) -> tuple[Mapping[str, canon.Json], ...]:
    """Returns the values that differ, in canonical order; None counts as no value."""
    found = {canon.encode(value): value for value in values if value is not None}
    return tuple(value for _, value in sorted(found.items()))


def _newest(tables: Sequence[Mapping[str, canon.Json]]) -> Mapping[str, canon.Json] | None:
    return max(
        tables, key=lambda table: (str(table.get("date")), canon.encode(table)), default=None
    )
