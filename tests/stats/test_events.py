"""Rare failures and descriptive tests against scipy and statsmodels, and their own laws."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.stats.events import mcnemar, rate, wilcoxon

REFERENCE = Path(__file__).parent / "reference" / "events_values.json"
VALUES = json.loads(REFERENCE.read_text(encoding="utf-8"))


def flags(count, n):
    return [True] * count + [False] * (n - count)


@pytest.mark.parametrize("row", VALUES["rate"], ids=lambda row: f"{row['count']}-of-{row['n']}")
def test_bounds_and_tails_are_those_of_scipy(row):
    result = rate(flags(row["count"], row["n"]), budget=row["budget"], alpha=row["alpha"])
    assert (result.n, result.count, result.alpha) == (row["n"], row["count"], row["alpha"])
    assert result.rate == row["count"] / row["n"]
    for name in ("low", "high", "p_pass", "p_fail"):
        assert getattr(result, name) == pytest.approx(row[name], rel=1e-9), name


@pytest.mark.parametrize(
    ("n", "percent"), [(30, 9.50), (100, 2.95), (300, 0.99), (1000, 0.30), (3000, 0.10)]
)
def test_no_severe_case_shows_no_more_than_the_published_bound(n, percent):
    result = rate(flags(0, n))
    assert round(100 * result.high, 2) == percent
    assert (result.low, result.rate) == (0.0, 0.0)
    assert (result.p_pass, result.p_fail) == (None, None)


def test_no_cases_are_undefined_with_a_reason():
    result = rate([], budget=0.1)
    assert result.reason == "no cases show no rate"
    assert (result.rate, result.low, result.high, result.p_pass, result.p_fail) == (None,) * 5


@pytest.mark.parametrize("n", [1, 2, 19, 20])
def test_few_cases_have_bounds_and_do_not_pass_a_small_budget(n):
    result = rate(flags(0, n), budget=0.1)
    assert result.high == pytest.approx(1 - 0.05 ** (1 / n))
    assert result.p_pass == pytest.approx(0.9**n)
    assert rate(flags(n, n)).low == pytest.approx(0.05 ** (1 / n))


@pytest.mark.parametrize(
    ("count", "budget", "p_pass", "p_fail"),
    [
        (0, 0.0, 1, 1),
        (0, 1.0, 0, 1),
        (5, 0.0, 1, 0),
        (5, 1.0, 0, 1),
        (9, 0.0, 1, 0),
        (9, 1.0, 1, 1),
    ],
)
def test_a_budget_at_either_end_is_defined(count, budget, p_pass, p_fail):
    result = rate(flags(count, 9), budget=budget)
    assert (result.p_pass, result.p_fail) == (p_pass, p_fail)


@given(st.integers(1, 300), st.data(), st.floats(0, 1), st.sampled_from([0.005, 0.025, 0.05, 0.1]))
def test_the_bounds_and_the_tails_always_agree(n, data, budget, alpha):
    count = data.draw(st.integers(0, n))
    for at in (budget, 0.05, rate(flags(count, n), alpha=alpha).high):
        result = rate(flags(count, n), budget=at, alpha=alpha)
        assert (result.p_pass < alpha) == (result.high < at)
        assert (result.p_fail < alpha) == (result.low > at)
        assert 0 <= result.low <= result.rate <= result.high <= 1


@given(st.integers(1, 200), st.data())
def test_counting_the_harmless_cases_mirrors_the_bounds(n, data):
    count = data.draw(st.integers(0, n))
    there, back = rate(flags(count, n)), rate(flags(n - count, n))
    assert there.low == pytest.approx(1 - back.high, abs=1e-12)
    assert there.high == pytest.approx(1 - back.low, abs=1e-12)


@pytest.mark.parametrize(
    "row", VALUES["mcnemar"], ids=lambda row: f"{row['worse']}-{row['better']}"
)
def test_mcnemars_p_values_are_those_of_statsmodels_and_of_exact_fractions(row):
    exact, mid = mcnemar(row["worse"], row["better"])
    assert exact == pytest.approx(row["exact"], rel=1e-12)
    assert mid == pytest.approx(row["mid"], rel=1e-12)


def test_the_published_example_of_the_mid_p():
    # Airway hyper-responsiveness before and after stem cell transplantation (Bentur et al. 2009),
    # table 1 of Fagerland, Lydersen and Laake (2013): 1 and 7 discordant; exact 0.070, mid-p 0.039.
    assert [round(p, 3) for p in mcnemar(1, 7)] == [0.070, 0.039]


def test_no_discordant_case_is_no_evidence():
    assert mcnemar(0, 0) == (1.0, 1.0)


@pytest.mark.parametrize("row", VALUES["wilcoxon"], ids=lambda row: f"n={len(row['d'])}")
def test_signed_ranks_have_the_p_value_of_scipy(row):
    assert wilcoxon(np.array(row["d"])) == pytest.approx(row["p"], rel=1e-9)


@pytest.mark.parametrize("d", [[], [0.0], [0.0] * 30, [1.0, np.nan], [np.inf, 1.0, 2.0]])
def test_nothing_to_rank_has_no_p_value(d):
    assert wilcoxon(np.array(d)) is None


def test_differences_that_are_equal_but_for_rounding_are_ties():
    assert wilcoxon(np.array([0.1 + 0.2, -0.3, 0.3])) == wilcoxon(np.array([0.3, -0.3, 0.3]))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9).filter(any))
def test_a_small_signed_rank_test_is_the_count_over_all_signs(d):
    used = [value for value in d if value]
    sizes = np.sort(np.abs(used))
    ranks = [np.flatnonzero(sizes == abs(value)).mean() + 1 for value in used]
    half = sum(ranks) / 2
    seen = abs(sum(rank for rank, value in zip(ranks, used, strict=True) if value > 0) - half)
    sums = [np.dot(signs, ranks) for signs in product((0, 1), repeat=len(ranks))]
    expected = np.mean([abs(one - half) >= seen - 1e-9 for one in sums])
    assert wilcoxon(np.array(d, dtype=float)) == pytest.approx(expected)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=80).map(np.array))
def test_exchanging_the_arms_leaves_the_signed_rank_test(d):
    assert wilcoxon(d) == wilcoxon(-d)
