"""Planned looks: published boundaries, and what they promise together."""

from itertools import pairwise
from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.errors import FormatError
from llmvc.gate.looks import levels, spent

NORMAL = NormalDist()
FOUR = (0.25, 0.5, 0.75, 1.0)


def heights(at, alpha):
    return [-NORMAL.inv_cdf(level) for level in levels(at, alpha)]


@pytest.mark.parametrize(
    ("at", "alpha", "expected"),
    [
        (FOUR, 0.05, (3.750, 2.540, 2.016, 1.720)),
        ((0.5, 0.75, 1.0), 0.05, (2.538, 2.016, 1.720)),
        ((0.5, 1.0), 0.05, (2.538, 1.662)),
    ],
)
def test_boundaries_are_those_of_the_design(at, alpha, expected):
    assert heights(at, alpha) == pytest.approx(expected, abs=6e-4)


def test_boundaries_are_those_of_the_published_program():
    # Five equal looks, two-sided 0.05, i.e. 0.025 a side: the table printed with the program of
    # Reboussin, DeMets, Kim and Lan (Controlled Clinical Trials 21, 2000, 190-207).
    expected = (4.8769, 3.3569, 2.6803, 2.2898, 2.0310)
    assert heights((0.2, 0.4, 0.6, 0.8, 1.0), 0.025) == pytest.approx(expected, abs=2e-4)


def chance_of_crossing(at, bounds, points=4001):
    """Returns the chance of being above some bound, on a plain grid (Simpson): another method."""
    grid = np.linspace(-9 * sqrt(at[0]), bounds[0] * sqrt(at[0]), points)
    density = np.exp(-np.square(grid) / (2 * at[0])) / sqrt(2 * np.pi * at[0])
    for (before, share), bound in zip(pairwise(at), bounds[1:], strict=True):
        weights = np.ones(points)
        weights[1:-1:2], weights[2:-1:2] = 4, 2
        mass = density * weights * (grid[1] - grid[0]) / 3
        step = share - before
        new = np.linspace(-9 * sqrt(share), min(bound, 9) * sqrt(share), 401 if share < 1 else 4001)
        gaps = np.subtract.outer(new, grid)
        density = np.exp(-np.square(gaps) / (2 * step)) @ mass / sqrt(2 * np.pi * step)
        grid, points = new, len(new)
    weights = np.ones(points)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    return 1 - float(density @ weights) * (grid[1] - grid[0]) / 3


@pytest.mark.parametrize("alpha", [0.005, 0.05, 0.2])
@pytest.mark.parametrize(
    "at", [(0.5, 1.0), FOUR, (0.1, 0.3, 1.0), (0.5, 0.55, 1.0), (0.9, 1.0)], ids=str
)
def test_all_looks_together_spend_alpha_and_no_more(at, alpha):
    assert chance_of_crossing(at, heights(at, alpha)) == pytest.approx(alpha, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.025, 0.1])
def test_simulated_sums_of_evidence_cross_as_often_as_alpha_says(alpha):
    rng, paths = np.random.default_rng(11), 200_000
    at = np.array(FOUR)
    sums = np.cumsum(rng.normal(size=(paths, 4)) * np.sqrt(np.diff(at, prepend=0.0)), axis=1)
    crossed = (sums / np.sqrt(at) > heights(FOUR, alpha)).any(axis=1).mean()
    assert crossed == pytest.approx(alpha, abs=4 * sqrt(alpha * (1 - alpha) / paths))


alphas = st.floats(0.001, 0.3)


@given(alphas)
def test_a_single_look_has_the_whole_level(alpha):
    assert levels((1.0,), alpha) == (alpha,)


@given(st.sets(st.integers(1, 19), min_size=1, max_size=4), alphas)
def test_every_level_is_within_alpha_and_the_last_above_what_is_left(shares, alpha):
    at = (*(share / 20 for share in sorted(shares)), 1.0)
    found = levels(at, alpha)
    assert len(found) == len(at)
    assert found[0] == pytest.approx(spent(at[0], alpha), rel=1e-9, abs=1e-300)
    assert all(0 <= level <= alpha for level in found)
    # Looks are correlated: each may use at least what Bonferroni would leave it.
    assert all(
        level >= (spent(now, alpha) - spent(before, alpha)) * (1 - 1e-6)
        for level, before, now in zip(found[1:], at, at[1:], strict=False)
    )


@given(
    st.floats(0.02, 0.5),
    st.lists(st.floats(1.25, 4), min_size=1, max_size=4),
    st.floats(0.001, 0.1),
)
def test_levels_rise_from_look_to_look_that_adds_a_quarter_or_more(first, steps, alpha):
    at = [first]
    for step in steps:
        at.append(at[-1] * step)
    found = levels((*(share / at[-1] for share in at[:-1]), 1.0), alpha)
    assert all(before < now or now == 0 for before, now in pairwise(found))


def test_a_look_close_behind_another_may_use_less():
    _, second, third = levels((0.5, 0.51, 1.0), 0.05)
    assert second < levels((0.5, 1.0), 0.05)[0] < third


def test_a_look_at_next_to_nothing_spends_nothing():
    assert levels((0.001, 0.5, 1.0), 0.05) == pytest.approx((0.0, *levels((0.5, 1.0), 0.05)))


@given(alphas, st.floats(0.05, 0.99), st.floats(0.05, 0.99))
def test_more_is_spent_later_and_all_of_it_at_the_end(alpha, one, other):
    assert spent(min(one, other), alpha) <= spent(max(one, other), alpha) < spent(1.0, alpha)
    assert spent(1.0, alpha) == alpha


@pytest.mark.parametrize(
    "at",
    [
        (),
        (0.5,),
        (0.5, 0.9),
        (1.0, 0.5),
        (0.5, 0.5, 1.0),
        (0.75, 0.5, 1.0),
        (0.0, 1.0),
        (-0.5, 1.0),
        (0.5, 1.0, 1.5),
        (float("nan"), 1.0),
        (0.5, float("nan")),
        (float("inf"),),
    ],
    ids=str,
)
def test_a_plan_that_is_not_increasing_up_to_one_is_refused(at):
    with pytest.raises(FormatError, match="not an increasing list of shares that ends with 1"):
        levels(at, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_a_level_that_is_no_probability_is_refused(alpha):
    with pytest.raises(FormatError, match="is not between 0 and 1"):
        levels((1.0,), alpha)
