"""Goals 4 and 5: planned looks and the any-time test, beside peeking with the test for one look."""

from benchmarks.figures.lab import Figure, Job, Lab, at_most, note, true
from tests.stats.simulations import sequential
from tests.stats.simulations.suites import CELLS, Cell

LOOKS = (0.25, 0.5, 0.75, 1.0)
FEW_LOOKS = (0.7, 1.0)
"""For 30 cases: a look at fewer than 20 says nothing."""
MOST_ERRORS, MOST_USED, MOST_LOSS, MOST_ANYTIME = 0.065, 0.65, 0.03, 0.05
LARGE = Cell("binary", 500, 3, 0.03)


def goal_4(lab: Lab) -> list[Figure]:
    """Measures errors, cases used and power of planned looks."""
    quiet: list[Job] = [(sequential.planned, (cell, _looks(cell), 0.0), {}) for cell in CELLS]
    harmed: list[Job] = [
        (sequential.planned, (cell, _looks(cell), cell.margin), {}) for cell in CELLS
    ]
    found = lab.run("looks", quiet + harmed)
    fails = lab.worst("look fails", quiet, found[: len(CELLS)], _fails)
    passes = lab.worst("look passes", harmed, found[len(CELLS) :], _passes)
    return [
        at_most("4", f"false fail, worst of 18 cells ({fails[0][1][0]})", MOST_ERRORS, *fails[1:]),
        at_most("4", f"false pass, worst of 18 ({passes[0][1][0]})", MOST_ERRORS, *passes[1:]),
        *_power(lab),
    ]


def _power(lab: Lab) -> list[Figure]:
    """Compares with one look at the end, on the same draws."""
    wide = [cell for cell in CELLS if cell.n >= 100]
    figures: list[Figure] = []
    for what, margins, value in (
        ("pass at no change", 0.0, _passes),
        ("fail at twice the margin", 2.0, _fails),
    ):
        jobs: list[Job] = [
            (sequential.lost, (cell, LOOKS, margins * cell.margin), {}) for cell in wide
        ]
        found = lab.run(what, jobs)
        worst = lab.worst(what, jobs, found, value)
        label = f"power lost, {what}, most of 12 cells ({worst[0][1][0]})"
        figures.append(at_most("4", label, MOST_LOSS, *worst[1:]))
        if margins:
            # A share between a quarter and 1 has a standard deviation of at most 3/8.
            used, error = found[wide.index(LARGE)].used, 0.375 / lab.replications**0.5
            label = f"cases used at twice the margin, {LARGE}"
            figures.append(at_most("4", label, MOST_USED, used, error))
    return figures


def goal_5(lab: Lab) -> list[Figure]:
    """Measures the errors of the any-time test with a look at every case, and peeking beside it."""
    quiet: list[Job] = [(sequential.anytime, (cell, 0.0), {}) for cell in CELLS]
    harmed: list[Job] = [(sequential.anytime, (cell, cell.margin), {}) for cell in CELLS]
    found = lab.run("any-time", quiet + harmed)
    fails = lab.worst("any-time fails", quiet, found[: len(CELLS)], _fails)
    passes = lab.worst("any-time passes", harmed, found[len(CELLS) :], _passes)
    apart = max(sequential.disagreement(cell, cell.margin, lab.seed) for cell in CELLS)
    (power,) = lab.run("any-time power", [(sequential.anytime, (LARGE, 2 * LARGE.margin), {})])
    looks = tuple(n / LARGE.n for n in range(30, LARGE.n + 1, 10))
    peeked = lab.run(
        "peeking",
        [(sequential.peeking, (LARGE, looks, drop), {}) for drop in (0.0, LARGE.margin)],
        times=0.25,
    )
    return [
        at_most("5", f"false fail, worst of 18 cells ({fails[0][1][0]})", MOST_ANYTIME, *fails[1:]),
        at_most("5", f"false pass, worst of 18 ({passes[0][1][0]})", MOST_ANYTIME, *passes[1:]),
        true(
            "5",
            "the shipped e-values, relative distance from those simulated",
            "<= 1e-9",
            f"{apart:.1e}",
            held=apart <= 1e-9,
        ),
        note(
            "5",
            f"the same at twice the margin, {LARGE}: fails, on how many of the cases",
            f"{power.fails:.0%}, on {power.used:.0%}",
        ),
        note(
            "5",
            f"false fail and false pass if the fixed test is made every 10 cases, {LARGE}",
            f"{peeked[0].fails:.0%}, {peeked[1].passes:.0%}",
        ),
    ]


def _looks(cell: Cell) -> tuple[float, ...]:
    return FEW_LOOKS if cell.n < 40 else LOOKS


def _fails(found: sequential.Stopped) -> float:
    return found.fails


def _passes(found: sequential.Stopped) -> float:
    return found.passes
