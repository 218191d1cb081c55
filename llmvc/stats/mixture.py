"""The always-valid test: an interval that holds at all looks at once, however many there are.

- The interval is the usual one with a larger factor in place of the normal quantile; the chance
  that it ever misses, at any look, is at most alpha in the limit of many units.
- The factor is smallest, about 2.8 at alpha 0.05, where the data are as many as it is tuned to, and
  rises by a tenth at ten times as many, or a third as many.

Source: I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, Annals of Statistics 52
(2024), "Time-uniform central limit theory and asymptotic confidence sequences", theorem 2.2 and its
one-sided form, which mixes over a half-normal.
"""

from math import inf, log, sqrt


def factor(n: float, alpha: float, *, tuned: float) -> float:
    """Returns how many standard errors the always-valid bound is away from the estimate.

    Args:
        n: units so far, at least 0; for two arms half their harmonic mean, n m / (n + m).
        alpha: one-sided level, in (0, 0.5).
        tuned: number of units at which the bound is to be tightest, above 0.

    Returns:
        sqrt(2 (1 + 1/v) log(1 + sqrt(1 + v) / (2 alpha))) with v = n rho^2; infinite for no units.
    """
    if n <= 0:
        return inf
    rho_squared = (-2 * log(2 * alpha) + log(1 - 2 * log(2 * alpha))) / tuned
    v = n * rho_squared
    return sqrt(2 * (1 + 1 / v) * log(1 + sqrt(1 + v) / (2 * alpha)))
