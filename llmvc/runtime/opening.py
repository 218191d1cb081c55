"""Opening a source: what is loaded with the first client, and not before."""

import os
from collections.abc import Callable
from typing import Final

from llmvc.errors import UsageError
from llmvc.runtime.client import Log
from llmvc.runtime.refresh import Heart, Refresher
from llmvc.runtime.sources import Directory, Source, open_source, usual_wait_s

MOST_S: Final = 1_000_000
"""The longest wait between two looks; no system waits for ever."""


def opened(
    source: str | os.PathLike[str] | Source,
    *,
    every_s: float | None,
    fallback: str | os.PathLike[str] | None,
    log: Log | None,
    heartbeats: str | os.PathLike[str] | Heart | None,
    on_problem: Callable[[str], None] | None,
) -> Refresher:
    """Returns what looks at a source, after its first look; see `llmvc.runtime.open`."""
    if every_s is not None and not 0 < every_s <= MOST_S:
        raise UsageError(f"every_s is {every_s} and must be above 0 and at most {MOST_S}")
    found = open_source(source)
    wait_s = every_s or usual_wait_s(found)
    heart = _heart(heartbeats, wait_s, on_problem)
    return Refresher(
        found,
        every_s=wait_s,
        fallback=None if fallback is None else Directory(fallback, packaged=True),
        hearts=tuple(one for one in (heart, log) if isinstance(one, Heart)),
        on_problem=on_problem,
    )


def _heart(
    place: str | os.PathLike[str] | Heart | None,
    wait_s: float,
    on_problem: Callable[[str], None] | None,
) -> Heart | None:
    if not isinstance(place, str | os.PathLike):
        return place
    from llmvc.runtime import heart  # noqa: PLC0415 (few services say anything)

    # It is told something at each look: who looks seldom cannot promise to speak often.
    every_s = max(heart.EVERY_S, wait_s)
    return heart.Heart(os.fspath(place), every_s=every_s, on_problem=on_problem)
