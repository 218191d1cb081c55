"""`llmvc override`."""

import click

from llmvc.app import releasing
from llmvc.cli import options
from llmvc.cli.moved import show


@click.command("override")
@click.argument("where", metavar="REV ENV", nargs=-1)
@options.required_reason
@options.no_push
@options.dry_run
@options.actor
@options.as_json
def command(
    *,
    where: tuple[str, ...],
    reason: str,
    no_push: bool,
    dry_run: bool,
    actor: str | None,
    as_json: bool,
) -> None:
    """Lets ENV serve the committed version REV without evidence, and pushes that one ref.

    \b
    Example: llmvc override support@b3:4f2a91c0 prod --reason "provider shut the old model down"
    """  # noqa: D301
    ws = options.workspace(actor)
    revision, env = options.revision_and_env(where, "REV ENV")
    if revision is None:
        raise options.env_missing(env)
    moved = releasing.override(ws, revision, env, reason=reason, push=not no_push, dry_run=dry_run)
    show(moved, dry_run=dry_run, as_json=as_json)
