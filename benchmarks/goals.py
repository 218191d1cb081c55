"""Recomputes the goal figures of the gate's statistics with the seed that you give.

    python benchmarks/goals.py                      # all, about a quarter of an hour on two cores
    python benchmarks/goals.py --only 1,cost --replications 1000 --seed 7

Prints Markdown: goal, demand, figure with its Monte Carlo standard error, and whether it is held.
`within error` is a miss by less than two standard errors. Exit code 1 if a figure is missed.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path

# One thread a process: the processes share the cores among them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

GOALS = {
    "1": "fixed.goal_1",
    "2": "fixed.goal_2",
    "3": "fixed.goal_3",
    "4": "early.goal_4",
    "5": "early.goal_5",
    "6": "real.goal_6",
    "7": "judges.goal_7",
    "8": "judges.goal_8",
    "9": "practical.goal_9",
    "10": "practical.goal_10",
    "worlds": "fixed.worlds",
    "cost": "practical.costs",
    "latency": "practical.latencies",
    "groups": "practical.groups",
    "tables": "tables.tables",
}


def main() -> int:
    """Runs the goals asked for and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the clock")
    parser.add_argument("--replications", type=int, default=3000)
    parser.add_argument("--only", default=",".join(GOALS), help=f"of {', '.join(GOALS)}")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    wanted = given.only.split(",")
    if unknown := [name for name in wanted if name not in GOALS]:
        parser.error(f"no goal is called {', '.join(unknown)}")
    lab = import_module("benchmarks.figures.lab")
    print(f"seed {given.seed}, {given.replications:,} replications\n", flush=True)
    figures = []
    with ProcessPoolExecutor(given.processes) as pool:
        bench = lab.Lab(pool, given.seed, given.replications)
        print(lab.HEAD, flush=True)
        for name in wanted:
            module, function = GOALS[name].split(".")
            start = time.perf_counter()
            found = getattr(import_module(f"benchmarks.figures.{module}"), function)(bench)
            figures += found
            print(lab.rows(found), flush=True)
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    missed = sum(figure.verdict == lab.MISSED for figure in figures)
    print(f"\n{missed} of {sum(bool(figure.verdict) for figure in figures)} figures missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
