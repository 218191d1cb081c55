"""Writing a snapshot: what a source tells of, as files that any process or server can hand on.

- Objects first, then the pointer, which is one file: killed anywhere, the old snapshot is whole.
- The same refs give the same bytes; what lies there already is not written again, and what lies
  there damaged is.
- What is written was loaded and checked as a reader would: an environment never goes back or aside.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmvc.core import digest
from llmvc.core import pointer as pointers
from llmvc.core.digest import Digest
from llmvc.core.pointer import OBJECTS, POINTER, Key
from llmvc.core.release import Release
from llmvc.errors import FormatError, IntegrityError, LlmvcError, NotFoundError
from llmvc.places import PART, Place
from llmvc.runtime import snapshot
from llmvc.runtime.snapshot import Snapshot, Tip

if TYPE_CHECKING:
    from llmvc.runtime.sources import Source


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did.

    Attributes:
        place: where to, without secrets.
        seqs: `bundle/env` -> number of its newest release.
        moved: which of them were another one before, or none; sorted.
        pointer: BLAKE3 of the pointer.
        objects: how many objects were written.
        pruned: how many old ones were removed.
    """

    place: str
    seqs: Mapping[str, int]
    moved: tuple[str, ...]
    pointer: Digest
    objects: int
    pruned: int = 0


def export(source: "Source", place: Place, *, prune: bool = False) -> Exported:
    """Writes what a source tells of to a place.

    Args:
        source: where the snapshot comes from.
        place: where it goes to.
        prune: remove objects that neither this snapshot nor the one before it needs.

    Raises:
        IntegrityError: an environment went back or is forked against what lies there, or an object
            is not what its name says.
        FormatError: the source's pointer, or the one that lies there, is malformed.
        NotFoundError: the source lacks an object.
        StoreError: the place cannot be written.
    """
    with place.turn():
        found = source.pointer(None)
        if found is None:
            raise IntegrityError("a source that was shown nothing says that nothing is new")
        shelf = _Shelf(source, place)
        before = place.read(POINTER)
        last = None if before is None else _last(before, place.name, shelf.read)
        taken = snapshot.load(found[0], shelf.read, last=last, history=True)
        for name, data in shelf.fresh.items():
            place.write(f"{OBJECTS}/{name}", data)
        if before != taken.pointer:
            place.write(POINTER, taken.pointer)
        pruned = _prune(place, taken, before) if prune else 0
    seqs = {"/".join(key): seq for key, seq in sorted(taken.seqs.items())}
    old = {"/".join(key): tip.digest for key, tip in last.tips.items()} if last else {}
    new = {"/".join(key): tip.digest for key, tip in taken.tips.items()}
    moved = tuple(name for name in seqs if old.get(name) != new[name])
    return Exported(place.name, seqs, moved, taken.digest, len(shelf.fresh), pruned)


class _Shelf:
    """Objects from a place as far as they are whole there, else from the source.

    Attributes:
        fresh: those that the place lacks.
    """

    def __init__(self, source: "Source", place: Place) -> None:
        self._source, self._place = source, place
        self.fresh: dict[str, bytes] = {}

    def read(self, name: str) -> bytes:
        held = self._place.read(f"{OBJECTS}/{name}")
        if held is not None and digest.hex_of(digest.of_bytes(held)) == name:
            return held
        self.fresh[name] = self._source.object(name)
        return self.fresh[name]


def _last(pointer: bytes, name: str, read: Callable[[str], bytes]) -> Snapshot:
    """Returns as much of the snapshot that lies there as the next one is compared with."""
    try:
        named_tips, _ = pointers.read(pointer)
    except FormatError as err:
        raise FormatError(
            f"what lies at {name} is no snapshot: {err}",
            hint=f"look at it, and remove {POINTER} if nothing of value is there",
        ) from err
    tips: dict[Key, Tip] = {}
    for key, (_, named) in named_tips.items():
        try:
            tips[key] = Tip(Release.from_bytes(read(digest.hex_of(named))), named)
        except NotFoundError as err:
            raise IntegrityError(
                f"{'/'.join(key)}: the release that {name} serves, {digest.short(named)}, is not "
                "known to what it is to be written from",
                hint="it may be a fork; compare llmvc log on both sides",
            ) from err
    return Snapshot(pointer, tips, {}, {}, {})


def _prune(place: Place, taken: Snapshot, before: bytes | None) -> int:
    """Removes what no reader can ask for any more; a reader may still be at the last pointer."""
    keep = {digest.hex_of(one) for one in taken.objects}
    if before is not None and before != taken.pointer:
        with suppress(LlmvcError):  # it was damaged: nobody can be reading it
            with_last = snapshot.load(before, lambda name: _held(place, name), history=True)
            keep |= {digest.hex_of(one) for one in with_last.objects}
    found = place.names(OBJECTS)
    gone = [name for name in found if pointers.is_object(name) and name not in keep]
    parts = [f"{OBJECTS}/{name}" for name in found if name.endswith(PART)]
    parts += [name for name in place.names("") if name.endswith(PART)]
    for path in (*(f"{OBJECTS}/{name}" for name in gone), *parts):
        place.remove(path)
    return len(gone)


def _held(place: Place, name: str) -> bytes:
    data = place.read(f"{OBJECTS}/{name}")
    if data is None:
        raise NotFoundError(f"object {name} is not at {place.name}")
    return data
