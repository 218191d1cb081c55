"""Rollback: an environment serves an earlier release again, at once.

- It needs nothing but the environment's own chain, and loads nothing that measures or reads files,
  so that it works, and works fast, on a bad day.
- The snapshots that `llmvc.snapshot` names are written right after the push, so that a lost race
  never reaches readers; a remote that cannot be reached in `PUSH_S` does not keep them waiting.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from llmvc.app import revisions
from llmvc.app.appending import Moved, Place, append, check_fits, tell_void
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import digest, release
from llmvc.core.bundle import Bundle, Parts, parts
from llmvc.core.digest import Digest
from llmvc.core.names import Revision
from llmvc.core.release import Move, Release
from llmvc.errors import ConfigError, IntegrityError, NotFoundError, UsageError
from llmvc.store.chain import EnvChain, Tip, object_name

SAFE: Final = "safe"
PUSH_S: Final = 20.0
"""How long one git process of a rollback's push may take."""
# How many of the last releases are looked at before all of them are read.
NEAR = (8, 128)


class Wish(NamedTuple):
    """How an environment is to be rolled back.

    Attributes:
        revision: the version to go back to; None for the last good one.
        safe: go to the version that the policy names as safe instead.
        drain: let conversations that are pinned to what is left finish.
        reason: why.
    """

    revision: str | None = None
    safe: bool = False
    drain: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What a rollback did.

    Attributes:
        moved: the move.
        snapshot: what became of the snapshots, for people; empty where none is named.
    """

    moved: Moved
    snapshot: str = ""


def rollback(
    ws: Workspace,
    bundle: str | None,
    env: str,
    wish: Wish,
    *,
    push: bool = True,
    dry_run: bool = False,
) -> RolledBack:
    """Lets an environment serve an earlier release again, at once.

    Args:
        ws: the workspace.
        bundle: its name; None if only one was released.
        env: the environment.
        wish: where to, and why.
        push: whether to push that one ref, if there is a remote.
        dry_run: say what would happen, write nothing.

    Raises:
        NotFoundError: nothing was released, or no earlier release is left.
        ConfigError: the environment holds canaries, or its policy names no safe version.
        RefMoved: somebody else moved the environment to something other than what we left.
    """
    if wish.safe and wish.revision is not None:
        raise UsageError(f"--to {SAFE} and a version exclude each other", hint="drop one of them")
    name = ws.released_bundle(bundle)
    heads = _heads(ws, name, env)
    oid, chain = heads.get((name, env)), ws.repo.chain(name, env)
    place = Place(chain, chain.at(oid) if oid else None)
    moved = _roll_back(ws, place, wish, dry_run=dry_run)
    if dry_run or not moved.written:
        return RolledBack(moved)
    from llmvc.app.serving import publish  # noqa: PLC0415 (a dry run writes nothing)

    if push and ws.repo.settings.remote() is not None:
        moved = _pushed(ws, place, wish, moved)
    written = publish(ws, unpushed=True)
    _notice(ws, place, wish, heads)
    return RolledBack(moved, written)


def _heads(ws: Workspace, bundle: str, env: str) -> dict[tuple[str, str], str]:
    """Returns the newest commits of a bundle's environments, from one listing."""
    try:
        return ws.repo.heads(bundle)
    except IntegrityError:  # a neighbour's ref is broken, which stops no rollback
        tip = ws.repo.chain(bundle, env).tip()
        return {(bundle, env): tip.oid} if tip else {}


def _notice(ws: Workspace, place: Place, wish: Wish, heads: Mapping[tuple[str, str], str]) -> None:
    """Tells what whoever is on call may not know: a colleague was faster, or a canary is void."""
    left = place.tip.release if place.tip else None
    if left is None:
        return
    if left.kind == "rollback" and wish.revision is None and not wish.safe:
        before = f"release {left.seq} by {left.actor} at {left.time}"
        ws.tell(f"{before} was a rollback, too: this goes back further")
    tell_void(ws, place, heads)


def _pushed(ws: Workspace, place: Place, wish: Wish, moved: Moved) -> Moved:
    """Pushes a rollback, on top of a winner where that still serves the fault."""
    from llmvc.app.carrying import push_release  # noqa: PLC0415 (not without a remote)
    from llmvc.store.following import patient  # noqa: PLC0415

    def once_more() -> Release | None:
        """Appends on top of a winner that still serves the digest we left."""
        now = Place.of(ws, place.chain.bundle, place.chain.env)
        if now.serving != place.serving:
            return None
        return _roll_back(ws, now, wish, dry_run=False).release

    with patient(ws.repo, PUSH_S):
        outcome, final = push_release(ws, place.chain.bundle, place.chain.env, once_more)
    return replace(moved, pushed=outcome, release=final or moved.release)


def _roll_back(ws: Workspace, place: Place, wish: Wish, *, dry_run: bool) -> Moved:
    chain, tip = place.chain, place.tip
    if tip is None:
        raise revisions.unreleased(ws, chain.bundle, chain.env)
    check_fits(place, "rollback")
    target, bundle, needed = _goal(ws, chain, tip, wish)
    if bundle.digest == tip.release.to:
        return Moved(tip.release, written=False)
    left = _parts(ws, chain, tip, revisions.released_bundle(chain, tip))
    move = Move(
        kind="rollback",
        to=bundle.digest,
        policy=tip.release.policy,
        source=ws.repo.source(),
        time=ws.time,
        actor=ws.actor,
        reason=wish.reason,
        target=target.digest if target else None,
        proven=target is not None and target.proven,
        dropped=tuple(left.members - needed.members),
        drain=wish.drain,
    )
    policy = chain.blob("policy.json", tip)
    if policy is None:
        raise IntegrityError(f"{chain.ref} holds no policy.json", hint="llmvc fsck")
    label = f"{chain.bundle}@{chain.env}"
    found = Resolved(chain.bundle, label, bundle, assets=tuple(needed.data.items()))
    return append(ws, place, move, found, policy=policy, dry_run=dry_run)


def _goal(
    ws: Workspace, chain: EnvChain, tip: Tip, wish: Wish
) -> tuple[Release | None, Bundle, Parts]:
    """Returns the release to go back to, None for the safe version, and what it serves."""
    if not wish.safe:
        try:
            held = _held(ws, chain, tip, wish.revision)
        except NotFoundError as err:
            if wish.revision is not None or chain.policy(tip).safe in (None, tip.release.to):
                raise
            hint = f"llmvc rollback {chain.bundle} {chain.env} --to {SAFE}"
            raise NotFoundError(str(err), hint=hint) from err
        bundle = revisions.released_bundle(chain, held)
        return held.release, bundle, _parts(ws, chain, held, bundle)
    safe = chain.policy(tip).safe
    if safe is None:
        raise ConfigError(
            f"the policy of {chain.bundle}/{chain.env} release {tip.release.seq} names no safe "
            "version",
            hint="write environments.<env>.safe in .llmvc/config.yaml; it counts from the next "
            "release on",
        )
    bundle = Bundle.from_bytes(_object(ws, chain, tip, safe))
    return None, bundle, _parts(ws, chain, tip, bundle)


def _held(ws: Workspace, chain: EnvChain, tip: Tip, revision: str | None) -> Tip:
    """Returns the release to go back to, reading no more of a long chain than it takes."""

    def among(tips: tuple[Tip, ...]) -> Tip:
        releases = tuple(item.release for item in tips)
        if revision is None:
            found = release.rollback_target(releases)
        else:
            found = _released(ws, releases, revision)
        return next(item for item in tips if item.release is found)

    for count in NEAR:
        with suppress(NotFoundError):
            return among(chain.newest(count, tip.oid))
    return among(chain.tips(tip.oid))


def _parts(ws: Workspace, chain: EnvChain, tip: Tip, bundle: Bundle) -> Parts:
    """Returns what a release's bundle needs, from its own tree as far as that has it."""
    return parts(bundle, lambda wanted: _object(ws, chain, tip, wanted))


def _object(ws: Workspace, chain: EnvChain, tip: Tip, wanted: Digest) -> bytes:
    data = chain.blob(object_name(wanted), tip)
    data = ws.repo.versions.read(wanted) if data is None else data
    if data is None:
        raise IntegrityError(
            f"{chain.ref} release {tip.release.seq} lacks {digest.short(wanted)}",
            hint="llmvc fetch brings the store, which may have it",
        )
    return data


def _released(ws: Workspace, releases: tuple[Release, ...], revision: str) -> Release:
    wanted = _named(ws, releases, revision)
    for item in reversed(releases[:-1]):
        if item.to == wanted:
            return item
    tip = releases[-1]
    if tip.to == wanted:
        return tip
    raise NotFoundError(
        f"{digest.short(wanted)} was never released in {tip.bundle}/{tip.env}",
        hint=f"llmvc log {tip.bundle}@{tip.env} lists what was; "
        "llmvc override serves it all the same",
    )


def _named(ws: Workspace, releases: tuple[Release, ...], revision: str) -> Digest:
    """Returns the digest that a revision names, from the chain alone where that will do."""
    prefix = Revision.parse(revision).value
    served = {
        item.to for item in releases if prefix.startswith("b3:") and item.to.startswith(prefix)
    }
    return served.pop() if len(served) == 1 else revisions.resolve(ws, revision).bundle.digest
