"""Times the gate: its tests in one process, and `llmvc gate` as a whole cold process."""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))

from run import ENVIRON, LLMVC, repository, timed

IN_PROCESS = """
import resource, sys, time
import numpy as np
from llmvc.stats import compare
rng = np.random.default_rng(7)
kind, cases, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
level = rng.beta(2, 1, (cases, 1))
if kind == "score":
    arms = [(rng.random((cases, runs)) < level).astype(float) for _ in range(2)]
elif kind == "continuous":
    arms = [np.clip(level + rng.normal(0, 0.1, (cases, runs)), 0, 1) for _ in range(2)]
else:
    arms = [rng.lognormal(0, 0.3, (cases, runs)) * (1 + level) for _ in range(2)]
what = "score" if kind == "continuous" else kind
compare(arms[0][:50], arms[1][:50], margin=0.1, kind=what)
start = time.perf_counter()
compare(arms[0], arms[1], margin=0.05, kind=what)
wall = (time.perf_counter() - start) * 1000
print(wall, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
GOALS = {"score": (100, 150), "continuous": (100, 150), "cost": (100, 150), "latency": (2000, 300)}


def in_process(kind: str, cases: int, runs: int) -> tuple[float, int]:
    """Returns the time of one comparison after import, in milliseconds, and the peak in MB."""
    done = subprocess.run(
        [sys.executable, "-c", IN_PROCESS, kind, str(cases), str(runs)],
        env=ENVIRON, check=True, capture_output=True, text=True,
    )  # fmt: skip
    wall, memory = done.stdout.split()
    return float(wall), int(memory)


def results(path: Path, cases: int, runs: int, seed: int) -> None:
    """Writes one arm's result file."""
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as lines:
        for case in range(cases):
            level = (case * 7919 % 1000) / 1000
            for run in range(runs):
                row = {
                    "case": f"case-{case}",
                    "run": run,
                    "scores": {"quality": float(rng.random() < level)},
                    "cost_usd": round(0.001 + 0.001 * rng.random(), 6),
                    "latency_s": round(0.5 + rng.random(), 3),
                }
                lines.write(json.dumps(row) + "\n")


def in_turn(folder: Path, command: list[str], rounds: int) -> list[float]:
    """Returns the median wall time of a command and of a bare interpreter, and the peak in MB."""
    walls: list[float] = []
    bare: list[float] = []
    memory = 0
    for _ in range(rounds):
        wall, peak = timed(command, folder)
        walls.append(wall)
        memory = max(memory, peak)
        bare.append(timed([sys.executable, "-c", "pass"], folder)[0])
    return [median(walls), median(bare), memory]


def stored_report(folder: Path) -> str:
    """Returns the digest of the report that prod's release carries."""
    shown = subprocess.run(
        [*LLMVC, "log", "support@prod", "--json"],
        cwd=folder, env=ENVIRON, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return str(json.loads(shown.stdout)["releases"][0]["report"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print("| one comparison, 10,000 cases x 10 runs | ms | MB | goal ms | goal MB |")
    print("|---|---|---|---|---|")
    for kind, (goal_ms, goal_mb) in GOALS.items():
        found = [in_process(kind, 10_000, 10) for _ in range(max(3, options.rounds // 3))]
        wall, memory = median(one[0] for one in found), max(one[1] for one in found)
        print(f"| {kind} | {wall:.0f} | {memory} | {goal_ms} | {goal_mb} |")
    print("\n| whole process | median ms | bare python ms | ratio | MB | goal ms |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for arm, seed in (("base", 1), ("new", 2)):
            results(folder / f"{arm}.jsonl", 10_000, 3, seed)
        command = [*LLMVC, "gate", "base.jsonl", "new.jsonl", "--margin", "0.05"]
        row("gate on two files, 10,000 cases x 3", in_turn(folder, command, options.rounds), 1200)
        own = folder / "repository"
        own.mkdir()
        repository(own)
        command = [*LLMVC, "gate", stored_report(own)]
        row("gate on a stored report", in_turn(own, command, options.rounds), 150)


def row(name: str, found: list[float], goal: int) -> None:
    """Prints one line of the table."""
    wall, bare, memory = found
    print(f"| {name} | {wall:.0f} | {bare:.0f} | {wall / bare:.1f} | {memory:.0f} | {goal} |")


if __name__ == "__main__":
    main()
