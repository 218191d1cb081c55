"""`llmvc status`."""

import click

from llmvc.app import versioning
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import asjson, views


@click.command("status")
@click.argument("bundle", required=False)
@options.as_json
def command(*, bundle: str | None, as_json: bool) -> None:
    """Shows each bundle in the working tree, and what every environment serves.

    \b
    Example: llmvc status
    """  # noqa: D301
    states = versioning.status(options.workspace(), bundle)
    out = current()
    if as_json:
        out.json("status/1", {"bundles": asjson.plain(states)})
        return
    out.data(views.status(states)) if states else out.talk("no bundle yet: llmvc new NAME")
