"""How fleets and snapshots are shown."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmvc.core.plural import count
from llmvc.core.times import rfc3339
from llmvc.render.text import table

if TYPE_CHECKING:
    from llmvc.runtime.export import Exported
    from llmvc.runtime.fleet import Fleet


def fleet(found: "Fleet", *, unsent: bool = False) -> str:
    """Shows who has not moved, the sum in one line, and what to do.

    Args:
        found: the fleet.
        unsent: whether the release did not reach the remote, so that no restart helps.
    """
    rows = [
        (f"  {item.state}", item.process, f"release {item.seq}", f"heard {rfc3339(item.time)}")
        for item in found.left
    ]
    lines = [table(rows)] if rows else []
    lines += [f"  unread  {what}" for what in found.unread]
    lines.append(told(found))
    if found.those("behind", "silent"):
        wait = f"llmvc fleet {found.bundle} {found.env} --wait 30"
        now = "mend the network, then llmvc push" if unsent else "end or restart the ones listed"
        lines.append(f"  -> {now}, then {wait}")
    if found.those("forked"):
        lines.append("  -> what the forked ones read is written from elsewhere: see docs/fleet.md")
    return "\n".join(lines)


def told(found: "Fleet") -> str:
    """Returns the sum: what is proven, and since when."""
    where, moved = f"{found.bundle}/{found.env} release {found.seq}", len(found.those("moved"))
    gone = len(found.those("gone"))
    ended = f"; {count(gone, 'process')} ended before" if gone else ""
    if found.last_left is not None:
        last = rfc3339(found.last_left)
        return f"{where}: all {count(moved, 'process')} moved, the last at {last}{ended}"
    heard = moved + len(found.left)
    if not heard and not found.unread:
        return f"{where}: NOT PROVEN, no process has sent a heartbeat{ended}"
    return f"{where}: NOT PROVEN, {moved} of {count(heard, 'process')} moved{ended}"


def pruned(processes: Sequence[str]) -> str:
    """Shows whose heartbeats were removed."""
    names = f": {', '.join(processes)}" if processes else ""
    return f"{count(len(processes), 'heartbeat')} removed{names}"


def fleet_json(found: "Fleet") -> dict[str, Any]:
    """Returns a fleet's JSON form."""
    return {
        "bundle": found.bundle,
        "env": found.env,
        "seq": found.seq,
        "proven": found.proven,
        "last_left": None if found.last_left is None else rfc3339(found.last_left),
        "processes": [
            {
                "process": item.process,
                "host": item.host,
                "seq": item.seq,
                "since": rfc3339(item.since),
                "time": rfc3339(item.time),
                "state": item.state,
            }
            for item in found.processes
        ],
        "unread": list(found.unread),
    }


def exported(done: "Exported") -> str:
    """Shows a snapshot that was written."""
    moved = f"{', '.join(done.moved)} moved" if done.moved else "nothing new"
    pruned = f", {count(done.pruned, 'old object')} removed" if done.pruned else ""
    return (
        f"{done.place}  {count(len(done.seqs), 'environment')}, {moved}; "
        f"{count(done.objects, 'object')} written{pruned}"
    )


def exported_json(done: "Exported") -> dict[str, Any]:
    """Returns the JSON form of a snapshot that was written."""
    return {
        "place": done.place,
        "pointer": done.pointer,
        "seqs": dict(done.seqs),
        "moved": list(done.moved),
        "objects": done.objects,
        "pruned": done.pruned,
    }
