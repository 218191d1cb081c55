"""Costs and latencies with the tails that they have in service.

- Cases differ (lognormal), runs of a case differ again, and both arms share the case's part.
- The ratio of true means, and of true quantiles, is exactly `ratio`.
"""

import numpy as np

CASE_SPREAD = 0.8
RUN_SPREAD = 0.4
OWN_SPREAD = 0.3
"""How far the latency of a case moves with the arm: a changed prompt makes some answers longer."""
RUNAWAY_SHARE = 0.02
RUNAWAY_FACTOR = 30.0


def costs(rng, n, k, ratio, *, runaways=None):
    """Returns mean costs per case of baseline and candidate, shape (n,) each.

    Args:
        rng: the generator.
        n: cases.
        k: runs of each case and arm.
        ratio: candidate over baseline.
        runaways: None; "shared" where 2% of the cases cost 30 times as much in both arms;
            "own" where each arm has 2% of its own; "candidate" where only the candidate has, and
            is cheaper otherwise.
    """
    case = rng.lognormal(0.0, CASE_SPREAD, n)
    if runaways == "shared":
        case = case * _runaways(rng, n)
    arms = [case * rng.lognormal(0.0, RUN_SPREAD, (k, n)).mean(axis=0) for _ in range(2)]
    if runaways == "own":
        arms = [arm * _runaways(rng, n) for arm in arms]
    if runaways == "candidate":
        arms[1] *= _runaways(rng, n) / (1 + RUNAWAY_SHARE * (RUNAWAY_FACTOR - 1))
    return arms[0], ratio * arms[1]


def latencies(rng, n, k, ratio):
    """Returns seconds of every run of baseline and candidate, shape (n, k) each."""
    case = rng.lognormal(0.0, 0.5, (n, 1))
    arms = [
        case * rng.lognormal(0.0, OWN_SPREAD, (n, 1)) * rng.lognormal(0.0, RUN_SPREAD, (n, k))
        for _ in range(2)
    ]
    return arms[0], ratio * arms[1]


def _runaways(rng, n):
    return np.where(rng.random(n) < RUNAWAY_SHARE, RUNAWAY_FACTOR, 1.0)
