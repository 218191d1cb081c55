"""`llmvc show`."""

import click

from llmvc.app import history
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import asjson, views


@click.command("show")
@click.argument("revision", required=False)
@options.as_json
def command(*, revision: str | None, as_json: bool) -> None:
    """Shows one version with its release, or any stored object by its digest.

    \b
    Examples: llmvc show support@prod
              llmvc show b3:4f2a91c0
    """  # noqa: D301
    found = history.show(options.workspace(), revision or "")
    out = current()
    if as_json:
        out.json("show/1", asjson.shown(found))
        return
    out.data(views.shown(found))
