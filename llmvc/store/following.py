"""Following a remote: fetching again and again, and never waiting for ever.

- A remote that hangs is given up after a while, with all the children that git started for it.
- As long as the remote lists the same environments nothing is fetched.
"""

import os
import signal
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llmvc.core.names import ENV_PREFIX, env_of
from llmvc.errors import IntegrityError, NotFoundError, StoreError
from llmvc.store import exchange, fetching
from llmvc.store.git import Git, Result, reason
from llmvc.store.refs import is_ancestor
from llmvc.store.repository import Repository
from llmvc.store.settings import TRACKING
from llmvc.store.transport import unreachable


class Follower:
    """A repository that follows a remote: fetches and checks, and never waits for ever.

    Args:
        repo: the repository, which is the follower's alone.
        remote: the remote's name; None for the one that `llmvc fetch` would take.
        answer_s: how long the remote may take to list its environments.
        fetch_s: how long it may take to hand over what is new.

    Raises:
        ConfigError: there is no remote.
        NotFoundError: the remote named is not configured.
    """

    def __init__(
        self,
        repo: Repository,
        remote: str | None = None,
        *,
        answer_s: float = 10.0,
        fetch_s: float = 300.0,
    ) -> None:
        self._repo = repo
        self._ask = _Timed(repo.git.folder, repo.git.env, answer_s)
        repo.git = _Timed(repo.git.folder, repo.git.env, fetch_s)
        self.remote = exchange.transport_to(repo, remote).remote
        self._listed: bytes | None = None

    def follow(self) -> None:
        """Moves the local refs to where the remote's are.

        Raises:
            StoreError: the remote cannot be reached, or did not answer in time.
            IntegrityError: an environment there was rewound, deleted, forked or breaks the rules;
                the others have moved.
        """
        envs = self._repo.settings.env_prefix(self.remote) or ENV_PREFIX
        told = self._ask.call("ls-remote", "--quiet", "--", self.remote, f"{envs}*")
        if told.code:
            raise unreachable("ls-remote", self.remote, told)
        if told.out == self._listed:
            return
        done = fetching.fetch(self._repo, self.remote)
        wrong = [notice.what for notice in done.notices if env_of(notice.ref)]
        wrong += [
            f"{item.bundle}/{item.env} of remote {done.remote} is forked: it has release "
            f"{item.winner.seq} by {item.winner.actor}, this repository another"
            for item in done.diverged
        ]
        if wrong:
            raise IntegrityError("; ".join(wrong), hint=f"llmvc fetch {done.remote} says more")
        self._listed = told.out


@dataclass(frozen=True, slots=True)
class _Timed(Git):
    """Starts `git` for so long at most.

    Attributes:
        limit_s: seconds.
    """

    limit_s: float = 0.0

    def call(
        self,
        *args: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Result:
        """Runs git to its end; see `Git.call`.

        Raises:
            StoreError: it took too long, and was killed.
        """
        try:
            child = subprocess.Popen(
                ["git", *args],
                cwd=folder or self.folder,
                env={**self.env, **(env or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as err:
            raise StoreError(f"git cannot be started: {err.strerror}") from err
        try:
            out, said = child.communicate(stdin, timeout=self.limit_s)
        except subprocess.TimeoutExpired as err:
            raise StoreError(
                f"git did not get an answer within {self.limit_s:g} s",
                hint="try it by hand: git ls-remote",
            ) from err
        finally:
            if child.poll() is None:
                # What git started for it, such as ssh, would hold the pipes open for ever.
                os.killpg(child.pid, signal.SIGKILL)
                child.communicate()
        return Result(child.returncode, out, said)


def may_push(repo: Repository, bundle: str, env: str, *, limit_s: float) -> str | None:
    """Asks a remote, without pushing, whether an environment may be pushed; None if it may.

    Hooks and protections of the server are not asked.

    Returns:
        Why not.

    Raises:
        ConfigError: there is no remote.
        NotFoundError: nothing was released there.
    """
    transport = exchange.transport_to(repo, None)
    ref = repo.chain(bundle, env).ref
    ours = repo.backend.refs.read(ref)
    if ours is None:
        raise NotFoundError(f"{bundle}/{env} has no release to push")
    asks = _Timed(repo.git.folder, repo.git.env, limit_s)
    spec = f"{ours}:{transport.place(ref).theirs}"
    try:
        told = asks.call(
            "push", "--dry-run", "--quiet", "--no-verify", "--", transport.remote, spec
        )
    except StoreError as err:
        return str(err)
    return reason(told.err) if told.code else None


@contextmanager
def patient(repo: Repository, limit_s: float) -> Generator[None]:
    """Lets git processes of a repository take so long at most, for as long as this lasts."""
    usual = repo.git
    repo.git = _Timed(usual.folder, usual.env, limit_s)
    try:
        yield
    finally:
        repo.git = usual


def unpushed(repo: Repository) -> tuple[str, ...]:
    """Returns `bundle/env` of each environment that is ahead of what the remote is known to have.

    Nothing where there is no remote.
    """
    remote = repo.settings.remote()
    if remote is None:
        return ()
    theirs = f"{TRACKING}{remote}/env/"
    refs = repo.backend.refs.under(ENV_PREFIX.rstrip("/"), theirs.rstrip("/"))
    found: list[str] = []
    for ref, oid in refs.items():
        name = env_of(ref)
        known = refs.get(theirs + ref.removeprefix(ENV_PREFIX))
        if name and known != oid and not (known and is_ancestor(repo.git, oid, known)):
            found.append("/".join(name))
    return tuple(sorted(found))
