"""The shared run cache: segments that nobody changes, and an eval that goes on without it."""

import subprocess
import sys

import pytest

from llmvc.core import digest
from llmvc.errors import ConfigError
from llmvc.evals.providers.base import Answer
from llmvc.evals.runs import RunCache
from llmvc.evals.shared import Shared

BUNDLE = digest.of_bytes(b"bundle")
KEYS = [digest.of_bytes(b"%d" % at) for at in range(4)]
TIME = "2026-11-20T12:00:00.000Z"


def cache(tmp_path, machine, url=None):
    return RunCache(tmp_path / machine, Shared.at(url or str(tmp_path / "shared"), tmp_path))


def work(made, *numbers, output="yes", time=TIME):
    """Finds what is there and makes what is not; returns what was made."""
    done = []
    with made:
        ledger = made.ledger(BUNDLE, {"kind": "fake"})
        ledger.load(frozenset(KEYS))
        for at in numbers:
            if ledger.find(KEYS[at]) is None:
                ledger.add(KEYS[at], Answer(output=output, time=time))
                done.append(at)
    return done


def segments(tmp_path):
    return sorted((tmp_path / "shared").rglob("*.jsonl"))


@pytest.mark.parametrize("kind", ["path", "file", "relative", "memory"])
def test_what_one_machine_paid_for_another_finds(tmp_path, kind):
    urls = {"path": str(tmp_path / "shared"), "file": f"file://{tmp_path}/shared"}
    url = {**urls, "relative": "shared", "memory": f"memory://{tmp_path.name}/runs"}[kind]
    if kind == "memory":
        pytest.importorskip("fsspec")
    assert work(cache(tmp_path, "laptop", url), 0, 1) == [0, 1]
    assert work(cache(tmp_path, "ci", url), 0, 1, 2) == [2]
    assert work(cache(tmp_path, "laptop", url), 0, 1, 2, 3) == [3]
    assert work(cache(tmp_path, "third", url), 0, 1, 2, 3) == []


def test_nothing_is_shared_twice_and_segments_are_named_by_their_bytes(tmp_path):
    for numbers in ((0, 1), (0, 1), (0, 1, 2)):
        work(cache(tmp_path, "laptop"), *numbers)
    found = segments(tmp_path)
    assert len(found) == 2
    assert all(f"b3:{path.stem}" == digest.of_bytes(path.read_bytes()) for path in found)
    assert sum(len(path.read_bytes().splitlines()) for path in found) == 3


MACHINE = """
import sys
from pathlib import Path
from llmvc.core import digest
from llmvc.evals.providers.base import Answer
from llmvc.evals.runs import RunCache
from llmvc.evals.shared import Shared
runs, url, first = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for round in range(5):
    with RunCache(runs, Shared.at(url, runs)) as cache:
        ledger = cache.ledger(digest.of_bytes(b"bundle"), {"kind": "fake"})
        for at in range(first + 20 * round, first + 20 * (round + 1)):
            answer = Answer(output="yes" * 500, time="2026-11-20T12:00:00.000Z")
            ledger.add(digest.of_bytes(b"%d" % at), answer)
"""


@pytest.mark.parametrize("machines", [("laptop", "ci"), ("ci", "ci")])
def test_two_processes_that_share_at_once_lose_no_run(tmp_path, machines):
    url = f"file://{tmp_path}/shared"
    command = [sys.executable, "-c", MACHINE]
    both = [
        subprocess.Popen([*command, str(tmp_path / machine), url, str(first)])
        for machine, first in zip(machines, (0, 100), strict=True)
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    keys = [digest.of_bytes(b"%d" % at) for at in range(200)]
    with cache(tmp_path, "third", url) as made:
        ledger = made.ledger(BUNDLE, {"kind": "fake"})
        ledger.load(frozenset(keys))
        assert all(ledger.find(key) for key in keys)


def test_a_bad_segment_is_passed_over_with_a_word(tmp_path):
    work(cache(tmp_path, "laptop"), 0, 1)
    (segment,) = segments(tmp_path)
    segment.write_bytes(segment.read_bytes().replace(b"yes", b"no!"))
    segment.with_name("notes.txt").write_text("hello")
    shared = Shared.at(str(tmp_path / "shared"), tmp_path)
    assert work(RunCache(tmp_path / "ci", shared), 0) == [0]
    (note,) = shared.notes
    assert (
        f"segment {segment.parent.name[:12]}/{segment.name[:12]} is not what its name says" in note
    )


def test_a_place_that_cannot_be_used_stops_nobody_and_is_written_later(tmp_path):
    (tmp_path / "shared").write_text("a file, no folder")
    shared = Shared.at(str(tmp_path / "shared"), tmp_path)
    assert work(RunCache(tmp_path / "laptop", shared), 0, 1) == [0, 1]
    read, wrote = shared.notes
    shown, folder = f"shared run cache {tmp_path}/shared", f"{tmp_path}/shared/"
    assert read.startswith(f"{shown}: cannot read {folder}")
    assert read.endswith(": Not a directory; calls that others made are made again")
    assert wrote.startswith(f"{shown}: cannot write {folder}")
    assert wrote.endswith(
        ": Not a directory; the runs are kept here: make it writable, and the next eval adds them"
    )
    (tmp_path / "shared").unlink()
    assert work(cache(tmp_path, "laptop"), 0, 1, 2) == [2]
    assert work(cache(tmp_path, "ci"), 0, 1, 2) == []


def test_a_torn_last_line_is_not_shared(tmp_path):
    work(cache(tmp_path, "laptop"), 0)
    (ledger,) = (tmp_path / "laptop").glob("*.jsonl")
    with ledger.open("ab") as file:
        file.write(b'{"llmvc":"entry/1","key"')
    work(cache(tmp_path, "laptop"), 0)
    assert len(segments(tmp_path)) == 1
    work(cache(tmp_path, "laptop"), 0, 1)
    assert work(cache(tmp_path, "ci"), 0, 1) == []


def test_a_run_that_was_changed_before_it_was_shared_is_taken_by_nobody(tmp_path):
    work(RunCache(tmp_path / "laptop"), 0, 1)
    (ledger,) = (tmp_path / "laptop").glob("*.jsonl")
    ledger.write_bytes(ledger.read_bytes().replace(b'"output":"yes"', b'"output":"no!"', 1))
    assert work(cache(tmp_path, "laptop"), 0, 1) == [0]
    ci = cache(tmp_path, "ci")
    assert work(ci, 0, 1) == []
    assert ci.notes() == ("run cache: 1 damaged line passed over; what is missing is called again",)


def test_a_machine_that_lost_its_ledger_gets_back_what_it_shared(tmp_path):
    work(cache(tmp_path, "laptop"), 0, 1)
    (ledger,) = (tmp_path / "laptop").glob("*.jsonl")
    ledger.unlink()
    # What it makes from then on is shared from the first line, though the ledger grows again.
    assert work(cache(tmp_path, "laptop"), 0, 1, 2) == [2]
    assert work(cache(tmp_path, "laptop"), 0, 1, 2, 3) == [3]
    assert work(cache(tmp_path, "ci"), 0, 1, 2, 3) == []


def test_a_segment_that_cannot_be_read_hides_no_other(tmp_path):
    work(cache(tmp_path, "laptop"), 0)
    (first,) = segments(tmp_path)
    work(cache(tmp_path, "laptop"), 0, 1)
    for at, bad in enumerate(segments(tmp_path)):
        shared = Shared.at(str(tmp_path / "shared"), tmp_path)
        whole = bad.read_bytes()
        bad.unlink()
        bad.mkdir()  # as one of another user, which root could read in a test
        made = [0] if bad == first else [1]
        assert work(RunCache(tmp_path / f"ci{at}", shared), 0, 1) == made
        assert f"cannot read {bad}: Is a directory" in shared.notes[0]
        bad.rmdir()
        bad.write_bytes(whole)


def test_of_two_runs_under_one_key_the_newer_counts_wherever_it_was_made(tmp_path):
    work(cache(tmp_path, "laptop"), 0, output="new", time="2026-11-21T12:00:00.000Z")
    alone = RunCache(tmp_path / "ci")
    work(alone, 0, output="old")
    with cache(tmp_path, "ci") as both:
        ledger = both.ledger(BUNDLE, {"kind": "fake"})
        ledger.load(frozenset(KEYS))
        assert ledger.find(KEYS[0]).answer.output == "new"


def test_files_are_readable_by_their_owner_alone(tmp_path):
    work(cache(tmp_path, "laptop"), 0)
    work(cache(tmp_path, "ci"), 0)
    for path in (*segments(tmp_path), *(tmp_path / "ci").rglob("*.jsonl")):
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "url", ["nosuch://bucket/runs", "nosuch://user:secret@host/runs?sig=secret"]
)
def test_a_kind_of_place_that_nobody_knows_is_refused_without_telling_secrets(tmp_path, url):
    pytest.importorskip("fsspec")
    with pytest.raises(ConfigError, match=r"nosuch://(bucket|host)") as caught:
        Shared.at(url, tmp_path)
    assert "secret" not in str(caught.value) + caught.value.hint
