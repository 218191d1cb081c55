"""The refusal of an eval that could not pass, before any call is paid for.

- It asks one thing: could a candidate that changes nothing pass this suite? Below a chance of 5%
  the eval is refused, with the number of cases and the margin that would do.
- With the variance of an earlier report the chance is Miller's power formula together with the end
  point that a small sample cannot rule out (`stats.power` has the same formula with more to it);
  without one, the smallest n at which an unchanged candidate with no noise at all passes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import expm1, log, sqrt
from statistics import NormalDist
from typing import Final

from llmvc.core.metric import Metric
from llmvc.core.plural import count
from llmvc.core.report import Estimate
from llmvc.core.suite import Case, Suite
from llmvc.errors import Inconclusive
from llmvc.gate.level import Standing, level, refusal
from llmvc.gate.settle import (
    LEAST_CASES,
    LEAST_COST_UNITS,
    LEAST_GROUPS,
    cases_within_budget,
    least_for_quantile,
)

LEAST_CHANCE: Final = 0.05
FEW_COST_UNITS: Final = 100
_MOST_CASES: Final = 10**7
_NORMAL: Final = NormalDist()


def refuse_hopeless(
    suite: Suite,
    cases: Sequence[Case],
    *,
    has_baseline: bool,
    pilot: Sequence[Estimate] = (),
    tried: int = 1,
) -> None:
    """Refuses a suite that an unchanged candidate could not pass.

    Args:
        suite: the suite.
        cases: its cases.
        has_baseline: whether a baseline will be compared with; if not, floors must be in reach.
        pilot: estimates of an earlier report with the same number of runs per case, if any.
        tried: candidates tried on this baseline and suite, this one included.

    Raises:
        Inconclusive: no result of the eval could be a pass.
    """
    known = {estimate.metric: estimate for estimate in pilot}
    standing = Standing(tried=tried)
    if why := refusal(suite, standing):
        raise Inconclusive(why[0], hint=why[1])
    asked = level(suite, standing)
    for metric in suite.metrics:
        if not metric.gate:
            continue
        counted = [case for case in cases if metric.slice in (None, *case.tags)]
        units = _check_size(metric, counted)
        # The e-process pays for stopping anywhere; no closed form says how much, so none is asked.
        if metric.kind == "score" and has_baseline and suite.looks.by != "any-time":
            _check_margin(metric, units, asked, _variance(metric, known.get(metric.name)))
        elif metric.kind == "score" and not has_baseline:
            _check_floor(metric, units, asked)
        elif metric.kind == "severe":
            _check_budget(metric, units, asked)
        elif metric.kind == "cost":
            _check_cost(metric, units, asked, has_baseline=has_baseline)
        elif metric.kind == "latency":
            _check_quantile(metric, len(counted), suite.runs, asked)


def _check_size(metric: Metric, cases: Sequence[Case]) -> float:
    """Returns the effective number of units, if it is enough for any verdict."""
    n, units = len(cases), effective_number(case.group for case in cases)
    what = f" of metric {metric.name}" if metric.slice else ""
    if n < LEAST_CASES and metric.kind != "severe":
        raise Inconclusive(
            f"{count(n, 'case')}{what} cannot pass: at least {LEAST_CASES} are needed",
            hint=f"add {count(LEAST_CASES - n, 'case')} to the suite",
        )
    if units < LEAST_GROUPS and metric.kind != "severe":
        raise Inconclusive(
            f"the groups{what or ' of the suite'} count as {units:.1f} equal ones: "
            f"at least {LEAST_GROUPS} are needed",
            hint="add cases of further groups, or even out the groups",
        )
    return units


def effective_number(groups: Iterable[str | None]) -> float:
    """Returns how many equal groups would tell as much; None stands for a case alone."""
    labels = [at if label is None else label for at, label in enumerate(groups)]
    squares = sum(size * size for size in Counter(labels).values())
    return len(labels) ** 2 / squares if squares else 0.0


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


def _check_margin(metric: Metric, units: float, level: float, variance: float | None) -> None:
    margin = None if metric.margin is None else metric.margin / metric.span
    if margin is None:
        raise Inconclusive(
            f"metric {metric.name} gates without a margin, so that nothing could pass",
            hint=f"give {metric.name} a margin in the suite, or gate: false",
        )
    draw = Draw(units, variance or 0.0, level, metric.test)
    if pass_chance(draw, margin) >= LEAST_CHANCE:
        return
    wanted = LEAST_CHANCE if variance is None else 0.8
    cases = _smallest_n(lambda n: pass_chance(replace(draw, units=n), margin) >= wanted)
    fitting = _smallest_margin(draw, wanted)
    why = "without an improvement" if variance is None else "more than 1 time in 20 if unchanged"
    raise Inconclusive(
        f"metric {metric.name} with a margin of {metric.margin:g} "
        f"cannot pass on {units:.0f} cases {why}",
        hint=f"it takes {cases:,} cases, or a margin of {fitting * metric.span:.3f} "
        "fixed before measuring",
    )


def _check_floor(metric: Metric, units: float, level: float) -> None:
    """A perfect score's lower bound is n / (n + t^2); no floor is left for the verdict to name."""
    if metric.floor is None:
        return
    floor = (metric.floor - metric.scale[0]) / metric.span
    if _perfect(units, level) >= floor:
        return
    cases = _smallest_n(lambda n: _perfect(n, level) >= floor) if floor < 1 else None
    more = f"it takes {cases:,} cases, or " if cases else ""
    raise Inconclusive(
        f"metric {metric.name} cannot show its floor of {metric.floor:g} on {units:.0f} cases "
        "even with a perfect score",
        hint=f"{more}a floor of at most "
        f"{metric.scale[0] + metric.span * _perfect(units, level):.3f} fixed before measuring",
    )


def _check_cost(metric: Metric, units: float, level: float, *, has_baseline: bool) -> None:
    rule = metric.limit if has_baseline else metric.ceiling_usd
    if rule is None:
        return
    if units < LEAST_COST_UNITS:
        raise Inconclusive(
            f"metric {metric.name} cannot pass on {units:.0f} cases: "
            f"cost needs at least {LEAST_COST_UNITS}",
            hint=f"add cases, or watch {metric.name} only with gate: false",
        )
    if has_baseline and _least_ratio(units, level) >= log(rule):
        cases = _smallest_n(lambda n: n >= LEAST_COST_UNITS and _least_ratio(n, level) < log(rule))
        raise Inconclusive(
            f"metric {metric.name} with a limit of {rule:g} cannot pass on {units:.0f} cases "
            "without a saving",
            hint=f"it takes {cases:,} cases, or a higher limit fixed before measuring",
        )


def _check_budget(metric: Metric, units: float, level: float) -> None:
    if metric.budget is None:
        return
    cases = cases_within_budget(metric.budget, level)
    if units >= cases:
        return
    raise Inconclusive(
        f"metric {metric.name} with a budget of {metric.budget:g} cannot pass on {units:.0f} cases "
        "even without a severe failure",
        hint=f"it takes {cases:,} cases, or a budget of {1 - level ** (1 / max(units, 1)):.3f} "
        "fixed before measuring",
    )


def _check_quantile(metric: Metric, n: int, runs: int, level: float) -> None:
    cases = least_for_quantile(metric.quantile, runs, level)
    if n >= cases:
        return
    raise Inconclusive(
        f"metric {metric.name} cannot tell p{100 * metric.quantile:g} from {count(n, 'case')} "
        f"x {count(runs, 'run')}",
        hint=f"it takes {cases:,} cases at this number of runs, or watch {metric.name} only with "
        "gate: false",
    )


def _variance(metric: Metric, estimate: Estimate | None) -> float | None:
    """Returns the variance of a per-case difference of scores in [0, 1]; None if unknown."""
    if estimate is None or estimate.var_case is None or estimate.var_run is None:
        return None
    return (estimate.var_case + estimate.var_run) / metric.span**2


def _perfect(n: float, level: float) -> float:
    t = student_quantile(1 - level, n - 1)
    return n / (n + t * t)


def _least_ratio(n: float, level: float) -> float:
    """Returns the log ratio that an unchanged cost without any noise cannot rule out."""
    t = student_quantile(1 - (level / 2 if n <= FEW_COST_UNITS else level), n - 1)
    return t * t / (n + t * t)


def _smallest_margin(draw: Draw, chance: float) -> float:
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        if pass_chance(draw, middle) >= chance:
            high = middle
        else:
            low = middle
    return high


def _smallest_n(enough: Callable[[int], bool]) -> int:
    """Returns the smallest n that is enough, at least the number that any verdict needs."""
    low, high = LEAST_CASES - 1, LEAST_CASES
    while not enough(high) and high < _MOST_CASES:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
