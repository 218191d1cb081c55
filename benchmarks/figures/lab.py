"""The laboratory of the goal figures: seeds, processes, and what counts as held.

- A job is a function and its arguments; it gets `seed` and `replications` by keyword. Its seed
  follows from the seed given, the name of the figure and the job's place in it, so that a figure
  comes out the same alone and among all.
- A figure is `held` where it meets the demand; `within error` where it misses it by less than two
  Monte Carlo standard errors; else `missed`.
- The worst of many rates is measured again with four times the replications and a seed of its own:
  the largest of 18 noisy figures is larger than the worst rate.
"""

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.stats.simulations import rates

HELD, NEAR, MISSED = "held", "within error", "missed"
HEAD = "| goal | figure | demanded | measured | |\n|---|---|---|---|---|"
AGAIN = 4
ERRORS = 2.0

Job = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    goal: str
    what: str
    demanded: str
    measured: str
    verdict: str


@dataclass(frozen=True)
class Lab:
    """Runs jobs on the processes of a pool.

    Attributes:
        pool: the processes.
        seed: of everything.
        replications: of a job, unless a figure asks for more or fewer.
        known: what figures have in common, such as the 18 cells, so that it is simulated once.
    """

    pool: Executor
    seed: int
    replications: int
    known: dict[str, Any] = field(default_factory=dict)

    def run(self, name: str, jobs: Sequence[Job], *, times: float = 1.0) -> list[Any]:
        """Returns what each job returns, in order; `times` as many replications as asked for."""
        replications = max(1, round(self.replications * times))
        waiting = [
            self.pool.submit(
                partial(function, *arguments, **options),
                replications=replications,
                seed=[self.seed, zlib.crc32(name.encode()), at],
            )
            for at, (function, arguments, options) in enumerate(jobs)
        ]
        return [job.result() for job in waiting]

    def worst(
        self, name: str, jobs: Sequence[Job], found: Sequence[Any], value: Callable[[Any], float]
    ) -> tuple[Job, float, float]:
        """Measures the largest of many rates again.

        Args:
            name: of the figure.
            jobs: what was run.
            found: what each job returned.
            value: the rate in question.

        Returns:
            The job, its rate with four times the replications, and the error of that.
        """
        job = jobs[max(range(len(jobs)), key=lambda at: value(found[at]))]
        (again,) = self.run(f"{name} again", [job], times=AGAIN)
        rate = value(again)
        return job, rate, rates.error(rate, again.replications)


def at_most(goal: str, what: str, bound: float, rate: float, error: float) -> Figure:
    """Judges a rate that must not be above `bound`."""
    verdict = HELD if rate <= bound else NEAR if rate - ERRORS * error <= bound else MISSED
    return Figure(goal, what, f"<= {percent(bound)}", _with_error(rate, error), verdict)


def at_least(goal: str, what: str, bound: float, rate: float, error: float) -> Figure:
    """Judges a rate that must not be below `bound`."""
    verdict = HELD if rate >= bound else NEAR if rate + ERRORS * error >= bound else MISSED
    return Figure(goal, what, f">= {percent(bound)}", _with_error(rate, error), verdict)


def true(goal: str, what: str, demanded: str, measured: str, *, held: bool) -> Figure:
    """Judges what holds or does not, without any Monte Carlo error."""
    return Figure(goal, what, demanded, measured, HELD if held else MISSED)


def note(goal: str, what: str, measured: str) -> Figure:
    """Returns a row that stands beside the others and demands nothing."""
    return Figure(goal, what, "", measured, "")


def percent(rate: float) -> str:
    """Returns a rate in percent with the digits that it needs."""
    return f"{100 * rate:.1f}%".replace(".0%", "%")


def rows(figures: Sequence[Figure]) -> str:
    """Returns the figures as rows of a Markdown table with the head `HEAD`."""
    return "\n".join(
        f"| {f.goal} | {f.what} | {f.demanded} | {f.measured} | {f.verdict} |" for f in figures
    )


def _with_error(rate: float, error: float) -> str:
    return f"{100 * rate:.1f}% ± {100 * error:.1f}"
