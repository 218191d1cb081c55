"""What Git's configuration says about remotes and about llmvc."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from llmvc.errors import ConfigError, NotFoundError
from llmvc.store.git import Git

TRACKING: Final = "refs/llmvc-remote/"
SEEN: Final = "refs/llmvc-seen/"
_KEY = re.compile(
    r"(?P<section>llmvc|remote|filter)(?:\.(?P<name>.*))?\.(?P<variable>[^.]+)\Z", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Values by section, name and variable.

    Attributes:
        values: (section, name, lower-case variable) -> values, the last of which wins.
    """

    values: Mapping[tuple[str, str, str], tuple[str, ...]]

    @classmethod
    def load(cls, git: Git) -> "Settings":
        """Reads the configuration, all its files and `-c` options together."""
        result = git.call("config", "--null", "--get-regexp", r"^(llmvc|remote|filter)\.")
        values: dict[tuple[str, str, str], tuple[str, ...]] = {}
        for item in result.out.decode("utf-8", "surrogateescape").split("\0"):
            key, _, value = item.partition("\n")
            found = _KEY.match(key)
            if found:
                place = (found["section"], found["name"] or "", found["variable"])
                values[place] = (*values.get(place, ()), value)
        return cls(values)

    def all(self, section: str, name: str, variable: str) -> tuple[str, ...]:
        """Returns every value of one variable."""
        return self.values.get((section, name, variable.lower()), ())

    @property
    def has_filters(self) -> bool:
        """Whether any filter driver is configured, such as that of LFS."""
        return any(section == "filter" for section, _, _ in self.values)

    def remotes(self) -> tuple[str, ...]:
        """Returns the names of the remotes that have a URL, sorted."""
        names = {
            name
            for section, name, variable in self.values
            if variable == "url" and name and section == "remote"
        }
        return tuple(sorted(names))

    def remote(self, name: str | None = None) -> str | None:
        """Returns the remote to use: the one named, else `llmvc.remote`, the only one, or origin.

        Raises:
            NotFoundError: the remote named is not configured.
        """
        known = self.remotes()
        chosen = name or next(reversed(self.all("llmvc", "", "remote")), None)
        if chosen is None:
            only = known[0] if len(known) == 1 else "origin"
            return only if only in known else None
        if chosen not in known:
            listed = ", ".join(known) or "none"
            raise NotFoundError(
                f"there is no remote {chosen!r}", hint=f"remotes here: {listed}; see git remote -v"
            )
        return chosen

    def env_prefix(self, remote: str) -> str | None:
        """Returns where a remote keeps environments, if not under `refs/llmvc/env/`.

        Raises:
            ConfigError: `llmvc.<remote>.envPrefix` is no folder of refs.
        """
        prefix = next(reversed(self.all("llmvc", remote, "envPrefix")), None)
        if not prefix:
            return None
        prefix = prefix.rstrip("/") + "/"
        if not re.match(r"refs/[A-Za-z0-9][A-Za-z0-9._/-]*/\Z", prefix) or ".." in prefix:
            raise ConfigError(
                f"llmvc.{remote}.envPrefix is {prefix!r}, which is no folder of refs",
                hint=f"for example: git config llmvc.{remote}.envPrefix refs/heads/llmvc/env",
            )
        return prefix

    def fetch_mirror(self) -> str | None:
        """Returns the remote whose fetch overwrites all refs here; None if there is none."""
        for (section, name, variable), values in self.values.items():
            if (section, variable) == ("remote", "fetch") and "+refs/*:refs/*" in values:
                return name
        return None
