"""The planner's arithmetic: what a suite of n cases and k runs can show (statistics.md section 9).

- An unchanged candidate passes if its observed difference clears two hurdles: sampling noise, and
  the end point that a small sample cannot rule out (with no difference at all, a margin delta
  needs n >= t^2 (1 - delta) / delta). The first is Miller's power formula; the second is why low
  noise alone does not make 30 cases enough for a margin of 0.05.
- With m gating metrics that must all pass, each gets 1/m of the risk of not passing.
- For groups, n is their effective number.
"""

from math import ceil, sqrt
from typing import Final

from scipy.special import ndtr, ndtri

from llmvc.stats.paired import student_quantile

POWER: Final = 0.8
_MOST_CASES: Final = 10**8


def variance(var_case: float, var_run: float, runs: int) -> float:
    """Returns the variance of a per-case difference: var_case + var_run / k.

    Args:
        var_case: variance between cases of the true difference.
        var_run: variance that one run in each arm adds.
        runs: runs per case and arm, at least 1.
    """
    return var_case + var_run / runs


def pass_power(n: float, margin: float, var: float, *, alpha: float = 0.05) -> float:
    """Returns the chance that an unchanged candidate passes, for one metric.

    Args:
        n: cases, at least 2.
        margin: the largest drop that may pass, in (0, 1).
        var: variance of the per-case difference.
        alpha: one-sided level.
    """
    t = student_quantile(1.0 - alpha, ceil(n) - 1)
    error = sqrt(var / n)
    hurdle = max(t * error, t * t * (1.0 - margin) / n) - margin
    if not error:
        return float(hurdle < 0)
    return float(ndtr(-hurdle / error))


def cases_needed(
    margin: float, var: float, *, alpha: float = 0.05, power: float = POWER, metrics: int = 1
) -> int:
    """Returns the smallest n at which an unchanged candidate passes with the wanted power."""
    wanted = 1.0 - (1.0 - power) / metrics
    low, high = 1, 2
    while pass_power(high, margin, var, alpha=alpha) < wanted and high < _MOST_CASES:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if pass_power(middle, margin, var, alpha=alpha) < wanted:
            low = middle
        else:
            high = middle
    return high


def smallest_margin(
    n: float,
    runs: int,
    var_case: float,
    var_run: float,
    *,
    alpha: float = 0.05,
    metrics: int = 1,
    power: float = POWER,
) -> float | None:
    """Returns the smallest margin that an unchanged candidate passes with the wanted power.

    Args:
        n: cases.
        runs: runs per case and arm.
        var_case: variance between cases of the true difference.
        var_run: variance that one run in each arm adds.
        alpha: one-sided level.
        metrics: gating metrics, all of which must pass.
        power: chance that all of them do.

    Returns:
        The margin; None where even 1 would not do, or n < 2.
    """
    if n < 2:
        return None
    t = student_quantile(1.0 - alpha, ceil(n) - 1)
    error = sqrt(variance(var_case, var_run, runs) / n)
    noise = float(ndtri(1.0 - (1.0 - power) / metrics)) * error
    unseen = t * t / n
    margin = max(t * error + noise, (noise + unseen) / (1.0 + unseen))
    return margin if margin < 1.0 else None


def detectable_drop(n: float, var: float, *, alpha: float = 0.05, power: float = POWER) -> float:
    """Returns the true drop that is shown to be a regression with the wanted power."""
    return float(ndtri(1.0 - alpha) + ndtri(power)) * sqrt(var / n)


def best_runs(var_case: float, var_run: float, *, case_usd: float, run_usd: float) -> int | None:
    """Returns how many runs a case make the most of a budget.

    Args:
        var_case: variance between cases of the true difference.
        var_run: variance that one run in each arm adds.
        case_usd: what one more case costs to write and label.
        run_usd: what one more run of a case costs, above 0.

    Returns:
        sqrt(var_run * case_usd / (var_case * run_usd)), at least 1; None where cases do not differ,
        so that only more runs help.
    """
    if var_run <= 0 or case_usd <= 0:
        return 1
    if var_case <= 0:
        return None
    return max(1, round(sqrt(var_run * case_usd / (var_case * run_usd))))
