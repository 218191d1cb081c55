"""The least numbers: how many cases any verdict takes, and how many one that passes takes.

- Each is what it takes if nothing differs and nothing is noise; real suites need more.
- Scores are in [0, 1], margins and floors too; numbers of cases are numbers of equal units.
- A number above `MOST_CASES` stands for "more than that": nobody searched further.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, exp, expm1, log, log1p, sqrt
from statistics import NormalDist
from typing import Final

LEAST_CASES: Final = 20
LEAST_GROUPS: Final = 15
LEAST_COST_UNITS: Final = 50
FEW_COST_UNITS: Final = 100
LEAST_TAIL_RUNS: Final = 10
"""A quantile of latency needs this many runs of an arm beyond it."""
MOST_CASES: Final = 10**8
STAKES: Final = (0.02, 0.04, 0.07, *(at / 20 for at in range(2, 20)))
"""Those of the betting test, which is read at any time."""
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Draw:
    """What one metric's comparison draws on.

    Attributes:
        units: cases, or the effective number of groups.
        variance: of the per-case difference of scores in [0, 1]; 0 gives a chance of 0 or 1.
        level: one-sided error rate.
        test: the test of the score.
    """

    units: float
    variance: float
    level: float
    test: str = "el-score"


def pass_chance(draw: Draw, margin: float) -> float:
    """Returns the chance that an unchanged candidate passes (statistics.md section 9).

    Noise and the end point that a small sample cannot rule out are two hurdles; their sum in the
    sixth power follows simulations within a few points (`stats.power.pass_power` is the same).

    Args:
        draw: units, variance, level and test.
        margin: the largest drop that may pass, in (0, 1).
    """
    t = student_quantile(1 - draw.level, draw.units - 1)
    error = sqrt(draw.variance / draw.units)
    share = t * t / draw.units
    unseen = (expm1(share / 2) if draw.test == "el-ratio" else share) * (1 - margin)
    room = margin - ((t * error) ** 6 + unseen**6) ** (1 / 6)
    if not error:
        return float(room > 0)
    return _NORMAL.cdf(room / error)


def student_quantile(level: float, df: float) -> float:
    """Returns Student's quantile by its expansion at the normal one.

    Abramowitz and Stegun 26.7.5; exact to 3e-4 from 14 degrees of freedom at levels up to 0.99.
    """
    z = _NORMAL.inv_cdf(level)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / df**power for power, term in enumerate(terms, start=1))


def cases_for_margin(margin: float, draw: Draw, chance: float) -> int:
    """Returns how many cases give an unchanged candidate a chance to pass.

    Args:
        margin: the largest drop that may pass, in (0, 1).
        draw: variance, level and test; its units do not count.
        chance: the one that is wanted; without variance any is as good.
    """
    return smallest_n(lambda n: pass_chance(replace(draw, units=n), margin) >= chance)


def cases_for_bets(margin: float, level: float) -> int:
    """Returns how many cases without any difference the betting test takes at any time.

    Each gains the bettor with the stake g the factor 1 + g margin / (1 - margin).

    Args:
        margin: the largest drop that may pass, in (0, 1).
        level: one-sided error rate; the mean capital must exceed its inverse.
    """
    gains = [log1p(stake * margin / (1 - margin)) for stake in STAKES]
    goal = log(len(STAKES) / level)

    def enough(n: int) -> bool:
        top = n * gains[-1]
        return top + log(sum(exp(n * gain - top) for gain in gains)) > goal

    return smallest_n(enough)


def cases_for_floor(floor: float, level: float) -> int | None:
    """Returns how many perfect scores show a floor in [0, 1]; None for one that nobody exceeds."""
    return smallest_n(lambda n: perfect(n, level) >= floor) if floor < 1 else None


def cases_for_limit(limit: float, level: float) -> int:
    """Returns how many cases show a limit of cost if no cost differs.

    Args:
        limit: the largest ratio to the baseline that may pass, above 1.
        level: one-sided error rate.
    """
    return smallest_n(lambda n: n >= LEAST_COST_UNITS and least_ratio(n, level) < log(limit))


def cases_within_budget(budget: float, level: float, severe: int = 0) -> int:
    """Returns how many cases show a budget if `severe` of them, or fewer, fail severely.

    The chance of so few at a rate of `budget` falls with n; it must be below the level.
    """
    low, high = severe, max(2 * severe, 1)
    while _chance_of_at_most(severe, high, budget) >= level:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _chance_of_at_most(severe, middle, budget) >= level:
            low = middle
        else:
            high = middle
    return high


def cases_for_quantile(quantile: float, runs: int, level: float) -> int:
    """Returns how many cases bound a quantile of latency at all.

    Enough runs must lie beyond it, and enough cases, for they may all lie on one side of it.
    """
    tail = min(quantile, 1 - quantile)
    beyond = ceil(round(LEAST_TAIL_RUNS / tail / runs, 6))
    return max(LEAST_CASES, beyond, ceil(log(level) / log(1 - tail)))


def perfect(n: float, level: float) -> float:
    """Returns the lower bound of n perfect scores."""
    t = student_quantile(1 - level, n - 1)
    return n / (n + t * t)


def least_ratio(n: float, level: float) -> float:
    """Returns the log ratio that an unchanged cost without any noise cannot rule out."""
    t = student_quantile(1 - (level / 2 if n <= FEW_COST_UNITS else level), n - 1)
    return t * t / (n + t * t)


def smallest_n(enough: Callable[[int], bool]) -> int:
    """Returns the smallest n that is enough, from the groups that any verdict needs on."""
    low, high = LEAST_GROUPS - 1, LEAST_GROUPS
    while not enough(high):
        if high > MOST_CASES:
            return MOST_CASES + 1
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def in_cases(units: float, cases: int, now: float) -> int:
    """Returns how many cases of the present kind make so many units.

    Args:
        units: wanted.
        cases: present ones.
        now: units that they count as.
    """
    return ceil(units) if not now or now == cases else ceil(round(units * cases / now, 6))


def told(cases: int, noun: str = "") -> str:
    """Returns a number of cases in figures, or that it is larger than anybody needs to know."""
    figures = f"{cases:,}" if cases <= MOST_CASES else f"over {MOST_CASES:,}"
    return figures + (noun and f" {noun}{'' if cases == 1 else 's'}")


def _chance_of_at_most(severe: int, n: int, rate: float) -> float:
    """Returns the binomial probability, term by term."""
    term = (1.0 - rate) ** n
    total = term
    for at in range(severe):
        term *= (n - at) / (at + 1) * rate / (1.0 - rate)
        total += term
    return total
