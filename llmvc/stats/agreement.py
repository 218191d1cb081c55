"""How far a judge agrees with people, and with itself.

- Shares have the interval of Clopper and Pearson; coefficients have one from resampled cases.
- Agreement by chance is taken off in three ways, as each misleads somewhere: Cohen's kappa is low
  where nearly all answers are good, Gwet's AC1 is not; Krippendorff's alpha takes several raters
  and missing labels.
- Whatever has no meaning, such as agreement on answers that are all good, is None with a reason.
- All intervals have level 1 - 2 * alpha, 90% unless told otherwise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean
from typing import Final, Literal

import numpy as np

from llmvc.stats import events
from llmvc.stats.paired import el_mean, el_score
from llmvc.stats.samples import FloatArray

RESAMPLES: Final = 2000
_TWO: Final = 2

Metric = Literal["nominal", "ordinal"]
Weighing = Callable[[FloatArray], FloatArray]
"""From weights, shape (resamples, cases), to one value a resample; NaN where it has none."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its interval; None, with a reason, where it cannot be told."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


def share(flags: Sequence[bool], *, alpha: float = 0.05) -> Figure:
    """Returns how many of the flags are set, with Clopper and Pearson's bounds."""
    found = events.rate(flags, alpha=alpha)
    return Figure(found.rate, found.low, found.high, found.reason)


def balanced(sensitivity: Figure, specificity: Figure) -> Figure:
    """Returns the mean of sensitivity and specificity: 0.5 for any rule that ignores the answer.

    Its bounds combine theirs (MOVER: G. Y. Zou and A. Donner, Statistics in Medicine 27, 2008), so
    that `low` is a one-sided bound at their level.
    """
    parts = (sensitivity, specificity)
    if any(part.value is None for part in parts):
        return Figure(reason="it takes answers that people find good, and ones that they find bad")
    value = sum(part.value or 0.0 for part in parts) / 2
    down = sqrt(sum(((part.value or 0.0) - (part.low or 0.0)) ** 2 for part in parts)) / 2
    up = sqrt(sum(((part.high or 0.0) - (part.value or 0.0)) ** 2 for part in parts)) / 2
    return Figure(value, max(0.0, value - down), min(1.0, value + up))


def kappa(
    one: Sequence[float], other: Sequence[float], *, seed: int = 0, alpha: float = 0.05
) -> Figure:
    """Returns Cohen's kappa of two raters, with squared distances for weights.

    For two grades it is the plain one (J. Cohen, Psychological Bulletin 70, 1968).

    Args:
        one: one rater's scores, one a case.
        other: the other's.
        seed: of the resampling of cases.
        alpha: one-sided level of each bound.
    """
    x, y = np.array(one, dtype=np.float64), np.array(other, dtype=np.float64)
    columns = np.stack([x, y, x * x, y * y, np.square(x - y)], axis=1)

    def weigh(weights: FloatArray) -> FloatArray:
        mx, my, xx, yy, apart = (weights @ columns).T / len(x)
        by_chance = (xx - mx * mx) + (yy - my * my) + np.square(mx - my)
        return 1.0 - _over(apart, by_chance)

    return _resampled(len(x), weigh, seed=seed, alpha=alpha)


def ac1(
    one: Sequence[int],
    other: Sequence[int],
    categories: int,
    *,
    seed: int = 0,
    alpha: float = 0.05,
) -> Figure:
    """Returns Gwet's AC1 of two raters.

    K. L. Gwet, British Journal of Mathematical and Statistical Psychology 61 (2008), 29-48.

    Args:
        one: one rater's categories, from 0, one a case.
        other: the other's.
        categories: how many there are to choose from, at least 2.
        seed: of the resampling of cases.
        alpha: one-sided level of each bound.
    """
    x, y = np.array(one, dtype=np.intp), np.array(other, dtype=np.intp)
    chosen = (np.eye(categories)[x] + np.eye(categories)[y]) / 2
    columns = np.column_stack([(x == y).astype(np.float64), chosen])

    def weigh(weights: FloatArray) -> FloatArray:
        means = (weights @ columns).T / len(x)
        by_chance = (means[1:] * (1.0 - means[1:])).sum(axis=0) / (categories - 1)
        return _over(means[0] - by_chance, 1.0 - by_chance)

    return _resampled(len(x), weigh, seed=seed, alpha=alpha)


def alpha_of(
    ratings: Sequence[Sequence[int]],
    categories: int,
    *,
    metric: Metric = "nominal",
    seed: int = 0,
    alpha: float = 0.05,
) -> Figure:
    """Returns Krippendorff's alpha of several raters, of whom each need not rate every case.

    K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011).

    Args:
        ratings: the categories given to each case, from 0; cases with fewer than two say nothing.
        categories: how many there are to choose from.
        metric: whether a distance counts by the cases between two categories (`ordinal`).
        seed: of the resampling of cases.
        alpha: one-sided level of each bound.
    """
    paired = [case for case in ratings if len(case) >= _TWO]
    pairs = np.zeros((len(paired), categories, categories))
    for at, case in enumerate(paired):
        counts = np.bincount(np.array(case, dtype=np.intp), minlength=categories).astype(np.float64)
        pairs[at] = (np.outer(counts, counts) - np.diag(counts)) / (len(case) - 1)
    flat = pairs.reshape(len(paired), categories**2)

    def weigh(weights: FloatArray) -> FloatArray:
        seen = (weights @ flat).reshape(-1, categories, categories)
        totals = seen.sum(axis=2)
        far = _distances(totals, metric)
        expected = totals[:, :, None] * totals[:, None, :]
        apart = (seen * far).sum(axis=(1, 2))
        by_chance = (expected * far).sum(axis=(1, 2))
        agreed: FloatArray = 1.0 - (totals.sum(axis=1) - 1.0) * _over(apart, by_chance)
        return agreed

    return _resampled(len(paired), weigh, seed=seed, alpha=alpha)


def self_noise(repeats: Sequence[Sequence[int]], *, alpha: float = 0.05) -> Figure:
    """Returns how often a judge's verdict differs from its usual one on the same answer.

    Two verdicts on one answer differ with probability q; then one more differs from two that agree
    with probability q / 2 / (1 - q), where the answers differ in how clear they are too.

    Args:
        repeats: the verdicts on each answer; those with fewer than two say nothing.
        alpha: one-sided level of each bound.
    """
    apart = [
        sum(a != b for at, a in enumerate(case) for b in case[:at])
        / (len(case) * (len(case) - 1) / 2)
        for case in repeats
        if len(case) >= _TWO
    ]
    test = el_mean(np.array(apart, dtype=np.float64), alpha=alpha)
    if test.estimate is None or test.low is None or test.high is None:
        return Figure(reason="fewer than two answers were judged twice")
    return Figure(_noise(test.estimate), _noise(test.low), _noise(test.high))


def slope(
    error: Sequence[float], length: Sequence[float], *, seed: int = 0, alpha: float = 0.05
) -> Figure:
    """Returns by how much a judge's error grows with one standard deviation of length.

    Args:
        error: the judge's score minus people's, one a case.
        length: the answer's length, or how much longer than the other of a pair it is.
        seed: of the resampling of cases.
        alpha: one-sided level of each bound.
    """
    y, x = np.array(error, dtype=np.float64), np.array(length, dtype=np.float64)
    spread = float(x.std()) if len(x) else 0.0
    if not spread:
        return Figure(reason="the answers do not differ in length")
    x = x / spread
    columns = np.stack([x, y, x * x, x * y], axis=1)

    def weigh(weights: FloatArray) -> FloatArray:
        mx, my, xx, xy = (weights @ columns).T / len(x)
        return _over(xy - mx * my, xx - mx * mx)

    return _resampled(len(x), weigh, seed=seed, alpha=alpha)


def excess(error: Sequence[float], *, alpha: float = 0.05) -> Figure:
    """Returns by how much a judge's scores exceed people's on average, in [-1, 1].

    Args:
        error: the judge's score minus people's, one a case.
        alpha: one-sided level of each bound.
    """
    test = el_score(np.array(error, dtype=np.float64), alpha=alpha)
    return Figure(fmean(error) if error else None, test.low, test.high, test.reason)


def _noise(q: float) -> float:
    return min(0.5, q / 2 / (1.0 - q)) if q < 1 else 0.5


def _distances(totals: FloatArray, metric: Metric) -> FloatArray:
    """Returns the squared distance of every two categories, shape (resamples, q, q)."""
    categories = totals.shape[1]
    if metric == "nominal":
        return np.broadcast_to(1.0 - np.eye(categories), (len(totals), categories, categories))
    # The cases up to the middle of a category; between two middles lie those that count.
    middle = totals.cumsum(axis=1) - totals / 2
    return np.square(middle[:, :, None] - middle[:, None, :])


def _over(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """Returns the ratio, NaN where the divisor is nothing but rounding noise."""
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 1e-12)


def _resampled(n: int, weigh: Weighing, *, seed: int, alpha: float) -> Figure:
    """Returns a coefficient with the percentiles of its values on resampled cases."""
    if n < _TWO:
        return Figure(reason="fewer than two answers were rated twice")
    value = float(weigh(np.ones((1, n)))[0])
    if np.isnan(value):
        return Figure(reason="all ratings are the same: nothing could be disagreed on")
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n, np.full(n, 1.0 / n), size=RESAMPLES)
    found = weigh(weights.astype(np.float64))
    found = found[np.isfinite(found)]
    if not len(found) or float(np.ptp(found)) <= 1e-12:
        return Figure(value, reason="no resample differs: there is no interval")
    low, high = np.quantile(found, [alpha, 1.0 - alpha])
    return Figure(value, float(low), float(high))
