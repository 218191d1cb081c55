"""The cost test: is the candidate's total cost within a limit of the baseline's?

- The estimate is the ratio of totals, tested on its logarithm by the delta method over cases.
- Costs have runaways, which a few cases cannot show: below 50 units, or where two cases hold over
  a quarter of a total, nothing is said; up to 100 units the level is halved.
- A ratio that is the same in every case still has a bound: one case not yet seen may cost as much
  more as the mean case costs.
- A candidate that costs nothing in any case has the ratio 0 with Wilson's bound, the share of the
  baseline's mean cost that so many cases without any cost cannot rule out; a baseline that costs
  nothing has no ratio.
- It fails only when the lower bound is beyond the limit.
"""

from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Final

import numpy as np

from llmvc.stats.samples import FloatArray, Groups
from llmvc.stats.special import student_quantile, student_tail

LEAST_UNITS: Final = 50
FEW_UNITS: Final = 100
TOP_CASES: Final = 2
TOP_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class TotalTest:
    """What the cost test says; every number is None where `reason` says why.

    Attributes:
        alpha: one-sided level of each bound.
        estimate: candidate's total over the baseline's, or the mean of one arm.
        low: lower bound.
        high: upper bound.
        t: (log limit - log estimate) / standard error; large means within the limit, and below
            minus the quantile means beyond it.
        p_pass: one-sided p of "at the limit or beyond".
        p_fail: one-sided p of "at the limit or within".
        reason: why it is undefined; None if it is defined.
    """

    alpha: float
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    t: float | None = None
    p_pass: float | None = None
    p_fail: float | None = None
    reason: str | None = None


def cost_ratio(
    candidate: FloatArray,
    baseline: FloatArray,
    groups: Groups,
    *,
    limit: float | None = None,
    alpha: float = 0.05,
    what: str = "cost",
) -> TotalTest:
    """Tests the ratio of total costs, paired by case.

    Args:
        candidate: mean cost of each case, shape (cases,), at least 0.
        baseline: the same cases under the baseline.
        groups: which cases belong together.
        limit: the largest ratio that may pass; None tests no limit.
        alpha: one-sided level, halved here for up to 100 units.
        what: what is added up, for reasons in words.
    """
    level = cost_level(groups, alpha)
    free = len(candidate) > 0 and not candidate.any()
    arms = (("baseline", baseline),) if free else (("candidate", candidate), ("baseline", baseline))
    if reason := groups.refusal() or refusal(groups, *arms, what=what):
        return TotalTest(level, reason=reason)
    if free:
        return _free(groups.count, limit, level)
    top, bottom = float(candidate.mean()), float(baseline.mean())
    return _log_test(
        top / bottom, candidate / top - baseline / bottom, groups, limit=limit, level=level
    )


def mean_cost(
    candidate: FloatArray,
    groups: Groups,
    *,
    limit: float | None = None,
    alpha: float = 0.05,
    what: str = "cost",
) -> TotalTest:
    """Returns the mean cost of one arm with its interval, made on the logarithm.

    Args:
        candidate: mean cost of each case, shape (cases,), at least 0.
        groups: which cases belong together.
        limit: the largest mean that may pass, in the unit of the costs; None tests no limit.
        alpha: one-sided level, halved here for up to 100 units.
        what: what is added up, for reasons in words.
    """
    level = cost_level(groups, alpha)
    if reason := groups.refusal() or refusal(groups, ("candidate", candidate), what=what):
        return TotalTest(level, reason=reason)
    mean = float(candidate.mean())
    return _log_test(mean, candidate / mean - 1.0, groups, limit=limit, level=level)


def cost_level(groups: Groups, alpha: float) -> float:
    """Returns the level used: half of `alpha` for up to 100 units, where tails are not yet seen."""
    return alpha / 2 if groups.effective <= FEW_UNITS else alpha


def refusal(groups: Groups, *arms: tuple[str, FloatArray], what: str = "cost") -> str | None:
    """Returns why costs like these cannot be judged; None if they can."""
    if groups.effective < LEAST_UNITS:
        cases = "cases" if groups.alone else "effective cases"
        return (
            f"{groups.effective:.0f} {cases} are too few to judge {what}: "
            f"at least {LEAST_UNITS} are needed"
        )
    for name, costs in arms:
        total = float(costs.sum())
        if not np.isfinite(costs).all() or (costs < 0).any():
            return f"a value of the {name} is negative or no number"
        if total <= 0:
            costs_none = "costs nothing" if what == "cost" else f"uses no {what}"
            return f"the {name} {costs_none}, so that there is no ratio"
        share = float(np.sort(costs)[-TOP_CASES:].sum()) / total
        if share > TOP_SHARE:
            return (
                f"{TOP_CASES} cases hold {share:.0%} of the {name}'s {what}: "
                "the total says little about other cases"
            )
    return None


def _free(n: int, limit: float | None, level: float) -> TotalTest:
    """Returns the test of a candidate without any cost, over `n` units."""
    critical = student_quantile(1.0 - level, n - 1)
    high = critical * critical / (n + critical * critical)
    p_pass = p_fail = None
    if limit is not None:
        p_pass, p_fail = float(high >= limit), 1.0
    return TotalTest(level, estimate=0.0, low=0.0, high=high, p_pass=p_pass, p_fail=p_fail)


def _log_test(
    estimate: float, errors: FloatArray, groups: Groups, *, limit: float | None, level: float
) -> TotalTest:
    """Tests log(estimate), whose error is the mean of `errors` (sum 0, shape (cases,))."""
    units = groups.units(errors)
    n = len(units)
    critical = student_quantile(1.0 - level, n - 1)
    # Wilson's bound for a sample without any spread, as in the EL-score test.
    least = critical / (n + critical * critical)
    error = max(float(units.std(ddof=1)) / sqrt(n), least)
    t = p_pass = p_fail = None
    if limit is not None:
        t = (log(limit) - log(estimate)) / error
        p_pass, p_fail = student_tail(-t, n - 1), student_tail(t, n - 1)
    return TotalTest(
        alpha=level,
        estimate=estimate,
        low=estimate * exp(-critical * error),
        high=estimate * exp(critical * error),
        t=t,
        p_pass=p_pass,
        p_fail=p_fail,
    )
