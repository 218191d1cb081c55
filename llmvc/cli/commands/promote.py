"""`llmvc promote`."""

import click

from llmvc.app import releasing
from llmvc.cli import exceptions, options
from llmvc.cli.moved import show
from llmvc.cli.output import current
from llmvc.errors import UsageError


@click.command("promote")
@click.argument("where", metavar="[REV] ENV", nargs=-1)
@exceptions.options
@click.option("--adopt", is_flag=True, help="Record what runs already, unmeasured; needs --reason.")
@options.dry_run
@options.actor
@options.as_json
def command(
    *,
    where: tuple[str, ...],
    suite: str | None,
    adopt: bool,
    reason: str | None,
    dry_run: bool,
    actor: str | None,
    as_json: bool,
    **taken: object,
) -> None:
    """Lets ENV serve the committed version REV, if stored evidence says pass.

    The evidence must be about exactly these digests: the candidate, what ENV serves now, and the
    suite. Exit 1 if it says fail, 3 if there is none or it cannot tell, 5 if ENV moved meanwhile.

    \b
    Examples: llmvc promote support prod
              llmvc promote support prod --adopt --reason "serves since May"
    """  # noqa: D301
    revision, env = options.revision_and_env(where, "[REV] ENV")
    ws = options.workspace(actor)
    options.check_env_given(ws, where)
    wanted = revision if revision is not None else ws.bundle_name(None)
    if adopt:
        if reason is None:
            raise UsageError("--adopt needs a reason: --reason is missing", hint="--reason '…'")
        moved = releasing.adopt(ws, wanted, env, reason=reason, dry_run=dry_run)
    else:
        allowed = exceptions.read(reason=reason, **taken)
        moved = releasing.promote(ws, wanted, env, suite=suite, exceptions=allowed, dry_run=dry_run)
    show(moved, dry_run=dry_run, as_json=as_json)
    remote = ws.repo.settings.remote()
    if moved.written and remote is not None:
        current().talk(f"  not pushed to {remote}: llmvc push")
