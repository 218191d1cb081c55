"""What other gates do with the same answers, for comparison: none of it is in llmvc.

Each method takes answers of shape (replications, cases, runs) and returns a 90% interval of the
difference for every replication, (low, high), each of shape (replications,). The threshold has no
interval: its low and high are both the difference of the first runs.
"""

import numpy as np
from scipy.special import stdtrit

Z = 1.6448536269514722
RESAMPLES = 1000


def threshold(_rng, baseline, candidate):
    """Compares the means of one run of each arm, as if they were known exactly."""
    difference = (candidate[:, :, 0] - baseline[:, :, 0]).mean(axis=1)
    return difference, difference


def unpaired_z(_rng, baseline, candidate):
    """Compares two independent samples in which every run counts as a case."""
    answers = [arm.reshape(len(arm), -1) for arm in (baseline, candidate)]
    error = np.sqrt(sum(arm.var(axis=1, ddof=1) / arm.shape[1] for arm in answers))
    return _around(answers[1].mean(axis=1) - answers[0].mean(axis=1), Z * error)


def iid_runs(_rng, baseline, candidate):
    """Pairs the arms, and counts every run as a case."""
    difference = (candidate - baseline).reshape(len(baseline), -1)
    error = difference.std(axis=1, ddof=1) / np.sqrt(difference.shape[1])
    return _around(difference.mean(axis=1), Z * error)


def paired_t(_rng, baseline, candidate):
    """Student's t on one difference per case."""
    d = (candidate - baseline).mean(axis=2)
    n = d.shape[1]
    error = d.std(axis=1, ddof=1) / np.sqrt(n)
    return _around(d.mean(axis=1), float(stdtrit(n - 1, 0.95)) * error)


def bootstrap(rng, baseline, candidate):
    """The percentile bootstrap over cases, 1,000 resamples."""
    d = (candidate - baseline).mean(axis=2)
    n = d.shape[1]
    bounds = [
        np.quantile(row[rng.integers(0, n, (RESAMPLES, n))].mean(axis=1), (0.05, 0.95)) for row in d
    ]
    return tuple(np.array(bounds).T)


METHODS = {
    "single-run threshold": threshold,
    "unpaired z over runs": unpaired_z,
    "paired z over runs": iid_runs,
    "paired t": paired_t,
    "percentile bootstrap": bootstrap,
}


def cost(baseline, candidate):
    """Returns a 90% interval of the ratio of total costs: delta method on the logarithm, no guard.

    Args:
        baseline: mean cost of each case, shape (cases,).
        candidate: the same cases.
    """
    means = baseline.mean(), candidate.mean()
    errors = candidate / means[1] - baseline / means[0]
    half = float(stdtrit(len(errors) - 1, 0.95)) * errors.std(ddof=1) / np.sqrt(len(errors))
    return tuple(means[1] / means[0] * np.exp([-half, half]))


def _around(middle, half):
    return middle - half, middle + half
