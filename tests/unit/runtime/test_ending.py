"""How the thread in the background ends, and what nobody may be kept waiting by."""

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from llmvc import runtime
from llmvc.errors import NotFoundError
from llmvc.runtime import Client
from tests.support.snapshots import simple

Open = Callable[..., Client]


def _raise(_: object) -> None:
    raise RuntimeError("the disk is on fire")


def test_a_client_that_was_closed_looks_no_more(tmp_path: Path) -> None:
    world, _, new = simple()
    folder = world.write(tmp_path)
    client = runtime.open(folder, every_s=3600, heartbeats=folder)
    client.close()
    world.release("support", "prod", new)
    world.write(tmp_path)
    client.refresh()
    assert client.resolve("support").seq == 1
    assert not list((folder / "fleet").glob("*.json"))


def test_a_client_that_nobody_holds_ends_its_thread_and_says_so(tmp_path: Path) -> None:
    folder = simple()[0].write(tmp_path)
    client = runtime.open(folder, every_s=3600, heartbeats=folder)
    thread = client._refresher._thread
    del client
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
    assert not list((folder / "fleet").glob("*.json"))


def test_a_process_that_ends_without_closing_leaves_no_heartbeat(tmp_path: Path) -> None:
    folder = simple()[0].write(tmp_path)
    code = (
        "import sys, llmvc.runtime as r; f = sys.argv[1]; c = r.open(f, heartbeats=f);"
        "import os; print(len(os.listdir(f + '/fleet')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert not list((folder / "fleet").glob("*.json"))


def test_a_look_may_be_asked_for_within_a_look(opened: Open) -> None:
    """As a handler of signals does that is called twice."""
    world, _, new = simple()
    client = opened(world)
    whole = world.pointer

    def nested(seen: str | None) -> tuple[bytes, str] | None:
        assert client.refresh().seqs == {"support/prod": 1}
        return whole(seen)

    world.pointer = nested
    world.release("support", "prod", new)
    asks = threading.Thread(target=client.refresh, daemon=True)
    asks.start()
    asks.join(10)
    assert not asks.is_alive()
    assert client.health.seqs == {"support/prod": 2}


def test_a_start_that_fails_lets_go_of_its_source(tmp_path: Path) -> None:
    world, closed = simple()[0], list[bool]()
    world.pointer = _raise
    world.close = lambda: closed.append(True)
    with pytest.raises(NotFoundError, match="packaged holds no snapshot"):
        runtime.open(world, fallback=tmp_path / "packaged")
    assert closed == [True]
