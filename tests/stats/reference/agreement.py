"""Writes agreement.json: agreement beyond chance, by packages of other authors.

Independent of llmvc; needs scikit-learn (kappa), irrCAC (AC1) and krippendorff (alpha), which the
tests do not. Run: python tests/stats/reference/agreement.py
"""

import json
import warnings
from pathlib import Path

import krippendorff
import numpy as np
import pandas as pd
from irrCAC.raw import CAC
from sklearn.metrics import cohen_kappa_score

warnings.simplefilter("ignore")
rng = np.random.default_rng(20261122)


def row(n: int, categories: int, raters: int, agree: float, missing: float) -> dict[str, object]:
    truth = rng.choice(categories, n, p=rng.dirichlet(np.full(categories, 2.0)))
    rated = np.where(
        rng.random((raters, n)) < agree, truth, rng.integers(0, categories, (raters, n))
    ).astype(float)
    one, other = rated[0].astype(int), rated[1].astype(int)
    pair = CAC(pd.DataFrame({"a": one, "b": other}), categories=list(range(categories)))
    gaps = np.where(rng.random((raters, n)) < missing, np.nan, rated)
    values = list(range(categories))
    return {
        "categories": categories,
        "one": one.tolist(),
        "other": other.tolist(),
        "kappa": float(cohen_kappa_score(one, other, weights="quadratic")),
        "ac1": float(pair.gwet()["est"]["coefficient_value"]),
        "ratings": [[int(x) for x in case if not np.isnan(x)] for case in gaps.T],
        **{
            metric: float(
                krippendorff.alpha(gaps, value_domain=values, level_of_measurement=metric)
            )
            for metric in ("nominal", "ordinal")
        },
    }


rows = [
    row(40, 2, 2, 0.9, 0.0), row(60, 2, 3, 0.6, 0.3), row(50, 5, 4, 0.7, 0.4),
    row(200, 3, 2, 0.2, 0.1), row(30, 4, 5, 0.95, 0.5),
]  # fmt: skip
Path(__file__).with_suffix(".json").write_text(json.dumps(rows) + "\n", encoding="utf-8")
