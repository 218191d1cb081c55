"""Spellings: what changes, what never does, and what is left alone because something speaks of it."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import template, variants
from llmvc.core.bundle import Bundle
from llmvc.core.request import build
from llmvc.core.variants import NAMES, respell
from llmvc.errors import FormatError


def bundle(*texts, role="user", engine=None, **members):
    messages = [{"role": role, "content": text} for text in texts]
    if engine:
        messages = [{**message, "engine": engine} for message in messages]
    return Bundle.of(
        "app", {"messages": messages, "model": {"provider": "p", "id": "m"}, **members}
    )


def spelt(name, *texts, **members):
    """Returns the texts in a spelling; None where it changes nothing."""
    found = respell(bundle(*texts, **members), name)
    if found is None:
        return None
    texts = [message["content"] for message in found.body["messages"]]
    return texts[0] if len(texts) == 1 else texts


SPELT = {
    "a label before a slot": ("separators", "Ticket: {{t}}", "Ticket - {{t}}"),
    "without a space": ("separators", "Ticket:{{t}}", "Ticket - {{t}}"),
    "above its slot": ("separators", "Text:\n{{t}}", "Text -\n{{t}}"),
    "a cue at the end": ("separators", "{{t}}\nAnswer:", "{{t}}\nAnswer -"),
    "all its places": (
        "separators",
        "Review: good\nMood: glad\n\nReview: {{t}}\nMood:",
        "Review - good\nMood - glad\n\nReview - {{t}}\nMood -",
    ),
    "a line of marks": ("separators", "Sort.\n###\n{{t}}\n###", "Sort.\n===\n{{t}}\n==="),
    "another line of marks": ("separators", "Sort.\n====\n{{t}}", "Sort.\n####\n{{t}}"),
    "the case of a label": ("label-case", "Ticket: {{t}}\nAnswer:", "TICKET: {{t}}\nANSWER:"),
    "capitals": ("label-case", "USER TEXT: {{t}}", "User text: {{t}}"),
    "the value below": ("spacing", "Ticket: {{t}}\nAnswer:", "Ticket:\n{{t}}\nAnswer:"),
    "the value beside": ("spacing", "Ticket:\n{{t}}", "Ticket: {{t}}"),
    "blank lines": ("spacing", "Sort.\n\nBe kind.", "Sort.\n\n\nBe kind."),
    "fields as an object": (
        "field-layout",
        "Sort.\nFrom: {{ who }}\nText: {{t}}\nAnswer:",
        'Sort.\n{"From": "{{ who }}", "Text": "{{t}}"}\nAnswer:',
    ),
    "examples as objects": (
        "field-layout",
        'From: Ada\nText: say "hi"\nFrom: {{who}}\nText: {{t}}',
        '{"From": "Ada", "Text": "say \\"hi\\""}\n{"From": "{{who}}", "Text": "{{t}}"}',
    ),
    "an object as fields": (
        "field-layout",
        'Sort.\n{"From": "{{who}}",\n "Text": {{t}}}\nAnswer.',
        "Sort.\nFrom: {{who}}\nText: {{t}}\nAnswer.",
    ),
}
KEPT = {
    "no label and no blank line": (NAMES, ["Sort: this, please. {{t}}"]),
    "a word that is no label": (NAMES, ["See http://x/{{t}}"]),
    "code": (NAMES, ["```\nTicket: {{t}}\n```", "~~~\n\n\nTicket: {{t}}\n", "`Ticket: {{t}}`"]),
    "lines indented as code": (NAMES, ["x\n\n    Ticket: {{t}}"]),
    "a label that an instruction names": (
        ("separators", "label-case"),
        ["Answer with `Mood:` and a word.\n{{t}}\nMood:"],
    ),
    "a label in quotation marks": (
        ("separators", "label-case", "spacing"),
        ['Read the "Ticket" first.\nTicket: {{t}}'],
    ),
    "a label whose word an instruction uses": (
        ("label-case",),
        ["Read the Ticket first.\nTicket: {{t}}"],
    ),
    "a label spelt in another case elsewhere": (
        ("separators",),
        ["What follows ticket: is data.\nTicket: {{t}}"],
    ),
    "separators that are spoken of": (
        ("separators",),
        ["The text comes after the colon.\nTicket: {{t}}"],
    ),
    "marks that are spoken of": (
        ("separators",),
        ["The text between ### and ###.\n###\n{{t}}\n###"],
    ),
    "data that is said to be YAML": (
        ("separators", "field-layout"),
        ["This is YAML\na: {{a}}\nb: {{b}}"],
    ),
    "case that is spoken of": (("label-case",), ["Answer in upper case.\nTicket: {{t}}"]),
    "spacing that is spoken of": (("spacing",), ["One word a line.\n\nTicket: {{t}}"]),
    "a field alone, which may be an instruction": (("field-layout",), ["Translate this: {{t}}"]),
    "a field with more than a slot": (("field-layout",), ["A: {{a}} and\nB: {{b}}"]),
    "an object that is spoken of": (
        ("field-layout",),
        ['The JSON has a "Text".\n{"Text": "{{t}}"}'],
    ),
    "an object whose member is spoken of": (
        ("field-layout",),
        ['Look at "Text".\n{"Text": "{{t}}"}'],
    ),
    "one letter": (("label-case",), ["Q: {{t}}\nA:"]),
    "characters that stand for what is masked": (NAMES, ["\ue000 Ticket: {{t}}\n\nx"]),
}


@pytest.mark.parametrize(("name", "text", "expected"), SPELT.values(), ids=SPELT)
def test_a_spelling_changes(name, text, expected):
    assert spelt(name, text) == expected


@pytest.mark.parametrize(("names", "texts"), KEPT.values(), ids=KEPT)
def test_a_spelling_leaves(names, texts):
    for name in names:
        for text in texts:
            assert spelt(name, text) is None, name


@pytest.mark.parametrize(
    "members",
    [
        {"few_shot": {"examples": [{"vars": {"t": "x"}, "output": "Ticket: closed"}]}},
        {"decoding": {"stop": ["\nTicket:"]}},
        {"response": {"format": "json_schema", "schema": {"properties": {"Ticket": {}}}}},
        {"tools": [{"name": "file", "description": "Files the Ticket"}]},
        {"post": {"parser": "after Ticket"}},
    ],
    ids=["output", "stop", "schema", "tool", "post"],
)
def test_a_label_that_the_model_writes_or_is_held_to_stays(members):
    assert spelt("label-case", "Ticket: {{t}}", **members) is None
    assert spelt("separators", "Ticket: {{t}}", **members) is None
    assert spelt("label-case", "Text: {{t}}", **members) == "TEXT: {{t}}"


def test_a_label_changes_in_all_messages_or_in_none():
    both = ["Below comes\nTicket: some text", "Ticket: {{t}}"]
    assert spelt("label-case", *both) == ["Below comes\nTICKET: some text", "TICKET: {{t}}"]
    assert spelt("label-case", "The Ticket", "Ticket: {{t}}") is None


def test_what_the_model_said_and_what_tools_gave_stays():
    for role in ("assistant", "tool"):
        assert spelt("separators", "Ticket: {{t}}", role=role) is None
    mixed = bundle("Ticket: {{t}}")
    said = {"role": "assistant", "content": "Ticket: closed"}
    members = {key: mixed.body[key] for key in ("messages", "model")}
    held = Bundle.of("app", {**members, "messages": [*members["messages"], said]})
    assert respell(held, "separators") is None


def test_parts_of_a_message_are_respelled_and_others_kept():
    parts = [{"type": "text", "text": "Ticket: {{t}}"}, {"type": "image", "url": "Ticket: x"}]
    assert spelt("label-case", parts) == [{"type": "text", "text": "TICKET: {{t}}"}, parts[1]]


def test_templates_of_jinja_keep_their_logic():
    text = "{% for t in ts %}\nTicket: {{ t | upper }}\n{% endfor %}\n{# Mood: #}"
    assert spelt("separators", text, engine="jinja2") == text.replace(
        "Ticket: {{", "Ticket - {{", 1
    )
    assert spelt("separators", "Ticket: {{t}}", engine="none") is None


def test_the_order_of_examples_is_turned_round_and_the_chosen_ones_stay():
    examples = [{"vars": {"t": str(at)}, "output": str(at)} for at in range(3)]
    for selector in ({}, {"selector": {"k": 2}}, {"selector": {"k": 2, "order": "reversed"}}):
        before = bundle("{{t}}", few_shot={"examples": examples, **selector})
        after = respell(before, "example-order")
        assert after is not None
        shown = [build(one, {"t": "x"})["messages"] for one in (before, after)]
        pairs = [[turns[at : at + 2] for at in range(0, len(turns) - 1, 2)] for turns in shown]
        assert pairs[0] == pairs[1][::-1]
        assert len(pairs[0]) == selector.get("selector", {}).get("k", 3)
    assert respell(bundle("{{t}}", few_shot={"examples": examples[:1]}), "example-order") is None
    assert respell(bundle("{{t}}"), "example-order") is None


def test_an_unknown_spelling_is_refused():
    with pytest.raises(FormatError, match="unknown variant 'wording'"):
        respell(bundle("x"), "wording")


def test_what_finds_nothing_is_told_and_stands_as_written():
    plain = bundle("Ticket: {{t}}")
    assert variants.unchanged(plain, NAMES) == ("example-order", "field-layout")
    made = variants.spellings(plain, NAMES)
    assert [one.digest == plain.digest for one in made] == [True, False, False, False, True, True]


SLOTS = r"\{\{\s*[a-z]+\s*\}\}"
LINES = st.sampled_from(
    (
        "Ticket: {{t}}",
        "From: {{ who }}",
        "Text:\n{{t}}",
        "",
        "###",
        "Sort it.",
        "Be kind: yes",
        "```\nTicket: {{t}}\n```",
        "`Ticket:`",
        '{"a": "{{t}}"}',
        "    code",
        "Answer:",
        "\\{{ no",
    )
)


@given(st.lists(LINES, min_size=1, max_size=8), st.sampled_from(NAMES))
def test_slots_code_and_words_stay_in_their_order(lines, name):
    """Whatever is respelled: the same variables, the same code, the same words in any case."""
    text = "\n".join(lines)
    found = spelt(name, text) or text
    assert template.names(found) == template.names(text)
    assert re.findall(SLOTS, found) == re.findall(SLOTS, text)
    assert re.findall("```.*?```", found, re.DOTALL) == re.findall("```.*?```", text, re.DOTALL)
    assert re.findall(r"\w+", found.lower()) == re.findall(r"\w+", text.lower())
    # The same spelling of it twice is stable: it is a function of the text alone.
    assert spelt(name, text) == (None if found == text else found)


@given(st.text(max_size=60), st.sampled_from(NAMES))
def test_any_text_without_a_template_is_taken(text, name):
    body = bundle(text, engine="none").body
    found = respell(bundle(text, engine="none"), name) or bundle(text, engine="none")
    assert json.dumps(found.body["model"]) == json.dumps(body["model"])
