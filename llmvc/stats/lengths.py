"""Length control: what a pairwise judge would say if both answers were equally long.

- The preference is a logistic function of a constant and of tanh(standardised length gap); the
  constant alone is the preference at equal lengths.
- Cases are the units: the runs of a case are one cluster of the variance.
- A weak prior keeps it finite where length tells all preferences apart; the interval is then wide.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Final

import numpy as np

from llmvc.stats.agreement import Figure
from llmvc.stats.samples import LEAST_CASES, FloatArray
from llmvc.stats.special import student_quantile

_STEPS: Final = 60
_CLOSE: Final = 1e-10
_PRIOR: Final = 0.25
"""Pseudo-observations without a preference, a quarter at each end of the gap's range."""


def controlled(
    preferred: FloatArray, gap: FloatArray, cases: Sequence[int], *, alpha: float = 0.05
) -> Figure:
    """Returns wins minus losses of the candidate at equal lengths, in [-1, 1].

    Y. Dubois and others, Length-Controlled AlpacaEval (arXiv 2404.04475), without the terms for
    instructions.

    Args:
        preferred: 1 where the candidate's answer was preferred, 0 where the other, 0.5 for ties;
            one a pair, shape (pairs,).
        gap: tokens of the candidate's answer minus those of the other, shape (pairs,).
        cases: the case of each pair, numbered from 0.
        alpha: one-sided level; the interval has level 1 - 2 * alpha.
    """
    count = len(set(cases))
    if count < LEAST_CASES:
        return Figure(reason=f"{count} cases are too few: at least {LEAST_CASES} are needed")
    spread = float(gap.std())
    if not spread:
        return Figure(reason="the lengths of the answers differ by the same everywhere")
    x = np.stack([np.ones(len(gap)), np.tanh(gap / spread)], axis=1)
    beta, information = _fit(x, preferred)
    p = _logistic(x @ beta)
    scores = np.zeros((max(cases) + 1, 2))
    np.add.at(scores, np.array(cases, dtype=np.intp), x * (preferred - p)[:, None])
    bread = np.linalg.inv(information)
    clustered = bread @ (scores.T @ scores) @ bread * (count / (count - 1))
    # Where length tells all apart nothing is left over, which is no certainty: the model's own
    # variance is the least that is believed.
    wide = sqrt(max(float(clustered[0, 0]), float(bread[0, 0])))
    half = student_quantile(1.0 - alpha, count - 1) * wide
    value, low, high = (
        2.0 * float(_logistic(np.array([at]))[0]) - 1.0
        for at in (beta[0], beta[0] - half, beta[0] + half)
    )
    return Figure(value, low, high)


def _fit(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns the coefficients and their information, by Newton's method with halved steps."""
    ends = np.array([[1.0, 1.0], [1.0, -1.0]])
    rows, target = np.vstack([x, ends]), np.concatenate([y, [0.5, 0.5]])
    weights = np.concatenate([np.ones(len(x)), np.full(2, _PRIOR)])
    beta = np.zeros(2)
    for _ in range(_STEPS):
        p = _logistic(rows @ beta)
        information = rows.T @ (rows * (weights * p * (1.0 - p))[:, None])
        step = np.linalg.solve(information, rows.T @ (weights * (target - p)))
        step = step / max(1.0, float(np.abs(step).max()))
        beta = beta + step
        if float(np.abs(step).max()) <= _CLOSE:
            break
    p = _logistic(rows @ beta)
    return beta, rows.T @ (rows * (weights * p * (1.0 - p))[:, None])


def _logistic(at: FloatArray) -> FloatArray:
    return 0.5 * (1.0 + np.tanh(at / 2.0))
