"""Times rollbacks from the start of the command to the last of many real processes.

    python benchmarks/fleet.py                    # 20 processes, 5 rounds, all three ways
    python benchmarks/fleet.py --only folder --processes 4 --rounds 2

Each process has a client of its own and says by heartbeat when it took which release. The time is
that of the last one, as `llmvc rollback --wait` proves it, less that at which the command began.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from run import ENVIRON, LLMVC, edit, repository, run, timed

WORKER = """
import sys, time
from llmvc import runtime
client = runtime.open(sys.argv[1], heartbeats=sys.argv[2])
while sys.stdin.read(1):
    pass
client.close()
"""
GOALS_S = {"folder": 0.5, "agent": 5.0, "http": 5.0}
PORT = 8917


@contextmanager
def children(*commands: list[str], folder: Path) -> Iterator[None]:
    """Runs processes beside; they end when their standard input does."""
    started = [
        subprocess.Popen(
            command,
            cwd=folder,
            env=ENVIRON | {"PYTHONPATH": str(Path.cwd())},
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        yield
    finally:
        for child in started:
            child.terminate()
        for child in started:
            child.wait()


def told(folder: Path, *command: str) -> dict[str, object]:
    """Returns what a command prints as JSON; exit 3 is an answer, too."""
    done = subprocess.run(
        [*LLMVC, *command, "--json"], cwd=folder, env=ENVIRON, capture_output=True, check=False
    )
    if done.returncode not in (0, 3):
        sys.exit(f"{' '.join(command)}: {done.stderr.decode()}")
    found: dict[str, object] = json.loads(done.stdout)
    return found


def seconds(text: object) -> float:
    return datetime.fromisoformat(str(text)).timestamp()


def once(repo: Path, at: int, way: str) -> tuple[float, float]:
    """Returns seconds from the start of a rollback to the last process, and to its own end."""
    edit(repo, f"{way} {at}")
    run(repo, *LLMVC, "commit", "support", "-m", "x")
    run(repo, *LLMVC, "-q", "override", "support", "prod", "--reason", "bench")
    if way == "folder":
        run(repo, *LLMVC, "-q", "snapshot")
    else:
        run(repo, *LLMVC, "-q", "push")
    before = told(repo, "fleet", "support", "prod", "--wait", "30")
    if not before["proven"]:
        sys.exit(f"the fleet did not take the release: {before}")
    push = ["--no-push"] if way == "folder" else []
    start = time.time()
    found = told(repo, "rollback", "support", "prod", "--wait", "30", *push)["fleet"]
    took = time.time() - start
    assert isinstance(found, dict)
    if not found["proven"]:
        sys.exit(f"the fleet did not follow the rollback: {found}")
    return seconds(found["last_left"]) - start, took


def measure(top: Path, way: str, processes: int, rounds: int) -> list[tuple[float, float]]:
    """Returns seconds to the last process and to the end of `rollback --wait`, for each round."""
    repo, served, remote, node = (top / name for name in ("repo", "served", "remote", "node"))
    repo.mkdir()
    repository(repo)
    subprocess.run(["git", "config", "llmvc.fleet", str(served)], cwd=repo, check=True)
    agent: list[list[str]] = []
    source = str(served)
    if way == "folder":
        subprocess.run(["git", "config", "llmvc.snapshot", str(served)], cwd=repo, check=True)
        run(repo, *LLMVC, "-q", "snapshot")
    else:
        run(top, "git", "init", "--quiet", "--bare", str(remote))
        run(repo, "git", "remote", "add", "origin", str(remote))
        run(repo, *LLMVC, "-q", "push")
        run(top, "git", "init", "--quiet", "--bare", str(node))
        run(node, "git", "remote", "add", "origin", str(remote))
        run(node, *LLMVC, "-q", "agent", "--to", str(served), "--once")
        agent = [[*LLMVC, "-C", str(node), "agent", "--to", str(served), "--every", "2s"]]
        if way == "http":
            agent[0] += ["--http", str(PORT)]
            source = f"http://127.0.0.1:{PORT}"
    with children(*agent, folder=top):
        if way == "http":
            time.sleep(2)
        worker = [sys.executable, "-c", WORKER, source, source]
        with children(*[worker] * processes, folder=top):
            time.sleep(1 + processes / 4)
            return [once(repo, at, way) for at in range(rounds)]


def alone(top: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Returns ms of rollbacks that write a snapshot, and of bare interpreters beside them."""
    repo = top / "repo"
    repo.mkdir()
    repository(repo)
    run(repo, "git", "config", "llmvc.snapshot", str(top / "served"))
    times: list[float] = []
    bares: list[float] = []
    for at in range(rounds + 1):
        edit(repo, f"alone {at}")
        run(repo, *LLMVC, "commit", "support", "-m", "x")
        run(repo, *LLMVC, "-q", "override", "support", "prod", "--reason", "bench")
        bare, _ = timed([sys.executable, "-c", "pass"], repo)
        took, _ = timed([*LLMVC, "rollback", "support", "prod", "--no-push"], repo)
        if at:
            times.append(took)
            bares.append(bare)
    return times, bares


def main() -> None:
    """Measures and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=sorted([*GOALS_S, "alone"]))
    given = parser.parse_args()
    print(f"{given.processes} processes, {given.rounds} rounds\n")
    print("| way | last process, p50 s | max s | command with --wait, p50 s | goal s |")
    print("|---|---|---|---|---|")
    for way, goal in GOALS_S.items():
        if given.only not in (None, way):
            continue
        with tempfile.TemporaryDirectory() as name:
            found = measure(Path(name), way, given.processes, given.rounds)
        last, took = zip(*found, strict=True)
        middle = statistics.median
        print(f"| {way} | {middle(last):.2f} | {max(last):.2f} | {middle(took):.2f} | {goal} |")
    if given.only in (None, "alone"):
        with tempfile.TemporaryDirectory() as name:
            times, bares = alone(Path(name), given.rounds)
        print()
        for name_of, middle in (("median", statistics.median), ("best", min)):
            told = f"{middle(times):.0f} ms (goal 300), bare python {middle(bares):.0f} ms beside"
            print(f"rollback alone, {name_of}: {told}")


if __name__ == "__main__":
    main()
