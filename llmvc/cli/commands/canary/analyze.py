"""`llmvc canary analyze`."""

from typing import Final

import click

from llmvc.app.canary import analysing, scene
from llmvc.cli import canaries, options
from llmvc.cli.output import current
from llmvc.errors import UsageError
from llmvc.render import analysis as views

_EXITS: Final = {"pass": 0, "fail": 1, "inconclusive": 3, "invalid": 3}


@click.command("analyze")
@canaries.name
@canaries.logged
@click.option("--look", type=click.IntRange(min=1), metavar="N", help="Take this look now.")
@click.option("--sum-to", metavar="FILE", help="Only add up the logs, and write the sums there.")
@options.actor
@options.as_json
def command(
    *,
    name: str | None,
    logs: tuple[str, ...],
    sums: tuple[str, ...],
    look: int | None,
    sum_to: str | None,
    actor: str | None,
    as_json: bool,
) -> int:
    """Judges a canary's newest release by what services logged, and stores the analysis.

    Exit 0 after a pass, 1 after a fail, 3 if it is inconclusive or the measurement is broken.

    \b
    Example: llmvc canary analyze support@canary --logs '/var/log/support/events.jsonl*'
    """  # noqa: D301
    ws = options.workspace(actor)
    where = scene.find(ws, name)
    out = current()
    if sum_to is not None:
        if as_json or look is not None:
            raise UsageError("--sum-to judges nothing", hint="leave out --look and --json")
        total = analysing.sum_up(ws, where, logs=logs, sums=sums)
        out.save(sum_to, total.to_bytes().decode("ascii"))
        return 0
    found = analysing.analyze(ws, where, logs=logs, sums=sums, look=look)
    if as_json:
        out.json("analyzed/1", views.members(found))
    else:
        out.data(views.analysis(found, colored=out.colored))
        if not analysing.is_stored(ws, found):
            why = "no look is due yet" if found.verdict == "inconclusive" else "so was the last one"
            out.talk(f"  not stored, and nothing may rest on it: {why}")
        if where.state.void is not None:
            out.talk(f"  the canary is void: {where.state.void}")
        if out.verbose:
            out.talk(views.checks(found))
    return _EXITS[found.verdict]
