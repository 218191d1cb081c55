"""What two result files say: one line that a reviewer understands, then the numbers."""

from typing import TYPE_CHECKING, Any

from llmvc.core.plural import count
from llmvc.render import asjson, views
from llmvc.render.text import paint

if TYPE_CHECKING:
    from llmvc.app.comparing import Compared


def text(found: "Compared", *, colored: bool) -> str:
    """Shows the verdict in one line, then what is only watched, or all metrics if several gate."""
    judged = found.verdict
    gating = [item for item in judged.metrics if item.gate]
    one = gating[0].metric if len(gating) == 1 else None
    told = paint(judged.verdict, judged.verdict, colored=colored)
    lines = [f"{told}  {_what(found, one)} ({_size(found)})"]
    if judged.settle:
        lines.append(f"  next step: {judged.settle}")
    rest = [item for item in found.estimates if item.metric != one]
    table = views.metrics(rest, judged, colored=colored)
    return "\n".join([*lines, *(f"  {line}" for line in table.splitlines())])


def _what(found: "Compared", one: str | None) -> str:
    """Says what the verdict rests on; of a single metric also where both arms stand."""
    if one is None or found.failures:
        return found.verdict.reason
    item = next(item for item in found.estimates if item.metric == one)
    if item.baseline is None or item.candidate is None:
        return found.verdict.reason
    reason = next(told.reason for told in found.verdict.metrics if told.metric == one)
    return (
        f"{one} {views.value(item, item.baseline)} -> {views.value(item, item.candidate)}  {reason}"
    )


def _size(found: "Compared") -> str:
    fewest, most = found.runs
    runs = count(most, "run") if fewest == most else f"{fewest} to {most} runs"
    cases = f"{count(len(found.cases), 'case')} x {runs}"
    groups = found.groups
    return cases if groups == len(found.cases) else f"{cases} in {count(groups, 'group')}"


def left_out(found: "Compared") -> str:
    """Says how many cases one of the files lacks."""
    old, new = found.left_out
    return (
        f"left out: {count(old, 'case')} only in {found.baseline.name}, "
        f"{count(new, 'case')} only in {found.candidate.name}"
    )


def members(found: "Compared") -> dict[str, Any]:
    """Returns the estimates and the verdict, without the rows."""
    fewest, most = found.runs
    arms = {
        arm: {
            "name": results.name,
            "format": results.format,
            "cases": len(results.cases),
            "left_out": out,
        }
        for arm, results, out in zip(
            ("baseline", "candidate"),
            (found.baseline, found.candidate),
            found.left_out,
            strict=True,
        )
    }
    return {
        **arms,
        "cases": len(found.cases),
        "runs": [fewest, most],
        "failures": found.failures,
        "rules": {
            "alpha": found.rules.alpha,
            "margin": found.rules.margin,
            "cost_limit": found.rules.cost_limit,
            "latency_limit": found.rules.latency_limit,
            "scale": list(found.rules.scale),
        },
        "estimates": asjson.plain(found.estimates),
        "verdict": asjson.plain(found.verdict),
    }
