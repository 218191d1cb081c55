"""Canaries: how often their verdicts are wrong (`--simulate`), and how fast events are."""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from llmvc.core.assign import bucket
from llmvc.runtime.assign import Assignment
from llmvc.runtime.events import Log
from llmvc.stats import srm
from llmvc.stats.mixture import factor
from llmvc.traces.adding import summed
from llmvc.traces.sums import Scope
from tests.stats.simulations.live import CELLS, SPENDING, Cell, rates

SALT, BASELINE, CANDIDATE = "0123456789abcdef", "b3:" + "a" * 64, "b3:" + "c" * 64


def simulate(count: int, seed: int) -> None:
    """Prints a row a cell: no change, harm at the bound, twice that."""
    print(f"{count} canaries a figure, seed {seed}")
    head = ("canary", "test", "false fail", "false pass", "pass, no change", "fail, twice", "held")
    print(f"| {' | '.join(head)} |")
    print("|---|---|---|---|---|---|---|")
    for name, cell in CELLS.items():
        planned = {**SPENDING, "first": cell.first * 10}
        for test, one in (("always-valid", cell), ("spending", replace(cell, **planned))):
            _row(name, test, one, count, seed)
    _shares(count * 5, seed)


def _row(name: str, test: str, cell: Cell, count: int, seed: int) -> None:
    bound = cell.rule.margin or cell.rule.limit
    twice = 2 * bound if cell.rule.margin else bound * bound
    same, edge, far = (rates(replace(cell, change=x), count, seed) for x in (0.0, bound, twice))
    # Where a limit is to be broken, harm below it is none: a false fail is one at the limit.
    wrong = same if cell.rule.margin else edge
    figures = (wrong["fail"], edge["pass"], same["pass"], far["fail"], same["always held"])
    print(f"| {name} | {test} | {' | '.join(f'{x:.1%}' for x in figures)} |", flush=True)


def _shares(count: int, seed: int) -> None:
    """Prints how often looks at p < 0.05 and checks of the ratio cry wolf, or find a loss."""
    rng = np.random.default_rng([seed, 1])
    walk = rng.normal(size=(count, 24)).cumsum(axis=1) / np.sqrt(np.arange(1, 25))
    units = np.arange(1, 25) * 250.0
    always = np.array([factor(n, 0.025, tuned=1000) for n in units])
    told = {
        "p < 0.05 at each of 24 looks": np.abs(walk) > 1.96,
        "Bonferroni": np.abs(walk) > 3.078,
        "always-valid": np.abs(walk) > always,
    }
    for name, hits in told.items():
        print(f"{name}: {hits.any(axis=1).mean():.2%} of {count} A/A canaries")
    for loss in (0.0, 0.1):
        ours = rng.binomial(rng.binomial(1000, 0.05, (count, 24)), 1 - loss).cumsum(axis=1)
        theirs = rng.binomial(1000, 0.95, (count, 24)).cumsum(axis=1)
        rows = [
            list(zip(*pair, strict=True))
            for pair in zip(theirs.tolist(), ours.tolist(), strict=True)
        ]
        chi = [any(srm.chi_square(at, 0.05) < 0.001 for at in row) for row in rows]
        bayes = [any(srm.bayes_factor(at, (0.95, 0.05)) > 100 for at in row) for row in rows]
        found = f"chi-square {np.mean(chi):.2%}, Bayes {np.mean(bayes):.2%}"
        print(f"{loss:.0%} of the canary's units lost: {found}")


def write(log: Log, units: int) -> None:
    """Writes an assignment and four calls a unit."""
    for number in range(units):
        unit = f"user-{number}"
        arm = bucket(SALT, unit) < 50_000
        of = Assignment(
            "support", "prod", "canary" if arm else "baseline", CANDIDATE if arm else BASELINE,
            None, 1, SALT, "", not SALT, None, unit, 0.1,
        )  # fmt: skip
        log.assign(of)
        for _ in range(4):
            with log.call(of, provider="openai", model="gpt-5") as call:
                call.usage(input_tokens=500, output_tokens=100)
                call.answered(model="gpt-5-1", finish_reasons=("stop",), refused=False)
                call.cost(0.003, "b3:" + "e" * 64)
                call.context(used_tokens=500, limit_tokens=8000, truncated=False)


def speed(units: int) -> None:
    """Prints the time of an event, of its JSON alone, and the lines a second of an analysis."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        log = Log(path, key=b"k" * 32, most_bytes=1 << 40)
        took = []
        for _ in range(20):
            start = time.process_time()
            write(log, units // 20)
            took.append((time.process_time() - start) / (units // 20 * 5) * 1e6)
        start, cpu = time.perf_counter(), time.process_time()
        sums = summed([path], Scope("support", "prod", SALT, 1, 0, "a" * 12, "c" * 12))
        wall, used = time.perf_counter() - start, time.process_time() - cpu
        print(
            f"an event: {median(took):.1f} us of CPU, least {min(took):.1f}; {log.dropped} dropped"
        )
        rates = f"{sums.lines / wall:,.0f} a second, {sums.lines / used:,.0f} of CPU"
        print(f"{sums.lines:,} lines: {rates}")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulate", action="store_true")
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--units", type=int, default=200_000)
    given = parser.parse_args()
    if given.simulate:
        simulate(given.replications, given.seed)
    else:
        speed(given.units)


if __name__ == "__main__":
    main()
