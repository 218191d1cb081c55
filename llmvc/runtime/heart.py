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
from llmvc.errors import FormatError, LlmvcError
from llmvc.places import put

TYPE: Final = "heartbeat/1"
FOLDER: Final = "fleet"
EVERY_S: Final = 10.0
LIMIT: Final = 64 * 1024
"""Largest heartbeat that is read, in bytes."""
TIMEOUT_S: Final = 2.0
"""How long a heartbeat may take: the thread that sends it looks at the source as well."""
SDK: Final = f"llmvc-python/{__version__}"
LATEST: Final = 1e11
"""Seconds since the epoch that no calendar reaches; NaN is not below it either."""
_PROCESS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")


@dataclass(frozen=True, slots=True)
class Serves:
    """What a process serves of one environment.

    Attributes:
        seq: the release's number.
        release: the digest of its record; a fork has other releases of the same numbers.
        since: when it took that.
    """

    seq: int
    release: str
    since: float


@dataclass(frozen=True, slots=True)
class Beat:
    """What one process says of itself.

    Attributes:
        process: its name, unique among all.
        host: the machine's name.
        pid: its number there.
        namespace: which numbering of processes `pid` belongs to, unique among all machines; None
            where that is not told.
        start: when it started, in ticks since the machine did; None where that is not told.
        sdk: what it reads snapshots with.
        releases: `bundle/env` -> what it serves.
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
    releases: Mapping[str, Serves]
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
        if not _PROCESS.match(found["process"]):
            raise FormatError(f"heartbeat: {found['process']!r:.40} names no process")
        found["releases"] = {name: _serves(told) for name, told in found["releases"].items()}
        since = (one.since for one in found["releases"].values())
        times = (found["time"], found["every_s"], found["stale_s"] or 0, *since)
        if not all(0 <= value < LATEST for value in times) or not found["every_s"]:
            raise FormatError("heartbeat: a time is out of range")
        return cls(**found)


def _serves(told: Any) -> Serves:
    body: dict[str, Any] = told if isinstance(told, dict) else {}
    seq, release = body.get("seq"), body.get("release")
    since: Any = body.get("since")
    if type(seq) is not int or not isinstance(release, str) or type(since) not in (int, float):
        raise FormatError(f"heartbeat: {told!r:.40} is not what is served")
    return Serves(seq, release, since)


_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("process", "host", "sdk"), (str,)),
    **dict.fromkeys(("time", "every_s"), (int, float)),
    "releases": (dict,),
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
        on_problem: is told why a heartbeat could not be sent, once for each new reason.
        clock: seconds since the epoch.

    Attributes:
        trouble: why the last heartbeat could not be sent; empty if it was.
    """

    def __init__(
        self,
        place: str | Path,
        *,
        every_s: float = EVERY_S,
        on_problem: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.trouble = ""
        self._to: Sends = sender(str(place))
        self._every_s = every_s
        self._on_problem = on_problem
        self._clock = clock
        self._who: _Who | None = None
        self._releases: dict[str, Serves] = {}
        self._last = float("-inf")

    def beat(self, releases: Mapping[str, tuple[int, str]], stale_s: float | None = None) -> None:
        """Says what this process serves, if that is new or it has been silent for long enough.

        Args:
            releases: `bundle/env` -> number and digest of the release.
            stale_s: how old that may be, in seconds.
        """
        now = self._clock()
        held = self._releases
        changed = releases != {name: (one.seq, one.release) for name, one in held.items()}
        forked = self._who is None or self._who.pid != os.getpid()
        # A clock that was set back must not silence a process.
        if not (forked or changed or abs(now - self._last) >= self._every_s):
            return
        if self._who is None or forked:
            self._who = _Who.here()
        self._releases = {
            name: held[name]
            if name in held and (held[name].seq, held[name].release) == tip
            else Serves(*tip, since=now)
            for name, tip in releases.items()
        }
        who = self._who
        said = Beat(
            process=who.process,
            host=who.host,
            pid=who.pid,
            namespace=who.namespace,
            start=who.start,
            sdk=SDK,
            releases=self._releases,
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
        known, self.trouble = self.trouble, ""
        try:
            act()
        except (OSError, LlmvcError, ValueError) as err:
            self.trouble = f"no heartbeat could be sent: {err}"
            if self.trouble != known and self._on_problem is not None:
                self._on_problem(self.trouble)


@dataclass(frozen=True, slots=True)
class _Who:
    """This process, as its heartbeats name it.

    Two may have the same host, pid and start, as in containers; and a process may have two hearts.
    So chance is a part of the name.
    """

    process: str
    host: str
    pid: int
    namespace: str | None
    start: int | None

    @classmethod
    def here(cls) -> "_Who":
        host, pid = os.uname().nodename, os.getpid()
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", host).strip(".-_")[:120] or "host"
        process = f"{safe}-{pid}-{os.urandom(4).hex()}"
        return cls(process, host, pid, namespace(), started(pid))


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
    """Returns which numbering of processes this one is in; None where the system does not tell.

    The first numbering of every Linux has one name, so the start of the system is told with it.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        numbering = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (what it names is no path)
    except (OSError, ValueError):
        return None
    return f"{boot}/{numbering}"


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


def ask(url: str, method: str, data: bytes | None = None, *, timeout_s: float = TIMEOUT_S) -> bytes:
    """Asks an agent.

    Raises:
        StoreError: it refuses, or does not answer to the end in time.
        NotFoundError: it does not know what is asked for.
        ValueError: the URL is none.
    """
    from urllib.request import Request  # noqa: PLC0415 (20 ms that a folder never needs)

    from llmvc.runtime.web import answer_to  # noqa: PLC0415

    headers = {"Content-Type": "application/json"}
    asked = Request(url, data=data, method=method, headers=headers)  # noqa: S310 (http or https)
    found = answer_to(asked, timeout_s)
    return found[0] if found else b""
