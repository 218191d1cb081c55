"""Times whole evals beside a bare interpreter, in one run: start-up, calls, scores and report.

Prints the best of the rounds, and in brackets their median.

python benchmarks/eval.py                    # all, about two minutes
python benchmarks/eval.py --only free,slow   # some
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from timing import BARE, ENVIRON, timed

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
EVAL = [sys.executable, "-c", INSIDE, "-q", "eval", "support"]
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
    "free": World("free", 1000, 3, (), 0.9),
    "slow": World("slow", 1000, 3, ("--concurrency", "50"), 3.24),
    "many": World("slow", 10_000, 1, FAST, 2.6),
    "dask": World("slow", 10_000, 1, (*FAST, "--on", "dask"), 3.4),
}


class Round(NamedTuple):
    """One eval, and a bare interpreter beside it."""

    wall_s: float
    calls_s: float
    user_s: float
    peak_mb: int
    bare_s: float


def measure(world: World, rounds: int) -> list[Round]:
    """Times whole evals, each in a repository of its own."""
    found: list[Round] = []
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            world.build(folder)
            bare = timed(BARE, folder)
            took = timed([*EVAL, *world.options], folder)
            calls = float(took.last_line)
            found.append(Round(took.wall_s, calls, took.user_s, took.peak_mb, bare.wall_s))
    return found[1:]  # the first one compiles


def main() -> None:
    """Measures and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(WORLDS), help=f"of {', '.join(WORLDS)}")
    given = parser.parse_args()
    print("| eval | process s | its calls s | goal s | user CPU s | bare python ms | ratio | MB |")
    print("|---|---|---|---|---|---|---|---|")
    for name in given.only.split(","):
        world = WORLDS[name]
        found = measure(world, given.rounds)
        wall, calls, user, peak, bare = zip(*found, strict=True)
        ratio = statistics.median(one.wall_s / one.bare_s for one in found)
        print(
            f"| {name}: {world.cases:,} x {world.runs} | {told(wall)} | {told(calls)} "
            f"| {world.goal_s:.2f} | {told(user)} | {min(bare) * 1000:.0f} | {ratio:.0f} "
            f"| {max(peak)} |",
            flush=True,
        )


def told(seconds: Sequence[float]) -> str:
    """Returns the best of several times, and their median."""
    return f"{min(seconds):.2f} ({statistics.median(seconds):.2f})"


if __name__ == "__main__":
    main()
