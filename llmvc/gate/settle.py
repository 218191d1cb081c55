"""What would settle an inconclusive verdict: planner's arithmetic on the stored interval.

- Every inconclusive metric gets an answer: a number of cases, or what to mend, look at or set.
- The spread is read back from the interval, so that nothing but the report is needed.
- A number supposes that the difference seen is the true one and asks for 80% power. It is never
  below what it takes if nothing differs at all; where nothing does, it is that.
"""

from collections.abc import Sequence
from math import ceil, log
from typing import Final

from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.core.plural import count
from llmvc.core.suite import Suite
from llmvc.gate import least, words
from llmvc.gate.least import LEAST_CASES, LEAST_COST_UNITS, LEAST_GROUPS, MOST_CASES, Draw

POWER: Final = 0.8
LEAST_CHANGED: Final = 5
"""Fewer changed cases never fail: three worse and none better is significant at any n."""
MOST_TIMES: Final = 20
"""More cases than this many times the present ones are no advice."""
_ROUNDING: Final = 1e-9
_TOTALS: Final = ("cost", "tokens")
_QUANTILES: Final = ("latency", "context")


def settle(
    rows: Sequence[tuple[Metric, Estimate]],
    suite: Suite,
    *,
    has_baseline: bool,
    cleared: frozenset[str] = frozenset(),
) -> str:
    """Returns what would settle the metrics given, all of them inconclusive.

    Args:
        rows: the metrics with their estimates.
        suite: the rules.
        has_baseline: whether there is something to compare with.
        cleared: ids of the cases whose severe failure a person accepts.
    """
    wanted: list[int] = []
    advice: list[str] = []
    for metric, estimate in rows:
        new = estimate.cases.get("severe", ())
        flagged = any(case not in cleared for case in new)
        missing = None if flagged else _missing(metric, estimate, suite, has_baseline=has_baseline)
        if missing is not None:
            wanted.append(missing)
        if flagged:
            advice.append(words.look_at_severe())
        elif missing is None or _few_changed(metric, estimate, has_baseline=has_baseline):
            advice.append(_advice(metric, estimate, suite, has_baseline=has_baseline))
    if wanted:
        more = count(_round_up(max(wanted)), "more case")
        advice.insert(0, f"about {more} at {count(suite.runs, 'run')} would settle it")
    return "; ".join(dict.fromkeys(advice)) or words.too_near()


def _missing(metric: Metric, estimate: Estimate, suite: Suite, *, has_baseline: bool) -> int | None:
    """Returns how many more cases settle a metric; None where no number would, or none is known."""
    rule = metric.rule(has_baseline=has_baseline)
    if rule is None:
        return None
    total = _least(metric, estimate, suite, rule, has_baseline=has_baseline)
    short = max(0, total - estimate.n) if total is not None else 0
    if _too_few(metric, estimate, suite):
        return short or None
    if short and _nothing_differs(metric, estimate, has_baseline=has_baseline):
        return short
    if not _has_interval(metric, estimate, suite, has_baseline=has_baseline):
        return None
    more = _cases(metric, estimate, rule, has_baseline=has_baseline)
    return None if more is None else max(more, short)


def _advice(metric: Metric, estimate: Estimate, suite: Suite, *, has_baseline: bool) -> str:
    """Says what to do about a metric that no number of cases settles."""
    rule = metric.rule(has_baseline=has_baseline)
    if estimate.reason is not None:
        endless = rule is not None and _too_few(metric, estimate, suite)
        return words.too_near() if endless else _mend(metric, estimate)
    if rule is None:
        return words.set_rule(metric, has_baseline=has_baseline)
    if not _has_interval(metric, estimate, suite, has_baseline=has_baseline):
        return words.measure_again(metric)
    if _few_changed(metric, estimate, has_baseline=has_baseline):
        return words.look_at_changed(estimate)
    if metric.kind == "severe" and (estimate.candidate or 0.0) >= (metric.budget or 0.0):
        return words.over_budget(metric)
    return words.too_near()


def _mend(metric: Metric, estimate: Estimate) -> str:
    """Says what to do about a metric that is undefined."""
    groups = estimate.n_effective
    if groups is not None and groups < LEAST_GROUPS <= LEAST_CASES <= estimate.n:
        return words.more_groups(ceil(LEAST_GROUPS - groups))
    return words.mend(metric, estimate)


def _has_interval(metric: Metric, estimate: Estimate, suite: Suite, *, has_baseline: bool) -> bool:
    """Says whether there is an interval, made at an error rate that the suite allows."""
    low, high = estimate.low, estimate.high
    if metric.kind == "severe" or metric.alone or not has_baseline:
        low, high = estimate.arm_low, estimate.arm_high
    allowed = estimate.alpha is not None and estimate.alpha <= suite.alpha * (1 + _ROUNDING)
    return low is not None and high is not None and allowed


def _few_changed(metric: Metric, estimate: Estimate, *, has_baseline: bool) -> bool:
    """Says whether a score would be called worse if more than a handful of cases differed."""
    return (
        metric.kind == "score"
        and has_baseline
        and estimate.reason is None
        and estimate.p_fail is not None
        and estimate.p_fail < (estimate.alpha or 0.0)
        and 0 < estimate.n_changed < LEAST_CHANGED
    )


def _too_few(metric: Metric, estimate: Estimate, suite: Suite) -> bool:
    """Says whether there are fewer cases than any verdict on the metric takes."""
    if not estimate.n or estimate.n_effective is None or metric.kind == "severe":
        return False
    if metric.kind in _QUANTILES:
        level = estimate.alpha or suite.alpha
        if estimate.n < least.cases_for_quantile(metric.quantile, suite.runs, level):
            return True
    few_units = metric.kind in _TOTALS and estimate.n_effective < LEAST_COST_UNITS
    return estimate.n < LEAST_CASES or few_units


def _least(
    metric: Metric, estimate: Estimate, suite: Suite, rule: float, *, has_baseline: bool
) -> int | None:
    """Returns how many cases of the present kind it takes in all if nothing differs.

    None where no number would do, or it is not known what the cases count as.
    """
    level = estimate.alpha or suite.alpha
    if estimate.n_effective is None or metric.kind == "severe":
        return None
    if metric.kind in _QUANTILES:
        return least.cases_for_quantile(metric.quantile, suite.runs, level)
    if metric.kind in _TOTALS:
        units = least.cases_for_limit(rule, level) if has_baseline else LEAST_COST_UNITS
    elif not has_baseline:
        floor = (rule - metric.scale[0]) / metric.span
        found = least.cases_for_floor(floor, level)
        if found is None:
            return None
        units = found
    else:
        margin = rule / metric.span
        units = least.cases_for_margin(margin, Draw(1.0, 0.0, level, metric.test), POWER)
        if suite.looks.by == "any-time":
            units = max(units, least.cases_for_bets(margin, level))
    total = max(LEAST_CASES, least.in_cases(units, estimate.n, estimate.n_effective))
    return total if units <= MOST_CASES else None


def _nothing_differs(metric: Metric, estimate: Estimate, *, has_baseline: bool) -> bool:
    """Says whether the interval has no other width than what a small sample cannot rule out."""
    if estimate.reason is not None or metric.kind not in ("score", *_TOTALS):
        return False
    if not has_baseline:
        return metric.kind == "score" and estimate.candidate == metric.scale[1]
    return not estimate.n_changed and estimate.estimate == float(metric.kind in _TOTALS)


def _cases(metric: Metric, estimate: Estimate, rule: float, *, has_baseline: bool) -> int | None:
    """Returns how many more cases decide, one way or the other; None where no number would.

    A bound that lies `half` from the estimate moves to `distance` from it, with the wanted power,
    at n * (half * (z_alpha + z_power) / (z_alpha * distance))^2 cases.
    """
    if metric.kind == "severe":
        return _rare_cases(estimate, rule)
    values = (
        (estimate.estimate, estimate.low, estimate.high)
        if has_baseline and not metric.alone
        else (estimate.candidate, estimate.arm_low, estimate.arm_high)
    )
    mean, low, high = values
    if mean is None or low is None or high is None or not estimate.alpha or estimate.reason:
        return None
    if metric.kind == "score":
        target, worse = (-rule, 0.0) if has_baseline else (rule, rule)
        down, up = (mean - low, mean - target), (high - mean, worse - mean)
    elif min(mean, low, rule) > 0:
        down, up = (log(high / mean), log(rule / mean)), (log(mean / low), log(mean / rule))
    else:
        return None
    growth = [
        (half * _stretch(estimate.alpha) / distance) ** 2
        for half, distance in (down, up)
        if distance > 0 and half > 0
    ]
    growth = [times for times in growth if 1 < times <= MOST_TIMES]
    return ceil(estimate.n * (min(growth) - 1)) if growth else None


def _rare_cases(estimate: Estimate, budget: float) -> int | None:
    """Returns how many more cases show the budget if none of them fails severely."""
    rate, units, alpha = estimate.candidate, estimate.n_effective, estimate.alpha
    if rate is None or not units or not alpha or estimate.reason or rate >= budget:
        return None
    wanted = least.cases_within_budget(budget, alpha, round(rate * units))
    more = least.in_cases(wanted, estimate.n, units) - estimate.n
    return more if 0 < more <= MOST_TIMES * estimate.n else None


def _stretch(alpha: float) -> float:
    from statistics import NormalDist  # noqa: PLC0415 (only an inconclusive verdict needs it)

    quantile = NormalDist().inv_cdf
    return 1 + quantile(POWER) / quantile(1 - alpha)


def _round_up(cases: int) -> int:
    """Rounds up to two digits: the figure is an estimate."""
    step = int(10 ** max(0, len(str(cases)) - 2))
    return -(-cases // step) * step
