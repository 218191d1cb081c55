"""Building Git objects: dulwich makes blobs, trees, commits and the pack, `git` stores them.

- Ids follow the repository's object format, SHA-1 or SHA-256.
- dulwich takes a while to import: this module is imported where something is written.
"""

import re
from collections.abc import Iterable

from dulwich.object_format import get_object_format
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree
from dulwich.pack import pack_header_chunks, pack_object_chunks

from llmvc.store.objects import Stamp
from llmvc.store.trees import Listing

_PERSON = re.compile(r"\s*(.*?)\s*<([^<>]*)>\s*\Z", re.DOTALL)
_ODD = re.compile(r"[<>\n\0]+")


class Pack:
    """Objects that are to be stored together, in the order in which they were added.

    Args:
        object_format: `sha1` or `sha256`.
    """

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


def _person(author: str) -> bytes:
    found = _PERSON.match(author)
    name, email = found.groups() if found else (author, "")
    name = " ".join(_ODD.sub(" ", name).split()) or "unknown"
    return f"{name} <{''.join(_ODD.sub('', email).split())}>".encode("utf-8", "replace")
