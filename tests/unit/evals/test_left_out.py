"""Nothing that a bundle says is dropped without a word: it reaches the wire, or is named."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.errors import ConfigError
from llmvc.evals.providers import connect
from llmvc.evals.providers.chat import Chat
from llmvc.evals.providers.messages import Messages
from llmvc.evals.providers.responses import Responses
from tests.unit.evals.test_dialects import SCHEMA, TALK, ask, body_of, call_of, model
from tests.unit.evals.wire import raw, reply
from tests.unit.evals.world import bundle


@pytest.mark.parametrize(
    ("kind", "members", "named"),
    [
        ("anthropic", {"decoding": {"max_output_tokens": 5, "seed": 7}}, "decoding.seed"),
        ("anthropic", {"model": model("chat")}, "model.api"),
        ("openai", {"model": model("messages")}, "model.api"),
        ("openai", {"model": model("responses")}, "decoding.seed"),
        ("openai", {"decoding": {"reasoning": {"budget": 5}}}, "decoding.reasoning.budget"),
        ("openai", {"decoding": {"extra": {"stream": True}}}, "decoding.extra.stream"),
        ("openai", {"decoding": {"extra": {"n": 3}}}, "decoding.extra.n"),
        ("openai", {"decoding": {"top_p": 1, "extra": {"top_p": 0}}}, "decoding.extra.top_p"),
        ("openai", {"response": {"format": "text", "schema": SCHEMA}}, "response.schema"),
    ],
)
def test_a_member_without_a_place_is_refused_by_name_before_any_call(kind, members, named):
    with raw(reply({})) as server:
        with pytest.raises(ConfigError, match=f"takes no {named}"):
            ask(kind, server, bundle(**members))
        assert server.heads == []


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"response": {"format": "json_object"}}, ("response.format",)),
        (
            {
                "response": {
                    "format": "json_schema",
                    "schema": SCHEMA,
                    "name": "x",
                    "description": "y",
                    "strict": False,
                }
            },
            ("response.name", "response.description", "response.strict"),
        ),
        ({"messages": [*TALK, {"role": "system", "content": "x"}]}, ("messages.role system",)),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [{"name": "f", "arguments": "{"}],
                    }
                ]
            },
            ("messages.tool_calls.arguments",),
        ),
        ({"messages": [{"role": "user", "content": "x", "name": "Ann"}]}, ("messages.name",)),
        ({"tool_choice": "none", "parallel_tool_calls": True}, ("parallel_tool_calls",)),
    ],
)
def test_what_the_messages_api_cannot_say_is_named(members, named):
    assert (
        Messages().unsupported(bundle(decoding={"max_output_tokens": 5}, **members).body) == named
    )


DECODING = {
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "top_k": st.integers(0, 100),
    "max_output_tokens": st.integers(1, 9999),
    "stop": st.lists(st.text("ab", min_size=1), min_size=1, max_size=2),
    "seed": st.integers(0, 2**31),
    "n": st.integers(1, 5),
    "presence_penalty": st.floats(-2, 2),
    "frequency_penalty": st.floats(-2, 2),
    "repetition_penalty": st.floats(0, 2),
    "logit_bias": st.dictionaries(st.text("0123456789", min_size=1), st.floats(-100, 100)),
    "logprobs": st.booleans(),
    "top_logprobs": st.integers(0, 20),
    "verbosity": st.sampled_from(["low", "high"]),
    "service_tier": st.sampled_from(["auto", "flex"]),
}
DIALECTS = [Chat(), Chat("max_completion_tokens"), Responses(), Messages()]
# What the messages API does by itself, so that saying it or not is the same.
SILENT = {"response.format": "text", "response.strict": True, "tool_choice": "auto"}


def test_the_law_knows_every_decoding_member_of_the_schema():
    path = Path(__file__).parents[3] / "schemas" / "bundle.schema.json"
    known = json.loads(path.read_text())["properties"]["decoding"]["properties"]
    assert set(known) == {*DECODING, "reasoning", "extra"}


@st.composite
def bundles(draw):
    decoding = draw(st.fixed_dictionaries({}, optional=DECODING))
    reasoning = {"effort": st.sampled_from(["low", "high"]), "budget": st.integers(0, 9999)}
    decoding |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "reasoning": st.fixed_dictionaries({}, optional=reasoning),
                "extra": st.dictionaries(st.sampled_from(["min_p", "top_a"]), st.floats(0, 1)),
            },
        )
    )
    tool = st.fixed_dictionaries(
        {"name": st.sampled_from(["find", "end"])},
        optional={
            "description": st.text("ab"),
            "input_schema": st.just(SCHEMA),
            "strict": st.booleans(),
        },
    )
    form = st.fixed_dictionaries(
        {"format": st.sampled_from(["text", "json_object", "json_schema"])},
        optional={
            "schema": st.just(SCHEMA),
            "name": st.text("ab", min_size=1),
            "description": st.text("ab", min_size=1),
            "strict": st.booleans(),
        },
    )
    members = st.fixed_dictionaries(
        {},
        optional={
            "tools": st.lists(tool, min_size=1, max_size=2),
            "tool_choice": st.sampled_from(["auto", "none", "required", {"name": "find"}]),
            "parallel_tool_calls": st.booleans(),
            "response": form,
        },
    )
    return {"decoding": {"max_output_tokens": 5, **decoding}, **draw(members)}


def without(members, path):
    """Returns a bundle's members without one of them, and its value."""
    section, _, name = path.partition(".")
    if not name:
        return {key: value for key, value in members.items() if key != section}
    inner = dict(members[section])
    if "." in name:
        return {**members, section: without(inner, name)}
    del inner[name]
    return {**members, section: inner}


def paths(members):
    for section, value in members.items():
        if section in ("decoding", "response"):
            for name, inner in value.items():
                if name in ("reasoning", "extra"):
                    yield from (f"{section}.{name}.{one}" for one in inner)
                else:
                    yield f"{section}.{name}"
        else:
            yield section


def value_at(members, path):
    for name in path.split("."):
        members = members[name]
    return members


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda one: type(one).__name__)
@given(members=bundles())
def test_every_member_reaches_the_wire_or_is_named(dialect, members):
    whole = bundle(**members)
    named = dialect.unsupported(whole.body)
    sent = dialect.body(call_of(whole))
    for path in paths(members):
        silent = isinstance(dialect, Messages) and SILENT.get(path) == value_at(members, path)
        less = dialect.body(call_of(bundle(**without(members, path))))
        assert path in named or silent or less != sent, path


@pytest.mark.parametrize("dialect", DIALECTS[:3], ids=lambda one: type(one).__name__)
def test_tools_reach_the_wire_member_by_member(dialect):
    tool = {"name": "find", "description": "finds", "input_schema": SCHEMA, "strict": True}
    sent = body_of(dialect, tools=[tool])
    for name in ("description", "input_schema", "strict"):
        less = {key: value for key, value in tool.items() if key != name}
        assert body_of(dialect, tools=[less]) != sent
    assert dialect.unsupported(bundle(tools=[{**tool, "cache_control": {}}], decoding={}).body) == (
        "tools.cache_control",
    )


@pytest.mark.parametrize("kind", ["command", "python", "recorded"])
def test_the_other_kinds_are_given_everything(kind, tmp_path):
    (tmp_path / "f.py").write_text("def f(request):\n    return 'x'\n")
    (tmp_path / "r.jsonl").write_text("")
    options = {"command": "true", "python": "f.py:f", "recorded": "r.jsonl"}[kind]
    name = {"command": "command", "python": "function", "recorded": "file"}[kind]
    one = connect("fake", kind, {name: options}, mode="chat", folder=tmp_path, environ={})
    assert one.unsupported(bundle(model=model("messages")).body) == ()
