"""`llmvc canary abort`."""

import click

from llmvc.app.canary import moving, scene
from llmvc.app.canary.sending import How
from llmvc.cli import options
from llmvc.cli.moved import show


@click.command("abort")
@click.argument("name", metavar="[BUNDLE][@ENV]", required=False)
@click.option("--reason", required=True, metavar="TEXT", help="Why; it stands there for good.")
@options.no_push
@options.dry_run
@options.actor
@options.as_json
def command(
    *, name: str | None, reason: str, no_push: bool, dry_run: bool, actor: str | None, as_json: bool
) -> None:
    """Ends a canary: its units get the baseline again, pinned conversations too.

    It needs no evidence, no configuration and no network; a push that fails is shown as NOT PUSHED.

    \b
    Example: llmvc canary abort support@canary --reason "answers in the wrong language"
    """  # noqa: D301
    ws = options.workspace(actor)
    how = How(reason, push=not no_push, dry_run=dry_run)
    moved = moving.abort(ws, scene.find(ws, name), how=how)
    show(moved, dry_run=dry_run, as_json=as_json)
