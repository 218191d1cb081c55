"""One measurement: prepared without a call, then made, then stored.

- Preparing refuses what cannot work and says what it will cost.
- An eval that had to stop leaves no report, only finished runs to go on from.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmvc import __version__
from llmvc.app import connecting, evidence, sides
from llmvc.app.evidence import Question
from llmvc.app.revisions import Resolved
from llmvc.app.unchanged import Watched
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.bundle import Bundle
from llmvc.core.canon import Json
from llmvc.core.digest import Digest
from llmvc.core.plural import count
from llmvc.core.report import CaseRuns, Report
from llmvc.errors import ConfigError
from llmvc.evals import plan, runner, runs, shards
from llmvc.evals.budget import CallEstimate, Limits, dollars
from llmvc.evals.plan import Plan
from llmvc.evals.prices import Prices
from llmvc.evals.progress import Progress, RunResult
from llmvc.evals.runner import Prepared
from llmvc.evals.runs import Entry, RunCache
from llmvc.evals.session import Decided

if TYPE_CHECKING:
    from llmvc.app.panel import Panel
    from llmvc.evals.cluster import Cluster
    from llmvc.evals.shared import Shared
    from llmvc.files.config import Config
    from llmvc.files.suite import LoadedSuite

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person may choose about a measurement.

    Attributes:
        suite: path of the suite file; None for the bundle's only one.
        max_usd: what new calls may cost.
        max_judge_usd: what new votes of judges may cost.
        max_seconds: how long they may take.
        concurrency: calls under way at once.
        allow_unpriced: whether calls of unknown price may be made.
        fresh: whether to call again where a run is in the cache.
        merge_only: whether only to unite stored reports.
        dry_run: whether to stop at the estimate.
        shard: the part to measure, as (number from 1, how many); None for the whole.
        on: the cluster that makes the calls; None for this process.
        cache: the shared run cache; None for that of the configuration.
    """

    suite: str | None = None
    max_usd: float | None = None
    max_judge_usd: float | None = None
    max_seconds: float | None = None
    concurrency: int = 8
    allow_unpriced: bool = False
    fresh: bool = False
    merge_only: bool = False
    dry_run: bool = False
    shard: tuple[int, int] | None = None
    on: str | None = None
    cache: str | None = None

    @property
    def limits(self) -> Limits:
        """The same for the runner."""
        return Limits(
            concurrency=self.concurrency,
            max_usd=self.max_usd,
            max_seconds=self.max_seconds,
            allow_unpriced=self.allow_unpriced,
            max_judge_usd=self.max_judge_usd,
        )


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
        panel: the suite's judges, once they are known.
    """

    candidate: Resolved
    env: str
    baseline: Bundle | None
    suite: "LoadedSuite"
    config: "Config"
    counted: Digest | None = None
    panel: "Panel | None" = None

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
        for bundle in (self.candidate.bundle, self.baseline, *self.suite.judges.values()):
            if bundle is not None:
                connection = connecting.connection(
                    self.config, connecting.provider_name(bundle, self.candidate.name)
                )
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
        prepared: the calls and their cost; those of one shard, if only it is measured.
        whole: all calls of the comparison.
        choices: what the person chose.
        panel: the suite's judges; None if it has none.
        cluster: what makes the calls; None for this process.
        watched: the suite's files, if they must not change.
    """

    ws: Workspace
    comparison: Comparison
    prepared: Prepared
    whole: Plan
    choices: Choices
    panel: "Panel | None" = None
    cluster: "Cluster | None" = None
    watched: Watched | None = None

    @property
    def expected(self) -> CallEstimate:
        """Calls and cost."""
        return self.prepared.expected

    def run(self, progress: OnProgress) -> tuple[Report, RunResult]:
        """Makes the calls and returns the report on them.

        Raises:
            ConfigError: it had to stop at a limit; finished runs are in the cache.
        """
        loaded = self.comparison.suite
        tried = evidence.tried(self.ws, self.comparison.question)
        begun = max((_rows(one.cases) for one in self._incomplete()), default=0)

        def decided(cases: tuple[CaseRuns, ...], stage: int) -> bool:
            from llmvc.evals import reports  # noqa: PLC0415 (loads numpy)

            # To stop short of what an incomplete report holds would be a further look beside it.
            return _rows(cases) >= begun and reports.decided(
                cases,
                loaded.suite,
                stage,
                has_baseline=self.comparison.baseline is not None,
                plan=self.prepared.plan,
                tried=tried,
                judges=self._judges({}),
            )

        result = self.measured(progress, decided)
        from llmvc.evals import reports  # noqa: PLC0415 (loads numpy; the runner did meanwhile)

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
            judges=self._judges(result.judges),
        )
        return report, result

    def measured(self, progress: OnProgress, decided: Decided | None = None) -> RunResult:
        """Makes the calls and returns what they brought.

        Args:
            progress: called after every run.
            decided: asked at each planned look but the last whether the eval may end there.

        Raises:
            ConfigError: it had to stop at a limit, or the suite changed meanwhile; finished runs
                are in the cache.
        """
        loaded = self.comparison.suite
        result = runner.run(
            self.prepared,
            loaded.cases,
            self.choices.limits,
            progress=progress,
            folder=self.ws.root / loaded.folder,
            decided=decided,
            judges=self.panel.judges if self.panel else None,
            cluster=self.cluster,
        )
        if result.stopped is not None:
            usd = self.spent(result)
            spent = "of unknown cost" if usd is None else f"{dollars(usd)} spent"
            judged = f" and {dollars(result.judge_usd)} on judges" if self.panel else ""
            raise ConfigError(
                f"stopped: {result.stopped}; {count(result.called, 'call')} made and kept, "
                f"{spent}{judged}",
                hint="raise the limit and run it again, it goes on from here",
            )
        if self.watched is not None:
            self.watched.check()
        return result

    def spent(self, result: RunResult) -> float | None:
        """Returns what the calls of a result cost, USD; None if nothing is known of it."""
        unknown = self.expected.usd is None and not result.cost_usd
        return None if unknown else result.cost_usd

    def _judges(self, facts: Mapping[Digest, Mapping[str, object]]) -> dict[str, Json]:
        """Returns what a report says of its judges, which did so much; see `RunResult.judges`."""
        if self.panel is None:
            return {}
        from llmvc.app import panel  # noqa: PLC0415 (few suites have judges)

        return panel.evidence(self.panel.seats, facts, self.ws.time)

    def _incomplete(self) -> list[Report]:
        """Returns the stored reports on the question that lack runs: this one goes on with them."""
        stored = evidence.reports_on(self.ws, self.comparison.question)
        return [one for one in stored if one.failures("candidate") + one.failures("baseline")]


def _rows(cases: Sequence[CaseRuns]) -> int:
    """Counts the runs of the candidate, finished or not: how far a measurement went."""
    return sum(len(case.candidate) for case in cases)


@contextmanager
def prepared(
    ws: Workspace,
    comparison: Comparison,
    choices: Choices,
    progress: OnProgress,
    *,
    outcomes: Mapping[tuple[str, Digest], Entry] | None = None,
    watched: Watched | None = None,
    shared: "Shared | None" = None,
) -> Generator[Job]:
    """Prepares a measurement.

    Args:
        ws: the workspace.
        comparison: what is compared.
        choices: what the person chose.
        progress: told how far the checks of its judges are.
        outcomes: runs of shards in which the application failed; see `Reuse`.
        watched: the suite's files, if they must not change.
        shared: the shared run cache.

    Raises:
        Inconclusive: the design cannot pass, whatever the outputs are.
        ConfigError: it cannot be made this way, or would cost too much.
        ProviderError: a provider cannot be used, or its price is not known.
        UsageError: a limit in USD could not hold, since a price is not known.
    """
    _refuse_hopeless(ws, comparison)
    config, loaded = comparison.config, comparison.suite
    arms = sides.arms(ws, comparison)
    prices = Prices.load(ws.root / config.prices if config.prices else None)
    whole = plan.make(arms, loaded.cases, loaded.suite)
    planned = whole if choices.shard is None else shards.part(whole, *choices.shard)
    with RunCache(runs.folder(ws.repo.common_dir), shared) as cache:
        ready = runner.prepare(
            planned,
            loaded.suite,
            cache,
            choices.limits,
            prices=prices,
            now=ws.now,
            fresh=choices.fresh,
            outcomes=outcomes,
        )
        panel, choices = _panel(ws, comparison, choices, ready, progress)
        yield Job(
            ws,
            comparison,
            ready,
            whole,
            choices,
            panel,
            sides.cluster(ws, comparison, arms, choices),
            watched,
        )


def _panel(
    ws: Workspace,
    comparison: Comparison,
    choices: Choices,
    ready: Prepared,
    progress: OnProgress,
) -> "tuple[Panel | None, Choices]":
    """Returns the suite's judges, checked, and what is left to spend after that."""
    if not comparison.suite.suite.judges:
        return None, choices
    from llmvc.app import panel  # noqa: PLC0415 (few suites have judges)

    return panel.take(ws, comparison, choices, ready, progress)


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


def store_report(ws: Workspace, comparison: Comparison, report: Report) -> None:
    """Puts a report, and all it names, into the store."""
    candidate, loaded = comparison.candidate, comparison.suite
    held = [candidate.bundle.data, *(item for _, item in candidate.assets)]
    held += [loaded.suite.to_bytes(), *(item.to_bytes() for item in loaded.datasets)]
    if comparison.baseline is not None:
        held.append(comparison.baseline.data)
    if loaded.judges:
        from llmvc.app.calibrating import held as parts_of  # noqa: PLC0415 (few suites have judges)

        held += [data for one in loaded.judges for data in parts_of(ws, ws.judges[one])]
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
