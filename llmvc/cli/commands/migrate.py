"""`llmvc migrate`."""

from typing import Final

import click

from llmvc.app import job, measuring, reporting
from llmvc.app.migrating import moving, planning
from llmvc.app.migrating.candidate import Asked, decisions
from llmvc.cli import options
from llmvc.cli.measured import exit_code, kept, show
from llmvc.cli.output import Output, current
from llmvc.cli.progress import bar
from llmvc.errors import UsageError
from llmvc.render import asjson, migration, migration_markdown, views

FORMATS: Final = ("text", "markdown")


@click.command("migrate")
@click.argument("bundle", required=False)
@click.option("--model", required=True, metavar="PROVIDER/ID", help="The model to move to.")
@click.option("--env", metavar="ENV", help="Compare with what this environment serves.")
@click.option("--plan", "--dry-run", "only_plan", is_flag=True, help="Show all of it, call nobody.")
@click.option(
    "--drop", "dropped", multiple=True, metavar="NAME", help="Leave a parameter out; repeatable."
)
@click.option(
    "--set", "given", multiple=True, metavar="NAME=VALUE", help="Give one a value; repeatable."
)
@click.option("--promote", "promote_to", metavar="ENV", help="Append the release if it passes.")
@click.option("-m", "--message", metavar="TEXT", help="Message of the version.")
@click.option(
    "--format",
    "wanted",
    type=click.Choice(FORMATS),
    default="text",
    help="Markdown is for a pull request.",
)
@options.measuring
@options.reason
@options.actor
@options.as_json
def command(
    *,
    bundle: str | None,
    model: str,
    env: str | None,
    only_plan: bool,
    dropped: tuple[str, ...],
    given: tuple[str, ...],
    promote_to: str | None,
    message: str | None,
    wanted: str,
    reason: str | None,
    actor: str | None,
    as_json: bool,
    **limits: object,
) -> int:
    """Moves BUNDLE to another model, and measures it against what an environment serves.

    A parameter that the new model does not take is refused until it is dropped or set. With
    --promote the environment moves too, if the evidence says pass; the release carries the report
    and the record of the migration.

    \b
    Example: llmvc migrate support --model openai/gpt-5-mini-2025-08-07 --plan
             llmvc migrate support --model anthropic/claude-haiku-4-5-20251001 \\
               --drop decoding.seed --set decoding.max_output_tokens=400 --promote prod
    """  # noqa: D301
    out, ws = current(), options.workspace(actor)
    if env is not None and promote_to not in (None, env):
        raise UsageError(
            f"--promote {promote_to} needs a comparison with what {promote_to} serves",
            hint=f"leave out --env {env}, or promote there",
        )
    changes = decisions(dropped, given)
    asked = Asked(bundle, model, env or promote_to, changes, release=promote_to is not None)
    choices = job.Choices(**limits)  # type: ignore[arg-type]  # click checked each value's type
    planned = planning.plan(ws, asked, choices)
    if only_plan or planned.nothing:
        _show_plan(out, planned, wanted, as_json=as_json)
        moving.check(planned)
        return 0
    with kept(), bar(enabled=not out.quiet) as progress:
        done = moving.migrate(
            ws,
            asked,
            planned,
            message=message,
            reason=reason,
            choices=choices,
            on_estimate=lambda what, expected: out.talk(measuring.announce(what, expected)),
            progress=progress,
        )
    if wanted == "markdown" and not as_json and done.measured.report is not None:
        read = reporting.read(ws, done.measured.report.digest)
        out.data(migration_markdown.with_report(read))
    else:
        _show(out, done, as_json=as_json)
    if done.stopped is not None:
        raise done.stopped
    return exit_code(done.measured)


def _show(out: Output, done: moving.Migrated, *, as_json: bool) -> None:
    """Prints what a migration led to."""
    if as_json:
        out.json("migrate/1", asjson.migrated(done))
        return
    out.data(views.committed(done.committed))
    if done.record is not None:
        out.data(migration.record_text(done.record))
    show(out, done.measured, as_json=False)
    if done.moved is not None:
        out.data(views.moved(done.moved, dry_run=False))


def _show_plan(out: Output, planned: planning.Planned, wanted: str, *, as_json: bool) -> None:
    """Prints a plan."""
    if as_json:
        out.json("migrate-plan/1", migration.as_json(planned))
    elif wanted == "markdown" and planned.record is not None:
        out.data(migration_markdown.markdown(planned.record, planned))
    else:
        out.data(migration.plan(planned))
