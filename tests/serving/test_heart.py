"""What a process says of itself, and what is taken for it."""

import json
import os
import socket
import threading
from contextlib import suppress
from time import sleep as pause

import pytest

from llmvc import runtime
from llmvc.errors import FormatError, StoreError
from llmvc.runtime import answers, fleet, heart
from llmvc.runtime.fleet import read
from llmvc.runtime.heart import Beat, Heart, Serves, file_of
from tests.serving.beats import NAME, beat, beats, stands
from tests.serving.build import python, until


class Time:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


def test_a_process_says_what_it_serves_and_since_when(tmp_path, time):
    one = Heart(tmp_path, clock=time)
    one.beat({NAME: (1, "a")}, 0.5)
    time.now += 3
    one.beat({NAME: (2, "b"), "support/staging": (7, "c")}, 0.25)
    time.now += 10
    one.beat({NAME: (2, "d"), "support/staging": (7, "c")}, 0.25)
    (found,) = beats(tmp_path)
    assert found.releases == {
        NAME: Serves(2, "d", time.now),
        "support/staging": Serves(7, "c", time.now - 10),
    }
    assert found.stale_s == 0.25
    assert (found.pid, found.host) == (os.getpid(), os.uname().nodename)
    assert [path.name for path in (tmp_path / "fleet").iterdir()] == [f"{found.process}.json"]


def test_what_is_not_new_is_said_every_few_seconds(tmp_path, time):
    one = Heart(tmp_path, clock=time, every_s=10)
    one.beat({NAME: (1, "a")})
    began = time.now
    for step, said in ((9, began), (1, began + 10), (-3600, began - 3590)):
        time.now += step
        one.beat({NAME: (1, "a")})
        (found,) = beats(tmp_path)
        assert (found.time, found.releases[NAME].since) == (said, began)


@pytest.mark.parametrize(("looks", "speaks"), [(0.5, heart.EVERY_S), (3600, 3600)])
def test_a_client_that_looks_seldom_does_not_promise_to_speak_often(served, looks, speaks):
    with runtime.open(served, heartbeats=served, every_s=looks):
        (found,) = beats(served)
        assert found.every_s == speaks


def test_a_process_that_ends_in_order_leaves_nothing(tmp_path):
    one = Heart(tmp_path)
    one.stop()
    one.beat({NAME: (1, "a")})
    one.stop()
    one.stop()
    assert beats(tmp_path) == ()


def test_two_hearts_of_one_process_are_told_apart(tmp_path):
    one, other = Heart(tmp_path), Heart(tmp_path)
    one.beat({NAME: (1, "a")})
    other.beat({"support/staging": (7, "c")})
    assert {name for found in beats(tmp_path) for name in found.releases} == {
        NAME,
        "support/staging",
    }
    one.stop()
    assert len(beats(tmp_path)) == 1


def test_a_child_speaks_for_itself_and_leaves_its_parents_word(tmp_path):
    one = Heart(tmp_path)
    one.beat({NAME: (1, "a")})
    child = os.fork()
    if not child:
        one.stop()
        one.beat({NAME: (1, "a")})
        os._exit(0)
    os.waitpid(child, 0)
    assert {item.pid for item in beats(tmp_path)} == {os.getpid(), child}


FORKS = """
import os, sys
from llmvc import runtime
client = runtime.open(sys.argv[1], heartbeats=sys.argv[1], every_s=3600)
child = os.fork()
sys.stdin.read()
if child:
    os.waitpid(child, 0)
"""


def test_a_child_is_heard_of_as_soon_as_it_is_forked(served):
    with python(FORKS, served) as parent:
        until(lambda: len(beats(served)) == 2)
        parent.communicate(input="", timeout=20)
    assert beats(served) == ()


def test_a_heartbeat_that_cannot_be_sent_disturbs_nobody_and_is_told_once(tmp_path, time):
    (tmp_path / "fleet").write_text("a file")
    for place in (tmp_path, "http://127.0.0.1:1/"):
        told = []
        one = Heart(place, clock=time, on_problem=told.append)
        for _ in range(2):
            one.beat({NAME: (1, "a")})
            time.now += 60
        assert told == [one.trouble]
        one.stop()


def test_an_agent_that_hangs_holds_nobody_up():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip():
            with server.accept()[0] as peer, suppress(OSError):
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while True:
                    peer.sendall(b"x")
                    pause(0.05)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(StoreError, match=r"in time|timed out"):
            heart.ask(f"http://127.0.0.1:{server.getsockname()[1]}/", "GET", timeout_s=0.2)
        thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("said", ["SSH-2.0-x\r\n", "{}", "[1]", "{", '{"heartbeats": {}}'])
def test_what_is_no_agent_proves_nothing(said):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with server.accept()[0] as peer:
                peer.recv(4096)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(said)}\r\n\r\n"
                peer.sendall((said if said.startswith("SSH") else head + said).encode())

        thread = threading.Thread(target=answer)
        thread.start()
        found, unread = read([f"http://127.0.0.1:{server.getsockname()[1]}"])
        thread.join(10)
    assert (found, len(unread)) == ((), 1)


@pytest.mark.parametrize("item", [1, {}, {"heard": "x"}, {"heard": 1e300}, {"heard": True}])
def test_what_an_agent_passes_on_is_not_believed(monkeypatch, item):
    said = {**json.loads(beat().to_bytes()), **item} if isinstance(item, dict) else item
    answer = json.dumps({"heartbeats": [said]}).encode()
    monkeypatch.setattr(fleet, "ask", lambda *_, **__: answer)
    found, unread = read(["http://127.0.0.1:1"])
    assert [one.time for one in found] == [0.0] * (1 - len(unread))


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
                {"releases": {NAME: 3}},
                {"releases": {NAME: {"seq": True, "release": "a", "since": 1}}},
                {"releases": {NAME: {"seq": 3, "release": None, "since": 1}}},
                {"releases": {NAME: {"seq": 3, "release": "a"}}},
                {"releases": {NAME: {"seq": 3, "release": "a", "since": -1}}},
                {"releases": None},
                {"time": None},
                {"every_s": 0},
                {"every_s": float("nan")},
                {"time": float("inf")},
                {"time": 1e300},
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


def test_only_so_many_processes_are_known(served, monkeypatch):
    monkeypatch.setattr(answers, "MOST_HEARTBEATS", 1)
    for process, status in (("one-1-1", 200), ("two-1-1", 503), ("one-1-1", 200)):
        made = answers.Answers(served).to("POST", "/v1/heartbeat", beat(process).to_bytes())
        assert made.status == status
