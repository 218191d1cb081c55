"""What a repository gives to those that serve: its environments' newest releases and their objects.

- `GitSource` has the shape of `runtime.sources.Source`, which opens it by name: the layers do not
  know each other.
- An environment is read again only when its ref has moved, all its records in one question.
- Records must name each other by `previous`; of a chain only the last `WINDOW` are looked at.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from llmvc.core import digest
from llmvc.core import pointer as pointers
from llmvc.core.bundle import Bundle
from llmvc.core.digest import Digest
from llmvc.core.names import ENV_PREFIX, env_of
from llmvc.core.pointer import WINDOW, Key
from llmvc.core.release import Release
from llmvc.errors import FormatError, IntegrityError, NotFoundError
from llmvc.store.chain import RECORD
from llmvc.store.reader import Object
from llmvc.store.repository import Repository


class _Line(NamedTuple):
    """One environment, as far as a snapshot tells of it.

    Attributes:
        seq: number of the newest release.
        release: digest of its record.
        served: what a pin may name: digests served lately and not revoked.
        places: object's hex -> where Git has it.
    """

    seq: int
    release: Digest
    served: frozenset[Digest]
    places: Mapping[str, str]


class GitSource:
    """A snapshot of a local or bare repository, as it stands whenever it is asked for.

    Args:
        place: the repository, or a folder in it.
        bundles: tell of these only; of all by default.
        envs: tell of these environments only; of all by default.
    """

    def __init__(
        self,
        place: str | Path | Repository,
        *,
        bundles: Collection[str] = (),
        envs: Collection[str] = (),
    ) -> None:
        self._repo = place if isinstance(place, Repository) else Repository.open(Path(place))
        self._path = self._repo.root or self._repo.git_dir
        self._bundles, self._envs = frozenset(bundles), frozenset(envs)
        self._process = os.getpid()
        self._lines: dict[Key, tuple[str, _Line]] = {}
        self._places: dict[str, str] = {}
        self._needs: dict[Digest, tuple[str, tuple[Digest, ...]]] = {}

    @property
    def repo(self) -> Repository:
        """The repository; after a fork one of this process's own, as children are not shared."""
        if self._process != os.getpid():
            self._repo, self._process = Repository.open(self._path), os.getpid()
        return self._repo

    def close(self) -> None:
        """Ends the children."""
        self.repo.close()

    def checked(self) -> float | None:
        """Returns None: a repository is looked at itself, not at a copy of it."""
        return None

    def pointer(self, seen: str | None) -> tuple[bytes, str] | None:
        """Returns what `now` does; None if its tag is `seen`."""
        found = self.now()
        return None if found[1] == seen else found

    def now(self) -> tuple[bytes, str]:
        """Returns the bytes of `snapshot.json` and their BLAKE3 in hex.

        Raises:
            IntegrityError: an environment's records do not follow each other, or lack something.
            StoreError: git cannot read the repository.
        """
        refs = self.repo.backend.refs.under(ENV_PREFIX.rstrip("/"))
        lines: dict[Key, tuple[str, _Line]] = {}
        for ref, oid in refs.items():
            name = env_of(ref)
            if name is None or not self._wanted(*name):
                continue
            known = self._lines.get(name)
            lines[name] = known if known and known[0] == oid else (oid, self._read(oid, *name))
        if lines != self._lines:
            self._lines, self._places = lines, {}
            for _, line in lines.values():
                self._places.update(line.places)
        served: dict[str, frozenset[Digest]] = {}
        for (bundle, _), (_, line) in lines.items():
            served[bundle] = served.get(bundle, frozenset()) | line.served
        tips = {name: (line.seq, line.release) for name, (_, line) in lines.items()}
        data = pointers.write(tips, served)
        return data, digest.hex_of(digest.of_bytes(data))

    def object(self, name: str) -> bytes:
        """Returns an object that the last pointer leads to.

        Args:
            name: 64 hex characters.

        Raises:
            NotFoundError: the pointer does not lead to it.
            IntegrityError: Git has lost it.
        """
        place = self._places.get(name)
        if place is None:
            raise NotFoundError(f"no environment's snapshot holds object b3:{name[:12]}")
        return self._there(self.repo.backend.reader.get(place), place)

    def _wanted(self, bundle: str, env: str) -> bool:
        return (not self._bundles or bundle in self._bundles) and (
            not self._envs or env in self._envs
        )

    def _read(self, oid: str, bundle: str, env: str) -> _Line:
        """Reads one environment up to a commit."""
        places: dict[str, str] = {}
        served: dict[Digest, str] = {}
        revoked: Collection[Digest] = ()
        newest, wanted = None, None
        commits = [f"{oid}~{back}" for back in range(WINDOW)]
        found = self.repo.backend.reader.many(f"{commit}:{RECORD}" for commit in commits)
        for commit, item in zip(commits, found, strict=True):
            if item is None:
                break  # before the first release, or before where a shallow fetch has cut
            held = digest.of_bytes(item.data)
            release = Release.from_bytes(item.data)
            if (release.bundle, release.env) != (bundle, env) or wanted not in (None, held):
                raise IntegrityError(f"{bundle}/{env} release {release.seq} is not of its chain")
            if newest is None:
                newest, revoked = (release.seq, held), set(release.revoked)
            places[digest.hex_of(held)] = f"{commit}:{RECORD}"
            if release.to not in revoked and release.to not in served:
                served[release.to] = commit
            wanted = release.previous
            if wanted is None:
                break
        if newest is None:
            raise IntegrityError(f"{bundle}/{env}: commit {oid} holds no {RECORD}")
        self._learn({one: f"{commit}:bundle.json" for one, commit in served.items()})
        for one, commit in served.items():
            places |= self._bundle(one, commit)
        return _Line(*newest, frozenset(served), places)

    def _bundle(self, wanted: Digest, commit: str) -> dict[str, str]:
        """Returns where a release's commit holds its bundle and all that this needs."""
        places = {digest.hex_of(wanted): f"{commit}:bundle.json"}
        rest = [wanted]
        while rest:
            kind, needs = self._needs[rest.pop()]
            beside = {one: f"{commit}:o/{digest.hex_of(one)}" for one in needs}
            places |= {digest.hex_of(one): place for one, place in beside.items()}
            if kind == "set":
                self._learn(beside)
                rest += beside
        return places

    def _learn(self, bundles: Mapping[Digest, str]) -> None:
        """Reads the bundles that were never read, in one question, and notes what they need."""
        fresh = {one: place for one, place in bundles.items() if one not in self._needs}
        found = self.repo.backend.reader.many(fresh.values())
        for (wanted, place), item in zip(fresh.items(), found, strict=True):
            data = self._there(item, place)
            if digest.of_bytes(data) != wanted:
                raise IntegrityError(f"{place} is not {wanted}, as its record says")
            try:
                bundle = Bundle.from_bytes(data)
                self._needs[wanted] = (bundle.kind, bundle.asset_digests())
            except FormatError as err:
                raise IntegrityError(f"{place}: {err}") from err

    def _there(self, item: Object | None, place: str) -> bytes:
        if item is None or item.kind != "blob":
            raise IntegrityError(f"{place} is not in {self._path}", hint="run llmvc fsck")
        return item.data
