"""The record of a migration: read strictly, and about one pair of bundles and one report."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import version
from llmvc.core.migration import Migration, newest
from llmvc.errors import FormatError
from tests.support.migrations import RECORD, named


def test_a_record_is_read_as_it_was_written_with_from_and_to() -> None:
    body = json.loads(RECORD.to_bytes())
    assert (body["from"], body["models"]["from"]) == (named("old"), "openai/gpt-4o")
    assert body["parameters"][0] == {
        "name": "decoding.seed", "from": 7, "to": None, "decision": "dropped", "why": "no place",
    }  # fmt: skip
    assert Migration.from_bytes(RECORD.to_bytes()) == RECORD


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "a member too many": lambda body: body.update(more=1),
    "a member too few": lambda body: body.pop("from"),
    "another decision": lambda body: body["parameters"][0].update(decision="lost"),
    "another level": lambda body: body["findings"][0].update(level="error"),
    "a digest that is none": lambda body: body.update(to="new"),
    "another type": lambda body: body.update(llmvc="report/1"),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG)
def test_a_record_that_is_not_one_is_refused(spoil: Callable[[dict[str, Any]], object]) -> None:
    body = json.loads(RECORD.to_bytes())
    spoil(body)
    with pytest.raises(FormatError):
        Migration.from_bytes(json.dumps(body).encode())


@given(st.sampled_from(["from_", "to", "report"]))
def test_a_record_is_about_its_own_bundles_and_report_alone(member: str) -> None:
    assert RECORD.about(named("old"), named("new"), named("report"))
    other = replace(RECORD, **{member: named("another")})
    assert not other.about(named("old"), named("new"), named("report"))


def test_a_record_is_filed_under_its_candidate_and_its_report() -> None:
    assert version.keys_of(json.loads(RECORD.to_bytes())) == {RECORD.to, RECORD.report}


def test_the_newest_of_several_records_counts() -> None:
    later = replace(RECORD, made="2026-11-21T12:00:00Z")
    assert newest([later, RECORD]) == newest([RECORD, later]) == later
    assert newest([]) is None
