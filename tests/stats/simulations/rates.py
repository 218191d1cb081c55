"""How often a method errs: counts over seeded replications, and the bands that tests accept.

- A replication asks three things of one sample: does it pass at the margin, does it fail at no
  change, does its 90% interval hold the true difference.
- The gate's own answers come from the statistic that decides, `Sample.guarded`; that its interval
  agrees with it is a law of its own (tests/stats/test_paired.py).
- The same seed gives the same counts.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import bdtrik

from llmvc.stats.paired import RatioSample, Sample, student_quantile
from tests.stats.simulations import naive

ALPHA = 0.05
BATCH = 250
TESTS = {"score": Sample, "ratio": RatioSample}


@dataclass(frozen=True)
class Rates:
    """Shares of replications that passed, failed, and covered the truth."""

    passes: float
    fails: float
    covers: float
    replications: int


def gate(design, drop, replications, seed, *, test="score", **options):
    """Returns the gate's rates on a simulated suite whose true difference is -drop.

    Args:
        design: has `n`, `margin` and `differences(rng, drop, size, **options)`.
        drop: the true drop.
        replications: how many suites are drawn.
        seed: of the generator.
        test: "score", or "ratio" for the empirical likelihood ratio.
        options: for the draws.
    """
    rng, counts = np.random.default_rng(seed), np.zeros(3)
    for size in _sizes(replications):
        drawn = design.differences(rng, drop, size, **options)
        counts += np.sum([judge(d, design.margin, drop, test=test) for d in drawn], axis=0)
    return Rates(*(counts / replications).tolist(), replications)


def others(names, cell, drop, replications, seed, **options):
    """Returns the rates of naive methods by name, all on the same draws; see `gate`."""
    rng, counts = np.random.default_rng(seed), {name: np.zeros(3) for name in names}
    for size in _sizes(replications):
        arms = cell.draw(rng, drop, size, **options)
        for name in names:
            method = naive.METHODS[name]
            low, high = method(rng, *arms)
            # A threshold knows no interval: what does not pass, fails.
            fails = high < (-cell.margin if method is naive.threshold else 0)
            covers = (low <= -drop) & (high >= -drop)
            counts[name] += ((low > -cell.margin).sum(), fails.sum(), covers.sum())
    return {
        name: Rates(*(count / replications).tolist(), replications)
        for name, count in counts.items()
    }


def judge(d, margin, drop, *, test="score"):
    """Returns whether one sample passes, fails, and covers the true difference."""
    sample = TESTS[test].of(d)
    critical = student_quantile(1.0 - ALPHA, len(d) - 1)
    statistic = {m: sample.guarded(m) for m in {-margin, 0.0, -drop}}
    return (
        statistic[-margin] > critical,
        statistic[0.0] < -critical,
        abs(statistic[-drop]) <= critical,
    )


def error(rate, replications):
    """Returns the standard error of a simulated rate; of 1 in `replications` where it is 0 or 1."""
    rate = min(max(rate, 1 / replications), 1 - 1 / replications)
    return sqrt(rate * (1 - rate) / replications)


def at_most(rate, replications, confidence=0.999):
    """Returns the largest simulated rate that a true rate of `rate` leaves credible.

    It is the binomial quantile at `confidence`, as a share: a correct program exceeds it once in a
    thousand seeds.
    """
    return float(np.ceil(bdtrik(confidence, replications, rate))) / replications


def at_least(rate, replications, confidence=0.999):
    """Returns the smallest simulated rate that a true rate of `rate` leaves credible."""
    return 1.0 - at_most(1.0 - rate, replications, confidence)


def _sizes(replications):
    """Splits replications into batches, to keep memory small."""
    return [min(BATCH, replications - start) for start in range(0, replications, BATCH)]
