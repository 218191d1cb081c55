"""How fleets and snapshots are shown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from llmvc.core.plural import count
from llmvc.render.text import table

if TYPE_CHECKING:
    from llmvc.runtime.export import Exported
    from llmvc.runtime.fleet import Fleet


def fleet(found: "Fleet") -> str:
    """Shows who has not moved, then the sum in one line."""
    left = found.those("behind", "silent")
    rows = [
        (f"  {item.state}", item.process, f"release {item.seq}", f"heard {clock(item.time)}")
        for item in left
    ]
    lines = [table(rows)] if rows else []
    lines += [f"  unread  {what}" for what in found.unread]
    return "\n".join([*lines, told(found)])


def told(found: "Fleet") -> str:
    """Returns the sum: what is proven, and since when."""
    where, moved = f"{found.bundle}/{found.env} release {found.seq}", len(found.those("moved"))
    gone = len(found.those("gone"))
    ended = f"; {_processes(gone)} ended before" if gone else ""
    if found.last_left is not None:
        return (
            f"{where}: all {_processes(moved)} moved, the last at {clock(found.last_left)}{ended}"
        )
    if not found.processes and not found.unread:
        return f"{where}: NOT PROVEN, no process has sent a heartbeat"
    heard = moved + len(found.those("behind", "silent"))
    return f"{where}: NOT PROVEN, {moved} of {_processes(heard)} moved{ended}"


def _processes(number: int) -> str:
    return "1 process" if number == 1 else f"{number:,} processes"


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
        "last_left": None if found.last_left is None else clock(found.last_left),
        "processes": [
            {
                "process": item.process,
                "host": item.host,
                "seq": item.seq,
                "since": clock(item.since),
                "time": clock(item.time),
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


def clock(seconds: float) -> str:
    """Returns a time as RFC 3339 in UTC, to the millisecond."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
