"""What the tests of serving share."""

import json
import subprocess
import sys
import time
from pathlib import Path

from llmvc.core import release as rules
from llmvc.core.bundle import Bundle
from llmvc.core.release import Move
from llmvc.core.version import Source
from llmvc.runtime import snapshot
from llmvc.runtime.sources import Directory
from tests.store.build import ADA, NOW, POLICY, bundle, files
from tests.support.build import environ

PROD = "refs/llmvc/env/support/prod"


def load(folder: Path) -> snapshot.Snapshot:
    """Loads what lies in a folder as a reader does."""
    source = Directory(folder)
    pointer, _ = source.pointer(None)
    return snapshot.load(pointer, source.object, history=True)


def tree(folder: Path) -> dict[str, bytes]:
    """Returns every file of a snapshot but locks and what changes with time."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", "checked")
    }


def roll_back(chain, to: str, *, drain: bool = False) -> None:
    """Appends a rollback to a text that was released before."""
    tips = chain.tips()
    target = next(tip.release for tip in tips if tip.release.to == bundle(to).digest)
    move = Move(
        kind="rollback",
        to=target.to,
        policy=POLICY.digest,
        source=Source(None, dirty=False),
        time="2026-11-20T12:00:00Z",
        actor=ADA,
        target=target.digest,
        drain=drain,
    )
    made = rules.append(tips[-1].release, move, bundle="support", env=chain.env)
    chain.append(tips[-1], made, files(to), author=ADA, time=NOW)


def pinnable(source) -> set[str]:
    """Returns the digests that a pin may name, by the pointer."""
    pointer, _ = source.pointer(None)
    return set(json.loads(pointer)["bundles"]["support"])


def digests(*texts: str) -> set[str]:
    return {bundle(text).digest for text in texts}


def a_set(**members: str) -> tuple[Bundle, dict[str, bytes]]:
    """Returns a set of bundles, and the files that its release needs beside the usual."""
    inner = {name: bundle(text) for name, text in members.items()}
    made = Bundle.of("set", {"members": {name: one.digest for name, one in inner.items()}})
    return made, {f"o/{one.digest[3:]}": one.data for one in inner.values()}


def python(code: str, *args: object, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Starts Python beside, with pipes; it can import what this process can."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        env=environ(PYTHONPATH=":".join(filter(None, sys.path))),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )


def llmvc(*args: object, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Starts a command beside, with pipes."""
    return python("from llmvc.cli.main import main; main()", *args, cwd=cwd)


def until(holds, seconds: float = 20.0):
    """Waits until something is true and returns it; fails after some time that nothing needs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


def seqs(folder: Path) -> dict[str, int]:
    """Returns the numbers of what a folder's pointer serves; nothing if it is not there yet."""
    return {name: seq for name, (seq, _) in tips(folder).items()}


def tips(folder: Path) -> dict[str, tuple[int, str]]:
    """Returns what a folder's pointer serves, as heartbeats name it."""
    try:
        body = json.loads((folder / "snapshot.json").read_bytes())
    except FileNotFoundError:
        return {}
    return {
        f"{name}/{env}": (tip["seq"], tip["release"])
        for name, envs in body["environments"].items()
        for env, tip in envs.items()
    }
