"""Adding events to sums: which ones count, and to which unit's row.

- Only what the canary's current release decided counts, and pinned answers of the units that it
  enrolled; which units those are is known at the end, so that pinned rows are kept for all.
- What is malformed is counted and changes nothing else.
- This is the loop that every event goes through: it looks up and adds, and does nothing else.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from llmvc.traces.reading import Lines, events
from llmvc.traces.sums import BINS, GRACE_MS, NANO, Priced, Scope, Sums, Units, bin_of, newest

_TOKENS: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
_HOUR_MS: Final = 3_600_000


def summed(paths: Iterable[Path], scope: Scope, *, priced: Priced | None = None) -> Sums:
    """Reads logs and returns what they come to.

    Args:
        paths: the files.
        scope: which events count.
        priced: what a call costs by one price table; None believes what events say.
    """
    sums, seen = Sums(scope), Lines()
    adding = Adding(sums, priced)
    for event in events(paths, seen):
        adding.add(event)
    sums.lines += seen.lines
    sums.broken += seen.broken
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
        scope, kind = self._scope, event["event"]
        if event["llmvc.bundle.name"] != scope.bundle or event["llmvc.env"] != scope.env:
            return
        at = int(event["time"] * 1000)
        unit, version = event["llmvc.unit_hash"], event["llmvc.bundle.digest"][3:15]
        if unit is None or event.get("llmvc.shadow"):
            return
        if event["llmvc.pinned"]:
            if at < scope.since or version not in self._sums.arms:
                return
        elif not self._counts(event, kind, version, at):
            return
        units = self._sums.arms[version]
        if event["llmvc.pinned"]:
            # A call says so itself: its assignment may lie before the release.
            units.columns["pinned"][units.row(unit)] += 1
        if kind == "call":
            self._call(event, units, unit, version, at)
        elif kind == "feedback":
            self._feedback(event, units, unit)
        elif kind == "assign":
            if not event["llmvc.pinned"]:
                row = units.row(unit)
                units.columns["assigns"][row] += 1
                first = units.columns["first"]
                first[row] = min(first[row], at) if first[row] else at
        else:
            raise ValueError(kind)
        sums = self._sums
        sums.first = min(sums.first, at) if sums.first else at
        sums.last = max(sums.last, at)

    def _counts(self, event: Mapping[str, Any], kind: str, version: str, at: int) -> bool:
        """Says whether the canary's current release decided; notes who goes by another one."""
        scope, sums = self._scope, self._sums
        process = event["llmvc.process"]
        if event["llmvc.rollout.id"] != scope.rollout or event["llmvc.release.seq"] != scope.seq:
            if kind == "assign" and at > scope.since + GRACE_MS:
                sums.stale[process] += 1
            return False
        if self._arms.get(event["llmvc.arm"]) != version:
            sums.unknown[f"{event['llmvc.arm']} {version}"] += 1
            return False
        if kind != "feedback":
            made = sums.processes.setdefault(f"{process} {version}", [0, 0])
            made[kind == "call"] += 1
        return True

    def _call(
        self, event: Mapping[str, Any], units: Units, unit: str, version: str, at: int
    ) -> None:
        get, columns = event.get, units.columns
        micros = int(event["llmvc.call.duration_s"] * 1_000_000)
        used = get("llmvc.context.used_ratio")
        given, made = (get(name) for name in _TOKENS)
        total = None if given is None or made is None else given + made
        parts = None if used is None else int(used * 10_000)
        cost = self._cost(event, version)
        row = units.row(unit)
        columns["calls"][row] += 1
        if "error.type" in event:
            columns["errors"][row] += 1
        else:
            columns["latency_of"][row] += 1
            columns["latency"][row] += micros
            units.bins[row * BINS + bin_of(micros)] += 1
            answered = get("gen_ai.response.model")
            if answered is not None:
                asked = get("gen_ai.request.model")
                key = f"{version}\t{asked}\t{answered}\t{at // _HOUR_MS}"
                self._sums.models[key] += 1
        for name, value in (
            ("refusals", get("llmvc.refused")),
            ("truncated", get("llmvc.truncated")),
        ):
            if value is not None:
                columns[f"{name}_of"][row] += 1
                columns[name][row] += bool(value)
        for name, amount in (("tokens", total), ("context", parts), ("cost", cost)):
            if amount is not None:
                columns[f"{name}_of"][row] += 1
                columns[name][row] += amount

    def _cost(self, event: Mapping[str, Any], version: str) -> int | None:
        """Returns what a call cost in nano-USD, and notes by which price table."""
        usd: float | None = event.get("llmvc.cost.usd")
        table = event.get("llmvc.cost.price_table")
        found = self._priced(event) if self._priced is not None else None
        if found is not None:
            usd, table = found
        if usd is None:
            return None
        self._sums.tables[f"{version} {table or '-'}"] += 1
        return round(usd * NANO)

    def _feedback(self, event: Mapping[str, Any], units: Units, unit: str) -> None:
        negative = event.get("llmvc.feedback.negative")
        if negative is None:
            return
        row = units.row(unit)
        units.columns["negative_of"][row] += 1
        units.columns["negative"][row] += bool(negative)
        judge = event.get("llmvc.judge.digest")
        if judge is not None:
            self._sums.judges[judge] += 1

    def _beat(self, event: Mapping[str, Any]) -> None:
        """Keeps the newest heartbeat of a process: what it says of this step."""
        scope, process = self._scope, event["llmvc.process"]
        made: dict[str, list[int]] = {}
        for key, counts in event["llmvc.counts"].items():
            rollout, seq, version = key.split(":")
            if rollout == (scope.rollout or "-") and int(seq) == scope.seq:
                made[version] = list(counts)
        beat = [int(event["time"] * 1000), made, int(event["llmvc.dropped"])]
        beats = self._sums.beats
        beats[process] = max(beats.get(process, beat), beat, key=newest)
