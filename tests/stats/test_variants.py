"""The spread of spellings against arithmetic, Tango's interval and simulation."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvc.stats.paired import el_score
from llmvc.stats.samples import group
from llmvc.stats.variants import spread

ALONE = group([None] * 40)


def rows(*counts, n=40):
    """Binary scores: the first `count` cases are right."""
    return [np.array([1.0] * count + [0.0] * (n - count)) for count in counts]


def test_two_spellings_have_the_interval_of_their_difference():
    one, other = rows(30, 22)
    found, paired = spread([one, other], ALONE), el_score(one - other)
    assert (found.low, found.high) == pytest.approx((paired.low, paired.high))
    # 8 of 40 differ: d = 0.2, its squared error (8 - 8^2/40) / 39 / 40.
    assert found.estimate == pytest.approx((0.2**2 - (8 - 1.6) / 39 / 40) ** 0.5)


def anova(means):
    """The spread by the textbook's table of sums of squares, cases as blocks."""
    table = np.array(means)
    k, n = table.shape
    spelt, case = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    rest = table - spelt - case + table.mean()
    between = n * ((spelt - table.mean()) ** 2).sum() / (k - 1)
    within = (rest**2).sum() / ((k - 1) * (n - 1))
    return float(np.ptp(spelt)) * max(0.0, 1 - within / between) ** 0.5


@pytest.mark.parametrize("k", [2, 3, 6])
def test_the_estimate_is_that_of_the_table_of_variances(k):
    drawn = np.random.default_rng(k).random((k, 40)) * 0.5 + np.linspace(0, 0.3, k)[:, None]
    assert spread(list(drawn), ALONE).estimate == pytest.approx(anova(drawn))


def test_many_spellings_have_the_farthest_bound_of_their_pairs():
    means = rows(35, 30, 20)
    pairs = [el_score(a - b, alpha=0.05 / 3) for a, b in combinations(means, 2)]
    found = spread(means, ALONE)
    assert found.high == pytest.approx(max(pair.high for pair in pairs))
    assert found.low == pytest.approx(max(pair.low for pair in pairs))


def test_no_disagreement_at_all_is_never_no_spread_for_certain():
    found = spread(rows(30, 30, 30), ALONE)
    assert (found.estimate, found.low) == (0.0, 0.0)
    assert found.high > 0.05


def test_what_chance_explains_is_no_spread():
    rng = np.random.default_rng(5)
    drawn = [spread(list((rng.random((3, 40)) < 0.5) * 1.0), ALONE) for _ in range(30)]
    assert np.median([found.estimate for found in drawn]) < 0.05
    assert sum(found.low > 0 for found in drawn) <= 7


def test_groups_are_the_units():
    means = rows(30, 22)
    paired = group([f"g{at // 2}" for at in range(40)])
    found = spread(means, paired)
    assert found.low < spread(means, ALONE).low
    assert found.estimate < spread(means, ALONE).estimate


@pytest.mark.parametrize(
    ("means", "groups", "reason"),
    [
        (rows(30), ALONE, "there is one spelling"),
        (rows(5, 4, n=10), group([None] * 10), "10 cases are too few"),
        (rows(30, 20), group(["a"] * 40), "1 group is too few"),
    ],
)
def test_what_cannot_be_said_has_a_reason(means, groups, reason):
    found = spread(means, groups)
    assert (found.estimate, found.low, found.high) == (None, None, None)
    assert found.reason.startswith(reason)


@settings(max_examples=12)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_the_estimate_lies_in_its_interval_whatever_the_order(k, seed):
    drawn = list(np.random.default_rng(seed).integers(0, 4, (k, 25)) / 3)
    groups = group([None] * 25)
    found = spread(drawn, groups)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    turned = spread(drawn[::-1], groups)
    assert (turned.low, turned.estimate, turned.high) == pytest.approx(
        (found.low, found.estimate, found.high)
    )


def coverage(n, k, effect, times, seed):
    """How often the interval holds the true spread: cases of mixed difficulty, one run each."""
    rng, held = np.random.default_rng(seed), 0
    groups = group([None] * n)
    for _ in range(times):
        p = rng.choice([0.4, 0.6, 0.8], n) - np.linspace(0, effect, k)[:, None]
        found = spread(list((rng.random((k, n)) < p) * 1.0), groups)
        held += found.low <= effect <= found.high
    return held / times


@pytest.mark.parametrize(("k", "effect"), [(2, 0.0), (2, 0.15), (3, 0.15)])
def test_the_interval_holds_the_true_spread(k, effect):
    assert coverage(60, k, effect, 60, seed=k) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("n", [30, 100])
@pytest.mark.parametrize("effect", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("k", [2, 3, 6])
def test_the_interval_holds_the_true_spread_as_often_as_it_says(k, effect, n):
    assert coverage(n, k, effect, 400, seed=n + k) >= 0.88
