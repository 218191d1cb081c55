"""The planner against the figures of the design and against simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.gate import least
from llmvc.stats import ratio, samples
from llmvc.stats.paired import RatioSample, Sample, el_ratio, el_score, student_quantile
from llmvc.stats.power import (
    best_runs,
    cases_for_budget,
    cases_for_limit,
    cases_needed,
    detectable_drop,
    detectable_ratio,
    limit_power,
    pass_power,
    rare_power,
    smallest_limit,
    smallest_margin,
    variance,
)
from tests.stats.simulations.suites import Cell

# Cases for 80% (statistics.md section 9), and how many more the planner asks for: one or two for
# Student's quantile in place of the normal one, the rest for the end point, which counts where the
# noise is low and the cases are few. There the formula of noise alone promises too much.
PLAN = {
    (0.10, 1): (109, 2), (0.10, 3): (43, 5), (0.10, 5): (30, 9),
    (0.05, 1): (436, 1), (0.05, 3): (172, 2), (0.05, 5): (119, 3),
    (0.03, 1): (1210, 1), (0.03, 3): (477, 1), (0.03, 5): (330, 2),
    (0.02, 1): (2721, 1), (0.02, 3): (1072, 1), (0.02, 5): (742, 2),
}  # fmt: skip


@pytest.mark.parametrize(("design", "cases"), PLAN.items())
def test_cases_needed_are_those_of_millers_formula_and_few_more(design, cases):
    margin, runs = design
    n, more = cases
    assert cases_needed(margin, variance(0.016, 0.16, runs)) == n + more


@pytest.mark.parametrize(("margin", "n"), [(0.10, 27), (0.05, 54), (0.03, 90), (0.02, 135), (0.01, 270)])  # fmt: skip
def test_without_any_noise_the_unseen_case_decides(margin, n):
    assert cases_needed(margin, 0.0) == n


def test_power_is_the_simulated_one_of_the_design():
    # Section 4, pass at no change: binary n=100 k=3 56 to 60%, score n=30 k=3 34%.
    assert 0.56 <= pass_power(100, 0.05, variance(0.016, 0.16, 3)) <= 0.60
    assert pass_power(30, 0.08, 0.0098) == pytest.approx(0.34, abs=0.04)


SIMULATED = [
    Cell("binary", 30, 3, 0.13), Cell("binary", 50, 3, 0.10), Cell("binary", 39, 5, 0.10),
    Cell("binary", 100, 1, 0.05), Cell("binary", 100, 3, 0.05), Cell("binary", 174, 3, 0.05),
    Cell("score", 30, 3, 0.08), Cell("score", 60, 3, 0.05),
]  # fmt: skip


def passes_of(cell, seed, many, made=Sample):
    """Returns how often an unchanged candidate passes, and the variance of a case's difference."""
    rng = np.random.default_rng(seed)
    critical = student_quantile(0.95, cell.n - 1)
    drawn = np.round(cell.differences(rng, 0.0, many), 12)
    tests = (made.of(d, low=-1.0, high=1.0).guarded(-cell.margin) for d in drawn)
    return sum(t > critical for t in tests) / many, float(drawn.var())


@pytest.mark.parametrize("cell", SIMULATED, ids=str)
def test_predicted_power_is_near_that_of_simulated_suites(cell):
    passed, var = passes_of(cell, 20, 500)
    # Three standard errors of the simulation and three points of the formula.
    assert passed == pytest.approx(pass_power(cell.n, cell.margin, var), abs=0.065 + 0.03)


@pytest.mark.slow
@pytest.mark.parametrize("cell", SIMULATED, ids=str)
@pytest.mark.parametrize(("test", "made"), [("el-score", Sample), ("el-ratio", RatioSample)])
def test_predicted_power_is_within_a_few_points_of_simulated_suites(cell, test, made):
    passed, var = passes_of(cell, 21, 6000, made)
    predicted = pass_power(cell.n, cell.margin, var, test=test)
    assert passed == pytest.approx(predicted, abs=0.02 + 0.05)


@pytest.mark.parametrize(("margin", "n"), [(0.10, 15), (0.05, 29), (0.01, 137)])
def test_the_likelihood_ratio_needs_half_as_many_cases_without_noise(margin, n):
    assert cases_needed(margin, 0.0, test="el-ratio") == n
    unchanged = np.zeros(n)
    assert el_ratio(unchanged, margin=margin).p_pass < 0.05
    assert el_ratio(unchanged[1:], margin=margin).p_pass >= 0.05


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
    assert least.student_quantile(level, df) == pytest.approx(student_quantile(level, df), abs=3e-4)


@given(st.integers(20, 3000), st.floats(0.01, 0.3), st.floats(0.0001, 0.3))
def test_the_gate_refuses_nothing_that_the_planner_gives_a_chance(n, margin, spread):
    assert least.pass_chance(least.Draw(n, spread, 0.05), margin) == pytest.approx(
        pass_power(n, margin, spread), abs=2e-3
    )


def cost_of(rng, n, spread):
    """Costs of an unchanged bundle in two arms."""
    noise = np.exp(rng.normal(0.0, spread / np.sqrt(2), (2, n)))
    return 0.01 * noise[0], 0.01 * noise[1]


@pytest.mark.parametrize(("n", "limit"), [(60, 1.10), (100, 1.08), (150, 1.05)])
def test_predicted_power_of_a_cost_is_near_that_of_the_test(n, limit):
    rng = np.random.default_rng(8)
    groups = samples.group([None] * n)
    passed = 0
    for _ in range(400):
        test = ratio.cost_ratio(*cost_of(rng, n, 0.25), groups, limit=limit)
        passed += test.p_pass < test.alpha
    new, old = cost_of(rng, 100_000, 0.25)
    var = float((new / new.mean() - old / old.mean()).var())
    assert passed / 400 == pytest.approx(limit_power(n, limit, var), abs=0.08)


@given(st.floats(1.02, 2.0), st.floats(0.001, 1.0), st.sampled_from(["cost", "latency"]))
def test_cases_for_a_limit_give_the_chance_and_the_smallest_limit_there_is_no_larger(
    limit, var, kind
):
    n = cases_for_limit(limit, var, kind=kind)
    assert limit_power(n, limit, var, kind=kind) >= 0.8
    smallest = smallest_limit(n, var, kind=kind)
    assert smallest is not None
    assert smallest <= limit * (1 + 1e-9)
    assert limit_power(n, smallest * 1.0001, var, kind=kind) >= 0.8 - 1e-6
    assert detectable_ratio(n, limit, var, kind=kind) > limit


def test_a_cost_on_few_cases_has_no_chance_and_no_limit():
    assert limit_power(49, 3.0, 0.01) == 0.0
    assert smallest_limit(49, 0.01) is None
    assert limit_power(49, 3.0, 0.01, kind="latency") > 0.99
    assert limit_power(60, 1.01, 0.0) == 0.0
    assert limit_power(60, 1.10, 0.0) == 1.0


@pytest.mark.parametrize(("budget", "n"), [(0.10, 29), (0.03, 99), (0.01, 299)])
def test_a_budget_needs_the_cases_that_show_it_without_a_failure(budget, n):
    assert cases_for_budget(budget) == n == least.cases_within_budget(budget, 0.05)
    assert rare_power(n - 1, budget) == 0.0


@given(st.floats(0.005, 0.2), st.floats(0.0, 0.5), st.integers(1, 4))
def test_a_budget_above_the_true_share_needs_more_cases_the_nearer_it_is(budget, share, metrics):
    n = cases_for_budget(budget, share * budget, metrics=metrics)
    assert n is not None
    assert rare_power(n, budget, share * budget) >= 1 - 0.2 / metrics
    assert n >= cases_for_budget(budget)


def test_a_budget_below_the_true_share_is_never_shown():
    assert cases_for_budget(0.01, 0.02) is None
