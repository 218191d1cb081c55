"""The special functions of the gate against scipy's, and their own laws."""

from math import inf, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import bdtr, ndtr, stdtr, stdtrit

from llmvc.stats.special import binomial_half, normal_tail, student_quantile, student_tail

FREEDOM = [1, 2, 3, 14, 19, 49, 59, 60, 61, 100, 999, 9_999]


@pytest.mark.parametrize("df", FREEDOM)
@pytest.mark.parametrize("t", [1e-3, 0.3, 1.0, 1.6449, 1.7, 1.75, 2.0, 3.0, 8.0, 20.0, 100.0])
def test_the_tail_is_that_of_scipy(df, t):
    for signed in (t, -t):
        assert student_tail(signed, df) == pytest.approx(float(stdtr(df, signed)), rel=1e-11)


@pytest.mark.parametrize("df", FREEDOM)
@pytest.mark.parametrize("level", [0.6, 0.9, 0.95, 0.975, 0.999, 1 - 1e-6, 0.05, 1e-5])
def test_the_quantile_is_that_of_scipy_and_has_its_own_tail(df, level):
    found = student_quantile(level, df)
    assert found == pytest.approx(float(stdtrit(df, level)), rel=1e-10)
    assert student_tail(-abs(found), df) == pytest.approx(min(level, 1 - level), rel=1e-10)


def test_what_has_no_spread_and_what_has_no_freedom():
    assert [student_tail(t, 19) for t in (-inf, 0.0, inf)] == [0.0, 0.5, 1.0]
    assert isnan(student_quantile(0.95, 0))


@given(st.floats(-50, 50), st.integers(1, 10**6))
def test_the_two_tails_add_up(t, df):
    assert student_tail(t, df) + student_tail(-t, df) == pytest.approx(1.0, abs=1e-12)


@given(st.floats(0, 20), st.floats(1e-6, 5), st.integers(1, 10**6))
def test_the_tail_falls(t, step, df):
    assert student_tail(-t - step, df) <= student_tail(-t, df)


@pytest.mark.parametrize(
    ("most", "n"), [(-1, 4), (0, 0), (0, 5), (3, 10), (480, 1000), (5_990, 12_000)]
)
def test_fair_throws_are_those_of_scipy(most, n):
    expected = 0.0 if most < 0 else float(bdtr(most, n, 0.5))
    assert binomial_half(most, n) == pytest.approx(expected, rel=1e-9)


@given(st.floats(-35, 35))
def test_the_normal_tail_is_that_of_scipy(z):
    assert normal_tail(z) == pytest.approx(float(ndtr(z)), rel=1e-11)
