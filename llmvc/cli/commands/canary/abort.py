"""`llmvc canary abort`."""

import click

from llmvc.app.appending import Moved
from llmvc.app.canary import moving, scene
from llmvc.app.canary.sending import How
from llmvc.app.workspace import Workspace
from llmvc.cli import canaries, options


@click.command("abort")
@canaries.name
@options.required_reason
@canaries.move
def command(*, ws: Workspace, name: str | None, how: How) -> Moved:
    """Ends a canary: its units get the baseline again, pinned conversations too.

    It needs no evidence, no configuration and no network; a push that fails is shown as NOT PUSHED.

    \b
    Example: llmvc canary abort support@canary --reason "answers in the wrong language"
    """  # noqa: D301
    return moving.abort(ws, scene.find(ws, name), how=how)
