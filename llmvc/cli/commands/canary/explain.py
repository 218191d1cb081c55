"""`llmvc canary explain`."""

import click

from llmvc.app.canary import scene, watching
from llmvc.cli import canaries, options
from llmvc.cli.output import current
from llmvc.render import canary as views


@click.command("explain")
@click.argument("unit")
@canaries.name
@click.option("--at", type=click.IntRange(min=1), metavar="SEQ", help="As of this release.")
@options.as_json
def command(*, unit: str, name: str | None, at: int | None, as_json: bool) -> None:
    """Says which arm UNIT got at a release of a canary, from the records alone.

    UNIT is the id that the application named: a conversation, user or request. Any clone gives the
    same answer for good.

    \b
    Example: llmvc canary explain conversation-8812 --at 2
    """  # noqa: D301
    ws = options.workspace()
    found = watching.explain(ws, scene.find(ws, name), unit, at=at)
    out = current()
    if as_json:
        out.json("explained/1", views.explained_members(found))
    else:
        out.data(views.explained(found))
