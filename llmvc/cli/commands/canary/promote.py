"""`llmvc canary promote`."""

import click

from llmvc.app.canary import moving, scene
from llmvc.app.canary.sending import How
from llmvc.app.workspace import Workspace
from llmvc.cli import canaries, exceptions


@click.command("promote")
@canaries.name
@click.option(
    "--analysis", metavar="DIGEST", help="Rest on this one, not on the newest that passed."
)
@exceptions.options
@canaries.move
def command(
    *,
    ws: Workspace,
    name: str | None,
    analysis: str | None,
    suite: str | None,
    how: How,
    **taken: object,
) -> moving.Promoted:
    """Lets the environment beside a canary serve the candidate to all, and closes the canary.

    The canary stands at the last step of its plan, and an analysis of its newest release says pass;
    the suite's evidence is what any promote needs. Killed half-way, run it again.

    \b
    Example: llmvc canary promote support@canary
    """  # noqa: D301
    allowed = exceptions.read(reason=how.reason, **taken)
    where = scene.find(ws, name)
    return moving.promote(ws, where, analysis=analysis, suite=suite, exceptions=allowed, how=how)
