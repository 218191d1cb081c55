"""`llmvc canary step`."""

import click

from llmvc.app.canary import moving, scene
from llmvc.app.canary.sending import How
from llmvc.cli import options
from llmvc.cli.moved import show


@click.command("step")
@click.argument("name", metavar="[BUNDLE][@ENV]", required=False)
@click.option("--analysis", metavar="DIGEST", help="Rest on this one instead of the newest.")
@options.reason
@options.no_push
@options.dry_run
@options.actor
@options.as_json
def command(
    *,
    name: str | None,
    analysis: str | None,
    reason: str | None,
    no_push: bool,
    dry_run: bool,
    actor: str | None,
    as_json: bool,
) -> None:
    """Widens a canary to the next share of its plan; ends a pause as well.

    It needs an analysis of the canary's newest release that says pass. Exit 1 if one says fail, 3
    if none passes or the canary is void, 5 if somebody else moved it meanwhile.

    \b
    Example: llmvc canary step support@canary
    """  # noqa: D301
    ws = options.workspace(actor)
    how = How(reason, push=not no_push, dry_run=dry_run)
    moved = moving.step(ws, scene.find(ws, name), analysis=analysis, how=how)
    show(moved, dry_run=dry_run, as_json=as_json)
