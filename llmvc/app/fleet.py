"""The fleet: which processes serve the newest release of an environment, by their own word."""

import time
from collections.abc import Callable, Sequence

from llmvc.app import revisions, serving
from llmvc.app.workspace import Workspace
from llmvc.errors import UsageError
from llmvc.runtime import fleet as fleets
from llmvc.runtime.fleet import Fleet

LOOK_S = 0.05
"""Pause between two looks at the heartbeats while one waits."""


def heartbeats(ws: Workspace, given: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns where processes leave their heartbeats.

    Args:
        ws: the workspace.
        given: what was named; else Git's `llmvc.fleet`, else those of `llmvc.snapshot` that can
            hold some.

    Raises:
        UsageError: there is no such place.
    """
    found = tuple(given) or serving.places(ws, "fleet")
    if not found:
        kinds = ("file", "http", "https")
        found = tuple(
            place
            for place in serving.places(ws)
            if "://" not in place or place.partition("://")[0] in kinds
        )
    if not found:
        raise UsageError(
            "where do processes leave their heartbeats?",
            hint="--heartbeats DIR, or git config llmvc.fleet DIR",
        )
    return found


def prune(ws: Workspace, places: Sequence[str]) -> tuple[str, ...]:
    """Removes the heartbeats of processes that are dead or silent for a day; returns their names.

    Raises:
        StoreError: a place cannot be read, or a heartbeat cannot be removed.
    """
    return fleets.prune(places, now=ws.now().timestamp())


def fleet(
    ws: Workspace,
    bundle: str | None,
    env: str,
    *,
    places: Sequence[str],
    wait_s: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Fleet:
    """Returns where all processes stand, against the newest release of an environment.

    Args:
        ws: the workspace.
        bundle: its name; None if only one was released.
        env: the environment.
        places: where heartbeats lie; see `heartbeats`.
        wait_s: how long to wait for the last process, in seconds.
        clock: seconds that only go up.
        sleep: waits for a number of seconds.

    Raises:
        NotFoundError: nothing was released there.
    """
    chain = ws.repo.chain(ws.released_bundle(bundle), env)
    tip = chain.tip()
    if tip is None:
        raise revisions.unreleased(ws, chain.bundle, env)
    goal, until = (tip.release.seq, tip.release.digest), clock() + wait_s
    while True:
        beats, unread = fleets.read(places)
        now = ws.now().timestamp()
        found = fleets.stand(beats, chain.bundle, env, goal, now=now, unread=unread)
        if found.proven or clock() >= until:
            return found
        sleep(LOOK_S)
