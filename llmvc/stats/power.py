"""The planner's arithmetic: what a suite of n cases and k runs can show (statistics.md section 9).

- An unchanged candidate passes if its observed difference clears two hurdles: sampling noise, and
  the end point that a small sample cannot rule out (with no difference at all, a margin delta
  needs n >= t^2 (1 - delta) / delta). The first is Miller's power formula; the second is why low
  noise alone does not make 30 cases enough for a margin of 0.05.
- Where both are alike they add up: the sixth root of the sum of their sixth powers is within a few
  points of the simulated power, where the higher hurdle alone promises up to 10 too much.
- With m gating metrics that must all pass, each gets 1/m of the risk of not passing.
- For groups, n is their effective number, and variances are those of one effective unit.
- Costs and latencies are planned on the log of their ratio, severe failures by exact binomials.
"""

from collections.abc import Callable
from math import ceil, exp, expm1, log, sqrt
from typing import Final, Literal

import numpy as np
from scipy.special import bdtr, ndtr, ndtri

from llmvc.stats.ratio import FEW_UNITS, LEAST_UNITS
from llmvc.stats.special import student_quantile

Test = Literal["el-score", "el-ratio"]
RatioKind = Literal["cost", "latency"]

POWER: Final = 0.8
MOST_CASES: Final = 10**8
"""A number of cases above this stands for "more than that": nobody searched further."""
_MOST_RARE: Final = 10**6
_AT: Final = 1e-9


def variance(var_case: float, var_run: float, runs: int) -> float:
    """Returns the variance of a per-case difference: var_case + var_run / k.

    Args:
        var_case: variance between cases of the true difference.
        var_run: variance that one run in each arm adds.
        runs: runs per case and arm, at least 1.
    """
    return var_case + var_run / runs


def pass_power(
    n: float, margin: float, var: float, *, alpha: float = 0.05, test: Test = "el-score"
) -> float:
    """Returns the chance that an unchanged candidate passes, for one metric.

    Args:
        n: cases, at least 2.
        margin: the largest drop that may pass, in (0, 1).
        var: variance of the per-case difference.
        alpha: one-sided level.
        test: the test of the score.
    """
    t = student_quantile(1.0 - alpha, ceil(n) - 1)
    error = sqrt(var / n)
    unseen = _unseen(n, t, test) * (1.0 - margin)
    room = margin - ((t * error) ** 6 + unseen**6) ** (1 / 6)
    if not error:
        return float(room > 0)
    return float(ndtr(room / error))


def cases_needed(
    margin: float,
    var: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    metrics: int = 1,
    test: Test = "el-score",
) -> int:
    """Returns the smallest n at which an unchanged candidate passes with the wanted power.

    It is above `MOST_CASES` where none up to that does.
    """
    wanted = 1.0 - (1.0 - power) / metrics
    return _smallest(lambda n: pass_power(n, margin, var, alpha=alpha, test=test) >= wanted)


def smallest_margin(
    n: float,
    runs: int,
    var_case: float,
    var_run: float,
    *,
    alpha: float = 0.05,
    metrics: int = 1,
    power: float = POWER,
    test: Test = "el-score",
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
        test: the test of the score.

    Returns:
        The margin; None where even 1 would not do, or n < 2.
    """
    if n < 2:
        return None
    wanted, var = 1.0 - (1.0 - power) / metrics, variance(var_case, var_run, runs)
    low, high = 0.0, 1.0
    if pass_power(n, high, var, alpha=alpha, test=test) < wanted:
        return None
    while high - low > _AT:
        middle = (low + high) / 2.0
        enough = pass_power(n, middle, var, alpha=alpha, test=test) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high


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


def limit_power(
    n: float, limit: float, var: float, *, alpha: float = 0.05, kind: RatioKind = "cost"
) -> float:
    """Returns the chance that an unchanged cost or latency passes its limit.

    Args:
        n: cases, at least 2.
        limit: the largest ratio to the baseline that may pass, above 1.
        var: variance of one case's share in the log ratio.
        alpha: one-sided level; a cost halves it for few cases, and needs a least number of them.
        kind: `cost` or `latency`.
    """
    if kind == "cost" and n < LEAST_UNITS:
        return 0.0
    critical, error = _log_error(n, var, alpha, kind)
    if not error:
        return 1.0
    # Without spread the error is a bound and no noise: the estimate is 1 for sure.
    noise = sqrt(var / n)
    room = log(limit) - critical * error
    return float(room > 0) if not noise else float(ndtr(room / noise))


def cases_for_limit(
    limit: float,
    var: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    metrics: int = 1,
    kind: RatioKind = "cost",
) -> int:
    """Returns the smallest n at which an unchanged candidate passes with the wanted power.

    It is above `MOST_CASES` where none up to that does.
    """
    wanted = 1.0 - (1.0 - power) / metrics
    return _smallest(lambda n: limit_power(n, limit, var, alpha=alpha, kind=kind) >= wanted)


def smallest_limit(
    n: float,
    var: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    metrics: int = 1,
    kind: RatioKind = "cost",
) -> float | None:
    """Returns the smallest limit that an unchanged candidate passes with the wanted power.

    Returns:
        A ratio above 1; None for a cost on too few cases, or n < 2.
    """
    if n < (LEAST_UNITS if kind == "cost" else 2):
        return None
    critical, error = _log_error(n, var, alpha, kind)
    return exp(critical * error + float(ndtri(1.0 - (1.0 - power) / metrics)) * sqrt(var / n))


def detectable_ratio(
    n: float,
    limit: float,
    var: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    kind: RatioKind = "cost",
) -> float:
    """Returns the true ratio that is shown to be beyond the limit with the wanted power."""
    critical, error = _log_error(n, var, alpha, kind)
    return limit * exp(critical * error + float(ndtri(power)) * sqrt(var / n))


def rare_power(n: int, budget: float, rate: float = 0.0, *, alpha: float = 0.05) -> float:
    """Returns the chance that a share of severe failures is shown to be within its budget.

    Args:
        n: cases or groups, at least 1.
        budget: the largest share that may pass, in (0, 1).
        rate: the true share.
        alpha: one-sided level of the exact bound.
    """
    counts = np.arange(0, ceil(n * budget) + 1)
    shown = int(np.count_nonzero(bdtr(counts, n, budget) < alpha))
    return float(bdtr(shown - 1, n, rate)) if shown else 0.0


def cases_for_budget(
    budget: float,
    rate: float = 0.0,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    metrics: int = 1,
) -> int | None:
    """Returns a number of cases that shows the budget with the wanted power.

    The chance rises in steps, so that now and then a few cases fewer would do too.

    Returns:
        None where the true share leaves no room below the budget, or too little.
    """
    wanted = 1.0 - (1.0 - power) / metrics
    found = _smallest(lambda n: rare_power(n, budget, rate, alpha=alpha) >= wanted, most=_MOST_RARE)
    return found if rare_power(found, budget, rate, alpha=alpha) >= wanted else None


def _unseen(n: float, t: float, test: Test) -> float:
    """Returns how high a sample without spread must lie, as a share of the way to the end point.

    The end point that the sample cannot rule out keeps a mass that the test makes room for: t^2 / n
    for the score, and for the likelihood ratio what solves 2 n log(1 + x) = t^2.
    """
    return t * t / n if test == "el-score" else expm1(t * t / (2.0 * n))


def _log_error(n: float, var: float, alpha: float, kind: RatioKind) -> tuple[float, float]:
    """Returns the quantile and the standard error that the test of a log ratio uses."""
    level = alpha / 2.0 if kind == "cost" and n <= FEW_UNITS else alpha
    critical = student_quantile(1.0 - level, ceil(n) - 1)
    # As in `ratio`: a sample without spread still has a bound.
    least = critical / (n + critical * critical) if kind == "cost" else 0.0
    return critical, max(sqrt(var / n), least)


def _smallest(enough: Callable[[int], bool], *, most: int = MOST_CASES) -> int:
    """Returns the smallest n from 2 on that is enough; `most` + 1 if none up to `most` is."""
    low, high = 1, 2
    while not enough(high) and high < most:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return min(high, most + 1)
