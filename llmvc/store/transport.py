"""`git fetch` and `git push` for llmvc's refs: what goes where, and what git reports.

- Fetched refs land under `refs/llmvc-remote/<remote>/`, where no push wildcard reaches them.
- Nothing is ever forced; tags, submodules and the user's pre-push hook stay out of it.
- After a push that failed the remote is read again: if it has our commit, the push succeeded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from llmvc.core.names import ENV_PREFIX, STORE_REF
from llmvc.errors import StoreError
from llmvc.store.durable import SYNCED
from llmvc.store.git import Git, Result, reason, trouble
from llmvc.store.retry import Retry
from llmvc.store.settings import SEEN, TRACKING, Settings

OURS: Final = "refs/llmvc/"
_WORDS: Final = 200
"""How many characters of what a remote's hooks say are passed on."""
_FETCH: Final = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-prune-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-filter",
    "--recurse-submodules=no",
    "--refmap=",
)
_PUSH: Final = (
    "push",
    "--porcelain",
    "--no-verify",
    "--no-follow-tags",
    "--recurse-submodules=no",
)


@dataclass(frozen=True, slots=True)
class Place:
    """One of our refs in the four places where it can stand."""

    local: str
    theirs: str
    tracking: str
    seen: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """What git says of one pushed ref.

    Attributes:
        ok: whether the remote has it now.
        before: what the remote had, abbreviated; "" if nothing, None if git does not say.
        said: why it was refused.
        words: what the remote's hooks said of the whole push, in one line.
    """

    ok: bool
    before: str | None
    said: str
    words: str = ""

    @property
    def why(self) -> str:
        """Why it was refused, in git's words and the remote's."""
        return f"{self.said}: {self.words}" if self.words else self.said


class Transport:
    """Talks to one remote."""

    def __init__(self, git: Git, settings: Settings, remote: str, retry: Retry) -> None:
        self._git = git
        self._retry = retry
        self.remote = remote
        self._env_prefix = settings.env_prefix(remote)

    def place(self, ref: str) -> Place:
        """Returns where a local ref stands on the remote, and our copies of that."""
        rest = ref.removeprefix(OURS)
        theirs = ref
        if self._env_prefix and ref.startswith(ENV_PREFIX):
            theirs = self._env_prefix + ref.removeprefix(ENV_PREFIX)
        return Place(
            local=ref,
            theirs=theirs,
            tracking=f"{TRACKING}{self.remote}/{rest}",
            seen=f"{SEEN}{self.remote}/{rest}",
        )

    def refspecs(self) -> tuple[str, ...]:
        """Returns what the configuration needs, for a plain `git fetch` to bring our refs."""
        tracking = f"{TRACKING}{self.remote}/"
        everything = f"+{OURS}*:{tracking}*"
        if not self._env_prefix:
            return (everything,)
        # Without the exclusion git refuses two sources for one destination.
        return (everything, f"^{ENV_PREFIX}*", f"+{self._env_prefix}*:{tracking}env/*")

    def fetch(self) -> None:
        """Makes the tracking refs what the remote has; those it lacks are deleted.

        Raises:
            StoreError: the remote cannot be reached or git refused.
        """
        # Not `refspecs`: git prunes nothing that an exclusion might mean. The star behind the
        # store's name makes a remote without one no error.
        store, tracking = STORE_REF.removeprefix(OURS), f"{TRACKING}{self.remote}/"
        envs = self._env_prefix or ENV_PREFIX
        specs = (f"+{OURS}{store}*:{tracking}{store}*", f"+{envs}*:{tracking}env/*")
        result = self._fetch("--prune", specs)
        if result.code:
            raise unreachable("fetch", self.remote, result)

    def fetch_one(self, ref: str) -> bool:
        """Updates one tracking ref; returns False if the remote does not have the ref.

        Raises:
            StoreError: the remote cannot be reached or git refused.
        """
        place = self.place(ref)
        result = self._fetch("--no-prune", (f"+{place.theirs}:{place.tracking}",))
        if result.code and "couldn't find remote ref" in reason(result.err):
            return False
        if result.code:
            raise unreachable("fetch", self.remote, result)
        return True

    def push(self, refs: Mapping[str, str]) -> dict[str, Pushed]:
        """Pushes commits to refs, each by itself, never forced; returns what became of each.

        Args:
            refs: local name of the ref -> the commit that it is to have on the remote.

        Raises:
            StoreError: the remote cannot be reached.
        """
        places = {self.place(ref).theirs: ref for ref in refs}
        specs = [f"{refs[ref]}:{theirs}" for theirs, ref in places.items()]
        result = self._git.call(*_PUSH, "--", self.remote, *specs)
        lines = result.err.decode("utf-8", "replace").splitlines()
        told = (
            line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")
        )
        words = " ".join(filter(None, told))[:_WORDS]
        found: dict[str, Pushed] = {}
        for line in result.out.decode("utf-8", "replace").splitlines():
            fields = line.split("\t")
            if len(fields) == 3 and ":" in fields[1]:
                theirs = fields[1].split(":", 1)[1]
                if theirs in places:
                    found[places[theirs]] = _pushed(fields[0], fields[2], words)
        if result.code and not found:
            raise unreachable("push", self.remote, result)
        return found

    def _fetch(self, prune: str, specs: Sequence[str]) -> Result:
        result = Result(0, b"", b"")
        for _ in self._retry.rounds():
            result = self._git.call(*SYNCED, *_FETCH, prune, "--", self.remote, *specs)
            if not result.code or "cannot lock ref" not in reason(result.err):
                break
        return result


def unreachable(verb: str, remote: str, result: Result) -> StoreError:
    """Returns the error for a remote that did not answer as it should."""
    said = trouble(f"git {verb} of remote {remote}", result)
    return StoreError(str(said), hint=f"try it by hand: git ls-remote {remote} '{STORE_REF}'")


def _pushed(flag: str, summary: str, words: str) -> Pushed:
    before: str | None = None
    if flag == "*":
        before = ""
    elif flag in (" ", "+") and ".." in summary:
        before = summary.split("..", 1)[0]
    refused = flag == "!"
    return Pushed(not refused, before, summary if refused else "", words if refused else "")
