"""Cases that share a document or a conversation: harm that falls on whole groups.

Sizes are equal, or geometric with a mean of 4 and a longest group of 30.
"""

import numpy as np

LEVEL = 0.9
MOVE = 0.05
LONGEST = 30


def draw(rng, groups, drop, *, equal):
    """Returns the scores of baseline and candidate and the group of every case, shape (cases,).

    The cases of a harmed group fall from 0.9 to 0; those of another move by up to 0.05 with their
    group, and by up to 0.05 alone. The true mean difference is `-drop`.

    Args:
        rng: the generator.
        groups: how many there are.
        drop: the true drop, at most 0.9.
        equal: whether all groups have 5 cases.
    """
    sizes = np.full(groups, 5) if equal else np.minimum(rng.geometric(0.25, groups), LONGEST)
    index = np.repeat(np.arange(groups), sizes)
    harmed = rng.random(groups) < drop / LEVEL
    moved = rng.uniform(-MOVE, MOVE, groups)[index] + rng.uniform(-MOVE, MOVE, len(index))
    return np.full(len(index), LEVEL), np.where(harmed[index], 0.0, LEVEL + moved), index
