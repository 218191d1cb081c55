"""What fetching and pushing have in common: their results, and our copies of a remote's refs.

- `refs/llmvc-remote/<remote>/` is what the remote has; any `git fetch` may move it.
- `refs/llmvc-seen/<remote>/` is what was last accepted from it or given to it; only llmvc moves
  it, and only forward, so that a remote ref that no longer contains it was rewound.
"""

from dataclasses import dataclass
from typing import Final

from llmvc.core.release import Release
from llmvc.errors import ConfigError, RefMoved
from llmvc.store.refs import Change, is_ancestor
from llmvc.store.repository import Repository
from llmvc.store.transport import Place, Transport

PUSHED: Final = "pushed"
CURRENT: Final = "current"
REFUSED: Final = "refused"
ABSENT: Final = "absent"


@dataclass(frozen=True, slots=True)
class Moved:
    """A local ref that a fetch moved; `old` is None if it is new."""

    ref: str
    old: str | None
    new: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something wrong with a remote's ref: rewound, deleted or breaking the chain's rules."""

    ref: str
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Diverged:
    """An environment that both sides moved: the remote's release won.

    Attributes:
        bundle: the bundle's name.
        env: the environment's name.
        winner: the remote's newest release.
        ours: our releases that the remote does not have, oldest first.
    """

    bundle: str
    env: str
    winner: Release
    ours: tuple[Release, ...]


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a fetch brought."""

    remote: str
    moved: tuple[Moved, ...] = ()
    diverged: tuple[Diverged, ...] = ()
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """What became of one environment.

    Attributes:
        bundle: the bundle's name.
        env: the environment's name.
        status: `pushed`, `current` (the remote has it already) or `refused`.
        winner: what the remote serves instead, where it refused for that.
        reason: why it was refused.
        notices: what is wrong with the remote's ref.
    """

    bundle: str
    env: str
    status: str
    winner: Release | None = None
    reason: str = ""
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class PushResult:
    """What a push carried.

    Attributes:
        remote: where to.
        store: `pushed`, `current` or `absent` (there is no store yet).
        envs: one outcome an environment, sorted.
        notices: what is wrong with the remote's refs.
    """

    remote: str
    store: str
    envs: tuple[PushOutcome, ...] = ()
    notices: tuple[Notice, ...] = ()


def transport_to(repo: Repository, remote: str | None) -> Transport:
    """Returns the way to a remote; see formats.md for which one if none is named.

    Raises:
        ConfigError: there is no remote.
        NotFoundError: the remote named is not configured.
    """
    name = repo.settings.remote(remote)
    if name is None:
        raise ConfigError(
            "this repository has no remote to talk to",
            hint="git remote add origin URL, or choose one: git config llmvc.remote NAME",
        )
    return Transport(repo.git, repo.settings, name, repo.backend.retry)


def note(repo: Repository, place: Place, oid: str) -> None:
    """Notes that a remote has a commit of ours now.

    Raises:
        RefMoved: the lock of one of our copies stays taken.
    """
    refs = repo.backend.refs
    for attempt in repo.backend.retry.rounds():
        known = refs.under(place.tracking, place.seen)
        changes = [
            Change(ref, known.get(ref), oid)
            for ref in (place.tracking, place.seen)
            if ref not in known or (known[ref] != oid and is_ancestor(repo.git, known[ref], oid))
        ]
        try:
            if changes:
                refs.move(changes, "llmvc: push")
        except RefMoved:
            if attempt + 1 == repo.backend.retry.tries:
                raise
            continue
        return
