"""What a remote is known to have beyond us: shown by `status` and `resolve`, no network here."""

from dataclasses import dataclass

from llmvc.core.names import ENV_PREFIX, env_of
from llmvc.store.refs import is_ancestor
from llmvc.store.repository import Repository
from llmvc.store.settings import TRACKING


@dataclass(frozen=True, slots=True)
class Behind:
    """An environment of which a remote is known to have more, or something else.

    Attributes:
        bundle: the bundle's name.
        env: the environment's name.
        remote: the remote's name.
        local: our commit; None if we have no such environment yet.
        theirs: the remote's commit.
        diverged: whether we have releases that the remote does not have.
    """

    bundle: str
    env: str
    remote: str
    local: str | None
    theirs: str
    diverged: bool


def behind(
    repo: Repository, bundle: str | None = None, env: str | None = None
) -> tuple[Behind, ...]:
    """Returns the environments whose tracking ref is ahead of ours, sorted.

    Args:
        repo: the repository.
        bundle: look at this bundle only.
        env: look at this environment only.
    """
    late = standing(repo, bundle)[1]
    return tuple(item for item in late if env in (None, item.env))


def standing(
    repo: Repository, bundle: str | None = None
) -> tuple[dict[tuple[str, str], str], tuple[Behind, ...]]:
    """Returns the newest commit of every chain, and those a remote is ahead of, from one listing.

    Args:
        repo: the repository.
        bundle: look at this bundle only.
    """
    refs = repo.backend.refs.under(ENV_PREFIX.rstrip("/"), TRACKING.rstrip("/"))
    heads: dict[tuple[str, str], str] = {}
    found: list[Behind] = []
    for ref, oid in refs.items():
        remote, middle, rest = ref.removeprefix(TRACKING).rpartition("/env/")
        is_copy = ref.startswith(TRACKING) and bool(middle)
        name = env_of(f"{ENV_PREFIX}{rest}" if is_copy else ref)
        if name is None or bundle not in (None, name[0]):
            continue
        if not is_copy:
            heads[name] = oid
            continue
        local = refs.get(f"{ENV_PREFIX}{rest}")
        if local and (local == oid or is_ancestor(repo.git, oid, local)):
            continue
        diverged = local is not None and not is_ancestor(repo.git, local, oid)
        found.append(Behind(*name, remote, local, oid, diverged))
    order = sorted(found, key=lambda item: (item.bundle, item.env, item.remote))
    return dict(sorted(heads.items())), tuple(order)
