"""The simulated suites of the calibration tests.

Cases differ in difficulty (intraclass correlation 0.5, mean 0.8), one in ten changes its difficulty
between the arms without a net effect, and harm falls on few cases. Nothing here uses llmvc.
"""

from dataclasses import dataclass

import numpy as np

MEAN = 0.8
CHURN = 0.1
SCORE_VARIANCE = 0.0225


@dataclass(frozen=True)
class Cell:
    """One design: kind of metric, cases, runs, margin."""

    kind: str
    n: int
    k: int
    margin: float

    def draw(self, rng, drop):
        """Returns case means of baseline and candidate, whose true mean is `drop` lower."""
        difficulty = _difficulty(self.kind, rng, self.n)
        moved = rng.random(self.n) < CHURN
        changed = np.where(moved, _difficulty(self.kind, rng, self.n), difficulty)
        changed = np.where(rng.random(self.n) < drop / MEAN, 0.0, changed)
        return self._answer(rng, difficulty), self._answer(rng, changed)

    def _answer(self, rng, difficulty):
        if self.kind == "binary":
            return rng.binomial(self.k, difficulty) / self.k
        between = SCORE_VARIANCE / 2
        size = (MEAN * (1 - MEAN) - between) / between - 1
        level = np.clip(difficulty, 1e-6, 1 - 1e-6)
        shape = (self.n, self.k)
        runs = rng.beta(
            np.broadcast_to(level[:, None] * size, shape),
            np.broadcast_to((1 - level[:, None]) * size, shape),
        )
        return runs.mean(axis=1)


def _difficulty(kind, rng, n):
    size = 1.0 if kind == "binary" else MEAN * (1 - MEAN) / (SCORE_VARIANCE / 2) - 1
    return rng.beta(MEAN * size, (1 - MEAN) * size, n)
