"""Opening a source: what is loaded with the first client, and not before."""

import os
from collections.abc import Callable

from llmvc.errors import UsageError
from llmvc.runtime.refresh import Heart, Refresher
from llmvc.runtime.sources import Directory, Source, open_source, usual_wait_s


def opened(
    source: str | os.PathLike[str] | Source,
    *,
    every_s: float | None,
    fallback: str | os.PathLike[str] | None,
    heartbeats: str | os.PathLike[str] | Heart | None,
    on_problem: Callable[[str], None] | None,
) -> Refresher:
    """Returns what looks at a source, after its first look; see `llmvc.runtime.open`."""
    if every_s is not None and not every_s > 0:
        raise UsageError(f"every_s is {every_s} and must be above 0")
    found = open_source(source)
    return Refresher(
        found,
        every_s=every_s or usual_wait_s(found),
        fallback=None if fallback is None else Directory(fallback, packaged=True),
        heart=_heart(heartbeats),
        on_problem=on_problem,
    )


def _heart(place: str | os.PathLike[str] | Heart | None) -> Heart | None:
    if not isinstance(place, str | os.PathLike):
        return place
    from llmvc.runtime.heart import Heart as Sender  # noqa: PLC0415 (few services say anything)

    return Sender(os.fspath(place))
