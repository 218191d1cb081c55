"""docs/format.md names everything that may be written, and its examples are valid."""

import re
from pathlib import Path

import pytest

from llmvc.core import scorers
from llmvc.files.check import check, load
from llmvc.files.reading import read_yaml
from llmvc.files.scoring import OPTIONS, base_type, options

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "format.md").read_text(encoding="utf-8")
SCORERS = (DOCS / "scorers.md").read_text(encoding="utf-8")


def fields(rules):
    """Returns every field name in a schema."""
    if isinstance(rules, list):
        for item in rules:
            yield from fields(item)
    if not isinstance(rules, dict):
        return
    for key, inner in rules.items():
        if key in ("properties", "$defs"):
            yield from inner if key == "properties" else ()
            yield from fields(list(inner.values()))
        else:
            yield from fields(inner)


@pytest.mark.parametrize("schema", ["bundle", "suite", "config"])
def test_every_field_of_a_schema_is_on_the_page(schema):
    inner = {"arguments"}  # of a tool call, as providers write it
    text = PAGE + SCORERS if schema == "suite" else PAGE
    missing = [name for name in fields(load(schema)) if not re.search(rf"\b{name}\b", text)]
    assert set(missing) <= inner


@pytest.mark.parametrize("schema", ["bundle", "suite"])
def test_the_examples_on_the_page_are_valid(schema):
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    check(read_yaml(blocks[0 if schema == "bundle" else 1].encode(), "page"), schema)


def test_every_scorer_type_and_option_is_known_to_schema_and_page():
    assert set(OPTIONS) == set(scorers.TYPES)
    listed = set(load("suite")["$defs"]["scorer"]["properties"]) - {"name", "type", "weight"}
    assert {option for known in OPTIONS.values() for option in known} == listed
    for kind, known in OPTIONS.items():
        (row,) = (line for line in SCORERS.splitlines() if re.match(rf"\| .*`{kind}`.* \| ", line))
        for option in set(known) - {"value", "threshold", "turn"}:
            assert f"`{option}`" in row or f"`{option}:" in row, (kind, option)
    for alias, kind in scorers.ALIASES.items():
        assert f"`{alias}`" in SCORERS
        assert kind in scorers.CHECK_TYPES


def test_the_scorers_shown_on_their_page_can_be_written():
    (block,) = re.findall(r"```yaml\n(.*?)```", SCORERS, re.DOTALL)
    for item in read_yaml(block.encode(), "page").value["scorers"]:
        kind, _ = base_type(item["type"])
        assert options(kind, item, frozenset({"name", "type", "weight"}))
