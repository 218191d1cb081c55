"""The verdicts of `llmvc.stats.compare` on simulated costs, latencies and groups.

A figure is how often it passes, fails, and says inconclusive.
"""

from dataclasses import dataclass

import numpy as np

from llmvc.stats import compare
from llmvc.stats.quantile import quantile_ratio
from llmvc.stats.samples import group
from tests.stats.simulations import grouped, money, naive, rates


@dataclass(frozen=True)
class Verdicts:
    """Shares of replications by verdict, and of the naive method's passes beside them."""

    passes: float
    fails: float
    naive_passes: float
    replications: int


def costs(n, ratio, *, replications, seed, runaways=None, limit=1.1):
    """Judges costs of 3 runs a case whose true ratio is `ratio`."""
    rng, counts = np.random.default_rng(seed), np.zeros(3)
    for _ in range(replications):
        baseline, candidate = money.costs(rng, n, 3, ratio, runaways=runaways)
        found = compare(baseline, candidate, margin=limit - 1, kind="cost")
        plain = naive.cost(baseline, candidate)[1] < limit
        counts += (found.verdict == "pass", found.verdict == "fail", plain)
    return Verdicts(*(counts / replications).tolist(), replications)


def latencies(n, ratio, *, replications, seed, q=0.5, limit=1.2, resamples=1000):
    """Judges a quantile of latencies of 5 runs a case whose true ratio is `ratio`.

    The naive method compares the two quantiles as if they were known exactly.
    """
    rng, counts, alone = np.random.default_rng(seed), np.zeros(3), group([None] * n)
    for at in range(replications):
        baseline, candidate = money.latencies(rng, n, 5, ratio)
        rows = candidate.tolist(), baseline.tolist()
        found = quantile_ratio(*rows, alone, q=q, limit=limit, seed=at, resamples=resamples)
        plain = np.quantile(candidate, q) < limit * np.quantile(baseline, q)
        p_pass, p_fail = (1.0 if p is None else p for p in (found.p_pass, found.p_fail))
        counts += (p_pass < rates.ALPHA, p_fail < rates.ALPHA, plain)
    return Verdicts(*(counts / replications).tolist(), replications)


def groups(count, drop, *, replications, seed, equal=False, margin=0.08):
    """Judges scores in groups whose true mean drop is `drop`; the naive method ignores them."""
    rng, counts = np.random.default_rng(seed), np.zeros(3)
    for _ in range(replications):
        baseline, candidate, index = grouped.draw(rng, count, drop, equal=equal)
        found = compare(baseline, candidate, margin=margin, groups=index.tolist())
        plain = rates.judge(candidate - baseline, margin, drop)[0]
        counts += (found.verdict == "pass", found.verdict == "fail", plain)
    return Verdicts(*(counts / replications).tolist(), replications)
