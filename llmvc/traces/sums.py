"""Sums: what the events of one step of a canary come to, a row of whole numbers a unit.

- Sums of two logs merge by addition: in any order, in any grouping, to the same bytes. So a node
  may add up its own log and send the sums instead.
- Everything is a whole number (microseconds, nano-USD, ten-thousandths, milliseconds since 1970),
  because sums of fractions depend on their order.
- Memory grows with the units, never with the events.
- A unit that was served both versions has a row under each; nothing is dropped here.
"""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from math import exp, log
from typing import Any, Final

from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.core.release import Release
from llmvc.core.times import milliseconds
from llmvc.errors import FormatError

TYPE: Final = "sums/1"
COLUMNS: Final = (
    *("assigns", "pinned", "calls", "errors", "refusals_of", "refusals", "truncated_of"),
    *("truncated", "negative_of", "negative", "latency_of", "latency", "cost_of", "cost"),
    *("tokens_of", "tokens", "context_of", "context"),
)
"""Of each unit: counts, and `X_of` calls that told X, which add up to X."""
GRACE_MS: Final = 60_000
"""So long after a step a process may still go by the one before."""
NANO: Final = 1_000_000_000
WIDTH: Final = log(1.02)
"""Latencies are kept in bins whose ends are 2% apart."""
BINS: Final = 4096

Priced = Callable[[Mapping[str, Any]], tuple[float, str] | None]
"""Event of a call -> its cost in USD by one price table, and that table's digest."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which events count.

    Attributes:
        bundle: the bundle's name.
        env: the environment that services ask for.
        rollout: the canary's salt; None for what an environment serves without one.
        seq: number of the release that decides.
        since: milliseconds since 1970 at which the step began.
        baseline: the version served beside the canary, as 12 hex characters.
        candidate: the version on trial, likewise; empty without one.
    """

    bundle: str
    env: str
    rollout: str | None
    seq: int
    since: int
    baseline: str
    candidate: str

    @classmethod
    def of(cls, release: Release, baseline: Digest) -> "Scope":
        """Returns the scope of a step.

        Args:
            release: the canary's release that began it.
            baseline: the version that the environment beside it serves.

        Raises:
            FormatError: the release carries no canary.
        """
        canary = release.canary
        if canary is None:
            raise FormatError(f"release {release.seq} of {release.env} carries no canary")
        since = milliseconds(release.time)
        told = (digest.hex_of(baseline)[:12], digest.hex_of(release.to)[:12])
        return cls(release.bundle, canary.of, canary.salt, release.seq, since, *told)


class Units:
    """Rows of one arm, kept in columns.

    Attributes:
        at: unit hash -> number of its row.
        columns: name -> one whole number a row.
        bins: row * `BINS` + bin of a latency -> calls in it.
    """

    __slots__ = ("at", "bins", "columns")

    def __init__(self) -> None:
        self.at: dict[str, int] = {}
        self.columns = {name: array("q") for name in COLUMNS}
        self.bins: Counter[int] = Counter()

    def row(self, unit: str) -> int:
        """Returns the number of a unit's row, which is made if there is none."""
        found = self.at.get(unit)
        if found is None:
            found = self.at[unit] = len(self.at)
            for column in self.columns.values():
                column.append(0)
        return found

    def add(self, unit: str, values: Iterable[int], bins: Iterable[tuple[int, int]]) -> None:
        """Adds to a unit's row."""
        row = self.row(unit)
        for column, value in zip(self.columns.values(), values, strict=True):
            column[row] += value
        for number, count in bins:
            self.bins[row * BINS + number] += count

    def rows(self) -> dict[str, list[Any]]:
        """Returns unit hash -> its values, then its bins as number and count in turn."""
        bins: dict[int, list[int]] = {}
        for key in sorted(self.bins):
            bins.setdefault(key // BINS, []).extend((key % BINS, self.bins[key]))
        columns = tuple(self.columns.values())
        return {
            unit: [*(column[row] for column in columns), bins.get(row, [])]
            for unit, row in self.at.items()
        }


@dataclass(slots=True)
class Sums:
    """What the events of one step come to.

    Attributes:
        scope: which events count.
        arms: 12 hex characters of a version -> its units.
        lines: lines read.
        broken: lines that are no event.
        unknown: `ARM DIGEST` -> events in this rollout of an arm or version that it does not have.
        stale: process -> units assigned by another release after the time of grace.
        processes: `PROCESS VERSION` -> [assignments, calls] written without a pin.
        beats: process -> its newest heartbeat: [time, assignments and calls by version, dropped,
            name of the key that its units are hashed with].
        tables: `VERSION TABLE` -> calls whose cost rests on that price table.
        judges: digests of the judges of feedback -> how much.
        models: version, model asked for, model that answered and hour, with tabs between -> calls.
        begins: digest of each log's first event -> 1: no log is added twice.
        first: time of the first event counted; 0 without any.
        last: that of the last.
    """

    scope: Scope
    arms: dict[str, Units] = field(default_factory=dict[str, Units])
    lines: int = 0
    broken: int = 0
    unknown: Counter[str] = field(default_factory=Counter[str])
    stale: Counter[str] = field(default_factory=Counter[str])
    processes: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    beats: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    tables: Counter[str] = field(default_factory=Counter[str])
    judges: Counter[str] = field(default_factory=Counter[str])
    models: Counter[str] = field(default_factory=Counter[str])
    begins: Counter[str] = field(default_factory=Counter[str])
    first: int = 0
    last: int = 0

    def __post_init__(self) -> None:
        """Makes both arms, so that one without events is there."""
        for version in (self.scope.baseline, self.scope.candidate):
            self.arms.setdefault(version, Units())

    def merge(self, other: "Sums") -> "Sums":
        """Adds the sums of other logs to these, and returns them.

        Raises:
            FormatError: they are about another step, or hold a log that these hold already.
        """
        if other.begins.keys() & self.begins.keys():
            raise FormatError("the same log is in both sums", hint="add up each log once")
        if other.scope != self.scope:
            raise FormatError(
                f"sums of {_named(other.scope)} cannot be added to those of {_named(self.scope)}"
            )
        for version, units in other.arms.items():
            mine = self.arms[version]
            for unit, row in units.rows().items():
                mine.add(unit, row[:-1], zip(row[-1][::2], row[-1][1::2], strict=True))
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))
        for name, made in other.processes.items():
            mine_made = self.processes.setdefault(name, [0, 0])
            self.processes[name] = [a + b for a, b in zip(mine_made, made, strict=True)]
        for name, beat in other.beats.items():
            self.beats[name] = max(self.beats.get(name, beat), beat, key=newest)
        self.lines += other.lines
        self.broken += other.broken
        self.first = _earlier(self.first, other.first)
        self.last = max(self.last, other.last)
        return self

    def to_bytes(self) -> bytes:
        """Returns the canonical `sums/1` bytes: whole numbers and ASCII keys alone."""
        body = {
            "llmvc": TYPE,
            "scope": asdict(self.scope),
            "columns": list(COLUMNS),
            "arms": {version: units.rows() for version, units in self.arms.items()},
            **{name: getattr(self, name) for name in _PLAIN},
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> Digest:
        """The identity of these sums."""
        return digest.of_bytes(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> "Sums":
        """Reads stored sums.

        Raises:
            FormatError: the bytes are none.
        """
        try:
            body = json.loads(data)
            if body["llmvc"] != TYPE or body["columns"] != list(COLUMNS):
                raise FormatError(f"not a {TYPE} object of this version of llmvc")
            sums = cls(Scope(**body["scope"]))
            for version, rows in body["arms"].items():
                for unit, row in rows.items():
                    bins = zip(row[-1][::2], row[-1][1::2], strict=True)
                    sums.arms[version].add(unit, row[:-1], bins)
            for name, like in _PLAIN.items():
                setattr(sums, name, like(body[name]))
            odd = {_types(made) for made in sums.processes.values()} - {(int, int)}
            odd |= {_types(beat) for beat in sums.beats.values()} - {(int, dict, int, str)}
            told = (made for beat in sums.beats.values() for made in beat[1].values())
            odd |= {(one,) for made in told for one in _types(made)} - {(int,)}
        except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError) as err:
            raise FormatError(f"not a {TYPE} object: {err}") from err
        if odd:
            raise FormatError(f"not a {TYPE} object: of a process")
        return sums


_COUNTERS: Final = ("unknown", "stale", "tables", "judges", "models", "begins")
_PLAIN: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("lines", "broken", "first", "last"), int),
    **dict.fromkeys(_COUNTERS, Counter[str]),
    **dict.fromkeys(("processes", "beats"), dict[str, list[Any]]),
}


def _types(values: Iterable[Any]) -> tuple[type, ...]:
    return tuple(map(type, values))


def bin_of(microseconds: int) -> int:
    """Returns the bin of a latency."""
    return min(BINS - 1, int(log(max(1, microseconds)) / WIDTH))


def upper_end(number: int) -> float:
    """Returns the upper end of a bin, in microseconds."""
    return exp((number + 1) * WIDTH)


def _earlier(one: int, other: int) -> int:
    """Returns the earlier of two times of which 0 is none."""
    return min(one, other) if one and other else one or other


def newest(beat: list[Any]) -> tuple[int, str]:
    """Returns what tells the newer of two heartbeats."""
    return beat[0], json.dumps(beat, sort_keys=True)


def _named(scope: Scope) -> str:
    return f"{scope.bundle}/{scope.env} rollout {scope.rollout} release {scope.seq}"
