"""`llmvc fleet`."""

import click

from llmvc.app import fleet
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.cli.types import Finite
from llmvc.render import fleet as view


@click.command("fleet")
@click.argument("bundle", required=False)
@click.argument("env", required=False)
@click.option(
    "--heartbeats",
    metavar="DIR|URL",
    multiple=True,
    help="A snapshot's folder, or the URL of an agent; else Git's llmvc.fleet.",
)
@click.option(
    "--wait",
    type=Finite(min=0),
    default=0.0,
    metavar="S",
    help="Wait so long for the last process.",
)
@click.option("--prune", is_flag=True, help="Remove heartbeats of the dead, and of a day ago.")
@options.as_json
def command(
    *,
    bundle: str | None,
    env: str | None,
    heartbeats: tuple[str, ...],
    wait: float,
    prune: bool,
    as_json: bool,
) -> int:
    """Lists the processes that do not serve the newest release of ENV yet, by their own word.

    Exit 0 and the time when the last one moved if all have; else 3. A process that fell silent
    before it moved counts until its heartbeat is removed, or this machine sees that it is dead.

    \b
    Example: llmvc fleet support prod --wait 10
    """  # noqa: D301
    bundle, where = options.bundle_and_env(bundle, env)
    ws = options.workspace()
    places = fleet.heartbeats(ws, heartbeats)
    out = current()
    if prune:
        out.talk(view.pruned(fleet.prune(ws, places)))
    found = fleet.fleet(ws, bundle, where, places=places, wait_s=wait)
    if as_json:
        out.json("fleet/1", view.fleet_json(found))
    else:
        out.data(view.fleet(found))
    return 0 if found.proven else 3
