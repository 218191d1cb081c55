"""Fleets: what the heartbeats of many processes prove.

- Nothing counts as proof but a process's own word, or its death seen on this very machine.
- What cannot be read is never passed over: it may be the one that is behind.
- Times are by the clock of the place where heartbeats lie, whatever the processes' clocks say.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from llmvc.core import canon
from llmvc.core.digest import Digest
from llmvc.errors import FormatError, LlmvcError, NotFoundError, StoreError
from llmvc.runtime.heart import LATEST, LIMIT, Beat, ask, folder_of, namespace, sender, started

SILENT_S: Final = 86_400.0
"""After so long without a word nobody is expected to read a heartbeat any more."""
ANSWER_S: Final = 20.0
"""How long an agent may take to pass on what it has collected, which may be 4 MB."""
MISSED: Final = 3
"""After so many intervals without a word a process counts as silent."""

State = Literal["moved", "forked", "behind", "silent", "gone"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One process, seen from one environment.

    Attributes:
        process: its name.
        host: its machine.
        seq: what it serves, by its last word.
        since: when it took that.
        time: when it said so.
        late: whether that is longer ago than `MISSED` of its intervals.
        state: `moved` (it serves the wanted release or a later one), `forked` (another release of
            that number), `behind`, `silent` (one of these two, and late) or `gone` (the same, and
            dead, as this machine can tell).
    """

    process: str
    host: str
    seq: int
    since: float
    time: float
    late: bool
    state: State


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where all processes stand that serve one environment.

    Attributes:
        bundle: the bundle's name.
        env: the environment's name.
        seq: the release that all are to serve.
        processes: one a process; those that have not moved first.
        unread: heartbeats and places that cannot be read, and why.
    """

    bundle: str
    env: str
    seq: int
    processes: tuple[Standing, ...] = ()
    unread: tuple[str, ...] = ()

    def those(self, *states: State) -> tuple[Standing, ...]:
        """Returns the processes in one of these states."""
        return tuple(item for item in self.processes if item.state in states)

    @property
    def left(self) -> tuple[Standing, ...]:
        """The processes that may still serve another release."""
        return self.those("forked", "behind", "silent")

    @property
    def proven(self) -> bool:
        """Whether every process that was ever heard of has moved, and one has at least."""
        return bool(self.those("moved")) and not self.left and not self.unread

    @property
    def last_left(self) -> float | None:
        """When the last process took the release; None while that is open."""
        return max(item.since for item in self.those("moved")) if self.proven else None


def read(places: Sequence[str]) -> tuple[tuple[Beat, ...], tuple[str, ...]]:
    """Reads all heartbeats in some folders, or that agents have collected.

    Args:
        places: folders of snapshots, or URLs of agents.

    Returns:
        The newest heartbeat of each process, sorted by name; and what cannot be read, and why.
    """
    newest: dict[str, Beat] = {}
    unread: list[str] = []
    for place in dict.fromkeys(places):
        try:
            for found in _found(place):
                if isinstance(found, str):
                    unread.append(found)
                elif found.process not in newest or newest[found.process].time <= found.time:
                    newest[found.process] = found
        except (OSError, LlmvcError, ValueError) as err:
            unread.append(f"{place}: {err}")
    return tuple(newest[name] for name in sorted(newest)), tuple(unread)


def prune(places: Sequence[str], *, now: float) -> tuple[str, ...]:
    """Removes the heartbeats of processes that are dead, or silent for longer than `SILENT_S`.

    Args:
        places: folders of snapshots, or URLs of agents.
        now: seconds since the epoch.

    Returns:
        The names of the processes, sorted. What cannot be read stays.

    Raises:
        StoreError: a place cannot be read, or a heartbeat cannot be removed.
    """
    gone: set[str] = set()
    for place in dict.fromkeys(places):
        try:
            for beat in _found(place):
                if isinstance(beat, str):
                    continue
                running = runs(beat)
                if running is False or (running is None and now - beat.time > SILENT_S):
                    sender(place).end(beat.process)
                    gone.add(beat.process)
        except (OSError, LlmvcError, ValueError) as err:
            raise StoreError(f"{place}: {err}") from err
    return tuple(sorted(gone))


def _found(place: str) -> Iterator[Beat | str]:
    """Yields the heartbeats of a place by its own clock, and why others cannot be read.

    Raises:
        OSError, LlmvcError, ValueError: the place cannot be read.
    """
    asked = urlsplit(place).scheme in ("http", "https")
    if not asked and not folder_of(place).parent.is_dir():  # in one that is there all may be silent
        raise NotFoundError("there is no such folder")
    for name, data, heard in _passed_on(place) if asked else files(folder_of(place)):
        try:
            beat = Beat.from_bytes(data)
        except FormatError as err:
            yield f"{name}: {err}"
            continue
        ahead = beat.time - heard
        releases = {
            at: replace(one, since=min(heard, max(0.0, one.since - ahead)))  # not after it said so
            for at, one in beat.releases.items()
        }
        yield replace(beat, time=heard, releases=releases)


def files(folder: Path) -> Iterator[tuple[str, bytes, float]]:
    """Yields the files of a folder of heartbeats: path, bytes, and when each was written.

    Raises:
        OSError: one cannot be read.
    """
    for path in sorted(folder.glob("[!.]*.json")):
        with suppress(FileNotFoundError), path.open("rb") as file:  # it may end while we look
            yield str(path), file.read(LIMIT + 1), os.fstat(file.fileno()).st_mtime


def _passed_on(url: str) -> Iterator[tuple[str, bytes, float]]:
    """Yields the heartbeats that an agent has collected, like `files`."""
    told: Any = canon.decode(ask(f"{url.rstrip('/')}/v1/fleet", "GET", timeout_s=ANSWER_S))
    listed: Any = told.get("heartbeats") if isinstance(told, dict) else None
    if not isinstance(listed, list):
        raise FormatError("it is no agent that answers")
    for item in listed:
        heard: Any = item.get("heard") if isinstance(item, dict) else None
        known = type(heard) in (int, float) and 0 <= heard < LATEST
        data = json.dumps(item, separators=(",", ":")).encode()  # no longer than what was sent
        yield url, data, heard if known else 0.0


def stand(
    beats: Sequence[Beat],
    bundle: str,
    env: str,
    tip: tuple[int, Digest],
    *,
    now: float,
    unread: tuple[str, ...] = (),
    is_running: Callable[[Beat], bool | None] | None = None,
) -> Fleet:
    """Returns where each process stands that serves an environment.

    Args:
        beats: the newest heartbeat of each process.
        bundle: the bundle's name.
        env: the environment's name.
        tip: number and digest of the release that all are to serve.
        now: seconds since the epoch.
        unread: what could not be read.
        is_running: see `runs`.
    """
    name, running, order = f"{bundle}/{env}", is_running or runs, get_args(State)
    found: list[Standing] = []
    for beat in beats:
        if name not in beat.releases:
            continue
        serves, late = beat.releases[name], now - beat.time > MISSED * beat.every_s
        state: State = "moved"
        if serves.seq < tip[0] or (serves.seq == tip[0] and serves.release != tip[1]):
            state = "behind" if serves.seq < tip[0] else "forked"
            if running(beat) is False:
                state = "gone"
            elif late:
                state = "silent"
        found.append(
            Standing(beat.process, beat.host, serves.seq, serves.since, beat.time, late, state)
        )
    found.sort(key=lambda item: (item.state == "moved", order.index(item.state), item.process))
    return Fleet(bundle, env, tip[0], tuple(found), unread)


def runs(beat: Beat) -> bool | None:
    """Tells whether a process runs; None where this machine cannot tell."""
    if beat.start is None or beat.namespace is None or beat.namespace != namespace():
        return None
    found = started(beat.pid)
    return None if found is None and _hidden(beat.pid) else found == beat.start


def _hidden(pid: int) -> bool:
    """Says whether a process is there of which `/proc` shows nothing, as of those of other users.

    A system may be told to, by `hidepid` of proc(5): then nothing to be seen is no death.
    """
    try:
        os.kill(pid, 0)  # only asks
    except PermissionError:
        return True
    except (OSError, OverflowError):
        pass
    return False
