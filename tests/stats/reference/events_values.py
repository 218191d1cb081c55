"""Writes events_values.json: Clopper-Pearson, McNemar, Wilcoxon and a weighted quantile, by scipy.

Independent of llmvc; needs scipy.stats and statsmodels, which the tests do not.
Run: python tests/stats/reference/events_values.py
"""

import json
from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
from scipy.stats import PermutationMethod, binomtest, wilcoxon
from statsmodels.stats.contingency_tables import mcnemar

rng = np.random.default_rng(20261122)


def rate(count: int, n: int, budget: float, alpha: float) -> dict[str, object]:
    def bound(alternative: str) -> tuple[float, float]:
        interval = binomtest(count, n, alternative=alternative).proportion_ci(1 - alpha, "exact")
        return float(interval.low), float(interval.high)

    return {
        "count": count,
        "n": n,
        "budget": budget,
        "alpha": alpha,
        "low": bound("greater")[0],
        "high": bound("less")[1],
        "p_pass": float(binomtest(count, n, budget, alternative="less").pvalue),
        "p_fail": float(binomtest(count, n, budget, alternative="greater").pvalue),
    }


def paired(worse: int, better: int) -> dict[str, object]:
    n, fewer = worse + better, min(worse, better)
    exact = mcnemar([[10, worse], [better, 10]], exact=True).pvalue
    below = sum(Fraction(comb(n, at), 2**n) for at in range(fewer))
    middle = min(Fraction(1), 2 * below + Fraction(comb(n, fewer), 2**n))
    return {"worse": worse, "better": better, "exact": float(exact), "mid": float(middle)}


def ranks(d: list[float]) -> dict[str, object]:
    used = [value for value in d if value]
    tied = len({abs(value) for value in used}) < len(used)
    if len(used) > 50:
        p = wilcoxon(used, method="asymptotic").pvalue
    elif tied:
        p = wilcoxon(used, method=PermutationMethod(n_resamples=2**20)).pvalue
    else:
        p = wilcoxon(used, method="exact").pvalue
    return {"d": d, "p": float(p)}


rates = [
    (0, 1, 0.1, 0.05), (1, 1, 0.1, 0.05), (0, 2, 0.9, 0.05), (0, 19, 0.1, 0.05), (0, 20, 0.2, 0.05),
    (20, 20, 0.9, 0.05), (1, 20, 0.2, 0.025), (3, 100, 0.02, 0.05), (12, 100, 0.05, 0.01),
    (40, 3000, 0.01, 0.05), (5, 10000, 0.001, 0.05),
]  # fmt: skip
tables = [(0, 1), (1, 7), (7, 1), (5, 5), (0, 6), (3, 14), (40, 62), (120, 130)]
differences = [
    rng.normal(0.3, 1.0, 20).round(6).tolist(),
    rng.normal(-0.5, 1.0, 50).round(6).tolist(),
    rng.normal(0.1, 1.0, 51).round(6).tolist(),
    rng.integers(-2, 4, 17).astype(float).tolist(),
    rng.integers(-4, 4, 400).astype(float).tolist(),
    [1.0],
    [2.0, -1.0],
]
values = {
    "rate": [rate(*row) for row in rates],
    "mcnemar": [paired(*row) for row in tables],
    "wilcoxon": [ranks(row) for row in differences],
}
Path(__file__).with_suffix(".json").write_text(json.dumps(values) + "\n", encoding="utf-8")
