"""What many heartbeats prove."""

import json
import os
import signal
from dataclasses import replace
from time import time as epoch_s

import pytest

from llmvc.errors import StoreError
from llmvc.places import Folder
from llmvc.runtime import fleet, heart
from llmvc.runtime.agent import Agent
from llmvc.runtime.answers import Answers
from llmvc.runtime.fleet import read
from llmvc.runtime.heart import Heart, Serves
from llmvc.runtime.server import serve
from tests.serving.beats import NAME, beat, beats, served_at, stands, written
from tests.serving.build import load, python, roll_back, tips, until
from tests.store.build import opened


def test_a_fleet_has_moved_when_every_process_says_so(tmp_path):
    one = beat("one-1-1", releases=served_at(3, 104.5))
    two = beat("two-1-1", releases=served_at(4, 103.0))
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


def test_a_process_on_a_fork_has_not_moved_though_its_number_is_right():
    strays = [
        beat("stray-1-1", releases=served_at(3, release="another"), time=at) for at in (100, 1)
    ]
    assert [stands(beat(), one).processes[0].state for one in strays] == ["forked", "silent"]
    assert not stands(beat(), strays[0]).proven


def test_a_process_that_fell_silent_after_it_moved_has_moved():
    assert stands(beat(), now=1e6).proven


def test_nothing_is_proven_by_silence_alone():
    assert not stands().proven
    assert not stands(beat(releases={"other/prod": Serves(9, "x", 1.0)})).proven
    assert not stands(beat(seq=2), is_running=lambda _: False).proven


def test_a_process_of_this_machine_that_died_is_gone_and_not_waited_for(tmp_path):
    child = python("input()")
    me = heart._Who.here()
    start = heart.started(child.pid)
    late = beat("late-1-1", 2, pid=child.pid, namespace=me.namespace, start=start)
    assert not stands(beat(), late, now=1e6).proven
    child.kill()
    child.communicate()
    assert stands(beat(), late, now=1e6).proven
    numbering = me.namespace.rpartition("/")[2]
    elsewhere = (numbering, f"another start/{numbering}", "pid:[1]", None)
    for unknown in (
        replace(late, start=None),
        *(replace(late, namespace=one) for one in elsewhere),
    ):
        assert stands(beat(), unknown, now=1e6).processes[0].state == "silent"
    another = replace(late, pid=os.getpid(), start=1)
    assert fleet.runs(another) is False, "the number was given to another process"


@pytest.mark.parametrize(
    ("says", "state"), [(None, "silent"), (PermissionError, "silent"), (ProcessLookupError, "gone")]
)
def test_a_process_that_the_system_hides_is_not_taken_for_dead(monkeypatch, says, state):
    """As it hides those of other users where /proc is mounted with hidepid; see proc(5)."""

    def kill(pid, number):
        assert (pid, number) == (4711, 0)
        if says:
            raise says

    monkeypatch.setattr(fleet.os, "kill", kill)
    started = None if says else 7
    monkeypatch.setattr(fleet, "started", lambda _: started)
    late = beat("late-1-1", 2, pid=4711, namespace=heart.namespace(), start=7)
    (found,) = stands(late, now=1e6).processes
    assert found.state == state


def test_a_heartbeat_of_hundreds_of_environments_is_passed_on_by_an_agent(tmp_path, monkeypatch):
    served = {f"support/env-{at:03}": Serves(3, "b3:" + "a" * 64, 100.0) for at in range(510)}
    sent = beat("one-1-1", releases=served_at(3) | served)
    answers = Answers(tmp_path)
    assert answers.to("POST", "/v1/heartbeat", sent.to_bytes()).status == 200
    monkeypatch.setattr(fleet, "ask", lambda *_, **__: answers.to("GET", "/v1/fleet").body)
    found, unread = read(["http://127.0.0.1:1"])
    assert ([one.process for one in found], unread) == (["one-1-1"], ())


def test_an_agent_takes_no_heartbeat_that_nobody_could_read(tmp_path):
    body = json.loads(beat("one-1-1").to_bytes()) | {"host": "é" * 30_000}
    answer = Answers(tmp_path).to(
        "POST", "/v1/heartbeat", json.dumps(body, ensure_ascii=False).encode()
    )
    assert answer.status == 400
    assert read([str(tmp_path)]) == ((), ())


def test_no_process_took_a_release_after_it_said_so(tmp_path):
    """As one seems to have whose clock was set back in between."""
    written(tmp_path, beat("odd-1-1", releases=served_at(3, 9000.0)), 100.0)
    found, _ = read([str(tmp_path)])
    assert stands(*found).last_left == 100.0


def test_times_are_by_the_clock_of_the_place_and_not_by_that_of_a_process(tmp_path):
    written(tmp_path, beat("fast-1-1", 2, time=9000.0), 100.0)
    written(tmp_path, beat("slow-1-1", time=20.0, releases=served_at(3, 14.5)), 100.0)
    found, _ = read([str(tmp_path)])
    fast, slow = stands(*found, now=131.0).processes
    assert (fast.state, fast.time) == ("silent", 100.0)
    assert (slow.state, slow.since) == ("moved", 94.5)


def test_the_newest_word_of_a_process_counts_wherever_it_lies(tmp_path):
    for name, seq, at in (("a", 2, 100.0), ("b", 3, 101.0)):
        written(tmp_path / name, beat(seq=seq), at)
    found, _ = read([str(tmp_path / "b"), str(tmp_path / "a" / "fleet"), str(tmp_path / "none")])
    assert [item.releases[NAME].seq for item in found] == [3]


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
    said = cli("fleet", *at, code=3).out
    assert "NOT PROVEN, 0 of 4 processes moved" in said
    assert said.endswith(
        "-> end or restart the ones listed, then llmvc fleet support prod --wait 30\n"
    )
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
    for child in workers[1:]:
        child.kill()
        child.wait()
    with opened(origin) as repo:
        roll_back(repo.chain("support", "prod"), "two")
    said = cli("fleet", *at, code=3).out
    assert "NOT PROVEN, no process has sent a heartbeat; 4 processes ended before\n" in said


def test_processes_that_end_in_order_leave_the_fleet(workers, served):
    workers[0].communicate(input="", timeout=20)
    assert len(beats(served)) == 3
    assert load(served).seqs


def test_where_heartbeats_lie_comes_from_git_or_the_snapshot(served, origin, cli, monkeypatch):
    monkeypatch.chdir(origin)
    assert cli.json("fleet", code=2)["hint"].startswith("--heartbeats")
    at = tips(served)[NAME]
    written(served, beat(releases={NAME: Serves(*at, since=1.0)}), 100.0)
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
    me = heart._Who.here()
    now = epoch_s()
    here = {"namespace": me.namespace, "pid": os.getpid()}
    for one, ago in (
        (beat("alive-1-1"), 0),
        (beat("dead-1-1", **here, start=1), 0),
        (beat("hangs-1-1", seq=1, **here, start=me.start), 86_500),
        (beat("late-1-1", seq=1), 86_300),
        (beat("left-1-1", seq=1, time=now), 86_500),
    ):
        written(served, one, now - ago)
    at = ("--heartbeats", kept, "--prune")
    done = cli("fleet", *at, code=3)
    assert "2 heartbeats removed: dead-1-1, left-1-1\n" in done.err
    assert "late-1-1" in done.out
    assert [one.process for one in beats(served)] == ["alive-1-1", "hangs-1-1", "late-1-1"]
    Folder(served / "fleet").write("x.json", b"{")
    assert "0 heartbeats removed\n" in cli("fleet", *at, code=3).err
    assert (served / "fleet" / "x.json").exists()


def test_a_heartbeat_that_cannot_be_read_is_passed_on_as_such(served, source):
    Folder(served / "fleet").write("x.json", b"{")
    with serve(Agent(source, Folder(served), "this repository"), "0") as url:
        found, unread = read([url])
    assert (found, len(unread)) == ((), 1)


def test_a_place_that_cannot_be_asked_is_an_error_to_who_removes(origin, cli, monkeypatch):
    monkeypatch.chdir(origin)
    at = "http://127.0.0.1:1"
    assert cli.json("fleet", "--prune", "--heartbeats", at, code=4)["code"] == "store"


def test_processes_that_serve_another_history_are_named(served, origin, cli, monkeypatch):
    Heart(served).beat({NAME: (2, "what somebody else released as 2")})
    monkeypatch.chdir(origin)
    said = cli("fleet", "--heartbeats", str(served), code=3).out
    assert said.startswith("  forked  ")
    assert "NOT PROVEN, 0 of 1 process moved\n  -> what the forked ones read" in said


def test_a_place_of_heartbeats_that_does_not_exist_is_named(tmp_path):
    nope = tmp_path / "nope"
    assert read([str(nope)]) == ((), (f"{nope}: there is no such folder",))
    with pytest.raises(StoreError, match="there is no such folder"):
        fleet.prune([str(nope)], now=0.0)
    nope.mkdir()
    assert read([str(nope)]) == ((), ())
