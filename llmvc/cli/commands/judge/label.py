"""`llmvc judge label`."""

from pathlib import Path

import click

from llmvc.app import labelling
from llmvc.cli import options
from llmvc.cli.measured import exit_code, show
from llmvc.cli.output import Output, current
from llmvc.errors import ConfigError, UsageError
from llmvc.render import labels as views


@click.command("label")
@click.argument("revision", required=False, metavar="REPORT|REVISION")
@click.option(
    "--n",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    metavar="N",
    help="How many cases.",
)
@click.option("--out", metavar="FILE", help="Write the sheet to this new file.")
@click.option("--scorer", metavar="NAME", help="The judged scorer, if the suite has several.")
@click.option("--seed", type=click.IntRange(0), metavar="S", help="Draw other cases with it.")
@click.option("--read", "sheet", metavar="FILE", help="Read a sheet that a person filled in.")
@click.option("--rater", metavar="NAME", help="Who filled it in; else whoever runs this.")
@options.actor
@options.as_json
def command(
    *,
    revision: str | None,
    n: int,
    out: str | None,
    scorer: str | None,
    seed: int | None,
    sheet: str | None,
    rater: str | None,
    actor: str | None,
    as_json: bool,
) -> int:
    """Makes a sheet of answers for a person to grade, or reads one that was filled in.

    A sheet holds N random cases of a report, each with one answer of both versions as A and B, in
    an order that changes from case to case. With --read, the verdict is given again with the labels
    in it: exit 0 for pass, 1 for fail, 3 for inconclusive.

    \b
    Example: llmvc judge label support --n 100 --out labels.jsonl
             llmvc judge label --read labels.jsonl --rater ann
    """  # noqa: D301
    ws, printed = options.workspace(actor), current()
    if sheet is not None:
        if revision is not None or out is not None:
            raise UsageError("--read takes a sheet alone", hint="llmvc judge label --read FILE")
        return _read(printed, labelling.read(ws, sheet, rater=rater), as_json=as_json)
    if revision is None or out is None:
        raise UsageError(
            "which report, and where to?", hint="llmvc judge label REPORT --out labels.jsonl"
        )
    if Path(out).exists():
        raise ConfigError(
            f"{out} is there already, perhaps with grades in it",
            hint="choose another name, or remove it",
        )
    made = labelling.make(ws, revision, n=n, scorer=scorer, seed=seed)
    printed.save(out, made.text, private=True)
    if as_json:
        printed.json("sheet/1", views.made_members(made, out))
    else:
        printed.data(views.made(made))
    return 0


def _read(out: Output, done: labelling.Read, *, as_json: bool) -> int:
    if as_json:
        out.json("labelled/1", views.read_members(done))
    else:
        out.data(views.read(done))
        show(out, done.measured, as_json=False)
    return exit_code(done.measured)
