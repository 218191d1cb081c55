"""Differences between two bundles, by section and by member.

- `diff` lists what changed as paths with old and new values; nothing that differs is left out.
- An absent member is `ABSENT`, which is not null.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from llmvc.core import canon
from llmvc.core.bundle import SECTIONS, Bundle

Path = tuple[str | int, ...]


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs.

    Attributes:
        path: member names and list positions from the bundle's root.
        old: value before, or ABSENT.
        new: value after, or ABSENT.
    """

    path: Path
    old: canon.Json | _Absent
    new: canon.Json | _Absent

    @property
    def where(self) -> str:
        """The path for people: `messages[0].content`."""
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return text.removeprefix(".")

    @property
    def section(self) -> str:
        """The section that the path lies in; `kind` for the kind itself."""
        for name, members in SECTIONS.items():
            if self.path[0] in members:
                return name
        return str(self.path[0])


def diff(old: Bundle, new: Bundle) -> tuple[Change, ...]:
    """Returns the changes from one bundle to another, in the order of sections."""
    changes = _values((), old.body, new.body)
    order = {name: at for at, members in enumerate(SECTIONS.values()) for name in members}
    return tuple(sorted(changes, key=lambda change: order.get(str(change.path[0]), -1)))


def _values(path: Path, old: canon.Json, new: canon.Json) -> Iterator[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            here = (*path, key)
            if key not in old:
                yield Change(here, ABSENT, new[key])
            elif key not in new:
                yield Change(here, old[key], ABSENT)
            else:
                yield from _values(here, old[key], new[key])
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _values((*path, at), before, after)
    elif canon.encode(old) != canon.encode(new):
        yield Change(path, old, new)
