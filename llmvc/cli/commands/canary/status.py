"""`llmvc canary status`."""

import click

from llmvc.app.canary import scene, watching
from llmvc.cli import canaries, options
from llmvc.cli.output import current
from llmvc.render import canary as views


@click.command("status")
@canaries.name
@options.as_json
def command(*, name: str | None, as_json: bool) -> None:
    """Shows a canary's share, step, newest analysis and what is next.

    \b
    Example: llmvc canary status support@canary
    """  # noqa: D301
    ws = options.workspace()
    found = watching.status(ws, scene.find(ws, name))
    out = current()
    if as_json:
        out.json("canary/1", views.status_members(found))
    else:
        out.data(views.status(found, colored=out.colored))
