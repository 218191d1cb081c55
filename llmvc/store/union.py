"""Joining two grow-only stores: a union of paths, in a commit that all clones make alike.

- What comes in is hashed before anything of it counts.
- Nobody's history is lost, and nothing is merged that needs no merge: a store that the other one
  continues is fast-forwarded, one that holds nothing new of ours is taken as it is.
"""

import re
from typing import Final

from llmvc.core import digest
from llmvc.core.names import STORE_REF
from llmvc.errors import IntegrityError
from llmvc.store.backend import Backend
from llmvc.store.objects import NOBODY, Stamp
from llmvc.store.refs import Change, is_ancestor
from llmvc.store.trees import FILE
from llmvc.store.versions import FORMAT, FORMAT_PATH, digest_at, misfiled

_DATE: Final = re.compile(rb"^committer .* (\d+) [+-]\d{4}$", re.MULTILINE)


def absorb(backend: Backend, theirs: str) -> str:
    """Brings another store's commit into ours; returns the commit that ours then names.

    Args:
        backend: the repository.
        theirs: the other store's commit, whose objects are here already.

    Raises:
        IntegrityError: the other store holds bytes that are not what their path says.
        RefMoved: others moved our store meanwhile.
    """
    ours = backend.refs.read(STORE_REF)
    if ours and is_ancestor(backend.git, theirs, ours):
        return ours
    files = incoming(backend, ours, theirs)
    why = "llmvc: fetch"
    if ours is None or is_ancestor(backend.git, ours, theirs):
        return _take(backend, Change(STORE_REF, ours, theirs), why)
    pack = backend.new_pack()
    tree = backend.trees.plant(pack, ours, files)
    if tree == backend.trees.tree_id(theirs):
        return _take(backend, Change(STORE_REF, ours, theirs), why)
    later = max(committed(backend, ours), committed(backend, theirs))
    parents = sorted((ours, theirs))
    merged = pack.commit(tree, parents, Stamp(NOBODY, later), "llmvc store: union\n")
    backend.land(pack, Change(STORE_REF, ours, merged), why)
    return merged


def incoming(backend: Backend, ours: str | None, theirs: str) -> dict[str, str]:
    """Returns path and blob id of all that theirs has and ours lacks, after hashing it.

    Raises:
        IntegrityError: bytes are not what their path says, or a path holds two values.
    """
    found = list(backend.trees.missing(ours, theirs))
    by_id: dict[str, list[str]] = {}
    for path, entry in found:
        if entry.mode != FILE:
            raise IntegrityError(f"the store at {theirs} holds {path} with mode {entry.mode:o}")
        by_id.setdefault(entry.oid, []).append(path)
    for (oid, paths), item in zip(by_id.items(), backend.reader.many(by_id), strict=True):
        if item is None or item.kind != "blob":
            raise IntegrityError(f"the store at {theirs} lists {paths[0]}, but {oid} is no blob")
        own = digest.of_bytes(item.data)
        for path in paths:
            right = digest_at(path)
            if (item.data != FORMAT) if path == FORMAT_PATH else (own != right):
                raise IntegrityError(f"the store at {theirs} holds other bytes at {path}: {own}")
            if what := misfiled(path, item.data):
                raise IntegrityError(f"the store at {theirs} holds {path}, which {what}")
    return {path: entry.oid for path, entry in found}


def committed(backend: Backend, commit: str) -> int:
    """Returns the committer's date of a commit, in seconds since the epoch."""
    found = backend.reader.get(commit)
    date = _DATE.search(found.data) if found else None
    if date is None:
        raise IntegrityError(f"{commit} is no commit of a store")
    return int(date[1])


def _take(backend: Backend, change: Change, why: str) -> str:
    backend.check_writable()
    backend.refs.move((change,), why)
    return str(change.new)
