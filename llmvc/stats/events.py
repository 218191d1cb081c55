"""Rare severe failures, and descriptive tests that accompany a verdict without deciding it.

- The rate's bounds are Clopper and Pearson's, each one-sided at `alpha`: exact at any number of
  cases, so that 0 of 30 shows no more than a rate below 9.5%.
- The p-values are binomial tails of the same distribution, so that they and the bounds agree.
- McNemar's test and Wilcoxon's are for one run a case and for ordinal scores; they are printed,
  and no verdict rests on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Final

import numpy as np

from llmvc.stats.samples import FloatArray
from llmvc.stats.special import binomial_half, normal_tail

_DECIMALS: Final = 12
_EXACT: Final = 50


@dataclass(frozen=True, slots=True)
class RateTest:
    """What the severe cases say; every number is None where `reason` says why.

    Attributes:
        alpha: one-sided level of each bound.
        n: cases or groups looked at.
        count: how many of them are severe.
        rate: their share.
        low: lower bound; 0 for no severe case.
        high: upper bound; 1 for nothing but severe cases.
        p_pass: chance of so few or fewer if the rate were the budget; below `alpha` exactly where
            `high` is below the budget.
        p_fail: chance of so many or more if the rate were the budget; below `alpha` exactly where
            `low` is above the budget.
        reason: why it is undefined; None if it is defined.
    """

    alpha: float
    n: int
    count: int
    rate: float | None = None
    low: float | None = None
    high: float | None = None
    p_pass: float | None = None
    p_fail: float | None = None
    reason: str | None = None


def rate(flags: Sequence[bool], *, budget: float | None = None, alpha: float = 0.05) -> RateTest:
    """Bounds the rate of severe cases (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934).

    Args:
        flags: whether each case, or each group, is severe. "Any run is severe" compares two arms
            only where both have the same number of runs.
        budget: the largest rate that may pass, in [0, 1]; None tests no budget.
        alpha: one-sided level of each bound.
    """
    n, count = len(flags), sum(map(bool, flags))
    if not n:
        return RateTest(alpha, n, count, reason="no cases show no rate")
    from scipy.special import betainc, betaincc, betaincinv  # noqa: PLC0415 (250 ms, used here)

    low = float(betaincinv(count, n - count + 1, alpha)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1.0 - alpha)) if count < n else 1.0
    p_pass = p_fail = None
    if budget is not None:
        p_pass = float(betaincc(count + 1, n - count, budget)) if count < n else 1.0
        p_fail = float(betainc(count, n - count + 1, budget)) if count else 1.0
        low, high = _agree(low, high, budget, below=p_pass < alpha, above=p_fail < alpha)
    return RateTest(alpha, n, count, count / n, low, high, p_pass, p_fail)


def mcnemar(worse: int, better: int) -> tuple[float, float]:
    """Returns the two-sided p of McNemar's exact test and its mid-p, for one run a case.

    M. W. Fagerland, S. Lydersen and P. Laake, BMC Medical Research Methodology 13:91 (2013).

    Args:
        worse: cases that passed under the baseline only.
        better: cases that passed under the candidate only.
    """
    n, fewer = worse + better, min(worse, better)
    tail = binomial_half(fewer, n)
    at = tail - binomial_half(fewer - 1, n)
    return min(1.0, 2.0 * tail), min(1.0, 2.0 * tail - at)


def wilcoxon(d: FloatArray) -> float | None:
    """Returns the two-sided p of Wilcoxon's signed-rank test of paired differences.

    Differences of 0 are left out; ties share their mean rank. Up to 50 differences it is exact,
    given the ties; beyond that it is the normal approximation with the variance for ties.

    Args:
        d: differences, shape (cases,), rounded to 12 decimals.

    Returns:
        The p-value, or None where no difference is left or one is no number.
    """
    rounded = np.round(d, _DECIMALS)
    untied = rounded[rounded != 0]
    n = len(untied)
    if not n or not np.isfinite(untied).all():
        return None
    _, at, counts = np.unique(np.abs(untied), return_inverse=True, return_counts=True)
    # Doubled, so that the mean of two neighbouring ranks is a whole number too.
    ranks = (2 * np.cumsum(counts) - counts + 1)[at]
    positive, total = int(ranks[untied > 0].sum()), n * (n + 1)
    fewer = min(positive, total - positive)
    if n > _EXACT:
        spread = sqrt(float(np.square(ranks.astype(np.float64)).sum())) / 2
        return min(1.0, 2.0 * normal_tail((fewer - total / 2) / spread))
    ways = np.zeros(total + 1)
    ways[0] = 1.0
    for rank in map(int, ranks):
        ways[rank:] += ways[:-rank].copy()
    return min(1.0, 2.0 * float(ways[: fewer + 1].sum()) / 2.0**n)


def _agree(
    low: float, high: float, budget: float, *, below: bool, above: bool
) -> tuple[float, float]:
    """Moves a bound by the last digits that inversion leaves open, so that the tails decide."""
    high = min(high, float(np.nextafter(budget, -inf))) if below else max(high, budget)
    low = max(low, float(np.nextafter(budget, inf))) if above else min(low, budget)
    return low, high
