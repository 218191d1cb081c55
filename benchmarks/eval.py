"""Times whole evals beside a bare interpreter, in one run: start-up, calls, scores and report.

python benchmarks/eval.py                    # all, about a minute and a half
python benchmarks/eval.py --only free,slow   # some
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# llmvc as ever, but that the last line on stderr says how long the calls took, imports apart.
INSIDE = """
import sys, time
from llmvc.evals import runner
from llmvc.cli.main import main
inner = runner.run
def run(*given, **named):
    start = time.perf_counter()
    try:
        return inner(*given, **named)
    finally:
        print(time.perf_counter() - start, file=sys.stderr)
runner.run = run
main()
"""
LLMVC = [sys.executable, "-c", INSIDE]
ENVIRON = {
    # Without PYTHON*: a process that may not keep its bytecode compiles all sources every time.
    **{key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Bench",
    "GIT_AUTHOR_EMAIL": "bench@example.org",
    "GIT_COMMITTER_NAME": "Bench",
    "GIT_COMMITTER_EMAIL": "bench@example.org",
}
MODELS = """\
import asyncio

ANSWER = {"output": "ok", "usage": {"input_tokens": 9, "output_tokens": 1}}


def free(request):
    return ANSWER


async def slow(request):
    await asyncio.sleep(0.05)
    return ANSWER
"""
CONFIG = """\
llmvc: 1
environments: {prod: {}}
providers:
  model: {kind: python, function: "models.py:%s", self_hosted: true}
"""
MANIFEST = """\
llmvc: 1
kind: app
name: support
model: {provider: model, id: m-1}
messages:
  - {role: system, content: "Reply ok."}
  - {role: user, content: "{{message}}"}
"""
SUITE = """\
llmvc: 1
bundle: support
dataset: cases.jsonl
runs: %d
scorers: [{name: exact, type: equals}]
metrics: {quality: {scorers: [exact], margin: 0.05, floor: 0.5}}
"""


@dataclass(frozen=True)
class World:
    """One eval to time, and what it may take."""

    model: str
    cases: int
    runs: int
    options: tuple[str, ...]
    ideal_s: float
    goal_s: float

    def build(self, folder: Path) -> None:
        """Writes a repository with a bundle that was never measured."""
        rows = (
            json.dumps({"id": f"c{at}", "vars": {"message": f"m{at}"}, "expected": "ok"})
            for at in range(self.cases)
        )
        for path, text in {
            ".llmvc/config.yaml": CONFIG % self.model,
            "models.py": MODELS,
            "prompts/support/bundle.yaml": MANIFEST,
            "evals/support/suite.yaml": SUITE % self.runs,
            "evals/support/cases.jsonl": "\n".join(rows) + "\n",
        }.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "start"]):
            subprocess.run(["git", *command], cwd=folder, env=ENVIRON, check=True)


FAST = ("--concurrency", "256")
WORLDS = {
    "free": World("free", 1000, 3, (), 0.0, 0.9),
    "slow": World("slow", 1000, 3, ("--concurrency", "50"), 3.0, 3.24),
    "many": World("slow", 10_000, 1, FAST, 2.0, 2.6),
    "dask": World("slow", 10_000, 1, (*FAST, "--on", "dask"), 2.0, 3.4),
}


def timed(command: list[str], folder: Path) -> tuple[float, float, int]:
    """Returns the wall seconds of one process and of its calls, and its peak memory in MB."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            command, cwd=folder, env=ENVIRON, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(child.pid, 0)
        took = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        last = said.read().split("\n")[-2:][0]
    if child.returncode:
        sys.exit(f"{' '.join(command)} ended with {child.returncode}: {last}")
    return took, float(last or 0), usage.ru_maxrss // 1024


def measure(world: World, rounds: int) -> tuple[float, float, float, int]:
    """Returns median wall seconds of the eval, its calls, and bare interpreters; and peak MB."""
    found: list[tuple[float, float, float]] = []
    peak = 0
    for at in range(rounds + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            world.build(folder)
            idle, _, _ = timed([sys.executable, "-c", "pass"], folder)
            wall, calls, memory = timed([*LLMVC, "-q", "eval", "support", *world.options], folder)
        if at:  # the first one compiles
            found.append((wall, calls, idle))
            peak = max(peak, memory)
    wall, calls, idle = (statistics.median(column) for column in zip(*found, strict=True))
    return wall, calls, idle, peak


def main() -> None:
    """Measures and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(WORLDS), help=f"of {', '.join(WORLDS)}")
    given = parser.parse_args()
    print("| eval | process s | its calls s | ideal s | goal s | bare python ms | ratio | MB |")
    print("|---|---|---|---|---|---|---|---|")
    for name in given.only.split(","):
        world = WORLDS[name]
        took, calls, bare, peak = measure(world, given.rounds)
        print(
            f"| {name}: {world.cases:,} x {world.runs} | {took:.2f} | {calls:.2f} "
            f"| {world.ideal_s:.1f} | {world.goal_s:.2f} | {bare * 1000:.0f} "
            f"| {took / bare:.0f} | {peak} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
