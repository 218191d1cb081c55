"""What is sent is what was measured, byte for byte."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from llmvc.core import canon, digest, request
from llmvc.core.bundle import Bundle
from llmvc.core.suite import Case
from llmvc.errors import ConfigError, FormatError, UsageError
from llmvc.evals.providers.base import Call
from llmvc.evals.providers.chat import Chat
from llmvc.evals.providers.messages import Messages
from llmvc.evals.providers.responses import Responses
from llmvc.evals.tokenizers import GROUP, load
from llmvc.runtime import render
from llmvc.runtime.render import APIS, Served
from tests.support.snapshots import World

SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}}
FULL = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "{{question}}"}]},
    ],
    "few_shot": {"examples": [{"vars": {"question": "1+1?"}, "output": "2"}]},
    "model": {"provider": "openai", "id": "m", "snapshot": "m-2026"},
    "decoding": {
        "max_output_tokens": 64,
        "temperature": 0.1,
        "seed": 7,
        "reasoning": {"effort": "low"},
        "extra": {"user": "u"},
    },
    "tools": [{"name": "find", "input_schema": SCHEMA, "strict": True}],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "response": {"format": "json_schema", "schema": SCHEMA},
}
DIALECTS = {"chat": Chat("max_completion_tokens"), "responses": Responses(), "messages": Messages()}


def test_every_api_has_its_dialect() -> None:
    assert APIS.keys() == DIALECTS.keys()


@pytest.mark.parametrize("api", DIALECTS)
def test_a_body_has_the_bytes_that_an_eval_sends(api: str) -> None:
    bundle = Bundle.of("app", FULL)
    variables = {"question": "why?"}
    built = request.build(bundle, variables)
    # An eval draws a seed for each call; a service has the bundle's own.
    call = Call(built, digest.of_value(built), Case("c", variables, None), 0, 7, bundle)
    sent = canon.encode(DIALECTS[api].body(call))
    assert canon.encode(Served.of(bundle, {}).render(variables, api=api)) == sent


@pytest.mark.parametrize(
    ("model", "field"),
    [({"provider": "openai", "id": "m"}, "max_completion_tokens"),
     ({"provider": "vllm", "id": "m"}, "max_tokens"),
     ({"provider": "anthropic", "id": "m"}, "max_tokens")],
)  # fmt: skip
def test_the_limit_has_the_name_that_the_endpoint_knows(model: dict, field: str) -> None:
    body = Served.of(Bundle.of("app", {**FULL, "model": model}), {}).render({"question": "q"})
    assert body[field] == 64


def test_an_api_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown API 'telnet'"):
        Served.of(Bundle.of("app", FULL), {}).render({"question": "q"}, api="telnet")


def test_a_variable_without_a_value_is_named() -> None:
    with pytest.raises(FormatError, match="'question' has no value"):
        Served.of(Bundle.of("app", FULL), {}).render({})


def test_an_asset_is_included_by_its_name() -> None:
    world = World()
    asset = world.add(b"Hello {{ name }}!")
    members = {
        **FULL,
        "messages": [{"role": "user", "engine": "jinja2", "content": "{% include 'g.txt' %}"}],
        "assets": {"g.txt": asset, "logo.png": world.add(b"\x89PNG")},
        "few_shot": {"examples": []},
    }
    parts = {digest.of_bytes(data): data for data in world.objects.values()}
    served = Served.of(Bundle.of("app", members), parts)
    assert served.render({"name": "Ada"})["messages"][0]["content"] == "Hello Ada!"
    assert set(served.texts) == {"g.txt"}


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "Sorry."}],
        [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}],
        [{"role": "assistant", "content": [{"type": "text", "text": "a"}]}],
    ],
)
def test_a_canned_bundle_is_one_text_of_the_assistant(messages: list) -> None:
    model = {"provider": "canned", "id": "sorry"}
    served = Served.of(Bundle.of("app", {"messages": messages, "model": model}), {})
    with pytest.raises(FormatError, match="canned"):
        served.render({})


TRUNCATED = {
    "messages": [{"role": "user", "content": "{{question}}"}],
    "model": {"provider": "openai", "id": "m"},
    "context": {
        "history": {},
        "max_input_tokens": 30,
        "tokenizer": "words",
        "truncation": {"policy": "drop_oldest"},
    },
}
TOLD = {
    "question": "why?",
    "history": [{"role": "user", "content": "supercalifragilistic " * 5}] * 4,
}


@pytest.fixture
def tokenizers() -> Iterator[None]:
    """Forgets which tokenizers were loaded."""
    render._tokenizer.cache_clear()
    yield
    render._tokenizer.cache_clear()


@pytest.mark.usefixtures("tokenizers")
def test_what_counted_in_an_eval_counts_where_it_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    found = EntryPoints([EntryPoint("words", "tests.unit.evals.test_windows:words", GROUP)])
    monkeypatch.setattr("importlib.metadata.entry_points", found.select)
    bundle = Bundle.of("app", TRUNCATED)
    measured = request.build(bundle, TOLD, None, load("words"))
    assert Served.of(bundle, {}).request(TOLD) == measured
    assert len(measured["messages"]) == 3
    assert measured != request.build(bundle, TOLD)  # the estimate leaves out more


@pytest.mark.usefixtures("tokenizers")
def test_without_the_tokenizer_nothing_is_sent_that_was_not_measured() -> None:
    served = Served.of(Bundle.of("app", TRUNCATED), {})
    with pytest.raises(ConfigError, match="names 'words', and no installed package has it"):
        served.render(TOLD)
    # Where nothing is left out by it, a tokenizer changes no byte.
    context = {**TRUNCATED["context"], "truncation": {"policy": "error"}}
    whole = Served.of(Bundle.of("app", {**TRUNCATED, "context": context}), {})
    assert len(whole.request(TOLD)["messages"]) == 5
