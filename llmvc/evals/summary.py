"""From the runs in a report to one estimate a metric: the only caller of `stats`.

- Runs are averaged into one number per case and arm, and cases are compared in pairs.
- A metric that cannot be estimated says why; it never becomes 0, nor a smaller set of cases.
- It gathers each metric's values and hands them on by kind; scores have a module of their own.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from llmvc.core.metric import Metric
from llmvc.core.report import CaseRuns, Estimate
from llmvc.core.suite import Suite
from llmvc.evals import table
from llmvc.evals.estimates import Design, by_student, described
from llmvc.evals.scores import score
from llmvc.evals.table import Table
from llmvc.stats import events, quantile, ratio, samples
from llmvc.stats.samples import Groups


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
        own = whole if metric.slice is None else _in_slice(whole, len(cases))
        found.append(_estimate(metric, suite, *by_slice[metric.slice], own))
    return tuple(found)


def _in_slice(design: Design, measured: int) -> Design:
    """Returns the design of a slice: how large its groups are is known when all was measured."""
    planned = design.planned
    if measured >= planned.get("cases", 0) or planned.get("groups") == planned.get("cases"):
        return replace(design, planned={})
    return replace(design, planned={"cases": 0, "groups": 0, "largest": 0})


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
    return replace(score(metric, rows, groups, design, any_time=any_time), cases=broken)


def _cost(metric: Metric, rows: Table, groups: Groups, alpha: float) -> Estimate:
    """Estimates a cost: the ratio of totals, tested on its logarithm."""
    base, (candidate, baseline) = described(metric, rows, groups, ratio.cost_level(groups, alpha))
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
        method=by_student(method, groups),
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
    """Estimates in what share of the cases some run fails severely."""
    reason = rows.reason or (None if groups.alone else groups.refusal())
    base = Estimate(metric.name, metric.kind, alpha=alpha, n=rows.n, reason=reason)
    if reason:
        return base
    flags = [any(row) for row in rows.candidate]
    test = events.rate(_as_if_alone(flags, groups), budget=metric.budget, alpha=alpha)
    rate = sum(flags) / len(flags)
    old = None if rows.baseline is None else sum(map(any, rows.baseline)) / len(rows.baseline)
    over = "" if groups.alone else f" over {int(groups.effective)} effective groups"
    return replace(
        base,
        candidate=rate,
        baseline=old,
        estimate=None if old is None else rate - old,
        arm_low=test.low,
        arm_high=test.high,
        p_pass=test.p_pass,
        p_fail=test.p_fail,
        n_effective=groups.effective,
        method=f"Clopper-Pearson on the share of cases{over}",
        reason=test.reason,
    )


def _as_if_alone(flags: Sequence[bool], groups: Groups) -> list[bool]:
    """Returns as many flags as there are effective groups, with at least the share that is severe.

    It supposes that the cases of a group fail together, which is the worst that they can do.
    """
    if groups.alone:
        return list(flags)
    units = int(groups.effective)
    severe = ceil(round(units * sum(flags) / len(flags), 9))
    return [True] * severe + [False] * (units - severe)
