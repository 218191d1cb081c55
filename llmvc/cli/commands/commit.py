"""`llmvc commit`."""

import click

from llmvc.app import fitting, versioning
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

    The bundle goes into refs/llmvc/store of this repository; your branches are not touched. Where a
    context window is known, the longest case of the bundle's suites is told beside it.

    \b
    Example: llmvc commit support -m "answer with the order number"
    """  # noqa: D301
    ws = options.workspace(actor)
    done = versioning.commit(ws, bundle, message=message)
    fit = fitting.worst_case(ws, done.name)
    out = current()
    if as_json:
        out.json("commit/1", {**asjson.plain_object(done), "context": asjson.fit(fit)})
        return
    out.data(views.committed(done))
    if fit is not None:
        out.data(views.fit(fit))
    if not done.created:
        out.talk("nothing changed since the last commit")
