"""`llmvc judge calibrate`."""

import click

from llmvc.app import calibrating
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.cli.progress import bar
from llmvc.errors import UsageError
from llmvc.render import judges as views

_LONGEST = 3650


def _days(text: str) -> int:
    """Reads a span of days such as `30d`.

    Raises:
        UsageError: it is none, or longer than ten years.
    """
    days = int(text[:-1]) if text[-1:] == "d" and text[:-1].isdecimal() else 0
    if not 1 <= days <= _LONGEST:
        raise UsageError(f"--expires {text} is no span of days", hint="write 30d, for one")
    return days


@click.command("calibrate")
@click.argument("revision")
@click.option("--anchors", required=True, metavar="FILE", help="Answers with people's labels.")
@click.option(
    "--repeats",
    type=click.IntRange(2, 100),
    default=2,
    show_default=True,
    help="How often each answer is graded.",
)
@click.option(
    "--expires", default="30d", show_default=True, metavar="DAYS", help="How long it is valid."
)
@options.judging
@options.actor
@options.as_json
def command(
    *,
    revision: str,
    anchors: str,
    repeats: int,
    expires: str,
    actor: str | None,
    as_json: bool,
    **means: object,
) -> int:
    """Grades answers that people labelled, and stores how well the judge does.

    Exit 3 if the judge is not admitted: what rests on it would be inconclusive.

    \b
    Example: llmvc judge calibrate helpful-judge --anchors prompts/helpful-judge/anchors.jsonl
    """  # noqa: D301
    out = current()
    with bar(enabled=not out.quiet) as progress:
        done = calibrating.calibrate(
            options.workspace(actor),
            revision,
            anchors,
            repeats=repeats,
            days=_days(expires),
            means=calibrating.Means(progress=progress, **means),  # type: ignore[arg-type]  # click checked each value's type
        )
    if as_json:
        out.json("calibrated/1", views.calibrated_members(done))
    else:
        out.data(views.calibrated(done, colored=out.colored))
        out.talk(views.notes(done.notes))
    return 0 if done.calibration.admitted else 3
