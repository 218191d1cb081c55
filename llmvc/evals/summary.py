"""From the runs in a report to one estimate a metric: the only caller of `stats`.

- Runs are averaged into one number per case and arm, and cases are compared in pairs.
- A metric that cannot be estimated says why; it never becomes 0, nor a smaller set of cases.
- Each look at one question gets an equal share of the suite's alpha.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from llmvc.core.plural import count
from llmvc.core.report import ARMS, CaseRuns, Estimate, Run
from llmvc.core.suite import Metric, Suite
from llmvc.stats import paired, ratio, samples
from llmvc.stats.samples import Arm, FloatArray, Groups

LATENCY_METHOD: Final = "ratio of medians, no test in this version"


def summarize(cases: Sequence[CaseRuns], suite: Suite) -> tuple[Estimate, ...]:
    """Returns one estimate per metric, in the suite's order.

    Args:
        cases: every case of the suite with all of its runs. A report in which no case has a
            baseline run is a first release: its metrics get the candidate's interval alone.
        suite: the scorers, metrics and error rate.
    """
    alpha = suite.alpha / suite.looks
    groups = samples.group([case.group for case in cases])
    return tuple(_estimate(metric, suite, cases, groups, alpha) for metric in suite.metrics)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """One metric's values by case; meaningful only where `reason` is None."""

    candidate: Arm
    baseline: Arm | None
    n: int
    reason: str | None


def _estimate(
    metric: Metric, suite: Suite, cases: Sequence[CaseRuns], groups: Groups, alpha: float
) -> Estimate:
    if metric.kind == "latency":
        return _latency(metric, cases)
    if metric.kind == "cost":
        table = _collect(cases, lambda run: run.cost_usd, what="cost", skip_failed=False)
        return _cost(metric, table, groups, alpha)
    table = _collect(cases, _scoring(suite, metric), what=metric.name, skip_failed=True)
    return _score(metric, table, groups, alpha)


def _score(metric: Metric, table: _Table, groups: Groups, alpha: float) -> Estimate:
    """Estimates a bounded score: the difference of means, by the EL-score test."""
    base = _describe(metric, table, groups, alpha)
    if not base.reason and _outside(table):
        base = replace(base, reason="a score lies outside [0, 1]")
    if base.reason:
        return base
    arm = _one_arm(table.candidate.means, groups, alpha)
    base = replace(base, arm_low=arm.low, arm_high=arm.high)
    if table.baseline is None:
        split = samples.split_variance(table.candidate.means, table.candidate)
        base = replace(base, method=_method("EL-score of one arm", groups))
        return _with_split(base, split)
    d = _differences(table.candidate, table.baseline)
    units = groups.units(d)
    bound = max(groups.stretch, float(np.abs(units).max()))
    test = paired.el_score(units, margin=metric.margin, alpha=alpha, bound=bound)
    base = replace(
        base,
        low=_at_least(test.low, -1.0),
        high=_at_most(test.high, 1.0),
        p_pass=test.p_pass,
        p_fail=test.p_fail,
        t_pass=test.t_pass,
        t_fail=test.t_fail,
        method=_method("paired EL-score", groups),
    )
    return _with_split(base, samples.split_variance(d, table.candidate, table.baseline))


def _cost(metric: Metric, table: _Table, groups: Groups, alpha: float) -> Estimate:
    """Estimates a cost: the ratio of totals, tested on its logarithm."""
    base = _describe(metric, table, groups, ratio.cost_level(groups, alpha))
    if base.reason:
        return base
    candidate = table.candidate.means
    arm = ratio.mean_cost(candidate, groups, alpha=alpha)
    base = replace(base, arm_low=arm.low, arm_high=arm.high)
    if table.baseline is None:
        method = _method("log of the mean, delta method", groups)
        return replace(base, method=method, reason=arm.reason)
    test = ratio.cost_ratio(
        candidate, table.baseline.means, groups, limit=metric.limit, alpha=alpha
    )
    return replace(
        base,
        low=test.low,
        high=test.high,
        p_pass=test.p_pass,
        p_fail=test.p_fail,
        t_pass=test.t,
        t_fail=test.t,
        method=_method("log ratio of totals, delta method", groups),
        reason=test.reason,
    )


def _latency(metric: Metric, cases: Sequence[CaseRuns]) -> Estimate:
    """Describes latency: the medians over all runs, which nothing is decided by."""
    medians: dict[str, float | None] = {}
    for arm in ARMS:
        times = [
            run.latency_s
            for case in cases
            for run in (case.candidate if arm == "candidate" else case.baseline)
            if run.latency_s is not None
        ]
        medians[arm] = float(np.median(times)) if times else None
    baseline, candidate = medians["baseline"], medians["candidate"]
    return Estimate(
        metric=metric.name,
        kind=metric.kind,
        baseline=baseline,
        candidate=candidate,
        estimate=candidate / baseline if candidate is not None and baseline else None,
        n=len(cases),
        method=LATENCY_METHOD,
        reason=None if candidate is not None else "no latency was measured",
    )


def _describe(metric: Metric, table: _Table, groups: Groups, alpha: float) -> Estimate:
    """Returns the figures that need no test, and why no test can follow, if so."""
    base = Estimate(
        metric=metric.name,
        kind=metric.kind,
        alpha=alpha,
        n=table.n,
        reason=table.reason,
    )
    if table.reason:
        return base
    candidate = float(table.candidate.means.mean())
    base = replace(
        base,
        candidate=candidate,
        n_effective=groups.effective,
        reason=groups.refusal(),
    )
    if table.baseline is None:
        return base
    baseline = float(table.baseline.means.mean())
    difference = _differences(table.candidate, table.baseline)
    if metric.kind == "score":
        estimate: float | None = float(difference.mean())
    else:
        estimate = candidate / baseline if baseline else None
    return replace(
        base,
        baseline=baseline,
        estimate=estimate,
        n_changed=int(np.count_nonzero(difference)),
    )


def _collect(
    cases: Sequence[CaseRuns],
    value: Callable[[Run], float | None],
    *,
    what: str,
    skip_failed: bool,
) -> _Table:
    """Gathers one value a run, and says what is missing.

    Args:
        cases: the cases.
        value: a run's value; None if it has none.
        what: the value's name for people.
        skip_failed: whether a run that failed is left out instead of making the metric undefined.
    """
    paired_cases = any(case.baseline for case in cases)
    arms = {"candidate": [case.candidate for case in cases]}
    if paired_cases:
        arms["baseline"] = [case.baseline for case in cases]
    rows: dict[str, list[list[float]]] = {}
    problems: list[str] = []
    for arm, cases_runs in arms.items():
        rows[arm], unknown = [], 0
        for runs in cases_runs:
            found = [(run, value(run)) for run in runs]
            rows[arm].append([number for _, number in found if number is not None])
            unknown += sum(
                number is None and not (skip_failed and run.error is not None)
                for run, number in found
            )
        empty = sum(not row for row in rows[arm])
        if unknown:
            problems.append(f"{what} is not known for {count(unknown, 'run')} of the {arm}")
        elif empty:
            problems.append(
                f"{empty} of {len(cases)} cases have no usable run of the {arm}: "
                "run llmvc eval again"
            )
    if not cases:
        problems.append("there are no cases")
    usable = sum(all(row) for row in zip(*rows.values(), strict=True))
    if problems:
        none = samples.reduce_runs([])
        return _Table(none, None, usable, "; ".join(problems))
    baseline = samples.reduce_runs(rows["baseline"]) if paired_cases else None
    return _Table(samples.reduce_runs(rows["candidate"]), baseline, usable, None)


def _scoring(suite: Suite, metric: Metric) -> Callable[[Run], float | None]:
    """Returns how a run's score follows from the metric's scorers: their weighted mean."""
    weights = {scorer.name: scorer.weight for scorer in suite.scorers}
    parts = [(name, weights.get(name, 0.0)) for name in metric.scorers]
    return partial(_weighted, parts, sum(weight for _, weight in parts))


def _weighted(parts: list[tuple[str, float]], total: float, run: Run) -> float | None:
    result = 0.0
    for name, weight in parts:
        score = run.scores.get(name)
        if score is None:
            return None
        result += weight * score
    return result / total if total > 0 else None


def _one_arm(values: FloatArray, groups: Groups, alpha: float) -> paired.ScoreTest:
    """Returns the interval for the mean of one arm's scores.

    Groups are added up about the mean, so that their sizes alone make no spread; the ends of the
    support move with them.
    """
    mean = float(values.mean())
    units = mean + groups.units(values - mean)
    stretch = groups.stretch
    low, high = mean - mean * stretch, mean + (1.0 - mean) * stretch
    low, high = min(low, float(units.min())), max(high, float(units.max()))
    test = paired.el_mean(units, alpha=alpha, low=low, high=high)
    return replace(test, low=_at_least(test.low, 0.0), high=_at_most(test.high, 1.0))


def _outside(table: _Table) -> bool:
    arms = [table.candidate] if table.baseline is None else [table.candidate, table.baseline]
    return not all(((arm.means >= 0) & (arm.means <= 1 + 1e-9)).all() for arm in arms)


def _differences(candidate: Arm, baseline: Arm) -> FloatArray:
    """Returns candidate minus baseline, free of rounding noise so that equal means are equal."""
    difference: FloatArray = candidate.means - baseline.means
    scale = max(1.0, float(np.abs(difference).max(initial=0.0)))
    return np.where(np.abs(difference) < 1e-12 * scale, 0.0, difference)


def _method(name: str, groups: Groups) -> str:
    over = "" if groups.alone else f" over {groups.count} groups"
    return f"{name}{over}, t({groups.count - 1})"


def _with_split(base: Estimate, split: tuple[float, float] | None) -> Estimate:
    return base if split is None else replace(base, var_case=split[0], var_run=split[1])


def _at_least(value: float | None, end: float) -> float | None:
    return None if value is None else max(value, end)


def _at_most(value: float | None, end: float) -> float | None:
    return None if value is None else min(value, end)
