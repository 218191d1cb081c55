"""Where a remote stands compared with us: no network here.

- `behind` is what `status` and `resolve` show after a plain `git fetch`.
- `drop` gives up releases that lost a race, naming them.
"""

from dataclasses import dataclass

from llmvc.core.names import ENV_PREFIX
from llmvc.core.release import Release
from llmvc.errors import ConfigError, NotFoundError
from llmvc.store.exchange import name_of, transport_to
from llmvc.store.refs import Change, is_ancestor
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
        name = name_of(f"{ENV_PREFIX}{rest}") if ref.startswith(TRACKING) and middle else None
        if name is None or bundle not in (None, name[0]) or env not in (None, name[1]):
            continue
        local = refs.get(f"{ENV_PREFIX}{rest}")
        if local and (local == theirs or is_ancestor(repo.git, theirs, local)):
            continue
        diverged = local is not None and not is_ancestor(repo.git, local, theirs)
        found.append(Behind(*name, remote, local, theirs, diverged))
    return tuple(sorted(found, key=lambda item: (item.bundle, item.env, item.remote)))


def drop(repo: Repository, remote: str | None, bundle: str, env: str) -> tuple[Release, ...]:
    """Resets an environment to what the remote was last seen to have.

    Returns:
        The releases given up, oldest first; git's reflog keeps them for a while.

    Raises:
        NotFoundError: the remote was never seen to have this environment.
        RefMoved: the ref moved meanwhile.
    """
    transport = transport_to(repo, remote)
    chain = repo.chain(bundle, env)
    place = transport.place(chain.ref)
    refs = repo.backend.refs.under(place.local, place.seen)
    local, seen = refs.get(place.local), refs.get(place.seen)
    if seen is None:
        raise NotFoundError(
            f"remote {transport.remote} was never seen to have {bundle}/{env}",
            hint=f"llmvc fetch {transport.remote}",
        )
    if local == seen:
        return ()
    dropped = chain.since(seen, local) if local else ()
    repo.backend.check_writable()
    repo.backend.refs.move((Change(place.local, local, seen),), "llmvc: drop")
    return dropped


def setup_remote(repo: Repository, remote: str | None = None) -> tuple[str, ...]:
    """Makes a plain `git fetch` bring our refs too; returns the refspecs that it added.

    Raises:
        ConfigError: there is no remote, or a branch stands in the way of its `envPrefix`.
        NotFoundError: the remote named is not configured.
    """
    transport = transport_to(repo, remote)
    prefix = repo.settings.env_prefix(transport.remote)
    parts = prefix.rstrip("/").split("/") if prefix else []
    for count in range(3, len(parts) + 1):
        ref = "/".join(parts[:count])
        if repo.backend.refs.read(ref):
            raise ConfigError(
                f"{ref} stands where llmvc.{transport.remote}.envPrefix wants a folder",
                hint=f"rename that branch, or choose another prefix than {prefix}",
            )
    present = repo.settings.all("remote", transport.remote, "fetch")
    added = tuple(spec for spec in transport.refspecs() if spec not in present)
    for spec in added:
        repo.git.run("config", "--add", f"remote.{transport.remote}.fetch", spec)
    repo.forget_settings()
    return added
