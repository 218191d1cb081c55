"""From the runs in a report to one estimate a metric: the only caller of `stats`.

- Runs are averaged into one number per case and arm, and cases are compared in pairs.
- A metric that cannot be estimated says why; it never becomes 0, nor a smaller set of cases.
- Scores are tested in [0, 1] and told in the metric's scale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from llmvc.core.metric import Metric
from llmvc.core.report import CaseRuns, Estimate
from llmvc.core.suite import Suite
from llmvc.evals import table
from llmvc.evals.table import Table
from llmvc.stats import anytime, events, paired, quantile, ratio, repeats, samples
from llmvc.stats.samples import Arm, FloatArray, Groups

MOST_PERMUTED: Final = 20_000
"""Runs in an arm up to which "did anything change" is asked: it only describes."""
_BINARY: Final = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Design:
    """What an estimate has to know beside the runs.

    Attributes:
        alpha: one-sided level of the verdict.
        seed: of everything random.
        planned: {"cases", "groups", "largest"} of the whole suite; empty if all of it was measured.
    """

    alpha: float
    seed: int = 0
    planned: Mapping[str, int] = field(default_factory=dict)


def summarize(
    cases: Sequence[CaseRuns], suite: Suite, design: Design | None = None
) -> tuple[Estimate, ...]:
    """Returns one estimate per metric, in the suite's order.

    Args:
        cases: every case that was measured, with all of its runs. A report in which no case has a
            baseline run is a first release: its metrics get the candidate's interval alone.
        suite: the scorers, metrics and looks.
        design: level, seed and size of the whole; None for the suite's alpha on the whole suite.
    """
    whole = design or Design(suite.alpha)
    by_slice: dict[str | None, tuple[Sequence[CaseRuns], Groups]] = {}
    found: list[Estimate] = []
    for metric in suite.metrics:
        if metric.slice not in by_slice:
            counted = table.of_slice(cases, metric)
            by_slice[metric.slice] = (counted, samples.group([case.group for case in counted]))
        found.append(_estimate(metric, suite, *by_slice[metric.slice], whole))
    return tuple(found)


def _estimate(
    metric: Metric, suite: Suite, cases: Sequence[CaseRuns], groups: Groups, design: Design
) -> Estimate:
    if metric.kind == "cost":
        costs = table.collect(cases, lambda run: run.cost_usd, what="cost", skip_failed=False)
        return _cost(metric, costs, groups, design.alpha)
    if metric.kind == "latency":
        times = table.collect(cases, lambda run: run.latency_s, what="latency", skip_failed=True)
        return _latency(metric, times, groups, design)
    severe = metric.kind == "severe"
    value = table.severity(metric) if severe else table.scoring(suite, metric)
    rows = table.collect(cases, value, what=metric.name, skip_failed=True)
    broken = table.broken_rules(metric, cases, value)
    if severe:
        return replace(_severe(metric, rows, groups, design.alpha), cases=broken)
    any_time = suite.looks.by == "any-time"
    return replace(_score(metric, rows, groups, design, any_time=any_time), cases=broken)


def _score(
    metric: Metric, rows: Table, groups: Groups, design: Design, *, any_time: bool
) -> Estimate:
    """Estimates a bounded score: the difference of means, by the test that the suite names."""
    base, arms = _described(metric, rows, groups, design.alpha)
    if base.reason:
        return _told(base, metric)
    candidate, baseline = arms
    floor = None
    if baseline is None and metric.floor is not None:
        floor = (metric.floor - metric.scale[0]) / metric.span
    arm = _one_arm(candidate.means, groups, design.alpha, floor)
    base = replace(base, arm_low=arm.low, arm_high=arm.high)
    if baseline is None:
        base = replace(base, p_pass=arm.p_pass, p_fail=arm.p_fail, t_pass=arm.t_pass)
        base = replace(base, t_fail=arm.t_fail, method=_method("EL-score of one arm", groups))
        split = samples.split_variance(candidate.means, candidate)
        return _told(_with_split(base, split), metric)
    d = _differences(candidate, baseline)
    base = _tested(base, metric, d, groups, design, any_time=any_time)
    base = _with_split(base, samples.split_variance(d, candidate, baseline))
    fixed = repeats.fixed_suite(candidate, baseline, alpha=design.alpha)
    if fixed is not None:
        base = replace(base, fixed_low=_clip(fixed[0]), fixed_high=_clip(fixed[1]))
    return _told(replace(base, checks=_checks(metric, rows, d, base, design.seed)), metric)


def _tested(
    base: Estimate,
    metric: Metric,
    d: FloatArray,
    groups: Groups,
    design: Design,
    *,
    any_time: bool,
) -> Estimate:
    """Adds the test of the per-case differences `d`."""
    margin = None if metric.margin is None else metric.margin / metric.span
    if any_time:
        bound = 1.0
        if not groups.alone:
            planned = design.planned or _size(groups)
            scale = planned["groups"] / planned["cases"]
            bound = max(1.0, scale * planned["largest"])
            d = groups.units(d) * (scale * groups.cases / groups.count)
        bet = anytime.betting(d, margin=margin, alpha=design.alpha, bound=bound)
        return replace(
            base,
            low=_clip(bet.low),
            high=_clip(bet.high),
            p_pass=bet.p_pass,
            p_fail=bet.p_fail,
            method="betting e-process, valid at any stop",
            reason=bet.reason,
        )
    units = groups.units(d)
    bound = max(groups.stretch, float(np.abs(units).max()))
    test = paired.el_score if metric.test == "el-score" else paired.el_ratio
    name = "EL-score" if metric.test == "el-score" else "EL-ratio"
    found = test(units, margin=margin, alpha=design.alpha, bound=bound)
    return replace(
        base,
        low=_clip(found.low),
        high=_clip(found.high),
        p_pass=found.p_pass,
        p_fail=found.p_fail,
        t_pass=found.t_pass,
        t_fail=found.t_fail,
        score_pass=found.score_pass,
        score_fail=found.score_fail,
        method=_method(f"paired {name}", groups),
        reason=found.reason,
    )


def _cost(metric: Metric, rows: Table, groups: Groups, alpha: float) -> Estimate:
    """Estimates a cost: the ratio of totals, tested on its logarithm."""
    base, (candidate, baseline) = _described(metric, rows, groups, ratio.cost_level(groups, alpha))
    if base.reason:
        return base
    ceiling = metric.ceiling_usd if baseline is None else None
    test = ratio.mean_cost(candidate.means, groups, limit=ceiling, alpha=alpha)
    base = replace(base, arm_low=test.low, arm_high=test.high)
    method = "log of the mean, delta method"
    if baseline is not None:
        means = (candidate.means, baseline.means)
        test = ratio.cost_ratio(*means, groups, limit=metric.limit, alpha=alpha)
        base = replace(base, low=test.low, high=test.high)
        method = "log ratio of totals, delta method"
    return replace(
        base,
        p_pass=test.p_pass,
        p_fail=test.p_fail,
        t_pass=test.t,
        t_fail=test.t,
        method=_method(method, groups),
        reason=test.reason,
    )


def _latency(metric: Metric, rows: Table, groups: Groups, design: Design) -> Estimate:
    """Estimates a latency: the ratio of a quantile over all runs, by a bootstrap of the cases."""
    name = f"p{100 * metric.quantile:g}"
    base = Estimate(
        metric.name,
        metric.kind,
        alpha=design.alpha,
        n=rows.n,
        n_effective=groups.effective if rows.n else None,
        method=f"{name} over all runs, bootstrap of whole {'cases' if groups.alone else 'groups'}",
        reason=rows.reason,
    )
    candidate, baseline = (
        _quantile(arm, metric.quantile) for arm in (rows.candidate, rows.baseline)
    )
    base = replace(base, candidate=candidate, baseline=baseline)
    if candidate is None:
        return replace(base, reason="no latency was measured")
    if baseline:
        base = replace(base, estimate=candidate / baseline)
    if rows.reason:
        return base
    of = quantile.quantile_of(
        rows.candidate, groups, q=metric.quantile, alpha=design.alpha, seed=design.seed
    )
    base = replace(base, arm_low=of.low, arm_high=of.high, reason=of.reason)
    if rows.baseline is None:
        return base
    test = quantile.quantile_ratio(
        rows.candidate,
        rows.baseline,
        groups,
        q=metric.quantile,
        limit=metric.limit,
        alpha=design.alpha,
        seed=design.seed,
    )
    return replace(
        base,
        low=test.low,
        high=test.high,
        p_pass=test.p_pass,
        p_fail=test.p_fail,
        reason=test.reason,
    )


def _quantile(arm: table.Rows | None, q: float) -> float | None:
    """Returns the quantile over all runs that are known, as `stats.quantile` defines it."""
    known = [value for row in arm or () for value in row]
    return float(np.quantile(known, q, method="inverted_cdf")) if known else None


def _severe(metric: Metric, rows: Table, groups: Groups, alpha: float) -> Estimate:
    """Estimates how often a case, or a group with one, fails severely in some run."""
    base = Estimate(metric.name, metric.kind, alpha=alpha, n=rows.n, reason=rows.reason)
    if rows.reason:
        return base
    rates: list[events.RateTest] = []
    for arm in (rows.candidate, rows.baseline):
        flags = np.array([any(row) for row in arm or ()], dtype=np.float64)
        units = flags if groups.alone or arm is None else groups.units(flags)
        rates.append(events.rate([bool(x) for x in units], budget=metric.budget, alpha=alpha))
    test, old = rates
    what = "cases" if groups.alone else "groups with such a case"
    return replace(
        base,
        candidate=test.rate,
        baseline=old.rate,
        estimate=None if test.rate is None or old.rate is None else test.rate - old.rate,
        arm_low=test.low,
        arm_high=test.high,
        p_pass=test.p_pass,
        p_fail=test.p_fail,
        n_effective=float(groups.count),
        method=f"Clopper-Pearson on the share of {what}",
        reason=test.reason,
    )


def _described(
    metric: Metric, rows: Table, groups: Groups, alpha: float
) -> tuple[Estimate, tuple[Arm, Arm | None]]:
    """Returns the figures that need no test, and why no test can follow, if so."""
    base = Estimate(metric.name, metric.kind, alpha=alpha, n=rows.n, reason=rows.reason)
    none = samples.reduce_runs([])
    if rows.reason:
        return base, (none, None)
    if metric.pass_k is not None:
        rows, reason = _pass_k(rows, metric.pass_k)
        if reason:
            return replace(base, reason=reason), (none, None)
    candidate = samples.reduce_runs(rows.candidate)
    baseline = None if rows.baseline is None else samples.reduce_runs(rows.baseline)
    base = replace(
        base,
        candidate=float(candidate.means.mean()),
        n_effective=groups.effective,
        reason=groups.refusal(),
    )
    if metric.kind == "score" and _outside(candidate, baseline):
        return replace(base, reason="a score lies outside its range"), (candidate, baseline)
    if baseline is None:
        return base, (candidate, None)
    difference = _differences(candidate, baseline)
    mean, estimate = float(baseline.means.mean()), float(difference.mean())
    if metric.kind == "cost":
        estimate_or_none = float(candidate.means.mean()) / mean if mean else None
    else:
        estimate_or_none = estimate
    base = replace(
        base,
        baseline=mean,
        estimate=estimate_or_none,
        n_worse=int(np.count_nonzero(difference < 0)),
        n_better=int(np.count_nonzero(difference > 0)),
    )
    return base, (candidate, baseline)


def _pass_k(rows: Table, r: int) -> tuple[Table, str | None]:
    """Returns rows with one value a case, the chance that `r` runs all pass; or why there is none.

    A run passes if its score is 1.
    """
    made: list[list[list[float]] | None] = []
    for arm in (rows.candidate, rows.baseline):
        if arm is None:
            made.append(None)
            continue
        if any(len(row) < r for row in arm):
            return rows, f"pass^{r} needs {r} usable runs of every case"
        passes = [sum(value >= 1 - 1e-9 for value in row) for row in arm]
        chances = repeats.pass_k(passes, [len(row) for row in arm], r)
        made.append([[float(chance)] for chance in chances])
    candidate, baseline = made
    return replace(rows, candidate=candidate or [], baseline=baseline), None


def _checks(
    metric: Metric, rows: Table, d: FloatArray, base: Estimate, seed: int
) -> dict[str, float]:
    """Returns p-values that describe and decide nothing."""
    found: dict[str, float | None] = {}
    baseline = rows.baseline or []
    most = max((len(row) for row in (*rows.candidate, *baseline)), default=0)
    if metric.pass_k is None and most == 1:
        values = {value for row in (*rows.candidate, *baseline) for value in row}
        if values <= set(_BINARY):
            found["mcnemar"], found["mcnemar_mid_p"] = events.mcnemar(base.n_worse, base.n_better)
    if metric.scale != _BINARY:
        found["wilcoxon"] = events.wilcoxon(d)
    if metric.pass_k is None and len(d) * most <= MOST_PERMUTED:
        found["changed"] = repeats.changed(rows.candidate, baseline, seed=seed)
    return {name: p for name, p in found.items() if p is not None}


def _one_arm(
    values: FloatArray, groups: Groups, alpha: float, floor: float | None
) -> paired.ScoreTest:
    """Returns the interval for the mean of one arm's scores.

    Groups are added up about the mean, so that their sizes alone make no spread; the ends of the
    support move with them.
    """
    mean = float(values.mean())
    units = mean + groups.units(values - mean)
    stretch = groups.stretch
    low, high = mean - mean * stretch, mean + (1.0 - mean) * stretch
    low, high = min(low, float(units.min())), max(high, float(units.max()))
    test = paired.el_mean(units, floor=floor, alpha=alpha, low=low, high=high)
    return replace(test, low=_clip(test.low, 0.0), high=_clip(test.high, 0.0))


def _told(base: Estimate, metric: Metric) -> Estimate:
    """Returns an estimate in the units of the metric's scale instead of [0, 1]."""
    return base if metric.scale == _BINARY else base.in_scale(metric.scale[0], metric.span)


def _outside(*arms: Arm | None) -> bool:
    return any(
        arm is not None and not ((arm.means >= 0) & (arm.means <= 1 + 1e-9)).all() for arm in arms
    )


def _differences(candidate: Arm, baseline: Arm) -> FloatArray:
    """Returns candidate minus baseline, free of rounding noise so that equal means are equal."""
    difference: FloatArray = candidate.means - baseline.means
    scale = max(1.0, float(np.abs(difference).max(initial=0.0)))
    return np.where(np.abs(difference) < 1e-12 * scale, 0.0, difference)


def _size(groups: Groups) -> dict[str, int]:
    largest = int(groups.sizes.max(initial=1))
    return {"cases": groups.cases, "groups": groups.count, "largest": largest}


def _method(name: str, groups: Groups) -> str:
    over = "" if groups.alone else f" over {groups.count} groups"
    return f"{name}{over}, t({groups.count - 1})"


def _with_split(base: Estimate, split: tuple[float, float] | None) -> Estimate:
    return base if split is None else replace(base, var_case=split[0], var_run=split[1])


def _clip(value: float | None, low: float = -1.0) -> float | None:
    return None if value is None else min(1.0, max(low, value))
