"""`llmvc judge show`."""

import click

from llmvc.app import judges
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import judges as views


@click.command("show")
@click.argument("revision")
@options.as_json
def command(*, revision: str, as_json: bool) -> None:
    """Shows a judge's state, its calibration, its last check and the moves it took part in.

    \b
    Example: llmvc judge show helpful-judge@prod
    """  # noqa: D301
    found = judges.look_up(options.workspace(), revision)
    out = current()
    if as_json:
        out.json("judge/1", views.shown_members(found))
    else:
        out.data(views.shown(found, colored=out.colored))
