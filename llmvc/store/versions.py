"""The grow-only store, `refs/llmvc/store`: objects by digest, what is said about them, versions.

- `FORMAT` never changes; `o/` holds objects, `a/` the same blobs under what they are about, `v/`
  version records by bundle name. Every path derives from content, so that a union of two stores
  cannot conflict; one path with two values is corruption.
- The root commit and every union are the same bytes in all clones.
- Whatever is read is hashed and must be what its path says.
"""

import heapq
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.names import STORE_REF, check_name, is_name
from llmvc.core.version import TYPE as VERSION
from llmvc.core.version import Version, keys_of
from llmvc.errors import FormatError, IntegrityError, RefMoved
from llmvc.store.backend import Backend
from llmvc.store.objects import NOBODY, Stamp, message
from llmvc.store.refs import Change
from llmvc.store.trees import Trees

if TYPE_CHECKING:
    from llmvc.store.packs import Pack

FORMAT_PATH: Final = "FORMAT"
FORMAT: Final = b'{"llmvc":"store/1"}'


def object_path(of: Digest) -> str:
    """Returns where an object lies."""
    name = digest.hex_of(of)
    return f"o/{name[:2]}/{name[2:4]}/{name[4:]}"


def about_folder(key: Digest) -> str:
    """Returns where the blobs that are about a key lie, each under its own digest."""
    name = digest.hex_of(key)
    return f"a/{name[:2]}/{name[2:4]}/{name[4:]}"


def version_path(bundle: str, of: Digest) -> str:
    """Returns where a version record lies."""
    name = digest.hex_of(of)
    return f"v/{check_name(bundle, 'bundle')}/{name[:2]}/{name[2:]}"


def digest_at(path: str) -> Digest | None:
    """Returns the digest that the blob at a path must have.

    Raises:
        IntegrityError: the store has no such path.
    """
    if path == FORMAT_PATH:
        return None
    kind, *parts = path.split("/")
    lengths = [len(part) for part in parts]
    name = ""
    if (kind, lengths) == ("o", [2, 2, 60]):
        name = "".join(parts)
    elif (kind, lengths) == ("a", [2, 2, 60, 64]):
        name = parts[3]
    elif (kind, lengths[1:]) == ("v", [2, 62]) and is_name(parts[0]):
        name = parts[1] + parts[2]
    try:
        return digest.parse(f"b3:{name}")
    except FormatError as err:
        raise IntegrityError(f"the store holds {path}, which is no path of this format") from err


def misfiled(path: str, data: bytes) -> str | None:
    """Returns why a file does not belong where the store has it; None if it does.

    Only `a/` and `v/` are looked at; `digest_at` says what an object's own path must be.
    """
    kind, *folders = path.split("/")
    if kind not in ("a", "v"):
        return None
    try:
        body = canon.decode(data)
        if not isinstance(body, dict):
            return None if kind == "a" else "is no version record"
        if kind == "v":
            ours = (body.get("llmvc"), body.get("name")) == (VERSION, folders[0])
            return None if ours else f"is no version of {folders[0]}"
        keys = keys_of(body)
    except FormatError as err:
        return str(err)
    key = "b3:" + "".join(folders[:3])
    return None if keys is None or key in keys else "is about something else"


class VersionStore:
    """Reads and extends `refs/llmvc/store`, or a tracking copy of it."""

    def __init__(self, backend: Backend, ref: str = STORE_REF) -> None:
        self._backend = backend
        self._ref = ref
        self._seen: tuple[str | None] | None = None

    def tip(self) -> str | None:
        """Returns the commit that the store's ref names now; None if there is no store yet."""
        self._seen = (self._backend.refs.read(self._ref),)
        return self._seen[0]

    def read(self, of: Digest) -> bytes | None:
        """Returns an object's bytes; None if the store does not have it.

        Raises:
            IntegrityError: the bytes are not what their digest says.
        """
        root = self._root()
        data = self._backend.reader.blob(f"{root}:{object_path(of)}") if root else None
        return None if data is None else _checked(data, of, object_path(of))

    def find(self, prefix: str) -> tuple[Digest, ...]:
        """Returns the digests of all objects that start with `b3:` and 8 or more hex characters.

        Raises:
            FormatError: the prefix is too short or not hex.
        """
        if not digest.is_prefix(prefix):
            raise FormatError(f"{prefix!r} is no prefix of a digest", hint="b3: and 8 hex or more")
        root, name = self._root(), prefix[3:]
        if root is None:
            return ()
        listing = self._backend.trees.folder(root, f"o/{name[:2]}/{name[2:4]}")
        rest = sorted(entry for entry in listing if entry.startswith(name[4:]))
        return tuple(digest.parse(f"b3:{name[:4]}{entry}") for entry in rest)

    def about(self, key: Digest) -> tuple[bytes, ...]:
        """Returns what is filed under a key, sorted by digest.

        Raises:
            IntegrityError: bytes are not what their path says.
        """
        root, folder = self._root(), about_folder(key)
        if root is None:
            return ()
        names = sorted(self._backend.trees.folder(root, folder))
        return self._blobs(root, tuple(f"{folder}/{name}" for name in names))

    def history(self, bundle: str) -> tuple[Version, ...]:
        """Returns all versions of a bundle, parents before children.

        Versions that do not come from each other are ordered by time, then by digest.

        Raises:
            IntegrityError: bytes are not what their path says.
        """
        root, folder = self._root(), f"v/{check_name(bundle, 'bundle')}"
        if root is None:
            return ()
        entry = self._backend.trees.entry(root, folder)
        paths = self._backend.trees.walk(entry.oid, f"{folder}/") if entry else ()
        names = tuple(path for path, _ in paths)
        records = zip(names, self._blobs(root, names), strict=True)
        return _in_order({digest.of_bytes(data): _version(data, path) for path, data in records})

    def add(
        self,
        *,
        objects: Iterable[bytes] = (),
        about: Iterable[tuple[Digest, bytes]] = (),
        versions: Iterable[Version] = (),
        subject: str,
        author: str,
        time: datetime,
        trailers: Mapping[str, str] | None = None,
    ) -> str | None:
        """Adds to the store in one commit, on top of whatever it holds by then.

        Args:
            objects: canonical bytes to file under their digest.
            about: the same, filed under a key as well.
            versions: records, filed under their bundle's digest and in the bundle's history.
            subject: first line of the commit's message.
            author: `Name <email>`.
            time: when, aware.
            trailers: further lines of the message.

        Returns:
            The commit's id; None if the store had everything already.

        Raises:
            RefMoved: others kept moving the store, or its lock stays taken.
            IntegrityError: a path already holds other bytes.
            StoreError: git or the disk refused.
        """
        blobs = paths_of(objects, about, versions)
        stamp, text = Stamp.of(author, time), message(subject, trailers or {})
        for attempt in self._backend.retry.rounds():
            pack = self._backend.new_pack()
            tip = self.tip()
            commit = self._grow(pack, tip, blobs, stamp, text)
            if commit is None:
                return None
            try:
                self._backend.land(pack, Change(self._ref, tip, commit), f"llmvc: {subject}")
            except RefMoved:
                if attempt + 1 == self._backend.retry.tries or self.tip() == tip:
                    raise  # a lock that stays is not a race that one can win
                continue
            self._seen = (commit,)
            return commit
        return None

    def _grow(
        self,
        pack: "Pack",
        tip: str | None,
        blobs: Mapping[str, bytes],
        stamp: Stamp,
        text: str,
    ) -> str | None:
        trees = self._backend.trees
        files = {path: pack.blob(data) for path, data in blobs.items()}
        if tip is None:
            files[FORMAT_PATH] = pack.blob(FORMAT)
        tree = trees.plant(pack, tip, files)
        if tip is not None and tree == trees.tree_id(tip):
            return None
        return pack.commit(tree, (tip or root_commit(trees, pack),), stamp, text)

    def _root(self) -> str | None:
        if self._seen is None:
            return self.tip()
        return self._seen[0]

    def _blobs(self, root: str, paths: tuple[str, ...]) -> tuple[bytes, ...]:
        found = self._backend.reader.many(f"{root}:{path}" for path in paths)
        blobs: list[bytes] = []
        for path, item in zip(paths, found, strict=True):
            if item is None or item.kind != "blob":
                raise IntegrityError(f"the store lists {path}, but git does not have it")
            blobs.append(_checked(item.data, digest_at(path), path))
        return tuple(blobs)


def paths_of(
    objects: Iterable[bytes],
    about: Iterable[tuple[Digest, bytes]],
    versions: Iterable[Version],
) -> dict[str, bytes]:
    """Returns the path of every blob that an addition brings; see formats.md."""
    found: dict[str, bytes] = {}
    said = list(about)
    for version in versions:
        data = version.to_bytes()
        found[version_path(version.name, digest.of_bytes(data))] = data
        said.append((version.bundle, data))
    for key, data in said:
        found[f"{about_folder(key)}/{digest.hex_of(digest.of_bytes(data))}"] = data
    for data in (*objects, *(data for _, data in said)):
        found[object_path(digest.of_bytes(data))] = data
    return found


def root_commit(trees: Trees, pack: "Pack") -> str:
    """Adds the store's first commit, the same in all clones, and returns its id."""
    tree = trees.plant(pack, None, {FORMAT_PATH: pack.blob(FORMAT)})
    return pack.commit(tree, (), Stamp(NOBODY, 0), "llmvc store\n")


def _checked(data: bytes, of: Digest | None, path: str) -> bytes:
    if of is None:
        right, found = FORMAT.decode(), data.decode("utf-8", "replace")
    else:
        right, found = of, digest.of_bytes(data)
    if right != found:
        raise IntegrityError(f"the store's {path} holds other bytes: {found}, not {right}")
    return data


def _version(data: bytes, path: str) -> Version:
    try:
        return Version.from_bytes(data)
    except FormatError as err:
        raise IntegrityError(f"the store's {path}: {err}") from err


def _in_order(versions: Mapping[Digest, Version]) -> tuple[Version, ...]:
    """Sorts parents before children; among the ready ones the earliest, then the least digest."""
    children: dict[Digest, list[Digest]] = {}
    waits: dict[Digest, int] = {}
    for own, version in versions.items():
        parents = [parent for parent in set(version.parents) if parent in versions]
        waits[own] = len(parents)
        for parent in parents:
            children.setdefault(parent, []).append(own)
    ready = [(versions[own].time, own) for own, count in waits.items() if not count]
    heapq.heapify(ready)
    ordered: list[Version] = []
    while ready:
        _, own = heapq.heappop(ready)
        ordered.append(versions[own])
        for child in children.get(own, ()):
            waits[child] -= 1
            if not waits[child]:
                heapq.heappush(ready, (versions[child].time, child))
    return tuple(ordered)
