"""The schema check: its messages, and that it lets through what the jsonschema library does."""

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvc.errors import FormatError
from llmvc.files import writing
from llmvc.files.check import check, load
from llmvc.files.reading import Document, read_yaml
from tests.support.strategies import json_values
from tests.unit.files.memory import PLAIN

KNOWN = {
    "$schema", "$id", "version", "title", "description", "$defs", "$ref", "type", "enum", "const", "not", "properties",
    "required", "additionalProperties", "propertyNames", "minProperties", "items", "minItems",
    "uniqueItems", "minLength", "pattern", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "anyOf", "oneOf", "if", "then", "else",
}  # fmt: skip
SCHEMAS = ("bundle", "suite", "config")


def message(text, schema="bundle"):
    with pytest.raises(FormatError) as caught:
        check(read_yaml(text.encode(), "b.yaml"), schema)
    assert f"schemas/{schema}.schema.json" in caught.value.hint
    return str(caught.value)


def changed(old, new):
    assert old in PLAIN
    return PLAIN.replace(old, new)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN + "decoding:\n  temprature: 1\n", "b.yaml:12: decoding.temprature is not a field; write temperature instead"),
        (PLAIN + "decodings: {}\n", "b.yaml:11: decodings is not a field; write decoding instead"),
        (PLAIN + "zzz: 1\n", "b.yaml:11: zzz is not a field; write one of kind, description, owners"),
        (PLAIN + 'decoding:\n  temperature: "1"\n', "b.yaml:12: decoding.temperature must be a number or null, not '1'"),
        (PLAIN + "decoding:\n  temperature: -1\n", "b.yaml:12: decoding.temperature must be at least 0, not -1"),
        (PLAIN + "decoding:\n  top_p: 1.5\n", "b.yaml:12: decoding.top_p must be at most 1, not 1.5"),
        (PLAIN + "decoding:\n  n: 1.5\n", "b.yaml:12: decoding.n must be a whole number or null, not 1.5"),
        (PLAIN + "decoding:\n  stop: x\n", "b.yaml:12: decoding.stop must be a list or null, not 'x'"),
        (PLAIN + "response:\n  format: jsonschema\n", "b.yaml:12: response.format may not be 'jsonschema'; write json_schema instead"),
        (PLAIN + "response:\n  format: json_schema\n", "b.yaml:11: response.schema is missing"),
        (PLAIN + "response: {}\n", "b.yaml:11: response.format is missing"),
        (PLAIN + "assets: [a, b, a]\n", "b.yaml:11: assets holds 'a' twice"),
        (PLAIN + "tool_choice: maybe\n", "b.yaml:11: tool_choice may not be 'maybe'"),
        (PLAIN + "tool_choice: 3\n", "b.yaml:11: tool_choice must be text or a mapping, not 3"),
        (PLAIN + "members: {a: b}\n", "b.yaml:11: members may not stand here"),
        (changed("name: support", "name: Support"), "b.yaml:2: name may not be 'Support'; write 1 to 40 lower-case"),
        (changed("name: support", 'name: "support\\n"'), "b.yaml:2: name may not be 'support\\n'"),
        (changed("llmvc: 1", "llmvc: 2"), "b.yaml:1: llmvc must be 1, not 2"),
        (changed("llmvc: 1", "llmvc: true"), "b.yaml:1: llmvc must be 1, not true"),
        (changed("llmvc: 1\n", ""), "b.yaml:1: llmvc is missing"),
        (changed("    file: system.md\n", "    file: a\n    content: b\n"), "b.yaml:4: messages[0] needs exactly one of content, file, parts"),
        (changed("    file: system.md\n", ""), "b.yaml:4: messages[0] needs exactly one of"),
        (changed("role: user", "role: usr"), "b.yaml:6: messages[1].role may not be 'usr'; write user instead"),
        (changed("  id: gpt-4o-2024-08-06\n", ""), "b.yaml:8: model.id is missing"),
        (changed("  id: gpt-4o-2024-08-06\n", "  id: ''\n"), "b.yaml:10: model.id is empty"),
        (PLAIN.replace("messages", "messges"), "b.yaml:3: messges is not a field; write messages instead"),
        ("llmvc: 1\nkind: set\nmembers: {}\n", "b.yaml:3: members is empty"),
        ("llmvc: 1\nkind: set\nmembers: {a: b}\nmodel: {}\n", "b.yaml:4: model may not stand here"),
        (PLAIN + "assets:\n  - a\n  - a\n", "b.yaml:11: assets holds 'a' twice"),
        (PLAIN + "retrieval: {template: {files: x}}\n", "b.yaml:11: retrieval.template.files is not a field; write file instead"),
        (PLAIN + "retrieval: {template: {}}\n", "b.yaml:11: retrieval.template.file is missing"),
        (PLAIN + "retrieval: {template: [x]}\n", "b.yaml:11: retrieval.template must be text or a mapping, not a list"),
        (PLAIN + "tool_choice: {name: f, nam: g}\n", "b.yaml:11: tool_choice.nam is not a field; remove it"),
        (PLAIN + 'decoding: {"{x}": 1}\n', "b.yaml:11: decoding.{x} is not a field; write one of temperature"),
        ('llmvc: 1\nkind: set\nmembers: {"a\\n": b}\n', "b.yaml:3: members.'a\\n' is not a valid name; write 1 to 40 lower-case"),
        ("[]", "b.yaml:1: the file must be a mapping, not a list"),
        ("", "b.yaml:1: the file must be a mapping, not nothing"),
    ],
)  # fmt: skip
def test_the_message_names_the_line_the_field_and_what_to_write(text, said):
    assert message(text).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dataset: 3", "s.yaml:3: dataset must be text or a list or a mapping, not 3"),
        ("dataset: [a, 3]", "s.yaml:3: dataset[1] must be text or a mapping, not 3"),
        ("dataset: []", "s.yaml:3: dataset is empty"),
        ("dataset: {uri: x}", "s.yaml:3: dataset.digest is missing"),
        ("dataset: [{uri: x, digset: z}]", "s.yaml:3: dataset[0].digset is not a field; write digest instead"),
        ("dataset: {uri: x, digest: z}", "s.yaml:3: dataset.digest may not be 'z'; write b3: and 64 hex characters"),
    ],
)  # fmt: skip
def test_of_alternatives_the_one_that_was_meant_is_explained(text, said):
    with pytest.raises(FormatError) as caught:
        check(
            read_yaml(f"llmvc: 1\nbundle: b\n{text}\nmetrics: {{cost: {{}}}}".encode(), "s.yaml"),
            "suite",
        )
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: {provider: x}\nmesages: []\n", "b.yaml:3: mesages is not a field"),
        ("messages: 3\nname: A\n", "b.yaml:3: name may not be 'A'"),
        ("model: {}\nmessages: 3\n", "b.yaml:3: messages must be a list"),
        ("messages: []\nmodel: {}\n", "b.yaml:3: model.provider is missing"),
        ("zzz: 1\nmodel: {zzz: 1}\n", "b.yaml:2: zzz is not a field"),
    ],
)
def test_of_many_problems_the_most_telling_is_told_and_of_equals_the_first(text, said):
    assert message("llmvc: 1\n" + text).startswith(said)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schemas_are_json_schemas_with_id_and_version_and_known_keywords(name):
    schema = load(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:llmvc:schema:{name}:1"
    assert schema["version"] == 1

    def keywords(rules):
        if not isinstance(rules, dict):
            return
        yield from rules.items()
        for key in ("properties", "$defs"):
            for inner in rules.get(key, {}).values():
                yield from keywords(inner)
        for key in ("items", "additionalProperties", "propertyNames", "not", "if", "then", "else"):
            yield from keywords(rules.get(key))
        for key in ("anyOf", "oneOf", "allOf"):
            for inner in rules.get(key, ()):
                yield from keywords(inner)

    for keyword, rule in keywords(schema):
        assert keyword in KNOWN
        # What the messages rely on:
        assert keyword != "pattern" or (rule[0], rule[-1]) == ("^", "$")
        assert keyword not in {"minLength", "minItems", "minProperties"} or rule == 1
        assert keyword != "oneOf" or all(list(branch) == ["required"] for branch in rule)


SEEDS = {
    "bundle": [
        read_yaml(PLAIN.encode(), "x").value,
        {
            "llmvc": 1,
            "messages": [
                {
                    "role": "user",
                    "parts": [{"type": "text", "text": "x"}, {"type": "image", "url": "y"}],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"name": "f", "arguments": {}}],
                },
            ],
            "few_shot": {
                "examples": [{"vars": {}, "output": "x"}],
                "selector": {"k": 2, "order": "reversed"},
            },
            "model": {
                "provider": "a",
                "id": "b",
                "fallback": [{"provider": "a", "id": "c"}],
                "expect": {"x": None},
            },
            "decoding": {
                "stop": ["a"],
                "reasoning": {"budget": 1},
                "logit_bias": {"1": 2},
                "extra": {"any": [1]},
            },
            "tools": [{"name": "f", "input_schema": {"type": "object"}, "strict": True}],
            "tool_choice": {"name": "f"},
            "response": {
                "format": "json_schema",
                "schema": {"file": "x.json"},
                "repair": {"retries": 1},
            },
            "context": {
                "window": 5,
                "truncation": {"policy": "error", "order": ["history"]},
                "history": {"turns": 1},
            },
            "retrieval": {"index": {"id": "x"}, "template": {"file": "x"}},
            "guardrails": {"input": [{"kind": "x", "threshold": 0.5, "on_fail": "warn"}]},
            "post": {
                "parser": "json",
                "transforms": [{"file": "x.py", "function": "f"}, {"name": "strip"}],
            },
            "assets": ["a", "b"],
            "judge": {"rubric": "x", "votes": 3},
        },
        {"llmvc": 1, "kind": "set", "members": {"a": "b"}},
    ],
    "suite": [
        {
            "llmvc": 1,
            "bundle": "x",
            "dataset": ["a", {"uri": "file:///x", "digest": "b3:" + "0" * 64}],
            "runs": 3,
            "scorers": [{"name": "a", "type": "equals", "value": [1], "weight": 2}],
            "metrics": {"quality": {"scorers": ["a"], "margin": 0.05}, "cost": {"limit": 1.1}},
            "alpha": 0.05,
            "max_age": "24h",
        },
        {"llmvc": 1, "bundle": "x", "dataset": "a", "cases": [{}], "metrics": {"cost": {}}},
    ],
    "config": [
        {
            "llmvc": 1,
            "bundles": ["**/x"],
            "environments": {"prod": {"source_branch": "main"}, "dev": None},
            "providers": {"a": {"kind": "openai", "base_url": "x"}},
            "hook": {"environment": "prod", "max_usd": 1.5, "max_seconds": 5},
        }
    ],
}


def paths(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from paths(item, (*path, at))


@st.composite
def mutated(draw, name):
    value = json.loads(json.dumps(draw(st.sampled_from(SEEDS[name]))))
    for _ in range(draw(st.integers(0, 2))):
        path = draw(st.sampled_from(sorted(paths(value), key=repr)))
        if not path:
            continue
        at = value
        for step in path[:-1]:
            at = at[step]
        how = draw(st.sampled_from(["drop", "replace", "add"]))
        if how == "drop":
            del at[path[-1]]
        elif how == "replace":
            at[path[-1]] = draw(
                json_values | st.sampled_from(["", "app", "set", 0, -1, 1.0, 2.5, [], {}])
            )
        elif isinstance(at, dict):
            at[
                draw(st.sampled_from(["file", "content", "extra", "x", "members", "schema", "A b"]))
            ] = draw(json_values)
        else:
            at.append(draw(json_values))
    return value


@pytest.mark.parametrize("name", SCHEMAS)
@given(data=st.data())
@settings(max_examples=120)
def test_the_check_agrees_with_the_jsonschema_library(name, data):
    value = data.draw(mutated(name))
    try:
        check(Document("x", value), name)
        ours = True
    except FormatError:
        ours = False
    assert ours == jsonschema.Draft202012Validator(load(name)).is_valid(value)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_unchanged_seeds_are_valid_also_when_written_out(name):
    for value in SEEDS[name]:
        check(read_yaml(writing.document(value).encode(), "x"), name)
