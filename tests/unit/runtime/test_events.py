"""Event logs as services write them: whole lines, hashed units, and never an exception."""

import errno
import json
import multiprocessing
import os

import pytest

from llmvc import runtime
from llmvc.errors import UsageError
from llmvc.runtime import appending, events
from llmvc.runtime.events import EVERY_S, Log
from tests.support.cli import validator
from tests.support.snapshots import simple
from tests.support.traffic import KEY, Traffic


def read(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def traffic(tmp_path):
    return Traffic(tmp_path / "logs" / "events.jsonl")


def test_every_kind_of_event_follows_the_published_schema(traffic):
    log, of = traffic.log(), traffic.assignment("ada@example.org")
    told = log.assign(of)
    with log.call(of, provider="openai", model="gpt-5") as call:
        call.usage(input_tokens=10, output_tokens=2, cached_tokens=4)
        call.answered(model="gpt-5-1", finish_reasons=("stop",), refused=False)
        call.first_chunk()
        call.cost(0.001, "b3:" + "e" * 64)
        call.context(used_tokens=10, limit_tokens=100, truncated=False)
    log.feedback(of, negative=True, name="thumbs", score=-1.0)
    log.feedback(told, negative=False)
    log.feedback(told)
    log.heartbeat({"support/prod": 3})
    found = read(traffic.path)
    assert [one["event"] for one in found] == ["assign", "call", *["feedback"] * 3, "heartbeat"]
    for one in found:
        validator("urn:llmvc:schema:event:1").validate(one)
    assert found[1]["gen_ai.usage.cache_read.input_tokens"] == 4
    assert found[5]["llmvc.counts"] == {
        "0123456789abcdef:1:" + found[0]["llmvc.bundle.digest"][3:15]: [1, 1]
    }


def test_the_id_of_a_unit_and_the_texts_never_enter_the_file(traffic):
    log, of = traffic.log(), traffic.assignment("ada@example.org")
    log.assign(of)
    with log.call(of) as call:
        call.text(prompt="my secret", output="another")
    data = traffic.path.read_bytes()
    assert b"ada" not in data
    assert b"secret" not in data
    assert log.unit_hash("x") != Log(traffic.path, key=b"z" * 16).unit_hash("x")


def test_texts_are_written_where_they_were_asked_for(tmp_path):
    traffic = Traffic(tmp_path / "e.jsonl")
    log = Log(traffic.path, key=KEY, text=True)
    with log.call(traffic.assignment("u")) as call:
        call.text(prompt="hello", output="hi")
    assert read(traffic.path)[0]["llmvc.text.output"] == "hi"


def test_events_of_one_assignment_join_by_its_id_in_every_process(traffic):
    of = traffic.assignment("u")
    told = traffic.log("w1").assign(of)
    with traffic.log("w2").call(of):
        pass
    traffic.log("w3").feedback(told, negative=True)
    assert {one["llmvc.assignment.id"] for one in read(traffic.path)} == {told}


def test_an_exception_of_the_service_is_an_error_and_goes_on(traffic):
    with pytest.raises(KeyError), traffic.log().call(traffic.assignment("u")):
        raise KeyError("x")
    assert read(traffic.path)[0]["error.type"] == "KeyError"


def test_a_call_is_written_once(traffic):
    call = traffic.log().call(traffic.assignment("u"))
    with call:
        call.end()
    call.end()
    assert len(read(traffic.path)) == 1


@pytest.mark.parametrize(
    "act",
    [
        lambda log, of: log.assign(None),
        lambda log, of: log.feedback("no id", negative=True),
        lambda log, of: log.feedback(None),
        lambda log, of: log.feedback(of, score=float("nan")),
        lambda log, of: log.heartbeat({"support/prod": object()}),
    ],
)
def test_what_cannot_be_written_is_dropped_and_counted(traffic, act):
    log = traffic.log()
    act(log, traffic.assignment("u"))
    assert log.dropped == 1
    log.heartbeat({})
    assert read(traffic.path)[-1]["llmvc.dropped"] == 1


def test_a_call_that_cannot_be_written_was_attempted_so_that_its_loss_shows(traffic):
    log, of = traffic.log(), traffic.assignment("u")
    log.assign(of)
    with log.call(of) as call:
        call.cost(float("nan"))
    log.heartbeat({})
    (counts,) = read(traffic.path)[-1]["llmvc.counts"].values()
    assert (counts, log.dropped) == ([1, 1], 1)


def test_a_full_disk_drops_and_counts_and_the_next_event_is_whole(traffic, monkeypatch):
    log, of, write = traffic.log(), traffic.assignment("u"), os.write
    left = [None, 40, 0, None]

    def full(fd, data):
        part = left.pop(0)
        if part == 0:
            raise OSError(errno.ENOSPC, "no space left on device")
        return write(fd, data if part is None else data[:part])

    monkeypatch.setattr(appending.os, "write", full)
    for _ in range(4):
        assert log.assign(of)
    assert log.dropped == 2
    lines = traffic.path.read_text("utf-8").splitlines()
    assert [json.loads(line)["event"] for line in (lines[0], lines[2])] == ["assign", "assign"]
    assert len(lines[1]) == 40


def test_a_folder_that_cannot_be_made_disturbs_nobody(tmp_path):
    (tmp_path / "file").write_text("x")
    log = Log(tmp_path / "file" / "events.jsonl", key=KEY)
    log.assign(Traffic(tmp_path / "e").assignment("u"))
    assert log.dropped == 1


def test_a_short_key_is_refused():
    with pytest.raises(UsageError, match="3 bytes"):
        Log("events.jsonl", key=b"abc")


def _writes(path, number):
    traffic = Traffic(path)
    log = Log(path, key=KEY, process=f"w{number}", most_bytes=20_000)
    for unit in range(150):
        log.assign(traffic.assignment(f"{number}-{unit}"))
    log.heartbeat({})


@pytest.mark.race
def test_many_processes_share_a_file_that_is_rotated_and_no_line_is_lost(tmp_path):
    path = tmp_path / "events.jsonl"
    spawn = multiprocessing.get_context("fork")
    children = [spawn.Process(target=_writes, args=(path, number)) for number in range(6)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    files = list(tmp_path.iterdir())
    found = [one for file in files for one in read(file)]
    assert len(files) > 3
    assert sum(one["event"] == "assign" for one in found) == 6 * 150
    assert len({one.get("llmvc.unit_hash") for one in found}) == 6 * 150 + 1
    beats = [one for one in found if one["event"] == "heartbeat"]
    assert sum(sum(n[0] for n in one["llmvc.counts"].values()) for one in beats) == 6 * 150


def test_a_forked_child_is_a_process_of_its_own(traffic):
    log, of = traffic.log(), traffic.assignment("u")
    log.assign(of)
    child = multiprocessing.get_context("fork").Process(target=log.assign, args=(of,))
    child.start()
    child.join(30)
    assert len({one["llmvc.process"] for one in read(traffic.path)}) == 2


def test_a_forked_child_is_one_before_any_of_its_threads_writes(traffic):
    log = traffic.log()
    before = log.process
    child = os.fork()
    if not child:
        os._exit(log.process == before)
    assert os.waitpid(child, 0)[1] == 0


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path):
    path = tmp_path / "e.jsonl"
    log = Log(path, key=KEY, most_bytes=64)
    of = Traffic(path).assignment("u")
    log.assign(of)
    path.unlink()
    log.assign(of)
    log.close()
    log.assign(of)
    assert len(read(path)) == 2
    assert log.dropped == 0


def test_a_client_writes_heartbeats_by_itself_and_not_in_resolve(tmp_path):
    world, _, new = simple()
    now, path = [1000.0], tmp_path / "events.jsonl"
    log = Log(path, key=KEY, clock=lambda: now[0])
    with runtime.open(world.write(tmp_path / "serve"), every_s=3600, log=log) as client:
        client.resolve("support", unit="u")
        now[0] += EVERY_S
        client.resolve("support", unit="u")
        assert [one["event"] for one in read(path)] == ["heartbeat", "assign", "assign"]
        client.refresh()
        client.refresh()
        world.release("support", "prod", new)
        world.write(tmp_path / "serve")
        client.refresh()
    beats = read(path)[3:]
    assert [one["llmvc.release.seqs"] for one in beats] == [{"support/prod": n} for n in (1, 2, 2)]
    assert [list(one["llmvc.counts"].values()) for one in beats] == [[[2, 0]]] * 3
    for one in beats:
        validator("urn:llmvc:schema:event:1").validate(one)


def test_a_clock_that_was_set_back_silences_no_process(traffic):
    log = traffic.log()
    for step in (0, 1, EVERY_S, -10 * EVERY_S):
        traffic.now += step
        log.beat({"support/prod": (3, "b3:" + "a" * 64)}, 0.5)
    assert [one["llmvc.stale_s"] for one in read(traffic.path)] == [0.5] * 3


def test_counts_of_releases_that_are_long_gone_are_forgotten(traffic):
    log = traffic.log()
    for traffic.seq in range(200):
        log.assign(traffic.assignment("u"))
    log.heartbeat({})
    counts = read(traffic.path)[-1]["llmvc.counts"]
    assert [key.split(":")[1] for key in counts] == [str(seq) for seq in range(136, 200)]


@pytest.mark.parametrize(
    "told",
    [
        "",
        "a1:support:prod:1:canary:cccccccccccc:-",
        "a1:support:prod:one:canary:cccccccccccc:-:-",
        "a1:support:prod:01:canary:cccccccccccc:-:-",
        "a2:support:prod:1:canary:cccccccccccc:-:-",
        'a1:support:prod:1:canary:cccccccccccc:-:"',
        "a1:sup\nport:prod:1:canary:cccccccccccc:-:-",
        "a1:support:prod:1:canary:cccccccccccc:-:-:-",
    ],
    ids=range(8),
)
def test_feedback_on_what_is_no_id_is_dropped(traffic, told):
    log = traffic.log()
    log.feedback(told, negative=True)
    assert log.dropped == 1
    assert not traffic.path.exists()


def test_importing_it_loads_nothing_heavy():
    import subprocess
    import sys

    code = "import sys, llmvc.runtime.events; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "numpy",
        "scipy",
        "click",
        "yaml",
        "httpx",
        "dulwich",
        "dataclasses",
        "pathlib",
        "socket",
    }
    assert not heavy & set(done.stdout.split())
    assert events.MOST_BYTES
