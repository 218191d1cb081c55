"""Plans: which calls, in which order, and what cannot be measured by a plain call."""

from collections import Counter
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import canon, digest
from llmvc.core.report import ARMS
from llmvc.core.request import call_seed
from llmvc.core.suite import Case, Looks
from llmvc.errors import ConfigError, FormatError
from llmvc.evals import plan
from llmvc.evals.plan import Arm
from tests.unit.evals.world import Fake, arms, bundle, cases, suite


def app(**changes):
    provider = Fake()
    provider.mode = "app"
    return Arm("candidate", bundle(**changes), provider)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"decoding": {"temperature": 0.5, "seed": 7}},
        {"tools": [{"name": "f", "parameters": {"type": "object"}}], "response": None},
        {"decoding": {"seed": 1}, "tools": [{"name": "\u00e9"}], "few_shot": None},
    ],
)
def test_a_request_has_the_digest_of_its_canonical_bytes(members):
    some = Arm("candidate", bundle(**members), Fake())
    for (one,) in plan.make([some], cases(3), suite(cases(3))).cases:
        assert one.request_digest == digest.of_value(one.request)


def test_a_request_of_messages_alone_has_the_digest_of_its_canonical_bytes():
    body = {"llmvc": "request/1", "messages": [{"role": "user", "content": "x"}]}
    around = plan._around(body, "messages")
    assert canon.encode(body["messages"]).join(around) == canon.encode(body)


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
        ({"context": {"truncation": {"policy": "summarise"}}}, "context.truncation summarise"),
        ({"response": {"format": "text", "repair": {"retries": 2}}}, "response.repair"),
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


def test_what_a_provider_cannot_pass_on_is_refused_by_name_before_any_call():
    class Deaf(Fake):
        def unsupported(self, body):
            return tuple(f"decoding.{name}" for name in body["decoding"])

    deaf = Deaf()
    told = bundle(model={"provider": "p", "id": "m", "api": "responses"}, decoding={"seed": 7})
    with pytest.raises(
        ConfigError, match=r"kind python with model.api responses takes no decoding.seed, which"
    ) as caught:
        plan.make([Arm("candidate", told, deaf)], cases(), suite())
    assert "remove it from the manifest" in caught.value.hint
    assert deaf.asked == []


@pytest.mark.parametrize(
    "members",
    [
        {"context": {"window": 8192, "truncation": {"policy": "error"}}},
        {"context": {"window": 8192, "truncation": {"policy": "drop_oldest"}}},
        {"context": {"history": {"turns": 3}}},
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


# --- looks


def looking(rows, looks, runs=2):
    return plan.make(arms(Fake(), baseline=True), rows, suite(rows, runs=runs, looks=looks))


def grouped(sizes, tags=lambda _: ()):
    return tuple(
        Case(f"g{group:02}-{at}", {"question": "?"}, "a", group=f"g{group:02}", tags=tags(group))
        for group, size in enumerate(sizes)
        for at in range(size)
    )


@pytest.mark.parametrize(
    ("n", "runs", "looks", "stages"),
    [
        (40, 2, Looks(), [(40, 2)]),
        (40, 2, Looks("cases", (0.5, 1.0)), [(20, 2), (40, 2)]),
        (41, 1, Looks("cases", (0.25, 0.5, 1.0)), [(11, 1), (21, 1), (41, 1)]),
        # 0.55 * 100 is 55.00000000000001.
        (100, 1, Looks("cases", (0.55, 1.0)), [(55, 1), (100, 1)]),
        (10, 4, Looks("runs", (0.25, 0.5, 1.0)), [(10, 1), (10, 2), (10, 4)]),
        (10, 3, Looks("runs", (0.3, 1.0)), [(10, 1), (10, 3)]),
        (25, 2, Looks("any-time"), [(10, 2), (20, 2), (25, 2)]),
        (20, 1, Looks("any-time"), [(10, 1), (20, 1)]),
        (9, 1, Looks("any-time"), [(9, 1)]),
        (1, 1, Looks("any-time"), [(1, 1)]),
        (1, 1, Looks("cases", (0.5, 1.0)), [(1, 1), (1, 1)]),
    ],
)
def test_each_look_reaches_as_far_as_was_planned(n, runs, looks, stages):
    made = looking(cases(n), looks, runs)
    assert list(made.stages) == stages
    assert made.size == {"cases": n, "groups": n, "largest": 1}


@pytest.mark.parametrize(
    "looks", [Looks("cases", (0.2, 0.5, 0.9, 1.0)), Looks("any-time")], ids=["cases", "any-time"]
)
def test_no_look_tears_a_group_apart(looks):
    sizes = [1, 7, 2, 5, 3, 1, 1, 6, 4, 2]
    made = looking(grouped(sizes), looks)
    order = [one[0].case.group for one in made.cases]
    assert len(list(groupby(order))) == len(sizes)
    for reached, _ in made.stages[:-1]:
        assert reached == len(order) or order[reached - 1] != order[reached]
    assert made.stages[-1] == (32, 2)
    assert made.size == {"cases": 32, "groups": 10, "largest": 7}


@given(st.lists(st.sampled_from([("de",), ("en",), ("de", "vip"), ()]), min_size=1, max_size=80))
def test_every_look_sees_each_slice_in_proportion(tags):
    rows = tuple(Case(f"c{at:03}", {"question": "?"}, "a", tags=one) for at, one in enumerate(tags))
    made = looking(rows, Looks())
    order = [one[0].case.tags for one in made.cases]
    whole = Counter(tags)
    for reached in range(1, len(order) + 1):
        seen = Counter(order[:reached])
        # Of each slice as much as of the others, to within one case of a slice each way.
        least = max((seen[one] - 1) / whole[one] for one in whole)
        most = min((seen[one] + 1) / whole[one] for one in whole)
        assert least <= most


@given(st.randoms(use_true_random=False))
def test_the_order_is_that_of_the_question_and_not_of_the_input(random):
    rows = list(
        grouped([3, 1, 4, 2, 5], tags=lambda group: ("de",) if group % 2 else ())
        + tuple(
            Case(f"m{at}", {"question": "?"}, "a", group="mixed", tags=(f"t{at}",))
            for at in range(4)
        )
    )
    made = looking(tuple(rows), Looks("cases", (0.5, 1.0)))
    random.shuffle(rows)
    again = looking(tuple(rows), Looks("cases", (0.5, 1.0)))
    assert [one[0].case.id for one in again.cases] == [one[0].case.id for one in made.cases]
    assert again.stages == made.stages


@pytest.mark.parametrize(
    "looks",
    [
        Looks(),
        Looks("cases", (0.1, 0.11, 0.5, 1.0)),
        Looks("runs", (0.2, 0.6, 1.0)),
        Looks("any-time"),
    ],
    ids=["one", "cases", "runs", "any-time"],
)
def test_the_looks_share_out_all_calls_and_repeat_none(looks):
    made = looking(cases(33), looks, runs=5)
    per_look = [list(made.calls(look)) for look in range(1, len(made.stages) + 1)]
    listed = [(one.case.id, one.arm.name, run) for calls in per_look for one, run in calls]
    assert listed == [(one.case.id, one.arm.name, run) for one, run in made.calls()]
    assert len(set(listed)) == len(listed) == 33 * 5 * 2
    for calls, (reached, runs) in zip(per_look, made.stages, strict=True):
        within = {one[0].case.id for one in made.cases[:reached]}
        assert all(one.case.id in within and run < runs for one, run in calls)
        assert len({Counter(one.arm.name for one, _ in calls)[arm] for arm in ARMS}) == 1


def test_another_candidate_meets_the_cases_in_another_order():
    rows = cases(40)
    orders = [
        [one[0].case.id for one in plan.make([Arm("candidate", bundle(text), Fake())], rows, suite(rows)).cases]
        for text in ("one", "two", "one")
    ]  # fmt: skip
    assert orders[0] == orders[2] != orders[1]


def test_runs_go_round_the_spellings_and_each_has_the_keys_of_its_request():
    rows = cases(2)
    text = {"messages": [{"role": "user", "content": "Ask: {{question}}\n\nAnswer:"}]}
    arm = Arm("candidate", bundle(**text), Fake())
    by = suite(rows, runs=6, variants=("separators", "spacing"))
    (one,), _ = plan.make([arm], rows, by).cases
    asked = [one.call(run, None).request["messages"][0]["content"] for run in range(6)]
    question = one.case.vars["question"]
    assert asked == 2 * [
        f"Ask: {question}\n\nAnswer:",
        f"Ask - {question}\n\nAnswer -",
        f"Ask:\n{question}\n\n\nAnswer:",
    ]
    assert [one.call(run, None).request_digest for run in range(3)] == [
        digest.of_value(one.spelt(run).request) for run in range(3)
    ]
    assert len(set(one.keys)) == 6
    plain = plan.make([arm], rows, suite(rows, runs=6)).cases[0][0]
    assert [a == b for a, b in zip(one.keys, plain.keys, strict=True)] == [True, False, False] * 2


def test_a_spelling_that_finds_nothing_asks_as_written():
    by = suite(cases(), runs=2, variants=("field-layout",))
    (one,), *_ = plan.make(arms(Fake()), cases(), by).cases
    assert one.call(0, None).request == one.call(1, None).request
    assert len(set(one.keys)) == 2


def test_an_application_makes_its_own_prompt_and_is_not_measured_in_variants():
    by = suite(runs=2, variants=("spacing",))
    with pytest.raises(ConfigError, match="variants respell the prompt"):
        plan.make([app()], cases(), by)
