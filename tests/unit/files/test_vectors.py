"""The published vectors hold, and say what their names say."""

import json

import pytest
from blake3 import blake3

from llmvc.core.bundle import Bundle
from llmvc.core.suite import Suite
from tests.vectors import regenerate

VECTORS = {f"{path.parent.name}/{path.stem}": regenerate.read(path) for path in regenerate.paths()}
CANON = regenerate.read(regenerate.HERE / "canon.json")


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_is_what_the_program_computes(name):
    vector = VECTORS[name]
    assert regenerate.expected(name.partition("/")[0], vector) == vector["expect"]
    assert vector["about"]


@pytest.mark.parametrize("name", [name for name in VECTORS if not name.startswith("invalid/")])
def test_a_digest_is_the_blake3_of_exactly_the_canonical_text(name):
    expect = VECTORS[name]["expect"]
    data = expect["canonical"].encode("utf-8")
    assert expect["digest"] == "b3:" + blake3(data).hexdigest()
    read = Suite if name.startswith("suite/") else Bundle
    assert read.from_bytes(data).digest == expect["digest"]


def digests(*names):
    return {VECTORS[f"bundle/{name}"]["expect"]["digest"] for name in names}


def test_vectors_that_say_they_are_equal_are_equal_and_all_others_differ():
    same = digests("smallest", "key-order-comments-and-style", "crlf", "inline-text")
    assert len(same) == 1
    bundles = [name for name in VECTORS if name.startswith("bundle/")]
    assert len({VECTORS[name]["expect"]["digest"] for name in bundles}) == len(bundles) - 3
    one, other = (
        VECTORS[f"suite/{name}"]["expect"]["digest"] for name in ("inline-cases", "cases-in-a-file")
    )
    assert one == other


def test_section_digests_follow_the_published_rule():
    for name, vector in VECTORS.items():
        if name.startswith("bundle/"):
            body = json.loads(vector["expect"]["canonical"])
            sections = vector["expect"]["sections"]
            if "model" in body:
                text = json.dumps(
                    {"llmvc": "section/1", "model": {"model": body["model"]}},
                    sort_keys=True,
                    separators=(",", ":"),
                )
                assert sections["model"] == "b3:" + blake3(text.encode()).hexdigest()


@pytest.mark.parametrize("row", CANON["json"], ids=lambda row: ascii(row["text"]))
def test_a_json_text_has_its_canonical_form_or_is_refused(row):
    assert {"text": row["text"], **regenerate.canonical(row["text"])} == row


def test_a_double_has_its_canonical_form_or_is_refused():
    assert [[bits, regenerate.number(bits)] for bits, _ in CANON["numbers"]] == CANON["numbers"]


def test_the_numbers_of_rfc_8785_appendix_b_are_as_printed_there():
    printed = {
        "8000000000000000": "0",
        "0000000000000001": "5e-324",
        "8000000000000001": "-5e-324",
        "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
        "3eb0c6f7a0b5ed8d": "0.000001",
        "41b3de4355555553": "333333333.3333332",
        "41b3de4355555554": "333333333.33333325",
        "41b3de4355555556": "333333333.3333334",
        "41b3de4355555557": "333333333.33333343",
        "becbf647612f3696": "-0.0000033333333333333333",
        "43143ff3c1cb0959": "1424953923781206.2",
        "7fffffffffffffff": None,
        "7ff0000000000000": None,
    }
    assert printed.items() <= dict(CANON["numbers"]).items()
