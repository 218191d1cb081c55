"""People's labels: a small sheet of answers to grade, and what they change about a verdict.

- Cases are drawn at random, and each with one run of both versions; which is which is not told.
- What is read becomes one more leaf report with the same runs and the labels in it, so that merging
  corrects the judged metric; no further look at the data is spent on it.
- Labels are stored as well, by themselves, as evidence that people gave.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from llmvc.app import evidence, judging, measuring, panel, revisions
from llmvc.app.evidence import Question
from llmvc.app.job import file_report
from llmvc.app.outputs import Outputs, outputs
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.estimate import Estimate
from llmvc.core.judge import Rules
from llmvc.core.judging import Evidence, Labels
from llmvc.core.metric import Scorer
from llmvc.core.plural import count
from llmvc.core.report import Report
from llmvc.core.suite import Suite
from llmvc.errors import FormatError, NotFoundError, UsageError
from llmvc.files import labels
from llmvc.files.labels import Filled, Pair, Sheet
from llmvc.gate.judged import SCORER

_AGAIN: Final = "make the sheet again: llmvc judge label REPORT --out FILE"


@dataclass(frozen=True, slots=True)
class Made:
    """A sheet, its text, and how many of the report's cases could be shown."""

    sheet: Sheet
    text: str
    shown: int
    drawable: int


@dataclass(frozen=True, slots=True)
class Read:
    """What people's labels led to.

    Attributes:
        labels: the stored record.
        filled: what the sheet held.
        judged: the estimates of the metrics that rest on the scorer, by the judge alone.
        measured: the verdict with the labels in it.
    """

    labels: Labels
    filled: Filled
    judged: tuple[Estimate, ...]
    measured: judging.Measured


def make(ws: Workspace, name: str, *, n: int, scorer: str | None, seed: int | None) -> Made:
    """Draws answers of a report for people to grade.

    Args:
        ws: the workspace.
        name: a report's digest, or a version that was measured.
        n: how many cases.
        scorer: the judged scorer; None if the suite has one.
        seed: of the draw; None derives it from the question, so that a larger sheet of the same
            question holds the cases of a smaller one.

    Raises:
        UsageError: the suite has no judged scorer of that name.
        NotFoundError: no answer is in this clone.
    """
    from llmvc.app import reporting  # noqa: PLC0415 (it counts changes)

    found = reporting.read(ws, name, listed=0)
    report, suite = found.report, found.suite
    judged = _scorer(suite, scorer)
    judge = digest.parse(judged.options.get("judge"))
    rules = Rules.of(revisions.read_bundle(ws, judge))
    question = _question(report)
    drawn_with = int(digest.hex_of(question.key)[:8], 16) if seed is None else seed
    found_here = outputs(ws, report, suite)
    pairs = _pairs(found_here, drawn_with)
    if not pairs or (rules.pairwise and report.baseline is None):
        raise NotFoundError(
            f"report {digest.short(report.digest)} has no answers of both versions in this clone"
        )
    sheet = Sheet(
        report=report.digest,
        scorer=judged.name,
        judge=judge,
        grades=tuple(rules.grades),
        seed=drawn_with,
        compared=rules.pairwise,
        cases=min(n, len(pairs)),
    )
    chosen = pairs[:n]
    return Made(sheet, labels.write(sheet, chosen), len(chosen), len(pairs))


def _pairs(found: Outputs, seed: int) -> list[Pair]:
    """Returns one run of each case, of those that all versions have, in the order of the draw."""
    arms = ("candidate",) if found.report.baseline is None else ("candidate", "baseline")
    made: dict[str, dict[str, set[int]]] = {}
    for arm, case, run in found.texts:
        made.setdefault(case, {}).setdefault(arm, set()).add(run)
    drawn = sorted((labels.drawn(seed, f"case/{case}"), case) for case in made)
    pairs: list[Pair] = []
    for _, case in drawn:
        shared = set.intersection(*(made[case].get(arm, set[int]()) for arm in arms))
        if not shared:
            continue
        _, run = min((labels.drawn(seed, f"{case}/{one}"), one) for one in shared)
        texts = [found.texts[arm, case, run][1] for arm in arms]
        other = texts[1] if len(texts) > 1 else None
        pairs.append(Pair(case, run, found.vars(case), texts[0], other))
    return pairs


def read(ws: Workspace, path: str, *, rater: str | None) -> Read:
    """Reads a sheet that people filled in, and judges its question again with their labels.

    Raises:
        NotFoundError: the file, or the report that it is about, is not here.
        FormatError: a row was changed, or holds a grade that is not offered; names its line.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as err:
        raise NotFoundError(f"cannot read {path}: {err.strerror}") from err
    head = labels.head(data, path)
    stored = ws.repo.versions.read(head.report)
    if stored is None:
        raise NotFoundError(
            f"{path}:1: report {digest.short(head.report)} is not in this clone",
            hint="run llmvc fetch",
        )
    report = Report.from_bytes(stored)
    suite = evidence.read_suite(ws, report.suite)
    rules = _checked(ws, head, suite, path)
    filled = labels.read(data, path, {case.id for case in report.cases})
    if not filled.grades:
        raise FormatError(f"{path} holds no grade", hint="write grades in place of null first")
    record = Labels(
        judge=head.judge,
        scorer=head.scorer,
        suite=report.suite,
        candidate=report.candidate,
        baseline=report.baseline,
        cases=_scores(filled, rules),
        raters=1,
        made=ws.time,
        actor=rater or ws.actor,
    )
    return _settled(ws, report, suite, record, filled)


def _settled(ws: Workspace, report: Report, suite: Suite, record: Labels, filled: Filled) -> Read:
    """Stores labels, and judges their question again with them."""
    question = _question(report)
    data = record.to_bytes()
    ws.repo.versions.add(
        objects=[data],
        about=[(question.key, data)],
        subject=f"{report.bundle}: {count(len(record.cases), 'label')}",
        author=ws.actor,
        time=ws.now(),
    )
    whole = _whole(ws, question, suite)
    # The labels of other sheets stand in other leaves: here they would count twice.
    told = {own: replace(Evidence.from_dict(one), labels={}) for own, one in whole.judges.items()}
    labelled = replace(told[record.judge], labels={record.scorer: record.cases})
    judges = {own: one.to_dict() for own, one in {**told, record.judge: labelled}.items()}
    leaf = panel.again(ws, whole, suite, judges)
    file_report(ws, question, leaf)
    united = _whole(ws, question, suite)
    resting = {one.name for one in suite.metrics if record.scorer in one.scorers}
    alone = tuple(_alone(one) for one in united.estimates if one.metric in resting)
    return Read(record, filled, alone, judging.gate(ws, united.digest))


def _alone(found: Estimate) -> Estimate:
    """Returns an estimate as the judge alone gives it."""
    told = found.details.get("judge")
    if told is None:
        return found
    return replace(
        found,
        estimate=told.get("reported"),
        low=told.get("reported_low"),
        high=told.get("reported_high"),
        baseline=told.get("reported_baseline"),
        candidate=told.get("reported_candidate"),
    )


def _whole(ws: Workspace, question: Question, suite: Suite) -> Report:
    """Returns the report that rests on all measurements of a question."""
    found, _ = measuring.one_report(ws, question, suite)
    if found is None:
        raise NotFoundError(f"no report on {question} is in this clone", hint="run llmvc fetch")
    return found


def _scorer(suite: Suite, name: str | None) -> Scorer:
    """Returns the judged scorer of a name; the only one if none is named.

    Raises:
        UsageError: there is none, or several.
    """
    found = [one for one in suite.scorers if one.type == SCORER and name in (None, one.name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            "the suite has no judged scorer" + (f" {name!r}" if name else ""),
            hint="labels correct a judge: see docs/judges.md",
        )
    listed = ", ".join(one.name for one in found)
    raise UsageError(f"which scorer? the suite has {listed}", hint=f"--scorer {found[0].name}")


def _question(report: Report) -> Question:
    return Question(report.bundle, report.candidate, report.baseline, report.suite)


def _checked(ws: Workspace, sheet: Sheet, suite: Suite, path: str) -> Rules:
    """Returns the rules of a sheet's judge, which must be that of the report's scorer."""
    right = {one.name: one.options.get("judge") for one in suite.scorers if one.type == SCORER}
    if right.get(sheet.scorer) != sheet.judge:
        raise FormatError(f"{path}:1: scorer {sheet.scorer!r} has another judge in the report")
    rules = Rules.of(revisions.read_bundle(ws, sheet.judge))
    if (sheet.grades, sheet.compared) != (tuple(rules.grades), rules.pairwise):
        raise FormatError(f"{path}:1: these are not the grades of the judge", hint=_AGAIN)
    return rules


def _scores(filled: Filled, rules: Rules) -> dict[str, tuple[float | None, float]]:
    """Returns case -> (baseline's score, candidate's)."""
    if not rules.pairwise:
        return {
            case: (None if baseline is None else rules.grades[baseline], rules.grades[candidate])
            for case, (baseline, candidate) in filled.grades.items()
        }
    found: dict[str, tuple[float | None, float]] = {}
    for case, (_, grade) in filled.grades.items():
        score = rules.grades[grade]
        own = 1.0 - score if case in filled.swapped else score
        found[case] = (1.0 - own, own)
    return found
