"""Agreement of a judge with people and with itself."""

import json
from math import isfinite, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.stats import agreement
from llmvc.stats.agreement import Figure, ac1, alpha_of, balanced, kappa, self_noise, share, slope

ROWS = json.loads(
    (Path(__file__).parent / "reference" / "agreement.json").read_text(encoding="utf-8")
)
# K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: four observers,
# twelve units, categories 1 to 5.
KRIPPENDORFF = [
    [1, 1, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
    [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [5, 5, 5], [1, 1], [3],
]  # fmt: skip


def pairs(both, first, second, neither):
    """Returns the answers of two raters with these counts in a two by two table."""
    one = [1] * (both + first) + [0] * (second + neither)
    return one, [1] * both + [0] * first + [1] * second + [0] * neither


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['categories']}x{len(row['one'])}")
def test_coefficients_are_those_of_other_packages(row):
    one, other, categories = row["one"], row["other"], row["categories"]
    ratings = row["ratings"]
    assert kappa(one, other).value == pytest.approx(row["kappa"], abs=1e-12)
    assert ac1(one, other, categories).value == pytest.approx(row["ac1"], abs=1e-5)
    assert alpha_of(ratings, categories).value == pytest.approx(row["nominal"], abs=1e-12)
    ordinal = alpha_of(ratings, categories, metric="ordinal").value
    assert ordinal == pytest.approx(row["ordinal"], abs=1e-12)


@pytest.mark.parametrize(("metric", "value"), [("nominal", 0.743), ("ordinal", 0.815)])
def test_alpha_is_that_of_its_authors_example(metric, value):
    cases = [[one - 1 for one in case] for case in KRIPPENDORFF]
    assert alpha_of(cases, 5, metric=metric).value == pytest.approx(value, abs=5e-4)


def test_where_nearly_all_answers_are_good_kappa_is_low_and_ac1_is_not():
    # Gwet's own example of the paradox: 118 of 125 alike, and kappa below 0.
    one, other = pairs(118, 5, 2, 0)
    assert kappa(one, other).value == pytest.approx(-0.0234, abs=1e-4)
    assert ac1(one, other, 2).value == pytest.approx(0.9408, abs=1e-4)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (kappa([], []), "fewer than two answers"),
        (kappa([1.0], [1.0]), "fewer than two answers"),
        (kappa([1.0] * 30, [1.0] * 30), "all ratings are the same"),
        (ac1([], [], 2), "fewer than two answers"),
        (alpha_of([], 2), "fewer than two answers"),
        (alpha_of([[1], [0], [1]], 2), "fewer than two answers"),
        (alpha_of([[1, 1]] * 9, 2), "all ratings are the same"),
        (share([]), "no cases"),
        (balanced(share([]), share([True])), "it takes answers that people find good"),
        (self_noise([[1], [0], [1]]), "fewer than two answers"),
        (slope([], []), "do not differ in length"),
        (slope([0.1, 0.2], [5.0, 5.0]), "do not differ in length"),
    ],
)
def test_what_cannot_be_told_is_none_with_a_reason(found, reason):
    assert (found.value, found.low, found.high) == (None, None, None)
    assert reason in found.reason


def test_perfect_agreement_has_no_interval_instead_of_a_certain_one():
    found = kappa([1.0, 0.0] * 20, [1.0, 0.0] * 20)
    assert (found.value, found.low, found.high) == (1.0, None, None)
    assert found.reason == "no resample differs: there is no interval"


def test_the_same_seed_gives_the_same_interval_and_another_one_hardly_another():
    one, other = pairs(20, 5, 10, 15)
    first, again, third = (kappa(one, other, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.value == pytest.approx(0.4)
    assert first.low == pytest.approx(third.low, abs=0.05)
    assert first != third


@pytest.mark.parametrize("rule", [np.ones, np.zeros, lambda n: np.arange(n) % 2])
def test_a_rule_that_ignores_the_answer_has_a_balanced_accuracy_of_one_half(rule):
    good = np.repeat([True, False], 40)
    said = rule(80).astype(bool)
    found = balanced(share(said[good].tolist()), share((~said[~good]).tolist()))
    assert found.value == 0.5
    assert found.low < 0.5 < found.high


@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.9, 0.6), (0.99, 0.99), (0.5, 0.5)])
def test_the_lower_bound_of_balanced_accuracy_holds(sensitivity, specificity):
    rng, above, replications = np.random.default_rng(5), 0, 400
    for _ in range(replications):
        parts = (rng.random(40) < sensitivity, rng.random(25) < specificity)
        low = balanced(*(share(part.tolist()) for part in parts)).low
        above += low > (sensitivity + specificity) / 2
    assert above / replications <= 0.05 + 3.5 * sqrt(0.05 * 0.95 / replications)


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.25])
def test_noise_is_how_often_one_more_grade_differs_from_two_that_agree(noise):
    # Answers of which some are clear and some are not, as real ones are.
    rng = np.random.default_rng(6)
    unclear = np.where(rng.random(60_000) < 0.5, 2 * noise, 0.0)
    grades = (rng.random((3, len(unclear))) < unclear).astype(int)
    found = self_noise(grades[:2].T.tolist())
    agree = grades[0] == grades[1]
    assert found.value == pytest.approx((grades[2] != grades[0])[agree].mean(), abs=0.01)
    assert found.low < found.value < found.high


def test_a_judge_that_likes_length_has_a_slope_and_another_has_none():
    rng = np.random.default_rng(7)
    length = rng.normal(400, 100, 300)
    noise = rng.normal(0, 0.2, 300)
    likes = slope((noise + 0.1 * (length - 400) / 100).tolist(), length.tolist())
    fair = slope(noise.tolist(), length.tolist())
    assert likes.low > 0.05
    assert likes.value == pytest.approx(0.1, abs=0.03)
    assert fair.low < 0 < fair.high


ratings = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=30)


@given(ratings, st.integers(0, 3))
def test_coefficients_are_none_or_finite_and_never_above_one(cases, seed):
    one, other = ([case[at] for case in cases] for at in (0, 1))
    for found in (
        kappa(one, other, seed=seed),
        ac1(one, other, 3, seed=seed),
        alpha_of(cases, 3, metric="ordinal", seed=seed),
    ):
        assert found.value is None or found.value <= 1.0 + 1e-12
        assert all(
            value is None or isfinite(value) for value in (found.value, found.low, found.high)
        )
        assert (found.low is None) == (found.high is None)
        assert found.low is not None or found.reason


@given(ratings)
def test_it_does_not_matter_who_is_named_first(cases):
    one, other = ([case[at] for case in cases] for at in (0, 1))
    for found in (kappa, lambda x, y: ac1(x, y, 3)):
        there, back = found(one, other).value, found(other, one).value
        assert there == (back if back is None else pytest.approx(back))


def test_what_a_judge_gives_too_much_has_the_interval_of_a_mean():
    found = agreement.excess([1.0] * 10 + [0.0] * 30)
    assert found.low < found.value == 0.25 < found.high
    few = agreement.excess([0.5] * 3)
    assert few.value == 0.5
    assert few.low < 0 < few.high
    assert agreement.excess([]).value is None


def test_a_figure_is_nothing_by_default():
    assert Figure() == agreement.Figure(None, None, None, None)
