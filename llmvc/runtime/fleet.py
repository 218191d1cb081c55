"""Fleets: what the heartbeats of many processes prove.

- Nothing counts as proof but a process's own word, or its death seen on this very machine.
- What cannot be read is never passed over: it may be the one that is behind.
"""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from llmvc.errors import FormatError, StoreError
from llmvc.runtime.heart import LIMIT, Beat, Heart, ask, folder_of, namespace, sender, started

__all__ = ["Fleet", "Heart", "Standing", "dead", "prune", "read", "stand"]

SILENT_S: Final = 86_400.0
"""After so long without a word nobody is expected to read a heartbeat any more."""
MISSED: Final = 3
"""After so many intervals without a word a process counts as silent."""

State = Literal["moved", "behind", "silent", "gone"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One process, seen from one environment.

    Attributes:
        process: its name.
        host: its machine.
        seq: what it serves, by its last word.
        since: when it took that.
        time: when it said so.
        state: `moved` (it serves the wanted release or a later one), `behind`, `silent` (behind
            when it last spoke, which is too long ago) or `gone` (dead, as this machine can tell).
    """

    process: str
    host: str
    seq: int
    since: float
    time: float
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
    def proven(self) -> bool:
        """Whether every process that was ever heard of has moved, and one has at least."""
        left = self.those("behind", "silent")
        return bool(self.those("moved")) and not left and not self.unread

    @property
    def last_left(self) -> float | None:
        """When the last process took the release, by its own clock; None while that is open."""
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
            found = _files_of(place)
        except (OSError, ValueError) as err:
            unread.append(f"{place}: {err}")
            continue
        for name, data in found:
            try:
                beat = Beat.from_bytes(data)
            except FormatError as err:
                unread.append(f"{name}: {err}")
                continue
            if beat.process not in newest or newest[beat.process].time <= beat.time:
                newest[beat.process] = beat
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
            for _, data in _files_of(place):
                with suppress(FormatError):
                    beat = Beat.from_bytes(data)
                    if now - beat.time > SILENT_S or dead(beat):
                        sender(place).end(beat.process)
                        gone.add(beat.process)
        except (OSError, ValueError) as err:
            raise StoreError(f"{place}: {err}") from err
    return tuple(sorted(gone))


def _files_of(place: str) -> list[tuple[str, bytes]]:
    if urlsplit(place).scheme in ("http", "https"):
        listed = json.loads(ask(f"{place.rstrip('/')}/v1/fleet", "GET"))
        return [(place, json.dumps(item).encode()) for item in listed["heartbeats"]]
    found: list[tuple[str, bytes]] = []
    for path in sorted(folder_of(place).glob("[!.]*.json")):
        with suppress(FileNotFoundError), path.open("rb") as file:  # it may end while we look
            found.append((str(path), file.read(LIMIT + 1)))
    return found


def stand(
    beats: Sequence[Beat],
    bundle: str,
    env: str,
    seq: int,
    *,
    now: float,
    unread: tuple[str, ...] = (),
    is_dead: Callable[[Beat], bool] | None = None,
) -> Fleet:
    """Returns where each process stands that serves an environment.

    Args:
        beats: the newest heartbeat of each process.
        bundle: the bundle's name.
        env: the environment's name.
        seq: the release that all are to serve.
        now: seconds since the epoch.
        unread: what could not be read.
        is_dead: tells of a process that is behind whether it is proven not to run any more.
    """
    name, proves = f"{bundle}/{env}", is_dead or dead
    order = get_args(State)
    found: list[Standing] = []
    for beat in beats:
        if name not in beat.releases:
            continue
        state: State = "behind" if beat.releases[name] < seq else "moved"
        if state == "behind" and proves(beat):
            state = "gone"
        elif state == "behind" and now - beat.time > MISSED * beat.every_s:
            state = "silent"
        since = beat.since.get(name, beat.time)
        found.append(
            Standing(beat.process, beat.host, beat.releases[name], since, beat.time, state)
        )
    found.sort(key=lambda item: (item.state == "moved", order.index(item.state), item.process))
    return Fleet(bundle, env, seq, tuple(found), unread)


def dead(beat: Beat) -> bool:
    """Tells whether a process is proven dead: one of this machine that no longer runs."""
    if beat.host != os.uname().nodename or beat.start is None or beat.namespace is None:
        return False
    return beat.namespace == namespace() and started(beat.pid) != beat.start
