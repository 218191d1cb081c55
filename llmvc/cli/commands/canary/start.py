"""`llmvc canary start`."""

import click

from llmvc.app.canary import starting
from llmvc.app.canary.sending import How
from llmvc.cli import beyond, options
from llmvc.cli.moved import show
from llmvc.core import names


@click.command("start")
@click.argument("revision", metavar="REV")
@click.argument("env", metavar="[ENV]", required=False)
@click.option("--of", metavar="ENV", help="The environment that it stands beside.")
@beyond.options
@options.no_push
@options.dry_run
@options.actor
@options.as_json
def command(
    *,
    revision: str,
    env: str | None,
    of: str | None,
    suite: str | None,
    no_push: bool,
    dry_run: bool,
    actor: str | None,
    as_json: bool,
    **taken: object,
) -> None:
    """Lets the committed version REV serve the first step of the plan in ENV.

    The plan stands in .llmvc/config.yaml under ENV, which may be left out if only one holds
    canaries. The evidence is what a promote would need. Exit 1 if it says fail, 3 if there is none.

    \b
    Example: llmvc canary start support canary
    """  # noqa: D301
    ws = options.workspace(actor)
    named = env and names.check_name(env, "environment")
    moved = starting.start(
        ws,
        revision,
        starting.environment(ws, named, of),
        suite=suite,
        exceptions=beyond.read(**taken),
        how=How(push=not no_push, dry_run=dry_run),
    )
    show(moved, dry_run=dry_run, as_json=as_json)
