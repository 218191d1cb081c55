"""Judging stored evidence again: arithmetic on a report, without statistics and without a call."""

from dataclasses import asdict, dataclass
from math import isclose
from typing import TYPE_CHECKING, Any

from llmvc.app import evidence, revisions
from llmvc.app.evidence import Question
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.estimate import Verdict
from llmvc.core.report import Report
from llmvc.core.suite import Suite
from llmvc.errors import IntegrityError, NotFoundError
from llmvc.gate import level
from llmvc.gate.level import Standing

if TYPE_CHECKING:
    from llmvc.evals.progress import RunResult


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measurement led to.

    Attributes:
        report: the evidence; None if there was nothing to measure.
        verdict: what the gate says of it.
        note: what else a person should know.
        result: what the runner did; None where a stored report answered.
        golden: the same candidate against the suite's pinned version; None if it is not asked.
    """

    report: Report | None
    verdict: Verdict | None
    note: str = ""
    result: "RunResult | None" = None
    golden: "Measured | None" = None

    @property
    def outcome(self) -> str | None:
        """The worst verdict on the questions asked; None if none was."""
        found = {item.verdict.verdict for item in (self, self.golden) if item and item.verdict}
        return next((one for one in ("fail", "inconclusive", "pass") if one in found), None)


def gate(ws: Workspace, prefix: str, *, recompute: bool = False) -> Measured:
    """Judges a stored report again, together with all others on its question.

    Args:
        ws: the workspace.
        prefix: the report's digest, or its start.
        recompute: derive its estimates again from the scores that it carries.

    Raises:
        NotFoundError: no report has that digest.
        IntegrityError: its estimates are not what its scores give.
    """
    data = ws.repo.versions.read(revisions.find_digest(ws, prefix))
    if data is None or not data.startswith(b"{"):
        raise NotFoundError(
            f"{prefix} is not a report", hint="llmvc log shows the reports of releases"
        )
    report = Report.from_bytes(data)
    suite = evidence.read_suite(ws, report.suite)
    question = Question(report.bundle, report.candidate, report.baseline, report.suite)
    reports = evidence.reports_on(ws, question, report)
    evidence.check_coverage(ws, report, reports, suite)
    if recompute:
        _check_estimates(report, suite)
    where = evidence.standing(report, reports, evidence.tried(ws, question))
    verdict = evidence.judge(ws, report, suite, where)
    return Measured(report, evidence.as_part(report, verdict, reports))


def stricter(suite: Suite, where: Standing) -> str:
    """Says how candidates tried before make a verdict stricter; empty if they do not."""
    said = level.note(suite, where)
    return f"\n{said}" if said else ""


def _check_estimates(report: Report, suite: Suite) -> None:
    """Checks the stored estimates against the per-case scores; an undefined one claims nothing."""
    from llmvc.evals.estimates import Design  # noqa: PLC0415 (loads numpy)
    from llmvc.evals.summary import summarize  # noqa: PLC0415

    design = Design(report.alpha, report.seed, report.planned, judges=report.judges)
    derived = {item.metric: asdict(item) for item in summarize(report.cases, suite, design)}
    for stored in report.estimates:
        undefined = stored.reason is not None
        for name, value in asdict(stored).items():
            if undefined and name != "cases":
                continue
            right = derived.get(stored.metric, {}).get(name)
            if not _same(value, right):
                raise IntegrityError(
                    f"report {digest.short(report.digest)}: {name} of {stored.metric} is {value}, "
                    f"its scores give {right}",
                    hint="somebody edited it; find out who, and measure again",
                )


def _same(value: Any, right: Any) -> bool:
    """Says whether two values are the same but for the last digits of their numbers."""
    if isinstance(value, int | float) and isinstance(right, int | float):
        return isclose(value, right, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(value, dict) and isinstance(right, dict):
        return value.keys() == right.keys() and all(_same(value[k], right[k]) for k in value)
    return bool(value == right)
