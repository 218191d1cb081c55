"""`llmvc plan`."""

import click

from llmvc.app import planning
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.cli.types import Finite
from llmvc.render import planning as views


@click.command("plan")
@click.argument("revision", required=False, metavar="[BUNDLE|REVISION]")
@click.option("--env", metavar="ENV", help="Plan for a comparison with what this one serves.")
@click.option("--suite", metavar="FILE", help="The suite file, if the bundle has several.")
@click.option("--from", "report", metavar="REPORT", help="The pilot; default: the last report.")
@click.option(
    "--pilot",
    "files",
    nargs=2,
    metavar="BASELINE CANDIDATE",
    help="Two result files of any harness as the pilot.",
)
@click.option(
    "--margin",
    type=Finite(min=0, min_open=True),
    metavar="DROP",
    help="Plan for this margin of every gating score.",
)
@click.option("--cases", type=click.IntRange(1, 10_000_000), metavar="N", help="For so many cases.")
@click.option("--runs", type=click.IntRange(1, 1000), metavar="K", help="For so many runs a case.")
@click.option(
    "--power",
    type=Finite(min=0.05, max=0.999),
    default=0.8,
    show_default=True,
    help="The chance that is wanted.",
)
@click.option(
    "--case-usd",
    type=Finite(min=0),
    default=0.0,
    metavar="USD",
    help="What a new case costs to write and label.",
)
@options.as_json
def command(*, revision: str | None, as_json: bool, **chosen: object) -> int:
    """Says how many cases and runs a margin needs, and what an eval costs; calls nobody.

    Exit 3 if an unchanged bundle could not pass, so that `eval` would refuse to start.

    \b
    Example: llmvc plan support --margin 0.05 --runs 3
    """  # noqa: D301
    done = planning.plan(options.workspace(), revision, planning.Options(**chosen))  # type: ignore[arg-type]  # click checked each value's type
    out = current()
    if as_json:
        out.json("plan/1", views.as_json(done))
    else:
        out.data(views.plan(done))
        out.talk(views.notes(done))
    return 3 if done.plan.refused else 0
