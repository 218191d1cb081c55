"""Heartbeats, and what they prove."""

import json
import os
import signal
from dataclasses import replace
from time import time as epoch_s

import pytest

from llmvc.errors import FormatError
from llmvc.runtime import fleet, heart
from llmvc.runtime.agent import Agent
from llmvc.runtime.fleet import Heart, read, stand
from llmvc.runtime.heart import Beat, file_of
from llmvc.runtime.places import Folder
from llmvc.runtime.server import serve
from tests.serving.build import load, python, roll_back, until
from tests.store.build import opened

NAME = "support/prod"


class Time:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


def beats(top):
    found, unread = read([str(top)])
    assert unread == ()
    return found


def beat(process="host-1-1", seq=3, **more):
    return Beat(
        **{
            "process": process,
            "host": "elsewhere",
            "pid": 1,
            "namespace": None,
            "start": None,
            "sdk": "test",
            "releases": {NAME: seq},
            "since": {NAME: 100.0},
            "time": 100.0,
            "every_s": 10.0,
            "stale_s": None,
            **more,
        }
    )


def stands(*found, now=110.0, **more):
    return stand(found, "support", "prod", 3, now=now, **more)


def test_a_process_says_what_it_serves_and_since_when(tmp_path, time):
    one = Heart(tmp_path, clock=time)
    one.beat({NAME: 1}, 0.5)
    time.now += 3
    one.beat({NAME: 2, "support/staging": 7}, 0.25)
    (found,) = beats(tmp_path)
    assert (found.releases, found.stale_s) == ({NAME: 2, "support/staging": 7}, 0.25)
    assert found.since == {NAME: time.now, "support/staging": time.now}
    assert (found.pid, found.host) == (os.getpid(), os.uname().nodename)
    assert [path.name for path in (tmp_path / "fleet").iterdir()] == [f"{found.process}.json"]


def test_what_is_not_new_is_said_every_few_seconds(tmp_path, time):
    one = Heart(tmp_path, clock=time, every_s=10)
    one.beat({NAME: 1})
    began = time.now
    for step, said in ((9, began), (1, began + 10), (-3600, began - 3590)):
        time.now += step
        one.beat({NAME: 1})
        (found,) = beats(tmp_path)
        assert (found.time, found.since[NAME]) == (said, began)


def test_a_process_that_ends_in_order_leaves_nothing(tmp_path):
    one = Heart(tmp_path)
    one.stop()
    one.beat({NAME: 1})
    one.stop()
    one.stop()
    assert beats(tmp_path) == ()


def test_a_child_speaks_for_itself_and_leaves_its_parents_word(tmp_path):
    one = Heart(tmp_path)
    one.beat({NAME: 1})
    child = os.fork()
    if not child:
        one.stop()
        one.beat({NAME: 1})
        os._exit(0)
    os.waitpid(child, 0)
    assert {item.pid for item in beats(tmp_path)} == {os.getpid(), child}


def test_a_heartbeat_that_cannot_be_sent_disturbs_nobody(tmp_path):
    (tmp_path / "fleet").write_text("a file")
    for place in (tmp_path, "http://127.0.0.1:1/"):
        one = Heart(place)
        one.beat({NAME: 1})
        assert one.trouble
        one.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b'{"llmvc": "heartbeat/2"}',
        b"\xff",
        b"[" * 60_000,
        b" " * (heart.LIMIT + 1),
        *(
            json.dumps({**json.loads(beat().to_bytes()), **wrong}).encode()
            for wrong in (
                {"process": "../../etc/passwd"},
                {"process": ".hidden"},
                {"process": "x" * 201},
                {"pid": "1"},
                {"pid": True},
                {"releases": {NAME: "3"}},
                {"releases": {NAME: True}},
                {"releases": None},
                {"since": {NAME: None}},
                {"time": None},
                {"every_s": 0},
                {"every_s": float("nan")},
                {"time": float("inf")},
                {"time": 1e300},
                {"since": {NAME: -1.0}},
                {"stale_s": "old"},
            )
        ),
    ],
    ids=lambda data: str(data[:40]),
)
def test_what_is_no_heartbeat_is_refused_and_counts_as_unread(tmp_path, data):
    with pytest.raises(FormatError):
        Beat.from_bytes(data)
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "x.json").write_bytes(data)
    found, unread = read([str(tmp_path)])
    assert found == ()
    assert "x.json" in unread[0]
    assert not stands(beat(), unread=unread).proven


def test_members_of_a_later_version_are_passed_over():
    body = {**json.loads(beat().to_bytes()), "mood": "fine"}
    assert Beat.from_bytes(json.dumps(body).encode()) == beat()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".x", "a\0", "a\n"])
def test_a_process_cannot_be_named_out_of_its_folder(name):
    with pytest.raises(FormatError):
        file_of(name)


def test_a_fleet_has_moved_when_every_process_says_so(tmp_path):
    one, two = beat("one-1-1", since={NAME: 104.5}), beat("two-1-1", 4, since={NAME: 103.0})
    found = stands(one, two)
    assert (found.proven, found.last_left) == (True, 104.5)


@pytest.mark.parametrize(
    ("late", "now", "state"),
    [
        (beat("late-1-1", 2), 110.0, "behind"),
        (beat("late-1-1", 2), 131.0, "silent"),
        (beat("late-1-1", 2, every_s=60.0), 131.0, "behind"),
    ],
    ids=["speaks", "fell-silent", "speaks-seldom"],
)
def test_a_process_that_has_not_moved_is_named(late, now, state):
    found = stands(beat(), late, now=now)
    assert (found.proven, found.last_left) == (False, None)
    assert [(item.process, item.state) for item in found.processes[:1]] == [("late-1-1", state)]


def test_a_process_that_fell_silent_after_it_moved_has_moved():
    assert stands(beat(), now=1e6).proven


def test_nothing_is_proven_by_silence_alone():
    assert not stands().proven
    assert not stands(beat(releases={"other/prod": 9})).proven
    assert not stands(beat(seq=2), is_dead=lambda _: True).proven


def test_a_process_of_this_machine_that_died_is_gone_and_not_waited_for(tmp_path):
    child = python("input()")
    me = heart._Who.here(0.0)
    start = heart.started(child.pid)
    late = beat("late-1-1", 2, host=me.host, pid=child.pid, namespace=me.namespace, start=start)
    assert not stands(beat(), late, now=1e6).proven
    child.kill()
    child.communicate()
    assert stands(beat(), late, now=1e6).proven
    elsewhere = (replace(late, host="another"), replace(late, namespace="pid:[1]"))
    for unknown in (*elsewhere, replace(late, start=None)):
        assert stands(beat(), unknown, now=1e6).processes[0].state == "silent"
    another = replace(late, pid=os.getpid(), start=1)
    assert fleet.dead(another), "the number was given to another process"


def test_the_newest_word_of_a_process_counts_wherever_it_lies(tmp_path):
    for name, seq, at in (("a", 2, 100.0), ("b", 3, 101.0)):
        place = Folder(tmp_path / name / "fleet")
        place.write("host-1-1.json", beat(seq=seq, time=at).to_bytes())
    found, _ = read([str(tmp_path / "b"), str(tmp_path / "a" / "fleet"), str(tmp_path / "none")])
    assert [item.releases[NAME] for item in found] == [3]


WORKER = """
import sys
from llmvc import runtime
client = runtime.open(sys.argv[1], heartbeats=sys.argv[2], every_s=0.05)
print(client.resolve("support").digest, flush=True)
sys.stdin.read()
client.close()
"""


@pytest.fixture
def workers(served):
    """Four processes that serve from the folder."""
    found = [python(WORKER, served, served) for _ in range(4)]
    for child in found:
        assert child.stdout.readline().startswith("b3:")
    yield found
    for child in found:
        child.kill()
        child.communicate()


def test_the_last_of_many_processes_is_proven_to_have_left(
    workers, served, origin, cli, monkeypatch
):
    monkeypatch.chdir(origin)
    at = ("--heartbeats", str(served))
    before = cli.json("fleet", "support", "prod", *at)
    assert before["proven"]
    with opened(origin) as repo:
        roll_back(repo.chain("support", "prod"), "one")
    found = cli.json("fleet", *at, code=3)
    assert [item["state"] for item in found["processes"]] == ["behind"] * 4
    assert "NOT PROVEN, 0 of 4 processes moved" in cli("fleet", *at, code=3).out
    cli("snapshot", "--to", str(served))
    after = cli.json("fleet", *at, "--wait", "20")
    assert (after["seq"], len(after["processes"])) == (3, 4)
    assert after["last_left"] > max(item["since"] for item in before["processes"])
    assert "all 4 processes moved, the last at" in cli("fleet", *at).out


def test_one_that_hangs_is_named_and_one_that_was_killed_is_not_waited_for(
    workers, served, origin, cli, monkeypatch
):
    monkeypatch.chdir(origin)
    at = ("--heartbeats", str(served))
    workers[0].send_signal(signal.SIGSTOP)
    with opened(origin) as repo:
        roll_back(repo.chain("support", "prod"), "one")
    cli("snapshot", "--to", str(served))
    until(lambda: cli.json("fleet", *at, code=3)["processes"].__len__() == 4)
    until(
        lambda: (
            [item["state"] for item in cli.json("fleet", *at, code=3)["processes"]]
            == ["behind", "moved", "moved", "moved"]
        )
    )
    late = cli.json("fleet", *at, code=3)["processes"][0]
    assert f"-{workers[0].pid}-" in late["process"]
    workers[0].kill()
    workers[0].wait()
    found = cli.json("fleet", *at)
    assert sorted(item["state"] for item in found["processes"]) == ["gone", *["moved"] * 3]
    assert "1 process ended before" in cli("fleet", *at).out


def test_processes_that_end_in_order_leave_the_fleet(workers, served):
    workers[0].communicate(input="", timeout=20)
    assert len(beats(served)) == 3
    assert load(served).seqs


def test_where_heartbeats_lie_comes_from_git_or_the_snapshot(served, origin, cli, monkeypatch):
    monkeypatch.chdir(origin)
    assert cli.json("fleet", code=2)["hint"].startswith("--heartbeats")
    Folder(served / "fleet").write("host-1-1.json", beat(seq=2).to_bytes())
    for variable in ("llmvc.snapshot", "llmvc.fleet"):
        with opened(origin) as repo:
            repo.git.run("config", variable, os.path.relpath(served, origin))
        (origin / "below").mkdir(exist_ok=True)
        monkeypatch.chdir(origin / "below")
        assert cli.json("fleet")["proven"]
    assert cli.json("fleet", "support", "nowhere", code=4)["code"] == "not-found"


@pytest.fixture(params=["folder", "agent"])
def kept(request, served, source):
    """Where heartbeats lie: a folder, or the URL of an agent that serves it."""
    if request.param == "folder":
        yield str(served)
        return
    with serve(Agent(source, Folder(served), "this repository"), "0") as url:
        yield url


def test_heartbeats_of_the_dead_and_of_a_day_ago_are_removed_when_asked(
    served, kept, origin, cli, monkeypatch
):
    monkeypatch.chdir(origin)
    me = heart._Who.here(0.0)
    now = epoch_s()
    here = {"host": me.host, "namespace": me.namespace, "start": 1, "pid": os.getpid()}
    for one in (
        beat("alive-1-1", time=now),
        beat("dead-1-1", time=now, **here),
        beat("late-1-1", seq=1, time=now - 86_300),
        beat("left-1-1", seq=1, time=now - 86_500),
    ):
        Folder(served / "fleet").write(file_of(one.process), one.to_bytes())
    at = ("--heartbeats", kept, "--prune")
    done = cli("fleet", *at, code=3)
    assert "2 heartbeats removed: dead-1-1, left-1-1\n" in done.err
    assert "late-1-1" in done.out
    assert [one.process for one in beats(served)] == ["alive-1-1", "late-1-1"]
    Folder(served / "fleet").write("x.json", b"{")
    assert "0 heartbeats removed\n" in cli("fleet", *at, code=3).err
    assert (served / "fleet" / "x.json").exists()


def test_a_place_that_cannot_be_asked_is_an_error_to_who_removes(origin, cli, monkeypatch):
    monkeypatch.chdir(origin)
    at = "http://127.0.0.1:1"
    assert cli.json("fleet", "--prune", "--heartbeats", at, code=4)["code"] == "store"
