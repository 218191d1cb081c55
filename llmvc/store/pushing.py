"""Pushing: the store until it arrives, then each environment once, never forced."""

from typing import Final

from llmvc.core.names import ENV_PREFIX, STORE_REF, env_of
from llmvc.core.release import Release
from llmvc.errors import IntegrityError, NotFoundError, RefMoved, StoreError
from llmvc.store.chain import EnvChain
from llmvc.store.exchange import (
    ABSENT,
    CURRENT,
    PUSHED,
    REFUSED,
    Notice,
    PushOutcome,
    PushResult,
    note,
    transport_to,
)
from llmvc.store.fetching import fetch
from llmvc.store.refs import is_ancestor
from llmvc.store.repository import Repository
from llmvc.store.transport import Place, Pushed, Transport
from llmvc.store.union import absorb

_SILENT: Final = "git does not say why"
# What a server says when two pushes met: trying again may succeed.
_RACE: Final = (
    "cannot lock ref",
    "failed to update ref",
    "incorrect old value",
    "fetch first",
    "lock",
)


def push(repo: Repository, remote: str | None = None) -> PushResult:
    """Carries the store and then every environment to a remote.

    Raises:
        ConfigError: there is no remote, or this repository must not be written to.
        NotFoundError: the remote named is not configured.
        StoreError: the remote cannot be reached, or refuses the store.
        RefMoved: others kept moving the remote's store.
    """
    transport = transport_to(repo, remote)
    fetched = fetch(repo, transport.remote)
    store = _push_store(repo, transport)
    refs = repo.backend.refs.under("refs/llmvc/env", f"refs/llmvc-remote/{transport.remote}/env")
    bad = {notice.ref: notice for notice in fetched.notices}
    lost = {f"{ENV_PREFIX}{item.bundle}/{item.env}": item.winner for item in fetched.diverged}
    ours = {ref: name for ref in refs if (name := env_of(ref))}
    ahead = {
        ref: refs[ref]
        for ref in ours
        if ref not in bad
        and ref not in lost
        and refs.get(transport.place(ref).tracking) != refs[ref]
    }
    sent = transport.push(ahead) if ahead else {}
    outcomes: list[PushOutcome] = []
    for ref, name in ours.items():
        if ref in bad:
            outcome = PushOutcome(*name, REFUSED, None, bad[ref].what, (bad[ref],))
        elif ref in lost:
            outcome = PushOutcome(*name, REFUSED, lost[ref], "the remote has another release")
        elif ref in sent:
            outcome = _outcome(repo, transport, name, ahead[ref], sent[ref])
        else:
            outcome = PushOutcome(*name, CURRENT)
        outcomes.append(outcome)
    return PushResult(transport.remote, store, tuple(outcomes), fetched.notices)


def push_env(repo: Repository, remote: str | None, bundle: str, env: str) -> PushOutcome:
    """Carries one environment to a remote, alone and at once.

    Raises:
        ConfigError: there is no remote.
        NotFoundError: the remote named is not configured, or nothing was released here.
        StoreError: the remote cannot be reached.
    """
    transport = transport_to(repo, remote)
    ref = repo.chain(bundle, env).ref
    ours = repo.backend.refs.read(ref)
    if ours is None:
        raise NotFoundError(f"{bundle}/{env} has no release to push")
    sent = transport.push({ref: ours}).get(ref, Pushed(ok=False, before=None, said=_SILENT))
    return _outcome(repo, transport, (bundle, env), ours, sent)


def _push_store(repo: Repository, transport: Transport) -> str:
    refs, place = repo.backend.refs, transport.place(STORE_REF)
    said = ""
    for _ in repo.backend.retry.rounds():
        known = refs.under(STORE_REF, place.tracking)
        ours = known.get(STORE_REF)
        if ours is None:
            return ABSENT
        if known.get(place.tracking) == ours:
            return CURRENT if not said else PUSHED
        sent = transport.push({STORE_REF: ours}).get(STORE_REF)
        if sent and sent.ok:
            note(repo, place, ours)
            return PUSHED
        said = sent.said if sent else _SILENT
        theirs = refs.read(place.tracking) if transport.fetch_one(STORE_REF) else None
        if theirs and is_ancestor(repo.git, ours, theirs):
            note(repo, place, theirs)  # it arrived, whatever the push said
            absorb(repo.backend, theirs)
            return PUSHED
        if theirs and not is_ancestor(repo.git, theirs, ours):
            absorb(repo.backend, theirs)
        elif not any(word in said for word in _RACE):
            why = sent.why if sent else said
            raise StoreError(f"remote {transport.remote} refused {STORE_REF}: {why}")
    raise RefMoved(
        f"others kept moving {STORE_REF} of remote {transport.remote}: {said}",
        hint="wait a moment and push again",
    )


def _outcome(
    repo: Repository, transport: Transport, name: tuple[str, str], ours: str, sent: Pushed
) -> PushOutcome:
    """Notes a push that arrived; of one that did not, finds out what the remote has instead."""
    refs, ref = repo.backend.refs, repo.chain(*name).ref
    place = transport.place(ref)
    if sent.ok:
        notices = _healed(repo, place, refs.read(place.seen), sent)
        note(repo, place, ours)
        return PushOutcome(*name, PUSHED, notices=notices)
    theirs = refs.read(place.tracking) if transport.fetch_one(ref) else None
    if theirs and is_ancestor(repo.git, ours, theirs):
        note(repo, place, theirs)
        return PushOutcome(*name, PUSHED)
    winner, reason = None, f"remote {transport.remote} refused it: {sent.why}"
    if theirs and not is_ancestor(repo.git, theirs, ours):
        winner, reason = _winner(repo, name, place, theirs)
    return PushOutcome(*name, REFUSED, winner, reason)


def _winner(
    repo: Repository, name: tuple[str, str], place: Place, theirs: str
) -> tuple[Release | None, str]:
    try:
        winner = EnvChain(repo.backend, *name, ref=place.tracking).at(theirs).release
    except IntegrityError as err:
        return None, f"the remote has something else: {err}"
    return winner, "the remote has another release"


def _healed(repo: Repository, place: Place, seen: str | None, sent: Pushed) -> tuple[Notice, ...]:
    """Says so if the push put back what somebody had rewound or deleted."""
    if seen is None or sent.before is None:
        return ()
    if sent.before and not repo.git.call("merge-base", "--is-ancestor", seen, sent.before).code:
        return ()  # others had moved it forward, and we upon that
    did = f"moved back to {sent.before}" if sent.before else "deleted"
    what = f"{place.theirs} had been {did}; this push put it back"
    return (Notice(place.local, what, "find out who did it"),)
