"""Killed, full and raced: what is on disk afterwards is the old state or the new one."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmvc.core.names import STORE_REF
from llmvc.errors import StoreError
from llmvc.store.fsck import fsck
from llmvc.store.git import Git, Result
from tests.store.build import adopt, commit, git, healthy, make, opened

PROD = "refs/llmvc/env/support/prod"
HERE = str(Path.cwd())

# A child that dies, without a chance to clean up, before or after the n-th git child of a write.
KILLED = """
import os, signal, sys
from pathlib import Path
from llmvc.store.git import Git
from llmvc.store.repository import Repository
from tests.store.build import adopt, commit

place, verb, at, when = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
count = 0
real = Git.call

def call(self, *args, **options):
    global count
    count += 1
    if count == at and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(self, *args, **options)
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

with Repository.open(Path(place)) as repo:
    Git.call = call
    if verb == "append":
        adopt(repo.chain("support", "prod"), f"new {at}")
    else:
        commit(repo, f"new {at} {when}")
"""


def run(script, *args):
    env = {**os.environ, "PYTHONPATH": HERE}
    return subprocess.run(
        [sys.executable, "-c", script, *args], env=env, check=False, capture_output=True
    )


@pytest.mark.parametrize("verb", ["append", "add"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_any_git_child_leaves_the_old_state_or_the_new(tmp_path, verb, when):
    place = make(tmp_path)
    with opened(place) as repo:
        commit(repo, "old")
        adopt(repo.chain("support", "prod"), "old")
    for at in range(1, 12):
        with opened(place) as repo:
            versions, releases = sizes(repo)
        done = run(KILLED, str(place), verb, str(at), when)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
        with opened(place) as repo:
            assert fsck(repo) == ()
            grown = [new - old for new, old in zip(sizes(repo), (versions, releases), strict=True)]
            assert grown in ([0, 0], [1, 0] if verb == "add" else [0, 1])
        if done.returncode == 0:
            break
    else:
        pytest.fail("the sweep never reached the end of the write")
    assert at > 3
    with opened(place) as repo:
        adopt(repo.chain("support", "prod"), "later")
        commit(repo, "later")
    assert healthy(place)


def sizes(repo):
    return len(repo.versions.history("support")), len(repo.chain("support", "prod").releases())


class Faulty(Git):
    """A git whose n-th writing child fails, or does its work and then says that it failed."""

    left = 0
    said = b"fatal: No space left on device"
    lies = False

    def call(self, *args, **options):
        if not {"unpack-objects", "update-ref"} & set(args):
            return super().call(*args, **options)
        type(self).left -= 1
        if type(self).left != 0:
            return super().call(*args, **options)
        if type(self).lies:
            super().call(*args, **options)
        return Result(128, b"", type(self).said)


@pytest.mark.parametrize("lies", [False, True], ids=["fails", "does-it-and-fails"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_git_child_that_fails_is_one_line_and_leaves_a_whole_state(
    tmp_path, monkeypatch, at, lies
):
    place = make(tmp_path)
    with opened(place) as repo:
        adopt(repo.chain("support", "prod"), "old")
    monkeypatch.setattr("llmvc.store.repository.Git", Faulty)
    monkeypatch.setattr(Faulty, "left", at)
    monkeypatch.setattr(Faulty, "lies", lies)
    with opened(place) as repo, pytest.raises(StoreError, match="No space left") as caught:
        adopt(repo.chain("support", "prod"), "new")
    assert "check the disk" in caught.value.hint
    monkeypatch.undo()
    with opened(place) as repo:
        assert len(repo.chain("support", "prod").releases()) in ((2,) if lies and at == 2 else (1,))
        assert fsck(repo) == ()
    assert healthy(place)


@pytest.mark.parametrize("when", ["before", "after"])
def test_objects_that_a_hasty_collection_took_are_stored_again(tmp_path, monkeypatch, when):
    place = make(tmp_path)
    real = Git.call
    taken: list[Path] = []

    def take():
        """Does what `git gc --prune=now` does that looked at the refs just before they moved."""
        known = git(place, "rev-list", "--objects", "--no-object-names", before, "main").split()
        for path in (place / ".git" / "objects").glob("??/*"):
            if path.parent.name + path.name not in known:
                taken.append(path)
                path.unlink()

    def call(self, *args, **options):
        moves = "update-ref" in args and not taken
        if moves and when == "before":
            take()
        result = real(self, *args, **options)
        if moves and when == "after":
            take()
        return result

    with opened(place) as repo:
        before = adopt(repo.chain("support", "prod"), "old")
        monkeypatch.setattr(Git, "call", call)
        adopt(repo.chain("support", "prod"), "new")
        monkeypatch.undo()
        assert len(taken) >= 4
        assert len(repo.chain("support", "prod").releases()) == 2
        assert fsck(repo) == ()
    assert healthy(place)


# Runs in a mount namespace of its own, on a disk of 1 MiB that it fills or makes read-only.
DISK = """
import os, subprocess, sys
from pathlib import Path
from llmvc.errors import StoreError
from llmvc.store.repository import Repository
from tests.store.build import adopt, commit, make

disk, how = Path(sys.argv[1]), sys.argv[2]
place = make(disk)
with Repository.open(place) as repo:
    adopt(repo.chain("support", "prod"), "old")
    if how == "full":
        with open(disk / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                pass
    else:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for write in (lambda: adopt(repo.chain("support", "prod"), "x" * 9000), lambda: commit(repo, "y" * 9000)):
        try:
            write()
        except StoreError as error:
            print(type(error).__name__, "|", error, "|", len(str(error).splitlines()))
    print(len(repo.chain("support", "prod").releases()))
"""


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_full_or_read_only_disk_is_one_line_and_changes_nothing(tmp_path, how):
    disk = tmp_path / "disk"
    disk.mkdir()
    namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    probe = f"mount -t tmpfs -o size=1m none '{disk}'"
    if (
        shutil.which("unshare") is None
        or subprocess.run([*namespace, probe], check=False, capture_output=True).returncode
    ):
        pytest.skip("needs a mount namespace")
    done = subprocess.run(
        [*namespace, f'{probe} && exec "$@"', "sh", sys.executable, "-c", DISK, str(disk), how],
        env={**os.environ, "PYTHONPATH": HERE},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *errors, count = done.stdout.splitlines()
    assert len(errors) == 2
    for line in errors:
        assert line.startswith("StoreError | ")
        assert line.endswith("| 1")
    assert count == "1"


RACER = """
import sys
from pathlib import Path
from llmvc.errors import RefMoved
from llmvc.store.repository import Repository
from tests.store.build import ADA, NOW, files, release

place, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Repository.open(Path(place)) as repo:
    chain = repo.chain("support", "prod")
    import llmvc.store.packs
    print("ready", flush=True)
    for number in range(rounds):
        sys.stdin.readline()
        tip = chain.tip()
        text = f"{name} {number}"
        print("seen", flush=True)
        sys.stdin.readline()
        try:
            chain.append(tip, release(tip and tip.release, text), files(text), author=ADA, time=NOW)
            print("won", flush=True)
        except RefMoved:
            print("lost", flush=True)
"""


@pytest.mark.race
def test_of_eight_processes_that_race_one_wins_each_round_and_nothing_forks(tmp_path):
    place = make(tmp_path)
    rounds = 3
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(place), f"racer{number}", str(rounds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": HERE},
        )
        for number in range(8)
    ]

    def all_say():
        return [racer.stdout.readline().strip() for racer in racers]

    def go():
        for racer in racers:
            racer.stdin.write("go\n")
            racer.stdin.flush()

    assert all_say() == ["ready"] * 8
    for _ in range(rounds):
        go()
        assert all_say() == ["seen"] * 8
        go()
        assert sorted(all_say()) == ["lost"] * 7 + ["won"]
    for racer in racers:
        racer.stdin.close()
        assert racer.wait(10) == 0
        racer.stdout.close()
    with opened(place) as repo:
        assert [release.seq for release in repo.chain("support", "prod").releases()] == [1, 2, 3]
        assert fsck(repo) == ()
    assert healthy(place)
    assert not list((place / ".git" / "refs").rglob("*.lock"))
    assert git(place, "rev-list", "--count", PROD) == str(rounds)
    assert not git(place, "for-each-ref", STORE_REF)
