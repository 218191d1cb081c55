"""What this worktree committed or checked out last: the parent of the next version.

- One small file a bundle under the worktree's own Git folder; a cache of intent, never truth.
- It counts only while the HEAD it was written at is HEAD or comes before it.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.core.names import check_name
from llmvc.errors import FormatError, StoreError


@dataclass(frozen=True, slots=True)
class LastSeen:
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
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({"version": seen.version, "HEAD": seen.head}) + "\n")
        part.replace(path)
    except OSError as err:
        part.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}: {err.strerror}") from err
