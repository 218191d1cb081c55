"""What whoever is on call wants to know before the bad day: would a rollback work, all the way?"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from llmvc.app import fleet, rollback, serving
from llmvc.app.doctor import Finding, guarded
from llmvc.app.rollback import Wish
from llmvc.app.workspace import Workspace
from llmvc.core import canary
from llmvc.core.digest import short
from llmvc.core.plural import count
from llmvc.core.pointer import POINTER
from llmvc.errors import ConfigError, LlmvcError, NotFoundError, UsageError
from llmvc.places import place_at, probe
from llmvc.store.behind import behind
from llmvc.store.following import may_push

LIMIT_S: Final = 10.0
"""How long the remote may take to say whether it takes a push."""


def examine(ws: Workspace, bundle: str | None = None) -> tuple[Finding, ...]:
    """Looks, for each environment, at the target, the push and the fleet; then at the snapshots.

    Args:
        ws: the workspace.
        bundle: its name; None for all that were released.

    Raises:
        NotFoundError: nothing was released.
    """
    found = ws.repo.environments(bundle)
    if not found:
        what = f"of {bundle} " if bundle else ""
        raise NotFoundError(f"no release {what}is known here", hint="run llmvc fetch")
    looks: list[Callable[[Workspace], Iterator[Finding]]] = []
    for name, env in found:
        tip = ws.repo.chain(name, env).tip()
        if tip is None or tip.release.kind not in canary.KINDS:
            looks += [partial(look, bundle=name, env=env) for look in (_target, _push, _fleet)]
    looks.append(_snapshots)
    return tuple(finding for look in looks for finding in guarded(look, ws))


def _target(ws: Workspace, *, bundle: str, env: str) -> Iterator[Finding]:
    """Carries out a rollback up to, but not including, the move."""
    where = f"{bundle}/{env}"
    for wish, what in ((Wish(), "a rollback"), (Wish(safe=True), "rollback --to safe")):
        try:
            to = rollback.rollback(ws, bundle, env, wish, dry_run=True).moved.release.to
            yield Finding("ok", f"{where}: {what} serves {short(to)}, and all of it is here")
        except (NotFoundError, ConfigError) as err:
            yield Finding("hint", f"{where}: {what} is not possible: {err}", err.hint)
        except LlmvcError as err:
            yield Finding("bad", f"{where}: {what} is not possible: {err}", err.hint)


def _push(ws: Workspace, *, bundle: str, env: str) -> Iterator[Finding]:
    where, remote = f"{bundle}/{env}", ws.repo.settings.remote()
    if remote is None:
        yield Finding("hint", f"{where}: no remote, so a rollback stays in this repository")
        return
    for late in behind(ws.repo, bundle, env):
        mend = f"llmvc fetch {late.remote}"
        yield Finding("hint", f"{where}: remote {late.remote} has a newer release", mend)
    refused = may_push(ws.repo, bundle, env, limit_s=LIMIT_S)
    if refused is None:
        yield Finding("ok", f"{where}: remote {remote} takes a push, hooks apart")
    else:
        mend = f"git push --dry-run {remote} refs/llmvc/env/{where}"
        yield Finding("bad", f"{where}: remote {remote} takes no push: {refused}", mend)


def _fleet(ws: Workspace, *, bundle: str, env: str) -> Iterator[Finding]:
    where = f"{bundle}/{env}"
    try:
        places = fleet.heartbeats(ws)
    except UsageError:
        mend = "git config llmvc.fleet DIR"
        yield Finding("hint", f"{where}: nobody knows where heartbeats are", mend)
        return
    found = fleet.fleet(ws, bundle, env, places=places)
    if found.unread:
        yield Finding("bad", f"{where}: {found.unread[0]}", "mend or remove it")
    moved = found.those("moved")
    late = sum(item.late for item in moved)
    if found.left:
        of = f"{len(found.left)} of {count(len(found.left + moved), 'process')}"
        told = f"{where}: {of} not known to serve release {found.seq}"
        yield Finding("hint", told, f"llmvc fleet {bundle} {env}")
    elif late:
        told = f"{where}: {late} of {count(len(moved), 'process')} fell silent"
        yield Finding("hint", told, "llmvc fleet --prune, if they ended")
    elif moved:
        yield Finding("ok", f"{where}: the fleet answers, {len(moved)} on release {found.seq}")
    else:
        yield Finding("hint", f"{where}: no process has sent a heartbeat", "open(…, heartbeats=…)")


def _snapshots(ws: Workspace) -> Iterator[Finding]:
    places = serving.places(ws)
    if not places:
        yield Finding("ok", "no snapshot is written here; processes follow the remote or an agent")
        return
    source = serving.source_of(ws)
    for target in places:
        place = place_at(target)
        probe(place)
        held, now = place.read(POINTER), source.pointer(None)
        if now is not None and held == now[0]:
            yield Finding("ok", f"snapshot {place.name} can be written, and is current")
        else:
            yield Finding("hint", f"snapshot {place.name} is not current", "llmvc snapshot")
