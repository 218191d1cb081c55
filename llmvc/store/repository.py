"""The repository as the rest of llmvc sees it: one object, opened once, closed at the end.

- Opening costs one `git` process; everything else starts when it is first needed.
- Refs, store and chains live in the common Git folder; the notes of a worktree in its own.
"""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from llmvc.core.digest import Digest
from llmvc.core.names import ENV_PREFIX, env_of
from llmvc.core.version import Source
from llmvc.errors import ConfigError
from llmvc.store import last, source
from llmvc.store.backend import Backend
from llmvc.store.chain import EnvChain
from llmvc.store.git import Git, environment, trouble
from llmvc.store.last import LastSeen
from llmvc.store.reader import Reader
from llmvc.store.refs import Refs, is_ancestor
from llmvc.store.retry import Retry
from llmvc.store.settings import Settings
from llmvc.store.source import CommitFiles
from llmvc.store.trees import Trees
from llmvc.store.versions import VersionStore


class _Place(NamedTuple):
    """Where git says the repository is."""

    root: Path | None
    git_dir: Path
    common_dir: Path
    object_dir: Path
    object_format: str


class Repository:
    """One Git repository; a context manager that ends its children.

    Attributes:
        git: runs git in it.
        root: top of the working tree; None in a bare repository.
        git_dir: this worktree's own Git folder.
        common_dir: the Git folder that all worktrees share.
        backend: what the rooms of the store share.
        versions: the grow-only store.
    """

    def __init__(self, git: Git, place: _Place, *, retry: Retry) -> None:
        self.git = git
        self.root = place.root
        self.git_dir = place.git_dir
        self.common_dir = place.common_dir
        id_bytes = 32 if place.object_format == "sha256" else 20
        reader = Reader(git)
        self.backend = Backend(
            git=git,
            reader=reader,
            trees=Trees(reader, id_bytes),
            refs=Refs(git, place.common_dir, id_bytes=id_bytes, retry=retry),
            retry=retry,
            object_format=place.object_format,
            common_dir=place.common_dir,
            object_dir=place.object_dir,
            check_writable=self._check_writable,
            has_filters=lambda: self.settings.has_filters,
        )
        self.versions = VersionStore(self.backend)

    @classmethod
    def open(
        cls,
        start: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        retry: Retry | None = None,
    ) -> Self:
        """Finds the repository that a folder is in, as git itself would.

        Args:
            start: the folder; by default the current one.
            environ: variables; by default this process's. `GIT_DIR` and its kin are respected.
            retry: how long to wait for locks that others hold.

        Raises:
            ConfigError: there is no repository, no git, or git does not trust the repository.
        """
        here = Path.cwd() if start is None else Path(start).absolute()
        variables = environment(os.environ if environ is None else environ, Path.cwd())
        place = _find(Git(here, variables))
        git = Git(place.root or place.git_dir, variables)
        return cls(git, place, retry=retry or Retry())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the children; using the repository again starts new ones."""
        self.backend.reader.close()

    @cached_property
    def settings(self) -> Settings:
        """Git's configuration of remotes and of llmvc."""
        return Settings.load(self.git)

    def forget_settings(self) -> None:
        """Reads Git's configuration anew when it is next needed."""
        self.__dict__.pop("settings", None)

    def source(self, paths: Sequence[str] = ()) -> Source:
        """Returns HEAD, and whether one of these files differs from it, line endings apart."""
        return source.source(self.backend, self.root, paths)

    def identity(self) -> str:
        """Returns `Name <email>` as git would write it, or user@host where git knows no name."""
        result = self.git.call("var", "GIT_AUTHOR_IDENT")
        text = result.out.decode("utf-8", "replace").strip()
        if result.code == 0 and ">" in text:
            return text[: text.rindex(">") + 1]
        user = self.git.env.get("USER") or self.git.env.get("LOGNAME") or f"uid{os.getuid()}"
        return f"{user}@{os.uname().nodename}"

    def commit_at(self, rev: str) -> str | None:
        """Returns the commit that a revision names; None if there is none."""
        return source.head(self.backend, rev)

    def files_at(self, rev: str) -> CommitFiles:
        """Returns the files of a revision.

        Raises:
            NotFoundError: there is no such commit.
        """
        return source.files_at(self.backend, rev)

    def tree_id(self, rev: str, folder: str) -> str | None:
        """Returns the id of a folder's tree at a revision; None if it has none."""
        return self.files_at(rev).tree_id(folder)

    def pushed_base(self, local: str, theirs: str | None, remote: str) -> str | None:
        """Returns the commit that a push is to be compared with; None if there is none."""
        return source.pushed_base(self.backend, local, theirs, remote)

    def chain(self, bundle: str, env: str) -> EnvChain:
        """Returns the releases of one environment."""
        return EnvChain(self.backend, bundle, env)

    def environments(self, bundle: str | None = None) -> tuple[tuple[str, str], ...]:
        """Returns bundle and environment of every chain, sorted."""
        return tuple(self.heads(bundle))

    def heads(self, bundle: str | None = None) -> dict[tuple[str, str], str]:
        """Returns the newest commit of every chain by bundle and environment, sorted."""
        refs = self.backend.refs.under(f"{ENV_PREFIX}{bundle or ''}".rstrip("/"))
        return dict(sorted((name, oid) for ref, oid in refs.items() if (name := env_of(ref))))

    def last(self, bundle: str) -> LastSeen | None:
        """Returns this worktree's last commit or checkout of a bundle, if it still counts."""
        seen = last.read(self.git_dir, bundle)
        if seen is None or seen.head is None:
            return seen
        now = self.commit_at("HEAD")
        known = now is not None and self.backend.reader.info(seen.head) is not None
        return seen if known and now and is_ancestor(self.git, seen.head, now) else None

    def remember(self, bundle: str, version: Digest) -> None:
        """Notes a commit or checkout of a bundle in this worktree.

        Raises:
            StoreError: the disk refused.
        """
        last.write(self.git_dir, bundle, LastSeen(version, self.commit_at("HEAD")))

    def merge_heads(self) -> tuple[str, ...]:
        """Returns the commits that a merge under way brings in."""
        try:
            text = (self.git_dir / "MERGE_HEAD").read_text()
        except OSError:
            return ()
        return tuple(text.split())

    def parents_for(
        self,
        bundle: str,
        head_bundle: Digest | None,
        merge_bundles: Sequence[Digest] = (),
    ) -> tuple[Digest, ...]:
        """Returns the parents of a bundle's next version, sorted; see formats.md.

        Args:
            bundle: the bundle's name.
            head_bundle: digest of the bundle as HEAD has it; None if HEAD has none.
            merge_bundles: the same for each of `merge_heads`.
        """
        history = self.versions.history(bundle)
        by_bundle = {version.bundle: version for version in history}  # the newest one stays
        seen = self.last(bundle)
        parents = {by_bundle[found].digest for found in merge_bundles if found in by_bundle}
        if seen and any(version.digest == seen.version for version in history):
            parents.add(seen.version)
        elif head_bundle is not None and head_bundle in by_bundle:
            parents.add(by_bundle[head_bundle].digest)
        return tuple(sorted(parents))

    def _check_writable(self) -> None:
        name = self.settings.fetch_mirror()
        if name is not None:
            raise ConfigError(
                f"this repository mirrors remote {name}: its next fetch would delete what "
                "llmvc writes",
                hint="work in an ordinary clone (git clone without --mirror)",
            )


def _find(git: Git) -> _Place:
    """Asks git where the repository is."""
    result = git.call(
        "rev-parse",
        "--path-format=absolute",
        "--git-dir",
        "--git-common-dir",
        "--git-path",
        "objects",
        "--show-object-format",
        "--show-toplevel",
    )
    lines = result.out.decode("utf-8", "surrogateescape").splitlines()
    # Without a working tree git answers all but the last question, and then fails.
    if len(lines) not in (4, 5) or (result.code and len(lines) != 4):
        raise trouble("git rev-parse", result)
    git_dir, common, objects, object_format = lines[:4]
    return _Place(
        root=Path(lines[4]) if len(lines) == 5 else None,
        git_dir=Path(git_dir),
        common_dir=Path(common),
        object_dir=Path(objects),
        object_format=object_format,
    )
