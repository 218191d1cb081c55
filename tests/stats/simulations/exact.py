"""The worst case without any simulation: all distributions on two values, error rates summed up.

A sample of n cases from two values is described by how often the larger one occurs, so the rate of
false passes is a finite sum. The search goes over pairs of values on a grid.
"""

from math import lgamma

import numpy as np

from llmvc.stats.paired import Sample, student_quantile

NEGLIGIBLE = 1e-9


def worst(n, margin, *, grid=24, guarded=True, alpha=0.05):
    """Returns the largest rate of false passes at a true drop of `margin`, and its two values.

    A margin of almost 0 gives, mirrored, the largest rate of false fails.
    """
    critical = student_quantile(1 - alpha, n - 1)
    found = (0.0, 0.0, 0.0)
    for low in np.linspace(-1, -margin - 1e-3, grid):
        for high in np.linspace(-margin + 1e-3, 1, grid):
            rate = false_passes(n, margin, float(low), float(high), critical, guarded=guarded)
            found = max(found, (rate, float(low), float(high)))
    return found


def false_passes(n, margin, low, high, critical, *, guarded):
    """Returns the rate of false passes where differences are `low` or `high`, mean `-margin`."""
    share = (-margin - low) / (high - low)
    total = 0.0
    for count in range(n + 1):
        chance = np.exp(
            lgamma(n + 1)
            - lgamma(count + 1)
            - lgamma(n - count + 1)
            + count * np.log(share)
            + (n - count) * np.log1p(-share)
        )
        if chance < NEGLIGIBLE or low * (n - count) + high * count <= -margin * n:
            continue
        sample = Sample.of(np.repeat([low, high], [n - count, count]))
        statistic = sample.guarded if guarded else sample.score
        total += float(chance) * (statistic(-margin) > critical)
    return total
