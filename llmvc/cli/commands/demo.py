"""`llmvc demo`."""

from pathlib import Path

import click

from llmvc.app import demo
from llmvc.cli.output import current


@click.command("demo")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def command(*, folder: Path | None) -> int:
    """Plays the whole story in a new Git repository, on recorded outputs of two real models.

    It needs no key, no network and no model, and leaves the repository for you to look around.

    \b
    Example: llmvc demo
    """  # noqa: D301
    return demo.play(folder, say=current().data)
