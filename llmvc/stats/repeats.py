"""What repeated runs of the same cases say by themselves: flakiness, change, this suite alone.

- Everything here takes cases with different numbers of runs.
- Nothing here gates: "something changed" is also true where losses and gains cancel, and the
  interval for these cases alone says nothing about other cases.
- Relabelling happens inside a case only, so that easy and hard cases are never mixed.
"""

from collections.abc import Iterator, Sequence
from math import ceil, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llmvc.stats.samples import Arm, FloatArray

_BATCHES: Final = 400
_CLOSE: Final = 1e-9

Rows = Sequence[Sequence[float]]


def pass_k(passes: Sequence[int], runs: Sequence[int], r: int) -> FloatArray:
    """Returns the chance that `r` runs of a case all pass, estimated without bias, shape (cases,).

    C(s, r) / C(k, r), the share of the sets of r runs in which every run passed (S. Yao et al.,
    tau-bench, arXiv:2406.12045, section 4).

    Args:
        passes: runs of each case that passed, s.
        runs: runs of each case, k, at least `r`.
        r: runs that must all pass, at least 1.

    Raises:
        ValueError: a case has fewer than `r` runs, which has no unbiased estimate.
    """
    s, k = np.asarray(passes, dtype=np.float64), np.asarray(runs, dtype=np.float64)
    if r < 1 or (k < r).any():
        raise ValueError(f"{r} runs cannot be drawn from every case")
    chance: FloatArray = np.ones(len(k))
    for drawn in range(r):
        chance *= np.maximum(s - drawn, 0.0) / (k - drawn)
    return chance


def changed(
    candidate: Rows, baseline: Rows, *, seed: int = 0, permutations: int = 999
) -> float | None:
    """Returns the p-value of "nothing changed on any case", by relabelling runs within cases.

    The statistic is the sum over cases of the squared difference of the two means. Where there are
    many cases, some of equal shape are relabelled alike: a subgroup of all relabellings, under
    which p stays exact (J. Hemerik and J. Goeman, TEST 27, 2018, theorem 2).

    Args:
        candidate: values of each case's runs, shape (cases, runs of that case).
        baseline: the same cases under the baseline; the numbers of runs may differ.
        seed: of the relabelling.
        permutations: how many; `1 / (permutations + 1)` is the smallest p.

    Returns:
        (1 + relabellings that differ as much or more) / (permutations + 1), or None where no case
        was repeated in both arms, an arm is missing, or a value is no number.
    """
    if len(candidate) != len(baseline):
        return None
    shapes = [(len(ours), len(theirs)) for ours, theirs in zip(candidate, baseline, strict=True)]
    if not any(min(shape) > 1 for shape in shapes) or not all(map(min, shapes)):
        return None
    rng = np.random.default_rng(seed)
    observed, drawn = 0.0, np.zeros(permutations)
    for runs, pooled in _batches(candidate, baseline, shapes):
        k = pooled.shape[1]
        if not np.isfinite(pooled).all():
            return None
        labels = np.tile((np.arange(k) < runs).astype(np.float64), (permutations + 1, 1))
        rng.permuted(labels[1:], axis=1, out=labels[1:])
        # With the pooled mean of each case at 0, the candidate's sum gives the difference.
        centred = pooled - pooled.mean(axis=1, keepdims=True)
        differences = (centred @ labels.T) * (k / (runs * (k - runs)))
        squares = np.square(differences).sum(axis=0)
        observed += float(squares[0])
        drawn += squares[1:]
    as_far = int((drawn >= observed * (1.0 - _CLOSE)).sum())
    return (1 + as_far) / (permutations + 1)


def fixed_suite(
    candidate: Arm, baseline: Arm, *, alpha: float = 0.05
) -> tuple[float, float] | None:
    """Returns the interval of the mean difference on these very cases, rerun with fresh chance.

    It says nothing about other cases, and has no width where all runs of every case agree: a line
    of the report, never a gate (statistics.md section 2.5).

    Args:
        candidate: means and their noise, shape (cases,).
        baseline: the same cases.
        alpha: one-sided level of each bound.

    Returns:
        The bounds, from the normal distribution; None where an arm of a case has fewer than two
        runs, or an arm is missing.
    """
    n = len(candidate.noise)
    if not n or n != len(baseline.noise):
        return None
    noise = candidate.noise + baseline.noise
    if not np.isfinite(noise).all():
        return None
    middle = float((candidate.means - baseline.means).mean())
    half = NormalDist().inv_cdf(1.0 - alpha) * sqrt(float(noise.sum())) / n
    return middle - half, middle + half


def _batches(
    candidate: Rows, baseline: Rows, shapes: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yields runs of the candidate and pooled values, candidate first, of cases of equal shape."""
    size = ceil(len(shapes) / _BATCHES)
    alike: dict[tuple[int, int], list[int]] = {}
    for case, shape in enumerate(shapes):
        alike.setdefault(shape, []).append(case)
    for (runs, _), cases in alike.items():
        for start in range(0, len(cases), size):
            pooled = [[*candidate[case], *baseline[case]] for case in cases[start : start + size]]
            yield runs, np.array(pooled, dtype=np.float64)
