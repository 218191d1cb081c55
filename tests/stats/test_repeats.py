"""Flakiness, change and the fixed suite against enumeration and simulation."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.stats import repeats
from llmvc.stats.repeats import changed, fixed_suite, pass_k
from llmvc.stats.samples import reduce_runs
from tests.stats.simulation import MEAN


@given(st.integers(1, 8), st.data())
def test_pass_k_is_the_share_of_run_sets_in_which_all_pass(k, data):
    s, r = data.draw(st.integers(0, k)), data.draw(st.integers(1, k))
    sets = list(combinations([1] * s + [0] * (k - s), r))
    (chance,) = pass_k([s], [k], r)
    assert chance == pytest.approx(np.mean([all(one) for one in sets]))


def test_pass_k_takes_cases_with_different_numbers_of_runs():
    assert pass_k([2, 4, 1, 0], [2, 5, 3, 9], 2) == pytest.approx([1.0, 0.6, 0.0, 0.0])
    assert pass_k([3, 0], [4, 1], 1) == pytest.approx([0.75, 0.0])
    assert len(pass_k([], [], 3)) == 0


def test_pass_k_is_unbiased_for_the_chance_that_all_runs_pass():
    rng, p = np.random.default_rng(1), 0.7
    passes = rng.binomial(5, p, 40_000)
    assert pass_k(passes.tolist(), [5] * 40_000, 3).mean() == pytest.approx(p**3, abs=0.01)


@pytest.mark.parametrize(("runs", "r"), [([3, 2], 3), ([3, 3], 0)])
def test_more_runs_than_a_case_has_are_refused(runs, r):
    with pytest.raises(ValueError, match=f"{r} runs cannot be drawn from every case"):
        pass_k([1, 1], runs, r)


def every_relabelling(candidate, baseline):
    """Returns the exact p-value, by going through all of them."""

    def squares(ours, theirs):
        pooled = ours + theirs
        for chosen in combinations(range(len(pooled)), len(ours)):
            rest = [pooled[at] for at in range(len(pooled)) if at not in chosen]
            yield (np.mean([pooled[at] for at in chosen]) - np.mean(rest)) ** 2

    cases = [list(squares(*pair)) for pair in zip(candidate, baseline, strict=True)]
    seen = sum(case[0] for case in cases)
    return np.mean([sum(one) >= seen - 1e-12 for one in product(*cases)])


@pytest.mark.parametrize(
    ("candidate", "baseline"),
    [
        ([[1, 1, 1], [1, 1, 0]], [[0, 0, 0], [0, 1, 0]]),
        ([[1, 1], [0, 0], [1, 1]], [[0, 0], [1, 1], [1, 0]]),
        ([[0.9, 0.8, 0.7], [0.4], [0.3, 0.2]], [[0.1, 0.2], [0.5, 0.1], [0.3]]),
        ([[1, 0, 1, 1], [5.0]], [[0, 0], [2.0]]),
    ],
)
def test_change_has_the_p_value_of_all_relabellings(candidate, baseline):
    expected = every_relabelling(candidate, baseline)
    found = changed(candidate, baseline, seed=4, permutations=20_000)
    assert found == pytest.approx(expected, abs=0.015)


def test_runs_that_all_agree_show_no_change():
    assert changed([[1.0, 1.0]] * 30, [[1.0, 1.0, 1.0]] * 30) == 1.0


def test_every_case_turned_over_is_a_change_though_the_mean_stays():
    ours, theirs = [[1, 1, 1], [0, 0, 0]] * 15, [[0, 0, 0], [1, 1, 1]] * 15
    assert changed(ours, theirs) == 1 / 1000


@pytest.mark.parametrize(
    ("candidate", "baseline"),
    [
        ([], []),
        ([], [[0.0, 1.0]]),
        ([[1.0], [0.0]], [[0.0], [1.0]]),
        ([[1.0], [0.0, 1.0]], [[0.0, 1.0], [1.0]]),
        ([[], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]),
        ([[0.0, np.nan]], [[0.0, 1.0]]),
        ([[0.0, 1.0]], [[0.0, np.inf]]),
    ],
)
def test_change_is_undefined_without_repeats_in_both_arms_of_a_case(candidate, baseline):
    assert changed(candidate, baseline) is None


def test_the_seed_decides_the_relabellings():
    rng = np.random.default_rng(0)
    arms = [(rng.random((40, 3)) < 0.7).astype(float).tolist() for _ in range(2)]
    one, same, other = (changed(*arms, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert other == pytest.approx(one, abs=0.08)


@given(st.integers(0, 99), st.sampled_from([0.1, 3.0, 1e6]), st.floats(-5, 5))
def test_a_change_of_scale_does_not_matter(seed, scale, shift):
    rng = np.random.default_rng(seed)
    arms = [rng.integers(0, 4, (12, 3)) for _ in range(2)]
    moved = [(scale * arm + shift).tolist() for arm in arms]
    plain = changed(*(arm.tolist() for arm in arms), permutations=99)
    assert changed(*moved, permutations=99) == plain


def suites(rng, n, k, drop):
    """Returns runs of a baseline and of a candidate that lost all chance on some of the cases."""
    difficulty = rng.beta(MEAN, 1 - MEAN, n)
    harmed = np.where(rng.random(n) < drop / MEAN, 0.0, difficulty)
    return [(rng.random((n, k)) < p[:, None]).astype(float).tolist() for p in (harmed, difficulty)]


@pytest.mark.parametrize(
    ("n", "k", "drop", "least", "most"),
    [
        (30, 3, 0.0, 0.005, 0.065),
        (30, 3, 0.2, 0.91, 1.0),
        pytest.param(30, 3, 0.1, 0.60, 0.85, marks=pytest.mark.slow),
        pytest.param(100, 5, 0.0, 0.01, 0.065, marks=pytest.mark.slow),
    ],
)
def test_change_is_rarely_seen_where_there_is_none_and_often_where_there_is(
    n, k, drop, least, most
):
    rng = np.random.default_rng(6)
    found = [
        changed(*suites(rng, n, k, drop), seed=at, permutations=199) <= 0.05 for at in range(600)
    ]
    assert least <= np.mean(found) <= most


def test_many_cases_that_share_relabellings_keep_the_p_value_uniform():
    rng, n, runs = np.random.default_rng(11), 900, (2, 3)
    assert n > 2 * repeats._BATCHES
    found = np.array([
        changed(*(rng.lognormal(size=(n, k)).tolist() for k in runs), seed=at, permutations=99)
        for at in range(150)
    ])  # fmt: skip
    assert found.mean() == pytest.approx(0.5, abs=0.08)
    assert (found <= 0.2).mean() == pytest.approx(0.2, abs=0.11)


def test_the_fixed_suite_has_the_noise_of_its_runs_only():
    candidate = reduce_runs([[1, 0], [1, 1, 0, 0]])
    baseline = reduce_runs([[1, 1], [0, 1]])
    low, high = fixed_suite(candidate, baseline, alpha=0.025)
    noise = 0.5 / 2 + (1 / 3) / 4 + 0.5 / 2
    assert (low + high) / 2 == pytest.approx(-0.25)
    assert (high - low) / 2 == pytest.approx(1.959963984540054 * np.sqrt(noise) / 2)


def test_runs_that_all_agree_leave_the_fixed_suite_no_width():
    same = reduce_runs([[1, 1], [0, 0]])
    assert fixed_suite(same, same) == (0.0, 0.0)


@pytest.mark.parametrize("rows", [[], [[1.0], [0.0, 1.0]], [[1.0], [0.0]]])
def test_the_fixed_suite_needs_two_runs_of_every_case_in_both_arms(rows):
    once, twice = reduce_runs(rows), reduce_runs([[1.0, 0.0]] * len(rows))
    assert fixed_suite(once, twice) is None
    assert fixed_suite(twice, once) is None


def test_the_fixed_suite_needs_both_arms():
    arm = reduce_runs([[1.0, 0.0]])
    assert fixed_suite(arm, reduce_runs([])) is None
    assert fixed_suite(reduce_runs([]), arm) is None


def test_the_fixed_suite_covers_the_difference_on_its_own_cases():
    rng, n, k, covered = np.random.default_rng(8), 30, 3, 0
    ours, theirs = rng.uniform(0.2, 0.9, (2, n))
    for _ in range(1000):
        arms = [reduce_runs((rng.random((n, k)) < p[:, None]).tolist()) for p in (ours, theirs)]
        low, high = fixed_suite(*arms)
        covered += low <= (ours - theirs).mean() <= high
    assert 0.87 <= covered / 1000 <= 0.93
