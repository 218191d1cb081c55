"""Fetching: what a remote has is checked, and only then do local refs follow it.

- An environment moves forward only; one that both sides moved is reported, never merged.
- A remote ref that was rewound, deleted or breaks the chain's rules is reported, never followed.
"""

from collections.abc import Mapping

from llmvc.core.names import ENV_PREFIX, STORE_REF, env_of
from llmvc.errors import IntegrityError, RefMoved
from llmvc.store.chain import EnvChain
from llmvc.store.exchange import Diverged, FetchResult, Moved, Notice, transport_to
from llmvc.store.refs import Change, is_ancestor
from llmvc.store.repository import Repository
from llmvc.store.settings import SEEN, TRACKING
from llmvc.store.transport import Place, Transport
from llmvc.store.union import absorb

Event = Moved | Diverged | Notice


def fetch(repo: Repository, remote: str | None = None) -> FetchResult:
    """Brings everything from a remote, checks it and moves the local refs forward.

    Raises:
        ConfigError: there is no remote, or this repository must not be written to.
        NotFoundError: the remote named is not configured.
        StoreError: the remote cannot be reached.
    """
    transport = transport_to(repo, remote)
    repo.backend.check_writable()
    transport.fetch()
    tracking, seen = f"{TRACKING}{transport.remote}", f"{SEEN}{transport.remote}"
    refs = repo.backend.refs.under(STORE_REF, ENV_PREFIX.rstrip("/"), tracking, seen)
    events: list[Event] = []
    for place in _places(transport, refs):
        try:
            judge = _store if place.local == STORE_REF else _environment
            events += judge(repo, transport, place, refs)
        except (IntegrityError, RefMoved) as err:
            events.append(Notice(place.local, str(err), err.hint))
    repo.versions.tip()
    return FetchResult(
        transport.remote,
        tuple(event for event in events if isinstance(event, Moved)),
        tuple(event for event in events if isinstance(event, Diverged)),
        tuple(event for event in events if isinstance(event, Notice)),
    )


def _places(transport: Transport, refs: Mapping[str, str]) -> tuple[Place, ...]:
    """Returns the places of all refs that the remote has, or had, or that we have."""
    found = set[str]()
    for ref in refs:
        for prefix in (f"{TRACKING}{transport.remote}/", f"{SEEN}{transport.remote}/"):
            if ref.startswith(prefix):
                found.add("refs/llmvc/" + ref.removeprefix(prefix))
    ours = sorted(ref for ref in found if ref == STORE_REF or env_of(ref))
    return tuple(transport.place(ref) for ref in ours)


def _store(
    repo: Repository, transport: Transport, place: Place, refs: Mapping[str, str]
) -> list[Event]:
    local, theirs, seen = (refs.get(ref) for ref in (place.local, place.tracking, place.seen))
    back = f"put it back: llmvc push {transport.remote}"
    if theirs is None:
        return [Notice(place.local, f"remote {transport.remote} has lost its store", back)]
    events: list[Event] = []
    if seen and not is_ancestor(repo.git, seen, theirs):
        lost = sum(1 for _ in repo.backend.trees.missing(theirs, seen))
        if lost:
            what = f"the store of remote {transport.remote} was rewound and lacks {lost} files"
            events.append(Notice(place.local, what, back))
    now = absorb(repo.backend, theirs)
    if seen != theirs:
        repo.backend.refs.move((Change(place.seen, seen, theirs),), "llmvc: fetch")
    if now != local:
        events.append(Moved(place.local, local, now))
    return events


def _environment(
    repo: Repository, transport: Transport, place: Place, refs: Mapping[str, str]
) -> list[Event]:
    name = env_of(place.local)
    local, theirs, seen = (refs.get(ref) for ref in (place.local, place.tracking, place.seen))
    if name is None:
        return []
    if theirs is None or (seen and not is_ancestor(repo.git, seen, theirs)):
        return [Notice(place.local, *_rewound(transport, place, theirs, seen))]
    chain = EnvChain(repo.backend, *name, ref=place.tracking)
    if theirs not in (local, seen):
        chain.verify(theirs)
    changes = [] if theirs == seen else [Change(place.seen, seen, theirs)]
    forward = local != theirs and (local is None or is_ancestor(repo.git, local, theirs))
    if forward:
        changes.append(Change(place.local, local, theirs))
    if changes:
        repo.backend.refs.move(changes, "llmvc: fetch")
    if forward:
        return [Moved(place.local, local, theirs)]
    if local is None or is_ancestor(repo.git, theirs, local):
        return []
    return [Diverged(*name, chain.at(theirs).release, repo.chain(*name).since(theirs, local))]


def _rewound(
    transport: Transport, place: Place, theirs: str | None, seen: str | None
) -> tuple[str, str]:
    did = f"was moved back to {theirs[:12]}" if theirs else "was deleted"
    last = seen[:12] if seen else "-"
    what = f"{place.theirs} of remote {transport.remote} {did}; it had {last} when last seen"
    hint = (
        f"find out who did it; put it back: git push {transport.remote} "
        f"{place.seen}:{place.theirs}, or accept it: git update-ref -d {place.seen}"
    )
    return what, hint
