"""Records about judges: strict to read, the same to write, and filed under what they speak of."""

from dataclasses import replace

import pytest

from llmvc.core import canon, digest
from llmvc.core.anchors import Anchor, AnchorSet, lineage, same_family
from llmvc.core.judging import (
    SUSPECT,
    TRUSTED,
    Calibration,
    Check,
    Evidence,
    Figure,
    Labels,
    Shift,
    Tombstone,
    identities_of,
)
from llmvc.core.version import keys_of, question_key
from llmvc.errors import FormatError

A, B, C, D = (digest.of_bytes(letter) for letter in (b"a", b"b", b"c", b"d"))
TIME, LATER = "2026-11-20T08:30:00.000Z", "2026-12-20T08:30:00Z"

CALIBRATION = Calibration(
    judge=A,
    anchors=B,
    connection=C,
    attempt=1,
    family="gpt-4o",
    protocol="pointwise",
    n=60,
    raters=2,
    figures={"kappa": Figure(0.5, 0.25, 1.0), "alpha": Figure(reason="one rater")},
    families={"gpt-4o": {"leniency": Figure(0.25, reason="few")}},
    reference={"a1": 1.0, "a2": None},
    human={"a1": 0.5},
    admitted=True,
    why=(),
    identities=(("m", None),),
    made=TIME,
    expires=LATER,
    actor="me",
    tool="llmvc 1",
)
CHECK = Check(
    A, CALIBRATION.digest, C, 60, 5, 4, 0.0078125, 0, (), SUSPECT, ("flips",), TIME, LATER
)
LABELS = Labels(A, "helpful", B, C, D, {"c1": (None, 1.0), "c2": (0.0, 0.5)}, 1, TIME, "me")
SHIFT = Shift(A, B, 2, C, 0.5, 0.75, 0.25, None, None, 1, TIME)
TOMBSTONE = Tombstone(A, "too lenient", TIME, "me")
ANCHORS = AnchorSet((
    Anchor("b", "yes", {"ann": "good"}, {"deep": [1, {"x": None}]}, other="no", tags=("t",)),
    Anchor("a", "no", {}, kind="adversarial", family="gpt-4o"),
))  # fmt: skip
RECORDS = (CALIBRATION, CHECK, LABELS, SHIFT, TOMBSTONE, ANCHORS)
EVIDENCE = Evidence("helpful", ("helpful",), labels={"helpful": {"c1": (None, 1.0)}})


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.TYPE)
def test_a_record_reads_back_equal(record):
    read = type(record).from_bytes(record.to_bytes())
    assert read == record
    assert read.digest == digest.of_bytes(record.to_bytes())


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.TYPE)
def test_a_member_too_many_or_too_few_or_of_another_type_is_refused(record):
    body = canon.decode_object(record.to_bytes(), record.TYPE)
    for name in body:
        lacking = {key: value for key, value in body.items() if key != name}
        for wrong in (lacking, {**body, name: {"odd": [True]}}, {**body, f"{name}_": 1}):
            with pytest.raises(FormatError):
                type(record).from_bytes(canon.encode(wrong))


@pytest.mark.parametrize(
    ("record", "wrong", "message"),
    [
        (CALIBRATION, {"n": 1.5}, "calibration/1: n is 1.5"),
        (CALIBRATION, {"n": True}, "calibration/1: n is True"),
        (CALIBRATION, {"admitted": 1}, "admitted is 1"),
        (CALIBRATION, {"made": "yesterday"}, "'yesterday' is not a time"),
        (CALIBRATION, {"expires": "2026-12-20T08:30:00+01:00"}, "is not a time"),
        (CALIBRATION, {"reference": {"a1": 1.5}}, "a score of 1.5"),
        (CALIBRATION, {"protocol": "pairwise"}, "protocol is 'pairwise'"),
        (CALIBRATION, {"judge": "b3:12"}, "not a digest"),
        (CALIBRATION, {"figures": {"kappa": 0.5}}, "figures.kappa is no object"),
        (CHECK, {"state": "GOOD"}, "state is 'GOOD'"),
        (CHECK, {"identities": [["m"]]}, "identities has 1 items and needs 2"),
        (LABELS, {"cases": {"c1": [0.0, -0.5]}}, "a score of -0.5"),
        (LABELS, {"cases": {"c1": [0.0, None]}}, "cases.c1 is None"),
        (ANCHORS, {"anchors": [1]}, "anchors is no object"),
    ],
)
def test_what_no_record_holds_is_refused_by_name(record, wrong, message):
    body = canon.decode_object(record.to_bytes(), record.TYPE)
    with pytest.raises(FormatError, match=message):
        type(record).from_bytes(canon.encode({**body, **wrong}))


def test_another_type_is_refused():
    with pytest.raises(FormatError, match="not a check/1 object"):
        Check.from_bytes(CALIBRATION.to_bytes())


def test_what_a_report_says_of_a_judge_reads_back_and_is_checked():
    assert Evidence.from_dict(EVIDENCE.to_dict()) == EVIDENCE
    assert Evidence.from_dict(canon.decode(canon.encode(EVIDENCE.to_dict()))) == EVIDENCE
    for wrong in ({"state": "FINE"}, {"labels": {"helpful": {"c1": [0, 2]}}}, {"flips": None}):
        with pytest.raises(FormatError):
            Evidence.from_dict({**EVIDENCE.to_dict(), **wrong})
    with pytest.raises(FormatError, match="no object"):
        Evidence.from_dict(None)


@pytest.mark.parametrize(
    ("record", "keys"),
    [
        (CALIBRATION, {A}),
        (CHECK, {A}),
        (TOMBSTONE, {A}),
        (SHIFT, {A, B}),
        (LABELS, {question_key(C, D, B)}),
        (replace(LABELS, baseline=None), {question_key(C, None, B)}),
        (ANCHORS, None),
    ],
    ids=lambda value: getattr(value, "TYPE", ""),
)
def test_a_record_is_filed_under_what_it_speaks_of(record, keys):
    assert keys_of(canon.decode_object(record.to_bytes(), record.TYPE)) == keys


def test_a_record_that_does_not_say_what_it_is_about_is_refused():
    with pytest.raises(FormatError, match="not a digest"):
        keys_of({"llmvc": "check/1", "judge": "helpful"})


def test_anchors_in_any_order_are_one_set():
    turned = AnchorSet(tuple(reversed(ANCHORS.anchors)))
    assert turned == ANCHORS
    assert turned.digest == ANCHORS.digest
    assert ANCHORS.raters == ("ann",)


def test_identities_have_one_order():
    seen = [("m", "2"), (None, None), ("m", None), ("m", "2")]
    assert identities_of(seen) == identities_of(reversed(seen))
    assert len(identities_of(seen)) == 3


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o"),
        ("ft:gpt-4o-mini-2024-07-18:acme::x", "gpt-4o"),
        ("openai/gpt-4-0613", "gpt-4"),
        ("gpt-4-turbo-preview", "gpt-4"),
        ("gpt-3.5-turbo-0301", "gpt-3-5"),
        ("claude-3-5-sonnet-20241022", "claude-3-5"),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", "claude-3-5"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3-1"),
        ("Meta-Llama-3-70B", "llama-3"),
        ("Qwen2.5-7B-Instruct", "qwen-2-5"),
        ("gemini-1.5-pro-latest", "gemini-1-5"),
        ("Mixtral-8x7B", "mixtral"),
        ("SmolLM2-360M-Instruct", "smollm-2"),
        ("o3-mini", "o3"),
        ("", ""),
    ],
)
def test_the_line_of_a_model_is_read_off_its_name(model, line):
    assert lineage(model) == line


@pytest.mark.parametrize(
    ("family", "models", "same"),
    [
        ("gpt-4o", ("gpt-4o-mini-2024-07-18",), True),
        ("gpt", ("claude-3-opus", "gpt-4o"), True),
        ("gpt-4o-2024-08-06", ("gpt-4o",), True),
        ("llama-3", ("meta-llama/Llama-3.1-8B-Instruct",), True),
        ("gpt-4", ("gpt-4o",), False),
        ("gpt-4o", ("claude-3-opus",), False),
        ("gpt-4o", (), False),
        ("gpt-4o", ("",), False),
        ("", ("gpt-4o",), False),
    ],
)
def test_a_family_holds_the_models_of_its_line(family, models, same):
    assert same_family(family, *models) is same


def test_a_trusted_state_is_a_word_of_the_stored_form():
    assert EVIDENCE.to_dict()["state"] != TRUSTED
    assert replace(EVIDENCE, state=TRUSTED).to_dict()["state"] == "TRUSTED"
