"""The simulated suites of statistics.md section 4: answers of two arms to the same cases.

- Cases differ in difficulty (mean 0.8, intraclass correlation 0.5); one in ten changes its
  difficulty between the arms without a net effect (`churn`); harm falls on few cases, which fail
  for good.
- Every draw is a pair of arrays of shape (replications, cases, runs), baseline first, whose true
  mean difference is exactly `-drop`.
- Nothing here uses llmvc: the suites are the judge of it.
"""

from dataclasses import dataclass

import numpy as np

MEAN = 0.8
CHURN = 0.1
SCORE_VARIANCE = 0.0225
BINARY = {30: 0.10, 100: 0.05, 500: 0.03}
SCORE = {30: 0.08, 100: 0.05, 500: 0.02}


@dataclass(frozen=True)
class Cell:
    """One design: kind of metric, cases, runs, margin."""

    kind: str
    n: int
    k: int
    margin: float

    def __str__(self) -> str:
        return f"{self.kind}, n={self.n}, k={self.k}"

    def draw(self, rng, drop, size, *, churn=CHURN):
        """Returns baseline and candidate; the candidate's true mean is `drop` lower."""
        shape = (size, self.n)
        difficulty = _difficulty(self.kind, rng, shape)
        moved = rng.random(shape) < churn
        changed = np.where(moved, _difficulty(self.kind, rng, shape), difficulty)
        changed = np.where(rng.random(shape) < drop / MEAN, 0.0, changed)
        return self._answers(rng, difficulty), self._answers(rng, changed)

    def differences(self, rng, drop, size, *, churn=CHURN):
        """Returns candidate minus baseline per case, shape (replications, cases)."""
        baseline, candidate = self.draw(rng, drop, size, churn=churn)
        return candidate.mean(axis=2) - baseline.mean(axis=2)

    def _answers(self, rng, difficulty):
        shape = (*difficulty.shape, self.k)
        if self.kind == "binary":
            return (rng.random(shape) < difficulty[..., None]).astype(float)
        between = SCORE_VARIANCE / 2
        spread = (MEAN * (1 - MEAN) - between) / between - 1
        level = np.clip(difficulty, 1e-6, 1 - 1e-6)[..., None]
        return rng.beta(
            np.broadcast_to(level * spread, shape), np.broadcast_to((1 - level) * spread, shape)
        )


CELLS = tuple(
    Cell(kind, n, k, margin)
    for kind, margins in (("binary", BINARY), ("score", SCORE))
    for n, margin in margins.items()
    for k in (1, 3, 5)
)


def _difficulty(kind, rng, shape):
    spread = 1.0 if kind == "binary" else MEAN * (1 - MEAN) / (SCORE_VARIANCE / 2) - 1
    return rng.beta(MEAN * spread, (1 - MEAN) * spread, shape)
