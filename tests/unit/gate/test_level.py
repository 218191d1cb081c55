"""The level that a verdict is read at: what looks and candidates leave of alpha."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core.metric import Metric
from llmvc.core.suite import Looks, Suite
from llmvc.gate.level import LAST_LOOK, Standing, level, note, refusal
from llmvc.gate.looks import levels

QUARTERS = (0.25, 0.5, 0.75, 1.0)


def suite(at=(1.0,), *, by="cases", **options):
    metric = Metric("quality", "score", ("team",), margin=0.05)
    return Suite((), (), 1, (metric,), looks=Looks(by, at), **options)


@pytest.mark.parametrize(
    ("at", "standing", "expected"),
    [
        ((1.0,), LAST_LOOK, 0.05),
        ((1.0,), Standing(1), 0.05),
        ((1.0,), Standing(2), 0.0),
        ((1.0,), Standing(2, merged=True), 0.0),
        # z of 2.538, 1.662 and of 3.750, 2.540, 2.016, 1.720 (statistics.md, sections 0 and 6).
        ((0.5, 1.0), Standing(1), 0.005575),
        ((0.5, 1.0), Standing(2), 0.04826),
        ((0.5, 1.0), LAST_LOOK, 0.04826),
        ((0.5, 1.0), Standing(3), 0.0),
        (QUARTERS, Standing(1), 0.0000885),
        (QUARTERS, Standing(2), 0.005543),
        (QUARTERS, Standing(4), 0.0427),
        # Two measurements that ended at the first look: 0.05 less what one of them could spend.
        ((0.5, 1.0), Standing(2, merged=True), 0.05 - 0.005575),
        ((0.5, 1.0), Standing(3, merged=True), 0.0),
        ((0.5, 1.0), Standing(1, merged=True), 0.0),
        # A look that nobody took has no level, least of all that of the last one.
        ((0.5, 1.0), Standing(0), 0.0),
        ((0.5, 1.0), Standing(-1), 0.0),
    ],
)
def test_a_look_gets_what_the_plan_leaves_it(at, standing, expected):
    assert level(suite(at), standing) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(
    ("tried", "expected"), [(1, 0.05), (2, 0.05), (3, 0.05 * 2 / 3), (4, 0.025), (40, 0.0025)]
)
def test_more_candidates_than_the_suite_allows_divide_alpha(tried, expected):
    rules = suite(candidates=2)
    assert level(rules, Standing(tried=tried)) == pytest.approx(expected)
    said = note(rules, Standing(tried=tried))
    if tried <= 2:
        assert said is None
    else:
        assert said == (
            f"candidate {tried} on this baseline and suite, which allows 2: "
            f"the error rate is {expected:.2g} instead of 0.05"
        )
    assert refusal(rules, Standing(tried=tried)) is None


def test_the_note_speaks_of_candidates_and_not_of_what_looks_take():
    said = note(suite((0.5, 1.0), candidates=2), Standing(1, tried=4))
    assert said.endswith("the error rate is 0.025 instead of 0.05")


def test_divided_alpha_is_what_the_looks_then_share():
    rules, alpha = suite((0.5, 1.0), candidates=2), 0.05 * 2 / 3
    first, last = levels((0.5, 1.0), alpha)
    assert level(rules, Standing(1, tried=3)) == first
    assert level(rules, Standing(2, tried=3)) == last
    assert level(rules, Standing(2, merged=True, tried=3)) == pytest.approx(alpha - first)


def test_new_cases_are_asked_for_where_the_suite_says_so():
    rules = suite(candidates=2, beyond="new-cases")
    assert level(rules, Standing(tried=2)) == 0.05
    assert refusal(rules, Standing(tried=2)) is None
    assert level(rules, Standing(tried=3)) == 0.0
    why, what = refusal(rules, Standing(tried=3))
    assert why == "3 candidates were tried on these cases, 2 may be"
    assert what.startswith("add cases that no candidate was tried on")
    assert note(rules, Standing(tried=3)) is None


@pytest.mark.parametrize(
    ("at", "standing", "reason"),
    [
        ((1.0,), Standing(2, merged=True), "this is look 2 at one question, the suite plans 1"),
        ((0.5, 1.0), Standing(4, merged=True), "this is look 4 at one question, the suite plans 2"),
        (
            (0.9, 0.95, 1.0),
            Standing(3, merged=True),
            "the looks before look 3 at one question left nothing of the error rate",
        ),
    ],
)
def test_a_refusal_says_why_and_asks_for_cases(at, standing, reason):
    why, what = refusal(suite(at), standing)
    assert why == reason
    assert what.startswith("add ")


def test_measurements_that_may_stop_at_any_time_are_one_look_and_cannot_be_united():
    rules = suite(by="any-time")
    assert level(rules, Standing(1)) == 0.05
    assert level(rules, Standing(2, merged=True)) == 0.0


plans = st.lists(st.integers(1, 19), max_size=4, unique=True).map(
    lambda found: (*(share / 20 for share in sorted(found)), 1.0)
)


@given(plans, st.floats(0.001, 0.3), st.integers(1, 30), st.integers(1, 5), st.integers(1, 6))
def test_united_measurements_never_get_more_than_the_looks_before_left(
    at, alpha, tried, candidates, look
):
    rules = suite(at, alpha=alpha, candidates=candidates)
    shared = alpha * min(1.0, candidates / tried)
    nominal = levels(at, shared)
    united = level(rules, Standing(look, merged=True, tried=tried))
    assert united >= 0.0
    if united > 0.0:
        assert united + sum(nominal[: look - 1]) <= shared * (1 + 1e-12)
        assert united <= level(rules, Standing(look, tried=tried))


tries = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(sorted)
limits = st.tuples(st.integers(1, 20), st.sampled_from(["divide", "new-cases"]))


@given(plans, tries, limits, st.booleans(), st.integers(1, 6))
def test_trying_more_candidates_never_raises_the_level(at, tried, limit, merged, look):
    rules = suite(at, candidates=limit[0], beyond=limit[1])
    fewer, more = (level(rules, Standing(look, merged=merged, tried=one)) for one in tried)
    assert more <= fewer + 1e-15


@given(plans, st.floats(0.001, 0.3), st.integers(-2, 7), st.booleans(), st.integers(1, 40))
def test_no_standing_gets_more_than_alpha_and_one_without_a_level_says_why(
    at, alpha, look, merged, tried
):
    rules, standing = suite(at, alpha=alpha), Standing(look, merged=merged, tried=tried)
    found = level(rules, standing)
    assert 0.0 <= found <= alpha * (1 + 1e-12)
    assert (refusal(rules, standing) is None) == (found > 0.0)
