"""Our copies of a remote's refs: setting them up, and giving up what lost a race to them."""

from llmvc.core.release import Release
from llmvc.errors import ConfigError, NotFoundError
from llmvc.store.exchange import transport_to
from llmvc.store.refs import Change
from llmvc.store.repository import Repository


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
