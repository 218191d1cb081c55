"""Review: what differs between two versions of a bundle."""

from collections.abc import Mapping
from dataclasses import dataclass

from llmvc.app import revisions, versioning
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import diff as differences
from llmvc.core import digest
from llmvc.core.diff import Change


@dataclass(frozen=True, slots=True)
class Diff:
    """Two versions and what differs.

    Attributes:
        old: the version before.
        new: the version after.
        changes: by section.
        texts: what changed assets say by their digests, where they are text and at hand.
    """

    old: Resolved
    new: Resolved
    changes: tuple[Change, ...]
    texts: Mapping[str, str]


def diff(ws: Workspace, old: str | None, new: str | None) -> Diff:
    """Compares two versions; without names the last commit of the bundle with the working tree."""
    if old is None:
        name = ws.bundle_name(None)
        return _compare(ws, versioning.last_commit(ws, name), revisions.resolve(ws, name))
    left = revisions.resolve(ws, old)
    if new is None and "@" not in old:
        return _compare(ws, versioning.last_commit(ws, left.name), left)
    return _compare(ws, left, revisions.resolve(ws, new if new is not None else left.name))


def _compare(ws: Workspace, old: Resolved, new: Resolved) -> Diff:
    changes = differences.diff(old.bundle, new.bundle)
    at_hand = {**dict(old.assets), **dict(new.assets)}
    texts: dict[str, str] = {}
    for change in changes:
        for side in (change.old, change.new) if change.section == "assets" else ():
            if isinstance(side, str) and digest.is_prefix(side):
                wanted = digest.parse(side)
                data = at_hand.get(wanted) or ws.repo.versions.read(wanted)
                if data is not None and b"\0" not in data:
                    texts[wanted] = data.decode("utf-8", errors="replace")
    return Diff(old, new, changes, texts)
