"""Finding a run in the cache by its digest."""

import pytest

from llmvc.core import digest
from llmvc.errors import StoreError
from llmvc.evals import runs
from llmvc.evals.providers.base import Answer
from llmvc.evals.runs import RunCache

BUNDLE = digest.of_bytes(b"bundle")


def kept(folder, *outputs):
    with RunCache(folder) as cache:
        ledger = cache.ledger(BUNDLE, {"kind": "fake"})
        return [
            ledger.add(digest.of_bytes(text.encode()), Answer(output=text, time="2026-11-20"))
            for text in outputs
        ]


def test_a_run_is_found_by_its_digest_in_any_ledger(tmp_path):
    one, two = kept(tmp_path, "one", "two")
    assert runs.search(tmp_path, {two.run_id}.__contains__) == {two.run_id: two}
    assert runs.search(tmp_path, lambda _: True) == {one.run_id: one, two.run_id: two}


def test_a_cache_that_is_not_there_holds_nothing(tmp_path):
    assert runs.search(runs.folder(tmp_path), lambda _: True) == {}


def test_a_line_that_is_no_entry_is_passed_over(tmp_path):
    (one,) = kept(tmp_path, "one")
    (ledger,) = tmp_path.glob("*.jsonl")
    ledger.write_bytes(b"\xff\xfe torn\n{}\n\n" + ledger.read_bytes() + b'{"llmvc":"entry/1"')
    assert runs.search(tmp_path, lambda _: True) == {one.run_id: one}


def test_a_run_that_was_changed_is_not_found_under_its_digest(tmp_path):
    one, two = kept(tmp_path, "one", "two")
    (ledger,) = tmp_path.glob("*.jsonl")
    ledger.write_bytes(ledger.read_bytes().replace(b'"output":"one"', b'"output":"ten"'))
    assert runs.search(tmp_path, {one.run_id, two.run_id}.__contains__) == {two.run_id: two}


def test_a_ledger_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"cannot read run cache .*a\.jsonl"):
        runs.search(tmp_path, lambda _: True)
