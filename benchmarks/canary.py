"""Canaries: how often their verdicts are wrong (`--simulate`), and how fast events are."""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from llmvc.core.bucket import bucket
from llmvc.runtime.assign import Assignment
from llmvc.runtime.events import Log
from llmvc.stats import srm
from llmvc.stats.mixture import factor
from llmvc.traces.adding import summed
from llmvc.traces.sums import Scope
from tests.stats.simulations import family
from tests.stats.simulations.family import EDGE, NOTHING, SAME, Family
from tests.stats.simulations.live import CELLS, HEAVIER, HEAVY, RUNAWAY, SPENDING, Cell, rates

SALT, BASELINE, CANDIDATE = "0123456789abcdef", "b3:" + "a" * 64, "b3:" + "c" * 64
FIVE, TWENTY = 50_000, 200_000
"""Shares in ppm."""
BOTH = {"always-valid": {}, "spending": {"test": "spending", "looks": 5}}


def simulate(count: int, seed: int, workers: int) -> None:
    """Prints all that docs/canary-statistics.md says of errors, in its order."""
    print(f"{count} canaries a figure, {2 * count} where costs are judged; seed {seed}")
    rows = [
        (name, test, replace(cell, **({} if test == "always-valid" else _planned(cell))))
        for name, cell in CELLS.items()
        for test in BOTH
    ]
    rows += [
        ("heavier tail in the canary", "always-valid", HEAVIER),
        ("heavy tail, no room for it", "always-valid", replace(HEAVY, room=False)),
        ("heavier tail, no room for it", "always-valid", replace(HEAVIER, room=False)),
    ]
    families = [(test, alike) for test in BOTH for alike in (0.0, 0.7)]
    with ProcessPoolExecutor(workers) as pool:
        kin = [pool.submit(_family, *one, count, seed) for one in families]
        cells = [
            pool.submit(_cell, *row, count * (1 + (row[-1].rule.metric == "cost")), seed)
            for row in rows
        ]
        rest = [pool.submit(_runaways, count, seed)]
        rest += [pool.submit(act, 5 * count, seed) for act in (_looks, _ratio)]
        rest.append(pool.submit(_buckets, count, seed))
        head = "canary | test | false fail | false pass | pass, no change | fail, twice | held"
        for title, found in ((head, cells), (FAMILY, kin), ("", rest)):
            print(f"| {title} |\n|{'---|' * (title.count('|') + 1)}" if title else "")
            for row in found:
                print(row.result(), flush=True)


def _planned(cell: Cell) -> dict[str, Any]:
    return {**SPENDING, "first": cell.first * 10}


def _cell(name: str, test: str, cell: Cell, count: int, seed: int) -> str:
    """Returns a row: no change, harm at the bound, twice that."""
    bound = cell.rule.margin or cell.rule.limit or 1.0
    twice = 2 * bound if cell.rule.margin else bound * bound
    same, edge, far = (rates(replace(cell, change=x), count, seed) for x in (0.0, bound, twice))
    # Where a limit is to be broken, harm below it is none: a false fail is one at the limit.
    wrong = same if cell.rule.margin else edge
    figures = (wrong["fail"], edge["pass"], same["pass"], far["fail"], same["always held"])
    return f"| {name} | {test} | {' | '.join(f'{x:.1%}' for x in figures)} |"


FAMILY = "test | alike | false fail | false pass, one | all | pass, no change | fail, one | two"


def _family(test: str, alike: float, count: int, seed: int) -> str:
    """Returns a row: three guardrails that belong together."""
    of = Family(alike=alike, **BOTH[test], first=100 if test == "always-valid" else 1000)

    def at(*change: float) -> dict[str, float]:
        return family.rates(replace(of, change=change), count, seed)

    far, dear, _ = (2 * EDGE[0], EDGE[1] ** 2, 1.0)
    figures = (
        at(*NOTHING)["false fail"],
        at(EDGE[0], 1.0, 1.0)["pass"],
        at(*EDGE)["pass"],
        at(*SAME)["pass"],
        at(far, 1.0, 1.0)["fail"],
        at(far, dear, 1.0)["fail"],
    )
    return f"| {test} | {alike} | {' | '.join(f'{x:.1%}' for x in figures)} |"


def _runaways(count: int, seed: int) -> str:
    """Tells of a candidate of which one unit in a hundred runs away."""
    found = [rates(replace(RUNAWAY, room=room), count, seed) for room in (True, False)]
    told = "; ".join(f"passes {one['pass']:.1%}, fails {one['fail']:.1%}" for one in found)
    return f"1 unit in 100 at 30 times the cost: {told} without room for a tail"


def _looks(count: int, seed: int) -> str:
    """Tells how often 24 looks at nothing cry wolf."""
    rng = np.random.default_rng([seed, 1])
    walk = rng.normal(size=(count, 24)).cumsum(axis=1) / np.sqrt(np.arange(1, 25))
    always = np.array([factor(n, 0.025, tuned=1000) for n in np.arange(1, 25) * 250.0])
    told = {"p < 0.05": 1.96, "Bonferroni": 3.078, "always-valid": always}
    hits = {name: (np.abs(walk) > z).any(axis=1).mean() for name, z in told.items()}
    return "24 looks: " + ", ".join(f"{name} {share:.1%}" for name, share in hits.items())


def _ratio(count: int, seed: int) -> str:
    """Tells how often checks of the sample ratio at 24 looks cry wolf, and find a loss."""
    rng, told = np.random.default_rng([seed, 2]), []
    for loss in (0.0, 0.1):
        ours = rng.binomial(rng.binomial(1000, 0.05, (count, 24)), 1 - loss).cumsum(axis=1)
        theirs = rng.binomial(1000, 0.95, (count, 24)).cumsum(axis=1)
        rows = [
            list(zip(*pair, strict=True))
            for pair in zip(theirs.tolist(), ours.tolist(), strict=True)
        ]
        chi = [any(srm.chi_square(at, 0.05) < 0.001 for at in row) for row in rows]
        bayes = [any(srm.bayes_factor(at, (0.95, 0.05)) > 100 for at in row) for row in rows]
        told.append(f"{loss:.0%} lost: chi-square {np.mean(chi):.2%}, Bayes {np.mean(bayes):.2%}")
    return f"sample ratio: {'; '.join(told)}"


def _buckets(count: int, seed: int) -> str:
    """Tells whether widening keeps units, and whether new salts draw anew."""
    units, salts = 20_000, max(2, count // 20)
    drawn = np.array(
        [[bucket(f"{seed}-{salt}", f"u{unit}") for unit in range(units)] for salt in range(salts)]
    )
    kept = (drawn[drawn < FIVE] < TWENTY).mean()
    share = (drawn < FIVE).mean(axis=1)
    z = (share - 0.05) / np.sqrt(0.05 * 0.95 / units)
    again = ((drawn[:-1] < FIVE) & (drawn[1:] < FIVE)).mean()
    return (
        f"{salts} salts, {units} units: {kept:.2%} kept from 5% to 20%; shares of 5% have z with "
        f"standard deviation {z.std():.2f}; {again:.3%} are in two salts' 5%"
    )


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
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--units", type=int, default=200_000)
    given = parser.parse_args()
    if given.simulate:
        simulate(given.replications, given.seed, given.workers)
    else:
        speed(given.units)


if __name__ == "__main__":
    main()
