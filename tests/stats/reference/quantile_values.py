"""Writes quantile_values.json: cluster bootstraps of quantiles, one resample at a time.

Independent of llmvc: the cases of the drawn groups are copied out and numpy takes the quantile.
Run: python tests/stats/reference/quantile_values.py
"""

import json
from pathlib import Path

import numpy as np

RESAMPLES = 40_000
rng = np.random.default_rng(20261123)


def draw(levels: np.ndarray, sizes: list[int]) -> list[list[list[float]]]:
    """Returns runs of cases with uneven numbers of runs; cases of one group share a level."""
    return [
        [
            np.round(level * rng.lognormal(0.0, 0.4, rng.integers(3, 8)), 6).tolist()
            for _ in range(size)
        ]
        for level, size in zip(levels, sizes, strict=True)
    ]


def bootstrap(sizes: list[int], q: float) -> dict[str, object]:
    groups = len(sizes)
    levels = rng.lognormal(0.0, 0.5, groups)
    candidate, baseline = draw(levels, sizes), draw(levels, sizes)
    pools = [[np.concatenate(group) for group in arm] for arm in (candidate, baseline)]
    found = np.empty((RESAMPLES, 2))
    for at in range(RESAMPLES):
        drawn = rng.integers(groups, size=groups)
        found[at] = [
            np.quantile(np.concatenate([pool[one] for one in drawn]), q, method="inverted_cdf")
            for pool in pools
        ]
    whole = [np.quantile(np.concatenate(pool), q, method="inverted_cdf") for pool in pools]
    ratios = found[:, 0] / found[:, 1]
    return {
        "q": q,
        "labels": [f"g{at}" for at, size in enumerate(sizes) for _ in range(size)],
        "candidate": [case for group in candidate for case in group],
        "baseline": [case for group in baseline for case in group],
        "estimate": whole[0] / whole[1],
        "seconds": whole[0],
        "ratio": np.quantile(ratios, [0.05, 0.95]).tolist(),
        "alone": np.quantile(found[:, 0], [0.05, 0.95]).tolist(),
        "beyond": float((ratios >= 1.1).mean()),
    }


values = [bootstrap([1] * 60, 0.5), bootstrap([1] * 80, 0.95), bootstrap([1, 2, 3] * 12, 0.5)]
Path(__file__).with_suffix(".json").write_text(json.dumps(values) + "\n", encoding="utf-8")
