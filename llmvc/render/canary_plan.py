"""How the plan of a canary reads: what each step can show, and how long it takes."""

from typing import TYPE_CHECKING, Any

from llmvc.core.canary import WHOLE, Guardrail, percent
from llmvc.core.plural import count
from llmvc.render.asjson import plain_object
from llmvc.render.text import table

if TYPE_CHECKING:
    from llmvc.app.canary.planning import Planned
    from llmvc.traces.planning import Row, Step


def planned(found: "Planned") -> str:
    """Shows a table a step, then the whole, and what only a shadow can answer."""
    plan = found.rollout.plan
    looks = "at any look" if plan.test == "always-valid" else f"at {count(plan.looks, 'look')}"
    where = f"{found.bundle}@{found.env} beside {found.rollout.of}"
    test = f"{plan.test} {looks}, alpha {plan.alpha:g}, power {found.power:.0%}"
    lines = [f"{where}: {found.per_day:,.0f} units a day; {test}"]
    rules = {rule.name: rule for rule in found.rollout.guardrails}
    for number, step in enumerate(found.steps, 1):
        lines.append(_head(number, step, found))
        head = ("guardrail", "rule", "units in the canary", "days", "worse by this is shown")
        rows = [
            _row(row, rules[row.guardrail], found.rates.get(row.guardrail)) for row in step.rows
        ]
        lines.append(table([head, *rows], indent="  "))
    if found.days is not None:
        lines.append(f"the whole canary: {_days(found.days)}")
    return "\n".join([*lines, *_shadow(found)])


def notes(found: "Planned") -> str:
    """Says what the figures rest on, and how to get the missing ones."""
    lines = ["units count one call each unless logs say otherwise"]
    lines += [
        f"nothing is known of {name}: --baseline-rate '{name}=…', or --logs GLOB"
        for name in found.missing
    ]
    return "\n".join(lines)


def members(found: "Planned") -> dict[str, Any]:
    """Returns what `--json` prints of a plan."""
    body = plain_object(found)
    for made, step in zip(body["steps"], found.steps, strict=True):
        made["too_long"] = step.too_long
    return {**body, "days": found.days}


def _head(number: int, step: "Step", found: "Planned") -> str:
    share = percent(step.share_ppm)
    if step.units is None or step.days is None:
        return f"step {number}, {share}: cannot be told before more is known"
    total = round(step.units * WHOLE / step.share_ppm)
    least = found.rollout.plan.min_seconds / 86_400
    by = " (the plan's least time)" if step.days == least else ""
    return (
        f"step {number}, {share}: {count(step.units, 'unit')} in the canary, {total:,} in all, "
        f"{_days(step.days)}{by}"
    )


def _row(row: "Row", rule: Guardrail, rate: float | None) -> tuple[str, ...]:
    beside = f" on {rate:.2%}" if rate is not None else ""
    bound = f"+{100 * rule.margin:g} points{beside}" if rule.margin else f"x{rule.limit:g}"
    if row.units is None or row.days is None:
        return (row.guardrail, bound, "-", "-", "-")
    if row.shown is None:
        return (row.guardrail, bound, f"over {row.units:,}", f"over {row.days:,.0f}", "-")
    shown = f"+{100 * row.shown:.2f} points" if rule.margin else f"x{row.shown:.3f}"
    return (row.guardrail, bound, f"{row.units:,}", f"{row.days:,.1f}", shown)


def _shadow(found: "Planned") -> list[str]:
    """Says which steps take too long, and what a shadow would take instead."""
    long = [step for step in found.steps if step.too_long]
    needs = {row.guardrail: row.pairs for step in found.steps for row in step.rows if row.pairs}
    if not needs:
        return []
    pairs = ", ".join(f"{name} {n:,}" for name, n in needs.items())
    told = f"a shadow settles the same with so many pairs of answers: {pairs}"
    if not long:
        return [told]
    steps = ", ".join(percent(step.share_ppm) for step in long)
    return [f"only a shadow can answer in time: {steps} lasts longer than two weeks", told]


def _days(days: float) -> str:
    return f"{days:,.1f} days" if days >= 2 else f"{24 * days:,.1f} hours"
