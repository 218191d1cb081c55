"""Rollback: an environment serves an earlier release again, at once.

It reads nothing but the environment's own chain, and loads nothing that measures or reads files,
so that it works, and works fast, on a bad day.
"""

from contextlib import suppress
from dataclasses import replace

from llmvc.app import revisions
from llmvc.app.appending import Moved, Place, append
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import digest, release
from llmvc.core.bundle import Bundle, Parts, parts
from llmvc.core.digest import Digest
from llmvc.core.names import Revision
from llmvc.core.release import Move, Release
from llmvc.errors import IntegrityError, NotFoundError
from llmvc.store.chain import EnvChain, Tip

# How many of the last releases are looked at before all of them are read.
NEAR = (8, 128)


def rollback(
    ws: Workspace,
    bundle: str | None,
    revision: str | None,
    env: str,
    *,
    reason: str | None = None,
    push: bool = True,
    dry_run: bool = False,
) -> Moved:
    """Lets an environment serve an earlier release again, at once.

    Args:
        ws: the workspace.
        bundle: its name; None if only one was released.
        revision: the version to go back to; None for the last good one.
        env: the environment.
        reason: why.
        push: whether to push that one ref, if there is a remote.
        dry_run: say what would happen, write nothing.

    Raises:
        NotFoundError: nothing was released, or no earlier release is left.
        RefMoved: somebody else moved the environment to something other than what we left.
    """
    place = Place.of(ws, ws.released_bundle(bundle), env)
    moved = _roll_back(ws, place, revision, reason=reason, dry_run=dry_run)
    if dry_run or not push or not moved.written:
        return moved
    from llmvc.app.carrying import push_release  # noqa: PLC0415 (a dry run never talks)

    def once_more() -> Release | None:
        """Appends on top of a winner that still serves the digest we left."""
        now = Place.of(ws, place.chain.bundle, env)
        if now.serving != place.serving:
            return None
        return _roll_back(ws, now, revision, reason=reason, dry_run=False).release

    outcome, final = push_release(ws, place.chain.bundle, env, once_more)
    return replace(moved, pushed=outcome, release=final or moved.release)


def _roll_back(
    ws: Workspace, place: Place, revision: str | None, *, reason: str | None, dry_run: bool
) -> Moved:
    chain, tip = place.chain, place.tip
    if tip is None:
        raise revisions.unreleased(ws, chain.bundle, chain.env)
    held = _goal(ws, chain, tip, revision)
    target = held.release
    if target.to == tip.release.to:
        return Moved(tip.release, written=False)
    bundle = revisions.released_bundle(chain, held)
    needed = _parts(ws, chain, held, bundle)
    left = _parts(ws, chain, tip, revisions.released_bundle(chain, tip))
    move = Move(
        kind="rollback",
        to=target.to,
        policy=tip.release.policy,
        source=ws.repo.source(),
        time=ws.time,
        actor=ws.actor,
        reason=reason,
        target=target.digest,
        proven=target.proven,
        dropped=tuple(left.members - needed.members),
    )
    policy = chain.blob("policy.json", tip)
    if policy is None:
        raise IntegrityError(f"{chain.ref} holds no policy.json", hint="llmvc fsck")
    label = f"{chain.bundle}@{chain.env}"
    found = Resolved(chain.bundle, label, bundle, assets=tuple(needed.data.items()))
    return append(ws, place, move, found, policy=policy, dry_run=dry_run)


def _goal(ws: Workspace, chain: EnvChain, tip: Tip, revision: str | None) -> Tip:
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

    def read(wanted: Digest) -> bytes:
        data = chain.blob(f"o/{digest.hex_of(wanted)}", tip)
        data = ws.repo.versions.read(wanted) if data is None else data
        if data is None:
            raise IntegrityError(
                f"{chain.ref} release {tip.release.seq} lacks {digest.short(wanted)}",
                hint="llmvc fetch brings the store, which may have it",
            )
        return data

    return parts(bundle, read)


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
