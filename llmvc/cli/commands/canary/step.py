"""`llmvc canary step`."""

import click

from llmvc.app.appending import Moved
from llmvc.app.canary import moving, scene
from llmvc.app.canary.sending import How
from llmvc.app.workspace import Workspace
from llmvc.cli import canaries, options


@click.command("step")
@canaries.name
@click.option(
    "--analysis", metavar="DIGEST", help="Rest on this one, not on the newest that passed."
)
@options.reason
@canaries.move
def command(*, ws: Workspace, name: str | None, analysis: str | None, how: How) -> Moved:
    """Widens a canary to the next share of its plan; ends a pause as well.

    It needs an analysis of the canary's newest release that says pass. Exit 1 if one says fail, 3
    if none passes or the canary is void, 5 if somebody else moved it meanwhile.

    \b
    Example: llmvc canary step support@canary
    """  # noqa: D301
    return moving.step(ws, scene.find(ws, name), analysis=analysis, how=how)
