"""`llmvc canary plan`."""

from math import isfinite

import click

from llmvc.app.canary import planning
from llmvc.cli import canaries, options
from llmvc.cli.output import current
from llmvc.cli.types import Finite
from llmvc.errors import UsageError
from llmvc.render import canary_plan as views

_MOST: float = 1e12


def _rates(told: tuple[str, ...]) -> dict[str, float]:
    """Reads `NAME=NUMBER`.

    Raises:
        UsageError: one is not of that form.
    """
    found: dict[str, float] = {}
    for text in told:
        name, equals, value = text.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not equals or not isfinite(number):
            raise UsageError(
                f"--baseline-rate {text} is no rate", hint="write errors=0.02, for one"
            )
        found[name.strip()] = number
    return found


@click.command("plan")
@canaries.name
@click.option(
    "--traffic",
    required=True,
    type=Finite(min=0, max=_MOST, min_open=True),
    metavar="UNITS",
    help="Units a day, of both arms together.",
)
@click.option(
    "--baseline-rate",
    "rates",
    multiple=True,
    metavar="NAME=X",
    help="The baseline's share; of a cost or latency, a unit's standard deviation over its mean.",
)
@click.option("--logs", multiple=True, metavar="GLOB", help="Logs that tell it; may be repeated.")
@click.option(
    "--power",
    type=Finite(min=0.05, max=0.999),
    default=0.8,
    show_default=True,
    help="The chance that is wanted.",
)
@options.as_json
def command(
    *,
    name: str | None,
    traffic: float,
    rates: tuple[str, ...],
    logs: tuple[str, ...],
    power: float,
    as_json: bool,
) -> int:
    """Says how long each step of a canary takes and what it can show, before any traffic.

    Exit 3 if a step would last longer than two weeks, so that only a shadow can answer, or if too
    little is known to tell.

    \b
    Example: llmvc canary plan support@canary --traffic 20000 --baseline-rate errors=0.02
    """  # noqa: D301
    done = planning.plan(
        options.workspace(), name, per_day=traffic, rates=_rates(rates), logs=logs, power=power
    )
    out = current()
    if as_json:
        out.json("planned/1", views.members(done))
    else:
        out.data(views.planned(done))
        out.talk(views.notes(done))
    return 3 if done.days is None or any(step.too_long for step in done.steps) else 0
