"""`llmvc aa`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from llmvc.app import aa
from llmvc.app.comparing import Rules
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.cli.types import Finite
from llmvc.errors import UsageError
from llmvc.render import aa as render

if TYPE_CHECKING:
    from llmvc.app.aa import Tested
    from llmvc.evals.aa import ArmName

TIMES: Final = 400


@click.command("aa")
@click.argument("report", required=False)
@click.option("--file", metavar="RESULTS", help="A result file of any harness instead of a report.")
@click.option(
    "--margin", type=Finite(min=0), metavar="X", help="For a file: the largest drop to pass."
)
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME", help="For a file: a score to judge."
)
@click.option("--scale", metavar="LOW:HIGH", help="For a file: the range of the scores; else 0:1.")
@click.option("--group-by", metavar="NAME", help="For a file: the member that relates cases.")
@click.option(
    "--arm",
    type=click.Choice(["candidate", "baseline"]),
    help="Whose runs of a report; else the arm with more, else the candidate.",
)
@click.option(
    "--times",
    type=click.IntRange(1, 100_000),
    default=TIMES,
    show_default=True,
    help="How often to draw.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Of the draws; else the report's."
)
@options.as_json
def command(
    *,
    report: str | None,
    file: str | None,
    arm: "ArmName | None",
    times: int,
    seed: int | None,
    as_json: bool,
    **rules: Any,
) -> int:
    """Tests the gate on itself: two halves of one bundle's runs, judged against each other.

    Cases are drawn and their runs halved many times. Nothing differs between the halves, so a fail
    is a false block; with a drop of exactly the margin put in, a pass is a false pass. Both rates
    stand beside what the gate promises, and beside what a threshold on one run would have done.

    REPORT is a report's digest, or an environment or another version for the report on it; the
    working tree by default. It needs two runs or more of a case.

    It tests these cases and runs alone. It says nothing about other cases, nor about a model or a
    judge that drifts.

    Exit 0 if all error rates are as promised, 1 if one is above, 3 if the runs allow no test.

    \b
    Examples: llmvc aa
              llmvc aa support@prod --times 2000
              llmvc aa --file results.jsonl --margin 0.05
    """  # noqa: D301
    given = [name for name, value in rules.items() if value not in (None, ())]
    if file is not None:
        if report is not None or arm is not None:
            what = "--arm" if report is None else "a report"
            raise UsageError(f"--file and {what} do not go together")
        tested = _file(file, times=times, seed=seed, **rules)
    elif given:
        option = {"metrics": "metric"}.get(given[0], given[0]).replace("_", "-")
        raise UsageError(f"--{option} is for --file", hint="a report is judged by its suite")
    else:
        tested = aa.with_report(options.workspace(), report, arm=arm, times=times, seed=seed)
    out = current()
    if as_json:
        out.json("aa/1", render.members(tested))
    else:
        out.data(render.text(tested, colored=out.colored))
    out.talk(render.notes(tested))
    return 0 if tested.result.as_promised else 1


def _file(path: str, *, times: int, seed: int | None, scale: str | None, **rules: Any) -> "Tested":
    chosen = Rules(scale=options.scale(scale), **rules)
    return aa.with_file(Path(path), chosen, times=times, seed=seed)
