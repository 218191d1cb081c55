"""`llmvc resolve`."""

import click

from llmvc.app import revisions
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import asjson
from llmvc.store.behind import behind


@click.command("resolve")
@click.argument("revision")
@click.option(
    "--bytes", "as_bytes", is_flag=True, help="Print the bundle's canonical bytes instead."
)
@options.as_json
def command(*, revision: str, as_bytes: bool, as_json: bool) -> None:
    """Prints the digest that REVISION names.

    \b
    Example: llmvc resolve support@prod
    """  # noqa: D301
    ws = options.workspace()
    found = revisions.resolve(ws, revision)
    out = current()
    if as_bytes:
        out.raw(found.bundle.data)
    elif as_json:
        out.json("resolve/1", asjson.resolved(found))
    else:
        out.data(found.bundle.digest)
    late = behind(ws.repo, found.name, found.release.env) if found.release else ()
    if late:
        from llmvc.render import views  # noqa: PLC0415 (10 ms that a resolve seldom needs)

        out.talk(views.behind(late))
