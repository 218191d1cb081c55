"""How a plan reads in a terminal: the answer in one line a metric, then the figures behind it."""

from typing import TYPE_CHECKING, Any

from llmvc.core.digest import short
from llmvc.core.plural import count
from llmvc.gate.least import MOST_CASES, told
from llmvc.render.asjson import plain_object
from llmvc.render.text import table

if TYPE_CHECKING:
    from llmvc.app.planning import Planned
    from llmvc.evals.planner import MetricPlan, SuitePlan

_SOURCES = {
    "report": "measured",
    "one arm": "runs measured in one arm, cases as suites typically vary",
    "typical": "as suites typically vary",
}


def plan(done: "Planned") -> str:
    """Shows what a suite can show: an answer, and a table a metric."""
    found = done.plan
    lines: list[str] = []
    for metric in found.metrics:
        lines.append(_answer(metric, found))
        lines += [] if metric.kind == "context" else [_table(metric, found)]
        lines += [f"  {note}" for note in _facts(metric, found.case_usd)]
    if len(found.metrics) > 1 and found.chance is not None:
        lines.append(
            f"all {len(found.metrics)} gating metrics: an unchanged bundle passes at least "
            f"{_percent(found.chance)} of the time"
        )
    if found.refused:
        what, instead = found.refused
        lines.append(f"refused: {what}\n  -> {instead}")
    return "\n".join(lines)


def as_json(done: "Planned") -> dict[str, Any]:
    """Returns what `--json` prints of a plan."""
    found = plain_object(done.plan)
    for metric in found["metrics"]:
        metric["least"] = _searched(metric["least"])
        for step in metric["steps"]:
            step["cases"] = _searched(step["cases"])
    refused = done.plan.refused
    found["refused"] = refused and {"message": refused[0], "hint": refused[1]}
    return {"bundle": done.bundle, "env": done.env, "suite": done.suite, **found}


def notes(done: "Planned") -> str:
    """Says what the figures rest on, and how to get better ones."""
    found, lines = done.plan, list[str]()
    if found.pilot is not None:
        lines.append(f"the pilot is report {short(found.pilot)}")
    elif any(metric.source == "report" for metric in found.metrics):
        lines.append("the two files are the pilot")
    else:
        lines.append(f"there is no pilot yet: measure once with llmvc eval {done.bundle}")
    if found.any_time:
        lines.append(
            "the suite may stop at any time, which takes about twice the cases: these figures are "
            "for one look at the end"
        )
    return "\n".join(lines)


def _answer(metric: "MetricPlan", found: "SuitePlan") -> str:
    """Says in one line what a metric promises with the suite as it is."""
    name, rule = metric.metric, _rule(metric)
    head = f"{name}  {rule} at {count(metric.cases, 'case')} x {count(metric.runs, 'run')}"
    if metric.rule is None:
        return f"{head}: nothing to plan for"
    parts = [_passing(metric), *_too_few(metric, found)]
    shown = metric.present.shown
    if shown is not None:
        change = f"a drop of {shown:.3f}" if metric.kind == "score" else f"a rise to x{shown:.2f}"
        parts.append(f"{change} would be shown {_percent(found.power)} of the time")
    if found.usd is not None and metric is found.metrics[0]:
        parts.append(f"about {_usd(found.usd)} an eval")
    return f"{head}: {'; '.join(parts)}"


def _passing(metric: "MetricPlan") -> str:
    """Says how often an unchanged bundle passes."""
    if metric.chance is None and metric.kind == "context":
        return "whether a bundle stays below it is for the eval to show"
    if metric.chance is None:
        return "how often an unchanged bundle passes is not known"
    if not metric.chance:
        return "an unchanged bundle cannot pass"
    luck = " by luck alone" if metric.least is not None and metric.least > metric.cases else ""
    return f"an unchanged bundle passes {_percent(metric.chance)} of the time{luck}"


def _too_few(metric: "MetricPlan", found: "SuitePlan") -> list[str]:
    """Says that a metric has too few cases for the chance that is wanted, and how many it takes."""
    needed = metric.present.cases
    if needed is not None and needed > metric.cases:
        return [f"too few for {_percent(found.power)}: {_would_do(needed)}"]
    if needed is None and metric.chance is not None and metric.chance < found.power:
        return [f"not {_percent(found.power)}, and no number of cases is known that would do"]
    return []


def _would_do(cases: int) -> str:
    return (
        f"it takes {told(cases, 'case')}"
        if cases > MOST_CASES
        else f"{count(cases, 'case')} would do"
    )


def _searched(cases: int | None) -> int | None:
    """Returns a number of cases that was found; None for one beyond the search."""
    return None if cases is None or cases > MOST_CASES else cases


def _table(metric: "MetricPlan", found: "SuitePlan") -> str:
    usd = any(step.usd is not None for step in metric.steps)
    present = f"at {count(metric.cases, 'case')}"
    what = {"score": "margin", "severe": "budget"}.get(metric.kind, "limit")
    change = "drop" if metric.kind == "score" else "rise"
    head = [
        "runs",
        f"cases for {_percent(found.power)}",
        *(["USD an eval"] if usd else []),
        f"smallest {what} for {_percent(found.power)} {present}",
    ]
    wide = metric.kind != "severe"
    rows = [[*head, f"{change} shown {present}"] if wide else head]
    for step in metric.steps:
        row = [str(step.runs), "-" if step.cases is None else told(step.cases)]
        row += ([_usd(step.usd)] if usd else []) + [_number(metric, step.smallest)]
        rows.append([*row, _number(metric, step.shown)] if wide else row)
    return table(rows, indent="  ")


def _facts(metric: "MetricPlan", case_usd: float) -> list[str]:
    """Says what the figures of a metric rest on."""
    lines: list[str] = []
    if metric.units < metric.cases:
        lines.append(f"the groups count as {metric.units:.1f} equal ones")
    if metric.var_case is not None and metric.source is not None:
        parts = f"var_case {metric.var_case:.4f} between cases"
        if metric.var_one_run is None:
            parts = f"{metric.var_case:.4f} at these runs; repeated runs would tell the rest"
        else:
            parts += f", var_one_run {metric.var_one_run:.4f} of one run in each arm"
        lines.append(f"variance: {parts} ({_SOURCES[metric.source]})")
    if metric.least is not None and metric.source != "report":
        lines.append(f"even without any noise it takes {told(metric.least, 'case')}")
    if metric.kind == "score" and metric.rule is not None:
        lines.append(f"best split: {_split(metric, case_usd)}")
    return lines


def _split(metric: "MetricPlan", case_usd: float) -> str:
    """Says how runs and cases share the money, or why nobody can tell."""
    if metric.best_runs is None:
        return f"cannot be told: {metric.no_split}"
    if not case_usd:
        return "1 run a case and more cases; runs pay only where cases cost (--case-usd)"
    best = next((step for step in metric.steps if step.runs == metric.best_runs), None)
    cases = f", {told(best.cases, 'case')}" if best is not None and best.cases is not None else ""
    return f"{count(metric.best_runs, 'run')} a case{cases}"


def _rule(metric: "MetricPlan") -> str:
    if metric.rule is None:
        return "no rule"
    if metric.kind == "score":
        return f"margin {metric.rule:g}"
    if metric.kind == "context":
        return f"ceiling {metric.rule:.1%}"
    return f"budget {metric.rule:g}" if metric.kind == "severe" else f"limit x{metric.rule:g}"


def _number(metric: "MetricPlan", value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if metric.kind in ("score", "severe") else f"x{value:.3f}"


def _percent(chance: float) -> str:
    """Returns a chance as whole percent; only what is sure reads as 0% or 100%."""
    if 0 < chance < 0.01:
        return "under 1%"
    return "over 99%" if 0.99 < chance < 1 else f"{chance:.0%}"


def _usd(amount: float | None) -> str:
    if amount is None:
        return "-"
    return f"${amount:,.2f}" if amount == 0 or amount >= 0.1 else f"${amount:.4f}"
