"""How a migration reads: what becomes of each parameter, what was found, what it fits and costs.

- A plan and the record that a release carries are shown by the same lines.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from llmvc.core import canon
from llmvc.core.digest import short
from llmvc.core.migration import MEASURED, Amount, Migration, Parameter, Room
from llmvc.core.plural import count
from llmvc.core.record import members
from llmvc.render.text import table

if TYPE_CHECKING:
    from llmvc.app.migrating.planning import Calls, Planned

_LONG: Final = 48
_LEAST: Final = 1e-7
NONE: Final = "-"


def plan(planned: "Planned") -> str:
    """Shows a plan in a terminal."""
    record = planned.record
    if record is None:
        return planned.nothing
    lines = [record_text(record), *measuring(planned.calls)]
    if not planned.calls.problem:
        lines.append(f"release    a pass leads to a {planned.kind} in {record.env}")
    return "\n".join(lines)


def record_text(record: Migration) -> str:
    """Shows all that a record says, in a terminal."""
    lines = [
        f"{record.bundle}/{record.env}  {short(record.from_)} -> {short(record.to)}",
        f"model      {record.models.from_ or NONE} -> {record.models.to}",
    ]
    changed = [one for one in record.parameters if one.decision != "kept"]
    rows = [("  " + one.name, _move(one), one.decision, one.why) for one in changed]
    lines += ["parameters", table(rows)] if rows else []
    lines += kept(record)
    found = [("  " + one.level, one.where, one.says) for one in record.findings]
    lines += ["findings", table(found)] if found else []
    lines += [f"not known  {one}" for one in record.unknown]
    lines += facts(record)
    if record.report is not None:
        lines.append(f"report     {short(record.report)} says {record.verdict}")
    return "\n".join(lines)


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


def kept(record: Migration) -> Iterator[str]:
    """Yields the parameters that stay as they are, in one line."""
    told = [f"{one.name} {value(one.to)}" for one in record.parameters if one.decision == "kept"]
    if told:
        yield f"kept       {', '.join(told)}"


def facts(record: Migration) -> Iterator[str]:
    """Yields what a record says of window, money, judges and spellings, a line each."""
    room = record.context
    if room is not None:
        if room.from_ is not None:
            yield f"context    before: {_room(room.from_)}"
        if room.to is not None:
            yield f"context    now: {_room(room.to)}; tokens by {room.estimator}"
    cost = record.cost
    said = f"{_usd(cost.from_.usd_case)} -> {_usd(cost.to.usd_case)} a case"
    said += f", {_usd(cost.from_.usd_dataset)} -> {_usd(cost.to.usd_dataset)} for all cases once"
    if Amount(None, None) == cost.from_ == cost.to:
        said = "not known"
    dated = f", prices of {cost.dated}" if cost.dated and cost.basis != MEASURED else ""
    yield f"cost       {said} ({cost.basis}: {cost.estimator}{dated})"
    for judge in record.judges:
        state = f", {judge.state}" if judge.state else ""
        kin = ", of the family of one of the models" if judge.kin else ""
        yield f"judge      {judge.name} {short(judge.judge)}, family {judge.family}{kin}{state}"
    if record.variants.names:
        yield f"spellings  {', '.join(record.variants.names)}"


def measuring(calls: "Calls") -> Iterator[str]:
    """Yields what measuring takes."""
    if calls.report is not None:
        yield f"measuring  no call: report {short(calls.report)} answers it"
        return
    most = "at most " if calls.problem else ""
    cost = "of unknown cost" if calls.usd is None else f"about {_usd(calls.usd)}"
    yield f"measuring  {most}{count(calls.new, 'new call')}, {calls.reused} reused, {cost}"
    if calls.judge_calls:
        cost = "of unknown cost" if calls.judge_usd is None else f"about {_usd(calls.judge_usd)}"
        yield f"judging    at most {count(calls.judge_calls, 'call')}, {cost}"
    if calls.problem:
        yield f"stopped    {calls.problem}"


def _room(room: Room) -> str:
    """Says how the requests fit a window."""
    window = "no window is known" if room.window is None else f"window {room.window:,}"
    said = f"{window}, largest request about {room.worst:,} ({room.case})" if room.worst else window
    if room.fits is None:
        return said
    beyond = f", {room.beyond} surely do not" if room.beyond else ""
    return f"{said}, {room.fits} of {count(room.of, 'request')} fit{beyond}"


def _move(one: Parameter) -> str:
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
