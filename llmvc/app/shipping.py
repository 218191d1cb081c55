"""Ship: commit, measure, promote and push, stopping at the first step that does not pass.

It keeps no journal: a step whose product is there does nothing, so shipping again goes on where
the last one stopped.
"""

from dataclasses import dataclass

from llmvc.app import measuring, releasing, versioning
from llmvc.app.appending import Moved
from llmvc.app.job import Choices, OnEstimate, OnProgress
from llmvc.app.judging import Measured
from llmvc.app.releasing import Exceptions
from llmvc.app.versioning import Committed
from llmvc.app.workspace import Workspace
from llmvc.errors import RefMoved
from llmvc.store import sync
from llmvc.store.sync import PushResult


@dataclass(frozen=True, slots=True)
class Shipped:
    """How far it came; later steps are None where an earlier one did not pass."""

    committed: Committed
    measured: Measured
    moved: Moved | None = None
    pushed: PushResult | None = None


def ship(
    ws: Workspace,
    bundle: str | None,
    env: str,
    *,
    message: str,
    reason: str | None,
    push: bool,
    choices: Choices,
    on_estimate: OnEstimate,
    progress: OnProgress,
) -> Shipped:
    """Brings the working tree's bundle into an environment.

    A dry run stops before the first call and writes nothing: it says what would be committed, and
    what stored evidence has to say of it.

    Raises:
        RefMoved: the remote's environment was moved by somebody else.
    """
    committed = versioning.commit(ws, bundle, message=message, dry_run=choices.dry_run)
    measured = measuring.evaluate(
        ws, committed.name, env=env, choices=choices, on_estimate=on_estimate, progress=progress
    )
    failed = measured.outcome not in (None, "pass")
    if failed or choices.dry_run:
        return Shipped(committed, measured)
    moved = releasing.promote(
        ws, committed.name, env, suite=choices.suite, exceptions=Exceptions(reason=reason)
    )
    remote = ws.repo.settings.remote()
    if not push or remote is None:
        return Shipped(committed, measured, moved)
    pushed = sync.push(ws.repo, remote)
    refused = [f"{item.bundle}/{item.env}" for item in pushed.envs if item.status == sync.REFUSED]
    if refused:
        raise RefMoved(
            f"{remote} did not take {', '.join(refused)}: moved meanwhile",
            hint="llmvc fetch shows the winner; measure against it and ship again",
        )
    return Shipped(committed, measured, moved, pushed)
