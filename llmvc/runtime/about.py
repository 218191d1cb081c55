"""What events say of an assignment: its id, and the members that they share.

- An id says all that was decided, so that events join without a table: the same unit under the same
  release has the same id, in every process.
- What the units of a version have in common is put together once, which is most of the time that an
  event takes.
"""

from functools import lru_cache
from json.encoder import encode_basestring as _quoted
from typing import Final, NamedTuple

MOST: Final = 64
"""So many versions of so many releases are kept at hand."""
_COLONS: Final = 7
"""In what ids have in common; none of its parts has one."""


class About(NamedTuple):
    """An assignment as events say it.

    Attributes:
        id: the assignment's id.
        members: its members of an event.
        counted: what heartbeats count it under.
    """

    id: str
    members: str
    counted: str


class Head(NamedTuple):
    """What the assignments of one version by one release have in common.

    Attributes:
        id: their ids, but for the unit.
        members: their members, but for the id and the unit.
        counted: what heartbeats count them under.
    """

    id: str
    members: str
    counted: str

    def about(self, unit: str) -> About:
        """Returns the assignment of a unit, by its hash; `-` is none."""
        told = f"{self.id}{unit}"
        hashed = "null" if unit == "-" else f'"{unit}"'
        members = f',"llmvc.assignment.id":"{told}","llmvc.unit_hash":{hashed}{self.members}'
        return About(told, members, self.counted)


@lru_cache(maxsize=MOST)
def head(  # noqa: PLR0917 (keywords would cost the cache its speed)
    name: str, env: str, arm: str, digest: str, seq: int, rollout: str | None
) -> Head:
    """Returns the common part; all but the unit is the same for most assignments.

    Raises:
        ValueError: one of them cannot stand in an id.
    """
    short = digest.removeprefix("b3:")[:12]
    told = f"a1:{name}:{env}:{seq:d}:{arm}:{short}:{rollout or '-'}:"
    if told.count(":") != _COLONS or _quoted(told) != f'"{told}"':
        raise ValueError(told)
    members = (
        f',"llmvc.bundle.name":"{name}","llmvc.bundle.digest":{_quoted(digest)},"llmvc.env":"{env}"'
        f',"llmvc.arm":"{arm}","llmvc.release.seq":{seq}'
        f',"llmvc.rollout.id":{_quoted(rollout) if rollout else "null"}'
        f',"llmvc.pinned":{"true" if arm == "pinned" else "false"}'
    )
    return Head(told, members, f"{rollout or '-'}:{seq}:{short}")


def parsed(told: str) -> About:
    """Returns what an assignment's id says, with 12 characters of the digest.

    Raises:
        ValueError: the text is no id.
    """
    _, name, env, seq, arm, short, rollout, unit = told.split(":")
    common = head(name, env, arm, f"b3:{short}", int(seq), None if rollout == "-" else rollout)
    about = common.about(unit)
    if about.id != told or _quoted(unit) != f'"{unit}"':
        raise ValueError(told)
    return about
