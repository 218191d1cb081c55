"""Other worlds than section 4's, in which a test tuned to one generator would show its weakness.

- Every world draws case differences of shape (replications, cases) with a true mean of `-drop`.
- They are those of statistics.md section 0: difficulties at both ends, most scores at 1, mostly
  ties, rare severe harm, unequal repeats, correlated arms, rubric points, and many small losses
  under a few large gains, the case for the variance guard.
"""

from dataclasses import dataclass

import numpy as np

RARE = 0.03
TIES = 0.95
RUBRIC = (0.02, 0.05, 0.13, 0.30, 0.50)
GAINERS = 0.04


@dataclass(frozen=True)
class World:
    """One design in one of the worlds, by name."""

    name: str
    n: int
    margin: float
    k: int = 1

    def __str__(self) -> str:
        return f"{self.name}, n={self.n}"

    def differences(self, rng, drop, size):
        """Returns candidate minus baseline per case, whose true mean is `-drop`."""
        return DRAWS[self.name](rng, drop, (size, self.n), self.k)


def extremes(rng, drop, shape, k):
    """Draws difficulties at both ends (Beta(0.3, 0.3)); one case in ten draws a new one."""
    hard = rng.beta(0.3, 0.3, shape)
    changed = np.where(rng.random(shape) < 0.1, rng.beta(0.3, 0.3, shape), hard)
    changed = np.where(rng.random(shape) < drop / 0.5, 0.0, changed)
    return (rng.binomial(k, changed) - rng.binomial(k, hard)) / k


def nearly_perfect(rng, drop, shape, k):
    """Draws scores of which 90% are 1 and the others uniform; harmed cases score 0."""
    arms = [
        np.where(rng.random((*shape, k)) < 0.9, 1.0, rng.random((*shape, k))).mean(axis=2)
        for _ in range(2)
    ]
    return np.where(rng.random(shape) < drop / 0.95, 0.0, arms[1]) - arms[0]


def ties(rng, drop, shape, _k):
    """Draws pass or fail that is the same in 95% of the cases."""
    changed = max(1.0 - TIES, drop)
    worse = (changed + drop) / 2
    at = rng.random(shape)
    return np.where(at < worse, -1.0, np.where(at < changed, 1.0, 0.0))


def rare_harm(rng, drop, shape, _k):
    """Draws scores with little noise in which 3% of the cases carry all of the harm."""
    share = max(RARE, drop)
    noise = rng.uniform(-0.02, 0.02, shape)
    return np.where(rng.random(shape) < share, -drop / share, noise)


def unequal_runs(rng, drop, shape, k):
    """Draws pass or fail with 1 to k runs a case, each arm for itself."""
    level = rng.beta(0.8, 0.2, shape)
    changed = np.where(rng.random(shape) < drop / 0.8, 0.0, level)
    runs = [rng.integers(1, k + 1, shape) for _ in range(2)]
    return rng.binomial(runs[1], changed) / runs[1] - rng.binomial(runs[0], level) / runs[0]


def correlated(rng, drop, shape, k):
    """Draws arms that mostly share their luck, as two prompts on one model and seed do."""
    level = rng.beta(0.8, 0.2, shape)
    changed = np.where(rng.random(shape) < drop / 0.8, 0.0, level)
    luck = rng.random((*shape, k))
    own = np.where(rng.random((*shape, k)) < 0.7, luck, rng.random((*shape, k)))
    passes = (own < changed[..., None]).mean(axis=2)
    return passes - (luck < level[..., None]).mean(axis=2)


def rubric(rng, drop, shape, _k):
    """Draws points from 1 to 5; harmed cases fall to the lowest."""
    points = [rng.choice(5, shape, p=RUBRIC) / 4 for _ in range(2)]
    same = rng.random(shape) < 0.7
    after = np.where(same, points[0], points[1])
    mean = float(np.arange(5) @ RUBRIC) / 4
    return np.where(rng.random(shape) < drop / mean, 0.0, after) - points[0]


def small_losses(rng, drop, shape, _k):
    """Draws a small loss in 96% of the cases and the largest gain in the rest."""
    loss = (drop + GAINERS) / (1.0 - GAINERS)
    return np.where(rng.random(shape) < GAINERS, 1.0, -loss)


DRAWS = {
    "difficulty at both ends": extremes,
    "90% of scores at 1": nearly_perfect,
    "95% ties": ties,
    "harm in 3% of cases": rare_harm,
    "unequal runs": unequal_runs,
    "correlated arms": correlated,
    "rubric points": rubric,
    "small losses, few gains": small_losses,
}

WORLDS = tuple(
    World(name, n, margin, k)
    for name, margins, k in (
        ("difficulty at both ends", {30: 0.10, 100: 0.05}, 3),
        ("90% of scores at 1", {30: 0.10, 100: 0.05}, 1),
        ("95% ties", {60: 0.05, 200: 0.03}, 1),
        ("harm in 3% of cases", {100: 0.03, 300: 0.03}, 1),
        ("unequal runs", {30: 0.10, 100: 0.05}, 5),
        ("correlated arms", {30: 0.10, 100: 0.05}, 3),
        ("rubric points", {30: 0.10, 100: 0.05}, 1),
        ("small losses, few gains", {60: 0.05, 100: 0.05}, 1),
    )
    for n, margin in margins.items()
)
