"""Goals 1 to 3, the other worlds and the exact worst case: one look at a whole suite."""

from dataclasses import dataclass
from typing import Any

from benchmarks.figures.lab import Figure, Job, Lab, at_least, at_most, true
from tests.stats.simulations import exact, oracle, rates
from tests.stats.simulations.alternatives import WORLDS
from tests.stats.simulations.suites import CELLS, Cell

MOST_ERRORS, LEAST_COVERAGE, MOST_RARE = 0.065, 0.88, 0.066
WORST_CASE = 0.067
"""The smallest suites are the worst: 6.6% at 20 cases, 6.4% at 30."""
RUNS = (1, 3, 5)
FAIL_POWER = {30: (0.57, 0.80, 0.83), 100: (0.61, 0.83, 0.89), 500: (0.85, 0.98, 0.99)}
PASS_POWER = {30: (0.27, 0.52, 0.59), 100: (0.29, 0.53, 0.65), 500: (0.44, 0.78, 0.89)}
DESIGNS = ((20, 0.10), (30, 0.10), (60, 0.05), (100, 0.05), (100, 0.10))
NO_DROP = 1e-9


@dataclass(frozen=True)
class Row:
    """What the gate did in one cell: identical arms, churn, at the margin, at twice the margin."""

    cell: Cell
    same: rates.Rates
    churn: rates.Rates
    margin: rates.Rates
    double: rates.Rates


def jobs(cell: Cell) -> list[Job]:
    """Returns the four simulations of a cell, in the order of `Row`."""
    drops = ((0.0, {"churn": 0.0}), (0.0, {}), (cell.margin, {}), (2 * cell.margin, {}))
    return [(rates.gate, (cell, drop), dict(options)) for drop, options in drops]


def cells(lab: Lab) -> list[Row]:
    """Simulates all 18 cells."""
    if "cells" not in lab.known:
        found = lab.run("cells", [job for cell in CELLS for job in jobs(cell)])
        rows = [Row(cell, *found[4 * at : 4 * at + 4]) for at, cell in enumerate(CELLS)]
        lab.known["cells"] = rows
    return list(lab.known["cells"])


def goal_1(lab: Lab) -> list[Figure]:
    """Measures errors and coverage in all 18 cells."""
    rows = cells(lab)
    found = [[row.same, row.churn, row.margin, row.double] for row in rows]
    quiet = [job for cell in CELLS for job in jobs(cell)[:2]]
    fails = lab.worst("fails", quiet, [one for row in found for one in row[:2]], _fails)
    harmed = [jobs(cell)[2] for cell in CELLS]
    passes = lab.worst("passes", harmed, [row[2] for row in found], _passes)
    every = [job for cell in CELLS for job in jobs(cell)]
    misses = lab.worst("misses", every, [one for row in found for one in row], _misses)
    return [
        at_most("1", f"false fail, worst of 18 cells ({_name(fails)})", MOST_ERRORS, *fails[1:]),
        at_most(
            "1",
            f"false pass at the margin, worst of 18 ({_name(passes)})",
            MOST_ERRORS,
            *passes[1:],
        ),
        at_least(
            "1",
            f"coverage of the 90% interval, lowest of 54 ({_name(misses)})",
            LEAST_COVERAGE,
            1.0 - misses[1],
            misses[2],
        ),
    ]


def goal_2(lab: Lab) -> list[Figure]:
    """Measures the power of the binary cells; what comes out below the demand is measured again."""
    found: list[Figure] = []
    for row in cells(lab):
        if row.cell.kind != "binary":
            continue
        at, drawn = RUNS.index(row.cell.k), jobs(row.cell)
        for what, demanded, job, rate, value in (
            ("fail at twice the margin", FAIL_POWER, drawn[3], row.double, _fails),
            ("pass at no change", PASS_POWER, drawn[1], row.churn, _passes),
        ):
            wanted = demanded[row.cell.n][at]
            figure, error = value(rate), rates.error(value(rate), rate.replications)
            if figure < wanted:
                _, figure, error = lab.worst(f"{what} {row.cell}", [job], [rate], value)
            found.append(at_least("2", f"{what}, {row.cell}", wanted, figure, error))
    return found


def goal_3(lab: Lab) -> list[Figure]:
    """Compares with Tango's closed form."""
    found = oracle.differences(lab.seed)
    what = f"distance from Tango's closed form, {len(found):,} tables"
    return [true("3", what, "<= 1e-9", f"{max(found):.1e}", held=max(found) <= 1e-9)]


def worlds(lab: Lab) -> list[Figure]:
    """Measures the errors in the other worlds, and in the exact worst case."""
    quiet: list[Job] = [(rates.gate, (world, 0.0), {}) for world in WORLDS]
    harmed: list[Job] = [(rates.gate, (world, world.margin), {}) for world in WORLDS]
    found = lab.run("worlds", quiet + harmed)
    fails = lab.worst("world fails", quiet, found[: len(quiet)], _fails)
    passes = lab.worst("world passes", harmed, found[len(quiet) :], _passes)
    count = len(WORLDS)
    figures = [
        at_most(
            "worlds", f"false fail, worst of {count} ({_name(fails)})", MOST_ERRORS, *fails[1:]
        ),
        at_most(
            "worlds",
            f"false pass at the margin, worst of {count} ({_name(passes)})",
            MOST_RARE,
            *passes[1:],
        ),
    ]
    for name, designs in (
        ("false pass", DESIGNS),
        ("false fail", tuple((n, NO_DROP) for n in (20, 30, 100))),
    ):
        sums = lab.run("exact", [(_exact, design, {}) for design in designs])
        guarded, plain = (max(pair[at] for pair in sums) for at in (0, 1))
        what = f"{name}, exact worst case over two values ({plain:.1%} without the guard)"
        figures.append(at_most("worlds", what, WORST_CASE, guarded, 0.0))
    return figures


def _exact(n: int, margin: float, **_chance: Any) -> tuple[float, float]:
    """Returns the worst rate with and without the guard: a sum, which needs no seed."""
    return exact.worst(n, margin)[0], exact.worst(n, margin, guarded=False)[0]


def _name(worst: tuple[Job, float, float]) -> str:
    return str(worst[0][1][0])


def _fails(found: rates.Rates) -> float:
    return found.fails


def _passes(found: rates.Rates) -> float:
    return found.passes


def _misses(found: rates.Rates) -> float:
    return 1.0 - found.covers
