"""Carrying a migration out: the edit, the version, the measurement, the record, the release.

- No file changes before the plan is accepted and the measurement is prepared.
- Whatever stops it afterwards, the same command goes on from there: what is there already is not
  made again.
"""

from dataclasses import dataclass, replace

from llmvc.app import measuring, releasing, versioning
from llmvc.app.appending import Moved
from llmvc.app.job import Choices, OnEstimate, OnProgress
from llmvc.app.judging import Measured
from llmvc.app.migrating import facts, stored
from llmvc.app.migrating.candidate import Asked
from llmvc.app.migrating.planning import Planned
from llmvc.app.releasing import Exceptions
from llmvc.app.versioning import Committed
from llmvc.app.workspace import Workspace
from llmvc.core.canon import mapped
from llmvc.core.digest import short
from llmvc.core.migration import Finding, Judge, Migration, Parameter
from llmvc.core.report import Report
from llmvc.errors import LlmvcError, UsageError


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration led to.

    Attributes:
        committed: the version of the candidate.
        measured: the report and its verdict.
        record: what is stored of it; None where no report was made.
        moved: None where no environment moved.
        stopped: why it did not move after a pass, such as that it moved meanwhile; None if it did.
    """

    committed: Committed
    measured: Measured
    record: Migration | None
    moved: Moved | None
    stopped: LlmvcError | None = None


def check(planned: Planned) -> None:
    """Checks that nothing is left to decide or to mend.

    Raises:
        UsageError: something is.
    """
    record = planned.record
    if record is None:
        return
    if record.undecided:
        listed = ", ".join(one.name for one in record.undecided)
        raise UsageError(
            f"{record.models.to} does not take {listed} as it is",
            hint=f"decide on each: {' '.join(map(_choice, record.undecided))}, "
            "or --set NAME=VALUE to one that it takes",
        )
    if record.refused:
        raise UsageError(
            f"{record.models.to} refuses {_places(record.refused)}",
            hint=f"edit and commit {planned.path} first; if the table of models is wrong, correct "
            "it under `models:` in .llmvc/config.yaml",
        )


def _choice(one: Parameter) -> str:
    """Returns what a person can write to decide on a parameter."""
    needed = one.to is None
    return f"--set {one.name}=…" if needed else f"--drop {one.name}"


def _places(found: tuple[Finding, ...]) -> str:
    return "; ".join(f"{one.where}: {one.says}" for one in found)


def migrate(
    ws: Workspace,
    asked: Asked,
    planned: Planned,
    *,
    message: str | None,
    reason: str | None,
    choices: Choices,
    on_estimate: OnEstimate,
    progress: OnProgress,
) -> Migrated:
    """Edits the manifest as planned, commits, measures, and promotes if asked to.

    The edit stays in the working tree whatever the verdict is; `llmvc checkout` takes it back.

    Args:
        ws: the workspace.
        asked: what a person wants.
        planned: the plan of just that, with something to do.
        message: of the version.
        reason: stands in its release.
        choices: what the person chose of the measurement.
        on_estimate: told what is about to be called.
        progress: called after every run.

    Raises:
        UsageError: a parameter is not decided on; no file changed.
        LlmvcError: the measurement cannot be prepared, and no file changed; or it stopped.
            Of the promotion it is told as `stopped`.
    """
    check(planned)
    comparison, draft = planned.comparison, planned.record
    if comparison is None or draft is None:
        raise UsageError(planned.nothing)
    if planned.stopped is not None:
        raise planned.stopped
    committed = _committed(ws, planned, message or f"migrate to {asked.model}")
    try:
        measured = measuring.evaluate_comparison(
            ws, comparison, choices=choices, on_estimate=on_estimate, progress=progress
        )
    except LlmvcError as err:
        err.hint = "; ".join(filter(None, (err.hint, _left(planned))))
        raise
    except KeyboardInterrupt:
        ws.tell(_left(planned))
        raise
    report, verdict = measured.report, measured.verdict
    record = None
    if report is not None and verdict is not None:
        record = _kept(ws, draft, report, verdict.verdict)
    done = Migrated(committed, measured, record, None)
    if not asked.release or measured.outcome != "pass":
        return done
    return _promoted(ws, draft, done, suite=choices.suite, reason=reason)


def _promoted(
    ws: Workspace, draft: Migration, done: Migrated, *, suite: str | None, reason: str | None
) -> Migrated:
    """Promotes what passed."""
    allowed = Exceptions(reason=reason)
    try:
        moved = releasing.promote(ws, draft.bundle, draft.env, suite=suite, exceptions=allowed)
    except LlmvcError as err:  # what was measured and paid for is told first
        return replace(done, stopped=err)
    return replace(done, moved=moved)


def _committed(ws: Workspace, planned: Planned, message: str) -> Committed:
    """Writes the manifest and makes it a version: both, or neither."""
    versioning.replace_file(ws, planned.path, planned.candidate.new)
    try:
        return versioning.commit(ws, planned.candidate.after.name, message=message)
    except BaseException:  # ^C too: what is no version would not be gone on from
        versioning.replace_file(ws, planned.path, planned.candidate.old)
        raise


def _left(planned: Planned) -> str:
    """Says what a migration that was stopped leaves behind, and how to go on or back."""
    before = planned.candidate.before
    back = f"llmvc checkout {before.name}@{short(before.bundle.digest)}"
    return (
        f"{planned.path} names the new model: the same command goes on from here, "
        f"{back} takes it back"
    )


def _kept(ws: Workspace, draft: Migration, report: Report, verdict: str) -> Migration:
    """Stores the record of a migration that was measured, and returns it."""
    record = replace(
        draft,
        report=report.digest,
        verdict=verdict,
        cost=facts.measured(draft.cost, report),
        judges=tuple(_seen(one, report) for one in draft.judges),
        made=ws.time,
    )
    known = stored.find(ws, record.from_, record.to, record.suite)
    if known is not None and replace(known, made=record.made, actor=record.actor) == record:
        return known
    stored.keep(ws, record)
    return record


def _seen(judge: Judge, report: Report) -> Judge:
    """Returns a judge with the state that the report says it was in."""
    told = mapped(report.judges.get(judge.judge))
    state = told.get("state")
    return replace(judge, state=str(state)) if state is not None else judge
