"""Times llmvc's commands as cold processes beside a bare interpreter, in one run."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from llmvc.core import release
from llmvc.core.digest import Digest
from llmvc.store.repository import Repository

sys.path.insert(0, str(Path(__file__).resolve().parent))

import timing
from timing import BARE, ENVIRON, LLMVC

GOALS_MS = {
    "--version": 100,
    "--help": 100,
    "resolve support@prod": 120,
    "status": 250,
    "log support@prod": 250,
    "rollback support prod --no-push": 200,
    "commit support": 350,
    "promote support prod": 350,
}
ANSWER = """def answer(request):
    return {"output": "ok", "usage": {"input_tokens": 9, "output_tokens": 1}}
"""


def timed(command: Sequence[str], folder: Path) -> tuple[float, int]:
    """Returns the wall time of one process in milliseconds, and its peak memory in MB."""
    took = timing.timed(command, folder)
    return took.wall_s * 1000, took.peak_mb


def run(folder: Path, *command: str) -> None:
    """Runs a command that is not measured."""
    subprocess.run(command, cwd=folder, env=ENVIRON, check=True, stdout=subprocess.DEVNULL)


def repository(folder: Path) -> None:
    """Makes a repository with a bundle that prod serves."""
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    run(folder, *LLMVC, "-q", "new", "support")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "start")
    run(folder, *LLMVC, "commit", "support", "-m", "first")
    run(folder, *LLMVC, "-q", "eval", "support")
    run(folder, *LLMVC, "promote", "support", "prod")


def edit(folder: Path, text: str) -> None:
    """Changes the prompt, which the stand-in's answers do not depend on."""
    (folder / "prompts/support/system.md").write_text(f"Reply with the order number. {text}")


def grow(folder: Path, count: int) -> None:
    """Appends releases that switch between two bundles, as a long-lived environment has."""
    edit(folder, "second")
    run(folder, *LLMVC, "commit", "support", "-m", "second")
    run(folder, *LLMVC, "override", "support", "prod", "--reason", "bench")
    with Repository.open(folder) as repo:
        chain = repo.chain("support", "prod")
        for _ in range(count):
            tip = chain.tip()
            assert tip is not None
            last = tip.release
            wanted = Digest(str(last.from_))
            move = release.Move(
                "override", wanted, last.policy, last.source, last.time, last.actor, "bench"
            )
            following = release.append(last, move, bundle="support", env="prod")
            blobs = {
                "bundle.json": repo.versions.read(wanted) or b"",
                "policy.json": chain.blob("policy.json") or b"",
                "suite.json": chain.blob("suite.json") or b"",
            }
            chain.append(tip, following, blobs, author="Bench <b@x>", time=datetime.now(UTC))
    run(folder, "git", "gc", "--quiet")


def foreign_refs(folder: Path, count: int) -> None:
    """Adds packed refs that are not ours."""
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()
    lines = "".join(f"create refs/foreign/{at:06} {head}\n" for at in range(count))
    subprocess.run(["git", "update-ref", "--stdin"], cwd=folder, input=lines, text=True, check=True)
    run(folder, "git", "pack-refs", "--all")


def measure(folder: Path, rounds: int) -> list[tuple[str, float, float, float, float]]:
    """Returns (command, median ms, median ms of a bare interpreter beside it, ratio, goal ms)."""
    rows: list[tuple[str, float, float, float, float]] = []
    for line, goal in GOALS_MS.items():
        before = PREPARE.get(line, lambda *_: None)
        times: list[float] = []
        bares: list[float] = []
        ratios: list[float] = []
        for at in range(rounds + 1):
            before(folder, at)
            bare, _ = timed(BARE, folder)
            took, _ = timed([*LLMVC, *line.split()], folder)
            if at:
                times.append(took)
                bares.append(bare)
                ratios.append(took / bare)
        middle = statistics.median
        rows.append((line, middle(times), middle(bares), middle(ratios), goal))
    return rows


def _before_commit(folder: Path, at: int) -> None:
    edit(folder, f"commit {at}")


def _before_promote(folder: Path, at: int) -> None:
    edit(folder, f"promote {at}")
    run(folder, *LLMVC, "commit", "support", "-m", "x")
    run(folder, *LLMVC, "-q", "eval", "support")


def _before_rollback(folder: Path, at: int) -> None:
    edit(folder, f"rollback {at}")
    run(folder, *LLMVC, "commit", "support", "-m", "x")
    run(folder, *LLMVC, "override", "support", "prod", "--reason", "bench")


PREPARE: dict[str, Callable[[Path, int], None]] = {
    "commit support": _before_commit,
    "promote support prod": _before_promote,
    "rollback support prod --no-push": _before_rollback,
}


def evaluation(folder: Path, cases: int) -> tuple[float, int]:
    """Returns wall seconds and peak MB of a whole eval of `cases` x 3 runs with a free provider."""
    rows = [
        json.dumps({"id": f"c{at}", "vars": {"message": f"m{at}"}, "expected": "ok"})
        for at in range(cases)
    ]
    (folder / "evals/support/cases.jsonl").write_text("\n".join(rows) + "\n")
    (folder / ".llmvc/stand_in.py").write_text(ANSWER)
    run(folder, "git", "commit", "--quiet", "--all", "--message", "bench")
    took, memory = timed([*LLMVC, "-q", "eval", "support", "--env", "staging"], folder)
    return took / 1000, memory


def main() -> None:
    """Builds, measures, prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--releases", type=int, default=1000)
    parser.add_argument("--foreign-refs", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository(folder)
        grow(folder, given.releases)
        if given.foreign_refs:
            foreign_refs(folder, given.foreign_refs)
        print(f"{given.releases} releases, {given.foreign_refs} foreign refs\n")
        print("| command | median ms | bare python ms | ratio | goal ms |\n|---|---|---|---|---|")
        for line, took, bare, ratio, goal in measure(folder, given.rounds):
            print(f"| `{line}` | {took:.0f} | {bare:.0f} | {ratio:.1f} | {goal:.0f} |")
        seconds, memory = evaluation(folder, 1000)
        print(f"| `eval`, 1,000 cases x 3 | {seconds * 1000:.0f} | | | 2000 |")
        print(f"\neval: {seconds:.2f} s, {memory} MB (goal 2 s, 150 MB)")


if __name__ == "__main__":
    main()
