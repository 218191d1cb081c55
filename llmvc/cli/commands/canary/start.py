"""`llmvc canary start`."""

import click

from llmvc.app.appending import Moved
from llmvc.app.canary import starting
from llmvc.app.canary.sending import How
from llmvc.app.workspace import Workspace
from llmvc.cli import canaries, exceptions
from llmvc.core import names


@click.command("start")
@click.argument("revision", metavar="REV")
@click.argument("env", metavar="[ENV]", required=False)
@click.option("--of", metavar="ENV", help="The environment that it stands beside.")
@exceptions.options
@canaries.move
def command(
    *,
    ws: Workspace,
    revision: str,
    env: str | None,
    of: str | None,
    suite: str | None,
    how: How,
    **taken: object,
) -> Moved:
    """Lets the committed version REV serve the first step of the plan in ENV.

    The plan stands in .llmvc/config.yaml under ENV, which may be left out if only one holds
    canaries. The evidence is what a promote would need. Exit 1 if it says fail, 3 if there is none.

    \b
    Example: llmvc canary start support canary
    """  # noqa: D301
    allowed = exceptions.read(reason=how.reason, **taken)
    if env is None and names.placed(revision) != revision:
        revision, _, env = revision.partition("/")
    where = starting.environment(ws, env and names.check_name(env, "environment"), of)
    return starting.start(ws, revision, where, suite=suite, exceptions=allowed, how=how)
