"""Tango's closed form on tables drawn at random, beside those of tests/stats/reference."""

import json
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np

from llmvc.stats.paired import Sample

REFERENCE = Path(__file__).parents[1] / "reference" / "tango.json"
TABLES = 1000


def tango(n, better, worse, m):
    """Returns Tango's statistic (Statistics in Medicine 17, 1998, 891-908) in 50 digits."""
    if m < 0:
        return -tango(n, worse, better, -m)
    with localcontext() as context:
        context.prec, mean = 50, Decimal(m)
        middle = (2 * n - better + worse) * mean - better - worse
        q = ((middle * middle + 8 * n * worse * mean * (1 - mean)).sqrt() - middle) / (4 * n)
        return float((better - worse - n * mean) / (n * (2 * q + mean * (1 - mean))).sqrt())


def differences(seed):
    """Returns how far llmvc is from the closed form on each table."""
    rows = json.loads(REFERENCE.read_text(encoding="utf-8"))
    known = [
        (row["n"], row["better"], row["worse"], float(row["mean"]), float(row["statistic"]))
        for row in rows
    ]
    rng = np.random.default_rng(seed)
    for _ in range(TABLES):
        n = int(rng.integers(2, 2000))
        better, worse, _rest = rng.multinomial(n, rng.dirichlet([0.5, 0.5, 2.0])).tolist()
        m = float(rng.uniform(-0.95, 0.95))
        known.append((n, better, worse, m, tango(n, better, worse, m)))
    return [abs(_shipped(n, better, worse, m) - value) for n, better, worse, m, value in known]


def _shipped(n, better, worse, m):
    return Sample.of(np.repeat([1.0, -1.0, 0.0], [better, worse, n - better - worse])).score(m)
