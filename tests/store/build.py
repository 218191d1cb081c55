"""Builders for tests of the store: repositories of every shape, bundles, moves."""

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from llmvc.core import release as rules
from llmvc.core.bundle import Bundle
from llmvc.core.names import STORE_REF
from llmvc.core.policy import Policy
from llmvc.core.release import Move, Release
from llmvc.core.version import Source, Version
from llmvc.store.backend import Backend
from llmvc.store.chain import EnvChain
from llmvc.store.refs import Change, Refs
from llmvc.store.repository import Repository
from llmvc.store.retry import Retry

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ADA = "Ada <ada@example.org>"
POLICY = Policy()
SHAPES = ("plain", "bare", "worktree", "sha256", "packed", "separate", "alternates")


class Waits:
    """Stands in for the clock of a retry: counts the pauses and lets something happen in them."""

    def __init__(self, at: dict[int, object] | None = None) -> None:
        self.pauses: list[float] = []
        self._at = at or {}

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        happens = self._at.get(len(self.pauses))
        if callable(happens):
            happens()

    def retry(self, tries: int = 4) -> Retry:
        return Retry(tries=tries, sleep=self.sleep, fraction=lambda: 0.5, clock=lambda: 1e10)


def git(folder: Path, *args: str, stdin: bytes = b"", check: bool = True) -> str:
    """Runs the real git and returns what it printed."""
    done = subprocess.run(["git", *args], cwd=folder, input=stdin, check=False, capture_output=True)
    assert done.returncode == 0 or not check, done.stderr.decode()
    return done.stdout.decode().strip()


@cache
def _template(object_format: str) -> Path:
    """Makes a repository with one commit, once a test run; tests work on copies of it."""
    folder = Path(tempfile.mkdtemp(prefix="llmvc-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    git(folder, "init", "-q", "-b", "main", f"--object-format={object_format}", ".")
    git(folder, "config", "gc.auto", "0")
    (folder / "a.txt").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "start")
    return folder


def make(folder: Path, shape: str = "plain") -> Path:
    """Makes a repository of one shape, with one commit, and returns where to open it."""
    plain = folder / "plain"
    shutil.copytree(_template("sha256" if shape == "sha256" else "sha1"), plain, symlinks=True)
    if shape == "bare":
        git(folder, "clone", "-q", "--bare", str(plain), str(folder / "bare.git"))
        return folder / "bare.git"
    if shape == "worktree":
        git(plain, "worktree", "add", "-q", "-b", "side", str(folder / "side"))
        return folder / "side"
    if shape == "packed":
        head = git(plain, "rev-parse", "HEAD")
        lines = "".join(f"create refs/foreign/{number} {head}\n" for number in range(500))
        git(plain, "update-ref", "--stdin", stdin=lines.encode())
        git(plain, "pack-refs", "--all")
    if shape == "separate":
        git(folder, "init", "-q", "--separate-git-dir", str(folder / "elsewhere"), str(plain))
    if shape == "alternates":
        git(folder, "clone", "-q", "--shared", str(plain), str(folder / "shared"))
        return folder / "shared"
    return plain


def clone(origin: Path, folder: Path, *options: str) -> Path:
    """Clones with the real git; commits there are Ada's."""
    git(origin.parent, "clone", "-q", *options, origin.as_uri(), str(folder))
    return folder


@contextmanager
def opened(folder: Path, retry: Retry | None = None) -> Iterator[Repository]:
    with Repository.open(folder, retry=retry or Waits().retry()) as repo:
        yield repo


def bundle(text: str) -> Bundle:
    return Bundle.of("app", {"messages": [{"role": "user", "content": text}]})


def version(text: str, *parents: Version, name: str = "support", time: str = "") -> Version:
    return Version(
        name=name,
        bundle=bundle(text).digest,
        parents=tuple(sorted(parent.digest for parent in parents)),
        message=f"say {text}",
        author=ADA,
        time=time or "2026-11-20T12:00:00Z",
        source=Source(None, dirty=False),
    )


def commit(repo: Repository, text: str, *parents: Version, name: str = "support") -> Version:
    """Adds a version of a bundle to the store."""
    made = version(text, *parents, name=name)
    repo.versions.add(
        objects=[bundle(text).data],
        versions=[made],
        subject=f"commit {name}",
        author=ADA,
        time=NOW,
    )
    return made


def release(parent: Release | None, text: str, env: str = "prod", **more: object) -> Release:
    """Returns the release that adopts a bundle of this text on top of another release."""
    move = Move(
        kind="adopt",
        to=bundle(text).digest,
        policy=POLICY.digest,
        source=Source(None, dirty=False),
        time="2026-11-20T12:00:00Z",
        actor=ADA,
        reason="it already runs",
        **more,  # options of a move, by name
    )
    return rules.append(parent, move, bundle="support", env=env)


def files(text: str) -> dict[str, bytes]:
    return {"bundle.json": bundle(text).data, "policy.json": POLICY.to_bytes()}


def adopt(chain: EnvChain, text: str) -> str:
    """Appends a release to wherever the chain stands."""
    tip = chain.tip()
    made = release(tip.release if tip else None, text, chain.env)
    return chain.append(tip, made, files(text), author=ADA, time=NOW)


def healthy(folder: Path) -> bool:
    """Tells whether git itself has nothing to complain about."""
    done = subprocess.run(
        ["git", "fsck", "--strict", "--no-dangling"], cwd=folder, capture_output=True, check=False
    )
    said = [line for line in done.stderr.decode().splitlines() if not line.startswith("notice")]
    return done.returncode == 0 and not said


def replace_blob(place: Path, path: str, data: bytes, ref: str = STORE_REF) -> None:
    """Commits other bytes at a path below a ref, as somebody with push rights could."""
    oid = git(place, "hash-object", "-w", "--stdin", stdin=data)
    index = ("-c", "core.splitIndex=false")
    env = {**os.environ, "GIT_INDEX_FILE": str(place / "other-index")}

    def run(*args: str) -> str:
        done = subprocess.run(
            ["git", *index, *args], cwd=place, env=env, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    run("read-tree", ref)
    run("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}")
    git(
        place, "update-ref", ref, git(place, "commit-tree", "-p", ref, "-m", "x", run("write-tree"))
    )


class _Meddled:
    """Refs with somebody who acts just before the first move."""

    def __init__(self, inner: Refs, action: Callable[[], object]) -> None:
        self._inner = inner
        self._action: Callable[[], object] | None = action

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def move(self, changes: Sequence[Change], why: str) -> None:
        action, self._action = self._action, None
        if action:
            action()
        self._inner.move(changes, why)


def meddled(backend: Backend, action: Callable[[], object]) -> Backend:
    """Returns a backend in which something happens between the look and the move."""
    return replace(backend, refs=_Meddled(backend.refs, action))  # a stand-in
