"""How a canary's move is carried out: what is common to all of them, and the push of one ref."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from llmvc.app.appending import Moved
from llmvc.app.workspace import Workspace
from llmvc.core.release import Release
from llmvc.errors import RefMoved


@dataclass(frozen=True, slots=True)
class How:
    """How a move is made, whatever it is.

    Attributes:
        reason: why, in words; None where none was given.
        push: whether to push the ref that moves, if there is a remote.
        dry_run: check everything, write nothing.
    """

    reason: str | None = None
    push: bool = True
    dry_run: bool = False


PLAIN: Final = How()
LOOK: Final = "look at what became of it: llmvc canary status"


def push(
    ws: Workspace,
    moved: Moved,
    how: How,
    once_more: Callable[[], Release | None] = lambda: None,
) -> Moved:
    """Pushes the one ref that has moved, as a rollback does, and writes the snapshots.

    Args:
        ws: the workspace.
        moved: what was appended.
        how: whether to push at all.
        once_more: makes the move again on top of what the remote has; None where it no longer fits.

    Raises:
        RefMoved: the remote has another release, which is fetched; ours is dropped.
    """
    if how.dry_run or not moved.written:
        return moved
    from llmvc.app.serving import publish  # noqa: PLC0415 (a dry run writes nothing)

    sent = _pushed(ws, moved, once_more) if how.push else moved
    # Less traffic must not wait for a remote that is down; more of it may.
    ws.tell(publish(ws, unpushed=moved.release.kind == "abort"))
    return sent


def _pushed(ws: Workspace, moved: Moved, once_more: Callable[[], Release | None]) -> Moved:
    from llmvc.app.carrying import push_release  # noqa: PLC0415 (a dry run never talks)

    item = moved.release
    try:
        outcome, final = push_release(ws, item.bundle, item.env, once_more)
    except RefMoved as err:
        err.hint = LOOK
        raise
    return replace(moved, pushed=outcome, release=final or item)
