"""What is made of judges in a report that somebody put into the store by hand."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from llmvc.core import digest
from llmvc.core.judging import TRUSTED, Evidence
from llmvc.core.report import Report
from llmvc.core.version import contest_key, question_key
from llmvc.store.repository import Repository


def stored(repo, wanted):
    """Returns a stored report."""
    with Repository.open(repo.root) as store:
        return Report.from_bytes(store.versions.read(wanted))


def filed(repo, report):
    """Files a report under its keys, as anybody with this clone could."""
    data = report.data_bytes
    key = question_key(report.candidate, report.baseline, report.suite)
    with Repository.open(repo.root) as store:
        store.versions.add(
            objects=[data],
            about=[(one, data) for one in (key, contest_key(report.baseline, report.suite))],
            subject="by hand",
            author="Eve <eve@example.org>",
            time=datetime(2026, 11, 20, tzinfo=UTC),
        )
    return report.digest


def believed(report, **members):
    """Returns the report with more said for its judges."""
    said = {
        own: replace(Evidence.from_dict(one), **members).to_dict()
        for own, one in report.judges.items()
    }
    return replace(report, judges=said)


@pytest.mark.parametrize("calibration", [None, digest.of_bytes(b"nothing")], ids=["none", "absent"])
def test_a_judge_is_not_trusted_because_a_report_says_so(
    fresh, cli, tmp_path, monkeypatch, calibration
):
    cli("commit", "replies", "-m", "first")
    other = fresh.copy(tmp_path / "other")
    wanted = cli.json("eval", "replies", code=3)["report"]["digest"]
    report = stored(fresh, wanted)
    monkeypatch.chdir(other.root)
    forged = believed(
        report, state=TRUSTED, why=(), calibration=calibration, check=calibration, labels={}
    )
    filed(other, forged)
    done = cli("promote", "replies", "prod", code=3)
    assert "UNCALIBRATED" in done.err


def test_labels_that_no_sheet_holds_are_not_evidence(measured, cli):
    wanted = cli.json("eval", "replies", code=None)["report"]["digest"]
    report = stored(measured, wanted)
    (said,) = report.judges.values()
    (scorer,) = Evidence.from_dict(said).scorers
    labels = {scorer: {case.id: (0.0, 1.0) for case in report.cases[:120]}}
    forged = filed(measured, replace(believed(report, labels=labels), actor="Eve"))
    for words in (
        ("gate", forged),
        ("eval", "replies", "--merge-only"),
        ("promote", "replies", "prod"),
    ):
        assert "no stored sheet has" in cli(*words, code=4).err, words
