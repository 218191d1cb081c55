"""Sample-ratio mismatch: do the arms hold the shares of units that they were given?

- If they do not, units were lost or counted twice in one arm, most likely those with trouble, and
  no comparison of the rest means anything.
- The Bayes factor may be looked at after every unit: the chance that it ever exceeds 1 / a is at
  most a where the shares are right. The chi-square test is for looks that were planned.
"""

from collections.abc import Sequence
from math import erfc, exp, lgamma, log, sqrt
from typing import Final

CONCENTRATION: Final = 1_000.0
"""How closely around the planned shares the alternative lies: losses of a few percent of an arm."""
_MOST: Final = 36.0
"""Logarithm of the largest one that a record can hold, since that holds numbers below 2^53."""


def bayes_factor(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Returns the evidence against the planned shares, above 0; e^36 stands for more than that.

    Args:
        counts: units in each arm.
        shares: planned, in (0, 1), adding up to 1.

    Source: M. Lindon and A. Malek, NeurIPS 35 (2022), "Anytime-valid inference for multinomial
    count data": Dirichlet-multinomial over multinomial.
    """
    prior = [CONCENTRATION * share for share in shares]
    total = sum(counts)
    found = lgamma(CONCENTRATION) - lgamma(CONCENTRATION + total)
    for n, a, share in zip(counts, prior, shares, strict=True):
        found += lgamma(a + n) - lgamma(a) - n * log(share)
    return exp(max(-_MOST, min(found, _MOST)))


def chi_square(counts: tuple[int, int], share: float) -> float:
    """Returns the p-value of the planned share of the second arm, for one look.

    Args:
        counts: units in each arm.
        share: planned share of the second, in (0, 1).

    Returns:
        1 without any unit.
    """
    total = sum(counts)
    if not total:
        return 1.0
    far = counts[1] - total * share
    return erfc(abs(far) / sqrt(2 * total * share * (1 - share)))
