"""One metric's figures for the planner, from `stats.power`.

- Scores are planned in [0, 1] and told in the metric's scale.
- `stats.power` counts effective units; what is told are cases, in groups like the present ones.
- A figure that cannot be had is None; a number of cases above `MOST_CASES` means "more than that".
"""

from dataclasses import dataclass
from typing import TypedDict

from llmvc.core.metric import Metric
from llmvc.evals.pilot import Spread
from llmvc.gate.least import (
    LEAST_CASES,
    LEAST_GROUPS,
    MOST_CASES,
    cases_for_bets,
    cases_for_quantile,
    cases_within_budget,
    in_cases,
)
from llmvc.stats import power as stats
from llmvc.stats.power import RatioKind


@dataclass(frozen=True, slots=True)
class Step:
    """What a number of runs a case makes of a metric; None where it is not known or not possible.

    Attributes:
        runs: per case and arm.
        cases: how many give an unchanged candidate the wanted chance.
        smallest: smallest margin, limit or budget that it has that chance under at the plan's n.
        shown: smallest drop or rise that is shown with the wanted power at the plan's n.
        usd: of one eval of so many cases, both arms called.
    """

    runs: int
    cases: int | None = None
    smallest: float | None = None
    shown: float | None = None
    usd: float | None = None


class _Shared(TypedDict):
    """Arguments that the planner's formulas have in common."""

    alpha: float
    power: float
    metrics: int


@dataclass(frozen=True, slots=True)
class MetricPower:
    """One metric on the cases that count for it.

    Attributes:
        metric: the rule.
        cases: how many count.
        units: effective number of them.
        spread: how much one unit's difference varies; None if unknown.
        rate: share of units with a severe failure, as far as it is known.
        usd: of one run of a case in both arms; None if unknown.
        alpha: one-sided level.
        power: chance that is wanted.
        gating: gating metrics, all of which must pass.
        any_time: whether the betting test decides, which without noise takes the most cases.
    """

    metric: Metric
    cases: int
    units: float
    spread: Spread | None
    rate: float
    usd: float | None
    alpha: float
    power: float
    gating: int
    any_time: bool = False

    def step(self, runs: int) -> Step:
        """Returns what a number of runs makes of it."""
        needed, usd = self.needed(runs), None
        if self.usd is not None and needed is not None and needed <= MOST_CASES:
            usd = self.usd * needed * runs
        return Step(runs, needed, self.smallest(runs), self.shown(runs), usd)

    def chance(self, runs: int) -> float | None:
        """Returns the chance that an unchanged candidate passes."""
        metric, alpha, rule = self.metric, self.alpha, rule_of(self.metric)
        if rule is None or self.too_few(runs):
            return None if rule is None and metric.kind == "severe" else 0.0
        if metric.kind == "severe":
            return stats.rare_power(int(self.units), rule, self.rate, alpha=alpha)
        var = self.variance(runs)
        if var is None or metric.alone:
            return None
        if metric.kind == "score":
            return stats.pass_power(
                self.units, rule / metric.span, var, alpha=alpha, test=metric.test
            )
        return stats.limit_power(self.units, rule, var, alpha=alpha, kind=self.ratio)

    def needed(self, runs: int) -> int | None:
        """Returns how many cases give an unchanged candidate the wanted chance."""
        rule, shared = rule_of(self.metric), self.shared
        if rule is None:
            return None
        if self.metric.kind == "severe":
            if not self.rate:
                return self.least(runs)
            found = stats.cases_for_budget(rule, self.rate, **shared)
            return None if found is None else in_cases(found, self.cases, self.units)
        var = self.variance(runs)
        if var is None or self.metric.alone:
            return None
        if self.metric.kind == "score":
            margin = rule / self.metric.span
            found = stats.cases_needed(margin, var, test=self.metric.test, **shared)
            found = max(found, self.bets(margin))
        else:
            found = stats.cases_for_limit(rule, var, kind=self.ratio, **shared)
        return max(self.minimum(runs), in_cases(found, self.cases, self.units))

    def least(self, runs: int) -> int | None:
        """Returns how many cases it takes even if nothing differs at all."""
        rule, alpha = rule_of(self.metric), self.alpha
        if rule is None:
            return None
        if self.metric.kind == "severe":
            found = cases_within_budget(rule, alpha)
        elif self.metric.alone:
            found = 0
        elif self.metric.kind == "score":
            margin = rule / self.metric.span
            found = stats.cases_needed(margin, 0.0, alpha=alpha, test=self.metric.test)
            found = max(found, self.bets(margin))
        else:
            found = stats.cases_for_limit(rule, 0.0, alpha=alpha, kind=self.ratio)
        return max(self.minimum(runs), in_cases(found, self.cases, self.units))

    def smallest(self, runs: int) -> float | None:
        """Returns the smallest margin or limit that has the wanted chance at the present cases."""
        metric, shared, var = self.metric, self.shared, self.variance(runs)
        if self.too_few(runs):
            return None
        if metric.kind == "severe":
            return None if self.rate else 1.0 - self.alpha ** (1.0 / self.units)
        if var is None or metric.alone:
            return None
        if metric.kind == "score":
            found = stats.smallest_margin(self.units, 1, var, 0.0, test=metric.test, **shared)
            return None if found is None else found * metric.span
        return stats.smallest_limit(self.units, var, kind=self.ratio, **shared)

    def shown(self, runs: int) -> float | None:
        """Returns the smallest drop or rise that is shown at the present cases."""
        metric, power, var = self.metric, self.power, self.variance(runs)
        alpha = self.alpha / self.gating
        if var is None or self.too_few(runs):
            return None
        if metric.kind == "score":
            return stats.detectable_drop(self.units, var, alpha=alpha, power=power) * metric.span
        if metric.kind == "severe" or metric.limit is None:
            return None
        return stats.detectable_ratio(
            self.units, metric.limit, var, alpha=alpha, power=power, kind=self.ratio
        )

    def bets(self, margin: float) -> int:
        """Returns how many units without any difference the betting test takes; 0 without it."""
        return cases_for_bets(margin, self.alpha) if self.any_time else 0

    def minimum(self, runs: int) -> int:
        """Returns how many cases any verdict on the metric needs."""
        if self.metric.kind not in ("latency", "context"):
            return LEAST_CASES
        return cases_for_quantile(self.metric.quantile, runs, self.alpha)

    def too_few(self, runs: int) -> bool:
        """Says whether the present cases are too few for any verdict."""
        if self.metric.kind == "severe":
            return self.units < 1
        return self.cases < self.minimum(runs) or self.units < LEAST_GROUPS

    def variance(self, runs: int) -> float | None:
        """Returns the variance of one unit's difference."""
        return None if self.spread is None else self.spread.at(runs)

    @property
    def ratio(self) -> RatioKind:
        """Whose test of a ratio it is: tokens vary and are tested as costs are."""
        return "latency" if self.metric.kind == "latency" else "cost"

    @property
    def shared(self) -> _Shared:
        """What every figure for the wanted chance needs."""
        return {
            "alpha": self.alpha,
            "power": self.power,
            "metrics": self.gating,
        }


def rule_of(metric: Metric) -> float | None:
    """Returns the margin, limit, budget or ceiling of a metric; None if it has none."""
    return metric.rule(has_baseline=True)
