"""Heartbeats: each process says what it serves.

- A process writes one small file, `fleet/<process>.json`, right after it took another release and
  every few seconds; it removes it when it ends in order.
- A heartbeat that cannot be sent never disturbs the process that serves.
- Times are seconds since the epoch by the clock of the machine that wrote them.
"""

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from llmvc import __version__
from llmvc.core import canon
from llmvc.errors import FormatError, StoreError
from llmvc.runtime.places import put

TYPE: Final = "heartbeat/1"
FOLDER: Final = "fleet"
EVERY_S: Final = 10.0
LIMIT: Final = 64 * 1024
"""Largest heartbeat that is read, in bytes."""
TIMEOUT_S: Final = 2.0
SDK: Final = f"llmvc-python/{__version__}"
_LATEST: Final = 1e11
"""Seconds since the epoch that no calendar reaches; NaN is not below it either."""
_PROCESS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")


@dataclass(frozen=True, slots=True)
class Beat:
    """What one process says of itself.

    Attributes:
        process: its name, unique among all: host, pid and start.
        host: the machine's name.
        pid: its number there.
        namespace: which numbering of processes `pid` belongs to; None where that is not told.
        start: when it started, in ticks since the machine did; None where that is not told.
        sdk: what it reads snapshots with.
        releases: `bundle/env` -> `seq` that it serves.
        since: `bundle/env` -> when it took that.
        time: when it said this.
        every_s: how often it says something, at least.
        stale_s: how old what it serves may be, in seconds; None where that is not known.
    """

    process: str
    host: str
    pid: int
    namespace: str | None
    start: int | None
    sdk: str
    releases: Mapping[str, int]
    since: Mapping[str, float]
    time: float
    every_s: float
    stale_s: float | None

    def to_bytes(self) -> bytes:
        """Returns the bytes of its file."""
        body = {"llmvc": TYPE, **asdict(self)}
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Beat":
        """Reads a heartbeat; members that are not known are passed over.

        Raises:
            FormatError: it is none.
        """
        try:
            body: Any = canon.decode(data) if len(data) <= LIMIT else None
        except FormatError as err:
            raise FormatError(f"not a heartbeat: {err}") from err
        if not isinstance(body, dict) or body.get("llmvc") != TYPE:
            raise FormatError(f"not a {TYPE} of at most {LIMIT} bytes")
        found: dict[str, Any] = {item.name: body.get(item.name) for item in fields(cls)}
        for name, kinds in _KINDS.items():
            if type(found[name]) not in kinds:
                raise FormatError(f"heartbeat: {name} is {found[name]!r:.40}")
        for name, kinds in (("releases", (int,)), ("since", (int, float))):
            if not all(type(value) in kinds for value in found[name].values()):
                raise FormatError(f"heartbeat: {name} does not hold numbers alone")
        if not _PROCESS.match(found["process"]):
            raise FormatError(f"heartbeat: {found['process']!r:.40} names no process")
        times = (found["time"], found["every_s"], found["stale_s"] or 0, *found["since"].values())
        if not all(0 <= value < _LATEST for value in times) or not found["every_s"]:
            raise FormatError("heartbeat: a time is out of range")
        return cls(**found)


_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("process", "host", "sdk"), (str,)),
    **dict.fromkeys(("releases", "since"), (dict,)),
    **dict.fromkeys(("time", "every_s"), (int, float)),
    "pid": (int,),
    "namespace": (str, NoneType),
    "start": (int, NoneType),
    "stale_s": (int, float, NoneType),
}


def file_of(process: str) -> str:
    """Returns the name of a process's file.

    Raises:
        FormatError: the name is none, such as one that leads out of the folder.
    """
    if not _PROCESS.match(process):
        raise FormatError(f"{process!r:.40} names no process")
    return f"{process}.json"


class Heart:
    """Sends this process's heartbeats; after a fork it speaks for the child.

    Args:
        place: folder of a snapshot, or the URL at which an agent serves one.
        every_s: how often to say something, at least.
        clock: seconds since the epoch.

    Attributes:
        trouble: why the last heartbeat could not be sent; empty if it was.
    """

    def __init__(
        self,
        place: str | Path,
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.trouble = ""
        self._to: Sends = sender(str(place))
        self._every_s = every_s
        self._clock = clock
        self._who: _Who | None = None
        self._releases: dict[str, int] = {}
        self._since: dict[str, float] = {}
        self._last = float("-inf")

    def beat(self, releases: Mapping[str, int], stale_s: float | None = None) -> None:
        """Says what this process serves, if that is new or it has been silent for long enough.

        Args:
            releases: `bundle/env` -> `seq`.
            stale_s: how old that may be, in seconds.
        """
        now = self._clock()
        forked = self._who is None or self._who.pid != os.getpid()
        changed = releases != self._releases
        # A clock that was set back must not silence a process.
        if not (forked or changed or abs(now - self._last) >= self._every_s):
            return
        if self._who is None or forked:
            self._who = _Who.here(now)
        for name, seq in releases.items():
            if self._releases.get(name) != seq:
                self._since[name] = now
        self._releases = dict(releases)
        since = {name: self._since[name] for name in releases}
        who = self._who
        said = Beat(
            process=who.process,
            host=who.host,
            pid=who.pid,
            namespace=who.namespace,
            start=who.start,
            sdk=SDK,
            releases=self._releases,
            since=since,
            time=now,
            every_s=self._every_s,
            stale_s=None if stale_s is None else max(0.0, stale_s),
        )
        self._last = now
        self._try(lambda: self._to.send(who.process, said.to_bytes()))

    def stop(self) -> None:
        """Says that this process serves no more."""
        who, self._who = self._who, None
        if who is not None and who.pid == os.getpid():
            self._try(lambda: self._to.end(who.process))

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
            self.trouble = ""
        except (OSError, StoreError, ValueError) as err:
            self.trouble = str(err)


@dataclass(frozen=True, slots=True)
class _Who:
    """This process, as its heartbeats name it."""

    process: str
    host: str
    pid: int
    namespace: str | None
    start: int | None

    @classmethod
    def here(cls, now: float) -> "_Who":
        host, pid = os.uname().nodename, os.getpid()
        start = started(pid)
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", host).strip(".-_")[:120] or "host"
        return cls(f"{safe}-{pid}-{start or round(now)}", host, pid, namespace(), start)


def started(pid: int) -> int | None:
    """Returns when a process of this machine started, in ticks; None if it does not run.

    None too where the system does not tell; field 22 of `proc(5)`'s stat.
    """
    try:
        told = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    behind_name = told.rpartition(b")")[2].split()  # a program's name may hold anything
    return None if behind_name[0] in (b"Z", b"X") else int(behind_name[19])


def namespace() -> str | None:
    """Returns which numbering of processes this one is in; None where the system does not tell."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (what it names is no path)
    except OSError:
        return None


class Sends(Protocol):
    """Where heartbeats go."""

    def send(self, process: str, data: bytes) -> None:
        """Puts a process's heartbeat there, in the place of the one before."""
        ...

    def end(self, process: str) -> None:
        """Removes a process's heartbeat."""
        ...


@dataclass(frozen=True, slots=True)
class _ToFolder:
    """A folder that the process shares with others."""

    folder: Path

    def send(self, process: str, data: bytes) -> None:
        put(self.folder / file_of(process), data)

    def end(self, process: str) -> None:
        (self.folder / file_of(process)).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _ToAgent:
    """An agent that serves HTTP."""

    url: str

    def send(self, process: str, data: bytes) -> None:  # noqa: ARG002 (the data name it)
        ask(f"{self.url}/v1/heartbeat", "POST", data)

    def end(self, process: str) -> None:
        ask(f"{self.url}/v1/heartbeat/{quote(process)}", "DELETE")


def sender(place: str) -> Sends:
    """Returns what puts heartbeats into a snapshot's folder, or hands them to an agent's URL."""
    if urlsplit(place).scheme in ("http", "https"):
        return _ToAgent(place.rstrip("/"))
    return _ToFolder(folder_of(place))


def folder_of(place: str) -> Path:
    """Returns the folder of heartbeats in a snapshot's folder, or the one named itself."""
    path = Path(place.removeprefix("file://")).expanduser()
    return path if path.name == FOLDER else path / FOLDER


def ask(url: str, method: str, data: bytes | None = None) -> bytes:
    """Asks an agent, whose answers are small.

    Raises:
        OSError: it does not answer, or refuses.
    """
    from urllib.request import Request, urlopen  # noqa: PLC0415 (20 ms that a folder never needs)

    headers = {"Content-Type": "application/json"}
    asked = Request(url, data=data, method=method, headers=headers)  # noqa: S310 (http or https)
    with urlopen(asked, timeout=TIMEOUT_S) as answer:  # noqa: S310
        return bytes(answer.read(256 * LIMIT))
