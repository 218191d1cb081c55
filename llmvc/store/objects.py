"""Storing Git objects: who made a commit, what it says, and that it survives a power cut.

- Storing syncs every object file and then every folder that got one, before any ref moves.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from llmvc.errors import StoreError
from llmvc.store.durable import SYNCED, sync_folders
from llmvc.store.git import Git, trouble
from llmvc.store.reader import Reader

if TYPE_CHECKING:
    from llmvc.store.packs import Pack


class Stamp(NamedTuple):
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


def store(git: Git, reader: Reader, folder: Path, pack: "Pack") -> None:
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


def missing(reader: Reader, pack: "Pack") -> tuple[str, ...]:
    """Returns the ids of a pack's objects that the repository lacks."""
    return tuple(oid for oid in pack.ids if reader.info(oid) is None)


def message(subject: str, trailers: Mapping[str, str]) -> str:
    """Returns a commit message: one line, and trailers that `git log` can show."""
    first = " ".join(subject.split())
    lines = [f"{name}: {' '.join(value.split())}" for name, value in trailers.items()]
    return "\n".join([first, "", *lines, ""]) if lines else f"{first}\n"
