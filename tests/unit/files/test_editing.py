"""Edits in place: the wanted value is reached, and what was not meant stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import canon
from llmvc.errors import FormatError
from llmvc.files import writing
from llmvc.files.editing import canonical_yaml, edit_model, patch
from llmvc.files.reading import read_yaml
from tests.support.strategies import json_values
from tests.unit.files.memory import PLAIN, bundle_of

COMMENTED = """\
# what we ship
llmvc: 1   # format
name: support

messages:   # two of them
  # the prompt
  - role: system   # first
    file: system.md
  - role: user
    content: "{{ticket}}"

# measured in November
model:
  # who answers
  provider: openai   # our contract
  id: gpt-4o-2024-08-06   # dated
  snapshot: gpt-4o-2024-08-06
  api: chat   # not responses

# the end
decoding: {temperature: 0.7}   # flow
"""


def edited(text, provider="local", model_id="smollm2-135m"):
    return edit_model(text.encode(), "b.yaml", provider=provider, model_id=model_id).decode()


def test_another_model_changes_two_lines_and_drops_the_snapshot():
    wanted = (
        COMMENTED.replace("provider: openai ", "provider: local ")
        .replace("id: gpt-4o-2024-08-06 ", "id: smollm2-135m ")
        .replace("  snapshot: gpt-4o-2024-08-06\n", "")
    )
    assert edited(COMMENTED) == wanted


def test_the_same_model_changes_nothing():
    assert edited(COMMENTED, "openai", "gpt-4o-2024-08-06") == COMMENTED


TUNED = """\
model: {provider: local, id: m}   # ours
decoding:   # calm
  seed: 7   # drawn once
  temperature: 0   # always
name: support   # the end
"""
DECIDED = {
    "dropped": ({"decoding.seed": None}, ("  seed: 7   # drawn once\n", "")),
    "set": ({"decoding.seed": 8}, ("seed: 7 ", "seed: 8 ")),
    "new": ({"decoding.n": 2}, ("# always\n", "# always\n  n: 2\n")),
    "new with its section": (
        {"decoding.reasoning.effort": "low"}, ("# always\n", "# always\n  reasoning:\n    effort: low\n"),
    ),
    "the last of its section": (
        {"decoding.seed": None, "decoding.temperature": None},
        (TUNED[TUNED.index("decoding:"):TUNED.index("name:")], ""),
    ),
    "of the model": ({"model.api": "chat"}, ("id: m}", 'id: m, api: "chat"}')),
    "not there": ({"decoding.top_p": None, "context.window": None}, ("", "")),
}  # fmt: skip


@pytest.mark.parametrize("case", DECIDED.values(), ids=DECIDED)
def test_a_decision_changes_its_own_lines_alone(case):
    changes, (old, new) = case
    made = edit_model(TUNED.encode(), "b", provider="local", model_id="m", changes=changes)
    assert made.decode() == TUNED.replace(old, new, 1)


def test_line_ends_stay_as_they_are():
    crlf = COMMENTED.replace("\n", "\r\n")
    assert edited(crlf) == edited(COMMENTED).replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("model: {provider: openai, id: a}", "model: {provider: local, id: smollm2-135m}"),
        ("model: {provider: openai, id: a, snapshot: b}", "model: {provider: local, id: smollm2-135m}"),
        ("model: {snapshot: b, provider: openai, id: a}", "model: {provider: local, id: smollm2-135m}"),
        ("model: { expect: {x: z}, provider: openai, id: a } # c", "model: { provider: local, id: smollm2-135m } # c"),
        ('model:\n    id: "a"   # x\n    provider: \'openai\'', "model:\n    id: smollm2-135m   # x\n    provider: local"),
        ("model:\n  provider: openai\n  id: a\n  expect:\n    # why\n    fp: x\n\n  # kept\n  api: chat", "model:\n  provider: local\n  id: smollm2-135m\n\n  # kept\n  api: chat"),
        ("model:\n  snapshot: >-\n    a\n    b\n  provider: openai\n  id: a", "model:\n  provider: local\n  id: smollm2-135m"),
        ('"model":\n  provider: openai\n  id: |-\n    a', '"model":\n  provider: local\n  id: smollm2-135m'),
    ],
)  # fmt: skip
def test_every_way_to_write_a_model_is_edited_in_place(model, wanted):
    head, tail = "# top\nllmvc: 1\n", "\n# tail\ndecoding:\n  temperature: 1 # warm\n"
    assert edited(head + model + tail) == head + wanted + tail


def test_a_model_id_that_needs_quotes_gets_them():
    assert 'id: "1:30"' in edited(COMMENTED, model_id="1:30")
    assert 'id: "a b: #c"' in edited(COMMENTED, model_id="a b: #c")


@pytest.mark.parametrize("text", ["llmvc: 1\n", "model: x\n", "[]", ""])
def test_a_manifest_without_a_model_cannot_be_migrated(text):
    with pytest.raises(FormatError, match=r"^b\.yaml: there is no model to change"):
        edited(text)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20))
def test_an_edited_manifest_differs_in_the_model_alone(model_id):
    before = bundle_of(COMMENTED)
    after = bundle_of(edit_model(COMMENTED.encode(), "b", provider="local", model_id=model_id))
    changed = {
        n
        for n, d in before.bundle.section_digests().items()
        if d != after.bundle.section_digests()[n]
    }
    assert changed == {"model"}
    assert after.bundle.body["model"] == {"provider": "local", "id": model_id, "api": "chat"}
    assert after.name == before.name


@given(json_values, json_values, st.booleans())
def test_a_patched_document_says_what_was_wanted(old, new, in_flow):
    text = writing.flow({"a": old}) if in_flow else writing.document({"a": old, "z": 1})
    document = read_yaml(text.encode(), "x")
    wanted = {"a": new, "z": 1}
    assert canon.encode(read_yaml(patch(document, wanted).encode(), "x").value) == canon.encode(
        wanted
    )


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("a: 1 # c\nb: 2\n", {"a": "x", "b": 2}, "a: x # c\nb: 2\n"),
        ("a: # c\nb: 2 # d\n", {"a": None, "b": [1]}, "a: # c\nb:\n  - 1\n"),
        ("a: |\n  x\n  y\n# c\nb: 2\n", {"a": "p\nq\n", "b": 2}, "a: |\n  p\n  q\n# c\nb: 2\n"),
        ("a: x # c\n# d\nb: 2\n", {"a": {"k": [1, "v"]}, "b": 2}, "a:\n  k:\n    - 1\n    - v\n# d\nb: 2\n"),
        ("a:\n  - 1 # c\n  - 2\nb: 2\n", {"a": [1, 3], "b": 2}, "a:\n  - 1 # c\n  - 3\nb: 2\n"),
        ("a:\n  - 1 # x\n  - 2\n# c\nb: 2\n", {"a": [1], "b": 2}, "a:\n  - 1 # x\n# c\nb: 2\n"),
        ("a:\n  - 1 # x\n# c\nb: 2\n", {"a": [1, {"k": "v"}, "w"], "b": 2}, "a:\n  - 1 # x\n  - k: v\n  - w\n# c\nb: 2\n"),
        ("a:\n  - 1 # x", {"a": [3, 2]}, "a:\n  - 3 # x\n  - 2\n"),
        ("a: [1, 2] # x\n", {"a": [1, 2, "c"]}, 'a: [1, 2, "c"] # x\n'),
        ("a:\n- x: 1\n  y: 2 # c\n- z: 3\n", {"a": [{"x": 1, "y": 4}, {"z": 5}]}, "a:\n- x: 1\n  y: 4 # c\n- z: 5\n"),
        ("a:\n  b: 1 # c\n# d\nz: 0\n", {"a": {"b": 1, "n": "x"}, "z": 0}, "a:\n  b: 1 # c\n  n: x\n# d\nz: 0\n"),
        ("a: {b: [1, 2]} # c\n", {"a": {"b": [1], "d": {}}}, "a: {b: [1], d: {}} # c\n"),
        ("a: 1", {"a": 1, "b": 2}, "a: 1\nb: 2\n"),
        ("a: [] # c\nb: {}\n", {"a": [1], "b": {"x": 1}}, "a: [1] # c\nb: {x: 1}\n"),
        ("- x: 1\n  y: 2\n", [{"y": 2}], "- y: 2\n"),
        ("x: 1\ny: 2 # c\n", {"y": 2}, "y: 2 # c\n"),
        ("a: 1 # c\nb:\n  - k:\n      # e\n      - 1\n", {"a": 1, "b": [{"k": [2]}]}, "a: 1 # c\nb:\n  - k:\n      # e\n      - 2\n"),
    ],
)  # fmt: skip
def test_an_edit_leaves_the_lines_around_it_alone(old, new, wanted):
    assert patch(read_yaml(old.encode(), "x"), new) == wanted


def test_the_diff_driver_shows_one_order_and_no_comments():
    shown = canonical_yaml(COMMENTED.encode(), "b")
    assert shown == canonical_yaml(
        writing.flow(read_yaml(COMMENTED.encode(), "b").value).encode(), "b"
    )
    assert "#" not in shown
    assert shown.startswith(
        "llmvc: 1\nname: support\nmessages:\n  - role: system\n    file: system.md\n"
    )
    assert bundle_of(shown).bundle == bundle_of(COMMENTED).bundle


@pytest.mark.parametrize(
    "data",
    [
        b"a: &x 1",
        b"\xff\xfe",
        b"",
        b"<<<<<<< ours\na: 1\n=======\na: 2\n>>>>>>> theirs\n",
        b"- 1",
        b"x",
    ],
)
def test_the_diff_driver_shows_what_it_cannot_read_as_it_is(data):
    assert canonical_yaml(data, "b") == data.decode("utf-8", "replace")


@given(st.binary(max_size=40))
def test_the_diff_driver_never_fails(data):
    assert isinstance(canonical_yaml(data, "b"), str)


def test_the_smallest_manifest_is_in_canonical_order_already():
    assert canonical_yaml(PLAIN.encode(), "b") == PLAIN
