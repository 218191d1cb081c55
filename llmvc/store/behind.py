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
    refs = repo.backend.refs.under(ENV_PREFIX.rstrip("/"), TRACKING.rstrip("/"))
    found: list[Behind] = []
    for ref, theirs in refs.items():
        remote, middle, rest = ref.removeprefix(TRACKING).rpartition("/env/")
        name = env_of(f"{ENV_PREFIX}{rest}") if ref.startswith(TRACKING) and middle else None
        if name is None or bundle not in (None, name[0]) or env not in (None, name[1]):
            continue
        local = refs.get(f"{ENV_PREFIX}{rest}")
        if local and (local == theirs or is_ancestor(repo.git, theirs, local)):
            continue
        diverged = local is not None and not is_ancestor(repo.git, local, theirs)
        found.append(Behind(*name, remote, local, theirs, diverged))
    return tuple(sorted(found, key=lambda item: (item.bundle, item.env, item.remote)))
