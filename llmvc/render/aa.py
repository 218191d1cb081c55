"""How the gate's test of itself is shown."""

from typing import TYPE_CHECKING, Any, Final

from llmvc.core.plural import count
from llmvc.render import asjson
from llmvc.render.text import paint

if TYPE_CHECKING:
    from llmvc.app.aa import Tested
    from llmvc.evals.aa import AtRule, Rate, SelfTest

HALVED: Final = (
    "a half has half of the runs: a release passes an unchanged candidate more often than this"
)
CAVEAT: Final = (
    "this tests the gate on these cases and runs alone: it says nothing about other cases, nor "
    "about a model or a judge that drifts"
)


def text(tested: "Tested", *, colored: bool) -> str:
    """Shows each error rate beside what is promised, and what one run would have done."""
    found = tested.result
    units = count(found.cases, "case")
    if found.groups != found.cases:
        units += f" in {count(found.groups, 'group')}"
    halves = f"{_half(found)} against {_half(found)}, drawn {count(found.times, 'time')}"
    lines = [
        f"{tested.name}: runs of the {found.arm} on {units}, {halves}",
        "nothing changed",
        f"  false block   {_judged(found, found.failed, colored=colored)}",
        *_naive("  one run against one run would block", found.naive),
        f"  pass          {_rate(found.passed)}",
        f"  inconclusive  {_rate(found.inconclusive)}",
    ]
    for item in found.at_rule:
        lines += _at_rule(found, item, colored=colored)
    return "\n".join(lines)


def notes(tested: "Tested") -> str:
    """Says what was left out, and what the test does not tell."""
    found = tested.result
    said: list[str] = []
    if found.left_out:
        said.append(f"{count(found.left_out, 'case')} with fewer than two usable runs left out")
    if found.untested:
        said.append(f"not tested: {', '.join(found.untested)}")
    return "\n".join([*said, HALVED, CAVEAT])


def members(tested: "Tested") -> dict[str, Any]:
    """Returns what `--json` prints."""
    return {
        "name": tested.name,
        "report": tested.report,
        "as_promised": tested.result.as_promised,
        **asjson.plain_object(tested.result),
    }


def _at_rule(found: "SelfTest", item: "AtRule", *, colored: bool) -> list[str]:
    if item.kind == "cost":
        head = f"{item.metric} exactly at its limit of x{item.rule:.2f}"
    else:
        head = f"{item.metric} worse by exactly its margin of {item.rule:g}"
    if item.passed is None:
        return [f"{head}: not tested, {item.reason}"]
    return [
        head,
        f"  false pass    {_judged(found, item.passed, colored=colored)}",
        *_naive("  one run against one run would pass", item.naive),
    ]


def _naive(what: str, rate: "Rate | None") -> list[str]:
    return [] if rate is None else [f"{what} {_rate(rate)}"]


def _judged(found: "SelfTest", rate: "Rate", *, colored: bool) -> str:
    if found.above(rate):
        said, color = "above what is promised", "fail"
    elif rate.rate > found.promise:
        said, color = "these draws cannot tell", "inconclusive"
    else:
        said, color = "as promised", "pass"
    told = paint(said, color, colored=colored)
    return f"{_rate(rate)}: {told} (at most about {100 * found.promise:.3g}%)"


def _rate(rate: "Rate") -> str:
    return f"{100 * rate.rate:.1f}% [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def _half(found: "SelfTest") -> str:
    least, most = found.half
    return count(most, "run") if least == most else f"{least} to {count(most, 'run')}"
