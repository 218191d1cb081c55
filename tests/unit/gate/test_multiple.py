"""Holm and Benjamini-Hochberg, against their definitions and against published numbers."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.gate.multiple import benjamini_hochberg, holm

ALPHA = 0.05

# Benjamini and Hochberg 1995, section 4.1: fifteen p-values; Bonferroni and Holm reject three of
# them at 0.05, their own procedure four.
PUBLISHED = (
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
    0.5719, 0.6528, 0.7590, 1.0,
)  # fmt: skip


def named(values, alpha=ALPHA):
    return {f"m{at:02}": p / alpha for at, p in enumerate(values)}


def test_both_reject_what_was_published():
    assert holm(named(PUBLISHED)) == {"m00", "m01", "m02"}
    assert benjamini_hochberg(named(PUBLISHED)) == {"m00", "m01", "m02", "m03"}


@pytest.mark.parametrize(
    ("shares", "rejected"),
    [
        ({}, set()),
        ({"a": 0.99}, {"a"}),
        ({"a": 1.0}, set()),
        # The step-up rescues what is not small enough alone at its rank.
        ({"a": 0.6, "b": 0.99}, {"a", "b"}),
        ({"a": 0.6, "b": 1.0}, set()),
        ({"a": 0.3, "b": 0.7, "c": 1.2}, {"a"}),
        ({"a": 0.3, "b": 0.66, "c": 1.2}, {"a", "b"}),
    ],
)
def test_benjamini_and_hochberg_step_up(shares, rejected):
    assert benjamini_hochberg(shares) == rejected


def closed(values):
    """Holm as the closure of Bonferroni: rejected if every family that holds it is rejected."""
    names = list(values)
    families = [set(one) for size in range(1, len(names) + 1) for one in combinations(names, size)]
    rejected = [family for family in families if min(values[n] for n in family) * len(family) < 1]
    return {
        name for name in names if all(family in rejected for family in families if name in family)
    }


def adjusted(values):
    """Benjamini and Hochberg by adjusted p-values: min over ranks from here on of m p / rank."""
    ordered = sorted(values, key=values.get)
    m = len(ordered)
    steps = {name: m * values[name] / rank for rank, name in enumerate(ordered, 1)}
    return {name for at, name in enumerate(ordered) if min(steps[n] for n in ordered[at:]) < 1}


# Hundredths, so that no product lies within rounding of the border but on purpose at 1 itself.
families = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 150).map(lambda n: n / 97))


@given(families)
def test_holm_is_the_closure_of_bonferroni(values):
    assert holm(values) == closed(values)


@given(families)
def test_benjamini_hochberg_is_what_adjusted_p_values_say(values):
    assert benjamini_hochberg(values) == adjusted(values)


@given(families)
def test_holm_rejects_no_more_than_benjamini_hochberg_and_neither_more_than_each_alone(values):
    assert holm(values) <= benjamini_hochberg(values) <= {n for n, p in values.items() if p < 1}


@given(families, st.sampled_from("abcdef"), st.floats(0, 1))
def test_a_smaller_p_value_never_takes_a_rejection_away(values, name, factor):
    if name in values:
        smaller = {**values, name: values[name] * factor}
        assert holm(values) <= holm(smaller)
        assert benjamini_hochberg(values) <= benjamini_hochberg(smaller)
