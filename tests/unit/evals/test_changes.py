"""What changed case by case."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core.metric import Metric
from llmvc.evals.changes import KINDS, changes
from tests.unit.render.readings import QUALITY, SEVERE, case, many, run_id, suite

BECAME = {
    "right to wrong": ((1, 1, 1), (0, 0, 0), "broken"),
    "mostly right to mostly wrong": ((1, 1, 0), (1, 0, 0), "broken"),
    "wrong to right": ((0, 0, 0), (1, 1, 1), "fixed"),
    "mostly wrong to mostly right": ((1, 0, 0), (1, 1, 0), "fixed"),
    "still right, with one run wrong": ((1, 1, 1), (1, 1, 0), "flaky"),
    "as mixed as before": ((1, 0, 1), (0, 1, 1), "flaky"),
    "a lower grade": ((0.9,), (0.7,), "lower"),
    "a higher grade": ((0.1,), (0.3,), "higher"),
    "half counts as right": ((0.5,), (0.49,), "broken"),
    "a first release, wrong": ((), (0, 0), "wrong"),
    "a first release, mixed": ((), (0, 1), "flaky"),
    "a run that failed is left out": ((1, -1, 1), (0, 0, -1), "broken"),
}
DID_NOT = {
    "the same scores": ((1, 1, 1), (1, 1, 1)),
    "the same mean of two grades": ((0.6, 0.8), (0.7, 0.7)),
    "a first release, right": ((), (1, 1)),
    "no usable run of the candidate": ((1, 1), (-1, -1)),
    "no usable run of the baseline": ((-1,), (0,)),
    "no case at all": ((), ()),
}


@pytest.mark.parametrize(("old", "new", "kind"), BECAME.values(), ids=BECAME)
def test_a_case_is_told_by_what_became_of_it(old, new, kind):
    (found,) = changes([case("c", old, new)], suite())
    assert [item.kind for item in found.cases] == [kind]
    assert found.counts == {kind: 1}


@pytest.mark.parametrize(("old", "new"), DID_NOT.values(), ids=DID_NOT)
def test_a_case_that_did_not_change_is_not_listed(old, new):
    (found,) = changes([case("c", old, new)], suite())
    assert found.cases == ()


def test_cases_are_sorted_by_kind_then_by_the_size_of_the_change_then_by_id():
    rows = [
        case("d", (0, 0, 0), (1, 1, 0)),
        case("c", (1, 1, 0), (0, 0, 0)),
        case("b", (1, 1, 1), (0, 0, 0)),
        case("a", (1, 1, 0), (0, 0, 0)),
    ]
    (found,) = changes(rows, suite())
    assert [(item.case.id, item.kind) for item in found.cases] == [
        ("b", "broken"),
        ("a", "broken"),
        ("c", "broken"),
        ("d", "fixed"),
    ]
    assert [item.case.id for item in found.of("broken", 2)] == ["b", "a"]
    assert [item.case.id for item in found.first(1)] == ["b", "d"]


def test_the_runs_that_show_a_change_best_are_named():
    rows = [case("b", (0, 1, 1), (1, 0, 0)), case("f", (1, 0, 0), (0, 1, 1))]
    (found,) = changes(rows, suite())
    for item, arms in zip(found.cases, ((1, 1), (1, 1)), strict=True):
        name = item.case.id
        wanted = [
            run_id(name, arm, at) for arm, at in zip(("candidate", "baseline"), arms, strict=True)
        ]
        assert [run.run_id for run in item.telling] == wanted
    (first,) = changes([case("w", (), (0, 0))], suite())[0].cases
    assert first.telling[1] is None


def test_a_severe_failure_reads_as_a_low_score():
    (found,) = changes([case("leak", (1, 1), (1, 0))], suite(SEVERE))
    (item,) = found.cases
    assert (item.baseline, item.candidate, item.change) == ((1, 1), (1, 0), -0.5)


def test_scores_are_told_in_the_metrics_scale():
    rubric = replace(QUALITY, scale=(1.0, 5.0), margin=0.2, floor=None)
    (found,) = changes([case("c", (1.0,), (0.25,))], suite(rubric))
    (item,) = found.cases
    assert (item.baseline, item.candidate, item.change) == ((5.0,), (2.0,), -3.0)


def test_only_the_cases_of_its_slice_count_for_a_metric():
    sliced = replace(QUALITY, name="vip", slice="vip")
    rows = [case("a", (1,), (0,), tags=("vip",)), case("b", (1,), (0,))]
    everything, vip = changes(rows, suite(QUALITY, sliced))
    assert everything.counts == {"broken": 2}
    assert [item.case.id for item in vip.cases] == ["a"]


def test_cost_and_latency_have_no_list_of_cases():
    metrics = (QUALITY, Metric("cost", "cost"), Metric("latency", "latency"))
    assert [item.metric for item in changes(many(), suite(*metrics))] == ["quality"]


SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=4)
MIRROR = {"broken": "fixed", "fixed": "broken", "lower": "higher", "higher": "lower"}


@given(old=SCORES, new=SCORES)
def test_what_breaks_one_way_is_fixed_the_other_way(old, new):
    (there,), (back,) = (changes([case("c", *arms)], suite()) for arms in ((old, new), (new, old)))
    kinds = [item.kind for item in there.cases]
    assert [MIRROR.get(kind, kind) for kind in kinds] == [item.kind for item in back.cases]
    assert set(kinds) <= set(KINDS) - {"wrong"}
    if abs(sum(old) / len(old) - sum(new) / len(new)) > 1e-6:
        assert kinds
