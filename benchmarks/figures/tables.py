"""The tables of section 4: the gate beside what others do, cell by cell. They demand nothing."""

from benchmarks.figures.fixed import cells
from benchmarks.figures.lab import Figure, Job, Lab
from tests.stats.simulations import rates
from tests.stats.simulations.suites import CELLS, Cell

SHOWN = ("single-run threshold", "unpaired z over runs", "paired z over runs", "paired t")
SMALL = tuple(Cell("score", n, 3, 0.08) for n in (20, 30, 50))
NAIVE_SMALL = ("paired t", "percentile bootstrap")
TESTS = {"EL-score": "score", "EL-ratio": "ratio"}
LETTERS = "false fail / false pass / pass at no change / fail at 2x margin / lowest coverage, in %"
SMALL_LETTERS = "false pass at the margin / pass at no change, in %"


def tables(lab: Lab) -> list[Figure]:
    """Prints both tables; there is nothing to hold."""
    print(f"\n{LETTERS}\n\n| cell | {' | '.join(SHOWN)} | EL-score |")
    print("|---|" + "---|" * (len(SHOWN) + 1))
    gate = {row.cell: _cell([row.same, row.churn, row.margin, row.double]) for row in cells(lab)}
    drops = [(0.0, {"churn": 0.0}), (0.0, {}), (1.0, {}), (2.0, {})]
    jobs: list[Job] = [
        (rates.others, (SHOWN, cell, drop * cell.margin), options)
        for cell in CELLS
        for drop, options in drops
    ]
    found = lab.run("naive", jobs)
    for at, cell in enumerate(CELLS):
        four = found[4 * at : 4 * at + 4]
        shown = [_cell([one[name] for one in four]) for name in SHOWN]
        print(
            f"| {cell}, margin {cell.margin:g} | {' | '.join([*shown, gate[cell]])} |", flush=True
        )
    _small(lab)
    return []


def _small(lab: Lab) -> None:
    print(f"\n{SMALL_LETTERS}\n\n| cell | {' | '.join((*NAIVE_SMALL, *TESTS))} |")
    print("|---|" + "---|" * (len(NAIVE_SMALL) + len(TESTS)))
    for cell in SMALL:
        drops = (cell.margin, 0.0)
        harmed, quiet = lab.run(
            "small", [(rates.others, (NAIVE_SMALL, cell, drop), {}) for drop in drops]
        )
        shown = [_pair(harmed[name], quiet[name]) for name in NAIVE_SMALL]
        for test in TESTS.values():
            jobs: list[Job] = [(rates.gate, (cell, drop), {"test": test}) for drop in drops]
            shown.append(_pair(*lab.run("small", jobs)))
        print(f"| {cell}, margin {cell.margin:g} | {' | '.join(shown)} |", flush=True)


def _pair(harmed: rates.Rates, quiet: rates.Rates) -> str:
    return f"{100 * harmed.passes:.1f} / {100 * quiet.passes:.0f}"


def _cell(four: list[rates.Rates]) -> str:
    same, churn, margin, double = four
    figures = (
        f"{100 * max(same.fails, churn.fails):.1f}",
        f"{100 * margin.passes:.1f}",
        f"{100 * churn.passes:.0f}",
        f"{100 * double.fails:.0f}",
        f"{100 * min(rate.covers for rate in four):.0f}",
    )
    return " / ".join(figures)
