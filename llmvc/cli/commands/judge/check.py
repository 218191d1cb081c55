"""`llmvc judge check`."""

import click

from llmvc.app import calibrating
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.cli.progress import bar
from llmvc.core.judging import TRUSTED
from llmvc.render import judges as views


@click.command("check")
@click.argument("revision")
@click.option(
    "--anchors",
    metavar="FILE",
    help="The calibration's anchors; else anchors.jsonl beside the manifest.",
)
@options.judging
@options.actor
@options.as_json
def command(
    *, revision: str, anchors: str | None, actor: str | None, as_json: bool, **means: object
) -> int:
    """Grades the calibration's anchors again and says whether the judge has changed.

    `eval` does it by itself where the last check is older than 24 hours. Exit 0 if the judge is
    TRUSTED, 3 in any other state.

    \b
    Example: llmvc judge check helpful-judge
    """  # noqa: D301
    out = current()
    with bar(enabled=not out.quiet) as progress:
        done = calibrating.check(
            options.workspace(actor),
            revision,
            anchors,
            means=calibrating.Means(progress=progress, **means),  # type: ignore[arg-type]  # click checked each value's type
        )
    if as_json:
        out.json("checked/1", views.checked_members(done))
    else:
        out.data(views.checked(done, colored=out.colored))
    return 0 if done.state == TRUSTED else 3
