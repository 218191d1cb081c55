"""How a migration reads: what becomes of each parameter, what was found, what it fits and costs.

- A plan and the record that a release carries are shown by the same lines.
- What has a label is the same in a terminal, in Markdown and in HTML.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from llmvc.core import canon
from llmvc.core.digest import short
from llmvc.core.migration import MEASURED, Amount, Cost, Migration, Parameter, Room
from llmvc.core.plural import count
from llmvc.core.record import members
from llmvc.render.text import table

if TYPE_CHECKING:
    from llmvc.app.migrating.planning import Calls, Planned

_LONG: Final = 48
_LEAST: Final = 1e-7
_LABEL: Final = 11
NONE: Final = "-"

Facts = Iterator[tuple[str, str]]


def plan(planned: "Planned") -> str:
    """Shows a plan in a terminal."""
    record = planned.record
    if record is None:
        return planned.nothing
    lines = [record_text(record), *map(_line, measuring(planned.calls))]
    if not planned.calls.problem:
        lines.append(_line(("release", f"a pass leads to a {planned.kind} in {record.env}")))
    return "\n".join(lines)


def record_text(record: Migration) -> str:
    """Shows all that a record says, in a terminal."""
    lines = [
        f"{record.bundle}/{record.env}  {short(record.from_)} -> {short(record.to)}",
        _line(("model", f"{record.models.from_ or NONE} -> {record.models.to}")),
    ]
    rows = [("  " + one.name, move(one), one.decision, one.why) for one in record.changed]
    lines += ["parameters", table(rows)] if rows else []
    found = [("  " + one.level, one.where, one.says) for one in record.findings]
    lines += ["findings", table(found)] if found else []
    lines += map(_line, facts(record))
    if record.report is not None:
        lines.append(_line(("report", f"{short(record.report)} says {record.verdict}")))
    return "\n".join(lines)


def _line(told: tuple[str, str]) -> str:
    return f"{told[0]:<{_LABEL}}{told[1]}"


def as_json(planned: "Planned") -> dict[str, Any]:
    """Returns what `--json` prints of a plan."""
    calls = planned.calls
    return {
        "nothing": planned.nothing or None,
        "kind": planned.kind or None,
        "path": planned.path,
        "record": None if planned.record is None else members(planned.record),
        "calls": {
            "new": calls.new,
            "reused": calls.reused,
            "usd": calls.usd,
            "judge_calls": calls.judge_calls,
            "judge_usd": calls.judge_usd,
            "report": calls.report,
            "problem": calls.problem or None,
        },
    }


def facts(record: Migration) -> Facts:
    """Yields what a record says beside changed parameters and findings, with a label each."""
    same = [f"{one.name} {value(one.to)}" for one in record.parameters if one.decision == "kept"]
    if same:
        yield "kept", ", ".join(same)
    if record.known.family is not None:
        dated = f", as of {record.known.dated}" if record.known.dated else ""
        yield "known", f"what {record.known.family} takes{dated}"
    yield from (("not known", one) for one in record.unknown)
    room = record.context
    if room is not None:
        if room.from_ is not None:
            yield "context", f"before: {_room(room.from_)}"
        if room.to is not None:
            yield "context", f"now: {_room(room.to)}; tokens by {room.estimator}"
    yield "cost", _cost(record.cost)
    for judge in record.judges:
        state = f", {judge.state}" if judge.state else ""
        kin = ", of the family of one of the models" if judge.kin else ""
        yield "judge", f"{judge.name} {short(judge.judge)}, family {judge.family}{kin}{state}"
    if record.variants.names:
        yield "spellings", ", ".join(record.variants.names)


def measuring(calls: "Calls") -> Facts:
    """Yields what measuring takes."""
    most = "at most " if calls.problem else ""
    new = count(calls.new, "new call")
    said = f"{most}{new}, {calls.reused} reused, {_about(calls.usd)}"
    if calls.report is not None:
        said = f"no call: report {short(calls.report)} answers it"
    yield "measuring", said
    if calls.judge_calls:
        judging = count(calls.judge_calls, "call")
        yield "judging", f"at most {judging}, {_about(calls.judge_usd)}"
    if calls.problem:
        yield "stopped", calls.problem


def _about(usd: float | None) -> str:
    return "of unknown cost" if usd is None else f"about {_usd(usd)}"


def _cost(cost: Cost) -> str:
    """Says what both bundles cost, and how that is known."""
    said = f"{_usd(cost.from_.usd_case)} -> {_usd(cost.to.usd_case)} a case"
    said += f", {_usd(cost.from_.usd_dataset)} -> {_usd(cost.to.usd_dataset)} for all cases once"
    if Amount(None, None) == cost.from_ == cost.to:
        said = "not known"
    dated = f", prices of {cost.dated}" if cost.dated and cost.basis != MEASURED else ""
    return f"{said} ({cost.basis}: {cost.estimator}{dated})"


def _room(room: Room) -> str:
    """Says how the requests fit a window."""
    window = "no window is known" if room.window is None else f"window {room.window:,}"
    said = f"{window}, largest request about {room.worst:,} ({room.case})" if room.worst else window
    if room.fits is None:
        return said
    beyond = f", {room.beyond} surely do not" if room.beyond else ""
    return f"{said}, {room.fits} of {count(room.of, 'request')} fit{beyond}"


def move(one: Parameter) -> str:
    """Returns the value of a parameter, before and now where they differ."""
    if one.from_ == one.to:
        return value(one.to)
    return f"{value(one.from_)} -> {value(one.to)}"


def value(value: canon.Json) -> str:
    """Returns a value as its canonical text, cut where it is long; `-` for none."""
    if value is None:
        return NONE
    text = value if isinstance(value, str) else canon.encode(value).decode("utf-8")
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"


def _usd(amount: float | None) -> str:
    """Returns an amount with the digits that tell it from nothing."""
    if amount is None:
        return NONE
    if amount == 0 or amount >= 0.1:
        return f"${amount:,.2f}"
    if amount >= 0.001:
        return f"${amount:.4f}"
    return "$" + f"{amount:.7f}".rstrip("0") if amount >= _LEAST else f"under ${_LEAST:.7f}"
