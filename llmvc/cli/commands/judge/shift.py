"""`llmvc judge shift`."""

import click

from llmvc.app import calibrating, shifting
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.cli.progress import bar
from llmvc.render import judges as views


@click.command("shift")
@click.argument("where", metavar="REVISION ENV", nargs=-1)
@click.option(
    "--report",
    metavar="REPORT",
    help="Grade this one's answers; else the newest released one that ENV's judge graded.",
)
@options.judging
@options.actor
@options.as_json
def command(
    *,
    where: tuple[str, ...],
    report: str | None,
    actor: str | None,
    as_json: bool,
    **means: object,
) -> None:
    """Grades stored answers under the judge that ENV serves and under REVISION.

    Old and new figures are comparable only as far as this says; `promote` asks for it.

    \b
    Example: llmvc judge shift helpful-judge prod
    """  # noqa: D301
    revision, env = options.revision_and_env(where, "REVISION ENV")
    if revision is None:
        raise options.env_missing(env)
    out = current()
    with bar(enabled=not out.quiet) as progress:
        done = shifting.shift(
            options.workspace(actor),
            revision,
            env,
            report=report,
            means=calibrating.Means(progress=progress, **means),  # type: ignore[arg-type]  # click checked each value's type
        )
    if as_json:
        out.json("shifted/1", views.shifted_members(done))
    else:
        out.data(views.shifted(done))
        out.talk(views.missing(done))
