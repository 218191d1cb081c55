"""A process killed between any two steps leaves the old or the new state, and can be run again.

A `git` first on PATH counts its calls and kills llmvc before or after the n-th one, for each n
until a run comes through. Runs are forks of one warm process: start-up is not what is tested.
"""

import os
import shutil
import signal
import subprocess
import sys
from functools import partial

import pytest

from tests.support.build import environ

WRAPPER = """#!/bin/sh
n=$(($(cat "$COUNT") + 1))
echo $n > "$COUNT"
if [ $n = "$KILL_AT" ] && [ "$KILL_WHEN" = before ]; then kill -9 $PPID; exit 1; fi
if [ $n = "$KILL_AT" ]; then REAL "$@"; kill -9 $PPID; exit 1; fi
exec REAL "$@"
"""

# argv: the command; stdin: one line a run with folder, count file, n and when.
WARM = """
import os, sys
from llmvc.cli.main import run
import llmvc.app.measuring, llmvc.cli.commands.commit, llmvc.cli.commands.promote
import llmvc.files.manifest, llmvc.files.suite, llmvc.store.packs
print("ready", flush=True)
for line in sys.stdin:
    folder, count, at, when = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update(COUNT=count, KILL_AT=at, KILL_WHEN=when)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os._exit(run(sys.argv[1:]))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def killed(tmp_path):
    """Returns `killed_everywhere` with the killing `git` in place."""
    real = shutil.which("git")
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(WRAPPER.replace("REAL", str(real)))
    wrapper.chmod(0o755)
    return partial(killed_everywhere, tmp_path, f"{wrapper.parent}:{os.environ['PATH']}")


def inside(repo):
    """Returns everything below .git, to tell whether a run left a trace."""
    top = repo.root / ".git"
    return {str(path): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def killed_everywhere(tmp_path, path, repo, when, *command):
    """Yields the repository for every call of git at which the killed command left a trace."""
    with subprocess.Popen(
        [sys.executable, "-c", WARM, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ(PATH=path, PYTHONPATH=":".join(filter(None, sys.path))),
    ) as warm:
        assert warm.stdout.readline() == "ready\n"
        count = tmp_path / "count"
        copy = repo.copy(tmp_path / "killed")
        before = inside(copy)
        for at in range(1, 60):
            count.write_text("0")
            warm.stdin.write(f"{copy.root}\t{count}\t{at}\t{when}\n")
            warm.stdin.flush()
            code = int(warm.stdout.readline())
            if code == 0 and int(count.read_text()) < at:
                break
            # The child that reads objects lives on until the end: killed "after" it is not at all.
            assert code == -signal.SIGKILL or (code == 0 and when == "after"), f"call {at}: {code}"
            if inside(copy) == before:
                continue
            yield copy
            shutil.rmtree(copy.root)
            copy = repo.copy(tmp_path / "killed")
        else:
            raise AssertionError("it never came through")
        warm.stdin.close()
        assert at > 5


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_promote_killed_at_any_call_of_git_can_be_repeated(ready, cli, killed, monkeypatch, when):
    old, new = cli.digest("support@prod"), cli.digest()
    seen = []
    for copy in killed(ready, when, "promote", "support", "prod"):
        monkeypatch.chdir(copy.root)
        seen.append(cli.digest("support@prod"))
        cli("promote", "prod")
        assert cli.digest("support@prod") == new
        assert [item["seq"] for item in cli.json("log", "@prod")["releases"]] == [2, 1]
        assert cli.json("fsck")["problems"] == []
    assert seen
    assert set(seen) <= {old, new}
    assert when == "after" or seen == sorted(seen, key=[old, new].index)


def test_a_commit_killed_at_any_call_of_git_can_be_repeated(repo, cli, killed, monkeypatch):
    repo.prompt("Say the number again.")
    wanted, seen = cli.digest(), []
    for copy in killed(repo, "before", "commit", "-m", "second"):
        monkeypatch.chdir(copy.root)
        seen.append(len(cli.json("log")["versions"]))
        cli("commit", "-m", "second")
        assert wanted in {item["bundle"] for item in cli.json("log")["versions"]}
        assert cli.json("fsck")["problems"] == []
    assert seen
    assert seen == sorted(seen)
    assert set(seen) <= {1, 2}


def test_the_first_release_of_all_killed_at_any_call_can_be_repeated(
    started, cli, killed, monkeypatch
):
    cli("commit", "-m", "first")
    command = ("promote", "support", "prod", "--adopt", "--reason", "runs there")
    for copy in killed(started, "after", *command):
        monkeypatch.chdir(copy.root)
        if not any(ref.startswith("refs/llmvc/env/") for ref in copy.refs()):
            cli(*command)
        assert cli.digest("support@prod") == cli.digest()
        assert cli.json("fsck")["problems"] == []
