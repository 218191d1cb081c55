"""The thread in the background: what it takes, what it refuses, and that nothing stops it."""

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmvc import runtime
from llmvc.core import digest
from llmvc.errors import NotFoundError
from llmvc.runtime import Client
from llmvc.runtime.events import Log
from llmvc.runtime.refresh import LONGEST, Refresher
from tests.support.snapshots import World, simple

Open = Callable[..., Client]
FORKS = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def _until(true: Callable[[], object]) -> None:
    for _ in range(2_000):
        if true():
            return
        time.sleep(0.005)
    raise AssertionError("it did not happen within 10 s")


def test_a_release_is_taken_while_the_service_runs(tmp_path: Path) -> None:
    world, old, new = simple()
    with runtime.open(world.write(tmp_path), every_s=0.01) as client:
        assert client.resolve("support").digest == old
        world.release("support", "prod", new)
        world.write(tmp_path)
        _until(lambda: client.resolve("support").digest == new)
        assert client.health.seqs == {"support/prod": 2}


def _missing(world: World) -> None:
    del world.objects[digest.hex_of(world.chains["support", "prod"][-1].to)]


def _corrupt(world: World) -> None:
    world.objects[digest.hex_of(world.chains["support", "prod"][-1].to)] = b"{}"


def _forked(world: World) -> None:
    del world.chains["support", "prod"][1:]
    world.release("support", "prod", world.bundle("another"))


def _gone(world: World) -> None:
    world.pointer = _raise


def _raise(_: object) -> None:
    raise RuntimeError("the disk is on fire")


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (_missing, "missing"),
        (_corrupt, "not what its name says"),
        (_forked, "forked"),
        (_gone, "the disk is on fire"),
    ],
)
def test_what_was_good_is_kept_and_the_reason_is_told(
    opened: Open, harm: Callable[[World], None], problem: str
) -> None:
    world, old, new = simple()
    world.release("support", "prod", old)
    told: list[str] = []
    client = opened(world, on_problem=told.append)
    world.release("support", "prod", new)
    harm(world)
    for _ in range(3):
        client.refresh()
    health = client.health
    assert client.resolve("support").digest == old
    assert (health.ok, health.failures, health.seqs) == (False, 3, {"support/prod": 2})
    assert problem in (health.problem or "")
    assert told == [health.problem]  # once, not three times


class _Lagging:
    """A refresher of a world, whose source can be made to tell of an earlier one."""

    def __init__(self) -> None:
        self.world, _, self.new = simple()
        self.world.release("support", "staging", self.new)
        self.now = 0.0
        self.told: list[str] = []

    def start(self) -> Refresher:
        """Returns the refresher, after its first look."""
        return Refresher(
            self.world, every_s=1.0, clock=lambda: self.now, on_problem=self.told.append
        )


def test_an_older_pointer_is_let_be_for_a_minute_and_makes_nothing_fresh() -> None:
    lagging = _Lagging()
    world = lagging.world
    old = world.data()
    for _ in range(3):
        world.release("support", "prod", lagging.new)
    world.canary("support", lagging.new, share_ppm=50_000)  # an environment of its own, too
    refresher, whole = lagging.start(), world.data
    for lagged_s in (1, 60):
        world.data = lambda: old
        lagging.now += lagged_s
        assert refresher.look()
        health = refresher.health()
        assert (health.older, health.stale_s, health.failures) == (1, lagged_s, 0)
        assert (health.seqs["support/prod"], health.ok) == (4, True)
        world.data = whole
        assert refresher.look()
        assert refresher.health().older == 0
    world.data = lambda: old
    lagging.now += 61
    assert not refresher.look()
    assert lagging.told == ["support/canary is gone; it was at release 1"]
    assert refresher.health().seqs["support/prod"] == 4


def _aside(world: World) -> None:
    """Goes back to a release that is not one of those that were served."""
    del world.chains["support", "prod"][1:]
    world.release("support", "prod", world.bundle("another"))


def _apart(world: World) -> None:
    """Goes back in one environment and on in another: no writer has ever written that."""
    world.chains["support", "prod"].pop()
    world.release("support", "staging", world.bundle("another"))


def _anew(world: World) -> None:
    """Goes back in one environment and begins another."""
    world.chains["support", "prod"].pop()
    world.release("support", "qa", world.bundle("another"))


def _unknown(world: World) -> None:
    """Goes back by records that nobody has."""
    chain = world.chains["support", "prod"]
    del world.objects[digest.hex_of(chain[2].digest)]
    del chain[1:]


@pytest.mark.parametrize("harm", [_aside, _apart, _anew, _unknown])
def test_what_is_not_merely_older_is_said_at_once(harm: Callable[[World], None]) -> None:
    lagging = _Lagging()
    for _ in range(3):
        lagging.world.release("support", "prod", lagging.new)
    refresher = lagging.start()
    harm(lagging.world)
    assert not refresher.look()
    assert len(lagging.told) == 1
    assert refresher.health().seqs["support/prod"] == 4


def test_health_recovers_with_the_source(opened: Open) -> None:
    world, _, new = simple()
    client = opened(world)
    tip = world.release("support", "prod", new)
    lost = world.objects.pop(digest.hex_of(tip.digest))
    assert not client.refresh().ok
    world.add(lost)
    assert client.refresh().ok
    assert client.resolve("support").digest == new
    assert client.health.failures == 0


def test_one_who_is_told_may_fail(opened: Open) -> None:
    world, old, _ = simple()
    client = opened(world, on_problem=lambda _: 1 / 0)
    _gone(world)
    assert not client.refresh().ok
    assert client.resolve("support").digest == old


def test_the_thread_outlives_a_failing_source() -> None:
    world, _, new = simple()
    with runtime.open(world, every_s=0.001) as client:
        whole, world.pointer = world.pointer, _raise
        _until(lambda: client.health.failures > 3)
        world.release("support", "prod", new)
        world.pointer = whole
        _until(lambda: client.resolve("support").digest == new)


def test_a_failing_source_is_asked_less_and_less_often() -> None:
    world, _, _ = simple()
    refresher = Refresher(world, every_s=1.0)
    usual = [refresher.wait_s(at) for at in range(200)]
    assert 0.9 <= min(usual) < 0.92
    assert 1.08 < max(usual) <= 1.1
    _gone(world)
    for _ in range(20):
        refresher.look()
    assert 0.9 * LONGEST <= refresher.wait_s(0) <= 1.1 * LONGEST


def test_without_a_source_a_packaged_snapshot_is_served(tmp_path: Path) -> None:
    world, old, new = simple()
    packaged = world.write(tmp_path / "packaged")
    os.utime(packaged / "snapshot.json", (1_000, 1_000))
    with runtime.open(tmp_path / "serve", fallback=packaged, every_s=3600) as client:
        assert client.resolve("support").digest == old
        assert client.resolve("support").stale_s > 1e9
        assert "holds no snapshot" in (client.health.problem or "")
        world.release("support", "prod", new)
        world.write(tmp_path / "serve")
        assert client.refresh().ok
        assert client.resolve("support").digest == new


def test_what_is_older_than_the_packaged_snapshot_is_refused(tmp_path: Path) -> None:
    world, _, new = simple()
    world.write(tmp_path / "serve")
    (tmp_path / "serve" / "snapshot.json").rename(tmp_path / "later")
    world.release("support", "prod", new)
    world.write(tmp_path / "packaged")
    with runtime.open(tmp_path / "serve", fallback=tmp_path / "packaged", every_s=3600) as client:
        (tmp_path / "later").rename(tmp_path / "serve" / "snapshot.json")
        assert "went back" in (client.refresh().problem or "")


def test_threads_never_see_half_a_release(tmp_path: Path) -> None:
    world, old, new = simple()
    wrong: list[object] = []
    with runtime.open(world.write(tmp_path), every_s=0.001) as client:
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                found = client.resolve("support", unit="u")
                if found.digest != (new, old)[found.seq % 2] or found.bundle.digest != found.digest:
                    wrong.append(found)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for turn in range(6):
            world.release("support", "prod", old if turn % 2 else new)
            world.write(tmp_path)
            _until(lambda: client.resolve("support").seq == len(world.chains["support", "prod"]))
        done.set()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_cold_start_with_nothing_to_serve_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="holds no snapshot"):
        runtime.open(tmp_path)
    with pytest.raises(NotFoundError, match="packaged holds no snapshot"):
        runtime.open(tmp_path, fallback=tmp_path / "packaged")


def test_heartbeats_say_what_is_served(opened: Open) -> None:
    said: list[object] = []

    class Heart:
        def beat(self, releases: dict, stale_s: float | None = None) -> None:
            said.append({name: seq for name, (seq, _) in releases.items()})

        def stop(self) -> None:
            said.append("stop")

    world, _, new = simple()
    client = opened(world, heartbeats=Heart())
    world.release("support", "prod", new)
    client.refresh()
    client.close()
    client.close()
    assert said == [{"support/prod": 1}, {"support/prod": 2}, "stop"]


def test_a_heart_that_fails_disturbs_nobody(opened: Open) -> None:
    class Heart:
        def beat(self, releases: dict, stale_s: float | None = None) -> None:
            raise OSError("no space")

        def stop(self) -> None:
            """Says nothing."""

    client = opened(simple()[0], heartbeats=Heart())
    assert client.resolve("support").seq == 1
    assert client.health.problem == "no space"


def test_a_client_writes_events_and_heartbeats_where_it_is_told(tmp_path: Path) -> None:
    folder = simple()[0].write(tmp_path / "serve")
    log = Log(tmp_path / "events.jsonl", key=b"k" * 32)
    with runtime.open(folder, every_s=3600, log=log, heartbeats=folder) as client:
        client.resolve("support", unit="u")
        (beat,) = (folder / "fleet").glob("*.json")
        assert json.loads(beat.read_bytes())["releases"]["support/prod"]["seq"] == 1
    assert not list((folder / "fleet").glob("*.json"))
    lines = (tmp_path / "events.jsonl").read_text("utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    assert [one["llmvc.bundle.name"] for one in events if one["event"] == "assign"] == ["support"]


def test_after_close_nothing_runs_and_the_last_snapshot_is_served(tmp_path: Path) -> None:
    world, old, _ = simple()
    client = runtime.open(world.write(tmp_path), every_s=0.01)
    thread = client._refresher._thread
    assert thread.is_alive()
    client.close()
    assert not thread.is_alive()
    assert client.resolve("support").digest == old


def _serves(client: Client, folder: str, wanted: str) -> bool:
    """Runs in a child: says that it is ready, then waits until its own thread took a release."""
    Path(folder, f"ready-{os.getpid()}").touch()
    _until(lambda: client.resolve("support").digest == wanted)
    return client.health.ok


def _child(holds: Callable[[], bool]) -> int:
    """Forks; the child ends with 0 if it holds, and never goes on as a run of the tests."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if holds() else 1
        finally:
            os._exit(code)
    return child


@FORKS
def test_a_forked_worker_goes_on_looking_by_itself(tmp_path: Path) -> None:
    world, _, new = simple()
    with runtime.open(world.write(tmp_path), every_s=0.01) as client:
        children = [_child(lambda: _serves(client, str(tmp_path), new)) for _ in range(3)]
        _until(lambda: len(list(tmp_path.glob("ready-*"))) == 3)
        world.release("support", "prod", new)
        world.write(tmp_path)
        assert [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in children] == [0] * 3
        _until(lambda: client.resolve("support").digest == new)


@FORKS
def test_a_fork_in_the_middle_of_a_look_does_not_hang_the_child() -> None:
    world, _, new = simple()
    entered, leave = threading.Event(), threading.Event()
    whole = world.pointer

    def slow(seen: str | None) -> tuple[bytes, str] | None:
        if threading.current_thread() is not threading.main_thread():
            entered.set()
            leave.wait(10)
        return whole(seen)

    with runtime.open(world, every_s=0.01) as client:
        world.pointer = slow
        assert entered.wait(10)
        child = os.fork()
        if child == 0:
            leave.set()  # the child's own copy
            world.release("support", "prod", new)
            os._exit(0 if client.refresh().ok and client.resolve("support").seq == 2 else 1)
        leave.set()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@FORKS
def test_multiprocessing_workers_go_on_looking(tmp_path: Path) -> None:
    world, _, new = simple()
    with runtime.open(world.write(tmp_path), every_s=0.01) as client:
        context = multiprocessing.get_context("fork")
        worker = context.Process(target=_serves, args=(client, str(tmp_path), new))
        worker.start()
        _until(lambda: list(tmp_path.glob("ready-*")))
        world.release("support", "prod", new)
        world.write(tmp_path)
        worker.join(20)
        assert worker.exitcode == 0


def test_a_closed_client_stays_closed_in_a_child(tmp_path: Path) -> None:
    client = runtime.open(simple()[0].write(tmp_path), every_s=0.01)
    client.close()
    child = os.fork()
    if child == 0:
        os._exit(0 if threading.active_count() == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
