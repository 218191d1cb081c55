"""The estimates of what is counted or timed: cost, tokens, latency and the context used.

- Cost and tokens are totals, compared as a ratio; latency and context are quantiles over all runs.
- Latency is compared with the baseline; the share of the window has a ceiling of its own.
- `details` tell the median and the tails of both arms, whatever quantile the rule names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.core.report import ARMS, CaseRuns, Run
from llmvc.evals import table
from llmvc.evals.estimates import Design, by_student, described
from llmvc.evals.table import Rows, Table, Value
from llmvc.stats import quantile, ratio
from llmvc.stats.samples import Groups

TOLD: Final = (0.5, 0.95, 0.99)
"""The quantiles that every report tells."""

Details = Mapping[str, Mapping[str, float | None]]


def total(metric: Metric, cases: Sequence[CaseRuns], groups: Groups, alpha: float) -> Estimate:
    """Estimates a cost or a number of tokens: the ratio of totals, tested on its logarithm."""
    value: Value = cost if metric.kind == "cost" else tokens
    what = "cost" if metric.kind == "cost" else "the number of tokens"
    rows = table.collect(cases, value, what=what, skip_failed=False)
    base, (candidate, baseline) = described(metric, rows, groups, ratio.cost_level(groups, alpha))
    if base.reason:
        return base
    ceiling = metric.rule(has_baseline=False) if baseline is None else None
    test = ratio.mean_cost(candidate.means, groups, limit=ceiling, alpha=alpha, what=metric.kind)
    base = replace(base, arm_low=test.low, arm_high=test.high)
    method = "log of the mean, delta method"
    if baseline is not None:
        means = (candidate.means, baseline.means)
        test = ratio.cost_ratio(*means, groups, limit=metric.limit, alpha=alpha, what=metric.kind)
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


def latency(metric: Metric, cases: Sequence[CaseRuns], groups: Groups, design: Design) -> Estimate:
    """Estimates a latency: the ratio of a quantile over all runs, by a bootstrap of the cases."""
    first = metric.of == "first-token"
    what = "time to the first token" if first else "latency"
    rows = table.collect(cases, _ttft if first else _latency, what=what, skip_failed=True)
    base = _quantiles(metric, rows, groups, design, what)
    if base.reason or rows.baseline is None:
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


def context(metric: Metric, cases: Sequence[CaseRuns], groups: Groups, design: Design) -> Estimate:
    """Estimates the share of the context window that runs use: a quantile of the candidate's.

    Its ceiling is absolute, so that it is held against the candidate alone, and a baseline of
    unknown window takes nothing from it.
    """
    what = "the share of the window"
    alone = [replace(case, baseline=()) for case in cases]
    rows = table.collect(alone, _share, what=what, skip_failed=True)
    if rows.reason and _no_window(cases):
        rows = replace(rows, reason="no context window is known for the candidate")
    both = table.collect(cases, _share, what=what, skip_failed=True)
    rows = replace(rows, baseline=None if both.reason else both.baseline)
    base = _quantiles(metric, rows, groups, design, "use of the context window")
    truncated = _truncated(cases)
    return replace(base, details={**base.details, "truncated": truncated}) if truncated else base


def _quantiles(metric: Metric, rows: Table, groups: Groups, design: Design, what: str) -> Estimate:
    """Returns the quantiles of both arms, and the candidate's with its interval."""
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
        return replace(base, reason=_unmeasured(base, what))
    base = replace(base, details={"quantiles": _told(rows)})
    if baseline:
        base = replace(base, estimate=candidate / baseline)
    if rows.reason:
        return base
    of = quantile.quantile_of(
        rows.candidate,
        groups,
        q=metric.quantile,
        limit=metric.ceiling,
        alpha=design.alpha,
        seed=design.seed,
    )
    return replace(
        base, arm_low=of.low, arm_high=of.high, p_pass=of.p_pass, p_fail=of.p_fail, reason=of.reason
    )


def _unmeasured(base: Estimate, what: str) -> str:
    """Says why nothing at all was measured."""
    window = base.kind == "context" and base.reason
    return base.reason if window and base.reason else f"no {what} was measured"


def _quantile(arm: Rows | None, q: float) -> float | None:
    """Returns the quantile over all runs that are known, as `stats.quantile` defines it."""
    known = [value for row in arm or () for value in row]
    return float(np.quantile(known, q, method="inverted_cdf")) if known else None


def _told(rows: Table) -> dict[str, float | None]:
    """Returns the quantiles of both arms, whatever the metric's own is."""
    return {
        f"{name} p{100 * q:g}": _quantile(arm, q)
        for name, arm in (("baseline", rows.baseline), ("candidate", rows.candidate))
        if arm is not None
        for q in TOLD
    }


def _truncated(cases: Sequence[CaseRuns]) -> dict[str, float | None]:
    """Returns in what share of an arm's runs messages were left out, of those that tell."""
    found: dict[str, float | None] = {}
    for arm in ARMS:
        flags = [run.truncated for case in cases for run in getattr(case, arm)]
        known = [flag for flag in flags if flag is not None]
        found |= {arm: sum(known) / len(known)} if known else {}
    return found


def _no_window(cases: Sequence[CaseRuns]) -> bool:
    """Says whether the candidate's tokens were counted and yet make no share of anything."""
    runs = [run for case in cases for run in case.candidate]
    counted = any(run.input_tokens is not None for run in runs)
    return counted and all(run.context_share is None for run in runs)


def cost(run: Run) -> float | None:
    """Returns what a run cost in USD; None if that is not known."""
    return run.cost_usd


def tokens(run: Run) -> float | None:
    """Returns a run's tokens, input and output; None if the provider did not count them."""
    if run.input_tokens is None or run.output_tokens is None:
        return None
    return float(run.input_tokens + run.output_tokens)


def _latency(run: Run) -> float | None:
    return run.latency_s


def _ttft(run: Run) -> float | None:
    return run.ttft_s


def _share(run: Run) -> float | None:
    return run.context_share
