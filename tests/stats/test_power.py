"""The planner against the figures of the design and against simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.gate import design
from llmvc.stats.paired import el_score, student_quantile
from llmvc.stats.power import (
    best_runs,
    cases_needed,
    detectable_drop,
    pass_power,
    smallest_margin,
    variance,
)

PLAN = {0.05: (436, 172, 119), 0.03: (1210, 477, 330), 0.02: (2721, 1072, 742)}


@pytest.mark.parametrize(("margin", "runs", "n"), [(m, k, n) for m, row in PLAN.items() for k, n in zip((1, 3, 5), row, strict=True)])  # fmt: skip
def test_cases_needed_are_those_of_millers_formula_where_noise_decides(margin, runs, n):
    # The formula has normal quantiles and the gate Student's: up to two cases more.
    assert 0 <= cases_needed(margin, variance(0.016, 0.16, runs)) - n <= 2


@pytest.mark.parametrize(("margin", "n"), [(0.10, 27), (0.05, 54), (0.03, 90), (0.02, 135), (0.01, 270)])  # fmt: skip
def test_without_any_noise_the_unseen_case_decides(margin, n):
    assert cases_needed(margin, 0.0) == n


def test_power_is_the_simulated_one_of_the_design():
    # Section 4, pass at no change: binary n=100 k=3 56% (predicted 60), score n=30 k=3 34%.
    assert pass_power(100, 0.05, variance(0.016, 0.16, 3)) == pytest.approx(0.60, abs=0.02)
    assert pass_power(30, 0.08, 0.0098) == pytest.approx(0.34, abs=0.04)


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.3])
def test_predicted_power_is_near_that_of_the_test_itself(spread):
    rng = np.random.default_rng(5)
    draws = [np.clip(rng.normal(0, spread, 40), -1, 1) for _ in range(400)]
    tests = [el_score(d, margin=0.08) for d in draws]
    passed = np.mean([test.low > -0.08 for test in tests])
    assert passed == pytest.approx(pass_power(40, 0.08, spread**2), abs=0.08)


@given(
    st.integers(20, 5000),
    st.integers(1, 9),
    st.floats(0, 0.1),
    st.floats(0, 0.3),
    st.integers(1, 4),
)
def test_the_smallest_margin_has_the_power_and_a_smaller_one_has_not(n, k, case, run, metrics):
    margin = smallest_margin(n, k, case, run, metrics=metrics)
    if margin is None:
        return
    wanted = 1 - 0.2 / metrics
    spread = variance(case, run, k)
    assert pass_power(n, margin * 1.0001, spread) >= wanted - 1e-6
    assert pass_power(n, margin * 0.999, spread) <= wanted + 1e-6


@given(st.floats(0.01, 0.3), st.floats(0, 0.3), st.integers(1, 4))
def test_cases_needed_have_the_power_and_one_fewer_has_not(margin, spread, metrics):
    n = cases_needed(margin, spread, metrics=metrics)
    wanted = 1 - 0.2 / metrics
    assert pass_power(n, margin, spread) >= wanted
    assert n == 2 or pass_power(n - 1, margin, spread) < wanted


def test_no_margin_is_small_enough_for_one_case_and_very_few_noisy_ones():
    assert smallest_margin(1, 1, 0.1, 0.1) is None
    assert smallest_margin(2, 1, 0.5, 0.5) is None


def test_the_detectable_drop_shrinks_with_the_root_of_n():
    assert detectable_drop(100, 0.0693) == pytest.approx(0.0655, abs=1e-3)
    assert detectable_drop(400, 0.0693) == pytest.approx(detectable_drop(100, 0.0693) / 2)


@pytest.mark.parametrize(
    ("case", "run", "case_usd", "run_usd", "runs"),
    [
        (0.016, 0.16, 1.0, 0.1, 10),
        (0.016, 0.16, 0.0, 0.1, 1),
        (0.16, 0.016, 1.0, 1.0, 1),
        (0.0, 0.1, 1.0, 1.0, None),
        (0.1, 0.0, 1.0, 1.0, 1),
    ],
)
def test_runs_pay_where_cases_are_dear_and_answers_noisy(case, run, case_usd, run_usd, runs):
    assert best_runs(case, run, case_usd=case_usd, run_usd=run_usd) == runs


@pytest.mark.parametrize("df", [14, 19, 53, 99, 500])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.975, 0.99])
def test_the_gates_own_quantile_is_students(df, level):
    assert design.student_quantile(level, df) == pytest.approx(
        student_quantile(level, df), abs=3e-4
    )


@given(st.integers(20, 3000), st.floats(0.01, 0.3), st.floats(0.0001, 0.3))
def test_the_gates_refusal_uses_the_planners_chance(n, margin, spread):
    assert design.pass_chance(n, margin, spread, 0.05) == pytest.approx(
        pass_power(n, margin, spread), abs=2e-3
    )
