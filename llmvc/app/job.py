"""One measurement: prepared without a call, then made, then stored.

- Preparing refuses what cannot work and says what it will cost.
- An eval that had to stop leaves no report, only finished runs to go on from.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmvc import __version__
from llmvc.app import evidence
from llmvc.app.evidence import Question
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.bundle import Bundle, parts
from llmvc.core.digest import Digest
from llmvc.core.report import CaseRuns, Report
from llmvc.errors import ConfigError, NotFoundError
from llmvc.evals import plan, runner
from llmvc.evals.budget import CallEstimate, Limits
from llmvc.evals.plan import Arm, ArmName, Plan
from llmvc.evals.prices import Prices
from llmvc.evals.providers import connect
from llmvc.evals.providers.base import Provider
from llmvc.evals.runner import Progress, RunResult
from llmvc.evals.runs import RunCache

if TYPE_CHECKING:
    from llmvc.files.config import Config, Connection
    from llmvc.files.suite import LoadedSuite

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person may choose about a measurement.

    Attributes:
        suite: path of the suite file; None for the bundle's only one.
        max_usd: what new calls may cost.
        max_seconds: how long they may take.
        concurrency: calls under way at once.
        allow_unpriced: whether calls of unknown price may be made.
        fresh: whether to call again where a run is in the cache.
        merge_only: whether only to unite stored reports.
        dry_run: whether to stop at the estimate.
    """

    suite: str | None = None
    max_usd: float | None = None
    max_seconds: float | None = None
    concurrency: int = 8
    allow_unpriced: bool = False
    fresh: bool = False
    merge_only: bool = False
    dry_run: bool = False

    @property
    def limits(self) -> Limits:
        """The same for the runner."""
        return Limits(self.concurrency, self.max_usd, self.max_seconds, self.allow_unpriced)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions and what both are measured by.

    Attributes:
        candidate: what is measured.
        env: the environment compared with.
        baseline: what it serves; None on a first release.
        suite: cases, scorers and rules.
        config: how providers are reached.
        counted: the contest in which candidates count, if it is not the comparison's own.
    """

    candidate: Resolved
    env: str
    baseline: Bundle | None
    suite: "LoadedSuite"
    config: "Config"
    counted: Digest | None = None

    @property
    def question(self) -> Question:
        """What the report will answer."""
        return Question(
            self.candidate.name,
            self.candidate.bundle.digest,
            self.baseline.digest if self.baseline else None,
            self.suite.suite.digest,
            self.counted,
        )

    def code_to_run(self) -> str | None:
        """Returns what code of the repository a measurement would run; None if there is none."""
        for bundle in (self.candidate.bundle, self.baseline):
            if bundle is not None:
                connection = _connection(self.config, _provider_name(bundle, self.candidate.name))
                if connection.kind in ("python", "command"):
                    return f"provider {connection.name}"
        for scorer in self.suite.suite.scorers:
            if scorer.code is not None:
                return f"scorer {scorer.name}"
        return None


OnEstimate = Callable[[Comparison, CallEstimate], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A prepared measurement: what is compared, its arms and the open run cache.

    Attributes:
        ws: the workspace.
        comparison: what is compared.
        expected: calls and cost.
        arms: the candidate, and the baseline if there is one.
        planned: the calls, with their keys.
        cache: finished runs.
        prices: what tokens cost.
        choices: what the person chose.
    """

    ws: Workspace
    comparison: Comparison
    expected: CallEstimate
    arms: tuple[Arm, ...]
    planned: Plan
    cache: RunCache
    prices: Prices
    choices: Choices

    def run(self, progress: OnProgress) -> tuple[Report, RunResult]:
        """Makes the calls and returns the report on them.

        Raises:
            ConfigError: it had to stop at a limit; finished runs are in the cache.
        """
        from llmvc.evals import reports  # noqa: PLC0415 (loads numpy)

        loaded = self.comparison.suite
        tried = evidence.tried(self.ws, self.comparison.question)
        begun = max((_rows(one.cases) for one in self._incomplete()), default=0)

        def decided(cases: tuple[CaseRuns, ...], stage: int) -> bool:
            # To stop short of what an incomplete report holds would be a further look beside it.
            return _rows(cases) >= begun and reports.decided(
                cases,
                loaded.suite,
                stage,
                has_baseline=self.comparison.baseline is not None,
                plan=self.planned,
                tried=tried,
            )

        result = runner.run(
            self.arms,
            loaded.cases,
            loaded.suite,
            self.cache,
            self.choices.limits,
            prices=self.prices,
            now=self.ws.now,
            progress=progress,
            fresh=self.choices.fresh,
            folder=self.ws.root / loaded.folder,
            planned=self.planned,
            decided=decided,
        )
        if result.stopped is not None:
            raise ConfigError(
                f"stopped: {result.stopped}; {result.called} calls were made and are kept",
                hint="raise the limit and run it again, it goes on from here",
            )
        report = reports.assemble(
            result,
            loaded.suite,
            bundle=self.comparison.candidate.name,
            candidate=self.comparison.candidate.bundle,
            baseline=self.comparison.baseline,
            data=loaded.data,
            actor=self.ws.actor,
            tool=f"llmvc {__version__}",
            tried=tried,
        )
        return report, result

    def _incomplete(self) -> list[Report]:
        """Returns the stored reports on the question that lack runs: this one goes on with them."""
        stored = evidence.reports_on(self.ws, self.comparison.question)
        return [one for one in stored if one.failures("candidate") + one.failures("baseline")]


def _rows(cases: Sequence[CaseRuns]) -> int:
    """Counts the runs of the candidate, finished or not: how far a measurement went."""
    return sum(len(case.candidate) for case in cases)


@contextmanager
def prepared(ws: Workspace, comparison: Comparison, choices: Choices) -> Generator[Job]:
    """Prepares a measurement.

    Raises:
        Inconclusive: the design cannot pass, whatever the outputs are.
        ConfigError: it cannot be made this way, or would cost too much.
        ProviderError: a provider cannot be used, or its price is not known.
    """
    _refuse_hopeless(ws, comparison)
    config, loaded = comparison.config, comparison.suite
    providers: dict[str, Provider] = {}
    arms = [_arm(ws, "candidate", comparison, providers)]
    if comparison.baseline is not None:
        arms.append(_arm(ws, "baseline", comparison, providers))
    prices = Prices.load(ws.root / config.prices if config.prices else None)
    planned = plan.make(arms, loaded.cases, loaded.suite)
    with RunCache(ws.repo.common_dir / "llmvc" / "runs") as cache:
        expected = runner.estimate(
            arms,
            loaded.cases,
            loaded.suite,
            cache,
            choices.limits,
            prices=prices,
            now=ws.now,
            fresh=choices.fresh,
            planned=planned,
        )
        yield Job(ws, comparison, expected, tuple(arms), planned, cache, prices, choices)


def _refuse_hopeless(ws: Workspace, comparison: Comparison) -> None:
    from llmvc.app import pilots  # noqa: PLC0415 (only measurements need it)
    from llmvc.gate.design import refuse_hopeless  # noqa: PLC0415

    loaded, question = comparison.suite, comparison.question
    refuse_hopeless(
        loaded.suite,
        loaded.cases,
        has_baseline=comparison.baseline is not None,
        pilot=pilots.estimates(ws, question, loaded.suite),
        tried=evidence.tried(ws, question),
    )


def _arm(
    ws: Workspace, name: ArmName, comparison: Comparison, providers: dict[str, Provider]
) -> Arm:
    """Returns one side of the comparison; both share a provider that both name."""
    is_candidate = name == "candidate"
    bundle = comparison.candidate.bundle if is_candidate else comparison.baseline
    if bundle is None:
        raise ConfigError("there is no baseline to measure")
    at_hand = dict(comparison.candidate.assets) if is_candidate else {}
    wanted = _provider_name(bundle, comparison.candidate.name)
    connection = _connection(comparison.config, wanted)
    if wanted not in providers:
        providers[wanted] = connect(
            wanted,
            connection.kind,
            connection.options,
            mode=connection.mode,
            folder=ws.repo.root or ws.repo.common_dir,
            environ=ws.environ,
        )
    source = ws.repo.source() if connection.mode == "app" else None
    application = {"commit": source.commit, "dirty": not ws.is_clean()} if source else None
    needed = _parts(ws, bundle, at_hand)
    return Arm(
        name,
        bundle,
        providers[wanted],
        _texts(bundle, needed),
        parts=needed,
        named=wanted,
        application=application,
    )


def _provider_name(bundle: Bundle, name: str) -> str:
    """Returns the connection that answers for a bundle; a set, having no model, names its own."""
    model = bundle.body.get("model")
    return str(model.get("provider", name)) if isinstance(model, dict) else name


def _connection(config: "Config", wanted: str) -> "Connection":
    from llmvc.files.config import Connection  # noqa: PLC0415 (with YAML, when it is needed)

    if wanted in config.providers:
        return config.providers[wanted]
    if wanted == "openai":
        return Connection("openai", "openai", {})
    known = ", ".join(sorted(config.providers)) or "none"
    raise ConfigError(
        f"provider {wanted!r} is not in .llmvc/config.yaml",
        hint=f"known: {known}; add it under providers, with its kind",
    )


def _parts(
    ws: Workspace, bundle: Bundle, at_hand: Mapping[Digest, bytes]
) -> Mapping[Digest, bytes]:
    """Returns a bundle's assets, and the members of a set with theirs."""

    def read(wanted: Digest) -> bytes:
        data = at_hand[wanted] if wanted in at_hand else ws.repo.versions.read(wanted)
        if data is None:
            raise NotFoundError(
                f"{digest.short(wanted)}, a part of {digest.short(bundle.digest)}, "
                "is not in this clone",
                hint="run llmvc fetch; members of a set are to be committed first",
            )
        return data

    return parts(bundle, read).data


def _texts(bundle: Bundle, needed: Mapping[Digest, bytes]) -> dict[str, str]:
    """Returns the texts of a bundle's assets by path; binary ones are left out."""
    listed = bundle.body.get("assets")
    texts: dict[str, str] = {}
    for path, wanted in listed.items() if isinstance(listed, dict) else ():
        data = needed[digest.parse(wanted)]
        if b"\0" not in data:
            texts[path] = data.decode("utf-8", errors="replace")
    return texts


def store_report(ws: Workspace, comparison: Comparison, report: Report) -> None:
    """Puts a report, and all it names, into the store."""
    candidate, loaded = comparison.candidate, comparison.suite
    held = [candidate.bundle.data, *(item for _, item in candidate.assets)]
    held += [loaded.suite.to_bytes(), *(item.to_bytes() for item in loaded.datasets)]
    if comparison.baseline is not None:
        held.append(comparison.baseline.data)
    file_report(ws, comparison.question, report, held)


def file_report(
    ws: Workspace, question: Question, report: Report, beside: Sequence[bytes] = ()
) -> None:
    """Files a report under its question and its contest, with other objects beside it."""
    data = report.data_bytes
    ws.repo.versions.add(
        objects=[*beside, data],
        about=[(question.key, data), (question.contest, data)],
        subject=f"{question.bundle}: report {digest.short(report.digest)} "
        f"says {report.verdict.verdict}",
        trailers={"Llmvc-Report": report.digest, "Llmvc-Bundle": question.candidate},
        author=ws.actor,
        time=ws.now(),
    )
