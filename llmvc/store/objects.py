"""Building Git objects: dulwich makes blobs, trees, commits and the pack, `git` stores them.

- Ids follow the repository's object format, SHA-1 or SHA-256.
- Storing syncs every object file and then every folder that got one, before any ref moves.
- dulwich takes a while to import: modules that also read import this one where they write.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from dulwich.object_format import get_object_format
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree
from dulwich.pack import pack_header_chunks, pack_object_chunks

from llmvc.errors import StoreError
from llmvc.store.durable import SYNCED, sync_folders
from llmvc.store.git import Git, trouble
from llmvc.store.reader import Reader
from llmvc.store.trees import Listing

_PERSON = re.compile(r"\s*(.*?)\s*<([^<>]*)>\s*\Z", re.DOTALL)
_ODD = re.compile(r"[<>\n\0]+")


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who made a commit, and when.

    Attributes:
        author: `Name <email>`; anything else counts as a name.
        seconds: since the epoch, UTC.
    """

    author: str
    seconds: int

    @classmethod
    def of(cls, author: str, time: datetime) -> "Stamp":
        """Returns the stamp of an aware point in time."""
        return cls(author, int(time.timestamp()))


# What nobody in particular does: roots and unions, the same bytes in every clone.
NOBODY: Final = "llmvc <llmvc@localhost>"


class Pack:
    """Objects that are to be stored together, in the order in which they were added."""

    def __init__(self, object_format: str) -> None:
        self._format = get_object_format(object_format)
        self._objects: dict[str, ShaFile] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all objects so far."""
        return tuple(self._objects)

    def blob(self, data: bytes) -> str:
        """Adds a blob and returns its id."""
        return self._add(Blob.from_string(data))

    def tree(self, entries: Listing) -> str:
        """Adds a tree and returns its id."""
        tree = Tree()
        for name, entry in entries.items():
            encoded = name.encode("utf-8", "surrogateescape")
            tree.add(encoded, entry.mode, ObjectID(entry.oid.encode()))
        return self._add(tree)

    def commit(self, tree: str, parents: Iterable[str], stamp: Stamp, message: str) -> str:
        """Adds a commit and returns its id; author and committer are the same."""
        commit = Commit()
        commit.tree = ObjectID(tree.encode())
        commit.parents = [ObjectID(parent.encode()) for parent in parents]
        commit.author = commit.committer = _person(stamp.author)
        commit.author_time = commit.commit_time = stamp.seconds
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = message.replace("\0", " ").encode("utf-8", "replace")
        return self._add(commit)

    def stream(self) -> bytes:
        """Returns all objects as a pack stream."""
        chunks = list(pack_header_chunks(len(self._objects)))
        for item in self._objects.values():
            chunks += pack_object_chunks(
                item.type_num, item.as_raw_chunks(), self._format, compression_level=1
            )
        body = b"".join(chunks)
        return body + self._format.hash_object(body)

    def _add(self, item: ShaFile) -> str:
        item.object_format = self._format
        oid = item.get_id(self._format).decode()
        self._objects.setdefault(oid, item)
        return oid


def store(git: Git, reader: Reader, folder: Path, pack: Pack) -> None:
    """Stores a pack's objects so that they survive a power cut.

    Args:
        git: runs git.
        reader: looks whether everything is there afterwards.
        folder: the folder of objects that git writes to.
        pack: the objects.

    Raises:
        StoreError: git or the disk refused.
    """
    result = git.call(*SYNCED, "unpack-objects", "-q", stdin=pack.stream())
    if result.code:
        raise trouble("storing objects", result)
    sync_folders({*(folder / oid[:2] for oid in pack.ids), folder})
    lost = missing(reader, pack)
    if lost:
        raise StoreError(f"git stored {lost[0]}, but it cannot be read back")


def missing(reader: Reader, pack: Pack) -> tuple[str, ...]:
    """Returns the ids of a pack's objects that the repository lacks."""
    return tuple(oid for oid in pack.ids if reader.info(oid) is None)


def message(subject: str, trailers: Mapping[str, str]) -> str:
    """Returns a commit message: one line, and trailers that `git log` can show."""
    first = " ".join(subject.split())
    lines = [f"{name}: {' '.join(value.split())}" for name, value in trailers.items()]
    return "\n".join([first, "", *lines, ""]) if lines else f"{first}\n"


def _person(author: str) -> bytes:
    found = _PERSON.match(author)
    name, email = found.groups() if found else (author, "")
    name = " ".join(_ODD.sub(" ", name).split()) or "unknown"
    return f"{name} <{''.join(_ODD.sub('', email).split())}>".encode("utf-8", "replace")
