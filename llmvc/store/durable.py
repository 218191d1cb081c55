"""What survives a power cut: git syncs the files it writes, llmvc the folders they are in."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from llmvc.errors import StoreError

# Options for every git child that writes: objects and refs on disk before it ends. Git's default
# leaves loose objects to the system, and `batch` would sync less than it says for single objects.
SYNCED: Final = (
    "-c",
    "core.fsync=loose-object,pack,pack-metadata,reference",
    "-c",
    "core.fsyncMethod=fsync",
)


def sync_folders(folders: Iterable[Path]) -> None:
    """Makes the names in folders durable; folders that are not there are passed over.

    Raises:
        StoreError: the disk refused.
    """
    for folder in sorted(folders):
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # the object was in a pack already, or refs are no files here (reftable)
        except OSError as err:
            raise StoreError(f"cannot sync {folder}: {err.strerror}") from err
        try:
            os.fsync(handle)
        except OSError as err:
            raise StoreError(f"cannot sync {folder}: {err.strerror}") from err
        finally:
            os.close(handle)


def folders_of(top: Path, names: Iterable[str]) -> set[Path]:
    """Returns the folders, up to the top, whose names change when these files are written."""
    found = set[Path]()
    for name in names:
        path = top / name
        while path != top:
            path = path.parent
            found.add(path)
    return found
