"""The judges of one measurement: whether each may be trusted, told before any call is made.

- A judge that may not be trusted grades all the same: numbers are useful, and the verdict on what
  rests on them is inconclusive until the judge is settled.
- What the report says of a judge is its state with who really answered for it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from llmvc import __version__
from llmvc.app import calibrating, judges, kinship
from llmvc.app.calibrating import Means
from llmvc.app.job import file_report
from llmvc.app.judges import Known
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import canon, digest
from llmvc.core.bundle import Bundle
from llmvc.core.digest import Digest
from llmvc.core.judging import TRUSTED, UNCALIBRATED, Evidence, Identity, State
from llmvc.core.plural import count
from llmvc.core.report import Report
from llmvc.core.suite import Suite
from llmvc.evals.judging.calls import Forecast
from llmvc.evals.judging.grading import Grading, Output
from llmvc.evals.judging.judge import Judge
from llmvc.evals.runner import Prepared
from llmvc.evals.trust.calibration import panel_votes
from llmvc.gate import judged
from llmvc.gate.level import Standing

if TYPE_CHECKING:
    from llmvc.app.job import Choices, Comparison, OnProgress


_IDLE: Final[Mapping[str, Any]] = {
    "identities": (),
    "flips": 0,
    "graded": 0,
    "flagged": 0,
    "usd": None,
}
"""What a judge did that was not asked yet."""


@dataclass(frozen=True)
class Seat:
    """One judge of a suite.

    Attributes:
        found: the bundle, and how it was named.
        judge: the same with what answers its calls.
        known: what the store says of it.
        state: whether it may be trusted, before it grades.
        why: what made it so.
        due: anchors on which it would be checked first; only a dry run leaves that open.
        scorers: the suite's scorers that it grades.
        migration: whether the candidate differs from the baseline in its model section.
        kin: whether an arm's model is of its family.
        votes: see `Evidence.panel_votes`.
        warnings: codes of `gate.judged.lint`.
    """

    found: Resolved
    judge: Judge
    known: Known
    state: State
    why: tuple[str, ...]
    due: int
    scorers: tuple[str, ...]
    migration: bool
    kin: bool
    votes: float | None
    warnings: tuple[str, ...]

    def evidence(self, facts: Mapping[str, Any], now: str) -> Evidence:
        """Returns what a report says of the judge.

        Args:
            facts: what it did, see `RunResult.judges`.
            now: RFC 3339, UTC.
        """
        seen: tuple[Identity, ...] = tuple((one[0], one[1]) for one in facts["identities"])
        flips, graded, flagged = (facts[name] or 0 for name in ("flips", "graded", "flagged"))
        known = self.known
        state, why = judged.state_of(
            known.calibration,
            known.check,
            known.tombstone,
            seen,
            now,
            connection=known.connection,
            flips=flips,
            graded=graded,
            flagged=flagged,
        )
        made = known.calibration
        return Evidence(
            name=self.found.name,
            scorers=self.scorers,
            family=self.judge.family,
            protocol=self.judge.rules.protocol,
            votes=self.judge.votes,
            state=state,
            why=why,
            calibration=made.digest if made else None,
            calibrated=made.made if made else None,
            check=known.check.digest if known.check else None,
            connection=self.judge.asked_through,
            identities=seen,
            flips=flips,
            graded=graded,
            flagged=flagged,
            usd=facts["usd"],
            migration=self.migration,
            same_family=self.kin,
            length_control=self.judge.rules.length_control,
            panel_votes=self.votes,
            warnings=self.warnings,
        )


@dataclass(frozen=True)
class Panel:
    """The judges of a measurement.

    Attributes:
        seats: one for each.
        forecast: what their votes take.
        early: whether the eval may end before all of them are needed.
    """

    seats: tuple[Seat, ...]
    forecast: Forecast
    early: bool = False

    @property
    def judges(self) -> dict[Digest, Judge]:
        """The judges by the digest of their bundle."""
        return {one.found.bundle.digest: one.judge for one in self.seats}


def take(
    ws: Workspace,
    comparison: "Comparison",
    choices: "Choices",
    ready: Prepared,
    progress: "OnProgress",
) -> "tuple[Panel, Choices]":
    """Returns the judges of a comparison, checked, and the choices with what is left to spend.

    A dry run checks nothing.

    Args:
        ws: the workspace.
        comparison: what is compared.
        choices: what the person chose.
        ready: the calls whose outputs are to be judged.
        progress: told how far the checks are.

    Raises:
        ConfigError: a judge's connection is not described well, or a limit was reached.
        ProviderError: a judge cannot be asked.
    """
    means = Means(choices.max_judge_usd, choices.concurrency, choices.allow_unpriced, progress)
    seats, spent = seated(
        ws,
        comparison.suite.suite,
        comparison.candidate.bundle,
        comparison.baseline,
        means=None if choices.dry_run else means,
        writers=_writers(comparison),
    )
    rest = replace(choices, max_judge_usd=means.after(spent).max_usd)
    found = Panel(seats, Forecast())
    grading = Grading(
        ready.suite,
        found.judges,
        ready.cache,
        prices=ready.money.prices,
        now=ws.now,
        limits=rest.limits,
        fresh=ready.fresh,
    )
    calls = list(ready.plan.calls())
    entries = ((one, number, ready.reuse.find(one, number)) for one, number in calls)
    outputs = [
        Output(one.arm.name, one.case, number, entry.answer)
        for one, number, entry in entries
        if entry is not None
    ]
    cases = [arms[0].case for arms in ready.plan.cases]
    paired = comparison.baseline is not None
    forecast = grading.estimate(outputs, cases, len(calls), paired=paired)
    return Panel(seats, forecast, len(ready.plan.stages) > 1), rest


def seated(
    ws: Workspace,
    suite: Suite,
    candidate: Bundle,
    baseline: Bundle | None,
    *,
    means: Means | None,
    writers: Collection[str] = (),
) -> tuple[tuple[Seat, ...], float]:
    """Returns the judges of a suite that was loaded, and what checking them cost in USD.

    Args:
        ws: the workspace, which remembers what the suite's names stood for.
        suite: names its judges by their digests.
        candidate: what they grade.
        baseline: the same.
        means: what checks may take; None makes none.
        writers: the models that wrote its cases.

    Raises:
        ConfigError: a judge's connection is not described well, or a limit was reached.
        ProviderError: a judge cannot be asked.
    """
    found = [ws.judges[one] for one in suite.judges]
    prompted = {one.bundle.digest: kinship.prompted(one.bundle) for one in found}
    arms = [one for one in (candidate, baseline) if one is not None]
    migration = kinship.migrates(baseline, candidate)
    asked = {one.bundle.digest: calibrating.connected(ws, one) for one in found}
    known, spent = _known(ws, found, asked, means)
    seats: list[Seat] = []
    for one in found:
        own = one.bundle.digest
        family = prompted[own].family
        kin = kinship.kin(family, *arms)
        votes = _votes(suite, own, known)
        codes = judged.lint(
            prompted[own],
            list(prompted.values()),
            kin=kin,
            migrating=migration,
            prompts=[kinship.text(arm) for arm in arms],
            writers=writers,
            votes=votes,
        )
        scorers = tuple(
            scorer.name
            for scorer in suite.scorers
            if scorer.type == judged.SCORER and scorer.options.get("judge") == own
        )
        state, why = known[own].state(ws.time)
        anchors = calibrating.due(ws, one, known[own]) if means is None else None
        due = 0 if anchors is None else len(anchors.anchors)
        seats.append(
            Seat(
                one, asked[own], known[own], state, why, due, scorers, migration, kin, votes, codes
            )
        )
    return tuple(seats), spent


def _known(
    ws: Workspace,
    found: Sequence[Resolved],
    asked: Mapping[Digest, Judge],
    means: Means | None,
) -> tuple[dict[Digest, Known], float]:
    """Returns what is known of judges, after the checks that `means` allow, and what those cost."""
    known: dict[Digest, Known] = {}
    spent = 0.0
    for one in found:
        own = one.bundle.digest
        connection = asked[own].asked_through
        if means is None:
            known[own] = judges.known(ws, own, connection)
            continue
        known[own], usd = calibrating.ready(ws, one, connection, means.after(spent))
        spent += usd
    return known, spent


def _votes(suite: Suite, own: Digest, known: Mapping[Digest, Known]) -> float | None:
    """Returns how many votes the judges are worth that share a metric with one of them."""
    metrics = [judged.judges_of(suite, metric) for metric in suite.metrics]
    panel = {digest.parse(one) for panel in metrics if own in panel for one in panel}
    made = [known[one].calibration for one in sorted(panel)]
    return panel_votes([one for one in made if one is not None]) if all(made) else None


def _writers(comparison: "Comparison") -> frozenset[str]:
    """Returns the models that wrote cases, as their tags say."""
    tags = {tag for case in comparison.suite.cases for tag in case.tags}
    return frozenset(
        tag.removeprefix(judged.WRITTEN_BY) for tag in tags if tag.startswith(judged.WRITTEN_BY)
    )


def evidence(
    seats: Sequence[Seat], facts: Mapping[Digest, Mapping[str, Any]], now: str
) -> dict[str, canon.Json]:
    """Returns what a report says of its judges, `Report.judges`."""
    return {
        own: seat.evidence(facts.get(own, _IDLE), now).to_dict()
        for seat in seats
        for own in (seat.found.bundle.digest,)
    }


def announce(panel: Panel) -> str:
    """Returns what a person should know of the judges before the first call."""
    take = panel.forecast
    cost = "of unknown cost" if take.usd is None else f"about ${take.usd:.4f}"
    most = "at most " if take.to_come or panel.early else ""
    part = f" ({take.to_come} on answers to come)" if 0 < take.to_come < take.calls else ""
    votes = f"{most}{count(take.calls, 'new vote')}{part}"
    total = f"judging: {votes}, {take.kept} reused, {cost}"
    return "\n".join((total, *(line for seat in panel.seats for line in _lines(seat))))


def _lines(seat: Seat) -> list[str]:
    state, why = seat.state, seat.why
    each = seat.judge.votes * (2 if seat.judge.rules.pairwise else 1)
    calls = "1 call" if each == 1 else f"{each} calls"
    told = "" if state == TRUSTED else f": {'; '.join(why)}"
    name = f"judge {seat.found.label} {digest.short(seat.found.bundle.digest)}"
    lines = [f"{name}, {calls} an answer: {state}{told}"]
    if seat.due:
        lines.append(f"  it will be checked against its {count(seat.due, 'anchor')} first")
    elif state != TRUSTED:
        remedy = seat.known.remedy(seat.found.label, state)
        lines.append(f"  what rests on it will be inconclusive; {remedy}")
    if seat.warnings:
        lines.append(f"  warnings: {', '.join(seat.warnings)}")
    return lines


def refreshed(ws: Workspace, comparison: "Comparison", report: Report, means: Means) -> bool:
    """Files a report anew if a judge that nobody knew when it graded is trusted by now.

    No call but a check of the judge is made: the runs and their grades are those of the report. A
    judge that was suspect is another one by now, so that its old grades stay suspect.

    Returns:
        Whether another report was filed.
    """
    told = {own: Evidence.from_dict(value) for own, value in report.judges.items()}
    if all(one.state != UNCALIBRATED for one in told.values()):
        return False
    suite = comparison.suite.suite
    seats, _ = seated(
        ws,
        suite,
        comparison.candidate.bundle,
        comparison.baseline,
        means=means,
        writers=_writers(comparison),
    )
    now = evidence(seats, {digest.parse(own): _facts(one) for own, one in told.items()}, ws.time)
    changed: dict[str, canon.Json] = {}
    for own, one in told.items():
        fresh = Evidence.from_dict(now[own])
        # Grades that came through another connection are another judge's.
        here = one.connection == fresh.connection
        if here and one.state == UNCALIBRATED and fresh.state == TRUSTED:
            changed[own] = replace(fresh, labels=one.labels).to_dict()
    if changed:
        leaf = again(ws, report, suite, {**report.judges, **changed})
        file_report(ws, comparison.question, leaf)
    return bool(changed)


def _facts(told: Evidence) -> dict[str, Any]:
    return {name: getattr(told, name) for name in _IDLE}


def again(ws: Workspace, report: Report, suite: Suite, said: Mapping[str, canon.Json]) -> Report:
    """Returns a leaf report with the runs of another, and more known of its judges.

    It rests on the same runs, so that it is no further look at the data.
    """
    from llmvc.evals.reports import judge_runs  # noqa: PLC0415 (loads numpy)

    found = judge_runs(
        report.cases,
        suite,
        Standing(report.look, tried=report.tried),
        has_baseline=report.baseline is not None,
        seed=report.seed,
        planned=report.planned,
        judges=said,
    )
    return replace(
        report,
        estimates=found.estimates,
        verdict=found.verdict,
        alpha=found.alpha,
        judges=said,
        merges=(),
        actor=ws.actor,
        tool=f"llmvc {__version__}",
    )
