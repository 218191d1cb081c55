"""From runs to the independent units that a test may count.

- Runs are averaged into one number per case and arm; a run is never an independent observation.
- Cases of one group are added into one unit; a case without a group is a group of its own.
- What is too small to be judged is refused here, with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LEAST_CASES: Final = 20
LEAST_GROUPS: Final = 15


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """One arm of a comparison, reduced to cases.

    Attributes:
        means: mean over runs, shape (cases,).
        noise: variance of that mean, s^2 / k, shape (cases,); NaN where k = 1.
    """

    means: FloatArray
    noise: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Which cases belong together.

    Attributes:
        index: number of each case's group, shape (cases,).
        sizes: cases in each group, shape (groups,).
    """

    index: NDArray[np.intp]
    sizes: NDArray[np.intp]

    @property
    def cases(self) -> int:
        """How many cases there are."""
        return len(self.index)

    @property
    def count(self) -> int:
        """How many groups there are: the units of a test."""
        return len(self.sizes)

    @property
    def alone(self) -> bool:
        """Whether every case is its own group."""
        return self.count == self.cases

    @property
    def effective(self) -> float:
        """The number of equal groups that would tell as much: n^2 / sum(m_g^2); 0 for no case."""
        squares = float(np.square(self.sizes.astype(np.float64)).sum())
        return self.cases**2 / squares if squares else 0.0

    @property
    def stretch(self) -> float:
        """How far unequal sizes widen the support of a unit: G * sum(m_g^2) / n^2, at least 1."""
        return max(1.0, self.count / self.effective) if self.cases else 1.0

    def units(self, values: FloatArray) -> FloatArray:
        """Returns (G / n) * the sum over each group, whose mean is the mean over cases."""
        if self.alone:
            return values
        totals: FloatArray = np.zeros(self.count)
        np.add.at(totals, self.index, values)
        return totals * (self.count / self.cases)

    def refusal(self) -> str | None:
        """Returns why no verdict can rest on so little; None if one can."""
        if self.cases < LEAST_CASES:
            what = "1 case is" if self.cases == 1 else f"{self.cases} cases are"
            return f"{what} too few: at least {LEAST_CASES} are needed"
        if self.effective < LEAST_GROUPS:
            if self.count == 1:
                return f"1 group is too few: at least {LEAST_GROUPS} are needed"
            return (
                f"{self.count} groups count as {self.effective:.1f} equal ones: "
                f"at least {LEAST_GROUPS} are needed"
            )
        return None


def group(labels: Sequence[str | None]) -> Groups:
    """Returns the grouping that the labels describe; None stands for a case alone."""
    numbers: dict[str | int, int] = {}
    index = np.fromiter(
        (
            numbers.setdefault(at if label is None else label, len(numbers))
            for at, label in enumerate(labels)
        ),
        dtype=np.intp,
        count=len(labels),
    )
    return Groups(index, np.bincount(index, minlength=len(numbers)).astype(np.intp))


def reduce_runs(rows: Sequence[Sequence[float]]) -> Arm:
    """Averages the runs of each case; cases may have different numbers of runs, but at least one.

    Args:
        rows: the values of each case's runs, shape (cases, runs of that case).
    """
    repeats = np.fromiter(map(len, rows), dtype=np.intp, count=len(rows))
    if not len(rows):
        return Arm(np.empty(0), np.empty(0))
    flat = np.fromiter(chain.from_iterable(rows), dtype=np.float64)
    starts = np.concatenate(([0], np.cumsum(repeats)[:-1]))
    means = np.add.reduceat(flat, starts) / repeats
    squares = np.add.reduceat(np.square(flat - np.repeat(means, repeats)), starts)
    noise = np.full(len(rows), np.nan)
    np.divide(squares, (repeats - 1) * repeats, out=noise, where=repeats > 1)
    return Arm(means, noise)


def split_variance(values: FloatArray, *arms: Arm) -> tuple[float, float] | None:
    """Splits the variance of per-case values into that between cases and that of repeated runs.

    Args:
        values: one number a case, made from the means of `arms`.
        arms: the one or two arms behind it.

    Returns:
        `(var_case, var_run)` (statistics.md section 2.5), or None with fewer than two cases or
        where no case was repeated in every arm.
    """
    noise = np.sum([arm.noise for arm in arms], axis=0)
    known = noise[np.isfinite(noise)]
    if len(values) < 2 or not len(known):
        return None
    var_run = float(known.mean())
    return max(0.0, float(values.var(ddof=1)) - var_run), var_run
