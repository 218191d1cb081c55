"""Real outcomes: the 4,500 recorded answers of examples/support, as scores by bundle, case and run.

- Five bundles (four prompts on one model, one of them on a second model), 300 cases, 3 runs each.
- A score is 1 if the answer names the team that the case expects, as the suite's scorer has it.
- The 300 cases are the population: samples of cases are drawn from them with replacement, so that
  the true difference of two bundles is known.
"""

import importlib.util
import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from llmvc.files.suite import load_suite
from llmvc.files.tree import WorkTree

SUPPORT = Path(__file__).resolve().parents[3] / "examples" / "support"
BUNDLES = {
    "base": ("base", None),
    "wording": ("wording", None),
    "worse": ("worse", None),
    "better": ("better", None),
    "migration": ("base", "gemma-3-270m-q4_k_m"),
}


@lru_cache(maxsize=1)
def outcomes():
    """Returns bundle name -> scores of shape (300, 3), 0 or 1."""
    spec = importlib.util.spec_from_file_location("support_record", SUPPORT / "record.py")
    record = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(record)
    lines = (SUPPORT / "recordings.jsonl").read_text(encoding="utf-8").splitlines()
    answers = {(row["request"], row["run"]): row["output"] for row in map(json.loads, lines)}
    cases = load_suite(WorkTree(SUPPORT), "evals/support/suite.yaml").cases
    found = {}
    for name, (variant, model) in BUNDLES.items():
        manifest = record.manifest_of(variant, model)
        calls = record.calls(manifest, cases, 3)
        scores = [
            _names_the_team(answers[call.request_digest, call.run], call.case) for call in calls
        ]
        found[name] = np.array(scores, dtype=float).reshape(len(cases), 3)
    return found


def resampled(rng, baseline, candidate, *, n, k, size):
    """Returns case means of both arms, shape (size, n), of cases and runs drawn at random.

    Args:
        rng: the generator.
        baseline: scores of one bundle, shape (cases, 3).
        candidate: scores of the other.
        n: cases drawn, with replacement.
        k: runs of each, drawn without replacement.
        size: samples.
    """
    at = rng.integers(0, len(baseline), (size, n))
    return tuple(_some_runs(rng, arm[at], k).mean(axis=2) for arm in (baseline, candidate))


def halves(rng, scores, *, n, runs, size):
    """Returns two arms made of different runs of one bundle, case means of shape (size, n).

    Args:
        rng: the generator.
        scores: shape (cases, 3).
        n: cases drawn, with replacement.
        runs: how many runs the baseline and the candidate get, (1, 1), (1, 2) or (2, 1).
        size: samples.
    """
    at = rng.integers(0, len(scores), (size, n))
    mixed = _some_runs(rng, scores[at], 3)
    first, second = runs
    return mixed[:, :, :first].mean(axis=2), mixed[:, :, first : first + second].mean(axis=2)


def _some_runs(rng, answers, k):
    order = rng.random(answers.shape).argsort(axis=2)[:, :, :k]
    return np.take_along_axis(answers, order, axis=2)


def _names_the_team(output, case):
    try:
        return json.loads(output).get("team") == case.expected["team"]
    except (ValueError, AttributeError):
        return False
