"""What a judge's scores are worth: correcting them by human labels, and noticing a changed judge.

- A judge's errors shrink or fake differences between arms; human labels on both arms' answers to
  some of the cases correct for that, and the judge's scores of the other cases add precision.
- The correction counts its own uncertainty as the EL-score test does, so that few disagreements
  among the labelled cases never look like certainty.
- Below 100 labels the correction is not trusted: the human labels alone are tested.
- Anchors are frozen answers judged again; a judge that scores them otherwise has drifted. Verdicts
  that flip tell that sooner than the mean score: flips in both directions do not cancel out, and
  where many go one way they are many all the same.
- Judges that err together are worth fewer votes than there are judges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import copysign, inf, log, log1p, sqrt
from typing import Final

import numpy as np

from llmvc.stats.paired import Sample, ScoreTest, el_score, evaluate, unusable
from llmvc.stats.roots import crossing
from llmvc.stats.samples import LEAST_CASES, FloatArray

LEAST_LABELS: Final = 100
"""Labelled cases from which on the judge's scores are used besides."""
FLIP_ALPHA: Final = 0.05
LEAST_NOISE: Final = 0.02
"""No judge is taken to be steadier than this: few repeats cannot show it."""
_LEAST_OTHERS: Final = 2
_AT: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Corrected:
    """The test of a judged difference, corrected by human labels.

    Attributes:
        test: the test; its `n` counts the labelled cases.
        judged: the mean difference as the judge reports it; None where `test` has a reason.
        weight: how far the judge's scores of the other cases count, in [0, 1]; None where the
            human labels were tested alone.
    """

    test: ScoreTest
    judged: float | None = None
    weight: float | None = None


def corrected(
    human: Sequence[float | None],
    judged: FloatArray,
    *,
    margin: float | None = None,
    alpha: float = 0.05,
) -> Corrected:
    """Tests the mean difference that people see, with the judge's help.

    Args:
        human: difference by human labels of both arms, candidate minus baseline, one a case, in
            [-1, 1]; None for a case without labels. The labelled cases are a random choice.
        judged: the judge's difference, shape (cases,), in [-1, 1].
        margin: the largest drop that may pass, in (0, 1); None tests no margin.
        alpha: one-sided level; the interval has level 1 - 2 * alpha.

    Returns:
        The test with n - 1 degrees of freedom for n labelled cases; undefined for fewer than 20.

    Source: A. N. Angelopoulos, J. C. Duchi and T. Zrnic, PPI++ (arXiv 2311.01453), for the estimate
    and its weight; the variance of the labelled part is that of the EL-score test instead.
    """
    labelled = np.array([value is not None for value in human], dtype=np.bool_)
    labels = np.array([value for value in human if value is not None], dtype=np.float64)
    n = len(labels)
    reason: str | None = unusable(labels, -1.0, 1.0) or unusable(judged, -1.0, 1.0)
    if n < LEAST_CASES:
        reason = f"{n} labelled cases are too few: at least {LEAST_CASES} are needed"
    if reason:
        return Corrected(ScoreTest(n, alpha, reason=reason))
    mean, others = float(judged.mean()), judged[~labelled]
    if n < LEAST_LABELS or len(others) < _LEAST_OTHERS:
        return Corrected(el_score(labels, margin=margin, alpha=alpha), mean)
    weight = _weight(labels, judged[labelled], others)
    rest = labels - weight * judged[labelled]
    evidence = _Mixed(
        rest=Sample.of(rest, low=-1.0 - weight, high=1.0 + weight),
        shift=weight * float(others.mean()),
        variance=weight * weight * float(others.var(ddof=1)) / len(others),
    )
    return Corrected(evaluate(evidence, margin=margin, alpha=alpha), mean, weight)


@dataclass(frozen=True, slots=True)
class Flips:
    """Whether more verdicts on the anchors flipped than the judge's own noise explains.

    Attributes:
        n: anchors judged again.
        flips: how many got another verdict.
        alarm: the least number that is too many; n + 1 if none is.
        p: chance of so many or more if the judge is what it was.
    """

    n: int
    flips: int
    alarm: int
    p: float


def flip_test(flips: int, n: int, noise: float, *, alpha: float = FLIP_ALPHA) -> Flips:
    """Tests flipped verdicts by the exact one-sided binomial test.

    Args:
        flips: anchors with another verdict than at calibration.
        n: anchors judged again.
        noise: how often a judge that has not changed flips, in [0, 0.5]; at least 0.02 is taken.
        alpha: the chance of an alarm for such a judge is at most this.
    """
    rate = max(noise, LEAST_NOISE)
    at = np.arange(n)
    # In logarithms: the chance of no flip at all is below the least number for many anchors.
    steps = np.log((n - at) / (at + 1.0)) + log(rate / (1.0 - rate))
    chances = np.exp(n * log1p(-rate) + np.concatenate([[0.0], np.cumsum(steps)]))
    tails = np.append(np.cumsum(chances[::-1])[::-1], 0.0)
    alarm = int(np.argmax(tails <= alpha))
    return Flips(n, flips, alarm, min(1.0, float(tails[flips])))


def effective_votes(errors: FloatArray) -> float | None:
    """Returns how many independent judges a panel is worth: k / (1 + (k - 1) r).

    Args:
        errors: 1 where a judge errs, 0 where it does not, shape (judges, anchors).

    Returns:
        The number, in [1, k], with r the mean correlation of the errors of two judges, at least 0;
        None where fewer than two judges err on some anchors and not on others.
    """
    telling = errors[errors.std(axis=1) > 0] if errors.size else errors[:0]
    k = len(telling)
    if k < _LEAST_OTHERS:
        return None
    together = (float(np.corrcoef(telling).sum()) - k) / (k * (k - 1))
    return k / (1.0 + (k - 1) * max(0.0, together))


@dataclass(frozen=True, slots=True, eq=False)
class _Mixed:
    """The evidence of labelled and other cases together.

    Attributes:
        rest: what the judge leaves to the people, y - weight * f over the labelled cases.
        shift: weight * the mean of f over the other cases.
        variance: the variance of `shift`.
    """

    rest: Sample
    shift: float
    variance: float

    @property
    def n(self) -> int:
        """Labelled cases."""
        return self.rest.n

    @property
    def mean(self) -> float:
        """The estimate, cut at the ends of the support."""
        return max(-1.0, min(self._center, 1.0))

    def score(self, m: float) -> float:
        """Returns the statistic for the mean `m`."""
        return self._statistic(m, 0.0)

    def guarded(self, m: float) -> float:
        """Returns the statistic with the variance of the labelled part at least as observed."""
        return self._statistic(m, self.rest.variance)

    def interval(self, critical: float) -> tuple[float, float]:
        """Returns the means whose deciding statistic is within `critical` of 0."""
        center, inset = self._center, 1e-9
        left, right = self.rest.low + self.shift + inset, self.rest.high + self.shift - inset
        low, high = -1.0, 1.0
        if left < center and self.guarded(left) > critical:
            low = crossing(lambda m: self.guarded(m) - critical, left, center)
        if right > center and self.guarded(right) < -critical:
            high = crossing(lambda m: self.guarded(m) + critical, center, right)
        return min(1.0, max(-1.0, low)), max(-1.0, min(1.0, high))

    @property
    def _center(self) -> float:
        return self.rest.mean + self.shift

    def _statistic(self, m: float, least: float) -> float:
        gap, place = self._center - m, m - self.shift
        if abs(gap) <= _AT:
            return 0.0
        if not self.rest.low < place < self.rest.high:
            return copysign(inf, gap)
        variance = max(self.rest.variance_at(place), least)
        return gap / sqrt(self.variance + variance / self.n)


def _weight(labels: FloatArray, judged: FloatArray, others: FloatArray) -> float:
    """Returns the weight of the judge's scores that makes the variance least (as in PPI++)."""
    spread = float(np.concatenate([judged, others]).var(ddof=1))
    if not spread:
        return 0.0
    common = float(np.mean((labels - labels.mean()) * (judged - judged.mean())))
    return min(1.0, max(0.0, common / ((1.0 + len(labels) / len(others)) * spread)))
