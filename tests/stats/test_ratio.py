"""The cost test against statsmodels, and what it refuses to say."""

import json
from math import exp
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.stats.ratio import cost_ratio, mean_cost
from llmvc.stats.samples import group
from llmvc.stats.special import student_quantile

REFERENCE = Path(__file__).parent / "reference" / "statsmodels_values.json"
ROWS = json.loads(REFERENCE.read_text(encoding="utf-8"))["cost"]


def alone(n):
    return group([None] * n)


def costs(n, seed=0, ratio=1.0):
    rng = np.random.default_rng(seed)
    baseline = rng.lognormal(-6, 0.4, n)
    return baseline * ratio * rng.lognormal(0, 0.15, n), baseline


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"n={len(row['candidate'])}")
def test_the_interval_is_students_on_the_linearized_log_ratio(row):
    n = len(row["candidate"])
    result = cost_ratio(
        np.array(row["candidate"]), np.array(row["baseline"]), alone(n), limit=row["limit"]
    )
    assert result.alpha == row["level"]
    assert result.estimate == pytest.approx(row["ratio"], rel=1e-12)
    assert result.low == pytest.approx(row["low"], rel=1e-9)
    assert result.high == pytest.approx(row["high"], rel=1e-9)
    assert result.p_pass == pytest.approx(row["p_pass"], rel=1e-6)
    assert result.p_pass + result.p_fail == pytest.approx(1)


@pytest.mark.parametrize(("n", "level"), [(50, 0.025), (100, 0.025), (101, 0.05)])
def test_up_to_a_hundred_cases_the_level_is_halved(n, level):
    assert cost_ratio(*costs(n), alone(n), limit=1.1).alpha == level


@pytest.mark.parametrize(
    ("n", "reason"),
    [
        (0, "0 cases are too few: at least 20 are needed"),
        (19, "19 cases are too few: at least 20 are needed"),
        (20, "20 cases are too few to judge cost: at least 50 are needed"),
        (49, "49 cases are too few to judge cost: at least 50 are needed"),
        (50, None),
    ],
)
def test_few_cases_say_nothing_about_cost(n, reason):
    result = cost_ratio(*costs(n), alone(n), limit=1.1)
    assert result.reason == reason
    assert (result.high is None) == (reason is not None)


def test_groups_count_by_their_effective_number():
    groups = group([f"g{at % 30}" for at in range(120)])
    result = cost_ratio(*costs(120), groups, limit=1.1)
    assert result.reason == "30 effective cases are too few to judge cost: at least 50 are needed"


def test_two_cases_that_hold_a_quarter_of_a_total_say_nothing_about_the_others():
    candidate, baseline = costs(200)
    candidate[:2] = candidate.sum() / 5
    assert (
        "2 cases hold 29% of the candidate's cost"
        in cost_ratio(candidate, baseline, alone(200), limit=1.1).reason
    )
    assert "of the baseline's cost" in cost_ratio(baseline, candidate, alone(200), limit=1.1).reason


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (0.0, "the baseline costs nothing, so that there is no ratio"),
        (-1.0, "a value of the baseline is negative or no number"),
        (np.nan, "a value of the baseline is negative or no number"),
        (np.inf, "a value of the baseline is negative or no number"),
    ],
)
def test_costs_without_a_ratio_are_undefined(bad, reason):
    candidate, _ = costs(60)
    assert cost_ratio(candidate, np.full(60, bad), alone(60), limit=1.1).reason == reason


def test_a_ratio_equal_in_every_case_keeps_the_bound_of_one_unseen_case():
    _, baseline = costs(200)
    result = cost_ratio(baseline.copy(), baseline, alone(200), limit=1.10)
    t = student_quantile(0.95, 199)
    assert result.high == pytest.approx(exp(t * t / (200 + t * t)))
    assert result.p_pass < 0.05
    assert cost_ratio(baseline.copy(), baseline, alone(200), limit=1.01).p_pass > 0.05


@given(st.integers(50, 160), st.integers(0, 200), st.floats(0.7, 1.6))
def test_the_interval_and_the_p_values_always_agree(n, seed, ratio):
    candidate, baseline = costs(n, seed, ratio)
    result = cost_ratio(candidate, baseline, alone(n), limit=1.1)
    assert (result.p_pass < result.alpha) == (result.high < 1.1)
    assert (result.p_fail < result.alpha) == (result.low > 1.1)


def test_without_a_limit_there_is_an_interval_but_no_test():
    result = cost_ratio(*costs(60), alone(60))
    assert result.p_pass is None
    assert result.low < result.estimate < result.high


def test_the_mean_of_one_arm_has_an_interval_above_zero():
    candidate, _ = costs(60)
    result = mean_cost(candidate, alone(60))
    assert 0 < result.low < candidate.mean() < result.high
    assert mean_cost(candidate[:30], alone(30)).reason is not None


@pytest.mark.parametrize("n", [50, 100, 101, 1000])
def test_a_candidate_without_any_cost_is_bounded_as_by_wilson(n):
    paid = np.linspace(1.0, 2.0, n)
    found = cost_ratio(np.zeros(n), paid, alone(n), limit=1.1)
    critical = student_quantile(1 - found.alpha, n - 1)
    assert (found.estimate, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(critical**2 / (n + critical**2))
    assert (found.p_pass, found.p_fail, found.reason) == (0.0, 1.0, None)
    nothing = cost_ratio(paid, np.zeros(n), alone(n), limit=1.1)
    assert nothing.reason == "the baseline costs nothing, so that there is no ratio"


def test_a_free_candidate_needs_as_many_cases_as_any_other():
    found = cost_ratio(np.zeros(49), np.ones(49), alone(49), limit=1.1)
    assert "49 cases are too few" in str(found.reason)
