"""`llmvc rollback`."""

import click

from llmvc.app import rollback
from llmvc.app.rollback import SAFE, RolledBack, Wish
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.cli.types import Finite
from llmvc.core.names import Revision
from llmvc.errors import LlmvcError, UsageError

WAIT_S = 60.0


@click.command("rollback")
@click.argument("where", metavar="[REV] ENV", nargs=-1)
@options.reason
@click.option("--to", type=click.Choice([SAFE]), help="Go to the version that the policy names.")
@click.option("--drain", is_flag=True, help="Let conversations pinned to what is left finish.")
@click.option(
    "--wait",
    type=Finite(min=0, told=": --wait takes seconds, write --wait=60 or put --wait last"),
    is_flag=False,
    flag_value=WAIT_S,
    metavar="[S]",
    help=f"Wait until the last process has moved, at most S ({WAIT_S:g}) seconds; exit 3 if not.",
)
@click.option("--no-push", is_flag=True, help="Do not push the environment's ref.")
@options.dry_run
@options.actor
@options.as_json
def command(
    *,
    where: tuple[str, ...],
    reason: str | None,
    to: str | None,
    drain: bool,
    wait: float | None,
    no_push: bool,
    dry_run: bool,
    actor: str | None,
    as_json: bool,
) -> int:
    """Lets ENV serve an earlier release again, and pushes that one ref.

    Without a version it goes to the last release before the current one that was not rolled back
    itself; doing it twice goes further back. It needs no evidence, no config and no network.
    Conversations that are pinned to what is left move as well, unless --drain lets them finish.

    \b
    Examples: llmvc rollback support prod --reason "refund tone" --wait
              llmvc rollback support@prod~3 prod
    """  # noqa: D301
    text, env = options.revision_and_env(where, "[REV] ENV", at=True)
    revision = Revision.parse(text or "")
    named = text if revision.kind != "worktree" else None
    ws = options.workspace(actor)
    wish = Wish(named, safe=to == SAFE, drain=drain, reason=reason)
    try:
        done = rollback.rollback(ws, revision.bundle, env, wish, push=not no_push, dry_run=dry_run)
    except LlmvcError:
        options.check_env_given(ws, where)
        raise
    if wait is None or dry_run:
        _show(done, dry_run=dry_run, as_json=as_json)
        return 0
    from llmvc.app import fleet  # noqa: PLC0415 (a rollback that does not wait is faster)
    from llmvc.render import fleet as view  # noqa: PLC0415

    out = current()
    if not as_json:
        _show(done, dry_run=False, as_json=False)
    try:
        places = fleet.heartbeats(ws)
    except UsageError as err:  # the rollback itself never waits for a setting
        if as_json:
            _show(done, dry_run=False, as_json=True)
        out.talk(f"NOT PROVEN that processes have moved: {err}\n  -> {err.hint}")
        return 3
    bundle = done.moved.release.bundle
    try:
        found = fleet.fleet(ws, bundle, env, places=places, wait_s=wait)
    except KeyboardInterrupt as err:
        told = f"the release stands; who has moved is not proven: llmvc fleet {bundle} {env}"
        raise KeyboardInterrupt(told) from err
    if as_json:
        _show(done, dry_run=False, as_json=True, fleet=view.fleet_json(found))
    else:
        out.data(view.fleet(found, unsent=done.moved.unsent))
    return 0 if found.proven else 3


def _show(
    done: RolledBack, *, dry_run: bool, as_json: bool, fleet: dict[str, object] | None = None
) -> None:
    out = current()
    if as_json:
        from llmvc.render import asjson  # noqa: PLC0415 (once it is done)

        moved = asjson.moved(done.moved, dry_run=dry_run)
        out.json("move/1", {**moved, "snapshot": done.snapshot or None, "fleet": fleet})
        return
    from llmvc.render import views  # noqa: PLC0415

    out.data(views.moved(done.moved, dry_run=dry_run))
    if done.snapshot:
        out.data("\n".join(f"  {line}" for line in done.snapshot.splitlines()))
