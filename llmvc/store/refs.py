"""Refs: read exactly, moved only by compare-and-swap.

- `move` names the old value of every ref; no ref is ever overwritten whatever it holds.
- Several refs move together or not at all; git keeps a reflog of each.
- A lock that others hold is waited for a while, then named with its age.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from llmvc.errors import IntegrityError, RefMoved
from llmvc.store.durable import SYNCED, folders_of, sync_folders
from llmvc.store.git import Git, Result, reason, trouble
from llmvc.store.retry import Retry

_LOCKED = re.compile(r"Unable to create '(?P<path>[^']+\.lock)': File exists")
_MOVED = re.compile(
    r"cannot lock ref '(?P<ref>[^']+)': "
    r"(?:is at [0-9a-f]+ but expected|reference already exists|unable to resolve reference)"
)


class Change(NamedTuple):
    """One ref's move; None stands for "is not there"."""

    ref: str
    old: str | None
    new: str | None


class Refs:
    """The refs of one repository."""

    def __init__(self, git: Git, common_dir: Path, *, id_bytes: int, retry: Retry) -> None:
        self._git = git
        self._common_dir = common_dir
        self._zero = "0" * (2 * id_bytes)
        self._retry = retry

    def read(self, ref: str) -> str | None:
        """Returns what exactly this ref names; None if it is not there."""
        return self.under(ref).get(ref)

    def under(self, *prefixes: str) -> dict[str, str]:
        """Returns all refs that are one of the names, or lie in the folder of one, sorted.

        Raises:
            IntegrityError: git finds a broken ref among them.
        """
        result = self._git.call("for-each-ref", "--format=%(objectname) %(refname)", *prefixes)
        if result.code or b"broken ref" in result.err:
            said = reason(result.err)
            if "broken ref" in said or "missing object" in said:
                raise IntegrityError(f"git says: {said}", hint="run llmvc fsck")
            raise trouble("git for-each-ref", result)
        lines = (line.split(" ", 1) for line in result.out.decode().splitlines())
        return {ref: oid for oid, ref in lines}

    def move(self, changes: Sequence[Change], why: str) -> None:
        """Moves refs, all or none, if each still names its old value.

        Args:
            changes: what is to move.
            why: what the reflog says.

        Raises:
            RefMoved: one of them moved meanwhile, or its lock stays taken.
            StoreError: git or the disk refused.
        """
        # A ref that is a file already was made durable, with its folders, by whoever made it.
        fresh = [one.ref for one in changes if not (self._common_dir / one.ref).is_file()]
        lines = "".join(self._line(change) for change in changes)
        stdin = f"start\n{lines}prepare\ncommit\n".encode()
        result = Result(0, b"", b"")
        for _ in self._retry.rounds():
            result = self._git.call(
                *SYNCED,
                "update-ref",
                "--create-reflog",
                "-m",
                " ".join(why.split()),
                "--stdin",
                stdin=stdin,
            )
            if not result.code:
                folders = {(self._common_dir / change.ref).parent for change in changes}
                sync_folders(folders | folders_of(self._common_dir, fresh))
                return
            if not _LOCKED.search(reason(result.err)):
                break
        raise self._refused(result)

    def _line(self, change: Change) -> str:
        old = change.old or self._zero
        if change.new is None:
            return f"delete {change.ref} {old}\n"
        return f"update {change.ref} {change.new} {old}\n"

    def _refused(self, result: Result) -> Exception:
        said = reason(result.err)
        locked, moved = _LOCKED.search(said), _MOVED.search(said)
        if locked:
            path = Path(locked["path"])
            return RefMoved(
                f"{path} is locked{self._age(path)}",
                hint=f"if no git process is running, remove it: rm '{path}'",
            )
        if moved:
            return RefMoved(
                f"{moved['ref']} was moved by somebody else", hint="look at it and try again"
            )
        return trouble("git update-ref", result)

    def _age(self, path: Path) -> str:
        try:
            seconds = self._retry.clock() - path.stat().st_mtime
        except OSError:
            return ""  # it went away just now
        return f" since {max(0, round(seconds))} s"


def is_ancestor(git: Git, old: str, new: str) -> bool:
    """Tells whether one commit is another, or comes before it.

    Raises:
        StoreError: git cannot tell, such as where a commit is missing.
    """
    if old == new:
        return True
    result = git.call("merge-base", "--is-ancestor", old, new)
    if result.code not in (0, 1):
        raise trouble("git merge-base", result)
    return result.code == 0
