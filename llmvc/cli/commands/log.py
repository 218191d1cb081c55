"""`llmvc log`."""

import click

from llmvc.app import history
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.core.names import placed
from llmvc.render import asjson, views


@click.command("log")
@click.argument("name", metavar="[BUNDLE][@ENV]", required=False)
@click.option("-n", "count", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@options.as_json
def command(*, name: str | None, count: int | None, as_json: bool) -> None:
    """Lists the releases of an environment, or the versions of a bundle, newest first.

    \b
    Examples: llmvc log support@prod
              llmvc log support -n 5
    """  # noqa: D301
    found = history.log(options.workspace(), placed(name or ""), count=count)
    out = current()
    if as_json:
        out.json("log/1", asjson.log(found))
        return
    out.data(views.log(found, colored=out.colored))
