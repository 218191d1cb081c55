"""What this worktree committed or checked out last: the parent of the next version.

- One small file a bundle under the worktree's own Git folder; a cache of intent, never truth.
- It counts only while the HEAD it was written at is HEAD or comes before it.
"""

import json
from pathlib import Path
from typing import NamedTuple

from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.core.names import check_name
from llmvc.errors import FormatError, StoreError
from llmvc.places import put


class LastSeen(NamedTuple):
    """The version of the last commit or checkout, and HEAD at that time (None: unborn)."""

    version: Digest
    head: str | None


def path_of(git_dir: Path, bundle: str) -> Path:
    """Returns where the note on a bundle lies."""
    return git_dir / "llmvc" / "last" / check_name(bundle, "bundle")


def read(git_dir: Path, bundle: str) -> LastSeen | None:
    """Returns the note; None if there is none, or none that can be read."""
    try:
        body = json.loads(path_of(git_dir, bundle).read_bytes())
        head = body["HEAD"]
        return LastSeen(digest.parse(body["version"]), None if head is None else str(head))
    except (OSError, ValueError, TypeError, LookupError, FormatError):
        return None  # a lost note costs a parent link, nothing else


def write(git_dir: Path, bundle: str, seen: LastSeen) -> None:
    """Replaces the note in one step.

    Raises:
        StoreError: the disk refused.
    """
    path = path_of(git_dir, bundle)
    data = json.dumps({"version": seen.version, "HEAD": seen.head}) + "\n"
    try:
        put(path, data.encode())
    except OSError as err:
        raise StoreError(f"cannot write {path}: {err.strerror}") from err
