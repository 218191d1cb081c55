"""How the analysis of a canary reads: a line a guardrail, then what the measurement looks like."""

from typing import TYPE_CHECKING, Any

from llmvc.core.digest import short
from llmvc.core.plural import count
from llmvc.render.asjson import plain_object
from llmvc.render.text import paint, table

if TYPE_CHECKING:
    from llmvc.core.analysis import Analysis


def analysis(found: "Analysis", *, colored: bool) -> str:
    """Shows the guardrails, what is broken, and the verdict."""
    trial, beside = found.arms["canary"], found.arms["baseline"]
    versions = f"{short(found.candidate)} against {short(found.baseline)}"
    arms = [
        f"{name} {count(arm.units, 'unit')}, {count(arm.calls, 'call')}"
        for name, arm in (("canary", trial), ("baseline", beside))
    ]
    lines = [
        f"{found.bundle}@{found.env} release {found.seq}, look {found.look}: {versions}",
        "; ".join(arms),
    ]
    rows = [
        (one.name, one.reason, paint(one.verdict, one.verdict, colored=colored))
        for one in found.guardrails
    ]
    lines.append(table(rows, indent="  "))
    lines += [f"  broken  {name}: {one.says}" for name, one in found.checks.items() if one.broken]
    shown = "fail" if found.verdict == "invalid" else found.verdict
    lines.append(f"{paint(found.verdict, shown, colored=colored)}: {found.reason}")
    if found.settle:
        lines.append(f"  -> {found.settle}")
    return "\n".join(lines)


def checks(found: "Analysis") -> str:
    """Shows every check, for whoever wants to see that it was made."""
    return table(((name, one.says) for name, one in found.checks.items()), indent="  ")


def members(found: "Analysis") -> dict[str, Any]:
    """Returns what `--json` prints of an analysis: the record, and its digest."""
    return {"digest": found.digest, **plain_object(found)}
