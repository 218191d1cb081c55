"""The likelihood-ratio variant of the test: closed forms, the primal problem, and its laws."""

from itertools import pairwise
from math import inf, isfinite, log, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize

from llmvc.stats.paired import RatioSample, el_ratio, el_score, student_quantile
from tests.stats.simulation import Cell


@pytest.mark.parametrize(("better", "worse"), [(70, 30), (45, 55), (1, 99), (100, 0), (0, 100)])
@pytest.mark.parametrize("m", [-0.9, -0.05, 0.0, 0.3])
def test_values_at_both_ends_give_the_ratio_of_the_binomial(better, worse, m):
    n, p = better + worse, (1 + m) / 2
    expected = 2 * sum(
        count * log(count / n / chance) for count, chance in ((better, p), (worse, 1 - p)) if count
    )
    d = np.concatenate([np.ones(better), -np.ones(worse)])
    found = RatioSample.of(d).score(m)
    assert found**2 == pytest.approx(expected, abs=1e-9)
    assert (found > 0) == ((better - worse) / n > m)


@pytest.mark.parametrize(("n", "margin"), [(20, 0.1), (30, 0.05), (500, 0.01)])
def test_no_difference_at_all_has_the_likelihood_of_an_end_point_not_seen(n, margin):
    result = el_ratio(np.zeros(n), margin=margin)
    assert result.t_pass == pytest.approx(sqrt(-2 * n * log(1 - margin)))
    assert result.t_fail == 0.0


@pytest.mark.parametrize("m", [-0.3, -0.05, 0.0, 0.2, 0.6])
@pytest.mark.parametrize(
    "d",
    [
        [-0.5, 0.0, 0.0, 0.25, 0.25, 0.5],
        [0.1, 0.2, 0.3, 0.35],
        [-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.5],
        [-0.4, -0.4, -0.35],
    ],
    ids=str,
)
def test_the_statistic_is_that_of_the_most_likely_distribution_on_the_support(d, m):
    # The primal problem: weights of the values and of both ends, of which an end may be unseen.
    points, counts = np.unique([*d, -1.0, 1.0], return_counts=True)
    counts = counts - np.isin(points, [-1.0, 1.0])
    seen = counts > 0
    n = len(d)
    solved = minimize(
        lambda p: -float(counts[seen] @ np.log(np.maximum(p[seen], 1e-300))),
        np.full(len(points), 1 / len(points)),
        jac=lambda p: np.where(seen, -counts / np.maximum(p, 1e-300), 0.0),
        bounds=[(1e-12, 1)] * len(points),
        constraints=[
            {"type": "eq", "fun": lambda p: p.sum() - 1},
            {"type": "eq", "fun": lambda p: p @ points - m},
        ],
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 1000},
    )
    expected = 2 * (solved.fun - -float(counts[seen] @ np.log(counts[seen] / n)))
    assert RatioSample.of(np.array(d)).score(m) ** 2 == pytest.approx(expected, abs=1e-5)


def test_the_deciding_statistic_has_the_variance_guard():
    d = np.concatenate([np.full(96, -0.11), np.full(4, 1.0)])
    result = el_ratio(d, margin=0.10)
    student = (d.mean() + 0.10) / (d.std(ddof=1) / 10)
    assert result.t_pass == pytest.approx(min(student, result.score_pass))
    assert result.t_pass < result.score_pass


def test_few_scores_with_little_noise_pass_that_the_score_test_cannot_pass():
    cell, rng = Cell("score", 30, 3, 0.08), np.random.default_rng(3)
    critical, passed = student_quantile(0.95, 29), np.zeros(2)
    for _ in range(200):
        baseline, candidate = cell.draw(rng, 0.0)
        for at, test in enumerate((el_score, el_ratio)):
            passed[at] += test(candidate - baseline, margin=cell.margin).t_pass > critical
    score, ratio = passed / 200  # 34% and 90% in the design's simulation
    assert score < 0.55
    assert ratio > 0.75


@pytest.mark.parametrize(
    ("replications", "design"),
    [
        (1000, ("score", 30, 3, 0.08)),
        (1000, ("score", 50, 3, 0.08)),
        pytest.param(10_000, ("score", 30, 3, 0.08), marks=pytest.mark.slow),
        pytest.param(10_000, ("score", 50, 3, 0.08), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_false_passes_at_the_margin_are_those_of_the_design(replications, design):
    cell, rng, wrong = Cell(*design), np.random.default_rng(4), 0
    critical = student_quantile(0.95, cell.n - 1)
    for _ in range(replications):
        baseline, candidate = cell.draw(rng, cell.margin)
        wrong += RatioSample.of(candidate - baseline).guarded(-cell.margin) > critical
    goal = 0.065
    assert wrong / replications <= goal + 3.5 * sqrt(goal * (1 - goal) / replications)


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1 / 3])
@pytest.mark.parametrize("n", [2, 100])
def test_values_that_are_all_equal_leave_a_finite_statistic_and_an_interval_with_a_width(value, n):
    result = el_ratio(np.full(n, value), margin=0.05)
    assert result.estimate == pytest.approx(value, abs=1e-11)
    assert result.low <= result.estimate <= result.high
    assert result.high - result.low > 0.01
    assert all(isfinite(item) for item in (result.t_pass, result.t_fail, result.p_pass))


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_values_are_undefined_with_a_reason(n):
    result = el_ratio(np.zeros(n), margin=0.05)
    assert result.reason == f"{n} cases have no spread to judge by"
    assert (result.estimate, result.low, result.t_pass, result.p_fail) == (None,) * 4


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1.5])
def test_values_outside_the_support_are_undefined_with_a_reason(bad):
    result = el_ratio(np.array([0.0] * 30 + [bad]), margin=0.05)
    assert result.reason == "1 values are outside [-1, 1] or no numbers"


def test_rounding_noise_does_not_count_as_a_change():
    assert el_ratio(np.full(1000, -5.5e-17), margin=0.05) == el_ratio(np.zeros(1000), margin=0.05)


def test_a_mean_at_the_end_of_the_support_is_certainly_exceeded_by_any_other():
    assert RatioSample.of(np.zeros(30)).score(-1.0) == inf
    assert RatioSample.of(np.zeros(30)).score(1.0) == -inf
    assert RatioSample.of(-np.ones(30)).score(-1.0) == 0.0


def test_a_wider_support_is_more_careful():
    d = np.zeros(60)
    assert el_ratio(d, margin=0.05, bound=2.0).t_pass < el_ratio(d, margin=0.05).t_pass


def test_without_a_margin_there_is_an_interval_but_no_test_of_one():
    result = el_ratio(np.array([0.0, 0.5, -0.5] * 10))
    assert (result.t_pass, result.score_pass, result.p_pass) == (None, None, None)
    assert result.low < result.estimate < result.high


values = st.lists(
    st.one_of(st.sampled_from([-1.0, -2 / 3, -1 / 3, 0.0, 1 / 3, 2 / 3, 1.0]), st.floats(-1, 1)),
    min_size=2,
    max_size=40,
).map(np.array)


@given(values, st.floats(0.01, 0.6), st.sampled_from([0.005, 0.025, 0.05, 0.1]))
def test_the_interval_and_the_verdict_always_agree(d, margin, alpha):
    result = el_ratio(d, margin=margin, alpha=alpha)
    critical = student_quantile(1 - alpha, len(d) - 1)
    assert (result.t_pass > critical) == (result.low > -margin)
    assert (result.t_fail < -critical) == (result.high < 0)
    assert -1 <= result.low <= result.estimate + 1e-11
    assert result.estimate - 1e-11 <= result.high <= 1


@given(values, st.lists(st.floats(-0.99, 0.99), min_size=2, max_size=6))
def test_the_statistic_never_rises_with_the_mean_under_test(d, means):
    found = [RatioSample.of(d).guarded(m) for m in sorted(means)]
    assert all(later <= earlier + 1e-6 for earlier, later in pairwise(found))


@given(values, st.data(), st.floats(0.01, 0.6))
def test_a_better_case_never_lowers_the_unguarded_statistic(d, data, margin):
    at = data.draw(st.integers(0, len(d) - 1))
    raised = d.copy()
    raised[at] = data.draw(st.floats(d[at], 1.0))
    before, after = el_ratio(d, margin=margin), el_ratio(raised, margin=margin)
    assert after.score_pass >= before.score_pass - 1e-6
    assert after.score_fail >= before.score_fail - 1e-6


@given(values, st.floats(0.01, 0.6))
def test_exchanging_the_arms_mirrors_the_result(d, margin):
    there, back = el_ratio(d, margin=margin), el_ratio(-d, margin=margin)
    assert there.t_fail == pytest.approx(-back.t_fail, abs=1e-6)
    assert there.low == pytest.approx(-back.high, abs=1e-8)


@given(values)
def test_the_bounds_are_where_the_statistic_is_critical(d):
    sample = RatioSample.of(d)
    critical = student_quantile(0.95, len(d) - 1)
    low, high = sample.interval(critical)
    assume(sample.low + 1e-6 < low < sample.mean - 1e-6)
    assert sample.guarded(low) == pytest.approx(critical, rel=1e-5)
    assume(sample.mean + 1e-6 < high < sample.high - 1e-6)
    assert sample.guarded(high) == pytest.approx(-critical, rel=1e-5)


def test_many_cases_give_the_interval_of_student():
    d = np.clip(np.random.default_rng(7).normal(0.01, 0.2, 10_000), -1, 1)
    result, half = el_ratio(d, margin=0.02), 1.645 * d.std(ddof=1) / 100
    assert result.low == pytest.approx(d.mean() - half, abs=half / 100)
    assert result.high == pytest.approx(d.mean() + half, abs=half / 100)
