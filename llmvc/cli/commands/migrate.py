"""`llmvc migrate`."""

import click

from llmvc.app import job, measuring, migrating
from llmvc.cli import options
from llmvc.cli.measured import exit_code, show
from llmvc.cli.output import current
from llmvc.cli.progress import bar
from llmvc.render import asjson, views


@click.command("migrate")
@click.argument("bundle", required=False)
@click.option("--model", required=True, metavar="PROVIDER/ID", help="The model to move to.")
@click.option("--env", metavar="ENV", help="Compare with what this environment serves.")
@click.option("--promote", "promote_to", metavar="ENV", help="Append the release if it passes.")
@click.option("-m", "--message", metavar="TEXT", help="Message of the version.")
@options.measuring
@options.reason
@options.dry_run
@options.actor
@options.as_json
def command(
    *,
    bundle: str | None,
    model: str,
    env: str | None,
    promote_to: str | None,
    message: str | None,
    reason: str | None,
    dry_run: bool,
    actor: str | None,
    as_json: bool,
    **limits: object,
) -> int:
    """Moves BUNDLE to another model: edits the manifest's model lines, commits and measures.

    With --promote the environment moves too, if the evidence says pass; the release is of kind
    `migrate` and carries the report.

    \b
    Example: llmvc migrate support --model openai/gpt-5-mini-2026-08-07 --promote prod
    """  # noqa: D301
    out = current()
    with bar(enabled=not out.quiet) as progress:
        done = migrating.migrate(
            options.workspace(actor),
            bundle,
            model,
            env=env or promote_to,
            message=message,
            promote_to=promote_to,
            reason=reason,
            choices=job.Choices(dry_run=dry_run, **limits),  # type: ignore[arg-type]  # click checked each value's type
            on_estimate=lambda what, expected: out.talk(measuring.announce(what, expected)),
            progress=progress,
        )
    if as_json:
        out.json("migrate/1", asjson.migrated(done))
        return exit_code(done.measured)
    out.data(views.committed(done.committed))
    show(out, done.measured, as_json=False)
    if done.moved is not None:
        out.data(views.moved(done.moved, dry_run=False))
    return exit_code(done.measured)
