"""Writes ppi.json: PPI++ estimates of a mean and their weights, by the authors' own package.

Independent of llmvc; needs ppi-python (0.2.3), which the tests do not.
Run: python tests/stats/reference/ppi.py
"""

import json
from pathlib import Path

import numpy as np
from ppi_py import ppi_mean_pointestimate

rng = np.random.default_rng(20261122)


def row(n: int, others: int, agree: float, lean: float) -> dict[str, object]:
    values = np.array([-1.0, 0.0, 1.0])
    truth = rng.choice(values, n + others, p=[0.15, 0.75, 0.10])
    guess = rng.choice(values, n + others, p=[0.1 + lean, 0.7 - lean, 0.2])
    judged = np.where(rng.random(n + others) < agree, truth, guess)
    estimate = ppi_mean_pointestimate(truth[:n], judged[:n], judged[n:])
    return {
        "labels": truth[:n].tolist(),
        "judged": judged.tolist(),
        "estimate": float(np.squeeze(estimate)),
    }


rows = [
    row(100, 300, 0.9, 0.0), row(100, 100, 0.6, 0.2), row(150, 1000, 0.99, 0.0),
    row(400, 50, 0.8, 0.3), row(120, 400, 0.0, 0.1),
]  # fmt: skip
Path(__file__).with_suffix(".json").write_text(json.dumps(rows) + "\n", encoding="utf-8")
