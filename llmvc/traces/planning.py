"""What a canary can show, before it has any traffic.

- For each step and guardrail: the units and days after which an unchanged candidate passes, and the
  smallest change that would be shown by then.
- A rate or spread that nobody told stays unknown, and so does what rests on it.
- What takes too long is not for a canary: a shadow asks both versions the same, and needs a small
  part of the units.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, exp, log
from typing import Final

from llmvc.core.canary import SHARES, WHOLE, Guardrail, Plan
from llmvc.stats.live import MOST_UNITS, canary_units, detectable, pairs
from llmvc.stats.unpaired import Arm
from llmvc.traces.analyze import distance

MOST_DAYS: Final = 14.0
"""A step that lasts longer is not for a canary."""
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Pilot:
    """What is known of a guardrail's metric beforehand.

    Attributes:
        rate: the baseline's share; None for amounts.
        var: variance of one unit, on the logarithm for amounts.
    """

    rate: float | None
    var: float

    @classmethod
    def of_rate(cls, rate: float) -> "Pilot":
        """Returns that of a share, at one call a unit."""
        return cls(rate, rate * (1 - rate))

    @classmethod
    def of_arm(cls, rule: Guardrail, arm: Arm) -> "Pilot | None":
        """Returns that of an arm that was measured; None if it says nothing."""
        if arm.point is None or arm.reason is not None:
            return None
        low, high = arm.bounds(1.0)
        if rule.metric not in SHARES:
            low, high = log(low), log(high)
        rate = arm.point if rule.metric in SHARES else None
        return cls(rate, arm.units * ((high - low) / 2) ** 2)


@dataclass(frozen=True, slots=True)
class Row:
    """A guardrail at a step; None where no pilot tells.

    Attributes:
        guardrail: its name.
        units: units in the canary after which an unchanged candidate passes, as often as wanted;
            `MOST_UNITS` if so many do not do.
        days: how long these take.
        shown: the smallest rise of a share, or ratio, that would be shown to be worse by then.
        pairs: pairs of answers by which a shadow rules out a rise of the margin; None for amounts.
    """

    guardrail: str
    units: int | None
    days: float | None
    shown: float | None
    pairs: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        share_ppm: the canary's share.
        rows: in the order of the guardrails.
        units: units in the canary that the slowest of them, or the plan, asks for.
        days: how long the step lasts; None if a guardrail cannot tell.
    """

    share_ppm: int
    rows: tuple[Row, ...]
    units: int | None
    days: float | None

    @property
    def too_long(self) -> bool:
        """Whether only a shadow can answer."""
        return self.days is not None and self.days > MOST_DAYS


def steps(
    plan: Plan,
    guardrails: tuple[Guardrail, ...],
    pilots: Mapping[str, Pilot],
    *,
    per_day: float,
    power: float = 0.8,
) -> tuple[Step, ...]:
    """Returns what each step can show.

    Args:
        plan: steps and test.
        guardrails: what must not get worse.
        pilots: name of a guardrail -> what is known of it.
        per_day: units of both arms together.
        power: chance that each guardrail of an unchanged candidate passes.
    """
    return tuple(_step(plan, guardrails, pilots, share, per_day, power) for share in plan.steps)


def _step(  # noqa: PLR0917 (a row of the table above)
    plan: Plan,
    guardrails: tuple[Guardrail, ...],
    pilots: Mapping[str, Pilot],
    share_ppm: int,
    per_day: float,
    power: float,
) -> Step:
    share = share_ppm / WHOLE
    rows = tuple(
        _row(plan, rule, pilots.get(rule.name), share, per_day, power) for rule in guardrails
    )
    units = _slowest(plan, rows)
    days = None if units is None else max(units / (per_day * share), plan.min_seconds / _DAY_S)
    return Step(share_ppm, rows, units, days)


def _slowest(plan: Plan, rows: tuple[Row, ...]) -> int | None:
    needed = [row.units for row in rows]
    known = [units for units in needed if units is not None]
    return max(plan.min_units, *known) if len(known) == len(needed) else None


def _row(  # noqa: PLR0917 (see above)
    plan: Plan, rule: Guardrail, pilot: Pilot | None, share: float, per_day: float, power: float
) -> Row:
    needs = pairs(rule.margin) if rule.margin is not None else None
    if pilot is None:
        return Row(rule.name, None, None, None, needs)
    reach = distance(plan, plan.looks)
    gap = rule.margin if rule.margin is not None else log(rule.limit or 1.0)
    var = (pilot.var, pilot.var)
    units = canary_units(gap, var, share, lambda n: reach(n, plan.alpha), power=power)
    if units > MOST_UNITS:
        return Row(rule.name, MOST_UNITS, MOST_UNITS / (per_day * share), None, needs)
    units = max(units, plan.min_units)
    alpha = plan.alpha / len(plan.steps)
    change = detectable(units, var, share, lambda n: reach(n, alpha), power=power)
    shown = change if rule.margin is not None else (rule.limit or 1.0) * exp(change)
    return Row(rule.name, ceil(units), units / (per_day * share), shown, needs)
