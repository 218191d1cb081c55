"""`llmvc ship`."""

import click

from llmvc.app import job, measuring, shipping
from llmvc.cli import options
from llmvc.cli.measured import exit_code, kept, show
from llmvc.cli.output import current
from llmvc.cli.progress import bar
from llmvc.render import asjson, views


@click.command("ship")
@click.argument("where", metavar="[BUNDLE] ENV", nargs=-1)
@click.option("-m", "--message", default="", metavar="TEXT", help="Message of the version.")
@click.option("--no-push", is_flag=True, help="Stop after the promotion.")
@options.measuring
@options.reason
@options.dry_run
@options.actor
@options.as_json
def command(
    *,
    where: tuple[str, ...],
    message: str,
    no_push: bool,
    reason: str | None,
    dry_run: bool,
    actor: str | None,
    as_json: bool,
    **limits: object,
) -> int:
    """Commits, measures, promotes and pushes, stopping at the first step that does not pass.

    A step whose product is there is skipped, so it can simply be run again.

    \b
    Example: llmvc ship support prod -m "answer with the order number"
    """  # noqa: D301
    bundle, env = options.revision_and_env(where, "[BUNDLE] ENV")
    out, ws = current(), options.workspace(actor)
    options.check_env_given(ws, where)
    with kept(), bar(enabled=not out.quiet) as progress:
        done = shipping.ship(
            ws,
            bundle,
            env,
            message=message,
            reason=reason,
            push=not no_push,
            choices=job.Choices(dry_run=dry_run, **limits),  # type: ignore[arg-type]  # click checked each value's type
            on_estimate=lambda what, expected: out.talk(measuring.announce(what, expected)),
            progress=progress,
        )
    if as_json:
        out.json("ship/1", asjson.shipped(done))
        return exit_code(done.measured)
    out.data(views.committed(done.committed))
    show(out, done.measured, as_json=False)
    if done.moved is not None:
        out.data(views.moved(done.moved, dry_run=False))
    if done.pushed is not None:
        out.talk(views.pushed(done.pushed))
    return exit_code(done.measured)
