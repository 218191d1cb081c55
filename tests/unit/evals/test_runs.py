"""The run cache: what is kept, what is found again, and what harm it survives."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import canon, digest
from llmvc.errors import StoreError
from llmvc.evals import runs
from llmvc.evals.providers.base import Answer
from llmvc.evals.runs import RunCache

REQUEST, CASE, BUNDLE = (digest.of_bytes(name) for name in (b"request", b"case", b"bundle"))
CONNECTION = {"kind": "fake"}
TIME = "2026-11-20T12:00:00.000Z"


def keys(count=3):
    return runs.keys(REQUEST, CASE, CONNECTION, count)


def ledger(folder: Path, *, load=True):
    found = RunCache(folder).ledger(BUNDLE, CONNECTION)
    if load:
        found.load(frozenset(keys()))
    return found


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("run", [0, 1, 9, 10, 123])
def test_a_key_is_the_digest_of_its_canonical_parts(run):
    parts = {
        "llmvc": "run/1",
        "request": REQUEST,
        "case": CASE,
        "connection": CONNECTION,
        "run": run,
    }
    assert runs.keys(REQUEST, CASE, CONNECTION, run + 1)[run] == digest.of_value(parts)


def test_runs_are_found_again_with_all_they_hold(tmp_path):
    answer = Answer(
        output="ü\n",
        input_tokens=3,
        latency_s=0.25,
        cost_usd=0.5,
        model="m",
        tool_calls=({"name": "f"},),
        steps=("a",),
        calls=({"model": "x"},),
        cache_write_tokens=2,
        ttft_s=0.125,
        logprobs=({"token": "ü", "logprob": -0.5},),
        choices=("b",),
        notes=("odd",),
        time=TIME,
    )
    first = ledger(tmp_path)
    entry = first.add(keys()[0], answer)
    first.close()
    again = ledger(tmp_path)
    assert again.find(keys()[0]) == entry
    assert again.find(keys()[1]) is None
    line = only_file(tmp_path).read_bytes()
    told = json.loads(line)
    assert told["digest"] == digest.of_value(told["entry"]) == entry.run_id
    assert canon.encode(told) == line[:-1]


OLDER = (
    b'{"cached_tokens":null,"calls":[],"cost_usd":null,"error":null,"fingerprint":null,'
    b'"finish_reason":"stop","input_tokens":3,"key":"%b","latency_s":0.25,"llmvc":"entry/1",'
    b'"model":"m","output":"a","output_tokens":1,"reasoning_tokens":null,"steps":[],'
    b'"time":"2026-11-20T12:00:00.000Z","tool_calls":[]}'
)


def test_an_entry_written_before_a_member_was_known_is_still_read():
    line = OLDER % keys()[0].encode()
    entry = runs.decode(line)
    assert entry.run_id == digest.of_bytes(line)
    assert entry.answer == Answer(
        output="a",
        finish_reason="stop",
        input_tokens=3,
        output_tokens=1,
        latency_s=0.25,
        model="m",
        time=TIME,
    )


def test_a_failure_has_a_digest_but_is_not_kept(tmp_path):
    first = ledger(tmp_path)
    crashed = Answer(error="crashed", fault="application", time=TIME)
    entry = first.add(keys()[0], crashed)
    assert entry.run_id == digest.of_bytes(runs.encode(keys()[0], crashed))
    assert first.find(keys()[0]) is None
    assert list(tmp_path.iterdir()) == []


def test_the_newest_entry_of_a_key_counts_and_the_same_one_is_not_written_twice(tmp_path):
    first = ledger(tmp_path)
    for output in ("one", "two", "two"):
        first.add(keys()[0], Answer(output=output, time=TIME))
    assert ledger(tmp_path).find(keys()[0]).answer.output == "two"
    assert only_file(tmp_path).read_bytes().count(b"\n") == 2


def test_files_are_private(tmp_path):
    folder = tmp_path / "deep" / "runs"
    first = ledger(folder)
    first.add(keys()[0], Answer(output="secret", time=TIME))
    assert stat.S_IMODE(only_file(folder).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("cut", [1, 5, 60, 120])
def test_a_torn_line_is_passed_over_and_does_not_spoil_the_next(tmp_path, cut):
    first = ledger(tmp_path)
    first.add(keys()[0], Answer(output="whole", time=TIME))
    first.add(keys()[1], Answer(output="torn", time=TIME))
    first.close()
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    second = ledger(tmp_path)
    assert second.find(keys()[0]).answer.output == "whole"
    second.add(keys()[2], Answer(output="after", time=TIME))
    third = ledger(tmp_path)
    assert third.find(keys()[2]).answer.output == "after"
    assert (third.find(keys()[1]) is not None) == (cut == 1)
    assert third.damaged == (cut > 1)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"llmvc":"entry/2"}',
        b'{"llmvc":"entry/1"}',
        b"[" * 9999,
    ],
)
def test_a_line_that_is_not_an_entry_is_passed_over(tmp_path, line):
    first = ledger(tmp_path)
    first.add(keys()[0], Answer(output="a", time=TIME))
    first.close()
    path = only_file(tmp_path)
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert ledger(tmp_path).find(keys()[0]).answer.output == "a"
    assert runs.decode(line) is None
    assert runs.read(line) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"output":"1"', b'"output":"91"'),
        (b'"output":"1"', b'"output": "1"'),
        (b'"cost_usd":0.5', b'"cost_usd":0.4'),
        (b'"time":"2026', b'"time":"2027'),
        (b'{"digest":"b3:', b'{"digest":"b4:'),
        (b'{"digest":"b3:', b'{"digest":"b3:0'),
        (b'"notes":[],', b""),
        (b"}}", b"}} "),
        (b"}}", b'},"more":1}'),
    ],
)
def test_a_line_that_was_changed_is_passed_over_and_told_of(tmp_path, old, new):
    first = ledger(tmp_path)
    for key in keys(2):
        first.add(key, Answer(output="1", cost_usd=0.5, time=TIME))
    first.close()
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with RunCache(tmp_path) as cache:
        found = cache.ledger(BUNDLE, CONNECTION)
        for wanted in (frozenset(keys(1)), frozenset(keys(2))):
            found.load(wanted)
        assert found.find(keys()[0]) is None
        assert found.find(keys()[1]).answer.output == "1"
    assert cache.notes() == (
        "run cache: 1 damaged line passed over; what is missing is called again",
    )


def test_an_entry_without_its_digest_beside_it_is_no_line(tmp_path):
    data = runs.encode(keys()[0], Answer(output="1", time=TIME))
    assert runs.decode(data) is not None
    assert runs.read(data) is None


def test_a_cache_that_is_whole_has_nothing_to_tell(tmp_path):
    for _ in range(2):
        with RunCache(tmp_path) as cache:
            found = cache.ledger(BUNDLE, CONNECTION)
            found.load(frozenset(keys()))
            found.add(keys()[0], Answer(output="1", time=TIME))
        assert cache.notes() == ()


TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]))
COUNTS = st.none() | st.integers(0, 2**50)
LISTS = st.lists(st.dictionaries(st.text("ab"), st.integers(0, 9)), max_size=2).map(tuple)


@given(
    st.builds(
        Answer,
        output=st.text(st.characters(exclude_categories=["Cs"])),
        finish_reason=TEXTS,
        input_tokens=COUNTS,
        output_tokens=COUNTS,
        cached_tokens=COUNTS,
        latency_s=st.none() | st.floats(0, 1e6),
        cost_usd=st.none() | st.floats(0, 1e3),
        model=TEXTS,
        tool_calls=LISTS,
        steps=LISTS,
        time=st.just(TIME),
    )
)
def test_an_entry_is_written_in_canonical_form_and_read_back_equal(answer):
    line = runs.encode(keys()[0], answer)
    assert canon.encode(canon.decode(line)) == line
    entry = runs.Entry(keys()[0], digest.of_bytes(line), answer)
    assert runs.decode(line) == runs.read(runs.line_of(entry.run_id, line)) == entry


WHOLE = runs.encode(keys()[0], Answer(output="ü 1", cost_usd=0.5, time=TIME))
LINE = runs.line_of(digest.of_bytes(WHOLE), WHOLE)


@given(st.integers(0, len(LINE) - 1), st.integers(1, 255))
def test_no_changed_byte_of_a_line_goes_unseen(at, by):
    changed = bytearray(LINE)
    changed[at] ^= by
    assert runs.read(LINE) is not None
    assert runs.read(bytes(changed)) is None


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_reading_fail(line):
    assert runs.decode(line) is None
    assert runs.read(line) is None


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write run cache .*Not a directory"):
        ledger(tmp_path / "file" / "runs", load=False).add(keys()[0], Answer(output="x", time=TIME))


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    first = ledger(tmp_path)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreError, match="No space left") as caught:
        first.add(keys()[0], Answer(output="x", time=TIME))
    assert "kept" in caught.value.hint


WRITER = """
import sys
from pathlib import Path
from llmvc.core import digest
from llmvc.evals import runs
from llmvc.evals.providers.base import Answer
me = sys.argv[2]
keys = runs.keys(digest.of_bytes(b"request"), digest.of_bytes(b"case"), {"kind": "fake"}, 300)
ledger = runs.RunCache(Path(sys.argv[1])).ledger(digest.of_bytes(b"bundle"), {"kind": "fake"})
for key in keys:
    ledger.add(key, Answer(output=me * 3000, time="2026-11-20T12:00:00.000Z"))
"""


def test_two_processes_may_write_one_ledger_at_once(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    both = [subprocess.Popen([*command, name]) for name in ("a", "b")]
    assert [process.wait(60) for process in both] == [0, 0]
    lines = only_file(tmp_path).read_bytes().splitlines()
    assert len(lines) == 600
    assert {runs.read(line).answer.output[0] for line in lines} == {"a", "b"}
