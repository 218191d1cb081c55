"""`llmvc canary pause`."""

import click

from llmvc.app.canary import moving, scene
from llmvc.app.canary.sending import How
from llmvc.cli import options
from llmvc.cli.moved import show


@click.command("pause")
@click.argument("name", metavar="[BUNDLE][@ENV]", required=False)
@options.reason
@options.no_push
@options.dry_run
@options.actor
@options.as_json
def command(
    *,
    name: str | None,
    reason: str | None,
    no_push: bool,
    dry_run: bool,
    actor: str | None,
    as_json: bool,
) -> None:
    """Keeps a canary at its share: `canary run` takes no step until somebody has.

    \b
    Example: llmvc canary pause --reason "who saw the spike at noon?"
    """  # noqa: D301
    ws = options.workspace(actor)
    how = How(reason, push=not no_push, dry_run=dry_run)
    moved = moving.pause(ws, scene.find(ws, name), how=how)
    show(moved, dry_run=dry_run, as_json=as_json)
