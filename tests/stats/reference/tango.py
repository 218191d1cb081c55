"""Writes tango.json: Tango's closed-form score statistic, in 50-digit decimals.

Independent of llmvc. T. Tango, "Equivalence test and confidence interval for the difference in
proportions for the paired-sample design", Statistics in Medicine 17 (1998), 891-908: for n pairs, b
better and c worse, and a difference m under test, the statistic is

    (b - c - n m) / sqrt(n (2 q + m (1 - m))),   2 n q^2 + B q - c m (1 - m) = 0, q >= 0,
    B = (2 n - b + c) m - b - c.

Run: python tests/stats/reference/tango.py
"""

import json
from decimal import Decimal, getcontext
from itertools import product
from pathlib import Path

getcontext().prec = 50

TABLES = [
    (20, 0, 0), (20, 1, 0), (20, 0, 1), (20, 20, 0), (20, 0, 20), (20, 10, 10), (21, 1, 7),
    (30, 3, 3), (44, 0, 1), (54, 0, 0), (100, 0, 5), (100, 12, 2), (100, 33, 61), (161, 6, 16),
    (500, 1, 499), (797, 40, 52), (10000, 3, 1),
]  # fmt: skip
MEANS = ["-0.9", "-0.3", "-0.1", "-0.05", "-0.01", "0.02", "0.25", "0.75"]


def statistic(n: int, b: int, c: int, m: Decimal) -> Decimal:
    middle = (2 * n - b + c) * m - b - c
    last = -c * m * (1 - m)
    root = (middle * middle - 8 * n * last).sqrt()
    q = (root - middle) / (4 * n)
    return (b - c - n * m) / (n * (2 * q + m * (1 - m))).sqrt()


rows = [
    {"n": n, "better": b, "worse": c, "mean": m, "statistic": str(statistic(n, b, c, Decimal(m)))}
    for (n, b, c), m in product(TABLES, MEANS)
]
Path(__file__).with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
