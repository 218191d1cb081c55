"""Two arms of different units: intervals of a difference of shares, and of ratios.

- Units are what was assigned at random, so they are what is independent: calls of one unit count as
  one cluster (the delta method of a ratio of sums).
- Each arm has an interval of its own, and the two make that of the comparison (MOVER): bounds need
  not be symmetric, and a share of 0 has an upper bound.
- Every bound is asked for by its distance in standard errors, so that one look, planned looks and
  the always-valid test share all of this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isinf, log, sqrt
from typing import Final, Protocol

import numpy as np
from scipy.special import betaincinv

from llmvc.stats.samples import FloatArray
from llmvc.stats.special import normal_tail

LEAST_UNITS: Final = 20
"""Below so many units in an arm nothing is said."""
LEAST_BEYOND: Final = 10
"""A quantile needs the worth of so many calls beyond it."""
TOP_UNITS: Final = 2
TOP_SHARE: Final = 0.25
"""An amount of which two units hold over a quarter says nothing about the next two."""


class Arm(Protocol):
    """One arm's figure.

    Attributes:
        units: those that the figure rests on.
        point: the estimate; None where it is undefined.
        reason: why it is undefined; None if it is defined.
    """

    units: int
    point: float | None
    reason: str | None

    def bounds(self, z: float) -> tuple[float, float]:
        """Returns the interval that reaches z standard errors to both sides."""
        ...


@dataclass(frozen=True, slots=True)
class Compared:
    """Two arms; None, with a reason, where nothing can be said.

    Attributes:
        baseline: the baseline's figure.
        candidate: the candidate's.
        estimate: their difference, or candidate over baseline.
        low: lower bound.
        high: upper bound.
        reason: why it is undefined; None if it is defined.
    """

    baseline: float | None
    candidate: float | None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


class Share:
    """A share of calls: Jeffreys' interval at as many calls as the clusters are worth.

    Args:
        hits: calls of each unit that have it, shape (units,).
        calls: calls of each unit of which that is known, at least `hits`.

    Attributes:
        effect: design effect: how many calls are worth one, because those of a unit are alike.
    """

    def __init__(
        self, hits: Sequence[float] | FloatArray, calls: Sequence[float] | FloatArray
    ) -> None:
        x, n = _asked(hits, calls)
        self.units = len(n)
        self.reason = _too_few(self.units)
        self.point: float | None = None
        self.effect = 1.0
        if self.reason is None:
            total, self._size = float(x.sum()), float(n.sum())
            self.point = total / self._size
            binomial = self.point * (1 - self.point) / self._size
            self.effect = max(1.0, _variance(x, n) / binomial) if binomial else self._sizes(n)

    def steadied(self, other: "Share") -> "Share":
        """Returns this share with no smaller a design effect than another arm's.

        A small arm that has not met its worst units yet knows neither its share nor how much units
        differ, and both look too good; the other arm has met them.
        """
        if self.point is not None:
            self.effect = max(self.effect, other.effect)
        return self

    @staticmethod
    def _sizes(n: FloatArray) -> float:
        """Returns the design effect where all calls agree: as if those of a unit always did."""
        return float((n * n).sum() / n.sum())

    def bounds(self, z: float) -> tuple[float, float]:
        """Returns Jeffreys' interval, whose one-sided errors are even: Wilson's are not.

        Source: T. T. Cai, Journal of Statistical Planning and Inference 131 (2005), 63-88.
        """
        if self.point is None or isinf(z):
            return 0.0, 1.0
        worth = self._size / self.effect
        hits, rest = self.point * worth, (1 - self.point) * worth
        level = normal_tail(-z)
        low = float(betaincinv(hits + 0.5, rest + 0.5, level)) if hits else 0.0
        high = 1.0 - float(betaincinv(rest + 0.5, hits + 0.5, level)) if rest else 1.0
        return min(low, self.point), max(high, self.point)


class Mean:
    """A mean amount above 0, such as the cost of a unit: an interval on its logarithm.

    Args:
        amounts: sum of each unit, shape (units,), at least 0.
        calls: how many of them, above 0; ones for an amount a unit.
        what: what is added up, for reasons in words.
    """

    def __init__(
        self,
        amounts: Sequence[float] | FloatArray,
        calls: Sequence[float] | FloatArray,
        *,
        what: str = "amount",
    ) -> None:
        x, n = _asked(amounts, calls)
        self.units = len(n)
        self.point: float | None = None
        self.error, self.skew = inf, 0.0
        total = float(x.sum())
        self.reason = _too_few(self.units) or (None if total > 0 else f"there is no {what}")
        if self.reason is None and _top(x) > TOP_SHARE * total:
            self.reason = f"{TOP_UNITS} units hold over a quarter of the {what}"
        if self.reason is None:
            self.point = total / float(n.sum())
            # Amounts that are all the same still have a bound: one unit not yet seen may double it.
            self.error = max(sqrt(_variance(x, n)) / self.point, 1 / self.units)
            self.skew = _skewness(x, n)

    def steadied(self, other: "Mean") -> "Mean":
        """Returns this amount with units that are no more alike than another arm's.

        An arm that has not met its heavy tail yet has a mean and an error that are both too small.
        """
        if self.point is not None and other.point is not None:
            self.error = max(self.error, other.error * sqrt(other.units / self.units))
        return self

    def bounds(self, z: float) -> tuple[float, float]:
        """Returns an interval on the logarithm, with more room above where there is a heavy tail.

        Source: N. J. Johnson, JASA 73 (1978), 536-544, carried over to the logarithm; what it would
        take off elsewhere is left on.
        """
        if self.point is None or isinf(z):
            return 0.0, inf
        skewed = self.skew * (1 + 2 * z * z) / (6 * sqrt(self.units)) - z * z * self.error / 2
        high = z + max(0.0, skewed)
        return self.point * _exp(-z * self.error), self.point * _exp(high * self.error)


class Quantile:
    """A quantile of all calls: where the interval of the share below it ends (Woodruff).

    Args:
        rows: unit of each bin that holds calls, shape (bins,).
        ends: upper ends of these bins, above 0, shape (bins,).
        counts: calls in each.
        at: which quantile, in (0, 1).
        width: ratio of a bin's upper to its lower end, above 1.

    Source: R. S. Woodruff, JASA 47 (1952), 635-646.
    """

    def __init__(
        self,
        rows: Sequence[int],
        ends: Sequence[float],
        counts: Sequence[int],
        *,
        at: float,
        width: float,
    ) -> None:
        weight = np.asarray(counts, dtype=np.float64)
        _, unit = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        self._ends, which = np.unique(np.asarray(ends, dtype=np.float64), return_inverse=True)
        self._below = np.cumsum(np.bincount(which, weight)) if len(weight) else np.zeros(0)
        self._at, self._width = at, width
        calls = np.bincount(unit, weight) if len(weight) else np.zeros(0)
        self.units = len(calls)
        self.point: float | None = None
        self.worth = 0.0
        self.reason = _too_few(self.units)
        if self.reason is None:
            self.point = self._of(at)
            short = np.bincount(unit, weight * (which <= self._bin(at)), minlength=self.units)
            total = float(calls.sum())
            share = float(short.sum()) / total
            binomial = share * (1 - share) / total
            own = _variance(short.astype(np.float64), calls.astype(np.float64))
            self.worth = total / (max(1.0, own / binomial) if binomial else 1.0)
            if self.worth * min(at, 1 - at) < LEAST_BEYOND:
                self.reason = "too few calls lie beyond the quantile"

    def bounds(self, z: float) -> tuple[float, float]:
        """Returns the quantiles at both ends of the interval of the share below."""
        if self.point is None or isinf(z):
            return 0.0, inf
        square = z * z / self.worth
        half = sqrt(self._at * (1 - self._at) * square + square * square / 4) / (1 + square)
        middle = (self._at + square / 2) / (1 + square)
        low, high = middle - half, middle + half
        return min(self._of(low), self.point), max(self._of(high), self.point)

    def _bin(self, share: float) -> int:
        """Returns the bin in which so large a share of the calls is reached."""
        aim = share * float(self._below[-1])
        return min(int(np.searchsorted(self._below, aim)), len(self._below) - 1)

    def _of(self, share: float) -> float:
        """Returns a quantile; within its bin, calls lie evenly on the logarithm."""
        found = self._bin(share)
        before = float(self._below[found - 1]) if found else 0.0
        inside = float(self._below[found]) - before
        part = (share * float(self._below[-1]) - before) / inside
        return float(self._ends[found] * self._width ** (part - 1.0))


def difference(candidate: Arm, baseline: Arm, z_low: float, z_high: float) -> Compared:
    """Compares two shares.

    Args:
        candidate: the arm on trial.
        baseline: the other.
        z_low: distance of the lower bound in standard errors; infinite for no bound.
        z_high: that of the upper one.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998), 873-890, method 10.
    """
    if candidate.point is None or baseline.point is None or candidate.reason or baseline.reason:
        return _undefined(candidate, baseline)
    c, b = candidate.point, baseline.point
    low = c - b - _reach(c - candidate.bounds(z_low)[0], baseline.bounds(z_low)[1] - b)
    high = c - b + _reach(candidate.bounds(z_high)[1] - c, b - baseline.bounds(z_high)[0])
    return Compared(b, c, c - b, None if isinf(z_low) else low, None if isinf(z_high) else high)


def ratio(candidate: Arm, baseline: Arm, z_low: float, z_high: float) -> Compared:
    """Compares two amounts or quantiles, candidate over baseline; see `difference`.

    Source: G. Y. Zou and A. Donner, Statistics in Medicine 27 (2008), 1693-1702, on logarithms.
    """
    if not candidate.point or not baseline.point or candidate.reason or baseline.reason:
        return _undefined(candidate, baseline)
    c, b = candidate.point, baseline.point
    middle = log(c) - log(b)
    low = high = None
    if not isinf(z_low):
        (c_low, _), (_, b_high) = candidate.bounds(z_low), baseline.bounds(z_low)
        low = _exp(middle - _reach(log(c / c_low), log(b_high / b))) if c_low else 0.0
    if not isinf(z_high):
        (_, c_high), (b_low, _) = candidate.bounds(z_high), baseline.bounds(z_high)
        high = _exp(middle + _reach(log(c_high / c), log(b / b_low))) if b_low else None
    return Compared(b, c, c / b, low, high)


def _undefined(candidate: Arm, baseline: Arm) -> Compared:
    why = [
        f"{name}: {arm.reason}"
        for name, arm in (("canary", candidate), ("baseline", baseline))
        if arm.reason
    ]
    return Compared(baseline.point, candidate.point, reason="; ".join(why))


def _asked(
    sums: Sequence[float] | FloatArray, calls: Sequence[float] | FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Returns both as arrays, without the units of which nothing is known."""
    x, n = np.asarray(sums, dtype=np.float64), np.asarray(calls, dtype=np.float64)
    return x[n > 0], n[n > 0]


def _top(x: FloatArray) -> float:
    """Returns what the largest few add up to."""
    return float(np.partition(x, -TOP_UNITS)[-TOP_UNITS:].sum())


def _variance(x: FloatArray, n: FloatArray) -> float:
    """Returns the variance of sum(x) / sum(n), with units as clusters (delta method)."""
    rest = x - float(x.sum() / n.sum()) * n
    count = len(n)
    return float((rest @ rest) / (count - 1) * count / n.sum() ** 2)


def _skewness(x: FloatArray, n: FloatArray) -> float:
    """Returns the skewness of what each unit adds to sum(x) / sum(n); 0 where all are alike."""
    rest = x - float(x.sum() / n.sum()) * n
    square = rest * rest
    spread = sqrt(float(square.mean()))
    return float(rest @ square) / len(rest) / spread**3 if spread else 0.0


def _too_few(units: int) -> str | None:
    return f"{units} of the {LEAST_UNITS} units needed" if units < LEAST_UNITS else None


def _reach(one: float, other: float) -> float:
    return sqrt(max(0.0, one) ** 2 + max(0.0, other) ** 2)


def _exp(value: float) -> float:
    return exp(max(-700.0, min(value, 700.0)))
