"""The workspace: one repository, its configuration and the person at work, read when asked for.

- Opening it reads nothing; each part is read once, when a verb needs it, so that a rollback never
  pays for YAML and never fails on a broken config file.
- Clock, environment and what tells the person at work something are handed in.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from llmvc.core.digest import Digest
from llmvc.core.policy import Policy
from llmvc.core.times import rfc3339
from llmvc.errors import ConfigError, LlmvcError, NotFoundError, UsageError
from llmvc.store.refs import is_ancestor
from llmvc.store.repository import Repository

if TYPE_CHECKING:
    from llmvc.app.revisions import Resolved
    from llmvc.files.config import Config
    from llmvc.files.manifest import Manifest
    from llmvc.files.suite import LoadedSuite
    from llmvc.files.tree import Files


def utc_now() -> datetime:
    """Returns the time; the one place that asks the system for it."""
    return datetime.now(UTC)  # noqa: TID251 (the one clock)


@dataclass
class Workspace:
    """Where a verb works.

    Attributes:
        repo: the Git repository.
        now: the clock.
        environ: environment variables, for keys and LLMVC_ACTOR.
        named_actor: who is at work, if the command line says so.
        tell: says something to who is at work, before it takes a while.
        judges: the judges that suites have named so far, as they were resolved.
    """

    repo: Repository
    now: Callable[[], datetime] = utc_now
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    named_actor: str | None = None
    tell: Callable[[str], None] = lambda _: None
    judges: dict[Digest, "Resolved"] = field(default_factory=dict[Digest, "Resolved"])

    @classmethod
    def open(
        cls,
        start: Path | None = None,
        *,
        actor: str | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> "Workspace":
        """Opens the repository around a folder; the current one by default.

        Raises:
            ConfigError: there is none, or the current folder was removed.
        """
        try:
            return cls(Repository.open(start), named_actor=actor, tell=tell)
        except FileNotFoundError as err:
            raise ConfigError("the current folder is gone", hint="cd to one that is there") from err

    @cached_property
    def actor(self) -> str:
        """Who is at work: the flag, LLMVC_ACTOR, or Git's identity."""
        return self.named_actor or self.environ.get("LLMVC_ACTOR") or self.repo.identity()

    @property
    def time(self) -> str:
        """Now, as RFC 3339 in UTC."""
        return rfc3339(self.now(), "seconds")

    @cached_property
    def files(self) -> "Files":
        """The working tree; in a bare repository the files of HEAD."""
        if self.repo.root is None:
            return self.repo.files_at("HEAD")
        from llmvc.files.tree import WorkTree  # noqa: PLC0415 (rollback never reads files)

        return WorkTree(self.repo.root)

    @property
    def root(self) -> Path:
        """The top of the working tree.

        Raises:
            ConfigError: the repository is bare.
        """
        if self.repo.root is None:
            raise ConfigError(
                f"{self.repo.git_dir} is a bare repository, this needs a working tree",
                hint="run it in a clone",
            )
        return self.repo.root

    def is_clean(self) -> bool:
        """Tells whether the working tree holds exactly what HEAD does, ignored files apart."""
        return not self.repo.git.run("status", "--porcelain").strip()

    def is_on(self, commit: str, branch: str) -> bool:
        """Tells whether a commit is on a branch."""
        return is_ancestor(self.repo.git, commit, branch)

    @cached_property
    def config(self) -> "Config":
        """The repository's configuration."""
        from llmvc.files.config import load_config  # noqa: PLC0415

        return load_config(self.files)

    @cached_property
    def manifests(self) -> Mapping[str, str]:
        """Manifest paths by bundle name."""
        from llmvc.files.building import find_manifests  # noqa: PLC0415

        return find_manifests(self.files, self.config)

    def manifest_of(
        self, bundle: str, *, files: "Files | None" = None, within: tuple[str, ...] = ()
    ) -> "Manifest":
        """Reads one bundle's manifest; members of a set are read from the same place.

        Args:
            bundle: the bundle's name.
            files: where to read from; the working tree by default.
            within: the sets that led here, the outermost first.

        Raises:
            NotFoundError: there is no such bundle.
            ConfigError: a set contains itself.
        """
        from llmvc.files.building import find_manifests, load_manifest  # noqa: PLC0415
        from llmvc.files.config import load_config  # noqa: PLC0415

        source = files or self.files
        paths = find_manifests(source, load_config(source)) if files else self.manifests
        if bundle not in paths:
            place = f" in {source.label}" if source.label else ""
            raise self._unknown_bundle(bundle, paths, place)
        if bundle in within:
            cycle = " > ".join((*within[within.index(bundle) :], bundle))
            raise ConfigError(
                f"{paths[bundle]}: set {bundle} contains itself: {cycle}",
                hint="take one of them out of members",
            )

        def member(name: str) -> Digest:
            return self.manifest_of(name, files=files, within=(*within, bundle)).bundle.digest

        return load_manifest(source, paths[bundle], members=member)

    def bundle_name(self, given: str | None) -> str:
        """Returns the bundle that a command is about; the only one if none was named."""
        if given is not None:
            return given
        known = sorted(self.manifests)
        if len(known) == 1:
            return known[0]
        if not known:
            raise NotFoundError("no bundle manifest was found", hint="make one: llmvc new NAME")
        raise UsageError("which bundle?", hint=f"name one of {', '.join(known)}")

    def released_bundle(self, given: str | None) -> str:
        """Returns the bundle that a released environment is about, without reading any file."""
        if given is not None:
            return given
        known = sorted({bundle for bundle, _ in self.repo.environments()})
        if len(known) == 1:
            return known[0]
        return self.bundle_name(None)

    def policy(self, env: str) -> Policy:
        """Returns the rules of an environment.

        Raises:
            NotFoundError: the configuration has no such environment.
        """
        if env not in self.config.environments:
            known = ", ".join(sorted(self.config.environments)) or "none"
            raise NotFoundError(
                f"environment {env!r} is not in .llmvc/config.yaml",
                hint=f"known: {known}; add it under environments",
            )
        return self.config.environments[env]

    def suite_of(
        self, bundle: str, path: str | None, *, files: "Files | None" = None
    ) -> "LoadedSuite":
        """Reads the suite that measures a bundle.

        Args:
            bundle: the bundle's name.
            path: the suite file; None if the configuration finds exactly one for the bundle.
            files: where to read from; the working tree by default.
        """
        from llmvc.app.judges import resolver  # noqa: PLC0415 (it reads revisions by a workspace)
        from llmvc.files.config import load_config  # noqa: PLC0415
        from llmvc.files.suite import find_suites, load_suite  # noqa: PLC0415

        source = files or self.files
        judge = resolver(self, files)
        if path is not None:
            return load_suite(source, self._inside(path), resolve_judge=judge)
        config = load_config(source) if files else self.config
        found = find_suites(source, config).get(bundle, [])
        if not found:
            raise NotFoundError(
                f"no suite measures {bundle}",
                hint=f"write evals/{bundle}/suite.yaml with `bundle: {bundle}`, "
                "or name one with --suite",
            )
        if len(found) > 1:
            raise UsageError(
                f"{bundle} has {len(found)} suites", hint=f"--suite {found[0]}, for one"
            )
        return load_suite(source, found[0], resolve_judge=judge)

    def _inside(self, path: str) -> str:
        """Returns a path that the user typed, relative to the repository's root."""
        try:
            return (Path.cwd() / path).resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError as err:
            raise UsageError(
                f"{path} lies outside the repository", hint="name a file inside it"
            ) from err

    @staticmethod
    def _unknown_bundle(bundle: str, known: Mapping[str, str], place: str) -> LlmvcError:
        listed = ", ".join(sorted(known))
        return NotFoundError(
            f"no bundle named {bundle!r}{place}",
            hint=f"known: {listed}" if listed else f"make one: llmvc new {bundle}",
        )
