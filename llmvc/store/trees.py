"""Trees: reading them, finding what one has and another lacks, adding to one.

- Only the subtrees on the way to a change are read and written, however large the rest is.
- A path never changes what it holds: two values for one path are corruption, not a conflict.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from llmvc.errors import IntegrityError
from llmvc.store.reader import Reader

if TYPE_CHECKING:
    from llmvc.store.packs import Pack

FILE: Final = 0o100644
FOLDER: Final = 0o040000
SYMLINK: Final = 0o120000
SUBMODULE: Final = 0o160000


class Entry(NamedTuple):
    """One line of a tree."""

    mode: int
    oid: str


Listing = Mapping[str, Entry]


def parse(data: bytes, id_bytes: int) -> dict[str, Entry]:
    """Reads a tree object's content.

    Args:
        data: the content.
        id_bytes: length of an object id: 20, or 32 in a SHA-256 repository.

    Raises:
        IntegrityError: the content is no tree.
    """
    entries: dict[str, Entry] = {}
    at = 0
    try:
        while at < len(data):
            space = data.index(b" ", at)
            end = data.index(b"\0", space)
            name = data[space + 1 : end].decode("utf-8", "surrogateescape")
            oid = data[end + 1 : end + 1 + id_bytes].hex()
            entries[name] = Entry(int(data[at:space], 8), oid)
            at = end + 1 + id_bytes
    except ValueError as err:
        raise IntegrityError("a git tree is malformed") from err
    return entries


class Trees:
    """Reads trees by id and remembers them."""

    def __init__(self, reader: Reader, id_bytes: int) -> None:
        self._reader = reader
        self._id_bytes = id_bytes
        self._known: dict[str, Listing] = {}

    def listing(self, oid: str) -> Listing:
        """Returns what a tree holds.

        Args:
            oid: its id, or that of a commit.

        Raises:
            IntegrityError: there is no such tree.
        """
        if oid not in self._known:
            found = self._reader.get(f"{oid}^{{tree}}")
            if found is None:
                raise IntegrityError(f"git tree {oid} is not there", hint="run git fsck")
            self._known[oid] = parse(found.data, self._id_bytes)
        return self._known[oid]

    def tree_id(self, commit: str) -> str:
        """Returns the id of a commit's tree.

        Raises:
            IntegrityError: there is no such commit.
        """
        found = self._reader.info(f"{commit}^{{tree}}")
        if found is None:
            raise IntegrityError(f"git commit {commit} is not there", hint="run git fsck")
        return found.oid

    def entry(self, root: str, path: str) -> Entry | None:
        """Returns what lies at a path below a tree or commit; None if nothing does."""
        entry = Entry(FOLDER, root)
        for name in path.split("/"):
            if entry.mode != FOLDER or name not in (listing := self.listing(entry.oid)):
                return None
            entry = listing[name]
        return entry

    def folder(self, root: str, path: str) -> Listing:
        """Returns what a folder below a tree or commit holds; nothing if it is not there."""
        entry = self.entry(root, path)
        return self.listing(entry.oid) if entry and entry.mode == FOLDER else {}

    def walk(self, root: str, path: str = "") -> Iterator[tuple[str, Entry]]:
        """Yields every file below a tree or commit, with its path, in git's order of names."""
        for name, entry in self.listing(root).items():
            if entry.mode == FOLDER:
                yield from self.walk(entry.oid, f"{path}{name}/")
            else:
                yield f"{path}{name}", entry

    def missing(self, ours: str | None, theirs: str, path: str = "") -> Iterator[tuple[str, Entry]]:
        """Yields the files that theirs has and ours lacks; reads only subtrees that differ.

        Raises:
            IntegrityError: one path holds two values.
        """
        if ours == theirs:
            return
        mine = self.listing(ours) if ours else {}
        for name, entry in self.listing(theirs).items():
            place, known = f"{path}{name}", mine.get(name)
            if known == entry:
                continue
            if known is not None and (known.mode, entry.mode) != (FOLDER, FOLDER):
                raise IntegrityError(f"{place} holds two values: {known.oid} and {entry.oid}")
            if entry.mode == FOLDER:
                yield from self.missing(known.oid if known else None, entry.oid, f"{place}/")
            else:
                yield place, entry

    def plant(self, pack: "Pack", root: str | None, files: Mapping[str, str]) -> str:
        """Adds blobs to a tree and returns the new tree's id.

        Args:
            pack: takes the trees that change.
            root: the tree or commit to add to; None for an empty one.
            files: path -> blob id.

        Raises:
            IntegrityError: a path already holds something else.
        """
        return self._plant(pack, root, files, "")

    def _plant(self, pack: "Pack", root: str | None, files: Mapping[str, str], path: str) -> str:
        entries = dict(self.listing(root)) if root else {}
        below: dict[str, dict[str, str]] = {}
        for name, oid in files.items():
            head, slash, rest = name.partition("/")
            if slash:
                below.setdefault(head, {})[rest] = oid
            elif (known := entries.setdefault(head, Entry(FILE, oid))) != Entry(FILE, oid):
                raise IntegrityError(f"{path}{head} holds two values: {known.oid} and {oid}")
        for head, inner in below.items():
            folder = entries.get(head)
            if folder is not None and folder.mode != FOLDER:
                raise IntegrityError(f"{path}{head} is a file where a folder belongs")
            tree = self._plant(pack, folder.oid if folder else None, inner, f"{path}{head}/")
            entries[head] = Entry(FOLDER, tree)
        return pack.tree(entries)
