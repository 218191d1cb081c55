"""What a report says of its judges, with no more trust than the store bears out.

- A report can be made by hand. What it says of a judge counts as far as stored records say it too:
  its calibration and checks, the labels of people, and the bundles that it names.
- What came out against a judge since counts; what would speak for it must stand in the report.
"""

from collections.abc import Mapping
from dataclasses import replace

from llmvc.app import judges, kinship
from llmvc.app.workspace import Workspace
from llmvc.core import canon, digest
from llmvc.core.bundle import Bundle
from llmvc.core.digest import Digest
from llmvc.core.judging import Evidence, Labels
from llmvc.core.report import Report
from llmvc.core.version import question_key
from llmvc.errors import FormatError, IntegrityError
from llmvc.gate.judged import upheld

_LABELS = f'"llmvc":"{Labels.TYPE}"'.encode("ascii")


def today(ws: Workspace, report: Report) -> Mapping[str, canon.Json]:
    """Returns what is to be believed of a report's judges.

    Raises:
        IntegrityError: it holds labels that nobody stored.
    """
    found = dict(report.judges)
    for own, value in report.judges.items():
        try:
            said = Evidence.from_dict(value)
        except FormatError:
            continue  # the gate refuses it
        judge = digest.parse(own)
        _check_labels(ws, report, judge, said)
        known = judges.known(ws, judge)
        told = upheld(
            said, known.calibrations, known.checks, known.tombstone, at=report.finished, now=ws.time
        )
        found[own] = _related(ws, report, told).to_dict()
    return found


def _related(ws: Workspace, report: Report, said: Evidence) -> Evidence:
    """Returns what is said of a judge with its relation to the arms as their bundles show it."""
    candidate, baseline = _bundle(ws, report.candidate), _bundle(ws, report.baseline)
    if candidate is None:
        return said
    return replace(
        said,
        migration=said.migration or kinship.migrates(baseline, candidate),
        same_family=said.same_family or kinship.kin(said.family, candidate, baseline),
    )


def _bundle(ws: Workspace, wanted: Digest | None) -> Bundle | None:
    data = None if wanted is None else ws.repo.versions.read(wanted)
    return None if data is None else Bundle.from_bytes(data)


def _check_labels(ws: Workspace, report: Report, judge: Digest, said: Evidence) -> None:
    """Checks that each label lies within what stored sheets say of its case."""
    if not said.labels:
        return
    key = question_key(report.candidate, report.baseline, report.suite)
    sheets = [Labels.from_bytes(data) for data in ws.repo.versions.about(key) if _LABELS in data]
    for scorer, cases in said.labels.items():
        own = [one.cases for one in sheets if (one.judge, one.scorer) == (judge, scorer)]
        for case, pair in cases.items():
            stored = [one[case] for one in own if case in one]
            if not all(
                _within(told, [one[arm] for one in stored]) for arm, told in enumerate(pair)
            ):
                raise IntegrityError(
                    f"report {digest.short(report.digest)} holds a label of case {case} that no "
                    "stored sheet has",
                    hint="somebody made it by hand: measure again",
                )


def _within(told: float | None, stored: list[float | None]) -> bool:
    known = [one for one in stored if one is not None]
    return told is None or (bool(known) and min(known) - 1e-9 <= told <= max(known) + 1e-9)
