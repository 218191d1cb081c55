"""The target of a migration: what its API has no place for, asked without a key."""

from typing import Any

import pytest

from llmvc.core import canon
from llmvc.evals.models import Models
from llmvc.evals.target import Target

TABLE = Models.load()


def target(kind: str, model: dict[str, Any], mode: str = "chat", **options: canon.Json) -> Target:
    """Returns the target that a bundle with this model names."""
    return Target.of({"model": model}, kind, options, mode=mode, models=TABLE)


def bundle(**decoding: Any) -> dict[str, Any]:
    """Returns a bundle's members."""
    return {"messages": [{"role": "user", "content": "hi"}], "decoding": decoding}


UNTAKEN = {
    "chat takes a seed": ("openai", {"api": "chat"}, {"seed": 7}, []),
    "responses do not": ("openai", {"api": "responses"}, {"seed": 7}, ["decoding.seed"]),
    "messages need a limit": ("anthropic", {}, {}, ["decoding.max_output_tokens"]),
    "and say the rest": (
        "anthropic", {}, {"seed": 7}, ["decoding.max_output_tokens", "decoding.seed"],
    ),
    "an API of another kind": ("anthropic", {"api": "chat"}, {"seed": 7}, ["model.api"]),
    "nobody knows what a command passes on": ("command", {}, {"seed": 7}, []),
    "table and API name one thing once": (
        "anthropic", {"id": "claude-opus-4-1-20250805"},
        {"max_output_tokens": 9, "reasoning": {"effort": "low"}}, ["decoding.reasoning.effort"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNTAKEN.values(), ids=UNTAKEN)
def test_a_target_names_what_it_does_not_take(case: tuple[str, Any, Any, list[str]]) -> None:
    kind, model, decoding, names = case
    found = target(kind, {"provider": kind, "id": "m", **model})
    body = {**bundle(**decoding), "model": {"provider": kind, **model}}
    assert [one.name for one in found.broken(body)] == names


SPELT = {
    "openai itself": ("openai", {}, "max_completion_tokens"),
    "another server": ("openai", {"base_url": "http://127.0.0.1:1/v1"}, "max_tokens"),
    "told": ("openai", {"max_tokens_field": "max_new"}, "max_new"),
    "responses": ("openai", {"api": "responses"}, "max_output_tokens"),
    "messages": ("anthropic", {}, "max_tokens"),
    "a command": ("command", {}, None),
}


@pytest.mark.parametrize("case", SPELT.values(), ids=SPELT)
def test_a_target_tells_how_its_api_spells_a_parameter(case: tuple[str, Any, str | None]) -> None:
    kind, options, spelt = case
    model = {"provider": "p", "id": "m", **({"api": options["api"]} if "api" in options else {})}
    options = {key: value for key, value in options.items() if key != "api"}
    assert target(kind, model, **options).spelling("decoding.max_output_tokens") == spelt


def test_the_application_itself_is_not_checked() -> None:
    found = target("python", {"provider": "shop", "id": "gpt-5"}, mode="app", priced_as="openai")
    assert found.broken(bundle(temperature=0.5)) == ()
    (said,) = found.unknown()
    assert "application itself" in said


def test_a_model_of_another_name_is_looked_up_under_the_provider_that_is_priced() -> None:
    found = target("openai", {"provider": "proxy", "id": "gpt-5"}, priced_as="openai")
    assert [one.name for one in found.broken(bundle(temperature=0.5))] == ["decoding.temperature"]
    assert found.label == "proxy/gpt-5"


def test_what_is_not_known_is_said() -> None:
    (said,) = target("openai", {"provider": "openai", "id": "gpt-9"}).unknown()
    assert said == "what openai/gpt-9 takes: it is not in the table of models"
    assert not list(target("openai", {"provider": "openai", "id": "gpt-5"}).unknown())
    first, *_ = target("recorded", {"provider": "local", "id": "gpt-9"}).unknown()
    assert "kind recorded" in first


def test_what_the_next_model_takes_beside_is_known_from_its_api_and_the_table() -> None:
    claude = target("anthropic", {"provider": "anthropic", "id": "claude-haiku-4-5"}).takes()
    gpt = target("openai", {"provider": "openai", "id": "gpt-5.6"}).takes()
    assert {"decoding.seed", "decoding.verbosity"} <= gpt - claude
    assert {"decoding.top_k", "decoding.reasoning.budget"} <= claude - gpt
    assert target("command", {"provider": "own", "id": "m"}).takes() == frozenset()


BEGUN = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "{"}]


@pytest.mark.parametrize(
    ("model", "messages", "refused"),
    [
        ("claude-opus-4-6", BEGUN, ["messages"]),
        ("claude-opus-4-6", BEGUN[:1], []),
        ("claude-opus-4-6", [], []),
        ("claude-haiku-4-5", BEGUN, []),
    ],
)
def test_an_answer_that_the_prompt_begins_is_refused_where_the_model_does_not_go_on(
    model: str, messages: list[Any], refused: list[str]
) -> None:
    found = target("anthropic", {"provider": "anthropic", "id": model})
    assert [one.where for one in found.shapes({"messages": messages})] == refused
