"""`llmvc canary promote`."""

import click

from llmvc.app.canary import moving, scene
from llmvc.app.canary.sending import How
from llmvc.cli import beyond, options
from llmvc.cli.output import current
from llmvc.render import canary as views


@click.command("promote")
@click.argument("name", metavar="[BUNDLE][@ENV]", required=False)
@click.option("--analysis", metavar="DIGEST", help="Rest on this one instead of the newest.")
@beyond.options
@options.no_push
@options.dry_run
@options.actor
@options.as_json
def command(
    *,
    name: str | None,
    analysis: str | None,
    suite: str | None,
    reason: str | None,
    no_push: bool,
    dry_run: bool,
    actor: str | None,
    as_json: bool,
    **taken: object,
) -> None:
    """Lets the environment beside a canary serve the candidate to all, and closes the canary.

    The canary stands at the last step of its plan, and an analysis of its newest release says pass;
    the suite's evidence is what any promote needs. Killed half-way, run it again.

    \b
    Example: llmvc canary promote support@canary
    """  # noqa: D301
    ws = options.workspace(actor)
    done = moving.promote(
        ws,
        scene.find(ws, name),
        analysis=analysis,
        suite=suite,
        exceptions=beyond.read(reason=reason, **taken),
        how=How(reason, push=not no_push, dry_run=dry_run),
    )
    out = current()
    if as_json:
        out.json("promoted/1", views.promoted_members(done, dry_run=dry_run))
    else:
        out.data(views.promoted(done, dry_run=dry_run))
