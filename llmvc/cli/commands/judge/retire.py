"""`llmvc judge retire`."""

import click

from llmvc.app import judges
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import judges as views


@click.command("retire")
@click.argument("revision")
@options.required_reason
@options.actor
@options.as_json
def command(*, revision: str, reason: str, actor: str | None, as_json: bool) -> None:
    """Takes this version of a judge out of use; it cannot be taken back.

    \b
    Example: llmvc judge retire helpful-judge@prod --reason "the provider ends the model in May"
    """  # noqa: D301
    found = judges.retire(options.workspace(actor), revision, reason)
    out = current()
    if as_json:
        out.json("judge/1", views.shown_members(found))
    else:
        out.data(views.shown(found, colored=out.colored))
