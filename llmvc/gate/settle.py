"""What would settle an inconclusive verdict: planner's arithmetic on the stored interval.

- The spread is read back from the interval, so that nothing but the report is needed.
- The answer supposes that the difference seen is the true one and asks for 80% power.
"""

from collections.abc import Sequence
from math import ceil, log
from typing import Final

from llmvc.core.plural import count
from llmvc.core.report import Estimate
from llmvc.core.suite import Metric, Suite

POWER: Final = 0.8
LEAST_CASES: Final = 20
LEAST_COST_UNITS: Final = 50
MOST_TIMES: Final = 20
"""More cases than this many times the present ones are no advice."""


def settle(
    rows: Sequence[tuple[Metric, Estimate]], suite: Suite, *, has_baseline: bool
) -> str | None:
    """Returns what would settle the metrics given, all of them inconclusive; None if unknown."""
    wanted: list[int] = []
    advice: list[str] = []
    for metric, estimate in rows:
        rule = _rule(metric, has_baseline=has_baseline)
        if rule is None:
            advice.append(_set_rule(metric, has_baseline=has_baseline))
            continue
        cases = _too_few(metric, estimate) or _cases(
            metric, estimate, rule, has_baseline=has_baseline
        )
        if cases is not None:
            wanted.append(cases)
    if wanted:
        more = count(_round_up(max(wanted)), "more case")
        advice.insert(0, f"about {more} at {count(suite.runs, 'run')} would settle it")
    elif not advice and any(estimate.reason is None for _, estimate in rows):
        advice.append(
            "more cases of this kind hardly settle it: the difference is too near the rule"
        )
    return "; ".join(advice) or None


def _rule(metric: Metric, *, has_baseline: bool) -> float | None:
    if metric.kind == "score":
        return metric.margin if has_baseline else metric.floor
    return metric.limit if has_baseline else metric.ceiling_usd


def _set_rule(metric: Metric, *, has_baseline: bool) -> str:
    if metric.kind == "latency":
        return f"{metric.name} cannot gate in this version: set gate: false"
    if has_baseline:
        return (
            f"give {metric.name} a {'margin' if metric.kind == 'score' else 'limit'} in the suite"
        )
    what = "floor" if metric.kind == "score" else "ceiling_usd"
    return f"give {metric.name} a {what} in the suite, or promote with --adopt --reason"


def _too_few(metric: Metric, estimate: Estimate) -> int | None:
    """Returns the cases missing to the least number that can be judged."""
    if not estimate.n or estimate.n_effective is None:
        return None
    if estimate.n < LEAST_CASES and metric.kind == "score":
        return LEAST_CASES - estimate.n
    if metric.kind == "cost" and estimate.n_effective < LEAST_COST_UNITS:
        return ceil(round(estimate.n * (LEAST_COST_UNITS / estimate.n_effective - 1), 6))
    return None


def _cases(metric: Metric, estimate: Estimate, rule: float, *, has_baseline: bool) -> int | None:
    """Returns how many more cases decide, one way or the other; None where no number would.

    A bound that lies `half` from the estimate moves to `distance` from it, with the wanted power,
    at n * (half * (z_alpha + z_power) / (z_alpha * distance))^2 cases.
    """
    values = (
        (estimate.estimate, estimate.low, estimate.high)
        if has_baseline
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


def _stretch(alpha: float) -> float:
    from statistics import NormalDist  # noqa: PLC0415 (only an inconclusive verdict needs it)

    quantile = NormalDist().inv_cdf
    return 1 + quantile(POWER) / quantile(1 - alpha)


def _round_up(cases: int) -> int:
    """Rounds up to two digits: the figure is an estimate."""
    step = int(10 ** max(0, len(str(cases)) - 2))
    return -(-cases // step) * step
