"""`llmvc commit`."""

import click

from llmvc.app import versioning
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import asjson, views


@click.command("commit")
@click.argument("bundle", required=False)
@click.option("-m", "--message", default="", metavar="TEXT", help="Why this version was made.")
@options.actor
@options.as_json
def command(*, bundle: str | None, message: str, actor: str | None, as_json: bool) -> None:
    """Stores BUNDLE as it stands in the working tree as an immutable version.

    The bundle goes into refs/llmvc/store of this repository; your branches are not touched.

    \b
    Example: llmvc commit support -m "answer with the order number"
    """  # noqa: D301
    done = versioning.commit(options.workspace(actor), bundle, message=message)
    out = current()
    if as_json:
        out.json("commit/1", asjson.plain(done))
        return
    out.data(views.committed(done))
    if not done.created:
        out.talk("nothing changed since the last commit")
