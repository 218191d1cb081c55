"""The context window: what a request may hold, and what is left out where it holds too much."""

import pytest

from llmvc.core import context, digest, request
from llmvc.core.bundle import Bundle
from llmvc.core.context import Limit, limit_of, size, tokens
from llmvc.errors import FormatError

SYSTEM = {"role": "system", "content": "You sort tickets."}
ASKED = {"role": "user", "content": "Ticket: {{ticket}}"}
SHOTS = {"examples": [{"vars": {"ticket": f"example {at}"}, "output": "sales"} for at in (1, 2)]}
HISTORY = [
    {"role": "user", "content": "first"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "t1", "name": "f"}]},
    {"role": "tool", "tool_call_id": "t1", "content": "found"},
    {"role": "assistant", "content": "one"},
    {"role": "user", "content": "second"},
    {"role": "assistant", "content": "two"},
]


def bundle(**members):
    return Bundle.of("app", {"messages": [SYSTEM, ASKED], **members})


def contents(made):
    return [message["content"] for message in made.request["messages"]]


def turns(wanted, history=HISTORY):
    one = bundle(context={"history": wanted})
    return contents(request.make(one, {"ticket": "x", "history": history}))


def test_the_conversation_stands_between_the_examples_and_the_question():
    one = bundle(few_shot=SHOTS, context={"history": {}})
    made = request.make(one, {"ticket": "x", "history": HISTORY})
    assert contents(made) == [
        "You sort tickets.", "Ticket: example 1", "sales", "Ticket: example 2", "sales",
        "first", None, "found", "one", "second", "two", "Ticket: x",
    ]  # fmt: skip
    assert made.request["messages"][6] == HISTORY[1]


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ({"turns": 0}, []),
        ({"turns": 1}, ["second", "two"]),
        ({"turns": 2}, ["first", None, "found", "one", "second", "two"]),
        ({"turns": 9}, ["first", None, "found", "one", "second", "two"]),
        ({"turns": None}, ["first", None, "found", "one", "second", "two"]),
    ],
)
def test_a_turn_is_a_question_with_all_that_answers_it(wanted, kept):
    assert turns(wanted)[1:-1] == kept


def test_results_of_tools_that_come_from_the_user_begin_no_turn():
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1"}]}
    history = [HISTORY[0], {"role": "assistant", "content": [{"type": "tool_use"}]}, result]
    assert len(turns({"turns": 1}, history)) == 2 + 3


def test_calls_in_a_history_may_be_written_as_openais_api_has_them():
    called = {"name": "find", "arguments": '{"id":1}'}
    theirs = {"id": "t1", "type": "function", "function": called}
    result = {"role": "tool", "tool_call_id": "t1", "content": "x"}

    def made(calls):
        said = {"role": "assistant", "content": None, "tool_calls": calls}
        history = [HISTORY[0], said, result]
        return request.build(bundle(context={"history": {}}), {"ticket": "x", "history": history})

    assert made([theirs]) == made([{"id": "t1", **called}])
    assert "tool_calls" not in made(None)["messages"][2]
    with pytest.raises(FormatError, match=r"tool call of vars.history\[1\] names no tool"):
        made([{"id": "t1"}])


def test_a_bundle_that_asks_for_no_history_sends_none_and_keeps_its_digest():
    plain = request.build(bundle(), {"ticket": "x"})
    for one in (bundle(), bundle(context={"window": 10}), bundle(context={"history": {}})):
        assert request.build(one, {"ticket": "x"}) == plain
    assert request.build(bundle(), {"ticket": "x", "history": HISTORY}) == plain
    assert digest.of_value(plain) == (
        "b3:e13e53a446770b6fa57336795a01400c8950a09a5046a6d6217eb799cc1a73e2"
    )


@pytest.mark.parametrize(
    ("history", "says"),
    [
        ("text", "vars.history is not a list of messages"),
        (7, "vars.history is not a list of messages"),
        (["text"], r"vars.history\[0\] is not a message"),
        ([HISTORY[0], {"role": "system", "content": "x"}], r"vars.history\[1\] is not a message"),
    ],
)
def test_a_history_that_is_none_is_refused(history, says):
    with pytest.raises(FormatError, match=says):
        turns({}, history)


@pytest.mark.parametrize(
    ("members", "limit"),
    [
        ({}, Limit()),
        ({"context": {"window": 100}}, Limit(100, 0, 100)),
        ({"context": {"window": 100, "reserve_output": 30}}, Limit(100, 30, 70)),
        (
            {"context": {"window": 100}, "decoding": {"max_output_tokens": 40}},
            Limit(100, 40, 60),
        ),
        ({"context": {"window": 100, "max_input_tokens": 50}}, Limit(100, 0, 50)),
        ({"context": {"max_input_tokens": 50}}, Limit(None, 0, 50)),
        ({"context": {"window": 10, "reserve_output": 30}}, Limit(10, 30, 0)),
        (
            {"context": {"window": 9, "truncation": {"policy": "drop_oldest", "order": ["few_shot"]}}},
            Limit(9, 0, 9, "drop_oldest", ("few_shot",)),
        ),
        ({"context": {"window": None, "tokenizer": "o200k"}}, Limit(tokenizer="o200k")),
    ],
)  # fmt: skip
def test_what_a_bundle_says_of_its_window(members, limit):
    assert limit_of(bundle(**members)) == limit


def made(window, order=None, count=None):
    rules = {"policy": "drop_oldest"} | ({"order": order} if order else {})
    one = bundle(few_shot=SHOTS, context={"window": window, "history": {}, "truncation": rules})
    return request.make(one, {"ticket": "x", "history": HISTORY}, None, count)


def test_old_turns_go_first_then_examples_and_the_rest_stays():
    whole = made(10_000)
    assert (whole.dropped, whole.size) == (0, size(whole.request))
    for window in range(whole.size, 0, -1):
        found = made(window)
        assert found.size <= window or found.dropped == 4
        assert contents(found)[0] == "You sort tickets."
        assert contents(found)[-1] == "Ticket: x"
    assert contents(made(whole.size - 1)) == [
        "You sort tickets.", "Ticket: example 1", "sales", "Ticket: example 2", "sales",
        "second", "two", "Ticket: x",
    ]  # fmt: skip
    assert contents(made(1)) == ["You sort tickets.", "Ticket: x"]


def test_the_order_may_be_the_other_way_round_or_spare_a_source():
    size_of_all = made(10_000).size
    assert "Ticket: example 1" not in contents(made(size_of_all - 1, ["few_shot", "history"]))
    assert contents(made(1, ["few_shot"]))[1:-1] == [m["content"] for m in HISTORY]


def test_tools_and_schemas_take_room_too():
    tool = {"name": "find", "description": "finds " * 20, "input_schema": {"type": "object"}}
    one = {"messages": [{"role": "user", "content": "abc"}]}
    assert size({**one, "tools": [tool]}) > size(one) + 40
    assert size({**one, "response": {"schema": {"enum": ["a" * 30]}}}) > size(one) + 10


@pytest.mark.parametrize(
    ("message", "least"),
    [
        ({"role": "user", "content": ""}, 4),
        ({"role": "user", "content": "abc"}, 5),
        ({"role": "user", "content": "abcd"}, 6),
        ({"role": "user", "content": "漢字"}, 6),
    ],
)
def test_a_token_is_three_bytes_and_a_message_four_tokens(message, least):
    assert tokens(message) == least


def test_a_tokenizer_counts_instead_of_the_estimate():
    counted = made(10_000, count=lambda text: len(text.split()))
    messages = counted.request["messages"]
    plain = [one for one in messages if isinstance(one["content"], str) and len(one) == 2]
    assert counted.size < made(10_000).size
    assert tokens(plain[0], lambda text: len(text.split())) == 3 + context.PER_MESSAGE


def test_what_is_there_for_sure_is_a_token_for_eight_bytes_of_text_and_nothing_for_an_image():
    picture = {"type": "image_url", "image_url": {"url": "data:" + "A" * 8000}}
    said = {"role": "user", "content": [{"type": "text", "text": "a" * 80}, picture]}
    assert context.least({"messages": [said, {"role": "user", "content": "b" * 16}]}) == 12
