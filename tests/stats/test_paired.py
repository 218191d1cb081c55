"""The EL-score test against closed forms, published values, and its own laws."""

import json
from itertools import pairwise
from math import isfinite, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmvc.stats.paired import Sample, el_mean, el_score, student_quantile, student_tail

REFERENCE = Path(__file__).parent / "reference"
TANGO = json.loads((REFERENCE / "tango.json").read_text(encoding="utf-8"))
WILSON = json.loads((REFERENCE / "statsmodels_values.json").read_text(encoding="utf-8"))["wilson"]
Z = 1.959963984540054


def pairs(n, better, worse):
    return np.concatenate([np.ones(better), -np.ones(worse), np.zeros(n - better - worse)])


@pytest.mark.parametrize(
    "row", TANGO, ids=lambda row: f"{row['n']}-{row['better']}-{row['worse']}@{row['mean']}"
)
def test_one_run_of_pass_or_fail_gives_tangos_statistic(row):
    sample = Sample.of(pairs(row["n"], row["better"], row["worse"]))
    assert sample.score(float(row["mean"])) == pytest.approx(float(row["statistic"]), abs=1e-9)


@given(st.integers(2, 400), st.data(), st.floats(-0.95, 0.95))
def test_any_table_gives_tangos_statistic(n, data, m):
    better = data.draw(st.integers(0, n))
    worse = data.draw(st.integers(0, n - better))
    assume(abs((better - worse) / n - m) > 1e-9)
    middle = (2 * n - better + worse) * m - better - worse
    q = (sqrt(middle * middle + 8 * n * worse * m * (1 - m)) - middle) / (4 * n) if m > 0 else None
    if q is None:  # the mirror image: exchange the arms
        better, worse, m = worse, better, -m
        middle = (2 * n - better + worse) * m - better - worse
        q = (sqrt(middle * middle + 8 * n * worse * m * (1 - m)) - middle) / (4 * n)
    expected = (better - worse - n * m) / sqrt(n * (2 * q + m * (1 - m)))
    assert Sample.of(pairs(n, better, worse)).score(m) == pytest.approx(expected, abs=1e-9)


def test_published_interval_of_tango_for_paired_responses():
    # Complete response before and after consolidation therapy (Cavo et al., Lancet 2010): 161
    # pairs, 6 and 16 discordant. The R package contingencytables (Fagerland, Lydersen and Laake)
    # gives -0.0621 (95% CI -0.1240 to -0.0054) for the Tango score interval.
    low, high = Sample.of(pairs(161, 6, 16)).interval(Z)
    assert (round(low, 4), round(high, 4)) == (-0.1240, -0.0054)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    # R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3 (score).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)  # fmt: skip
def test_published_wilson_intervals_are_where_the_statistic_of_one_arm_is_critical(
    count, n, low, high
):
    sample = Sample.of(pairs(n, count, 0), low=0.0)
    assert sample.score(high) == pytest.approx(-Z, abs=2e-2)
    assert low == 0 or sample.score(low) == pytest.approx(Z, abs=2e-2)


@pytest.mark.parametrize("row", WILSON, ids=lambda row: f"{row['count']}-of-{row['n']}")
def test_one_arm_run_once_has_wilsons_interval_at_any_quantile(row):
    sample = Sample.of(pairs(row["n"], row["count"], 0), low=0.0)
    z = 1.6448536269514722
    assert row["low"] == pytest.approx(0, abs=1e-9) or sample.score(row["low"]) == pytest.approx(z)
    assert row["high"] == pytest.approx(1) or sample.score(row["high"]) == pytest.approx(-z)


@pytest.mark.parametrize(
    ("n", "margin"), [(27, 0.10), (54, 0.05), (90, 0.03), (135, 0.02), (270, 0.01)]
)
def test_no_difference_at_all_passes_from_the_least_number_of_cases_on(n, margin):
    at, below = el_score(np.zeros(n), margin=margin), el_score(np.zeros(n - 1), margin=margin)
    assert at.t_pass == pytest.approx(sqrt(n * margin / (1 - margin)))
    assert at.low > -margin
    assert below.low <= -margin


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1 / 3])
def test_values_that_are_all_equal_leave_a_finite_statistic_and_an_interval_with_a_width(value):
    result = el_score(np.full(100, value), margin=0.05)
    assert result.estimate == pytest.approx(value, abs=1e-11)
    assert result.low <= result.estimate <= result.high
    assert result.high - result.low > 0.02
    assert all(isfinite(item) for item in (result.t_pass, result.t_fail, result.p_pass))


def test_rounding_noise_does_not_count_as_a_change():
    result = el_score(np.full(1000, -5.5e-17), margin=0.05)
    assert result.t_fail == 0.0
    assert result.p_fail == 0.5
    assert result == el_score(np.zeros(1000), margin=0.05)


def test_the_mean_itself_has_a_statistic_of_zero():
    d = np.array([0.25, 0.5, 0.75] * 10)
    assert Sample.of(d).guarded(0.5) == 0.0


def test_the_variance_guard_stops_a_pass_by_few_jumps_over_many_small_losses():
    d = np.concatenate([np.full(96, -0.11), np.full(4, 1.0)])
    result = el_score(d, margin=0.10, alpha=0.05)
    critical = student_quantile(0.95, 99)
    assert result.score_pass > critical >= result.t_pass
    assert result.low <= -0.10
    assert result.t_pass == pytest.approx((d.mean() + 0.10) / (d.std(ddof=1) / sqrt(100)))


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_values_are_undefined_with_a_reason(n):
    for result in (el_score(np.zeros(n), margin=0.05), el_mean(np.zeros(n))):
        assert result.reason == f"{n} cases have no spread to judge by"
        assert (result.estimate, result.low, result.t_pass, result.p_fail) == (None,) * 4


def test_two_values_have_the_widest_interval():
    result = el_score(np.zeros(2), margin=0.05)
    assert result.low < -0.9
    assert result.high > 0.9
    assert el_score(np.ones(2), margin=0.5).low < 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.5, -1.01])
def test_values_outside_the_support_are_undefined_with_a_reason(bad):
    result = el_score(np.array([0.0] * 30 + [bad]), margin=0.05)
    assert result.reason == "1 values are outside [-1, 1] or no numbers"
    assert result.estimate is None


values = st.lists(
    st.one_of(st.sampled_from([-1.0, -2 / 3, -1 / 3, 0.0, 1 / 3, 2 / 3, 1.0]), st.floats(-1, 1)),
    min_size=2,
    max_size=40,
).map(np.array)


@given(values, st.floats(0.01, 0.6), st.sampled_from([0.005, 0.025, 0.05, 0.1]))
def test_the_interval_and_the_verdict_always_agree(d, margin, alpha):
    result = el_score(d, margin=margin, alpha=alpha)
    critical = student_quantile(1 - alpha, len(d) - 1)
    assert (result.t_pass > critical) == (result.low > -margin)
    assert (result.t_fail < -critical) == (result.high < 0)
    assert -1 <= result.low <= result.estimate + 1e-11
    assert result.estimate - 1e-11 <= result.high <= 1


@given(values, st.lists(st.floats(-0.99, 0.99), min_size=2, max_size=6))
def test_the_statistic_never_rises_with_the_mean_under_test(d, means):
    sample = Sample.of(d)
    found = [sample.guarded(m) for m in sorted(means)]
    assert all(later <= earlier + 1e-7 for earlier, later in pairwise(found))


@given(values, st.floats(0.01, 0.6))
def test_exchanging_the_arms_mirrors_the_result(d, margin):
    there, back = el_score(d, margin=margin), el_score(-d, margin=margin)
    assert there.t_fail == pytest.approx(-back.t_fail, abs=1e-7)
    assert there.low == pytest.approx(-back.high, abs=1e-8)


@given(values)
def test_the_bounds_are_where_the_statistic_is_critical(d):
    sample = Sample.of(d)
    critical = student_quantile(0.95, len(d) - 1)
    low, high = sample.interval(critical)
    assume(sample.low + 1e-6 < low < sample.mean - 1e-6)
    assert sample.guarded(low) == pytest.approx(critical, rel=1e-5)
    assume(sample.mean + 1e-6 < high < sample.high - 1e-6)
    assert sample.guarded(high) == pytest.approx(-critical, rel=1e-5)


def test_a_wider_support_is_more_careful():
    d = np.zeros(60)
    assert el_score(d, margin=0.05, bound=2.0).t_pass < el_score(d, margin=0.05).t_pass


def test_one_arm_with_a_perfect_score_has_the_bound_of_wilson():
    t = student_quantile(0.95, 99)
    result = el_mean(np.ones(100))
    assert result.low == pytest.approx(100 / (100 + t * t), abs=1e-9)
    assert result.high == 1.0


def test_p_values_are_students_tails_of_the_deciding_statistics():
    d = pairs(100, 3, 9)
    result = el_score(d, margin=0.15)
    assert result.p_pass == pytest.approx(student_tail(-result.t_pass, 99))
    assert result.p_fail == pytest.approx(student_tail(result.t_fail, 99))
    assert result.score_pass >= result.t_pass


def test_a_mean_at_the_end_of_the_support_is_certainly_exceeded_by_any_other():
    assert Sample.of(np.zeros(30)).score(-1.0) == np.inf
    assert Sample.of(np.zeros(30)).score(1.0) == -np.inf
    assert Sample.of(-np.ones(30)).score(-1.0) == 0.0


def test_without_a_margin_there_is_an_interval_but_no_test_of_one():
    result = el_score(pairs(100, 3, 9))
    assert (result.t_pass, result.score_pass, result.p_pass) == (None, None, None)
    assert result.low < result.estimate < result.high


@pytest.mark.parametrize("n", [10_000, 200_000])
def test_many_cases_give_the_interval_of_student(n):
    d = np.clip(np.random.default_rng(7).normal(0.01, 0.2, n), -1, 1)
    result, half = el_score(d, margin=0.02), 1.645 * d.std(ddof=1) / sqrt(n)
    assert result.low == pytest.approx(d.mean() - half, abs=half / 100)
    assert result.high == pytest.approx(d.mean() + half, abs=half / 100)
