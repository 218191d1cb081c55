"""Evidence: which stored report answers a question, and what it says today.

- A question is (candidate, baseline, suite); every finished report on it is in the store.
- Only a report that covers all others on its question counts, so that a lucky one cannot be
  picked from several.
- The stored verdict is not trusted: the gate judges the stored estimates again.
"""

import re
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from llmvc.app import trust
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.core.estimate import Verdict
from llmvc.core.report import ARMS, TYPE, Report, broken_share, looks
from llmvc.core.suite import Dataset, Suite, added_cases
from llmvc.core.version import contest_key, question_key
from llmvc.errors import GateBlocked, Inconclusive, IntegrityError, NotFoundError
from llmvc.gate.level import Standing

_SLACK: Final = 1e-6
# Canonical JSON spells it just so; labels lie under the question of their reports too.
_REPORT: Final = f'"llmvc":"{TYPE}"'.encode("ascii")
# A canonical report names its candidate once so; its runs are a list under the same name.
_CANDIDATE: Final = re.compile(rb'"candidate":"(b3:[0-9a-f]{64})"')


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the evidence.

    Attributes:
        bundle: the bundle's name.
        candidate: what is to go in.
        baseline: what it is compared with; None on a first release.
        suite: what both are measured by.
        counted: the contest in which candidates count, if it is not the question's own.
    """

    bundle: str
    candidate: Digest
    baseline: Digest | None
    suite: Digest
    counted: Digest | None = None

    @property
    def key(self) -> Digest:
        """K1, under which its reports are filed."""
        return question_key(self.candidate, self.baseline, self.suite)

    @property
    def contest(self) -> Digest:
        """K2, under which the reports on all candidates for the same place are filed."""
        return contest_key(self.baseline, self.suite)

    def __str__(self) -> str:
        """Names the digests for people."""
        short = digest.short
        return (
            f"{self.bundle} {short(self.candidate)} against {short(self.baseline)} "
            f"by suite {short(self.suite)}"
        )


def reports_on(ws: Workspace, question: Question, read: Report | None = None) -> tuple[Report, ...]:
    """Returns every stored report on a question.

    Args:
        ws: the workspace.
        question: what they are about.
        read: one of them that was read before, so that it need not be again.

    Raises:
        IntegrityError: a report on another question lies among them.
    """
    reports = tuple(
        read if read is not None and data == read.data_bytes else Report.from_bytes(data)
        for data in ws.repo.versions.about(question.key)
        if _REPORT in data
    )
    for report in reports:
        if question_key(report.candidate, report.baseline, report.suite) != question.key:
            raise IntegrityError(
                f"report {digest.short(report.digest)} is filed as evidence on {question}, "
                "but is about something else",
                hint="somebody put it there by hand: llmvc fsck",
            )
    return reports


def leaves(report: Report) -> frozenset[Digest]:
    """Returns the digests of the measurements that a report rests on."""
    return frozenset(report.merges or (report.digest,))


def covering(reports: tuple[Report, ...]) -> Report | None:
    """Returns the report that rests on all measurements; None if there is none.

    Raises:
        Inconclusive: several do, and one of them must be wrong: merging has one result.
    """
    everything = frozenset[Digest]().union(*(leaves(report) for report in reports))
    found = [report for report in reports if leaves(report) == everything]
    if len(found) > 1:
        listed = ", ".join(digest.short(report.digest) for report in found)
        raise Inconclusive(
            f"reports {listed} rest on the same measurements and differ",
            hint="one was made by hand, or by another llmvc: measure by a suite with more cases",
        )
    return found[0] if found else None


def standing(report: Report, reports: tuple[Report, ...], tried: int = 1) -> Standing:
    """Returns where a report stands: its look among all on its question, and the candidates tried.

    Args:
        report: the report.
        reports: all on its question.
        tried: candidates known today; a report knows those of its own day.
    """
    own = leaves(report)
    known = [item for item in reports if item.digest in own]
    ended = looks(known)
    return Standing(
        # A measurement that is not at hand was a look all the same.
        look=sum(ended) if len(known) == len(own) else max(sum(ended), report.look, len(own)),
        merged=len(ended) > 1 or len(known) < len(own) > 1,
        tried=max(tried, report.tried),
        made_at=report.alpha,
    )


def tried(ws: Workspace, question: Question) -> int:
    """Counts the candidates tried on a question's baseline and suite, its own included."""
    found = {question.candidate}
    for data in ws.repo.versions.about(question.counted or question.contest):
        match = _CANDIDATE.search(data)
        if match is not None:
            found.add(digest.parse(match[1].decode("ascii")))
    return len(found)


def judge(
    ws: Workspace,
    report: Report,
    suite: Suite,
    where: Standing,
    *,
    cleared: frozenset[str] = frozenset(),
) -> Verdict:
    """Judges stored estimates by a suite's rules; arithmetic only.

    A judge that was found suspect or retired since the report was made is not believed any more.

    Args:
        ws: the workspace.
        report: the evidence.
        suite: the rules.
        where: which look it is, and how many candidates were tried.
        cleared: cases whose severe failure a person accepts.

    Raises:
        IntegrityError: the report was made by another suite.
    """
    from llmvc.gate.decide import decide  # noqa: PLC0415 (rollback never gates)

    if report.suite != suite.digest:
        raise IntegrityError(f"report {digest.short(report.digest)} was made by another suite")
    return decide(
        report.estimates,
        suite,
        has_baseline=report.baseline is not None,
        failures=report.failures("candidate") + report.failures("baseline"),
        broken=broken_share(report.cases),
        standing=where,
        cleared=cleared,
        judges=trust.today(ws, report),
    )


def as_part(report: Report, verdict: Verdict, reports: tuple[Report, ...]) -> Verdict:
    """Returns what a report's verdict is worth among all reports on its question.

    One that does not rest on all measurements decides nothing, whatever it says alone.
    """
    whole = covering(reports)
    if whole is not None and whole.digest == report.digest:
        return verdict
    step = "unite the reports: llmvc eval --merge-only"
    if whole is not None:
        step = f"llmvc gate {digest.short(whole.digest)} judges all of it"
    alone = f"this report alone says {verdict.verdict}, and more was measured"
    return replace(verdict, verdict="inconclusive", reason=alone, settle=step)


def find(
    ws: Workspace, question: Question, suite: Suite, *, cleared: frozenset[str] = frozenset()
) -> tuple[Report, Verdict]:
    """Returns the report that answers a question, and its verdict.

    Args:
        ws: the workspace.
        question: what is asked.
        suite: the rules.
        cleared: cases whose severe failure a person accepts.

    Raises:
        Inconclusive: there is none, or several that were not merged.
    """
    reports = reports_on(ws, question)
    if not reports:
        raise Inconclusive(
            f"no evidence for {question}",
            hint=f"measure it: llmvc eval {question.bundle}",
        )
    report = covering(reports)
    if report is None:
        raise Inconclusive(
            f"{len(reports)} reports on {question} are not merged",
            hint=f"merge them: llmvc eval {question.bundle} --merge-only",
        )
    check_coverage(ws, report, reports, suite)
    where = standing(report, reports, tried(ws, question))
    return report, judge(ws, report, suite, where, cleared=cleared)


def check_coverage(
    ws: Workspace, report: Report, reports: tuple[Report, ...], suite: Suite
) -> None:
    """Checks that each measurement holds the suite's cases, as many as its look needs, and runs.

    Args:
        ws: the workspace.
        report: the one that counts.
        reports: all on its question.
        suite: what they were measured by.

    Raises:
        IntegrityError: one holds others, too few, or too few runs of one.
    """
    known: set[str] = set()
    for wanted in suite.datasets:
        data = ws.repo.versions.read(wanted)
        if data is None:
            return
        known |= {case for case, _ in Dataset.from_bytes(data).cases}
    for leaf in reports:
        if leaf.digest in leaves(report):
            _check_cases(leaf, suite, known)


def _check_cases(report: Report, suite: Suite, known: set[str]) -> None:
    found = {case.id for case in report.cases}
    shares = suite.looks.at
    share = shares[min(report.look, len(shares)) - 1] if suite.looks.by != "any-time" else 0.0
    cases = share if suite.looks.by == "cases" else float(suite.looks.by == "runs")
    runs = ceil(round((share if suite.looks.by == "runs" else 1.0) * suite.runs, 9))
    arms = ARMS if report.baseline is not None else ("candidate",)
    least = min((len(getattr(case, arm)) for case in report.cases for arm in arms), default=0)
    if found <= known and len(found) >= cases * len(known) - _SLACK and least >= runs:
        return
    raise IntegrityError(
        f"report {digest.short(report.digest)} holds {len(found)} of {len(known)} cases "
        f"with {least} runs or more, which is not what its suite asks at look {report.look}",
        hint="somebody made it by hand: measure again",
    )


def golden(question: Question, suite: Suite) -> Question | None:
    """Returns the same question against the suite's pinned version; None if there is none to ask.

    One whose environment serves the pinned version asks it already. Candidates count by what is
    served: the pinned version stays while releases come and go.
    """
    pinned = suite.golden
    if pinned is None or pinned in (question.candidate, question.baseline):
        return None
    return replace(question, baseline=pinned, counted=question.contest)


def flagged(report: Report, suite: Suite) -> frozenset[str]:
    """Returns the cases with a severe failure that the baseline never had."""
    gating = {metric.name for metric in suite.metrics if metric.gate}
    return frozenset(
        case
        for estimate in report.estimates
        if estimate.metric in gating
        for case in estimate.cases.get("severe", ())
    )


def demand_no_severe(report: Report, suite: Suite, cleared: frozenset[str]) -> None:
    """Goes on only if no new severe failure waits for a person to look at it.

    Raises:
        Inconclusive: one does.
    """
    waiting = sorted(flagged(report, suite) - cleared)
    if waiting:
        raise Inconclusive(
            f"case {waiting[0]} failed severely, and nobody has cleared it",
            hint="look at it; if it is no such failure: --clear-severe with the ids, and --reason",
        )


def demand_no_fail(ws: Workspace, question: Question, suite: Suite) -> None:
    """Goes on only if no report on a question says fail by itself.

    What was shown to be worse does not become acceptable by being measured again.

    Raises:
        GateBlocked: one does.
    """
    for report in reports_on(ws, question):
        alone = judge(ws, report, suite, Standing(report.look, made_at=report.alpha))
        if alone.verdict == "fail":
            raise GateBlocked(
                f"report {digest.short(report.digest)} on the same question says fail: "
                f"{alone.reason}",
                hint="only inconclusive evidence can be accepted, not what was shown to be worse",
            )


def demand_pass(report: Report, verdict: Verdict) -> None:
    """Goes on only with a pass.

    Raises:
        GateBlocked: the verdict is fail.
        Inconclusive: it is anything else.
    """
    if verdict.verdict == "pass":
        return
    where = f"report {digest.short(report.digest)}"
    if verdict.verdict == "fail":
        raise GateBlocked(
            f"{where} says fail: {verdict.reason}",
            hint=f"see llmvc gate {digest.short(report.digest)}",
        )
    raise Inconclusive(f"{where} is inconclusive: {verdict.reason}", hint=verdict.settle or "")


def read_suite(ws: Workspace, wanted: Digest) -> Suite:
    """Reads a stored suite.

    Raises:
        NotFoundError: it is not in this clone.
    """
    data = ws.repo.versions.read(wanted)
    if data is None:
        raise NotFoundError(
            f"suite {digest.short(wanted)} is not in this clone", hint="run llmvc fetch"
        )
    return Suite.from_bytes(data)


def cases_added(ws: Workspace, old: Suite, new: Suite, known: tuple[Dataset, ...]) -> int | None:
    """Returns how many cases a new suite adds to the one in force; None if it changes more."""
    datasets = {item.digest: item for item in known}
    for wanted in (*old.datasets, *new.datasets):
        if wanted not in datasets:
            data = ws.repo.versions.read(wanted)
            if data is None:
                return None
            datasets[wanted] = Dataset.from_bytes(data)
    return added_cases(old, new, datasets)
