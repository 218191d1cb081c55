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
    sent = send(ws, moved, how, once_more)
    publish(ws, sent, how)
    return sent


def publish(ws: Workspace, moved: Moved, how: How) -> None:
    """Writes the snapshots after a move, if it was made."""
    if how.dry_run or not moved.written:
        return
    from llmvc.app import serving  # noqa: PLC0415 (a dry run writes nothing)

    # Less traffic must not wait for a remote that is down; more of it may.
    ws.tell(serving.publish(ws, unpushed=moved.release.kind == "abort"))


def send(
    ws: Workspace,
    moved: Moved,
    how: How,
    once_more: Callable[[], Release | None] = lambda: None,
) -> Moved:
    """Pushes the one ref that has moved; see `push`."""
    if how.dry_run or not how.push or not moved.written:
        return moved
    from llmvc.app.carrying import push_release  # noqa: PLC0415 (a dry run never talks)
    from llmvc.store.following import unpushed  # noqa: PLC0415

    item = moved.release
    try:
        outcome, final = push_release(ws, item.bundle, item.env, once_more)
    except RefMoved as err:
        err.hint = LOOK
        raise
    beside = f"{item.bundle}/{item.canary.of}" if item.canary else ""
    if outcome and beside in unpushed(ws.repo):
        readers = f"readers of {ws.repo.settings.remote()} serve no canary until llmvc push"
        ws.tell(f"{beside} is not pushed: {readers}")
    return replace(moved, pushed=outcome, release=final or item)
