"""From the runs in a report to one estimate a metric: the only caller of `stats`.

- Runs are averaged into one number per case and arm, and cases are compared in pairs.
- A metric that cannot be estimated says why; it never becomes 0, nor a smaller set of cases.
- It gathers each metric's cases and hands them on by kind: `scores` has the scores, `amounts` what
  is counted or timed.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.core.report import CaseRuns
from llmvc.core.suite import Suite
from llmvc.evals import amounts, spellings, table
from llmvc.evals.estimates import Design
from llmvc.evals.scores import score
from llmvc.evals.table import Table
from llmvc.evals.trust.judged import Judged
from llmvc.stats import events, samples
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
    by_slice: dict[object, tuple[Sequence[CaseRuns], Groups]] = {}
    found: list[Estimate] = []
    for metric in suite.metrics:
        part = (metric.slice, metric.used)
        if part not in by_slice:
            counted = table.of_slice(cases, metric)
            by_slice[part] = (counted, samples.group([case.group for case in counted]))
        own = whole if part == (None, None) else _in_slice(whole, len(cases))
        if reason := table.unknown_use(cases, metric):
            found.append(Estimate(metric.name, metric.kind, alpha=own.alpha, reason=reason))
        else:
            found.append(_estimate(metric, suite, *by_slice[part], own))
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
    if metric.kind in ("cost", "tokens"):
        return amounts.total(metric, cases, groups, design.alpha)
    if metric.kind == "latency":
        return amounts.latency(metric, cases, groups, design)
    if metric.kind == "context":
        return amounts.context(metric, cases, groups, design)
    severe = metric.kind == "severe"
    value = table.severity(metric) if severe else table.scoring(suite, metric)
    rows = table.collect(cases, value, what=metric.name, skip_failed=True)
    broken = table.broken_rules(metric, cases, value)
    if severe:
        return replace(_severe(metric, rows, groups, design.alpha), cases=broken)
    any_time = suite.looks.by == "any-time"
    base = replace(score(metric, rows, groups, design, any_time=any_time), cases=broken)
    base = Judged(metric, suite, cases, rows, groups, design).told(base)
    if not (suite.variants and design.describe):
        return base
    spelt = spellings.details(metric, suite.variants, cases, value, groups, alpha=design.alpha)
    return replace(base, details={**base.details, **spelt})


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
