"""How many units a live comparison takes: arms of different units, one of them small.

- The canary's units are what is scarce: the others are (1 - share) / share times as many.
- A test is asked for by its distance in standard errors, which for the always-valid one grows with
  the units; one look at level alpha is the normal quantile.
- The paired figure beside it is for a shadow, which asks both versions the same thing.
"""

from collections.abc import Callable
from math import ceil, sqrt
from statistics import NormalDist
from typing import Final

MOST_UNITS: Final = 10**10
"""A number of units above this stands for "more than that"."""
DISCORDANT: Final = 0.1
"""Share of the answers that two versions differ in, where nobody has measured it."""

Distance = Callable[[float], float]
"""Effective units, n m / (n + m) of both arms -> standard errors."""


def one_look(alpha: float) -> Distance:
    """Returns the distance of a single test at a one-sided level."""
    z = NormalDist().inv_cdf(1 - alpha)
    return lambda _: z


def canary_units(
    gap: float, var: tuple[float, float], share: float, distance: Distance, *, power: float = 0.8
) -> int:
    """Returns the units that the canary needs.

    Args:
        gap: how far the truth is from what is to be ruled out, above 0: for a pass of an unchanged
            candidate the margin, for a fail the rise.
        var: variance of one unit in the canary and in the baseline.
        share: the canary's share of the units, in (0, 1).
        distance: the test.
        power: chance to rule it out.

    Returns:
        The smallest n with (z + z_power)^2 (var_c + var_b share / (1 - share)) / gap^2 <= n; above
        `MOST_UNITS` where none up to that will do.
    """
    spread = var[0] + var[1] * share / (1 - share)
    z = NormalDist().inv_cdf(power)

    def enough(n: int) -> bool:
        return (distance(n * (1 - share)) + z) ** 2 * spread <= n * gap * gap

    low, high = 1, 2
    while not enough(high) and high <= MOST_UNITS:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def detectable(
    units: int, var: tuple[float, float], share: float, distance: Distance, *, power: float = 0.8
) -> float:
    """Returns the smallest gap that so many units in the canary rule out; see `canary_units`."""
    spread = var[0] + var[1] * share / (1 - share)
    return (distance(units * (1 - share)) + NormalDist().inv_cdf(power)) * sqrt(spread / units)


def pairs(
    drop: float, *, discordant: float = DISCORDANT, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Returns the pairs that a shadow needs to show a change of a share.

    Args:
        drop: the change, in (0, discordant].
        discordant: share of the pairs in which the versions differ.
        alpha: one-sided level.
        power: chance to show it.

    Source: R. J. Connor, Biometrics 43 (1987), 207-211.
    """
    apart = max(discordant, drop)
    z, z_power = (NormalDist().inv_cdf(level) for level in (1 - alpha, power))
    return ceil(((z * sqrt(apart) + z_power * sqrt(apart - drop * drop)) / drop) ** 2)
