"""How far the spelling of a prompt moves a score: the spread of its means, free of chance.

- The spread is the highest mean less the lowest. Means that differ by chance alone have a spread
  too, so that the estimate takes out what the cases and runs explain.
- Its interval follows from one for each pair of spellings, all of which hold at once, by the test
  that metrics are judged by: no disagreement at all is never "no spread, so certain".
- Whole groups are the units, as everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import numpy as np

from llmvc.stats import paired
from llmvc.stats.samples import FloatArray, Groups


@dataclass(frozen=True, slots=True)
class Spread:
    """How far apart the means of several spellings are; None where `reason` says why.

    Attributes:
        alpha: one-sided level of each bound.
        estimate: highest mean less the lowest, without what chance explains; in [0, 1].
        low: lower bound.
        high: upper bound.
        reason: why it is undefined; None if it is defined.
    """

    alpha: float
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


def spread(means: Sequence[FloatArray], groups: Groups, *, alpha: float = 0.05) -> Spread:
    """Estimates the spread of the means of several spellings on the same cases.

    The observed spread is shrunk by the square root of the share of the variance between the means
    that chance does not explain: 1 - tr(C S) / ((k - 1) s^2) for k means of sample variance s^2 and
    covariance S over the units, with C = I - 11'/k (the method of moments of the one-way random
    model; S. Searle et al., Variance Components, 1992, section 3.5).

    The bounds are those of simultaneous intervals for all pairs, each an EL-score interval at
    alpha / pairs (Bonferroni): the farthest of all upper bounds, and the farthest lower one.

    Args:
        means: of each spelling, the mean over its runs on every case, in [0, 1], shape (cases,).
        groups: which cases belong together.
        alpha: one-sided level; the interval has level 1 - 2 * alpha or more.
    """
    if len(means) < 2:
        return Spread(alpha, reason="there is one spelling")
    if reason := groups.refusal():
        return Spread(alpha, reason=reason)
    low = high = 0.0
    pairs = list(combinations(means, 2))
    for one, other in pairs:
        units = groups.units(one - other)
        bound = max(groups.stretch, float(np.abs(units).max()))
        found = paired.el_score(units, alpha=alpha / len(pairs), bound=bound)
        if found.low is None or found.high is None:
            return Spread(alpha, reason=found.reason)
        low = max(low, found.low, -found.high)
        high = max(high, found.high, -found.low)
    estimate = _shrunk(np.array(means), groups)
    return Spread(alpha, estimate, min(low, estimate), min(high, 1.0))


def _shrunk(means: FloatArray, groups: Groups) -> float:
    """Returns the spread of the means without what chance explains; `means` is (spellings, cases).

    Means that differ by rounding alone do not differ.
    """
    centres = means.mean(axis=1)
    spelt = float(centres.var(ddof=1))
    if spelt < 1e-24:
        return 0.0
    units = np.array([groups.units(row) for row in means - centres[:, None]])
    covariance = np.cov(units) / groups.count
    chance = float(np.trace(covariance) - covariance.sum() / len(means)) / (len(means) - 1)
    return float(np.ptp(centres)) * sqrt(max(0.0, 1.0 - chance / spelt))
