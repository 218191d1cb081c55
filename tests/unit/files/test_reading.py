"""Strict reading of YAML, JSON, JSON lines and text."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import canon
from llmvc.errors import FormatError
from llmvc.files import writing
from llmvc.files.reading import normalize_text, read_json, read_jsonl, read_yaml
from tests.support.strategies import json_values
from tests.unit.files.memory import PLAIN
from tests.unit.files.test_building import FULL


def yaml(text: str | bytes):
    return read_yaml(text.encode() if isinstance(text, str) else text, "f.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-3", -3),
        ("0.7", 0.7),
        ("-0.5", -0.5),
        ("1e-1", 0.1),
        ("1E+2", 100.0),
        ("9007199254740991", 2**53 - 1),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("1.2.3", "1.2.3"),
        ("12px", "12px"),
        ("a: b"[:1], "a"),
        ("none", "none"),
        ("yesterday", "yesterday"),
        ("b3:00", "b3:00"),
        ("http://x", "http://x"),
        ('"no"', "no"),
        ("'012'", "012"),
        ('"\\u2028"', "\u2028"),
        ("|\n  no\n", "no\n"),
        ("a\n  b", "a b"),
    ],
)
def test_a_scalar_means_what_json_and_every_yaml_say(text, value):
    read = yaml(f"a: {text}").value
    assert read == {"a": value}
    assert type(read["a"]) is type(value)


DISPUTED = """
yes Yes YES no No NO on On ON off OFF y Y n N True TRUE False FALSE Null NULL 012 0o14 0x10 0b1 -0x1F +1 1_000 1_0.5
1:30 1:30:15 -1:30.5 1. .5 +.5 1.e3 01e2 .nan .NaN .inf -.inf +.Inf 2024-01-01 2024-1-1
2001-12-14t21:59:43.10-05:00 = <<
""".split()  # noqa: SIM905 (fifty scalars read best as words)


@pytest.mark.parametrize("text", DISPUTED)
def test_a_scalar_that_readers_dispute_must_be_quoted(text):
    with pytest.raises(FormatError, match=r"^f\.yaml:2: ") as caught:
        yaml(f"a: 1\nb: {text}")
    assert "quote it" in caught.value.hint
    assert yaml(f'a: 1\nb: "{text}"').value["b"] == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1", "f.yaml:1: anchors are not allowed"),
        ("a: 1\nb: *x", "f.yaml:2: aliases are not allowed"),
        ("a: !!str 1", "f.yaml:1: tags are not allowed"),
        ("a: ! 1", "f.yaml:1: tags are not allowed"),
        ("a: !!python/object/apply:os.system [id]", "f.yaml:1: tags are not allowed"),
        ("&a a: 1", "f.yaml:1: anchors"),
        ("<<: {a: 1}", "f.yaml:1: merge keys are not allowed"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3: duplicate key 'a'"),
        ("{a: 1, a: 1}", "f.yaml:1: duplicate key 'a'"),
        ("a: 1\n---\nb: 1", "f.yaml:2: a second document"),
        ("%YAML 1.2\n---\na: 1", "f.yaml:1: YAML directives"),
        ("1: a", "f.yaml:1: key 1 is not text"),
        ("true: a", "f.yaml:1: key true is not text"),
        ("on: a", "f.yaml:1: key on is not text"),
        ("~: a", "f.yaml:1: key ~ is not text"),
        (": a", "f.yaml:1: "),
        ("? [a]\n: b", "f.yaml:1: a key must be text"),
        ("a: [1,\nb: 2", "f.yaml:2: not YAML"),
        ("a: 'x", "f.yaml:1: not YAML"),
        ("a:\n\t- b", "f.yaml:2: not YAML"),
        ("a: 1\nb: \x07", "f.yaml:2: not YAML"),
        ("a: 1e400", "f.yaml:1: number 1e400 is too large"),
        ("a: 9007199254740992", "f.yaml:1: number 9007199254740992 is too large"),
        ("a: " + "9" * 5000, "f.yaml:1: "),
        ("a: 1\nb: x\u2028y", "f.yaml:2: holds U+2028"),
        ("a: x\x85y", "f.yaml:1: holds U+0085"),
        ("a: " + "[" * 65 + "]" * 65, "f.yaml:1: nested deeper than 64 levels"),
        ("a: [" + "1," * 100_001 + "]", "f.yaml holds more than 100000 values"),
        ("#" * (1024 * 1024 + 1), "f.yaml is larger than 1024 KiB"),
        (b"\xef\xbb\xbfa: 1", "f.yaml starts with a byte order mark"),
        ("a: 1".encode("utf-16"), "f.yaml is not UTF-8"),
        (b"a: \xff", "f.yaml is not UTF-8 at byte 3"),
        (b"a: \xed\xa0\x80", "f.yaml is not UTF-8"),
        (b"a: x\0", "f.yaml holds a NUL"),
    ],
)
def test_what_is_outside_the_subset_is_refused_with_its_line(text, message):
    with pytest.raises(FormatError) as caught:
        yaml(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500_000,
        "- " * 500_000,
        "a: " + "{" * 1_000_000,
        "? " * 500_000,
        "a: [" + "x, " * 300_000,
        "a: " + "1" * 1_000_000,
        "a: " + "1_" * 500_000 + "x",
        "a: " + "0:" * 500_000 + "x",
        "\n".join(f"k{n}: v" for n in range(60_000)),
        "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n" * 10,
        "a: " + '"' + "\\x41" * 250_000 + '"',
    ],
    ids=range(11),
)
def test_hostile_yaml_is_answered_in_linear_time(text):
    # CPU time with a wide margin: quadratic behaviour at this size would take minutes.
    before = time.process_time()
    with contextlib.suppress(FormatError):
        yaml(text)
    assert time.process_time() - before < 20


def test_y_and_n_are_plain_keys_because_n_is_a_decoding_parameter():
    assert yaml("n: 2\ny: 1").value == {"n": 2, "y": 1}


def test_crlf_and_lf_read_the_same():
    text = 'a: |\n  x\n  y\nb: "c\n  d"\n'
    assert yaml(text.replace("\n", "\r\n")).value == yaml(text).value


def test_every_value_knows_its_line():
    document = yaml("a: 1\nb:\n  - x\n  - c: 2\n    d: |\n      t\ne: {f: 1,\n  g: 2}\n")
    lines = {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1, "c"): 4, ("b", 1, "d"): 5, ("e", "g"): 8}
    assert {path: document.line_of(path) for path in lines} == lines
    assert document.line_of(("b", 1, "unknown")) == 4
    assert document.where(("e",)) == "f.yaml:7"


@given(json_values)
def test_what_is_written_as_yaml_reads_back_as_the_same_value(value):
    assert canon.encode(yaml(writing.document(value)).value) == canon.encode(value)
    assert canon.encode(yaml(writing.flow({"a": value})).value) == canon.encode({"a": value})


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
def test_any_text_survives_being_written_as_yaml(text):
    for value in (text, f"{text}\n{text}\n", {text: [text, {"a": text}]}):
        assert yaml(writing.document(value)).value == value


@given(st.text("01:_-+.eExob~nyo=< ", min_size=1, max_size=8))
def test_a_plain_scalar_is_never_given_a_value_that_a_usual_yaml_reader_disputes(text):
    import yaml as pyyaml

    try:
        ours = yaml(f"a: {text}").value["a"]
        theirs = pyyaml.safe_load(f"a: {text}")["a"]
    except (FormatError, TypeError, pyyaml.YAMLError, ValueError):
        return
    if isinstance(ours, float) and isinstance(theirs, str):
        theirs = float(theirs)  # 1e5: YAML 1.2 and JSON agree, PyYAML alone wants a dot
    assert ours == theirs
    assert type(ours) is type(theirs)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "a": 2}', "f.json:1: not JSON: duplicate key 'a'"),
        (b'{"a": NaN}', "f.json:1: not JSON: NaN is not"),
        (b'{"a": -Infinity}', "f.json:1: not JSON: -Infinity is not"),
        (b'{\n"a": 1,\n}', "f.json:3: not JSON"),
        (b"[1e400]", "f.json:1: "),
        (b"[9007199254740992]", "f.json:1: number"),
        (b'"\\ud800"', "f.json:1: "),
        (b"[" * 100_000, "f.json:1: nested deeper"),
        (b"\xef\xbb\xbf{}", "f.json starts with a byte order mark"),
        ("{}".encode("utf-16"), "f.json is not UTF-8"),
        (b"", "f.json:1: not JSON"),
        (b"9" * 5000, "f.json:1: "),
    ],
)
def test_json_that_is_not_strict_is_refused_with_its_line(data, message):
    with pytest.raises(FormatError) as caught:
        canon.encode(read_json(data, "f.json").value)
    assert str(caught.value).startswith(message)


def test_json_lines_know_their_numbers_and_blank_lines_are_skipped():
    rows = list(read_jsonl(b'{"a": 1}\r\n\n  \n[2]', "f.jsonl"))
    assert [(row.line, row.value) for row in rows] == [(1, {"a": 1}), (4, [2])]
    with pytest.raises(FormatError, match=r"^f\.jsonl:2: not JSON"):
        list(read_jsonl(b"1\n{\n", "f.jsonl"))


def test_text_keeps_everything_but_the_carriage_return_of_a_line_end():
    assert (
        normalize_text("a\r\nb\rc \u00e9 e\u0301\n\n".encode(), "f") == "a\nb\rc \u00e9 e\u0301\n\n"
    )


@pytest.mark.parametrize(
    "text",
    [FULL, PLAIN, *(f"a: {scalar}" for scalar in DISPUTED), "a: [", "- - x\n  - |+\n   y\n\n"],
)
def test_the_parser_without_c_reads_the_same(text, monkeypatch):
    import yaml as pyyaml

    def outcome():
        try:
            document = yaml(text)
        except FormatError:
            return "refused"
        return document.value, document.root

    with_c = outcome()
    monkeypatch.delattr(pyyaml, "CSafeLoader")
    assert outcome() == with_c
