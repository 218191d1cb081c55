"""What `--json` prints: plain values with stable names; see schemas/output.schema.json."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from llmvc.core import record
from llmvc.core.diff import ABSENT
from llmvc.core.release import Release

if TYPE_CHECKING:
    from llmvc.app.appending import Moved
    from llmvc.app.fitting import Fit
    from llmvc.app.history import Log, Shown
    from llmvc.app.judging import Measured
    from llmvc.app.migrating.moving import Migrated
    from llmvc.app.review import Diff
    from llmvc.app.revisions import Resolved
    from llmvc.app.shipping import Shipped


def plain(value: Any) -> Any:
    """Returns records as objects, other tuples as lists, and everything else as it is."""
    if isinstance(value, Release):
        return release(value)
    named = getattr(value, "_asdict", None)
    if named is not None:
        return plain(named())
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value


def plain_object(value: Any) -> dict[str, Any]:
    """Returns one dataclass as an object."""
    result: dict[str, Any] = plain(value)
    return result


def release(item: Release) -> dict[str, Any]:
    """Returns a release as it is stored, with its digest."""
    stored = {name.name.rstrip("_"): plain(getattr(item, name.name)) for name in fields(item)}
    canary = item.canary.to_dict() if item.canary else None
    return {**stored, "canary": canary, "digest": item.digest}


def fit(found: "Fit | None") -> dict[str, Any] | None:
    """Returns the longest request beside its window; None if no window is known."""
    return None if found is None else {**plain_object(found), "state": found.state}


def resolved(found: "Resolved") -> dict[str, Any]:
    """Returns what a revision named."""
    return {
        "bundle": found.name,
        "digest": found.bundle.digest,
        "kind": found.bundle.kind,
        "sections": found.bundle.section_digests(),
        "release": release(found.release) if found.release else None,
    }


def log(found: "Log") -> dict[str, Any]:
    """Returns a history, newest first."""
    versions = [{**plain_object(item), "digest": item.digest} for item in found.versions]
    return {
        "name": found.name,
        "releases": plain(found.releases),
        "versions": versions,
        "shifts": {str(seq): plain(one) for seq, one in found.shifts.items()},
    }


def shown(found: "Shown") -> dict[str, Any]:
    """Returns one stored object."""
    item = found.resolved.release if found.resolved else None
    told = {"digest": found.digest, "kind": found.kind, "value": plain(found.value)}
    migration = record.members(found.migration) if found.migration else None
    return {**told, "release": release(item) if item else None, "migration": migration}


def diff(found: "Diff") -> dict[str, Any]:
    """Returns the changes; a side that is absent has no member."""
    listed: list[dict[str, Any]] = []
    for change in found.changes:
        entry: dict[str, Any] = {"section": change.section, "path": list(change.path)}
        if change.old is not ABSENT:
            entry["old"] = plain(change.old)
        if change.new is not ABSENT:
            entry["new"] = plain(change.new)
        listed.append(entry)
    return {"old": resolved(found.old), "new": resolved(found.new), "changes": listed}


def moved(done: "Moved", *, dry_run: bool) -> dict[str, Any]:
    """Returns a move with its old and new digest."""
    return {
        "release": release(done.release),
        "written": done.written,
        "dry_run": dry_run,
        "suite_note": done.suite_note or None,
        "verdict": plain(done.verdict),
        "pushed": done.pushed or None,
    }


def measured(done: "Measured") -> dict[str, Any]:
    """Returns the estimates and the verdict, without the per-case rows."""
    report, result = done.report, done.result
    members: dict[str, Any] = {
        "verdict": plain(done.verdict),
        "note": done.note or None,
        "report": None,
    }
    if report is not None:
        members["report"] = {
            "digest": report.digest,
            "bundle": report.bundle,
            "candidate": report.candidate,
            "baseline": report.baseline,
            "suite": report.suite,
            "cases": len(report.cases),
            "estimates": plain(report.estimates),
            "recorded": report.recorded,
            "look": report.look,
            "tried": report.tried,
            "alpha": report.alpha,
            "merges": list(report.merges),
            "failures": {arm: report.failures(arm) for arm in ("baseline", "candidate")},
        }
    calls = (
        {"called": result.called, "reused": result.reused, "cost_usd": result.cost_usd}
        if result
        else None
    )
    golden = measured(done.golden) if done.golden else None
    return {**members, "calls": calls, "golden": golden}


def migrated(done: "Migrated") -> dict[str, Any]:
    """Returns what a migration led to."""
    return {
        "committed": plain(done.committed),
        "measured": measured(done.measured),
        "record": None if done.record is None else record.members(done.record),
        "moved": moved(done.moved, dry_run=False) if done.moved else None,
    }


def shipped(done: "Shipped") -> dict[str, Any]:
    """Returns how far `ship` came."""
    return {
        "committed": plain(done.committed),
        "measured": measured(done.measured),
        "moved": moved(done.moved, dry_run=False) if done.moved else None,
        "pushed": plain(done.pushed),
    }
