"""What models take: a dated table, the user's own before it, and nothing guessed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import canon
from llmvc.errors import ConfigError, FormatError
from llmvc.evals.models import SHIPPED, Models, member

TABLE = Models.load()
KNOWN = {
    "openai/gpt-4o-2024-08-06": ({"top_k": 4, "temperature": 0.2, "seed": 1}, ["top_k"]),
    "openai/gpt-5-mini-2025-08-07": (
        {"temperature": 1, "top_p": 0.5, "seed": 1, "logprobs": True, "verbosity": "low"},
        ["logprobs", "temperature", "top_p"],
    ),
    "openai/o3-mini": ({"reasoning": {"effort": "minimal"}}, ["reasoning.effort"]),
    "openai/gpt-4.1": ({"temperature": 2.5, "stop": list("abcde")}, ["stop", "temperature"]),
    "anthropic/claude-sonnet-4-5-20250929": ({"temperature": 0.5, "top_p": 0.5}, ["top_p"]),
    "anthropic/claude-opus-4-8": ({"temperature": 0.5, "top_p": 0.5}, ["temperature", "top_p"]),
    "anthropic/claude-haiku-4-5-20251001": (
        {"reasoning": {"budget": 2000}, "top_k": 4, "temperature": 0.7},
        ["temperature", "top_k"],
    ),
    "anthropic/claude-sonnet-4-6": ({"reasoning": {"budget": 100}}, ["reasoning.budget"]),
    "anthropic/claude-opus-4-6": ({"reasoning": {"budget": 0}, "top_k": 4}, []),
    "anthropic/claude-opus-4-5": (
        {"reasoning": {"budget": 2000}, "temperature": 1.5},
        ["temperature"],
    ),
    "anthropic/claude-opus-5": ({"reasoning": {"budget": 0, "effort": "max"}}, []),
    "anthropic/claude-opus-5-5": ({"reasoning": {"budget": 0}}, ["reasoning.budget"]),
    "anthropic/claude-sonnet-5": ({"reasoning": {"budget": 2000}}, ["reasoning.budget"]),
    "openai/gpt-5.1": ({"temperature": 0.5, "reasoning": {"effort": "none"}}, []),
    "openai/gpt-5.2-2025-12-11": ({"temperature": 0.5, "verbosity": "low"}, []),
    "openai/gpt-5.4": ({"temperature": 0.5, "reasoning": {"effort": "low"}}, ["temperature"]),
    "openai/gpt-5.6": ({"temperature": 0.5, "reasoning": {"effort": "none"}}, []),
    "openai/gpt-6-luna": ({"temperature": 0.5, "stop": ["x"]}, ["stop", "temperature"]),
    "openai/gpt-6-astra": ({"reasoning": {"effort": "none"}}, ["reasoning.effort"]),
    "openai/gpt-4o": ({"temperature": 1, "reasoning": {"effort": "low"}}, ["reasoning.effort"]),
}
UNKNOWN = ("openai/gpt-9", "openai/gpt-5.9", "anthropic/claude-9", "local/llama", "other/gpt-4o")


def broken(model: str, body: Mapping[str, canon.Json]) -> list[str]:
    """Returns the names of what the shipped table says that a model does not take."""
    family = TABLE.find(*model.split("/"))
    assert family is not None
    return sorted(one.name for one in family.broken(body))


@pytest.mark.parametrize("model", KNOWN)
def test_a_known_model_names_what_it_does_not_take(model: str) -> None:
    decoding, names = KNOWN[model]
    assert broken(model, {"decoding": decoding}) == [f"decoding.{name}" for name in names]


@pytest.mark.parametrize("model", UNKNOWN)
def test_a_model_that_no_family_fits_is_not_known(model: str) -> None:
    assert TABLE.find(*model.split("/")) is None


def test_the_most_exact_name_counts() -> None:
    family = TABLE.find("openai", "gpt-5-mini-2025-08-07", "gpt-4o")
    assert family is not None
    assert family.name == "gpt-5-mini"


NAMES = ["temperature", "top_p", "top_k", "seed", "stop", "logprobs", "max_output_tokens"]
NUMBERS = st.one_of(st.integers(-3, 3000), st.floats(-3, 3), st.none())


@given(
    model=st.sampled_from(sorted(KNOWN)),
    decoding=st.dictionaries(st.sampled_from(NAMES), NUMBERS),
    budget=NUMBERS,
)
def test_dropping_what_is_named_leaves_nothing_that_is_not_taken(
    model: str, decoding: dict[str, Any], budget: float | None
) -> None:
    left = {**decoding, "reasoning": {"budget": budget}}
    for _ in NAMES:
        for name in broken(model, {"decoding": left}):
            left.pop(name.split(".")[1], None)
    assert broken(model, {"decoding": left}) == []


def test_a_member_that_is_null_asks_for_nothing() -> None:
    assert broken("openai/gpt-5", {"decoding": {"temperature": None}}) == []
    assert member({"decoding": None}, "decoding.seed") is None


def table(tmp_path: Path, **more: Any) -> Path:
    """Writes a table of models."""
    path = tmp_path / "models.json"
    path.write_text(json.dumps({"llmvc": "models/1", "families": [], **more}))
    return path


def test_the_users_own_families_come_first_and_may_use_shipped_rules(tmp_path: Path) -> None:
    own = {"name": "ours", "match": ["openai/gpt-4o*"], "rules": "openai"}
    models = Models.load(table(tmp_path, families=[own], date="2099-01-01"))
    family = models.find("openai", "gpt-4o")
    assert family is not None
    assert (family.name, family.refuses, models.date) == ("ours", (), "2099-01-01")
    assert family.rules["tools"]["most"] == 128
    assert models.find("openai", "gpt-5") is not None
    assert models.digest != TABLE.digest


def test_a_member_that_a_model_needs_is_named_where_it_is_not_there() -> None:
    chat = {"model": {"api": "chat"}}
    for body in ({}, chat):
        assert broken("openai/gpt-5.4-pro", body) == ["model.api"]
    assert broken("openai/gpt-5.4-pro", {"model": {"api": "responses"}}) == []


TOOLS = {"tools": [{"name": "look"}]}
BY_RESPONSES = {"model": {"api": "responses"}, **TOOLS}
SWITCHED_OFF = {"decoding": {"reasoning": {"effort": "none"}}, **TOOLS}


@pytest.mark.parametrize(
    ("model", "body", "names"),
    [
        ("gpt-5.5", TOOLS, ["tools"]),
        ("gpt-5.5", BY_RESPONSES, []),
        ("gpt-5.5", SWITCHED_OFF, []),
        ("gpt-5.5", {"tools": []}, []),
        ("gpt-5.4", TOOLS, []),
        ("gpt-5", TOOLS, []),
    ],
)
def test_tools_that_one_api_alone_takes_while_a_model_reasons(
    model: str, body: dict[str, Any], names: list[str]
) -> None:
    assert broken(f"openai/{model}", body) == names


def test_a_choice_of_tools_that_may_not_be_forced() -> None:
    assert broken("anthropic/claude-opus-5-5", {"tool_choice": "required"}) == ["tool_choice"]
    assert broken("anthropic/claude-opus-5-5", {"tool_choice": {"name": "a"}}) == ["tool_choice"]
    assert broken("anthropic/claude-opus-5", {"tool_choice": "required"}) == []


def ours(**more: Any) -> dict[str, Any]:
    """Returns a table of one family."""
    return {"families": [{"name": "a", "match": ["b/*"], **more}]}


WRONG: dict[str, dict[str, Any]] = {
    "a member of a bundle that there is not": ours(refuses=["decodign.seed"]),
    "a limit's member": ours(limits={"seed": {"most": 1}}),
    "a limit that is misspelt": ours(limits={"decoding.n": {"mots": 3}}),
    "a limit that is no number": ours(limits={"decoding.n": {"most": "3"}}),
    "a flag that is a text": ours(reasons="no"),
    "a list of texts for one of lists": ours(one_of=["decoding.n"]),
    "rules that are no object": {"rules": {"mine": {"tools": []}}},
    "a name that is no pattern": {"rules": {"mine": {"tools": {"name": "["}}}},
    "a strict rule that is not known": {"rules": {"mine": {"strict": {"deep": 1}}}},
    "a beside that is no object": {"rules": {"mine": {"reasoning": ["decoding.n"]}}},
    "nothing that it matches": ours(match=[]),
    "no list": {"families": {}},
    "an unknown member": {"families": [{"name": "a", "match": [], "refuse": []}]},
    "no match": {"families": [{"name": "a"}]},
    "a text for a list": {"families": [{"name": "a", "match": "openai/*"}]},
    "a limit that is none": {"families": [{"name": "a", "match": [], "limits": {"decoding.n": 1}}]},
    "rules that are not there": {"families": [{"name": "a", "match": [], "rules": "nobody"}]},
    "a rule that is not known": {"rules": {"openai": {"prices": {}}}},
    "another type": {"llmvc": "prices/1"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_table_that_is_not_one_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        Models.load(table(tmp_path, **wrong))


def test_a_table_that_is_not_there_is_refused_with_where_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing") as caught:
        Models.load(tmp_path / "nothing.json")
    assert "models:" in caught.value.hint


def test_each_entry_of_the_shipped_table_is_dated_and_fits_what_it_names() -> None:
    families = json.loads(SHIPPED.read_text())["families"]
    for one in families:
        assert one["source_date"] <= TABLE.date
        for match in one["match"]:
            provider, name = match.replace("*", "x", 1 if match.startswith("*/") else 0).split("/")
            found = TABLE.find(provider, name.rstrip("*"))
            assert found is not None, match
            assert found.name == one["name"], match
