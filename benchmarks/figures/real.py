"""Goal 6: real paired outcomes, resampled.

The answers are the 4,500 that the project records of two small models (examples/support). The
outcomes that the design names, of other people's evals, are in no package registry.
"""

from itertools import permutations
from typing import Any

import numpy as np

from benchmarks.figures.lab import Figure, Job, Lab, at_least, at_most
from llmvc.stats.paired import Sample, student_quantile
from tests.stats.simulations import rates, recorded

LEAST_COVERAGE, WORST_PAIR, MOST_BLOCKS = 0.89, 0.09, 0.07
SIZES = ((30, 1), (30, 3), (100, 1), (100, 3))
HALVES = tuple((n, runs) for n in (30, 100, 300) for runs in ((1, 1), (1, 2), (2, 1)))


def goal_6(lab: Lab) -> list[Figure]:
    """Measures coverage and false passes over all pairs, and blocks of a bundle by itself."""
    pairs = list(permutations(recorded.BUNDLES, 2))
    figures: list[Figure] = []
    for n, k in SIZES:
        jobs: list[Job] = [(pair, (old, new, n, k), {}) for old, new in pairs]
        name = f"pairs {n} {k}"
        found = lab.run(name, jobs, times=0.25)
        covers = float(np.mean([rate.covers for rate in found]))
        error = rates.error(covers, sum(rate.replications for rate in found))
        worst = lab.worst(name, jobs, found, _passes)
        figures += [
            at_least(
                "6", f"coverage, mean of 20 pairs, n={n}, k={k}", LEAST_COVERAGE, covers, error
            ),
            at_most(
                "6",
                f"false pass, worst of 20 pairs, n={n}, k={k} ({' to '.join(worst[0][1][:2])})",
                WORST_PAIR,
                *worst[1:],
            ),
        ]
    same: list[Job] = [
        (itself, (name, n, runs), {}) for n, runs in HALVES for name in recorded.BUNDLES
    ]
    found = lab.run("halves", same, times=0.5)
    worst = lab.worst("halves", same, found, _fails)
    name, n, runs = worst[0][1]
    what = f"fail of a bundle against itself, worst of {len(same)} ({name}, n={n}, runs {runs})"
    return [*figures, at_most("6", what, MOST_BLOCKS, *worst[1:])]


def pair(old: str, new: str, n: int, k: int, *, seed: Any, replications: int) -> rates.Rates:
    """Compares two bundles on samples of the cases; a false pass is one at the true difference."""
    scores = recorded.outcomes()
    truth = float(scores[new].mean() - scores[old].mean())
    rng, critical = np.random.default_rng(seed), student_quantile(0.95, n - 1)
    arms = recorded.resampled(rng, scores[old], scores[new], n=n, k=k, size=replications)
    t = np.array([Sample.of(d).guarded(truth) for d in arms[1] - arms[0]])
    passes, fails, covers = t > critical, t < -critical, abs(t) <= critical
    return rates.Rates(
        float(passes.mean()), float(fails.mean()), float(covers.mean()), replications
    )


def itself(
    name: str, n: int, runs: tuple[int, int], *, seed: Any, replications: int
) -> rates.Rates:
    """Compares different runs of one bundle."""
    rng, scores = np.random.default_rng(seed), recorded.outcomes()[name]
    arms = recorded.halves(rng, scores, n=n, runs=runs, size=replications)
    found = np.mean([rates.judge(d, 0.1, 0.0) for d in arms[1] - arms[0]], axis=0)
    passes, fails, covers = (float(share) for share in found)
    return rates.Rates(passes, fails, covers, replications)


def _passes(found: rates.Rates) -> float:
    return found.passes


def _fails(found: rates.Rates) -> float:
    return found.fails
