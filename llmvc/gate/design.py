"""The refusal of an eval that could not pass, before any call is paid for.

- It asks one thing: could a candidate that changes nothing pass this suite? Below a chance of 5%
  the eval is refused, with the number of cases and the margin that would do.
- With the variance of an earlier report the chance is Miller's power formula together with the end
  point that a small sample cannot rule out (`stats.power` has the same formula with more to it);
  without one, the smallest n at which an unchanged candidate with no noise at all passes.
- A suite that may stop at any time needs at least what one look needs; without noise, what the
  betting test needs.
- A suite in which nothing gates is refused too: no result of it could be a pass.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.core.plural import count
from llmvc.core.suite import Case, Suite
from llmvc.errors import Inconclusive
from llmvc.gate import least
from llmvc.gate.least import LEAST_CASES, LEAST_COST_UNITS, LEAST_GROUPS, Draw
from llmvc.gate.level import Standing, level, refusal

LEAST_CHANCE: Final = 0.05
POWER: Final = 0.8
NOTHING_GATES: Final = (
    "no metric of the suite gates",
    "give the suite a metric with a margin and gate: true",
)


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
    if all(metric.kind == "severe" and metric.budget is None for metric in _gating(suite)):
        raise Inconclusive(NOTHING_GATES[0], hint=NOTHING_GATES[1])
    known = {estimate.metric: estimate for estimate in pilot}
    standing = Standing(tried=tried)
    if why := refusal(suite, standing):
        raise Inconclusive(why[0], hint=why[1])
    asked = level(suite, standing)
    for metric in _gating(suite):
        counted = [case for case in cases if metric.slice in (None, *case.tags)]
        size = Size(len(counted), effective_number(case.group for case in counted))
        _check_size(metric, size)
        if metric.kind == "score" and has_baseline:
            var = _variance(metric, known.get(metric.name))
            _check_margin(metric, size, asked, var, any_time=suite.looks.by == "any-time")
        elif metric.kind == "score":
            _check_floor(metric, size, asked)
        elif metric.kind == "severe":
            _check_budget(metric, size, asked)
        elif metric.kind in ("cost", "tokens"):
            _check_total(metric, size, asked, has_baseline=has_baseline)
        else:
            _check_quantile(metric, size.cases, suite.runs, asked)


@dataclass(frozen=True, slots=True)
class Size:
    """How much evidence a metric has.

    Attributes:
        cases: those that count for it.
        units: how many equal groups they count as.
    """

    cases: int
    units: float

    def __str__(self) -> str:
        """Names the cases, and what they count as if groups make that another number."""
        text = count(self.cases, "case")
        return text if self.units == self.cases else f"{text} that count as {self.units:.0f}"

    def of(self, units: int) -> str:
        """Says how many cases of the present kind make so many units."""
        found = max(LEAST_CASES, least.in_cases(units, self.cases, self.units))
        return least.told(found, "case")


def _gating(suite: Suite) -> list[Metric]:
    return [metric for metric in suite.metrics if metric.gate]


def _check_size(metric: Metric, size: Size) -> None:
    """Checks that there is enough evidence for any verdict."""
    n, what = size.cases, f" of metric {metric.name}" if metric.slice else ""
    if n < LEAST_CASES and metric.kind != "severe":
        raise Inconclusive(
            f"{count(n, 'case')}{what} cannot pass: at least {LEAST_CASES} are needed",
            hint=f"add {count(LEAST_CASES - n, 'case')} to the suite",
        )
    if size.units < LEAST_GROUPS and metric.kind != "severe":
        raise Inconclusive(
            f"the groups{what or ' of the suite'} count as {size.units:.1f} equal ones: "
            f"at least {LEAST_GROUPS} are needed",
            hint="add cases of further groups, or even out the groups",
        )


def effective_number(groups: Iterable[str | None]) -> float:
    """Returns how many equal groups would tell as much; None stands for a case alone."""
    labels = [at if label is None else label for at, label in enumerate(groups)]
    squares = sum(size * size for size in Counter(labels).values())
    return len(labels) ** 2 / squares if squares else 0.0


def _check_margin(
    metric: Metric, size: Size, level: float, variance: float | None, *, any_time: bool
) -> None:
    """Checks the margin at one look; at any time it takes more, the least of which is known."""
    margin = None if metric.margin is None else metric.margin / metric.span
    if margin is None:
        raise Inconclusive(
            f"metric {metric.name} gates without a margin, so that nothing could pass",
            hint=f"give {metric.name} a margin in the suite, or gate: false",
        )
    draw = Draw(size.units, variance or 0.0, level, metric.test)
    bets = least.cases_for_bets(margin, level) if any_time and variance is None else 0
    if least.pass_chance(draw, margin) >= LEAST_CHANCE and size.units >= bets:
        return
    wanted = LEAST_CHANCE if variance is None else POWER
    units = max(bets, least.cases_for_margin(margin, draw, wanted))
    fitting = _smallest_margin(draw, wanted, any_time=bool(bets))
    why = "without an improvement" if variance is None else "more than 1 time in 20 if unchanged"
    sure = "" if variance is None else f" for a chance of {POWER:.0%}"
    raise Inconclusive(
        f"metric {metric.name} with a margin of {metric.margin:g} cannot pass on {size} {why}",
        hint=f"it takes {size.of(units)}{sure}, or a margin of {fitting * metric.span:.3f} "
        "fixed before measuring",
    )


def _check_floor(metric: Metric, size: Size, level: float) -> None:
    """A perfect score's lower bound is n / (n + t^2); no floor is left for the verdict to name."""
    if metric.floor is None:
        return
    floor = (metric.floor - metric.scale[0]) / metric.span
    reach = least.perfect(size.units, level)
    if reach >= floor:
        return
    units = least.cases_for_floor(floor, level)
    more = f"it takes {size.of(units)}, or " if units else ""
    raise Inconclusive(
        f"metric {metric.name} cannot show its floor of {metric.floor:g} on {size} "
        "even with a perfect score",
        hint=f"{more}a floor of at most {metric.scale[0] + metric.span * reach:.3f} "
        "fixed before measuring",
    )


def _check_total(metric: Metric, size: Size, level: float, *, has_baseline: bool) -> None:
    rule = metric.rule(has_baseline=has_baseline)
    if rule is None:
        return
    if size.units < LEAST_COST_UNITS:
        raise Inconclusive(
            f"metric {metric.name} cannot pass on {size}: {metric.kind} "
            f"{'needs' if metric.kind == 'cost' else 'need'} at least {LEAST_COST_UNITS}",
            hint=f"add cases, or watch {metric.name} only with gate: false",
        )
    if has_baseline and least.least_ratio(size.units, level) >= log(rule):
        raise Inconclusive(
            f"metric {metric.name} with a limit of {rule:g} cannot pass on {size} without a saving",
            hint=f"it takes {size.of(least.cases_for_limit(rule, level))}, or a higher limit "
            "fixed before measuring",
        )


def _check_budget(metric: Metric, size: Size, level: float) -> None:
    if metric.budget is None:
        return
    units = least.cases_within_budget(metric.budget, level)
    if size.units >= units:
        return
    raise Inconclusive(
        f"metric {metric.name} with a budget of {metric.budget:g} cannot pass on {size} "
        "even without a severe failure",
        hint=f"it takes {least.told(least.in_cases(units, size.cases, size.units), 'case')}, or a "
        f"budget of {1 - level ** (1 / max(size.units, 1)):.3f} fixed before measuring",
    )


def _check_quantile(metric: Metric, n: int, runs: int, level: float) -> None:
    cases = least.cases_for_quantile(metric.quantile, runs, level)
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


def _smallest_margin(draw: Draw, chance: float, *, any_time: bool) -> float:
    """Returns the smallest margin that the present units pass with a chance."""
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        enough = least.pass_chance(draw, middle) >= chance
        if enough and any_time:
            enough = draw.units >= least.cases_for_bets(middle, draw.level)
        low, high = (low, middle) if enough else (middle, high)
    return high
