"""What an inconclusive verdict says would settle it."""

from dataclasses import replace

import pytest

from llmvc.core.metric import Metric
from llmvc.core.report import Estimate
from llmvc.core.suite import Suite
from llmvc.gate.decide import decide
from llmvc.gate.settle import settle

QUALITY = Metric("quality", "score", ("team",), margin=0.05, floor=0.5)
COST = Metric("cost", "cost", limit=1.10, ceiling_usd=0.01)
SUITE = Suite((), (), 3, (QUALITY, COST))


def score(estimate, half, n=100):
    return Estimate(
        "quality", "score", baseline=0.8, candidate=0.8, estimate=estimate, low=estimate - half,
        high=estimate + half, arm_low=0.8 - half, arm_high=0.8 + half, alpha=0.05, p_pass=1e-9, p_fail=0.5, n=n,
        n_effective=float(n),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("estimate", "half", "cases"),
    [
        # At the same difference the bound needs 100 * (0.06 * 2.486 / (1.645 * 0.05))^2 = 329.
        (0.0, 0.06, "230 more cases"),
        (-0.01, 0.05, "260 more cases"),
        # Nearer to being shown worse than to being shown within the margin.
        (-0.045, 0.06, "310 more cases"),
    ],
)
def test_the_number_follows_from_the_interval_and_the_nearer_decision(estimate, half, cases):
    text = settle([(QUALITY, score(estimate, half))], SUITE, has_baseline=True)
    assert text == f"about {cases} at 3 runs would settle it"


def test_the_cases_asked_for_would_do():
    before = score(0.0, 0.06)
    more = 230
    after = score(0.0, 0.06 * (100 / (100 + more)) ** 0.5, n=100 + more)
    only = replace(SUITE, metrics=(QUALITY,))
    assert decide([before], only, has_baseline=True).verdict == "inconclusive"
    assert decide([after], only, has_baseline=True).verdict == "pass"


def test_the_metric_that_needs_most_decides():
    cost = replace(
        score(0, 0), metric="cost", kind="cost", estimate=1.05, low=0.95, high=1.16, alpha=0.05
    )
    rows = [(QUALITY, score(0.02, 0.075)), (COST, cost)]
    assert (
        settle(rows, SUITE, has_baseline=True) == "about 950 more cases at 3 runs would settle it"
    )


@pytest.mark.parametrize(
    ("metric", "estimate", "text"),
    [
        (QUALITY, Estimate("quality", "score", n=12, n_effective=12.0, reason="few"), "about 8 more cases at 3 runs would settle it"),
        (QUALITY, Estimate("quality", "score", n=19, n_effective=19.0, reason="few"), "about 1 more case at 3 runs would settle it"),
        (COST, Estimate("cost", "cost", n=120, n_effective=30.0, reason="few"), "about 80 more cases at 3 runs would settle it"),
        (QUALITY, Estimate("quality", "score", n=0, reason="there are no cases"), None),
        (QUALITY, score(-0.05, 0.001), "more cases of this kind hardly settle it: the difference is too near the rule"),
    ],
)  # fmt: skip
def test_what_is_too_few_names_what_is_missing(metric, estimate, text):
    assert settle([(metric, estimate)], SUITE, has_baseline=True) == text


def test_a_first_release_near_its_floor_gets_a_number_too():
    near = replace(score(0, 0), candidate=0.55, arm_low=0.48, arm_high=0.62)
    text = settle([(QUALITY, near)], SUITE, has_baseline=False)
    assert text == "about 350 more cases at 3 runs would settle it"


def test_a_free_candidate_under_a_ceiling_gets_no_number():
    free = replace(score(0, 0), metric="cost", candidate=0.0, arm_low=0.0, arm_high=0.0)
    assert settle([(COST, free)], SUITE, has_baseline=False) is not None
