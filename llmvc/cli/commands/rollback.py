"""`llmvc rollback`."""

import click

from llmvc.app import rollback
from llmvc.cli import options
from llmvc.cli.moved import show
from llmvc.core.names import Revision


@click.command("rollback")
@click.argument("where", metavar="[REV] ENV", nargs=-1)
@options.reason
@click.option("--no-push", is_flag=True, help="Do not push the environment's ref.")
@options.dry_run
@options.actor
@options.as_json
def command(
    *,
    where: tuple[str, ...],
    reason: str | None,
    no_push: bool,
    dry_run: bool,
    actor: str | None,
    as_json: bool,
) -> None:
    """Lets ENV serve an earlier release again, and pushes that one ref.

    Without a version it goes to the last release before the current one that was not rolled back
    itself; doing it twice goes further back. It needs no evidence, no config and no network.

    \b
    Examples: llmvc rollback support prod --reason "refund tone"
              llmvc rollback support@prod~3 prod
    """  # noqa: D301
    text, env = options.revision_and_env(where, "[REV] ENV")
    revision = Revision.parse(text or "")
    named = text if revision.kind != "worktree" else None
    moved = rollback.rollback(
        options.workspace(actor),
        revision.bundle,
        named,
        env,
        reason=reason,
        push=not no_push,
        dry_run=dry_run,
    )
    show(moved, dry_run=dry_run, as_json=as_json)
