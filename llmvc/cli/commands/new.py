"""`llmvc new`."""

import click

from llmvc.app import setup
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import asjson


@click.command("new")
@click.argument("name")
@options.as_json
def command(*, name: str, as_json: bool) -> None:
    """Writes the bundle NAME with a suite and cases that pass at once.

    A stand-in answers instead of a model, so that nothing costs anything until you name one.

    \b
    Example: llmvc new support
    """  # noqa: D301
    started = setup.new(options.workspace(), name)
    out = current()
    if as_json:
        out.json("new/1", {"bundle": name, **asjson.plain_object(started)})
        return
    for path in started.written:
        out.data(path)
    out.talk(started.note)
    out.talk(
        f"next: git add, then llmvc commit {name} -m 'first', llmvc eval {name}, "
        f"llmvc promote {name} prod"
    )
