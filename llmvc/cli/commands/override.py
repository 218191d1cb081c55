"""`llmvc override`."""

import click

from llmvc.app import releasing
from llmvc.cli import options
from llmvc.cli.moved import show


@click.command("override")
@click.argument("revision", metavar="REV")
@click.argument("env", metavar="ENV")
@click.option("--reason", metavar="TEXT", required=True, help="Why; the log shows it for good.")
@options.dry_run
@options.actor
@options.as_json
def command(
    *, revision: str, env: str, reason: str, dry_run: bool, actor: str | None, as_json: bool
) -> None:
    """Lets ENV serve the committed version REV without evidence.

    \b
    Example: llmvc override support@b3:4f2a91c0 prod --reason "provider shut the old model down"
    """  # noqa: D301
    moved = releasing.override(
        options.workspace(actor), revision, env, reason=reason, dry_run=dry_run
    )
    show(moved, dry_run=dry_run, as_json=as_json)
