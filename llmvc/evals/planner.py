"""The planner: what a suite can show before any call is made, and what it would take to show more.

- It plans for an unchanged candidate: that one must have a fair chance to pass, or the suite would
  block whatever is tried.
- It plans at the level of the last look. Gating metrics, which must all pass, share the risk of not
  passing; that one of them fails is shown at a level shared among them (Holm).
- Margins, limits and drops are in the metric's own units; cases are those that count for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.core.plural import count
from llmvc.core.suite import Case, Suite
from llmvc.errors import Inconclusive
from llmvc.evals.metric_power import MetricPower, Step, rule_of
from llmvc.evals.pilot import TYPICAL, Pilot, Source, Spread
from llmvc.gate.design import NOTHING_GATES, effective_number, refuse_hopeless
from llmvc.gate.least import LEAST_CASES, LEAST_GROUPS, in_cases
from llmvc.gate.level import Standing, level
from llmvc.stats import power as stats

RUNS: Final = (1, 3, 5)
"""Numbers of runs that every plan compares, beside the suite's own."""
WORTH: Final = 0.05
"""The margin that a suite too small for it is told how to reach."""
MOST: Final = 0.2
"""A margin above this lets a release lose one answer in five: no number is better."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a plan.

    Attributes:
        power: chance that an unchanged candidate passes all gating metrics, and that a drop is
            shown, in (0, 1).
        case_usd: what a new case costs to write and label.
        tried: candidates tried on this baseline and suite, the next one included.
    """

    power: float = stats.POWER
    case_usd: float = 0.0
    tried: int = 1


@dataclass(frozen=True, slots=True)
class MetricPlan:
    """What can be shown of one gating metric.

    Attributes:
        metric: its name.
        kind: `severe`, `score`, `cost` or `latency`.
        rule: its margin, limit or budget; None if it has none.
        cases: those that count for it.
        units: effective number of them.
        runs: per case and arm.
        source: where the variance comes from; None if it is not known.
        var_case: variance between cases of the true difference.
        var_one_run: variance that one run in each arm adds, where a report's `var_run` is that of a
            case's mean over its runs; None if runs were not repeated.
        chance: that an unchanged candidate passes it.
        least: cases that it takes even without any noise.
        steps: for several numbers of runs.
        best_runs: runs a case that make the most of the money; None if that cannot be said.
        no_split: why not; None if it can.
    """

    metric: str
    kind: str
    rule: float | None
    cases: int
    units: float
    runs: int
    source: Source | None
    var_case: float | None
    var_one_run: float | None
    chance: float | None
    least: int | None
    steps: tuple[Step, ...]
    best_runs: int | None
    no_split: str | None

    @property
    def present(self) -> Step:
        """The step with the plan's own number of runs."""
        return next(step for step in self.steps if step.runs == self.runs)


@dataclass(frozen=True, slots=True)
class SuitePlan:
    """What a suite can show.

    Attributes:
        cases: of the suite.
        runs: per case and arm.
        alpha: one-sided level of the last look.
        power: the chance that was asked for.
        case_usd: what a new case costs, as was said.
        usd: of one eval with both arms called; None if unknown.
        chance: at least this is the chance that an unchanged candidate passes; None if unknown.
        any_time: whether the eval may stop at any time, which costs more cases than told here.
        metrics: the gating ones.
        refused: why the eval would be refused, and what would do; None if it would be made.
        pilot: digest of the report behind it.
    """

    cases: int
    runs: int
    alpha: float
    power: float
    case_usd: float
    usd: float | None
    chance: float | None
    any_time: bool
    metrics: tuple[MetricPlan, ...]
    refused: tuple[str, str] | None
    pilot: Digest | None


@dataclass(frozen=True, slots=True)
class Fitting:
    """The margin that suits a number of cases.

    Attributes:
        margin: the smallest that an unchanged bundle passes with the wanted power, rounded up to a
            hundredth; None where none up to `MOST` would do.
        missed: a true drop below this is shown less often than the wanted power; None likewise.
        missing: cases to add for a margin of `WORTH`; 0 if it fits already.
    """

    margin: float | None
    missed: float | None
    missing: int

    def told(self, cases: int, runs: int) -> str:
        """Says in plain words what the margin is worth."""
        size = f"{count(cases, 'case')} x {count(runs, 'run')}"
        if self.margin is None or self.missed is None:
            text = f"{size} are too few for any margin up to {MOST:g}."
        else:
            text = (
                f"{size} allow a margin of {self.margin:g}, which an unchanged bundle passes "
                f"{stats.POWER:.0%} of the time; it could miss a drop of less than "
                f"{self.missed:.2f}."
            )
        more = f" A margin of {WORTH:g} takes {count(self.missing, 'more case')}."
        return text + (more if self.missing else "")


def plan(
    suite: Suite,
    cases: Sequence[Case],
    pilot: Pilot | None = None,
    wish: Wish | None = None,
    *,
    known: Sequence[Estimate] = (),
    first: bool = False,
) -> SuitePlan:
    """Says what a suite can show on its cases.

    Args:
        suite: scorers, runs and rules.
        cases: its cases, or those that it might have.
        pilot: what a report taught; None for what suites typically show.
        wish: the chance that is wanted, and what cases cost.
        known: the variances that the eval will refuse by, which the pilot need not agree with.
        first: whether there is no baseline yet: the eval will be refused by the floors, and from
            the next release on by the margins.

    Raises:
        Inconclusive: no metric gates.
    """
    taught, asked = pilot or Pilot(), wish or Wish()
    alpha = level(suite, Standing(tried=asked.tried))
    gating = [metric for metric in suite.metrics if metric.gate]
    if not gating:
        raise Inconclusive(NOTHING_GATES[0], hint=NOTHING_GATES[1])
    frame = _Frame(suite, alpha or suite.alpha, len(gating), taught, asked)
    planned = tuple(frame.metric(metric, _counted(metric, cases)) for metric in gating)
    chances = [item.chance for item in planned]
    missed = sum(1.0 - chance for chance in chances if chance is not None)
    return SuitePlan(
        cases=len(cases),
        runs=suite.runs,
        alpha=frame.alpha,
        power=asked.power,
        case_usd=asked.case_usd,
        usd=None if taught.usd is None else taught.usd * len(cases) * suite.runs,
        chance=None if None in chances else max(0.0, 1.0 - missed),
        any_time=suite.looks.by == "any-time",
        metrics=planned,
        refused=_refused(suite, cases, asked, known, first=first),
        pilot=taught.report,
    )


def estimates(pilot: Pilot, suite: Suite) -> tuple[Estimate, ...]:
    """Returns what a pilot taught as the refusal of hopeless designs reads it."""
    found: list[Estimate] = []
    for metric in suite.metrics:
        spread = pilot.spreads.get(metric.name)
        var = None if spread is None or metric.kind != "score" else spread.at(suite.runs)
        if var is not None:
            scaled = var * metric.span**2
            found.append(Estimate(metric.name, metric.kind, var_case=scaled, var_run=0.0))
    return tuple(found)


def smallest_fitting(
    cases: Sequence[Case], runs: int, *, metrics: int = 1, alpha: float = 0.05
) -> Fitting:
    """Chooses the margin of a suite that nothing was measured by yet, from typical variances.

    Args:
        cases: its cases.
        runs: per case and arm.
        metrics: gating metrics, all of which must pass.
        alpha: one-sided level.
    """
    n = effective_number(case.group for case in cases)
    var = TYPICAL.at(runs) or 0.0
    needed = stats.cases_needed(WORTH, var, alpha=alpha, metrics=metrics)
    missing = max(0, in_cases(needed, len(cases), n) - len(cases))
    if len(cases) < LEAST_CASES or n < LEAST_GROUPS:
        return Fitting(None, None, missing)
    margin = stats.smallest_margin(
        n, runs, TYPICAL.var_case, TYPICAL.var_run or 0.0, alpha=alpha, metrics=metrics
    )
    if margin is None or margin > MOST:
        return Fitting(None, None, missing)
    missed = stats.detectable_drop(n, var, alpha=alpha / metrics)
    return Fitting(ceil(round(margin * 100, 6)) / 100, missed, missing)


def resized(cases: Sequence[Case], wanted: int) -> tuple[Case, ...]:
    """Returns as many cases as wanted of the present kind: the same mix of groups and tags.

    Whole copies get groups of their own; what is left over is drawn in the order of hashes, groups
    whole, so that no tag is preferred.
    """
    order = sorted(
        cases, key=lambda case: (digest.of_bytes((case.group or case.id).encode()), case.id)
    )
    made: list[Case] = []
    for at in range(wanted if order else 0):
        copy, case = at // len(order), order[at % len(order)]
        group = case.group if case.group is None or not copy else f"{case.group} {copy}"
        made.append(replace(case, id=f"{case.id} {copy}" if copy else case.id, group=group))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What all metrics of a plan share."""

    suite: Suite
    alpha: float
    gating: int
    pilot: Pilot
    wish: Wish

    def metric(self, metric: Metric, cases: Sequence[Case]) -> MetricPlan:
        """Plans one metric."""
        spread = self.spread(metric)
        best, unknown = self.best_runs(spread)
        units = effective_number(case.group for case in cases)
        numbers = {*RUNS, self.suite.runs, best or self.suite.runs}
        row = MetricPower(
            metric,
            len(cases),
            units,
            spread,
            rate=self.pilot.rates.get(metric.name, 0.0),
            usd=self.pilot.usd,
            alpha=self.alpha,
            power=self.wish.power,
            gating=self.gating,
            any_time=self.suite.looks.by == "any-time",
        )
        steps = tuple(row.step(runs) for runs in sorted(numbers))
        return MetricPlan(
            metric=metric.name,
            kind=metric.kind,
            rule=rule_of(metric),
            cases=len(cases),
            units=units,
            runs=self.suite.runs,
            source=None if spread is None else spread.source,
            var_case=None if spread is None else spread.var_case,
            var_one_run=None if spread is None else spread.var_run,
            chance=row.chance(self.suite.runs),
            least=row.least(self.suite.runs),
            steps=steps,
            best_runs=best,
            no_split=unknown,
        )

    def spread(self, metric: Metric) -> Spread | None:
        """Returns how a metric's difference varies; None if not even a typical value is known."""
        if metric.kind == "severe":
            return None
        typical = TYPICAL if metric.kind == "score" and metric.pass_k is None else None
        return self.pilot.spreads.get(metric.name, typical)

    def best_runs(self, spread: Spread | None) -> tuple[int | None, str | None]:
        """Returns how many runs a case make the most of the money, or why nobody can tell."""
        usd, case_usd = self.pilot.usd, self.wish.case_usd
        if spread is None or spread.var_run is None:
            return None, "what repeated runs add is not known"
        if case_usd <= 0:
            return 1, None
        if usd is None:
            return None, "what a run costs is not known: it takes a pilot with costs"
        if not usd:
            return None, "a run of the pilot costs nothing: more runs are free, and cases are not"
        best = stats.best_runs(spread.var_case, spread.var_run, case_usd=case_usd, run_usd=usd)
        if best is None:
            return None, "the cases of the pilot do not differ but by chance: only more runs help"
        return best, None


def _counted(metric: Metric, cases: Sequence[Case]) -> list[Case]:
    return [case for case in cases if metric.slice in (None, *case.tags)]


def _refused(
    suite: Suite, cases: Sequence[Case], wish: Wish, known: Sequence[Estimate], *, first: bool
) -> tuple[str, str] | None:
    """Returns why the eval would not start: what it asks itself, and nothing else."""
    for has_baseline in (False, True) if first else (True,):
        try:
            refuse_hopeless(suite, cases, has_baseline=has_baseline, pilot=known, tried=wish.tried)
        except Inconclusive as err:
            when = "once there is a baseline: " if first and has_baseline else ""
            return f"{when}{err}", err.hint
    return None
