"""Tools and schemas held against what an API takes of them."""

from typing import Any

import pytest

from llmvc.evals import shapes
from llmvc.evals.models import Models

TABLE = Models.load()
CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def rules(provider: str) -> shapes.Rules:
    """Returns the rules of a maker's API."""
    family = TABLE.find(provider, {"openai": "gpt-4o", "anthropic": "claude-opus-4-6"}[provider])
    assert family is not None
    return family.rules


def nested(depth: int) -> dict[str, Any]:
    """Returns objects within objects."""
    inner: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        inner = {**CLOSED, "properties": {"a": inner}}
    return inner


STRICT = {
    "what is taken": ("openai", CLOSED, []),
    "an open object": ("openai", {**CLOSED, "additionalProperties": True}, ["additionalProperties"]),
    "a member not required": ("openai", {**CLOSED, "required": []}, ["does not require a"]),
    "not required there": ("anthropic", {**CLOSED, "required": []}, []),
    "a root that is a list": ("openai", {"type": "array", "items": CLOSED}, ["type object"]),
    "anyOf at the root": ("openai", {**CLOSED, "anyOf": [CLOSED]}, ["without anyOf"]),
    "a keyword": ("openai", {**CLOSED, "allOf": []}, ["the root has allOf"]),
    "a keyword deep inside": (
        "anthropic",
        {**CLOSED, "properties": {"a": {"type": "array", "items": {"minimum": 1}}}},
        ["/properties/a/items has minimum"],
    ),
    "a property called like a keyword": (
        "anthropic",
        {**CLOSED, "properties": {"minimum": {"type": "string"}}, "required": ["minimum"]},
        [],
    ),
    "a bound that is taken elsewhere": (
        "openai",
        {**CLOSED, "properties": {"a": {"type": "integer", "minimum": 1}}},
        [],
    ),
    "minItems": (
        "anthropic",
        {**CLOSED, "properties": {"a": {"type": "array", "minItems": 2}}},
        ["minItems 2"],
    ),
    "too deep": ("openai", nested(11), ["11 levels of objects; 10 are taken"]),
    "deep enough": ("openai", nested(10), []),
    "itself": ("anthropic", {**CLOSED, "properties": {"a": {"$ref": "#"}}}, ["refers to itself"]),
    "itself, taken elsewhere": ("openai", {**CLOSED, "properties": {"a": {"$ref": "#"}}}, []),
    "a definition that leads back": (
        "anthropic",
        {
            **CLOSED,
            "properties": {"a": {"$ref": "#/$defs/b"}},
            "$defs": {"b": {"anyOf": [{"$ref": "#/$defs/c"}]}, "c": {"$ref": "#/$defs/b"}},
        },
        ["refers to itself"],
    ),
    "a definition used twice": (
        "anthropic",
        {
            **CLOSED,
            "properties": {"a": {"$ref": "#/$defs/b"}, "c": {"$ref": "#/$defs/b"}},
            "$defs": {"b": {"type": "string"}},
        },
        [],
    ),
    "many enum values": (
        "openai",
        {**CLOSED, "properties": {"a": {"enum": list(range(1001))}}},
        ["1,001 enum values; 1,000 are taken"],
    ),
    "no schema at all": ("openai", None, ["type object"]),
}  # fmt: skip


@pytest.mark.parametrize("case", STRICT.values(), ids=STRICT)
def test_a_strict_schema_names_what_is_not_taken(case: tuple[str, Any, list[str]]) -> None:
    provider, schema, said = case
    found = shapes.strict(schema, rules(provider).get("strict", {}))
    assert len(found) == len(said), found
    assert all(one in told for one, told in zip(said, found, strict=True)), found


def test_of_many_places_the_first_are_told_and_the_rest_counted() -> None:
    properties = {f"p{at}": {"type": "object"} for at in range(9)}
    schema = {**CLOSED, "properties": properties, "required": sorted(properties)}
    found = shapes.strict(schema, rules("openai")["strict"])
    assert len(found) == shapes.MOST + 1
    assert found[-1] == "and 4 more such places"


TOOLS = {
    "nothing": ({}, []),
    "a good one": ({"tools": [{"name": "look"}]}, []),
    "a long name": ({"tools": [{"name": "x" * 65}]}, [f"tools.{'x' * 65}"]),
    "a long description": (
        {"tools": [{"name": "look", "description": "x" * 1025}]}, ["tools.look.description"],
    ),
    "too many": ({"tools": [{"name": f"t{at}"} for at in range(129)]}, ["tools"]),
    "a loose schema": ({"tools": [{"name": "look", "input_schema": {"allOf": []}}]}, []),
    "a strict one": (
        {"tools": [{"name": "look", "strict": True, "input_schema": {**CLOSED, "not": {}}}]},
        ["tools.look.input_schema"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TOOLS.values(), ids=TOOLS)
def test_tools_name_what_is_not_taken(case: tuple[dict[str, Any], list[str]]) -> None:
    body, places = case
    assert [one.where for one in shapes.tools(body, rules("openai"))] == places


def test_a_response_schema_counts_where_it_is_sent_as_strict() -> None:
    loose = {"response": {"format": "json_schema", "schema": {"type": "object"}}}
    assert not list(shapes.response(loose, rules("openai"), always_strict=False))
    (one,) = shapes.response(loose, rules("anthropic"), always_strict=True)
    assert (one.level, one.where) == ("refused", "response.schema")


def test_without_rules_nothing_is_held_against_a_schema() -> None:
    body = {"tools": [{"name": "x" * 500, "strict": True}]}
    assert not list(shapes.tools(body, {}))
