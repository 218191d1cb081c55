"""The betting test: valid whenever one looks, however often, and at any number of cases.

- A bettor who stakes a share of the capital on every case being better than the hypothesis says
  cannot expect to gain while the hypothesis holds; the capital is the evidence against it (Ville's
  inequality: it ever reaches 1 / alpha with a chance of at most alpha).
- Several bettors with fixed stakes share the start capital, so nothing is tuned to the data and
  the order of the cases does not matter.
- The capital falls as the mean under test rises, so the interval and the test always agree.
- It is for new cases only, never for further runs of old ones; the bound on the values must be
  known beforehand.

Source: I. Waudby-Smith and A. Ramdas, JRSS B 86 (2024), 1-27, section 4 (a fixed mixture of bets).
"""

from dataclasses import dataclass
from math import exp, inf, log
from typing import Final

import numpy as np

from llmvc.stats.paired import unusable
from llmvc.stats.roots import crossing
from llmvc.stats.samples import FloatArray

STAKES: Final = np.array([0.02, 0.04, 0.07, *(at / 20 for at in range(2, 20))])
"""Shares of the capital at stake on a case: small for many cases, large for clear harm."""
MOST: Final = 1e300
"""Larger evidence is reported as this."""
_DECIMALS: Final = 12


@dataclass(frozen=True, slots=True)
class Betting:
    """What the betting test says; every number is None where `reason` says why.

    Attributes:
        n: units tested.
        alpha: one-sided level of each bound.
        estimate: the mean.
        low: lower bound; the chance that it is ever above the true mean is at most alpha.
        high: upper bound, likewise.
        e_pass: evidence against a drop of the margin or more, at most 1e300; None without a margin.
        e_fail: evidence against "no worse".
        p_pass: 1 / e_pass, at most 1; below alpha means within the margin.
        p_fail: 1 / e_fail, at most 1; below alpha means worse.
        reason: why it is undefined; None if it is defined.
    """

    n: int
    alpha: float
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    e_pass: float | None = None
    e_fail: float | None = None
    p_pass: float | None = None
    p_fail: float | None = None
    reason: str | None = None


def betting(
    d: FloatArray, *, margin: float | None = None, alpha: float = 0.05, bound: float = 1.0
) -> Betting:
    """Tests paired differences at any time against a drop of `margin` and against no change.

    Args:
        d: differences so far, candidate minus baseline, shape (units,), each within `bound` of 0.
        margin: the largest drop that may pass, in (0, bound); None tests no margin.
        alpha: one-sided level; the interval has level 1 - 2 * alpha.
        bound: the support is [-bound, bound], fixed before the first case: 1 for cases, and for
            groups what the largest group that may come makes of it.

    Returns:
        The test; undefined for no units and for values not finite or outside the support.
    """
    n = len(d)
    if reason := unusable(d, -bound, bound, least=1):
        return Betting(n, alpha, reason=reason)
    better, worse = _Bets.of(d, bound), _Bets.of(-d, bound)
    e_fail = worse.evidence(0.0)
    e_pass = None if margin is None else better.evidence(-margin)
    return Betting(
        n=n,
        alpha=alpha,
        estimate=better.mean,
        low=better.least(alpha, margin=margin),
        high=-worse.least(alpha, margin=0.0),
        e_pass=e_pass,
        e_fail=e_fail,
        p_pass=None if e_pass is None else min(1.0, 1.0 / e_pass),
        p_fail=min(1.0, 1.0 / e_fail),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Bets:
    """Values to bet on.

    Attributes:
        heights: the distinct values above the lower end of the support, ascending.
        counts: how often each occurs.
        mean: the mean of the values.
        bound: half the width of the support.
    """

    heights: FloatArray
    counts: FloatArray
    mean: float
    bound: float

    @classmethod
    def of(cls, d: FloatArray, bound: float) -> "_Bets":
        """Counts the values, rounded to 12 decimals as everywhere."""
        points, counts = np.unique(np.round(d, _DECIMALS), return_counts=True)
        weights = counts.astype(np.float64)
        mean = float(weights @ points) / len(d)
        return cls(np.maximum(points + bound, 0.0), weights, mean, bound)

    def gain(self, m: float) -> float:
        """Returns the logarithm of the capital won against "the mean is at most `m`".

        A bettor with the stake g multiplies the capital by 1 + g (d - m) / (bound + m), which is
        1 - g at the lower end of the support.

        Args:
            m: the mean under test, above the lower end of the support.
        """
        factors = np.outer(STAKES, self.heights / (self.bound + m))
        factors += (1.0 - STAKES)[:, np.newaxis]
        capitals = np.log(factors, out=factors) @ self.counts
        return float(np.logaddexp.reduce(capitals)) - log(len(STAKES))

    def evidence(self, m: float) -> float:
        """Returns the capital itself, at most `MOST`; at least its inverse."""
        most = log(MOST)
        return exp(max(-most, min(self.gain(m), most)))

    def least(self, alpha: float, *, margin: float | None) -> float:
        """Returns the smallest mean that is not rejected at `alpha`.

        Args:
            alpha: one-sided level.
            margin: the mean `-margin` is rejected if and only if the result is above it.
        """
        goal, left, right = -log(alpha), self.bound * (1e-12 - 1.0), self.mean
        found = -self.bound
        if left < right and self.gain(left) > goal:
            found = crossing(lambda m: self.gain(m) - goal, left, right)
        if margin is None:
            return found
        if min(1.0, 1.0 / self.evidence(-margin)) < alpha:
            return max(found, float(np.nextafter(-margin, inf)))
        return min(found, -margin)
