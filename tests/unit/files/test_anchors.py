"""Anchor files and label sheets: read strictly, each error with its line."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import digest
from llmvc.errors import FormatError
from llmvc.files import labels
from llmvc.files.anchors import read_anchors
from llmvc.files.labels import Pair, Sheet
from llmvc.files.shipped import shipped

GRADES = ("poor", "good")
ROW: dict[str, Any] = {
    "id": "a1",
    "vars": {"ticket": "Where is it?"},
    "output": "On its way.",
    "labels": {"ann": "good"},
}
OTHER = digest.of_bytes(b"report")


def lines(*rows: Any) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_the_anchors_of_the_example_are_read_and_enough():
    path = shipped("examples", "judge/prompts/helpful-judge/anchors.jsonl")
    found = read_anchors(path.read_bytes(), "anchors.jsonl", GRADES)
    kinds = [one.kind for one in found.anchors]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "normal": 72,
        "control": 6,
        "adversarial": 8,
    }
    assert found.raters == ("ann", "ben")


def test_a_set_is_the_same_in_any_order_and_another_with_another_label():
    two = {**ROW, "id": "a2", "output": "No."}
    first = read_anchors(lines(ROW, two), "x", GRADES)
    assert read_anchors(lines(two, ROW), "x", GRADES).digest == first.digest
    changed = read_anchors(lines({**ROW, "labels": {"ann": "poor"}}, two), "x", GRADES)
    assert changed.digest != first.digest


def test_an_anchor_without_id_gets_one_from_what_it_holds():
    bare = {name: value for name, value in ROW.items() if name != "id"}
    (first,) = read_anchors(lines(bare), "x", GRADES).anchors
    (again,) = read_anchors(lines({**bare, "labels": {"ben": "poor"}}), "x", GRADES).anchors
    assert first.id == again.id


def test_what_is_expected_reaches_the_judge_as_a_variable():
    (found,) = read_anchors(lines({**ROW, "expected": "tomorrow"}), "x", GRADES).anchors
    assert found.vars == {"ticket": "Where is it?", "expected": "tomorrow"}


BAD = {
    "no object": ["a1"],
    "an unknown field": {**ROW, "ouput": "x"},
    "no output": {name: value for name, value in ROW.items() if name != "output"},
    "an output that is no text": {**ROW, "output": 3},
    "no labels": {**ROW, "labels": {}},
    "a grade that is not offered": {**ROW, "labels": {"ann": "great"}},
    "a grade of another type": {**ROW, "labels": {"ann": 1}},
    "a rater without a name": {**ROW, "labels": {" ": "good"}},
    "variables that are no object": {**ROW, "vars": []},
    "a second answer for a judge of one": {**ROW, "other": "x"},
    "an unknown kind": {**ROW, "kind": "easy"},
    "a kind of another type": {**ROW, "kind": ["normal"]},
    "tags that are no list": {**ROW, "tags": "x"},
    "an id that cannot be printed": {**ROW, "id": "a\n"},
    "a family that is no text": {**ROW, "family": 1},
}


@pytest.mark.parametrize("row", BAD.values(), ids=BAD)
def test_a_malformed_anchor_is_refused_with_its_line(row):
    with pytest.raises(FormatError) as raised:
        read_anchors(lines({**ROW, "id": "a0", "output": "Well."}, row), "anchors.jsonl", GRADES)
    assert str(raised.value).startswith("anchors.jsonl:2: ")


def test_an_id_or_an_answer_that_stands_twice_is_refused_with_both_lines():
    for row in ({**ROW, "output": "No."}, {**ROW, "id": "a2"}):
        with pytest.raises(FormatError, match=r"x:2: .*line 1"):
            read_anchors(lines(ROW, row), "x", GRADES)


def test_a_file_without_anchors_and_a_pair_without_its_other_are_refused():
    with pytest.raises(FormatError, match="no anchor"):
        read_anchors(b"\n", "x", GRADES)
    with pytest.raises(FormatError, match="other must be text"):
        read_anchors(lines(ROW), "x", ("A", "B", "tie"), pairwise=True)


def sheet(*, seed: int, compared: bool) -> Sheet:
    grades = ("A", "B", "tie") if compared else GRADES
    return Sheet(OTHER, "helpful", OTHER, grades, seed, compared=compared, cases=3)


@given(seed=st.integers(0, 2**32), texts=st.lists(st.text(max_size=5), min_size=6, max_size=6))
def test_what_a_person_says_of_an_answer_reaches_the_version_that_gave_it(seed, texts):
    pairs = [Pair(f"c{at}", 0, {}, texts[at], texts[3 + at]) for at in range(3)]
    head, *rows = map(
        json.loads, labels.write(sheet(seed=seed, compared=False), pairs).splitlines()
    )
    by_text = {text: GRADES[at % 2] for at, text in enumerate(sorted(set(texts)))}
    for row in rows:
        for side in ("A", "B"):
            row[side]["grade"] = by_text[row[side]["output"]]
    found = labels.read(lines(head, *rows), "x")
    assert found.grades == {
        pair.case: (by_text[pair.baseline or ""], by_text[pair.candidate]) for pair in pairs
    }
    assert (found.empty, found.half) == (0, 0)


@given(seed=st.integers(0, 2**32))
def test_a_comparison_says_whether_its_first_answer_was_the_baselines(seed):
    pairs = [Pair(f"c{at}", 0, {}, "new", "old") for at in range(3)]
    head, *rows = map(json.loads, labels.write(sheet(seed=seed, compared=True), pairs).splitlines())
    for row in rows:
        row["grade"] = "A" if row["A"]["output"] == "new" else "B"
    found = labels.read(lines(head, *rows), "x")
    for case, (_, grade) in found.grades.items():
        assert (grade == "A") != (case in found.swapped)


def test_a_first_release_has_one_answer_a_row():
    made = labels.write(sheet(seed=1, compared=False), [Pair("c", 0, {}, "x", None)])
    head, row = map(json.loads, made.splitlines())
    assert "B" not in row
    row["A"]["grade"] = " good "
    assert labels.read(lines(head, row), "x").grades == {"c": (None, "good")}
