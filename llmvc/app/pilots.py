"""Pilots: the stored report that tells the planner how much cases and runs vary.

- A report that says fail is no pilot unless it is named: its candidate was unlike the baseline,
  and what is planned for is one that is like it.
- A report with a baseline is preferred: it alone shows how much the true difference varies.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmvc.app import evidence, revisions
from llmvc.app.evidence import Question
from llmvc.app.workspace import Workspace
from llmvc.core.metric import Scorer
from llmvc.core.report import Report
from llmvc.core.suite import Suite
from llmvc.errors import NotFoundError

if TYPE_CHECKING:
    from llmvc.core.estimate import Estimate
    from llmvc.evals.pilot import Pilot

# A canonical report has one top-level time of this name, and no string can hold these quotes.
_FINISHED: Final = re.compile(rb'"finished":"([^"]*)"')


def named(ws: Workspace, prefix: str, suite: Suite) -> "Pilot":
    """Returns what a report teaches that somebody named.

    Args:
        ws: the workspace.
        prefix: the report's digest, or its start.
        suite: the suite to plan for.

    Raises:
        NotFoundError: it is no report, or it measured none of the suite's metrics.
    """
    data = ws.repo.versions.read(revisions.find_digest(ws, prefix))
    if data is None or _FINISHED.search(data) is None:
        raise NotFoundError(
            f"{prefix} is not a report", hint="llmvc log shows the reports of releases"
        )
    pilot = _read(ws, Report.from_bytes(data), suite)
    if not pilot.spreads and not pilot.rates:
        raise NotFoundError(
            f"report {prefix} says nothing about the metrics of this suite",
            hint="name one with a baseline and 20 cases or more that was scored in the same way",
        )
    return pilot


def of_files(baseline: Path, candidate: Path, suite: Suite) -> "Pilot":
    """Returns what two result files teach; their scores bear the names of the metrics.

    Raises:
        UsageError: a file has no score of that name.
        FormatError: a file cannot be read, or they hold different cases.
    """
    from llmvc.app.comparing import Rules, compare_files  # noqa: PLC0415 (only files need it)
    from llmvc.evals import pilot  # noqa: PLC0415 (loads numpy)

    found = pilot.Pilot()
    for metric in suite.metrics:
        if metric.kind != "score" or not metric.gate:
            continue
        rules = Rules((metric.name,), margin=metric.margin, scale=metric.scale)
        cases = compare_files(baseline, candidate, rules).cases
        named = replace(metric, scorers=(metric.name,), slice=None)
        others = tuple(one for one in suite.metrics if one.kind == "cost")
        scorers = (Scorer(metric.name, "equals", {}),)
        one = pilot.read_cases(cases, replace(suite, scorers=scorers, metrics=(named, *others)))
        found = replace(one, spreads={**found.spreads, **one.spreads})
    return found


def last(ws: Workspace, question: Question, env: str, suite: Suite) -> "Pilot | None":
    """Returns what the last report teaches: that of the release, else the newest by this suite.

    A report with a baseline goes before one without, whichever of the two it is.

    Args:
        ws: the workspace.
        question: candidate, baseline and suite that are planned for.
        env: the environment that serves the baseline.
        suite: the suite.
    """
    found = [*_released(ws, question.bundle, env), *_contest(ws, question)]
    paired = [report for report in found if report.baseline is not None]
    for report in (*paired, *found):
        pilot = _read(ws, report, suite)
        if pilot.spreads:
            return pilot
    return None


def estimates(ws: Workspace, question: Question, suite: Suite) -> "tuple[Estimate, ...]":
    """Returns what the newest report on the same baseline and suite teaches about variances.

    It is what `gate.design.refuse_hopeless` takes as its pilot; empty without a report.
    """
    reports = [report for report in _contest(ws, question) if report.baseline is not None]
    if not reports:
        return ()
    from llmvc.evals import planner  # noqa: PLC0415 (loads numpy)

    return planner.estimates(_read(ws, reports[0], suite), suite)


def _read(ws: Workspace, report: Report, suite: Suite) -> "Pilot":
    from llmvc.evals import pilot  # noqa: PLC0415 (loads numpy)

    measured_by = suite
    if report.suite != suite.digest:
        measured_by = evidence.read_suite(ws, report.suite)
    return pilot.read(report, suite, measured_by=measured_by)


def _released(ws: Workspace, bundle: str, env: str) -> list[Report]:
    """Returns the report behind what an environment serves, if it is here and says no fail.

    After a rollback that is the report of the release that it went back to.
    """
    chain = ws.repo.chain(bundle, env)
    tip = chain.tip()
    item = None if tip is None else tip.release
    if item is not None and item.report is None:
        known = {release.digest: release for release in chain.releases()}
        while item is not None and item.report is None and item.target is not None:
            item = known.get(item.target)
    data = ws.repo.versions.read(item.report) if item is not None and item.report else None
    return [] if data is None else _usable([data])


def _contest(ws: Workspace, question: Question) -> list[Report]:
    """Returns the newest usable report on the same baseline and suite, whatever its candidate.

    Of several made at one time the longest: a merged report ends with the last of its leaves.
    """
    filed = ws.repo.versions.about(question.contest)
    for data in sorted(filed, key=_newest, reverse=True):
        if usable := _usable([data]):
            return usable
    return []


def _newest(data: bytes) -> tuple[bytes, int]:
    found = _FINISHED.search(data)
    return (found[1] if found else b"", len(data))


def _usable(stored: list[bytes]) -> list[Report]:
    reports = [Report.from_bytes(data) for data in stored]
    return [report for report in reports if report.verdict.verdict != "fail"]
