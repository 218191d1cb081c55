"""The quick check never finds valid what jsonschema does not, and knows every keyword we use."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from llmvc.files import check, valid
from llmvc.files.check import load
from llmvc.files.reading import read_yaml

ROOT = Path(__file__).parents[3]
FOUND = {"suite": "**/suite.yaml", "bundle": "**/bundle.yaml", "config": "**/config.yaml"}
ODD = st.sampled_from(
    [None, True, False, 0, 1, -1, 1.0, 0.5, "", "x", "app", [], ["a", "a"], [1, 1], {}, {"a": 1}]
)


@cache
def documents():
    files = {
        (kind, path)
        for kind, glob in FOUND.items()
        for top in ("examples", "tests/vectors")
        for path in ROOT.joinpath(top).glob(glob)
        if "invalid" not in path.parts
    }
    return [(kind, read_yaml(path.read_bytes(), str(path)).value) for kind, path in sorted(files)]


judge = check._validator


def places(value, at=()):
    """Yields the path of every value inside another."""
    yield at
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, item in inner:
        yield from places(item, (*at, name))


def changed(value, path, new):
    copy = json.loads(json.dumps(value))
    if not path:
        return new
    inside = copy
    for name in path[:-1]:
        inside = inside[name]
    inside[path[-1]] = new
    return copy


def test_what_people_write_is_judged_alike():
    assert len(documents()) > 5
    for kind, value in documents():
        assert valid.holds(value, load(kind)) == judge(kind).is_valid(value)


@given(st.data())
def test_a_changed_document_is_found_valid_only_if_jsonschema_agrees(data):
    kind, value = data.draw(st.sampled_from(documents()))
    path = data.draw(st.sampled_from(list(places(value))))
    new = changed(value, path, data.draw(ODD))
    assert not valid.holds(new, load(kind)) or judge(kind).is_valid(new)


@pytest.mark.parametrize(
    "schema",
    [{"prefixItems": [True]}, {"$ref": "#/other"}, {"type": "nothing"}, {"pattern": "("}, {"enum": [1.5]}],
)  # fmt: skip
@pytest.mark.parametrize("value", ["x", 1, [1]])
def test_what_it_does_not_know_it_does_not_find_valid(schema, value):
    assert not valid.holds(value, schema) or Draft202012Validator(schema).is_valid(value)


def test_a_valid_configuration_is_read_without_jsonschema():
    code = (
        "import sys; from llmvc.files.config import parse_config; "
        "parse_config(b'llmvc: 1\\n'); assert 'jsonschema' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
