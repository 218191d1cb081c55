"""Appending: how a move becomes a commit on an environment's ref.

The commit carries the bundle, its assets, the policy, and the suite and report where there are
any, so that this ref alone can be pushed and served.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import canary, digest, release
from llmvc.core.bundle import Bundle, parts
from llmvc.core.digest import Digest
from llmvc.core.policy import Policy
from llmvc.core.release import Move, Release
from llmvc.errors import ConfigError, LlmvcError, NotFoundError, RefMoved
from llmvc.store.chain import EnvChain, Tip, object_name

if TYPE_CHECKING:
    from llmvc.core.estimate import Verdict


PUSHED: Final = ("rollback", "override")
"""What is for the bad day, and pushed at once."""
UNSENT: Final = "NOT PUSHED"
"""How the words of a push begin that did not arrive."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did, or with `dry_run` would do.

    Attributes:
        release: the new release; the tip's own where nothing had to move.
        written: whether a release was appended.
        suite_note: how the suite differs from the one in force, such as `suite +40`; else empty.
        verdict: what the gate said, for measured moves.
        pushed: `pushed`, `NOT PUSHED: why`, or empty where nothing was tried.
    """

    release: Release
    written: bool
    suite_note: str = ""
    verdict: "Verdict | None" = None
    pushed: str = ""

    @property
    def unsent(self) -> bool:
        """Whether it was to be pushed and did not arrive."""
        return self.pushed.startswith(UNSENT)


class Place(NamedTuple):
    """An environment as it stood when a move was judged; only that state may be moved from."""

    chain: EnvChain
    tip: Tip | None

    @classmethod
    def of(cls, ws: Workspace, bundle: str, env: str) -> "Place":
        """Reads where an environment stands."""
        chain = ws.repo.chain(bundle, env)
        return cls(chain, chain.tip())

    @property
    def serving(self) -> Digest | None:
        """The digest served; None if nothing was released."""
        return self.tip.release.to if self.tip else None


def append(
    ws: Workspace,
    place: Place,
    move: Move,
    found: Resolved,
    *,
    policy: bytes,
    blobs: Mapping[str, bytes] | None = None,
    dry_run: bool = False,
    publishing: bool = True,
) -> Moved:
    """Carries out a move.

    Args:
        ws: the workspace.
        place: where the environment stood when the move was judged.
        move: what to do.
        found: the bundle to serve.
        policy: bytes of the policy in force.
        blobs: suite and report, where the move brings them.
        dry_run: say what would happen, write nothing.
        publishing: tell which canaries are void by this, and write the snapshots; those of
            `PUSHED` and canaries do so, after their push.

    Raises:
        ConfigError: the environment holds canaries, and this is no move of one, or the reverse.
        RefMoved: the environment stands elsewhere by now; the winner is named.
    """
    chain, tip = place.chain, place.tip
    check_fits(place, move.kind)
    needed = parts(found.bundle, lambda wanted: _asset(ws, found, wanted))
    whole = move._replace(members=tuple(sorted(needed.members)))
    before = tip.release if tip else None
    following = release.append(before, whole, bundle=found.name, env=chain.env)
    if dry_run:
        return Moved(following, written=False)
    held = {"bundle.json": found.bundle.data, "policy.json": policy, **(blobs or {})}
    suite = chain.blob("suite.json", tip) if tip and following.suite else None
    if suite is not None:
        held.setdefault("suite.json", suite)
    held |= {object_name(of): data for of, data in needed.data.items()}
    held |= _safe(ws, place, Policy.from_bytes(policy).safe)
    try:
        chain.append(tip, following, held, author=ws.actor, time=ws.now())
    except RefMoved as err:
        raise _lost(place, following, err) from err
    if publishing and move.kind not in (*PUSHED, *canary.KINDS):
        from llmvc.app.serving import publish  # noqa: PLC0415 (a dry run writes nothing)

        tell_void(ws, place)
        ws.tell(publish(ws))
    return Moved(following, written=True)


def tell_void(
    ws: Workspace, place: Place, heads: Mapping[tuple[str, str], str] | None = None
) -> None:
    """Tells which canaries are void because the environment beside them has moved.

    Args:
        ws: the workspace.
        place: where that environment stood before.
        heads: the newest commits of the bundle's environments; None to list them now.
    """
    if place.tip is None:
        return
    bundle, left = place.chain.bundle, place.tip.release.digest
    with suppress(LlmvcError):  # what is wrong with others stops no move
        for (_, env), oid in (ws.repo.heads(bundle) if heads is None else heads).items():
            found = ws.repo.chain(bundle, env).at(oid).release.canary
            if found is not None and found.baseline == left:
                ws.tell(f"the canary in {bundle}/{env} is void by this; llmvc canary abort ends it")


def check_fits(place: Place, kind: str) -> None:
    """Checks that an environment holds either canaries or releases of its own, never both.

    Raises:
        ConfigError: the move is not of its kind.
    """
    tip = place.tip
    if tip is None or (tip.release.kind in canary.KINDS) == (kind in canary.KINDS):
        return
    where = f"{place.chain.bundle}/{place.chain.env}"
    if kind in canary.KINDS:
        raise ConfigError(
            f"{where} has releases of its own, of which the newest is {tip.release.seq}, "
            f"{tip.release.kind}",
            hint="give canaries an environment of their own in .llmvc/config.yaml",
        )
    raise ConfigError(
        f"{where} holds canaries and moves by them alone; release {tip.release.seq} is "
        f"{tip.release.kind} of {digest.short(tip.release.to)}",
        hint="llmvc canary promote, or llmvc canary abort --reason '…'",
    )


def _safe(ws: Workspace, place: Place, wanted: Digest | None) -> dict[str, bytes]:
    """Returns the files of the policy's safe version, so that going there needs this ref alone."""
    if wanted is None:
        return {}

    def read(of: Digest) -> bytes:
        held = place.chain.blob(object_name(of), place.tip) if place.tip else None
        data = ws.repo.versions.read(of) if held is None else held
        if data is None:
            raise NotFoundError(
                f"the safe version {digest.short(of)} is not in this clone", hint="run llmvc fetch"
            )
        return data

    data = read(wanted)
    beside = parts(Bundle.from_bytes(data), read).data
    return {object_name(of): held for of, held in {wanted: data, **beside}.items()}


def _lost(place: Place, ours: Release, err: RefMoved) -> RefMoved:
    """Returns the error with the winner and the loser in it, if somebody won."""
    winner = place.chain.tip()
    if winner is None or (place.tip is not None and winner.oid == place.tip.oid):
        return err
    won = winner.release
    return RefMoved(
        f"{won.bundle}/{won.env} was moved meanwhile: {won.actor} made release {won.seq}, "
        f"{won.kind} to {digest.short(won.to)}; the {ours.kind} to {digest.short(ours.to)} by "
        f"{ours.actor} was not made",
        hint="look at what became of it: llmvc canary status"
        if won.kind in canary.KINDS
        else f"measure against it: llmvc eval {won.bundle} --env {won.env}",
    )


def _asset(ws: Workspace, found: Resolved, wanted: Digest) -> bytes:
    at_hand = dict(found.assets)
    data = at_hand[wanted] if wanted in at_hand else ws.repo.versions.read(wanted)
    if data is None:
        raise NotFoundError(
            f"asset {digest.short(wanted)} is not in this clone", hint="run llmvc fetch"
        )
    return data
