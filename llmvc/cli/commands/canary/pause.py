"""`llmvc canary pause`."""

import click

from llmvc.app.appending import Moved
from llmvc.app.canary import moving, scene
from llmvc.app.canary.sending import How
from llmvc.app.workspace import Workspace
from llmvc.cli import canaries, options


@click.command("pause")
@canaries.name
@options.reason
@canaries.move
def command(*, ws: Workspace, name: str | None, how: How) -> Moved:
    """Keeps a canary at its share until somebody steps; events count anew from then on.

    One that is paused is paused again where the measurement was broken or the looks are used up:
    mend what was wrong first. Else there is nothing to do.

    \b
    Example: llmvc canary pause --reason "who saw the spike at noon?"
    """  # noqa: D301
    return moving.pause(ws, scene.find(ws, name), how=how)
