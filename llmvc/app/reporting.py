"""A report for reading: found by its name, judged anew, and broken down case by case.

- Reading never measures, and stores nothing.
- Outputs are private: they are read from this clone's run cache, and only if they are asked for.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from llmvc.app import evidence, revisions
from llmvc.app.evidence import Question
from llmvc.app.migrating import stored
from llmvc.app.workspace import Workspace
from llmvc.core import digest, variants
from llmvc.core.bundle import Bundle
from llmvc.core.digest import Digest
from llmvc.core.estimate import Verdict
from llmvc.core.migration import Migration
from llmvc.core.release import Release
from llmvc.core.report import TYPE, Report
from llmvc.core.suite import Suite
from llmvc.errors import Inconclusive, NotFoundError
from llmvc.evals.changes import Changes, changes
from llmvc.gate.level import Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvc.app.revisions import Resolved
    from llmvc.evals.runs import Entry

CASES: Final = 10
"""How many cases of each kind are listed unless told."""
# Canonical JSON spells it just so.
_MARK: Final = f'"llmvc":"{TYPE}"'.encode("ascii")


@dataclass(frozen=True, slots=True)
class Reading:
    """A report with everything that a reader needs beside it.

    Attributes:
        report: the evidence.
        suite: the rules that it was made by.
        verdict: what the gate says of it today.
        standing: which look it is, and how many candidates were tried.
        changes: what changed case by case, for each score and severe metric.
        listed: how many cases of each kind are listed.
        outputs: run -> what the run cache holds of it, for the listed cases; None if outputs were
            not asked for.
        notes: what else a reader should know.
        migration: what the candidate's move to another model says; None if it was none.
    """

    report: Report
    suite: Suite
    verdict: Verdict
    standing: Standing
    changes: tuple[Changes, ...]
    listed: int = CASES
    outputs: "Mapping[Digest, Entry] | None" = None
    notes: tuple[str, ...] = field(default=())
    migration: Migration | None = None


def read(
    ws: Workspace,
    name: str | None,
    *,
    env: str | None = None,
    suite: str | None = None,
    listed: int = CASES,
    outputs: bool = False,
) -> Reading:
    """Finds a report and reads it.

    Args:
        ws: the workspace.
        name: a report's digest or its start; an environment, for the report that its release
            carries; another version, for the report on it; None for the working tree.
        env: the environment that a version is compared with.
        suite: path of the suite file, if the bundle has several.
        listed: how many cases of each kind are listed.
        outputs: whether to read their outputs from the run cache.

    Raises:
        NotFoundError: no report has that name.
        Inconclusive: nobody has measured that version yet.
    """
    report = _named(ws, name, env, suite)
    rules = evidence.read_suite(ws, report.suite)
    question = Question(report.bundle, report.candidate, report.baseline, report.suite)
    known = evidence.reports_on(ws, question, report) or (report,)
    standing = evidence.standing(report, known, evidence.tried(ws, question))
    changed = changes(report.cases, rules)
    notes: list[str] = []
    latest = _latest(known)
    if latest.digest != report.digest:
        notes.append(f"superseded by report {digest.short(latest.digest)}")
    notes += _as_written(ws, report, rules)
    found = None
    if outputs:
        found, missing = _outputs(ws, changed, listed)
        if missing:
            notes.append(
                f"{missing} outputs are not in this clone's run cache: they stay where they "
                "were measured"
            )
    return Reading(
        report=report,
        suite=rules,
        verdict=evidence.as_part(report, evidence.judge(ws, report, rules, standing), known),
        standing=standing,
        changes=changed,
        listed=listed,
        outputs=found,
        notes=tuple(notes),
        migration=stored.find(ws, report.baseline, report.candidate, report.suite),
    )


def _as_written(ws: Workspace, report: Report, suite: Suite) -> list[str]:
    """Says which of the suite's variants left the candidate as it is."""
    data = ws.repo.versions.read(report.candidate)
    if not suite.variants or data is None:
        return []
    left = variants.unchanged(Bundle.from_bytes(data), suite.variants)
    return [f"variants that found nothing to change: {', '.join(left)}"] if left else []


def _named(ws: Workspace, name: str | None, env: str | None, suite: str | None) -> Report:
    """Returns the report that a name stands for."""
    if name is not None and name.startswith("b3:"):
        return _stored(ws, revisions.find_digest(ws, name), name)
    version = revisions.resolve(ws, name if name is not None else ws.bundle_name(None))
    if version.release is not None:
        return _carried(ws, version, version.release)
    from llmvc.app import measuring  # noqa: PLC0415 (loads the providers)

    where = env if env is not None else measuring.default_environment(ws.config)
    served = measuring.served_bundle(ws, version.name, where)
    if served is not None and served.digest == version.bundle.digest:
        current = revisions.resolve(ws, f"{version.name}@{where}")
        if current.release is not None:
            return _carried(ws, current, current.release)
    question = Question(
        version.name,
        version.bundle.digest,
        served.digest if served else None,
        ws.suite_of(version.name, suite).suite.digest,
    )
    reports = evidence.reports_on(ws, question)
    if not reports:
        raise Inconclusive(
            f"no report on {question}", hint=f"measure it: llmvc eval {version.label}"
        )
    return _latest(reports)


def _carried(ws: Workspace, version: "Resolved", release: Release) -> Report:
    """Returns the report that a release carries; of a rollback, that of where it went back to."""
    item, known = release, dict[Digest, Release]()
    if release.report is None:
        tips = ws.repo.chain(release.bundle, release.env).tips()
        known = {tip.release.digest: tip.release for tip in tips}
    while item.report is None and item.target is not None:
        item = known[item.target]
    if item.report is None:
        raise NotFoundError(
            f"{version.label} is release {release.seq}, {release.kind}, which carries no report",
            hint=f"llmvc log {release.bundle}@{release.env} shows which do",
        )
    return _stored(ws, item.report, version.label)


def _stored(ws: Workspace, wanted: Digest, name: str) -> Report:
    data = ws.repo.versions.read(wanted)
    if data is None:
        raise NotFoundError(
            f"report {digest.short(wanted)} is not in this clone", hint="run llmvc fetch"
        )
    if _MARK not in data:
        raise NotFoundError(
            f"{name} is not a report", hint="llmvc log shows the reports of releases"
        )
    return Report.from_bytes(data)


def _latest(reports: tuple[Report, ...]) -> Report:
    """Returns the report that rests on all others; the newest if none does."""
    covering = evidence.covering(reports)
    return covering or max(reports, key=lambda report: (report.finished, report.digest))


def _outputs(
    ws: Workspace, changed: tuple[Changes, ...], listed: int
) -> "tuple[Mapping[Digest, Entry], int]":
    """Returns what the run cache holds of the listed cases, and how many runs it lacks."""
    from llmvc.evals import runs  # noqa: PLC0415 (only where outputs are asked for)

    wanted = {
        run.run_id
        for one in changed
        for item in one.first(listed)
        for run in (*item.case.candidate, *item.case.baseline)
        if run.run_id is not None and run.error is None
    }
    found = runs.search(runs.folder(ws.repo.common_dir), wanted.__contains__)
    return found, len(wanted) - len(found)
