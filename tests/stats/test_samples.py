"""Runs become cases, and cases become the units that a test counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.stats.samples import group, reduce_runs, split_variance


def test_runs_are_averaged_by_case_even_if_their_numbers_differ():
    arm = reduce_runs([[1.0, 0.0, 1.0], [0.5], [0.0, 1.0]])
    assert arm.means == pytest.approx([2 / 3, 0.5, 0.5])
    assert arm.noise[0] == pytest.approx(np.var([1, 0, 1], ddof=1) / 3)
    assert np.isnan(arm.noise[1])
    assert arm.noise[2] == pytest.approx(0.25)


def test_no_cases_make_an_empty_arm():
    assert len(reduce_runs([]).means) == 0


def test_cases_without_a_group_stand_alone():
    groups = group([None, None, "a", "a", None])
    assert list(groups.sizes) == [1, 1, 2, 1]
    assert groups.effective == pytest.approx(25 / 7)
    assert not groups.alone
    assert group([None] * 4).alone


@given(
    st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=30), st.integers(0, 99)
)
def test_units_have_the_mean_of_the_cases_whatever_the_groups(labels, seed):
    values = np.random.default_rng(seed).uniform(-1, 1, len(labels))
    groups = group(labels)
    units = groups.units(values)
    assert len(units) == groups.count
    assert units.mean() == pytest.approx(values.mean())
    assert 1 <= groups.effective <= groups.count + 1e-9
    assert groups.stretch >= 1


def test_unequal_groups_stretch_the_support():
    groups = group(["a"] * 8 + [None] * 2)
    assert groups.effective == pytest.approx(100 / 66)
    assert groups.stretch == pytest.approx(3 * 66 / 100)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([], "0 cases are too few: at least 20 are needed"),
        ([None], "1 case is too few: at least 20 are needed"),
        (["doc"] * 60, "1 group is too few: at least 15 are needed"),
        ([None] * 19, "19 cases are too few: at least 20 are needed"),
        ([None] * 20, None),
        ([f"g{i % 14}" for i in range(140)], "14 groups count as 14.0 equal ones: at least 15 are needed"),
        ([f"g{i % 15}" for i in range(150)], None),
        (["big"] * 60 + [None] * 40, "41 groups count as 2.7 equal ones: at least 15 are needed"),
    ],
)  # fmt: skip
def test_too_few_cases_or_effective_groups_are_refused(labels, reason):
    assert group(labels).refusal() == reason


def test_variance_splits_into_cases_and_runs():
    baseline = reduce_runs([[0, 1], [1, 1], [0, 0], [1, 0]])
    candidate = reduce_runs([[1, 1], [1, 1], [0, 1], [0, 0]])
    d = candidate.means - baseline.means
    var_case, var_run = split_variance(d, baseline, candidate)
    assert var_run == pytest.approx(3 * 0.25 / 4)
    assert var_case == pytest.approx(max(0, d.var(ddof=1) - var_run))


def test_variance_cannot_be_split_without_repeats_or_cases():
    once = reduce_runs([[1.0], [0.0]])
    assert split_variance(once.means, once) is None
    one = reduce_runs([[1.0, 0.0]])
    assert split_variance(one.means, one) is None


def test_repeats_in_one_arm_alone_do_not_split_the_variance():
    once, twice = reduce_runs([[1.0], [0.0]]), reduce_runs([[1.0, 0.0], [0.0, 0.0]])
    assert split_variance(twice.means - once.means, once, twice) is None
