r"""Names of bundles, environments and versions.

- A name is `[a-z0-9][a-z0-9-]{0,39}`: safe in a ref, a path and a URL on every system.
- A version is named `support`, `support@prod`, `support@prod~1`, `support@prod@{2026-11-20}`,
  `support@b3:4f2a91c0` or `support@git:origin/main`; the bundle may be left out (`@prod`).
"""

import re
from typing import Literal, NamedTuple

from llmvc.core import digest
from llmvc.errors import UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
_ENV = r"(?P<env>[^~@{}]+)(?:~(?P<back>[0-9]{1,9})|@\{(?P<at>[^{}]+)\})?"

STORE_REF = "refs/llmvc/store"
ENV_PREFIX = "refs/llmvc/env/"


def check_name(text: str, what: str) -> str:
    """Returns the text if it is a name, else raises UsageError saying what a name is."""
    if not _NAME.match(text):
        raise UsageError(
            f"{what} {text!r} is not a name",
            hint="use 1 to 40 lower-case letters, digits and hyphens, not starting with a hyphen",
        )
    return text


def is_name(text: object) -> bool:
    """Tells whether the value is a valid name."""
    return isinstance(text, str) and bool(_NAME.match(text))


def env_ref(bundle: str, env: str) -> str:
    """Returns the ref of one bundle's environment."""
    check_name(bundle, "bundle")
    check_name(env, "environment")
    return f"{ENV_PREFIX}{bundle}/{env}"


def env_of(ref: str) -> tuple[str, str] | None:
    """Returns bundle and environment of an environment's ref; None for any other ref."""
    bundle, slash, env = ref.removeprefix(ENV_PREFIX).partition("/")
    if not ref.startswith(ENV_PREFIX) or not slash or not (is_name(bundle) and is_name(env)):
        return None
    return bundle, env


def placed(text: str) -> str:
    """Returns `BUNDLE@ENV` for `BUNDLE/ENV`, which output prints; else the text."""
    bundle, slash, env = text.partition("/")
    return f"{bundle}@{env}" if slash and is_name(bundle) and is_name(env) else text


class Revision(NamedTuple):
    """A version as a person names it.

    Attributes:
        bundle: the bundle's name; None if it was left out.
        kind: which of the fields below counts.
        env: environment name, for `env`.
        back: how many releases before the newest, for `env`.
        at: a date or time, for `env`; empty if none was given.
        value: digest prefix for `digest`, Git revision for `git`.
    """

    bundle: str | None
    kind: Literal["worktree", "env", "digest", "git"] = "worktree"
    env: str = ""
    back: int = 0
    at: str = ""
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> "Revision":
        """Reads a revision.

        Raises:
            UsageError: the text follows none of the six spellings.
        """
        if placed(text) != text:
            raise UsageError(f"{text!r} names no version", hint=f"write {placed(text)}")
        head, at, rest = text.partition("@")
        bundle = check_name(head, "bundle") if head else None
        if not at:
            return cls(bundle)
        if rest.startswith("git:") and len(rest) > 4:
            return cls(bundle, "git", value=rest[4:])
        if rest.startswith("b3:"):
            if not digest.is_prefix(rest):
                raise UsageError(
                    f"{rest!r} is too short or not hex", hint="write b3: and 8 to 64 hex characters"
                )
            return cls(bundle, "digest", value=rest)
        found = re.fullmatch(_ENV, rest)
        if not found:
            raise UsageError(
                f"{text!r} names no version",
                hint="write support, support@prod, support@prod~1, support@b3:4f2a91c0 "
                "or support@git:HEAD",
            )
        env = check_name(found["env"], "environment")
        return cls(bundle, "env", env=env, back=int(found["back"] or 0), at=found["at"] or "")
