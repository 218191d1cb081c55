"""A report as `--json` prints it: everything that the other forms show, and nothing private.

The stored object, with every run of every case, is what `llmvc show` prints.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmvc.core.record import members as members_of
from llmvc.core.report import Run
from llmvc.render.asjson import plain

if TYPE_CHECKING:
    from llmvc.app.reporting import Reading
    from llmvc.evals.changes import CaseChange, Changes, Scores


def members(reading: "Reading") -> dict[str, Any]:
    """Returns the members of a `reading/1` object."""
    report, suite, standing = reading.report, reading.suite, reading.standing
    return {
        "digest": report.digest,
        "bundle": report.bundle,
        "candidate": report.candidate,
        "baseline": report.baseline,
        "suite": report.suite,
        "verdict": plain(reading.verdict),
        "estimates": plain(report.estimates),
        "changes": [_changes(item, reading.listed) for item in reading.changes],
        "cases": {
            "measured": len(report.cases),
            "planned": report.planned.get("cases", len(report.cases)),
        },
        "runs": suite.runs,
        "alpha": report.alpha,
        "look": {
            "at": standing.look or len(suite.looks.at),
            "planned": len(suite.looks.at),
            "by": suite.looks.by,
            "merged": standing.merged,
        },
        "tried": {"candidates": standing.tried, "allowed": suite.candidates},
        "failures": {arm: report.failures(arm) for arm in ("baseline", "candidate")},
        "recorded": report.recorded,
        "merges": list(report.merges),
        "started": report.started,
        "finished": report.finished,
        "actor": report.actor,
        "tool": report.tool,
        "notes": list(reading.notes),
        "migration": members_of(reading.migration) if reading.migration else None,
    }


def _changes(found: "Changes", listed: int) -> dict[str, Any]:
    return {
        "metric": found.metric,
        "counts": found.counts,
        "cases": [_case(item) for item in found.first(listed)],
    }


def _case(item: "CaseChange") -> dict[str, Any]:
    return {
        "id": item.case.id,
        "group": item.case.group,
        "tags": list(item.case.tags),
        "kind": item.kind,
        "change": item.change,
        "candidate": _runs(item.case.candidate, item.candidate),
        "baseline": _runs(item.case.baseline, item.baseline),
    }


def _runs(runs: Sequence[Run], scores: "Scores") -> list[dict[str, Any]]:
    return [
        {"run": run.run, "score": score, "run_id": run.run_id, "error": run.error}
        for run, score in zip(runs, scores, strict=True)
    ]
