"""Snapshots: all that a process serves from, read once, checked, and never changed.

- Every object is the one that its name says: the BLAKE3 of its bytes is computed on load.
- A snapshot is taken whole or not at all: one missing or wrong object refuses it.
- After another one, no environment may be gone, have a lower `seq`, or be on a fork: `previous` is
  walked from its newest release back to the one that was served.
- One that merely lies behind, with nothing that was not served on the way, is told from a fork.
- What the last snapshot held is not read again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from llmvc.core import bundle as bundles
from llmvc.core import digest
from llmvc.core import pointer as pointers
from llmvc.core.bundle import Bundle
from llmvc.core.digest import Digest
from llmvc.core.pointer import MOST, WINDOW, Key
from llmvc.core.release import Release
from llmvc.errors import IntegrityError, NotFoundError
from llmvc.runtime.render import Served

PATIENCE_S: Final = 60.0
"""How long a source may give older pointers before that counts as a rewind."""

Read = Callable[[str], bytes]
"""Returns an object's bytes by its 64 hex characters."""


class OlderError(IntegrityError):
    """A pointer tells of releases that what is served came from: a copy that lags, or a rewind."""


class Tip(NamedTuple):
    """The newest release of an environment.

    Attributes:
        release: its record.
        digest: of the record's bytes.
    """

    release: Release
    digest: Digest


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of all environments.

    Attributes:
        pointer: the bytes of `snapshot.json`.
        tips: bundle and environment -> its newest release.
        pinnable: bundle -> what a pin may name.
        served: digest -> a bundle that is served or may be pinned.
        objects: digest -> the bytes of all that was read.
    """

    pointer: bytes
    tips: Mapping[Key, Tip]
    pinnable: Mapping[str, frozenset[Digest]]
    served: Mapping[Digest, Served]
    objects: Mapping[Digest, bytes] = field(repr=False, compare=False)

    @property
    def digest(self) -> Digest:
        """The pointer's identity, which names all the rest."""
        return digest.of_bytes(self.pointer)

    @property
    def seqs(self) -> dict[Key, int]:
        """Number of the newest release of each environment."""
        return {key: tip.release.seq for key, tip in self.tips.items()}


def load(
    pointer: bytes, read: Read, *, last: Snapshot | None = None, history: bool = False
) -> Snapshot:
    """Reads a snapshot whole.

    Args:
        pointer: the bytes of `snapshot.json`.
        read: gives an object's bytes, or raises NotFoundError.
        last: what is served now.
        history: read the records before the newest ones, too, as far as they are there: whoever
            hands the snapshot on needs them.

    Raises:
        FormatError: the pointer or an object is malformed.
        OlderError: it is where the one that is served came from.
        IntegrityError: an object is not what its name says, or an environment is forked.
        NotFoundError: an object is missing.
    """
    environments, pinnable = pointers.read(pointer)
    shelf = _Shelf(read, last.objects if last else {})
    before = last.tips if last else {}
    tips = {key: shelf.tip(key, *named, before.get(key)) for key, named in environments.items()}
    if last is not None:
        _check_after(last, tips, shelf)
    if history:
        for tip in tips.values():
            list(shelf.back(tip, WINDOW - 1))
    wanted = {tip.release.to for tip in tips.values()}.union(*pinnable.values())
    kept = last.served if last else {}
    served = {one: kept.get(one) or shelf.bundle(one) for one in sorted(wanted)}
    for one in served.values():
        shelf.keep(one)
    return Snapshot(
        pointer,
        MappingProxyType(tips),
        MappingProxyType(pinnable),
        MappingProxyType(served),
        MappingProxyType(shelf.taken),
    )


def _check_after(last: Snapshot, tips: Mapping[Key, Tip], shelf: "_Shelf") -> None:
    """Checks that every environment goes on from where it was."""
    behind: list[str] = []
    apart = bool(tips.keys() - last.tips.keys())
    for key, old in last.tips.items():
        name, new = "/".join(key), tips.get(key)
        if new is None:
            behind.append(f"{name} is gone; it was at release {old.release.seq}")
            continue
        first, then = sorted((old, new), key=lambda tip: tip.release.seq)
        steps = then.release.seq - first.release.seq
        walked = shelf.back(then, steps)
        before = [tip.digest for tip in walked if tip.release.seq == first.release.seq]
        if before not in ([], [first.digest]):
            raise IntegrityError(f"{name} is forked: there is another release {first.release.seq}")
        if new.release.seq < old.release.seq:
            behind.append(f"{name} went back from release {old.release.seq} to {new.release.seq}")
        # What is beyond the records that are there may be a fork.
        apart = apart or new.release.seq > old.release.seq or not before
    if behind:
        hint = "the source is rewound or out of date; what was served is kept"
        raise (IntegrityError if apart else OlderError)(behind[0], hint=hint)


class _Shelf:
    """Objects as they are read and checked.

    Attributes:
        taken: digest -> bytes of all that was asked for.
    """

    def __init__(self, read: Read, known: Mapping[Digest, bytes]) -> None:
        self._read, self._known = read, known
        self.taken: dict[Digest, bytes] = {}

    def get(self, wanted: Digest) -> bytes:
        """Returns an object's bytes.

        Raises:
            NotFoundError: it is missing.
            IntegrityError: it is another one.
        """
        data = self.taken.get(wanted, self._known.get(wanted))
        if data is None:
            data = self._read(digest.hex_of(wanted))
            if len(data) > MOST or digest.of_bytes(data) != wanted:
                raise IntegrityError(f"object {digest.short(wanted)} is not what its name says")
        self.taken[wanted] = data
        return data

    def tip(self, key: Key, seq: int, named: Digest, before: Tip | None) -> Tip:
        """Returns an environment's newest release as the pointer names it."""
        data = self.get(named)
        if before is not None and before.digest == named:
            release = before.release
        else:
            release = Release.from_bytes(data)
        if (release.bundle, release.env, release.seq) != (*key, seq):
            raise IntegrityError(
                f"{'/'.join(key)} release {seq} is in truth "
                f"{release.bundle}/{release.env} release {release.seq}"
            )
        return Tip(release, named)

    def back(self, tip: Tip, steps: int) -> Iterator[Tip]:
        """Yields a release and those before it, as far as they are there.

        Raises:
            IntegrityError: a record does not follow from the one before it.
        """
        yield tip
        for _ in range(min(steps, WINDOW - 1)):
            now = tip.release
            if now.previous is None:
                return
            try:
                data = self.get(now.previous)
            except NotFoundError:
                return
            before = Release.from_bytes(data)
            if (before.bundle, before.env, before.seq) != (now.bundle, now.env, now.seq - 1):
                name = f"{now.bundle}/{now.env} release {now.seq}"
                raise IntegrityError(f"{name} does not follow the one that it names")
            tip = Tip(before, now.previous)
            yield tip

    def bundle(self, wanted: Digest) -> Served:
        """Returns a bundle with all that it needs.

        Raises:
            FormatError: the object is no bundle.
        """
        bundle = Bundle.from_bytes(self.get(wanted))
        return Served.of(bundle, bundles.parts(bundle, self.get).data)

    def keep(self, one: Served) -> None:
        """Notes what a bundle is made of, though it was not read this time."""
        for part in (one.digest, *one.needs):
            self.get(part)
