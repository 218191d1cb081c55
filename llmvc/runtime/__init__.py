"""The runtime: what a service imports to be served bundles, without Git or anything heavy.

- Importing it loads the resolver alone; what reads and checks snapshots comes with `open`.
- `resolve` does no I/O and takes no lock; a thread in the background keeps what it serves current.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmvc.core.bucket import bucket
from llmvc.errors import UsageError
from llmvc.runtime.assign import Assignment
from llmvc.runtime.client import Client, Health, Log, OnNoUnit, OnStale

if TYPE_CHECKING:
    from llmvc.runtime.refresh import Heart
    from llmvc.runtime.sources import Source

__all__ = ["Assignment", "Client", "Health", "Log", "OnNoUnit", "OnStale", "bucket", "open"]


def open(  # noqa: A001 (used as llmvc.runtime.open)
    source: "str | os.PathLike[str] | Source",
    *,
    every_s: float | None = None,
    max_age_s: float | None = None,
    on_stale: OnStale | None = None,
    on_no_unit: OnNoUnit = "baseline",
    fallback: str | os.PathLike[str] | None = None,
    log: Log | None = None,
    heartbeats: "str | os.PathLike[str] | Heart | None" = None,
    on_problem: Callable[[str], None] | None = None,
) -> Client:
    """Reads a snapshot, and keeps reading in the background until the client is closed.

    Args:
        source: a directory that holds a snapshot, a local or bare Git repository, an http(s) URL,
            any URL that fsspec knows, or an object with the methods of `Source`.
        every_s: seconds between two looks, in (0, 1,000,000]; 0.1 for a directory, 2 for others.
        max_age_s: from when on what is served counts as stale; None for never.
        on_stale: what to do then: `serve`, `baseline_only` (no canary) or `raise`; pins still
            stand. By default `baseline_only`.
        on_no_unit: what a call without a unit gets while a canary is open: `baseline` or `raise`.
        fallback: directory with a snapshot to start from where the source cannot be read.
        log: is told of every assignment, and what is served; see `llmvc.runtime.events.Log`.
        heartbeats: where this process says what it serves; see `llmvc.runtime.heart`.
        on_problem: is told what went wrong at a look, once for each new problem.

    Raises:
        LlmvcError: the source cannot be read and there is no fallback.
        UsageError: an option is not known.
    """
    from llmvc.runtime.opening import opened  # noqa: PLC0415 (see the module's first line)

    refresher = opened(
        source,
        every_s=every_s,
        fallback=fallback,
        log=log,
        heartbeats=heartbeats,
        on_problem=on_problem,
    )
    try:
        client = Client(
            refresher, max_age_s=max_age_s, on_stale=on_stale, on_no_unit=on_no_unit, log=log
        )
    except UsageError:
        refresher.stop()
        raise
    refresher.start()
    return client
