"""Plans: which calls, in which order, and what cannot be measured by a plain call."""

from collections import Counter

import pytest

from llmvc.core.request import call_seed
from llmvc.core.suite import Case
from llmvc.errors import ConfigError, FormatError
from llmvc.evals import plan
from llmvc.evals.plan import Arm
from tests.unit.evals.world import Fake, arms, bundle, cases, suite


def app(**changes):
    provider = Fake()
    provider.mode = "app"
    return Arm("candidate", bundle(**changes), provider)


def test_every_case_run_and_arm_is_called_once_and_the_arms_take_turns():
    made = plan.make(arms(Fake(), baseline=True), cases(5), suite(cases(5), runs=3))
    calls = [(one.case.id, run, one.arm.name) for one, run in made.calls()]
    assert set(Counter(calls).values()) == {1}
    assert len(calls) == 5 * 3 * 2
    pairs = list(zip(calls[::2], calls[1::2], strict=True))
    assert all(first[:2] == second[:2] and first[2] != second[2] for first, second in pairs)
    assert {first[2] for first, _ in pairs} == {"candidate", "baseline"}


def test_the_order_is_shuffled_but_the_same_for_the_same_question():
    some = arms(Fake())
    first = plan.make(some, cases(40), suite(cases(40)))
    again = plan.make(some, cases(40)[::-1], suite(cases(40)))
    order = [one[0].case.id for one in first.cases]
    assert order == [one[0].case.id for one in again.cases]
    assert order != sorted(order)
    other = plan.make(some, cases(40), suite(cases(40), runs=5))
    assert first.seed != other.seed
    assert 0 <= first.seed < 2**53


def test_keys_differ_by_request_case_connection_and_run():
    def all_keys(some, rows):
        return [
            key
            for one in plan.make(some, rows, suite(rows)).cases
            for arm in one
            for key in arm.keys
        ]

    base = all_keys(arms(Fake()), cases())
    assert len(set(base)) == len(base)
    assert set(base).isdisjoint(all_keys(arms(Fake(name="other")), cases()))
    rows = tuple(Case(row.id, row.vars, "else") for row in cases())
    assert set(base).isdisjoint(all_keys(arms(Fake()), rows))
    assert base == all_keys(arms(Fake()), cases())


def test_the_seed_of_a_call_comes_from_the_bundles_own_the_case_and_the_run():
    made = plan.make(arms(Fake()), cases(), suite())
    for both in made.cases:
        for run in (0, 1):
            seed = call_seed(7, both[0].case.id, run)
            assert [one.call(run, None).seed for one in both] == [seed] * len(both)
    bare = Arm("candidate", bundle(decoding={}), Fake())
    assert plan.make([bare], cases(), suite()).cases[0][0].call(1, None).seed is None


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"retrieval": {"top_k": 3}}, "retrieval"),
        ({"guardrails": {"input": [{"kind": "x"}]}}, "guardrails"),
        ({"post": {"parser": "json"}}, "post"),
        ({"mcp": [{"name": "x"}]}, "mcp"),
        ({"context": {"truncation": {"policy": "drop_oldest"}}}, "context.truncation"),
        ({"context": {"history": {"turns": 3}}}, "context.history"),
        ({"response": {"format": "text", "repair": {"retries": 2}}}, "response.repair"),
        ({"model": {"provider": "p", "id": "m", "api": "responses"}}, "model.api"),
        (
            {"model": {"provider": "p", "id": "m", "fallback": [{"provider": "q", "id": "n"}]}},
            "model.fallback",
        ),
    ],
)
def test_what_a_plain_call_would_leave_out_needs_the_application_itself(members, named):
    arm = Arm("candidate", bundle(**members), Fake())
    with pytest.raises(ConfigError, match=named) as caught:
        plan.make([arm], cases(), suite())
    assert "mode: app" in caught.value.hint
    assert plan.make([app(**members)], cases(), suite()).cases


@pytest.mark.parametrize(
    "members",
    [
        {"context": {"window": 8192, "truncation": {"policy": "error"}}},
        {"response": {"format": "text", "repair": {"retries": 0}}},
        {"model": {"provider": "p", "id": "m", "api": "chat", "fallback": []}},
        {"mcp": []},
    ],
)
def test_what_changes_nothing_about_a_call_is_fine(members):
    assert plan.make([Arm("candidate", bundle(**members), Fake())], cases(), suite()).cases


def test_the_application_is_part_of_its_runs_identity():
    def keys(application):
        arm = app()
        arm = Arm("candidate", arm.bundle, arm.provider, application=application)
        return plan.make([arm], cases(), suite()).cases[0][0].keys

    one = {"commit": "a" * 40, "dirty": False}
    assert keys(one) == keys(dict(one))
    assert keys(one) != keys({"commit": "b" * 40, "dirty": False})


def test_an_app_needs_no_request_but_a_plain_call_needs_its_variables():
    rows = (Case("c1", {"other": "x"}, "a"),)
    assert plan.make([app()], rows, suite(rows)).cases[0][0].request == {}
    with pytest.raises(FormatError, match="case c1: template variable 'question' has no value"):
        plan.make(arms(Fake()), rows, suite(rows))


@pytest.mark.parametrize(
    ("rows", "complaint"), [((), "no cases"), ((*cases(1), *cases(1)), "same id")]
)
def test_a_dataset_must_have_cases_of_different_ids(rows, complaint):
    with pytest.raises(FormatError, match=complaint):
        plan.make(arms(Fake()), rows, suite())
