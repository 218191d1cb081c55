"""Adding events to sums: which ones count, and to which unit's row.

- Only what the canary's current release decided counts, and pinned answers of the units that it
  enrolled; which units those are is known at the end, so that pinned rows are kept for all.
- What is malformed is counted and changes nothing else: an event is read whole before any of it is
  added, and whatever becomes part of a name or a sum is of its type and in its range.
- This is the loop that every event goes through: it looks up and adds, and does nothing else.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from llmvc.traces.reading import Lines, events
from llmvc.traces.sums import BINS, GRACE_MS, NANO, Priced, Scope, Sums, bin_of, newest

_Read = tuple[list[tuple[str, int]], list[tuple[Counter[str], str]], int | None]
"""What an event adds: amounts by column, counts by name, and the bin of a latency."""

_INPUT: Final = "gen_ai.usage.input_tokens"
_OUTPUT: Final = "gen_ai.usage.output_tokens"
_MOST_KNOWN: Final = 10_000
_HOUR_MS: Final = 3_600_000
_MOST: Final = 1e6
"""No call takes or costs more, in seconds, USD or times the context window."""
_MOST_TOKENS: Final = 1e12
_MOST_TIME: Final = 253_402_300_799
"""The last second that a record's time can name."""


def summed(paths: Iterable[Path], scope: Scope, *, priced: Priced | None = None) -> Sums:
    """Reads logs and returns what they come to.

    Args:
        paths: the files.
        scope: which events count.
        priced: what a call costs by one price table; None believes what events say.

    Raises:
        UsageError: a file is a copy of another.
    """
    sums, seen = Sums(scope), Lines()
    adding = Adding(sums, priced)
    for event in events(paths, seen):
        adding.add(event)
    sums.lines += seen.lines
    sums.broken += seen.broken
    sums.begins.update(dict.fromkeys(seen.begins, 1))
    return sums


class Adding:
    """Adds events to sums.

    Args:
        sums: what they are added to.
        priced: what a call costs by one price table; None believes what events say.
    """

    def __init__(self, sums: Sums, priced: Priced | None = None) -> None:
        self._sums = sums
        self._scope = sums.scope
        self._priced = priced
        self._arms = {"baseline": sums.scope.baseline, "canary": sums.scope.candidate}
        self._known: set[str] = set()

    def add(self, event: Mapping[str, Any]) -> None:
        """Adds one event, if it counts; one that is malformed is counted as broken."""
        try:
            if event["event"] == "heartbeat":
                self._beat(event)
            else:
                self._about(event)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            self._sums.broken += 1

    def _about(self, event: Mapping[str, Any]) -> None:
        """Adds an event on an assignment."""
        scope, sums, kind = self._scope, self._sums, event["event"]
        if event["llmvc.bundle.name"] != scope.bundle or event["llmvc.env"] != scope.env:
            return
        unit, pinned = event["llmvc.unit_hash"], _flag(event["llmvc.pinned"])
        if unit is None or event.get("llmvc.shadow"):
            return
        at, version = _time(event["time"]), self._name(event["llmvc.bundle.digest"])[3:15]
        process = self._name(event["llmvc.process"])
        if pinned:
            if at < scope.since or version not in sums.arms:
                return
        elif not self._counts(event, process, version, at):
            return
        amounts, counts, found = self._read(event, version, at, pinned=pinned)
        units = sums.arms[version]
        row = units.at.get(unit)
        if row is None:
            row = units.row(_name(unit))
        columns = units.columns
        for column, amount in amounts:
            columns[column][row] += amount
        for counter, name in counts:
            counter[name] += 1
        if found is not None:
            units.bins[row * BINS + found] += 1
        if pinned:
            # A call says so itself: its assignment may lie before the release.
            columns["pinned"][row] += 1
        elif kind != "feedback":
            made = sums.processes.setdefault(f"{process} {version}", [0, 0])
            made[kind == "call"] += 1
        sums.first = min(sums.first, at) if sums.first else at
        sums.last = max(sums.last, at)

    def _counts(self, event: Mapping[str, Any], process: str, version: str, at: int) -> bool:
        """Says whether the canary's current release decided; notes who goes by another one."""
        scope, sums = self._scope, self._sums
        if event["llmvc.rollout.id"] != scope.rollout or event["llmvc.release.seq"] != scope.seq:
            if event["event"] == "assign" and at > scope.since + GRACE_MS:
                sums.stale[process] += 1
            return False
        arm = self._name(event["llmvc.arm"])
        if self._arms.get(arm) != version:
            sums.unknown[f"{arm} {version}"] += 1
            return False
        return True

    def _read(self, event: Mapping[str, Any], version: str, at: int, *, pinned: bool) -> _Read:
        """Returns what an event adds to its unit's row.

        Raises:
            ValueError: it is malformed.
        """
        kind = event["event"]
        if kind == "call":
            return self._call(event, version, at)
        if kind == "feedback":
            return self._feedback(event)
        if kind == "assign":
            return [] if pinned else [("assigns", 1)], [], None
        raise ValueError(kind)

    def _call(self, event: Mapping[str, Any], version: str, at: int) -> _Read:
        get = event.get
        micros = _amount(event["llmvc.call.duration_s"], 1_000_000)
        amounts, found = [("calls", 1)], None
        counts: list[tuple[Counter[str], str]] = []
        if "error.type" in event:
            amounts.append(("errors", 1))
        else:
            found = bin_of(micros)
            amounts += (("latency_of", 1), ("latency", micros))
            answered, asked = get("gen_ai.response.model"), get("gen_ai.request.model")
            if answered is not None:
                asked = None if asked is None else self._name(asked)
                key = f"{version}\t{asked}\t{self._name(answered)}\t{at // _HOUR_MS}"
                counts.append((self._sums.models, key))
        if (refused := get("llmvc.refused")) is not None:
            amounts += (("refusals_of", 1), ("refusals", _flag(refused)))
        if (truncated := get("llmvc.truncated")) is not None:
            amounts += (("truncated_of", 1), ("truncated", _flag(truncated)))
        used = get("llmvc.context.used_ratio")
        if used is not None:
            amounts += (("context_of", 1), ("context", _amount(used, 10_000)))
        given, made = get(_INPUT), get(_OUTPUT)
        if given is not None and made is not None:
            both = _amount(given, 1, _MOST_TOKENS) + _amount(made, 1, _MOST_TOKENS)
            amounts += (("tokens_of", 1), ("tokens", both))
        usd, table = self._cost(event)
        if usd is not None:
            amounts += (("cost_of", 1), ("cost", _amount(usd, NANO)))
            counts.append((self._sums.tables, f"{version} {table}"))
        return amounts, counts, found

    def _cost(self, event: Mapping[str, Any]) -> tuple[float | None, str]:
        """Returns what a call cost in USD, and by which price table."""
        found = self._priced(event) if self._priced is not None else None
        if found is not None:
            return found
        table = event.get("llmvc.cost.price_table")
        return event.get("llmvc.cost.usd"), "-" if table is None else self._name(table)

    def _feedback(self, event: Mapping[str, Any]) -> _Read:
        negative, judge = event.get("llmvc.feedback.negative"), event.get("llmvc.judge.digest")
        if negative is None:
            return [], [], None
        counts = [] if judge is None else [(self._sums.judges, _name(judge))]
        return [("negative_of", 1), ("negative", _flag(negative))], counts, None

    def _beat(self, event: Mapping[str, Any]) -> None:
        """Keeps the newest heartbeat of a process: what it says of this step."""
        scope, process = self._scope, _name(event["llmvc.process"])
        made: dict[str, list[int]] = {}
        for key, counts in event["llmvc.counts"].items():
            rollout, seq, version = key.split(":")
            if rollout == (scope.rollout or "-") and int(seq) == scope.seq:
                made[_name(version)] = [_amount(count, 1, _MOST_TOKENS) for count in counts[:2]]
        dropped, key = _amount(event["llmvc.dropped"], 1, _MOST_TOKENS), event.get("llmvc.key")
        beat = [_time(event["time"]), made, dropped, "-" if key is None else _name(key)]
        beats = self._sums.beats
        beats[process] = max(beats.get(process, beat), beat, key=newest)

    def _name(self, value: Any) -> str:
        """Returns text that `_name` has let through, now or before."""
        if value not in self._known:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known.add(_name(value))
        text: str = value
        return text


def _name(value: Any) -> str:
    """Returns text that may stand in a name and in a sentence: printable, without tabs."""
    if type(value) is str and value.isprintable() and value:
        return value
    raise ValueError(value)


def _flag(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise ValueError(value)


def _amount(value: Any, scale: int, most: float = _MOST) -> int:
    """Returns a number in [0, most] as a whole number of parts; NaN is in no range."""
    if type(value) in (int, float) and 0 <= value <= most:
        whole: int = round(value * scale)
        return whole
    raise ValueError(value)


def _time(value: Any) -> int:
    """Returns milliseconds since 1970."""
    if type(value) in (int, float) and 0 < value <= _MOST_TIME:
        return int(value * 1000)
    raise ValueError(value)
