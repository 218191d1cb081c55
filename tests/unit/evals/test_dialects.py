"""How each API is asked and how its answers are read, by the shapes that the vendors publish."""

import asyncio
import json
from pathlib import Path

import pytest

from llmvc.core import digest, request
from llmvc.core.suite import Case
from llmvc.errors import ConfigError, FormatError, ProviderError
from llmvc.evals import plan
from llmvc.evals.plan import Arm
from llmvc.evals.providers import connect
from llmvc.evals.providers.base import Call
from llmvc.evals.providers.messages import Messages
from llmvc.evals.providers.responses import Responses
from tests.unit.evals.wire import raw, reply, shape, stream
from tests.unit.evals.world import bundle, cases, suite

SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}}
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "developer", "content": [{"type": "text", "text": "No jokes."}]},
    {"role": "user", "content": [{"type": "text", "text": "{{question}}"}]},
    {
        "role": "assistant",
        "content": "One moment.",
        "tool_calls": [{"id": "c1", "name": "find", "arguments": {"id": "7"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "found"},
    {"role": "user", "content": "So?"},
]


def model(api):
    return {"provider": "fake", "id": "m-1", "api": api}


def call_of(some):
    built = request.build(some, {"question": "q0"})
    seed = some.body.get("decoding", {}).get("seed")
    case = Case("c000", {"question": "q0"}, "a0")
    return Call(built, digest.of_value(built), case, 0, seed, some)


def body_of(dialect, **members):
    return dialect.body(call_of(bundle(**members)))


def ask(kind, server, some, **options):
    given = {"base_url": server.url, "backoff_s": 0.001, **options}
    one = connect("fake", kind, given, mode="chat", folder=Path(), environ={"KEY": "sk-secret"})
    made = plan.make([Arm("candidate", some, one)], cases(1), suite(cases(1)))

    async def go():
        try:
            return await one.answer(made.cases[0][0].call(0, None))
        finally:
            await one.aclose()

    return asyncio.run(go())


# --- responses


def test_a_request_for_a_response_has_items_and_is_not_stored():
    decoding = {
        "temperature": 0.5,
        "max_output_tokens": 20,
        "logprobs": True,
        "top_logprobs": 2,
        "reasoning": {"effort": "low"},
        "verbosity": "low",
        "service_tier": "flex",
        "extra": {"truncation": "disabled"},
    }
    assert body_of(
        Responses(),
        messages=TALK,
        decoding=decoding,
        tools=[{"name": "find", "description": "finds", "input_schema": SCHEMA}, {"name": "end"}],
        tool_choice={"name": "find"},
        parallel_tool_calls=False,
        response={"format": "json_schema", "schema": SCHEMA, "strict": True},
    ) == {
        "model": "m-1",
        "store": False,
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "input_text", "text": "No jokes."}]},
            {"role": "user", "content": [{"type": "input_text", "text": "q0"}]},
            {"role": "assistant", "content": "One moment."},
            {
                "type": "function_call",
                "call_id": "c1",
                "name": "find",
                "arguments": '{"id":"7"}',
            },
            {"type": "function_call_output", "call_id": "c1", "output": "found"},
            {"role": "user", "content": "So?"},
        ],
        "temperature": 0.5,
        "max_output_tokens": 20,
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 2,
        "reasoning": {"effort": "low"},
        "text": {
            "verbosity": "low",
            "format": {
                "type": "json_schema",
                "name": "response",
                "schema": SCHEMA,
                "strict": True,
            },
        },
        "service_tier": "flex",
        "truncation": "disabled",
        "tools": [
            {
                "type": "function",
                "name": "find",
                "description": "finds",
                "parameters": SCHEMA,
                "strict": None,
            },
            {"type": "function", "name": "end", "parameters": None, "strict": None},
        ],
        "tool_choice": {"type": "function", "name": "find"},
        "parallel_tool_calls": False,
    }


@pytest.mark.parametrize("streamed", [False, True])
def test_a_response_is_read_whole_or_as_a_stream(streamed):
    said = stream(shape("responses.sse")) if streamed else reply(shape("responses.json"))
    with raw(said) as server:
        answer = ask(
            "openai", server, bundle(model=model("responses"), decoding={}), stream=streamed
        )
        assert server.heads[0].startswith(b"POST /v1/responses ")
        assert (b'"stream":true' in server.asked[0]) == streamed
    assert (answer.output, answer.finish_reason) == ("Paris", "tool_calls")
    assert answer.tool_calls == (
        {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"id":7}'}},
    )
    assert (answer.input_tokens, answer.output_tokens) == (36, 87)
    assert (answer.cached_tokens, answer.reasoning_tokens) == (30, 64)
    assert [one["token"] for one in answer.logprobs] == ["Par"]
    assert answer.model == "gpt-5-mini-2025-08-07"
    assert (answer.ttft_s is not None) == streamed


def response(**changes):
    return {**json.loads(shape("responses.json")), **changes}


@pytest.mark.parametrize(
    ("changes", "output", "reason"),
    [
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "Paris",
            "length",
        ),
        (
            {
                "status": "incomplete",
                "incomplete_details": {"reason": "content_filter"},
                "output": [],
            },
            "",
            "content_filter",
        ),
        (
            {"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]},
            "No.",
            "refusal",
        ),
    ],
)
def test_why_a_response_ended_is_told_in_one_set_of_words(changes, output, reason):
    answer = Responses().read(response(**changes))
    assert (answer.output, answer.finish_reason) == (output, reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "failed", "error": {"code": "server_error", "message": "lost it"}},
        {"status": "in_progress"},
        {"output": None},
        {"output": []},
        {"output": {}},
        {"output": [5]},
        {"output": [{"type": "message", "content": 5}]},
        {"usage": 5},
        {"model": 5},
    ],
)
def test_a_malformed_response_is_refused(changes):
    with pytest.raises(FormatError):
        Responses().read(response(**changes))


# --- messages


def test_a_request_for_a_message_has_system_apart_and_results_of_tools_as_blocks():
    decoding = {
        "temperature": 0.5,
        "top_p": None,
        "top_k": 5,
        "max_output_tokens": 2000,
        "stop": ["END"],
        "reasoning": {"budget": 1024, "effort": "high"},
        "service_tier": "standard_only",
        "extra": {"inference_geo": "eu"},
    }
    assert body_of(
        Messages(),
        messages=TALK,
        decoding=decoding,
        tools=[{"name": "find", "input_schema": SCHEMA, "strict": None}, {"name": "end"}],
        tool_choice="required",
        parallel_tool_calls=False,
        response={"format": "json_schema", "schema": SCHEMA, "strict": True},
    ) == {
        "model": "m-1",
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "No jokes."}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "q0"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "One moment."},
                    {"type": "tool_use", "id": "c1", "name": "find", "input": {"id": "7"}},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "found"}],
            },
            {"role": "user", "content": "So?"},
        ],
        "temperature": 0.5,
        "top_k": 5,
        "max_tokens": 2000,
        "stop_sequences": ["END"],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "output_config": {
            "effort": "high",
            "format": {"type": "json_schema", "schema": SCHEMA},
        },
        "service_tier": "standard_only",
        "inference_geo": "eu",
        "tools": [
            {"name": "find", "input_schema": SCHEMA},
            {"name": "end", "input_schema": {"type": "object"}},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    }


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": {"name": "f"}}, {"type": "tool", "name": "f"}),
        ({"parallel_tool_calls": True}, {"type": "auto", "disable_parallel_tool_use": False}),
    ],
)
def test_the_choice_of_tools_is_spelt_for_the_messages_api(members, wanted):
    assert body_of(Messages(), **members)["tool_choice"] == wanted


def test_results_of_one_turns_calls_are_one_message_and_an_empty_text_is_left_out():
    calls = [{"id": known, "name": "find", "arguments": {}} for known in ("c1", "c2")]
    results = [{"role": "tool", "tool_call_id": known, "content": known} for known in ("c1", "c2")]
    talk = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        *results,
        {"role": "user", "content": "b"},
    ]
    sent = body_of(Messages(), messages=talk, decoding={"max_output_tokens": 5})["messages"]
    blocks = [one["content"] for one in sent]
    assert [one["role"] for one in sent] == ["user", "assistant", "user", "user"]
    assert [block["type"] for block in blocks[1]] == ["tool_use", "tool_use"]
    assert [block["tool_use_id"] for block in blocks[2]] == ["c1", "c2"]


def test_a_plain_system_prompt_stays_text_and_thinking_can_be_turned_off():
    body = body_of(Messages(), decoding={"max_output_tokens": 5, "reasoning": {"budget": 0}})
    assert body["system"] == "Which team?"
    assert body["thinking"] == {"type": "disabled"}
    assert body["messages"] == [{"role": "user", "content": "q0"}]


def claude(**decoding):
    return bundle(model=model("messages"), decoding={"max_output_tokens": 50, **decoding})


@pytest.mark.parametrize("streamed", [False, True])
def test_a_message_is_read_whole_or_as_a_stream(streamed):
    said = stream(shape("message.sse")) if streamed else reply(shape("message.json"))
    with raw(said) as server:
        answer = ask("anthropic", server, claude(), api_key_env="KEY", stream=streamed)
        head = server.heads[0].lower()
        assert head.startswith(b"post /v1/messages ")
        assert b"x-api-key: sk-secret" in head
        assert b"anthropic-version: 2023-06-01" in head
        assert b"authorization" not in head
    assert (answer.output, answer.finish_reason) == ("Paris", "tool_calls")
    assert answer.tool_calls == (
        {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"id": 7}},
    )
    assert (answer.input_tokens, answer.output_tokens) == (1210, 40)
    assert (answer.cached_tokens, answer.cache_write_tokens) == (1000, 200)
    assert answer.reasoning_tokens == 25
    assert answer.model == "claude-sonnet-4-5-20250929"
    assert (answer.ttft_s is not None) == streamed


def message(**changes):
    return {**json.loads(shape("message.json")), **changes}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("pause_turn", "pause_turn"),
        (None, None),
    ],
)
def test_why_a_message_ended_is_told_in_one_set_of_words(told, reason):
    assert Messages().read(message(stop_reason=told)).finish_reason == reason


def test_a_refusal_without_a_word_is_an_answer():
    answer = Messages().read(message(content=[], stop_reason="refusal"))
    assert (answer.output, answer.finish_reason, answer.fault) == ("", "refusal", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"content": None},
        {"content": "text"},
        {"content": [5]},
        {"content": [{"type": "text", "text": 5}]},
        {"usage": 5},
        {"model": 5},
        {"stop_reason": 5},
    ],
)
def test_a_malformed_message_is_refused(changes):
    with pytest.raises(FormatError):
        Messages().read(message(**changes))


def test_an_overloaded_anthropic_is_asked_again_and_a_wrong_key_is_not():
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with raw(reply(overloaded, 529), reply(shape("message.json"))) as server:
        assert ask("anthropic", server, claude()).output == "Paris"
    wrong = {"type": "error", "error": {"type": "authentication_error", "message": "sk-secret"}}
    with (
        raw(reply(wrong, 401)) as server,
        pytest.raises(ProviderError, match=r"refused the key \(HTTP 401; key from KEY\)$"),
    ):
        ask("anthropic", server, claude(), api_key_env="KEY")


def test_anthropic_without_a_key_is_refused_before_any_call():
    with pytest.raises(ProviderError, match="needs a key: ANTHROPIC_API_KEY is not set"):
        connect("anthropic", "anthropic", {}, mode="chat", folder=Path(), environ={})
    known = {"ANTHROPIC_API_KEY": "k"}
    one = connect("anthropic", "anthropic", {}, mode="chat", folder=Path(), environ=known)
    assert one.identity() == {"kind": "anthropic", "base_url": "https://api.anthropic.com/v1"}


def test_the_messages_api_needs_a_limit_of_output():
    with pytest.raises(ConfigError, match=r"needs decoding.max_output_tokens"):
        Messages().unsupported(bundle().body)
