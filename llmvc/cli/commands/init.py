"""`llmvc init`."""

import click

from llmvc.app import setup
from llmvc.cli import options
from llmvc.cli.output import current


@click.command("init")
@options.as_json
def command(*, as_json: bool) -> None:
    """Sets the Git repository around this folder up for llmvc; run it again at any time.

    It writes .llmvc/config.yaml, a line in .gitattributes for the diff driver, and in this
    clone's Git configuration the driver and a fetch refspec for each remote.

    \b
    Example: llmvc init
    """  # noqa: D301
    ws = options.workspace()
    done = setup.init(ws)
    out = current()
    if as_json:
        out.json("init/1", {"done": list(done)})
        return
    for line in done:
        out.data(line)
    if not ws.manifests:
        out.talk("next: llmvc new NAME, for a bundle, a suite and cases that pass at once")
