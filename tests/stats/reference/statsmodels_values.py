"""Writes statsmodels_values.json: Student's intervals of cost ratios, Holm, and Wilson's interval.

Independent of llmvc; needs statsmodels, which the tests do not.
Run: python tests/stats/reference/statsmodels_values.py
"""

import json
from pathlib import Path

import numpy as np
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

rng = np.random.default_rng(20261120)


def cost(n: int, ratio: float, alpha: float, limit: float) -> dict[str, object]:
    baseline = rng.lognormal(-6.0, 0.5, n)
    candidate = baseline * ratio * rng.lognormal(0.0, 0.4, n)
    top, bottom = candidate.mean(), baseline.mean()
    stats = DescrStatsW(candidate / top - baseline / bottom)
    low, high = stats.tconfint_mean(alpha=2 * alpha)
    _, p_pass, _ = stats.ttest_mean(np.log(limit) - np.log(top / bottom), alternative="smaller")
    return {
        "candidate": candidate.tolist(),
        "baseline": baseline.tolist(),
        "limit": limit,
        "level": alpha,
        "ratio": top / bottom,
        "low": top / bottom * np.exp(low),
        "high": top / bottom * np.exp(high),
        "p_pass": p_pass,
    }


def holm(values: list[float]) -> dict[str, object]:
    rejected, *_ = multipletests(values, alpha=0.05, method="holm")
    return {"p": values, "rejected": rejected.tolist()}


def wilson(count: int, n: int) -> dict[str, object]:
    low, high = proportion_confint(count, n, alpha=0.10, method="wilson")
    return {"count": count, "n": n, "low": float(low), "high": float(high)}


families = [
    [0.01, 0.02, 0.03], [0.001, 0.04, 0.045], [0.03, 0.03], [0.024, 0.049], [0.2, 0.0124, 0.01, 0.6],
    [0.05], [0.0499],
]  # fmt: skip
values = {
    "cost": [cost(60, 1.0, 0.025, 1.1), cost(101, 1.05, 0.05, 1.1), cost(240, 1.2, 0.05, 1.1)],
    "holm": [holm(family) for family in families],
    "wilson": [wilson(*pair) for pair in ((0, 20), (20, 20), (1, 29), (15, 148), (81, 263))],
}
Path(__file__).with_suffix(".json").write_text(json.dumps(values) + "\n", encoding="utf-8")
