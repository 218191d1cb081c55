"""What a report teaches the planner: how much cases and runs vary, and what a run costs.

- A variance is that of one effective unit: of a case, or of a group among groups of equal size.
- Scores are in [0, 1] whatever the metric's scale; costs and latencies vary on the log of a ratio.
- What the report cannot say is missing here, never 0: the planner then says that it guesses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log
from typing import Final, Literal

import numpy as np
from scipy.special import ndtri

from llmvc.core.digest import Digest
from llmvc.core.metric import Metric
from llmvc.core.report import ARMS, CaseRuns, Report
from llmvc.core.suite import Suite
from llmvc.evals import amounts, table
from llmvc.evals.table import Rows, Value
from llmvc.stats import repeats, samples
from llmvc.stats.samples import Arm, FloatArray, Groups

Source = Literal["report", "one arm", "typical"]


_TOTALS: Final[Mapping[str, Value]] = {"cost": amounts.cost, "tokens": amounts.tokens}


@dataclass(frozen=True, slots=True)
class Spread:
    """How much one unit's difference varies.

    Attributes:
        var_case: variance between cases of the true difference; where runs were not repeated, the
            variance of the whole difference.
        var_run: variance that one run in each arm adds; None where runs were not repeated.
        runs: the only number of runs that the variance holds for where `var_run` is None.
        source: both arms of a report, one of them, or what suites typically show.
    """

    var_case: float
    var_run: float | None
    runs: int = 1
    source: Source = "report"

    def at(self, runs: int) -> float | None:
        """Returns the variance at a number of runs per case and arm; None if unknown."""
        if self.var_run is None:
            return self.var_case if runs == self.runs else None
        return self.var_case + self.var_run / runs


TYPICAL: Final = Spread(0.016, 0.16, source="typical")
"""Scores of runs that are right or wrong, before anything was measured: an example, no promise."""


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a report, or other runs, teach.

    Attributes:
        spreads: metric -> how much its difference varies.
        rates: metric -> share of units with a severe failure in the arm that is served.
        usd: of one run of a case in both arms, on average; None if a cost is not known.
        report: its digest; None if the runs come from elsewhere.
    """

    spreads: Mapping[str, Spread] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    usd: float | None = None
    report: Digest | None = None


def read(report: Report, suite: Suite, *, measured_by: Suite | None = None) -> Pilot:
    """Returns what a report teaches about the metrics of a suite.

    Args:
        report: of the suite, or of another one that has some scorers in common with it.
        suite: the suite to plan for.
        measured_by: the suite of the report; None for the same one.
    """
    old = measured_by or suite
    known = [metric for metric in suite.metrics if _same_scorers(metric, suite, old)]
    found = read_cases(report.cases, replace(suite, metrics=tuple(known)))
    times = {metric.name: _latency(metric, report) for metric in known if metric.kind == "latency"}
    spreads = {**found.spreads, **{name: one for name, one in times.items() if one is not None}}
    return replace(found, spreads=spreads, report=report.digest)


def read_cases(cases: Sequence[CaseRuns], suite: Suite) -> Pilot:
    """Returns what runs teach about the metrics of a suite, quantiles apart."""
    spreads: dict[str, Spread] = {}
    rates: dict[str, float] = {}
    for metric in suite.metrics:
        counted = table.of_slice(cases, metric)
        if metric.kind == "severe":
            rate = _rate(metric, counted)
            rates.update({} if rate is None else {metric.name: rate})
        elif metric.kind not in ("latency", "context"):
            spread = _spread(metric, suite, counted)
            spreads.update({} if spread is None else {metric.name: spread})
    return Pilot(spreads, rates, _usd(cases))


def _same_scorers(metric: Metric, new: Suite, old: Suite) -> bool:
    """Says whether both suites score the metric in one way."""
    ours = {scorer.name: scorer for scorer in new.scorers}
    theirs = {scorer.name: scorer for scorer in old.scorers}
    return all(ours.get(name) == theirs.get(name) for name in metric.scorers)


def _spread(metric: Metric, suite: Suite, cases: Sequence[CaseRuns]) -> Spread | None:
    """Returns the spread of a score or a total; None where too few cases can be used."""
    cost = metric.kind in _TOTALS
    value: Value = _TOTALS[metric.kind] if cost else table.scoring(suite, metric)
    names = ("candidate", "baseline") if any(case.baseline for case in cases) else ("candidate",)
    least = metric.pass_k or 1
    kept = [
        case for case in cases if all(len(_values(case, name, value)) >= least for name in names)
    ]
    groups = samples.group([case.group for case in kept])
    if groups.refusal():
        return None
    rows = [[_values(case, name, value) for case in kept] for name in names]
    arms = [samples.reduce_runs(_pass_k(found, metric.pass_k)) for found in rows]
    if cost and not all(float(arm.means.sum()) > 0 for arm in arms):
        return None
    arms = [_shares(arm) for arm in arms] if cost else arms
    once = None if metric.pass_k else _one_run(arms, rows, groups)
    if len(arms) == 1:
        # What an unchanged candidate differs by is noise alone; the rest has to be guessed.
        if once is None or cost:
            return None
        return Spread(TYPICAL.var_case, 2.0 * once[0], source="one arm")
    whole = _of_units(arms[0].means - arms[1].means, groups)
    if once is None:
        return Spread(whole, None, max(len(row) for row in rows[0]))
    return Spread(max(0.0, whole - once[1]), once[0])


def _one_run(
    arms: Sequence[Arm], rows: Sequence[Rows], groups: Groups
) -> tuple[float, float] | None:
    """Returns the variance of one run in each arm, and of the mean of the runs that there were.

    Runs vary independently also within a group, so that their share of a unit's variance is
    smaller by the cases in it.
    """
    once, mean = np.zeros(groups.cases), np.zeros(groups.cases)
    for arm, found in zip(arms, rows, strict=True):
        repeated = np.array([len(row) for row in found], dtype=np.float64)
        once, mean = once + arm.noise * repeated, mean + arm.noise
    known = np.isfinite(mean)
    if not known.any():
        return None
    share = groups.effective / groups.cases
    return float(once[known].mean()) * share, float(mean[known].mean()) * share


def _of_units(values: FloatArray, groups: Groups) -> float:
    """Returns the variance that one of `groups.effective` equal units would have."""
    return float(groups.units(values).var(ddof=1)) * groups.effective / groups.count


def _shares(arm: Arm) -> Arm:
    """Returns costs as shares of the mean: what the delta method adds up for the log of a total."""
    mean = float(arm.means.mean())
    return Arm(arm.means / mean, arm.noise / mean**2)


def _latency(metric: Metric, report: Report) -> Spread | None:
    """Returns the spread behind a latency's interval; None if the report has none."""
    for item in report.estimates:
        if (item.metric, item.kind) == (metric.name, "latency") and item.low and item.high:
            half = log(item.high / item.low) / 2.0
            error = half / float(-ndtri(item.alpha or report.alpha))
            runs = max(len(case.candidate) for case in report.cases)
            return Spread(error**2 * (item.n_effective or item.n), None, runs)
    return None


def _rate(metric: Metric, cases: Sequence[CaseRuns]) -> float | None:
    """Returns the share of units with a severe failure under what is served; None if unknown."""
    value = table.severity(metric)
    arm = "baseline" if any(case.baseline for case in cases) else "candidate"
    kept = [case for case in cases if _values(case, arm, value)]
    if not kept:
        return None
    flags = np.array([max(_values(case, arm, value)) for case in kept])
    units = samples.group([case.group for case in kept]).units(flags)
    return float(np.count_nonzero(units)) / len(units)


def _usd(cases: Sequence[CaseRuns]) -> float | None:
    """Returns what one run of a case costs in both arms."""
    means: list[float] = []
    for arm in ARMS:
        runs = [run for case in cases for run in getattr(case, arm)]
        known = [run.cost_usd for run in runs if run.cost_usd is not None]
        if runs and not known:
            return None
        means += [sum(known) / len(known)] if known else []
    return 2.0 * sum(means) / len(means) if means else None


def _values(case: CaseRuns, arm: str, value: Value) -> list[float]:
    found = (value(run) for run in getattr(case, arm))
    return [number for number in found if number is not None]


def _pass_k(rows: Rows, r: int | None) -> Rows:
    """Returns the chance that `r` runs all pass as a case's only value; None: as they are."""
    if r is None:
        return rows
    passes = [sum(value >= 1 - 1e-9 for value in row) for row in rows]
    chances = repeats.pass_k(passes, [len(row) for row in rows], r)
    return [[float(chance)] for chance in chances]
