"""How a measurement is shown; eval, gate, migrate and ship share it."""

from typing import Final

from llmvc.app.measuring import Measured
from llmvc.cli.output import Output
from llmvc.render import asjson, views

EXITS: Final = {"pass": 0, "fail": 1, "inconclusive": 3}


def show(out: Output, done: Measured, *, as_json: bool) -> None:
    """Prints the estimates and the verdict."""
    if as_json:
        out.json("eval/1", asjson.measured(done))
    elif done.report is not None and done.verdict is not None:
        out.data(views.verdict(done.report, done.verdict, colored=out.colored))
        if out.verbose:
            out.talk(views.reasons(done.report, done.verdict))
    if done.note:
        out.talk(done.note)


def exit_code(done: Measured) -> int:
    """Returns what the command exits with."""
    return EXITS[done.verdict.verdict] if done.verdict is not None else 0
