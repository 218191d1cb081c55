import pytest

from llmvc.core import request
from llmvc.core.bundle import Bundle
from llmvc.errors import FormatError

MESSAGES = [
    {"role": "system", "content": "Route."},
    {"role": "user", "content": "Ticket: {{ticket}}"},
]


def bundle(**members):
    return Bundle.of(
        "app", {"messages": MESSAGES, "model": {"provider": "local", "id": "m"}, **members}
    )


def test_a_request_holds_rendered_messages_and_what_the_provider_must_know():
    built = request.build(bundle(decoding={"seed": 7}, context={"window": 10}), {"ticket": "hello"})
    assert built == {
        "llmvc": "request/1",
        "messages": [MESSAGES[0], {"role": "user", "content": "Ticket: hello"}],
        "model": {"provider": "local", "id": "m"},
        "decoding": {"seed": 7},
    }


def test_examples_stand_before_the_last_user_message():
    shots = {"examples": [{"vars": {"ticket": str(n)}, "output": f"o{n}"} for n in range(3)]}
    contents = [
        m["content"] for m in request.build(bundle(few_shot=shots), {"ticket": "x"})["messages"]
    ]
    assert contents == [
        "Route.",
        "Ticket: 0",
        "o0",
        "Ticket: 1",
        "o1",
        "Ticket: 2",
        "o2",
        "Ticket: x",
    ]
    chosen = {**shots, "selector": {"k": 2, "order": "reversed"}}
    contents = [
        m["content"] for m in request.build(bundle(few_shot=chosen), {"ticket": "x"})["messages"]
    ]
    assert contents == ["Route.", "Ticket: 1", "o1", "Ticket: 0", "o0", "Ticket: x"]


def test_defaults_of_the_variables_schema_fill_gaps():
    schema = {"properties": {"ticket": {"default": "none"}}}
    assert request.build(bundle(variables=schema), {})["messages"][1]["content"] == "Ticket: none"


def test_a_missing_variable_is_an_error_and_never_an_empty_text():
    with pytest.raises(FormatError, match="'ticket'"):
        request.build(bundle(), {})


def test_the_remedy_for_a_missing_variable_fits_an_eval_and_a_service():
    with pytest.raises(FormatError) as caught:
        request.build(bundle(), {})
    assert caught.value.hint.startswith("pass it to render, in an eval by the case's vars, or")


def test_a_set_has_no_request_and_says_how_its_members_have():
    members = {"pay": "b3:" + "0" * 64}
    with pytest.raises(FormatError, match="a set has no messages") as caught:
        request.build(Bundle.of("set", {"members": members}), {})
    assert ".member(NAME)" in caught.value.hint


def test_parts_are_rendered_and_other_parts_kept():
    message = {
        "role": "user",
        "content": [{"type": "text", "text": "{{a}}"}, {"type": "image", "asset": "x.png"}],
    }
    built = request.build(Bundle.of("app", {"messages": [message]}), {"a": "b"})
    assert built["messages"][0]["content"] == [
        {"type": "text", "text": "b"},
        {"type": "image", "asset": "x.png"},
    ]


def test_a_call_has_a_seed_of_its_own_that_both_arms_share():
    seeds = {request.call_seed(7, case, run) for case in ("a", "b", "c") for run in range(3)}
    assert len(seeds) == 9
    assert all(0 <= seed < 2**31 for seed in seeds)
    # BLAKE3 of "a/0" begins with these bytes: the rule can be applied without llmvc.
    assert request.call_seed(0, "a", 0) == int("c6fcd139", 16) % 2**31
    assert request.call_seed(None, "a", 0) is None
