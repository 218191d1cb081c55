"""Looking early without paying for it in errors: the level at each planned look.

- A plan names the share of the whole evidence at each look; the last share is 1.
- The looks together err no more often than one test at `alpha` would: they spend it along the
  O'Brien-Fleming-type function of Lan and DeMets, which leaves nearly all of it for the last look.
- A pass and a fail each have an `alpha` of their own, so one list of levels serves both.
- Nominal levels rise from look to look, unless a look follows another closely: then little is
  spent in between, and the later level may be the smaller one.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import ceil, cos, erfc, exp, pi, sqrt
from typing import Final

from llmvc.errors import FormatError

_REACH: Final = 8.5
"""No mass worth counting lies further from 0 than this many standard deviations."""
_FARTHEST: Final = 40.0
"""A normal tail from here on is 0 in floating point."""
_LEAST_POINTS: Final = 48
_HALVINGS: Final = 60


@lru_cache(maxsize=64)
def levels(at: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """Returns the nominal one-sided level of the test made at each look.

    Args:
        at: share of the whole evidence at each look, in (0, 1], increasing, the last one 1: n_j / n
            where cases are added, Var(end) / Var(now) where runs are.
        alpha: one-sided level that all looks share, in (0, 1).

    Returns:
        One level a look; `(alpha,)` for a single one. A level is 0 where next to nothing is spent.

    Raises:
        FormatError: the plan or the level is none.

    Source: K. K. G. Lan and D. L. DeMets, Biometrika 70 (1983), 659-663; the recursion is that of
    P. Armitage, C. K. McPherson and B. C. Rowe, JRSS A 132 (1969), 235-244.
    """
    _check(at, alpha)
    if len(at) == 1:
        return (alpha,)
    found: list[float] = []
    walk, before = _Walk(0.0, ((0.0, 1.0),)), 0.0
    for look, share in enumerate(at):
        bound = walk.bound(share, spent(share, alpha) - before)
        found.append(min(alpha, _tail(bound / sqrt(share))))
        before = spent(share, alpha)
        if share < 1.0:
            walk = walk.on(share, bound, at[look + 1])
    return tuple(found)


def spent(share: float, alpha: float) -> float:
    """Returns how much of `alpha` may be spent up to a look: 2 - 2 Phi(z(alpha / 2) / sqrt(share)).

    It is the chance that a Brownian motion without drift rises above z(alpha / 2) by then.

    Args:
        share: share of the whole evidence, in (0, 1].
        alpha: one-sided level that all looks share, in (0, 1).
    """
    if share == 1.0:
        return alpha
    from statistics import NormalDist  # noqa: PLC0415 (10 ms that only planned looks need)

    return 2.0 * _tail(-NormalDist().inv_cdf(alpha / 2) / sqrt(share))


@dataclass(frozen=True, slots=True)
class _Walk:
    """Where a Brownian motion may be that no look has stopped.

    Attributes:
        share: time of the last look.
        points: places, each with the probability that it stands for.
    """

    share: float
    points: tuple[tuple[float, float], ...]

    def bound(self, share: float, chance: float) -> float:
        """Returns the height above which the motion is at `share` with the probability given."""
        step = sqrt(share - self.share)
        low, high = -_FARTHEST * sqrt(share), _FARTHEST * sqrt(share)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            beyond = sum(mass * _tail((middle - place) / step) for place, mass in self.points)
            low, high = (middle, high) if beyond > chance else (low, middle)
        return high

    def on(self, share: float, bound: float, following: float) -> "_Walk":
        """Returns the motion at `share` where it is below `bound`.

        The points are so dense that the step to the `following` look is integrated well.
        """
        step = sqrt(share - self.share)
        low, high = -_REACH * sqrt(share), min(bound, _REACH * sqrt(share))
        half = (high - low) / 2
        count = ceil(pi * half / sqrt(following - share) / 16) * 16
        points: list[tuple[float, float]] = []
        for node, weight in _rule(max(_LEAST_POINTS, count)):
            place = low + half * (1.0 + node)
            density = sum(
                mass * exp(-(((place - start) / step) ** 2) / 2) for start, mass in self.points
            ) / (step * sqrt(2 * pi))
            points.append((place, half * weight * density))
        return _Walk(share, tuple(points))


@lru_cache(maxsize=8)
def _rule(n: int) -> tuple[tuple[float, float], ...]:
    """Returns nodes and weights that integrate over [-1, 1] (Fejer's first rule)."""
    angles = [pi * (at + 0.5) / n for at in range(n)]
    return tuple(
        (
            cos(angle),
            (1 - 2 * sum(cos(2 * k * angle) / (4 * k * k - 1) for k in range(1, n // 2 + 1)))
            * (2 / n),
        )
        for angle in angles
    )


def _tail(z: float) -> float:
    """Returns the probability that a normal deviate is above `z`."""
    return erfc(z / sqrt(2)) / 2


def _check(at: tuple[float, ...], alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise FormatError(f"the level {alpha:g} is not between 0 and 1")
    if not (at and at[0] > 0.0 and all(a < b for a, b in pairwise(at)) and at[-1] == 1.0):
        plan = ", ".join(f"{share:g}" for share in at) or "none"
        raise FormatError(
            f"the looks {plan} are not an increasing list of shares that ends with 1",
            hint="name the share of the cases at each look, such as 0.5, 0.75, 1",
        )
