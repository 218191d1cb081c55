"""The verdict on one step of a canary: sums in, an analysis out.

- `pass` needs every guardrail to be shown within its margin or limit: each is tested at the plan's
  alpha, since a candidate that passes falsely must do so on the guardrail that it harms.
- `fail` needs one that is shown to be worse and not shown to be within: a share that rose at all,
  an amount beyond its limit. Its alpha is shared among the steps, and in a step by Holm among the
  guardrails, so that the whole canary is stopped in vain with that chance at most.
- What is not sound is `invalid` before anything else. Too few units, too short a time, a look that
  the plan does not have: `inconclusive`.
- It is a function of its arguments: the time of a step is that of its events, as far as it is over
  by the time at which somebody asks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, inf, log
from statistics import NormalDist
from typing import Final

from llmvc.core.analysis import Analysis, ArmTotals, Judged, Outcome, Result
from llmvc.core.canary import SHARES, Canary, Guardrail, Plan
from llmvc.core.digest import Digest
from llmvc.core.plural import count
from llmvc.core.release import Release
from llmvc.core.times import milliseconds, rfc3339
from llmvc.errors import FormatError
from llmvc.gate.looks import levels
from llmvc.stats.mixture import factor
from llmvc.stats.unpaired import Compared, difference, ratio
from llmvc.traces import words
from llmvc.traces.checks import checks
from llmvc.traces.enrolled import UNITS_OF, Enrolled, arms, figures
from llmvc.traces.sums import NANO, Sums

GROWTH: Final = 1.25
"""A look is due at a quarter more units than the look before."""
TUNED: Final = 10
"""The always-valid interval is tightest at so many times the least number of units."""
_DAY_S: Final = 86_400
_MEND: Final = "mend it, then llmvc canary pause, which begins a new count"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants to know, and when.

    Attributes:
        look: which look at this release it is, from 1.
        made: RFC 3339, UTC.
        actor: who asks.
        tool: `llmvc <version>`.
        units: units in the canary at the look before; 0 at the first. None where somebody asks for
            this very look, whether it is due or not.
    """

    look: int
    made: str
    actor: str
    tool: str
    units: int | None = None


def analyze(sums: Sums, release: Release, baseline: Digest, asked: Asked) -> Analysis:
    """Returns the analysis of a step.

    Args:
        sums: what its events come to.
        release: the canary's release that began it.
        baseline: the version that the environment beside it serves.
        asked: who wants to know.

    Raises:
        FormatError: the release carries no canary.
    """
    canary = release.canary
    if canary is None:
        raise FormatError(f"release {release.seq} of {release.env} carries no canary")
    beside, trial = arms(sums)
    found = checks(sums, canary, beside, trial)
    judged = guardrails(canary, beside, trial, asked.look)
    invalid = tuple(f"{name}: {check.says}" for name, check in found.items() if check.broken)
    result, reason, settle = _overall(
        canary, sums, both=(beside, trial), judged=judged, invalid=invalid, asked=asked
    )
    return Analysis(
        bundle=release.bundle,
        env=release.env,
        release=release.digest,
        seq=release.seq,
        baseline=baseline,
        candidate=release.to,
        rollout=canary.salt,
        look=asked.look,
        arms={
            "baseline": _told(beside, baseline),
            "canary": _told(trial, release.to),
        },
        guardrails=judged,
        checks=found,
        invalid=invalid,
        verdict=result,
        reason=reason,
        settle=settle,
        logs=sums.digest,
        first=_time(sums.first),
        last=_time(sums.last),
        made=asked.made,
        actor=asked.actor,
        tool=asked.tool,
    )


def is_look(analysis: Analysis, canary: Canary, sums: Sums, asked: Asked) -> bool:
    """Says whether a sound analysis judged anything, so that it is one of the plan's looks."""
    units = {name: arm.units for name, arm in analysis.arms.items()}
    enough = min(units.values()) >= canary.plan.min_units
    return enough and waits(canary, sums, units["canary"], asked) is None


def waits(canary: Canary, sums: Sums, units: int, asked: Asked) -> str | None:
    """Returns what the next look waits for; None if it is due.

    Looks are spread by the plan alone, never by what they find: a quarter more units each, and none
    before its part of the least time. So a tick may come as often as it likes.

    Args:
        canary: its plan.
        sums: the step's sums.
        units: those in the canary.
        asked: which look it is.
    """
    plan = canary.plan
    if asked.units is None:
        return None
    needed, seconds = ceil(GROWTH * asked.units), plan.min_seconds * asked.look / plan.looks
    if units < needed:
        return f"{needed:,} units in the canary, {units:,} are there"
    covered = _seconds(sums, asked)
    if asked.look <= plan.looks and covered < seconds:
        return f"{seconds:,.0f} s of events, {covered:,.0f} are there"
    return None


def distance(plan: Plan, look: int) -> Callable[[float, float], float]:
    """Returns what tells how many standard errors a bound is away, by units and level.

    Args:
        plan: names the test.
        look: which look it is, from 1; one beyond the plan is as the last.
    """
    if plan.test == "always-valid":
        return lambda units, alpha: factor(units, alpha, tuned=TUNED * plan.min_units)
    at = tuple(GROWTH ** (one + 1 - plan.looks) for one in range(plan.looks))
    number = min(look, plan.looks) - 1

    def planned(_: float, alpha: float) -> float:
        level = levels(at, alpha)[number]
        return -NormalDist().inv_cdf(level) if level > 0 else inf

    return planned


def guardrails(canary: Canary, beside: Enrolled, trial: Enrolled, look: int) -> tuple[Judged, ...]:
    """Returns what each guardrail says, after Holm's correction among those that could fail."""
    reach = distance(canary.plan, look)
    alpha = canary.plan.alpha / len(canary.plan.steps)
    left = {rule: _Row(rule, beside, trial, reach, canary.plan.alpha) for rule in canary.guardrails}
    done: dict[Guardrail, Judged] = {}
    while left:
        # Holm's step-down on intervals: those shown worse at alpha / k leave, and k gets smaller.
        tried = {rule: row.judged(alpha / len(left)) for rule, row in left.items()}
        failed = [rule for rule, one in tried.items() if one.verdict == "fail"]
        done |= {rule: tried[rule] for rule in failed or left}
        left = {rule: row for rule, row in left.items() if rule not in done}
    return tuple(done[rule] for rule in canary.guardrails)


class _Row:
    """A guardrail with both arms' figures."""

    def __init__(
        self,
        rule: Guardrail,
        beside: Enrolled,
        trial: Enrolled,
        reach: Callable[[float, float], float],
        alpha: float,
    ) -> None:
        self._rule = rule
        self._arms = figures(trial, beside, rule)
        n, m = (arm.units for arm in self._arms)
        self._units = n * m / (n + m) if n and m else 0.0
        self._reach = reach
        self._alpha = alpha

    def judged(self, alpha: float) -> Judged:
        """Returns the verdict, if a fail is tested at the level given."""
        rule = self._rule
        compare = difference if rule.metric in SHARES else ratio
        z_low, z_high = self._reach(self._units, alpha), self._reach(self._units, self._alpha)
        found = compare(*self._arms, z_low, z_high)
        scale = UNITS_OF.get(rule.metric, 1.0)
        if found.baseline is not None and found.candidate is not None:
            told = (found.baseline * scale, found.candidate * scale)
            found = replace(found, baseline=told[0], candidate=told[1])
        result = verdict(rule, found)
        return Judged(
            name=rule.name,
            metric=rule.metric,
            baseline=found.baseline,
            canary=found.candidate,
            estimate=found.estimate,
            low=found.low,
            high=found.high,
            margin=rule.margin,
            limit=rule.limit,
            verdict=result,
            reason=words.found(rule, found),
            settle=self._settle(found) if result == "inconclusive" else None,
        )

    def _settle(self, found: Compared) -> str | None:
        """Returns how many more units in the canary would settle it, if its figures stay."""
        shares, bound = self._rule.metric in SHARES, _bound(self._rule)
        scale = float if shares else log
        if not found.estimate:
            return None
        within = found.estimate < bound
        goal = bound if within or not shares else 0.0
        edge = found.high if within else found.low
        if not edge or found.estimate == goal:
            return None
        width = scale(edge) - scale(found.estimate)
        room = scale(goal) - scale(found.estimate)
        units = self._arms[0].units
        return words.more_units(max(1, ceil(units * (width / room) ** 2) - units))


def verdict(rule: Guardrail, found: Compared) -> Outcome:
    """Returns the verdict that an interval gives by a guardrail's margin or limit."""
    bound = _bound(rule)
    if found.high is not None and found.high < bound:
        return "pass"
    worse = 0.0 if rule.metric in SHARES else bound
    return "fail" if found.low is not None and found.low > worse else "inconclusive"


def _bound(rule: Guardrail) -> float:
    """Returns the margin or the limit; the class made sure that there is the one that fits."""
    return (rule.margin if rule.metric in SHARES else rule.limit) or 0.0


def _overall(  # noqa: PLR0911 (one return a rule, in the order in which they count)
    canary: Canary,
    sums: Sums,
    *,
    both: tuple[Enrolled, Enrolled],
    judged: tuple[Judged, ...],
    invalid: tuple[str, ...],
    asked: Asked,
) -> tuple[Result, str, str | None]:
    """Returns the verdict on the step, why, and what would settle it."""
    plan = canary.plan
    if invalid:
        return "invalid", "; ".join(invalid), _MEND
    if over := _over_budget(canary, both[1], _seconds(sums, asked)):
        return "fail", over, None
    fewest = min(len(arm.rows) for arm in both)
    if fewest < plan.min_units:
        baseline, trial = (f"{len(arm.rows):,}" for arm in both)
        reason = f"{trial} units in the canary and {baseline} in the baseline"
        reason = f"{reason}: {plan.min_units:,} each are needed"
        return "inconclusive", reason + _none_counts(sums), "wait for more units"
    if asked.look > plan.looks:
        reason = f"the plan's {count(plan.looks, 'look')} at a step are used up"
        return "inconclusive", reason, "llmvc canary pause begins a new count; else abort"
    if due := waits(canary, sums, len(both[1].rows), asked):
        return "inconclusive", f"look {asked.look} is not due: it needs {due}", "wait for it"
    failed = [one for one in judged if one.verdict == "fail"]
    if failed:
        return "fail", "; ".join(f"{one.name}: {one.reason}" for one in failed), None
    unclear = [one for one in judged if one.verdict != "pass"]
    seconds = _seconds(sums, asked)
    if seconds < plan.min_seconds:
        reason = f"its events cover {seconds:,.0f} s, the plan says {plan.min_seconds:,}"
        return "inconclusive", reason, "wait until the step has lasted long enough"
    if unclear:
        settle = "; ".join(f"{one.name}: {one.settle}" for one in unclear if one.settle)
        reason = "; ".join(f"{one.name}: {one.reason}" for one in unclear)
        return "inconclusive", reason, settle or "wait for more units"
    return "pass", f"within its bound: {', '.join(one.name for one in judged)}", None


def _none_counts(sums: Sums) -> str:
    """Says so where there are logs of which nothing counts, as right after a step."""
    if sums.first or not sums.lines:
        return ""
    read = f"none of {count(sums.lines, 'line')} is an event of release {sums.scope.seq}"
    return f"; {read}, and earlier ones do not count"


def _seconds(sums: Sums, asked: Asked) -> float:
    """Returns how long a time of the step its events cover; a clock that is ahead adds nothing."""
    return max(0, min(sums.last, milliseconds(asked.made)) - sums.scope.since) / 1000


def _over_budget(canary: Canary, trial: Enrolled, seconds: float) -> str | None:
    """Returns how the canary spends more than its budget; None if it does not."""
    usd = trial.total("cost") / NANO
    units = max(1, len(trial.rows))
    days = max(1.0, seconds / _DAY_S)
    for spent, most, what in (
        (usd / units, canary.budget.max_usd_per_unit, "a unit"),
        (usd / days, canary.budget.max_usd_per_day, "a day"),
    ):
        if most is not None and spent > most:
            return f"the canary spends ${spent:.4g} {what}, its budget is ${most:.4g}"
    return None


def _told(arm: Enrolled, digest: Digest) -> ArmTotals:
    """Returns what an analysis says of an arm."""
    usd = arm.total("cost") / NANO if arm.total("cost_of") else None
    return ArmTotals(digest, len(arm.rows), arm.total("calls"), arm.total("negative_of"), usd)


def _time(at: int) -> str | None:
    """Writes milliseconds since 1970; 0 is no time."""
    return rfc3339(at / 1000, "seconds") if at else None
