"""Carrying: push and fetch through Git remotes."""

from collections.abc import Callable

from llmvc.app.appending import UNSENT
from llmvc.app.workspace import Workspace
from llmvc.core.digest import short
from llmvc.core.release import Release
from llmvc.errors import LlmvcError, RefMoved
from llmvc.store import sync

TRIES = 3


def push_release(
    ws: Workspace,
    bundle: str,
    env: str,
    once_more: Callable[[], Release | None],
) -> tuple[str, Release | None]:
    """Pushes one environment's ref after a rollback.

    A lost race is retried on top of the winner as long as `once_more` finds the fault still there.

    Returns:
        What happened, for people, and the release that stands at the end if it is a new one.

    Raises:
        RefMoved: somebody else moved the environment to something else; nothing of ours stays.
    """
    remote = ws.repo.settings.remote()
    if remote is None:
        return "", None
    final: Release | None = None
    for _ in range(TRIES):
        try:
            outcome = sync.push_env(ws.repo, remote, bundle, env)
            if outcome.status != sync.REFUSED:
                healed = [f"; {notice.what}: {notice.hint}" for notice in outcome.notices]
                return "".join((f"pushed to {remote}", *healed)), final
            if outcome.winner is None:
                return f"{UNSENT}: {outcome.reason}; mend that, then llmvc push", final
            sync.fetch(ws.repo, remote)
            sync.drop(ws.repo, remote, bundle, env)
        except LlmvcError as err:
            return f"{UNSENT}: {err}; mend the network, then llmvc push", final
        final = once_more()
        if final is None:
            won = outcome.winner
            raise RefMoved(
                f"{bundle}/{env} was moved on {remote} meanwhile: {won.actor} made release "
                f"{won.seq}, {won.kind} to {short(won.to)}",
                hint="look at it, and roll back again if it is no better",
            )
    return f"{UNSENT}: {remote} moved {TRIES} times; run llmvc push", final
