"""Judges: which bundle a name stands for, what is known of it, and whether it may be trusted now.

- A judge is named by a suite as any bundle is named: NAME for the working tree, NAME@ENV,
  NAME@b3:… or b3:… with all 64 characters. None is ever taken because none was named.
- All that is known of one is in the store, under its digest; the newest record of a type counts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from llmvc.app import revisions
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import canon, digest
from llmvc.core.bundle import Bundle
from llmvc.core.digest import Digest
from llmvc.core.judge import Rules
from llmvc.core.judging import (
    RETIRED,
    UNCALIBRATED,
    Calibration,
    Check,
    Identity,
    Shift,
    State,
    Tombstone,
)
from llmvc.core.names import Revision
from llmvc.core.record import Record
from llmvc.core.version import TYPE as VERSION
from llmvc.core.version import Version
from llmvc.gate.judged import standing_check, state_of

if TYPE_CHECKING:
    from llmvc.files.tree import Files

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Known:
    """What the store says of one judge.

    Attributes:
        calibrations: all of them, the oldest first.
        checks: the same.
        tombstone: why it is retired; None if it is not.
        shifts: moves from it or to it, the oldest first.
        connection: digest of what it is asked through; None if nobody asks it.
    """

    calibrations: tuple[Calibration, ...] = ()
    checks: tuple[Check, ...] = ()
    tombstone: Tombstone | None = None
    shifts: tuple[Shift, ...] = ()
    connection: Digest | None = None

    @property
    def calibration(self) -> Calibration | None:
        """The newest one through its connection; where there is none, the newest of all."""
        here = [one for one in self.calibrations if one.connection == self.connection]
        listed = here or self.calibrations
        return listed[-1] if listed else None

    @property
    def check(self) -> Check | None:
        """The one that counts under that calibration, see `gate.judged.standing_check`."""
        made = self.calibration
        return standing_check(made, self.checks) if made is not None else None

    def state(self, now: str, identities: Iterable[Identity] = ()) -> tuple[State, tuple[str, ...]]:
        """Returns whether it may be trusted, and why not.

        Args:
            now: RFC 3339, UTC.
            identities: what the provider says now that it calls.
        """
        return state_of(
            self.calibration,
            self.check,
            self.tombstone,
            identities,
            now,
            connection=self.connection,
        )

    def remedy(self, label: str, state: State) -> str:
        """Returns what lets a judge in that state be trusted, with the command.

        Args:
            label: what the judge is called.
            state: any but `TRUSTED`.
        """
        if state == RETIRED:
            return "name another judge in the suite"
        made = self.calibration
        if state == UNCALIBRATED and made is not None and made.admitted:
            here = self.connection in (None, made.connection)
            if here:
                return f"check it: llmvc judge check {label}"
        return f"calibrate it: llmvc judge calibrate {label} --anchors FILE"


def known(ws: Workspace, judge: Digest, connection: Digest | None = None) -> Known:
    """Reads what the store says of a judge.

    Args:
        ws: the workspace.
        judge: digest of the bundle.
        connection: of what it is asked through; None if nobody asks it.
    """
    found: dict[str, list[bytes]] = {}
    for data in ws.repo.versions.about(judge):
        body = canon.decode(data)
        kind = body.get("llmvc") if isinstance(body, Mapping) else None
        found.setdefault(str(kind), []).append(data)
    retired = _all(Tombstone, found)
    return Known(
        tuple(_all(Calibration, found)),
        tuple(_all(Check, found)),
        retired[-1] if retired else None,
        tuple(_all(Shift, found)),
        connection,
    )


def _all(kind: type[R], found: Mapping[str, list[bytes]]) -> list[R]:
    """Returns the records of a type by the time that they state."""
    listed = [
        (str(canon.decode_object(data, kind.TYPE).get("made")), data)
        for data in found.get(kind.TYPE, ())
    ]
    return [kind.from_bytes(data) for _, data in sorted(listed)]


@dataclass(frozen=True, slots=True)
class Shown:
    """A judge for reading: what is known of it, its state now, and why."""

    judge: Resolved
    known: Known
    state: State
    why: tuple[str, ...]


def look_up(ws: Workspace, revision: str) -> Shown:
    """Returns what is known of a judge.

    Raises:
        NotFoundError: nothing has that name.
        FormatError: it is no judge.
    """
    found = resolve(ws, revision)
    known_now = known(ws, found.bundle.digest)
    return Shown(found, known_now, *known_now.state(ws.time))


def retire(ws: Workspace, revision: str, reason: str) -> Shown:
    """Takes a version of a judge out of use; the first reason stands.

    Raises:
        NotFoundError: nothing has that name.
    """
    found = resolve(ws, revision)
    of = found.bundle.digest
    if known(ws, of).tombstone is None:
        stone = Tombstone(of, reason, ws.time, ws.actor)
        file(ws, stone, (of,), subject=f"{found.name}: retired", beside=(found.bundle.data,))
    return look_up(ws, revision)


def file(
    ws: Workspace,
    record: Record,
    about: Iterable[Digest],
    *,
    subject: str,
    beside: Iterable[bytes] = (),
) -> None:
    """Files a record under what it is about, with the objects that it names beside it."""
    data = record.to_bytes()
    ws.repo.versions.add(
        objects=[*beside, data],
        about=[(key, data) for key in about],
        subject=subject,
        author=ws.actor,
        time=ws.now(),
    )


def resolver(ws: Workspace, files: "Files | None" = None) -> Callable[[str], Bundle]:
    """Returns what finds the judge that a suite names, and lets the workspace remember it.

    Args:
        ws: the workspace.
        files: where a bare name is read from; the working tree by default.
    """

    def find(text: str) -> Bundle:
        found = resolve(ws, text, files)
        ws.judges[found.bundle.digest] = found
        return found.bundle

    return find


def resolve(ws: Workspace, text: str, files: "Files | None" = None) -> Resolved:
    """Finds the judge that a revision names.

    Raises:
        UsageError: the text is no revision.
        NotFoundError: nothing has that name.
        FormatError: it is a bundle of another kind, or its `judge` section is not complete.
    """
    if text.startswith("b3:"):
        bundle = revisions.read_bundle(ws, digest.parse(text))
        found = Resolved(_name_of(ws, bundle.digest), text, bundle)
    elif files is not None and Revision.parse(text).kind == "worktree":
        manifest = ws.manifest_of(text, files=files)
        found = Resolved(
            text, text, manifest.bundle, None, manifest.files, tuple(manifest.assets.items())
        )
    else:
        found = revisions.resolve(ws, text)
    Rules.of(found.bundle)
    return found


def _name_of(ws: Workspace, wanted: Digest) -> str:
    """Returns the name under which a bundle was committed; the start of its digest otherwise."""
    for data in ws.repo.versions.about(wanted):
        body = canon.decode(data)
        if isinstance(body, Mapping) and body.get("llmvc") == VERSION:
            return Version.from_bytes(data).name
    return digest.short(wanted)
