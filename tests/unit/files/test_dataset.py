"""Datasets in every accepted shape."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core.suite import Case, Dataset
from llmvc.errors import FormatError
from llmvc.files.dataset import read_cases
from tests.support.strategies import json_values


def rows(*values):
    return read_cases("".join(json.dumps(value) + "\n" for value in values).encode(), "d.jsonl")


@pytest.mark.parametrize(
    ("row", "case"),
    [
        (
            {
                "id": "a",
                "vars": {"x": 1},
                "expected": {"t": 2},
                "group": "g",
                "tags": ["b", "a", "b"],
            },
            Case("a", {"x": 1}, {"t": 2}, "g", ("a", "b")),
        ),
        (
            {
                "id": "a",
                "vars": {"x": 1},
                "assert": [{"type": "contains", "value": "y"}],
                "description": "d",
            },
            Case("a", {"x": 1}, checks=({"type": "contains", "value": "y"},)),
        ),
        (
            {
                "id": "a",
                "input": "q",
                "expected": "x",
                "metadata": {"group": "g", "note": 1},
                "tags": ["t"],
            },
            Case("a", {"input": "q"}, "x", "g", ("t",)),
        ),
        ({"id": 7, "input": {"q": 1}, "target": ["x"]}, Case("7", {"q": 1}, ["x"])),
        ({"id": "a", "inputs": {"q": 1}, "outputs": {"r": 2}}, Case("a", {"q": 1}, {"r": 2})),
        ({"id": "a", "vars": {}, "group": 3}, Case("a", {}, group="3")),
        (
            {"id": "a", "vars": {}, "group": "own", "metadata": {"group": "other"}},
            Case("a", {}, group="own"),
        ),
    ],
)
def test_each_shape_has_one_normal_form(row, case):
    assert rows(row) == (case,)


def test_a_case_without_id_is_named_by_its_inputs():
    one, other = rows({"vars": {"a": 1, "b": 2}}, {"vars": {"a": 1}})
    (again,) = rows({"vars": {"b": 2.0, "a": 1}, "expected": "changed"})
    assert one.id == again.id == "c-8e80439b77ac"
    assert other.id != one.id


@given(
    st.lists(json_values, unique_by=repr, min_size=1, max_size=6), st.randoms(use_true_random=False)
)
def test_the_order_of_lines_does_not_change_the_dataset(values, random):
    listed = [{"id": str(at), "vars": {"v": value}} for at, value in enumerate(values)]
    before = Dataset.of(rows(*listed)).digest
    random.shuffle(listed)
    assert Dataset.of(rows(*listed)).digest == before


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "d.jsonl holds no case"),
        ('{"vars": {}, "tags": ""}', "d.jsonl:1: tags must be a list"),
        ("\n\n", "d.jsonl holds no case"),
        ('{"vars": {}, "id": "a"}\n\n{"vars": {"x": 1}, "id": "a"}', "d.jsonl:3: case id 'a' is also that of line 1"),
        ('{"vars": {"x": 1}}\n{"vars": {"x": 1}}', "d.jsonl:2: case id 'c-"),
        ('{"vars": {}}\n{"vars": {"x": NaN}}', "d.jsonl:2: not JSON: NaN"),
        ('{"vars": {"x": 1e999}}', "d.jsonl:1: not JSON: number 1e999 is out of range"),
        ('{"vars": {"x": 9007199254740993}}', "d.jsonl:1: number 9007199254740993"),
        ('{"vars": {"x": "\\ud800"}}', "d.jsonl:1: "),
        ('{"vars": {}', "d.jsonl:1: not JSON"),
        ("[]", "d.jsonl:1: a case is a JSON object"),
        ("{}", "d.jsonl:1: the case has neither vars nor input"),
        ('{"vars": []}', "d.jsonl:1: vars must be an object"),
        ('{"inputs": "x"}', "d.jsonl:1: inputs must be an object"),
        ('{"vars": {}, "expct": 1}', "d.jsonl:1: expct is not a field; write expected instead"),
        ('{"vars": {}, "target": 1}', "d.jsonl:1: target is not a field"),
        ('{"input": 1, "expected": 1, "target": 1}', "d.jsonl:1: both expected and target"),
        ('{"vars": {}, "id": ""}', "d.jsonl:1: id must be"),
        ('{"vars": {}, "id": true}', "d.jsonl:1: id must be"),
        ('{"vars": {}, "id": "a\\nb"}', "d.jsonl:1: id must be"),
        ('{"vars": {}, "id": "' + "x" * 201 + '"}', "d.jsonl:1: id is longer"),
        ('{"vars": {}, "group": []}', "d.jsonl:1: group must be text"),
        ('{"vars": {}, "tags": "a"}', "d.jsonl:1: tags must be a list"),
        ('{"vars": {}, "metadata": 1}', "d.jsonl:1: metadata must be an object"),
        ('{"vars": {}, "assert": {}}', "d.jsonl:1: assert must be a list"),
        ('{"vars": {}, "assert": [{"value": 1}]}', "d.jsonl:1: an assertion is an object with a type"),
        ('{"vars": {}, "assert": [{"type": "contain"}]}', "d.jsonl:1: there is no scorer type 'contain'; write contains instead"),
        ('{"vars": {}, "assert": [{"type": "python", "path": "x"}]}', "d.jsonl:1: a scorer of type 'python' may not stand in a row"),
        ('{"vars": {}, "assert": [{"type": "llm-rubric", "value": "x"}]}', "d.jsonl:1: scorer type 'llm-rubric' needs a judge"),
        ('{"vars": {}, "assert": [{"type": "not-trajectory:goal-success"}]}', "d.jsonl:1: scorer type 'not-trajectory:goal-success' needs a judge"),
        ('{"vars": {}, "assert": [{"type": "javascript", "value": "x"}]}', "d.jsonl:1: there is no scorer type 'javascript'"),
        ('{"vars": {}, "assert": [{"type": "contains", "value": "file://x.txt"}]}', "d.jsonl:1: value of an assertion stands in another file"),
        ('{"vars": {}, "assert": [{"type": "json-schema", "schema": {"file": "x.json"}}]}', "d.jsonl:1: schema of an assertion stands in another file"),
        ('{"vars": {}, "assert": [{"type": "similar", "embedder": {"path": "x.py"}}]}', "d.jsonl:1: embedder is not an option of similar"),
        ('{"vars": {}, "assert": [{"type": "assert-set", "assert": [{"type": "equal"}]}]}', "d.jsonl:1: there is no scorer type 'equal'; write equals instead"),
        ('{"vars": {}, "assert": [{"type": "choice"}]}', "d.jsonl:1: an assertion of type choice needs choices"),
        ('{"vars": {}, "assert": [{"type": "equals", "valu": 1}]}', "d.jsonl:1: valu is not an option of equals; write value instead"),
        ('{"vars": {}, "assert": [{"type": "equals", "weight": -1}]}', "d.jsonl:1: weight of an assertion"),
        ('{"vars": {}, "assert": [{"type": "assert-set"}]}', "d.jsonl:1: an assert-set needs"),
        ("\ufeff{}", "d.jsonl starts with a byte order mark"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(data, said):
    with pytest.raises(FormatError) as caught:
        read_cases(data.encode(), "d.jsonl")
    assert str(caught.value).startswith(said)


def test_promptfoo_assertions_are_taken_as_they_are_written():
    checks = [
        {"type": "is-json", "value": {"type": "object"}, "metric": "form"},
        {"type": "not-icontains", "value": "sorry", "weight": 2},
        {
            "type": "assert-set",
            "threshold": 0.5,
            "assert": [{"type": "contains-any", "value": ["a", "b"]}],
        },
    ]
    assert list(rows({"vars": {}, "assert": checks})[0].checks) == checks
