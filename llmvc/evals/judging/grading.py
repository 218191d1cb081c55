"""The judged scorers of a suite over the outputs of an eval.

- A pointwise judge grades every output. A pairwise one compares the candidate's output with the
  baseline's of the same case and run: the candidate's score is p and the baseline's 1 - p, so that
  the paired difference is 2p - 1. Two equal outputs are a tie, and nobody is asked.
- An application that failed scores 0 without a call; where a provider failed there is no score.
- What a run's judging cost is what its votes cost, though runs with the same output share them;
  `spent_usd` is what was paid now.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.metric import Scorer
from llmvc.core.suite import Case, Suite
from llmvc.errors import ConfigError, FormatError
from llmvc.evals.budget import BYTES_PER_TOKEN, GUESSED_OUTPUT, Budget, Limits
from llmvc.evals.judging.calls import total
from llmvc.evals.judging.judge import Grade, Grader, Item, Judge
from llmvc.evals.prices import Prices
from llmvc.evals.providers.base import Answer
from llmvc.evals.runs import RunCache

Place = tuple[str, str, int]
"""Arm, case id and run number."""

# Cases whose prompts are built to estimate what judging costs.
_SAMPLE: Final = 20


@dataclass(frozen=True, slots=True)
class Output:
    """One answer to grade.

    Attributes:
        arm: `candidate` or `baseline`.
        case: the dataset's row.
        run: the run's number.
        answer: what the arm answered.
    """

    arm: str
    case: Case
    run: int
    answer: Answer

    @property
    def place(self) -> Place:
        """Where it stands in the report."""
        return self.arm, self.case.id, self.run


@dataclass(frozen=True, slots=True)
class Graded:
    """The judged scores of one answer.

    Attributes:
        scores: name of the judged scorer -> score in [0, 1]; None where there is none.
        error: why scores are missing; None if none is, or if the answer itself is.
        usd: what its votes cost, whenever they were made; None if that is not known.
    """

    scores: Mapping[str, float | None]
    error: str | None = None
    usd: float | None = None


class Grading:
    """The judged scorers of a suite, ready to use.

    Args:
        suite: what is measured by.
        judges: the suite's judges by the digest of their bundle.
        cache: where votes are kept.
        prices: what tokens cost.
        now: the clock.
        limits: `max_judge_usd`, `concurrency` and `allow_unpriced` hold for judges.
        fresh: whether to ask for every vote again.

    Raises:
        ConfigError: a judge of the suite is not among `judges`, or cannot be asked.
        FormatError: a bundle among them is no judge.
        ProviderError: the price of a judge is not known, and must be.
    """

    def __init__(
        self,
        suite: Suite,
        judges: Mapping[Digest, Judge],
        cache: RunCache,
        *,
        prices: Prices,
        now: Callable[[], datetime],
        limits: Limits,
        fresh: bool = False,
    ) -> None:
        self._scorers = tuple(_judged(suite))
        self._budget = Budget(limits.max_judge_usd)
        self._graders: dict[Digest, Grader] = {}
        for scorer, wanted in self._scorers:
            if wanted not in judges:
                raise ConfigError(
                    f"scorer {scorer.name} is judged by {digest.short(wanted)}, "
                    "which is not at hand",
                    hint="an eval never picks a judge by itself: commit the judge's bundle, "
                    "and name it in the suite",
                )
            self._graders[wanted] = self._graders.get(wanted) or Grader(
                judges[wanted],
                cache,
                prices=prices,
                now=now,
                budget=self._budget,
                concurrency=limits.concurrency,
                fresh=fresh,
                max_age_s=suite.max_age_s,
                allow_unpriced=limits.allow_unpriced,
            )

    @property
    def names(self) -> frozenset[str]:
        """The names of the judged scorers."""
        return frozenset(scorer.name for scorer, _ in self._scorers)

    @property
    def stopped(self) -> str | None:
        """Why outputs were not judged; None if all were."""
        return next((one.stopped for one in self._graders.values() if one.stopped), None)

    @property
    def spent_usd(self) -> float:
        """What new votes have cost so far."""
        return self._budget.spent

    def check(self, cases: Sequence[Case]) -> None:
        """Tries the messages of every judge on every case, on an empty output.

        Raises:
            FormatError: a case lacks a variable that they show.
        """
        for grader in self._graders.values():
            judge = grader.judge
            for case in cases:
                try:
                    judge.request(_item(judge, case, case.id, ""), 0)
                except FormatError as err:
                    where = f"judge {judge.name}, case {case.id}"
                    raise FormatError(f"{where}: {err}", hint=err.hint) from err

    def estimate(
        self, cases: Sequence[Case], outputs: int, *, paired: bool
    ) -> tuple[int, float | None]:
        """Returns how many calls judging takes if no vote is kept, and about what they cost.

        Args:
            cases: of the suite; some of them stand for all.
            outputs: how many are to be judged, of all arms.
            paired: whether half of them are the baseline's.

        Returns:
            calls, and USD; None if that is not known.
        """
        calls, usd = 0, 0.0
        guess = "x" * (GUESSED_OUTPUT * BYTES_PER_TOKEN)
        known = True
        for grader in self._graders.values():
            sample = [_item(grader.judge, case, case.id, guess) for case in cases[:_SAMPLE]]
            made, cost = grader.estimate(sample)
            pairwise = grader.judge.rules.pairwise
            items = (outputs // 2 if paired else 0) if pairwise else outputs
            calls += made * items // len(sample)
            known = known and cost is not None
            usd += (cost or 0.0) * items / len(sample)
        return calls, usd if known else None

    async def grade(self, outputs: Sequence[Output]) -> Mapping[Place, Graded]:
        """Grades outputs, those of both arms for a case and run together.

        Args:
            outputs: of one look, none of them graded before.

        Returns:
            The judged scores of each of them.

        Raises:
            ProviderError: no call of a judge can succeed, or none is ever answered in form.
        """
        found: dict[Digest, Mapping[Place, Grade]] = {}
        for key, grader in self._graders.items():
            pairwise = grader.judge.rules.pairwise
            found[key] = await (_compare(grader, outputs) if pairwise else _each(grader, outputs))
        return {output.place: self._graded(output.place, found) for output in outputs}

    def _graded(self, place: Place, found: Mapping[Digest, Mapping[Place, Grade]]) -> Graded:
        scores: dict[str, float | None] = {}
        errors: list[str] = []
        for scorer, judge in self._scorers:
            grade = found[judge][place]
            score = grade.score
            scores[scorer.name] = 1.0 - score if scorer.negate and score is not None else score
            if grade.error is not None:
                errors.append(f"scorer {scorer.name}: {grade.error}")
        usd = total([grades[place].usd for grades in found.values()])
        return Graded(scores, "; ".join(errors) or None, usd)

    def facts(self) -> dict[Digest, dict[str, canon.Json]]:
        """Returns what a report says of each judge's work; see `RunResult.judges`.

        `graded`, `flips` and `flagged` count different outputs (pairs of them for a pairwise
        judge), `calls` the replies that their votes took, whenever they were made.
        """
        return {key: _facts(grader) for key, grader in self._graders.items()}

    async def aclose(self) -> None:
        """Frees what the judges' providers hold."""
        providers = [grader.judge.provider for grader in self._graders.values()]
        for provider in {id(one): one for one in providers}.values():
            await provider.aclose()


def _judged(suite: Suite) -> Iterator[tuple[Scorer, Digest]]:
    for scorer in suite.scorers:
        if scorer.type == "judge":
            yield scorer, digest.parse(scorer.options.get("judge"))


def _facts(grader: Grader) -> dict[str, canon.Json]:
    grades = grader.grades
    seen = {one for grade in grades for one in grade.identities}
    return {
        "identities": sorted(([*one] for one in seen), key=canon.encode),
        "graded": sum(grade.score is not None for grade in grades),
        "flips": sum(grade.flipped is True for grade in grades)
        if grader.judge.rules.pairwise
        else None,
        "flagged": sum(bool(grade.flagged) for grade in grades),
        "calls": sum(grade.calls for grade in grades),
        "usd": total([grade.usd for grade in grades]),
    }


def _item(judge: Judge, case: Case, key: str, output: str, other: str = "") -> Item:
    told = {} if case.expected is None else {"expected": case.expected}
    return Item(key, {**case.vars, **told}, output, other if judge.rules.pairwise else None)


async def _each(grader: Grader, outputs: Sequence[Output]) -> dict[Place, Grade]:
    """Returns the grades of a pointwise judge."""
    found = {output.place: _unasked(output.answer) for output in outputs}
    items: dict[Place, Item] = {}
    for output in outputs:
        if output.answer.output is not None:
            key = f"case {output.case.id}, run {output.run} of the {output.arm}"
            items[output.place] = _item(grader.judge, output.case, key, output.answer.output)
    grades = await grader.grade(tuple(items.values()))
    made = {place: grades.get(item.key, _missing(grader)) for place, item in items.items()}
    return {**found, **made}


async def _compare(grader: Grader, outputs: Sequence[Output]) -> dict[Place, Grade]:
    """Returns the grades of a pairwise judge: the candidate's, and turned round the baseline's."""
    places = {output.place: output for output in outputs}
    found = {place: _unasked(output.answer) for place, output in places.items()}
    items: dict[Place, Item] = {}
    for place, output in places.items():
        if output.arm != "candidate":
            continue
        other = places.get(("baseline", *place[1:]))
        if other is None:
            reason = f"judge {grader.judge.name} compares two outputs, and there is no baseline"
            found[place] = Grade(None, error=reason)
            continue
        pair = (output.answer, other.answer)
        if None not in (pair[0].output, pair[1].output):
            key = f"case {output.case.id}, run {output.run}"
            items[place] = _item(
                grader.judge, output.case, key, pair[0].output or "", pair[1].output or ""
            )
            continue
        found[place], found[other.place] = _against_failed(pair)
    asked = [item for item in items.values() if item.output != item.other]
    grades = await grader.grade(asked)
    for place, item in items.items():
        equal = item.output == item.other
        grade = Grade(0.5, usd=0.0) if equal else grades.get(item.key, _missing(grader))
        found[place] = grade
        turned = None if grade.score is None else 1.0 - grade.score
        found["baseline", place[1], place[2]] = replace(grade, score=turned, usd=0.0)
    return found


def _unasked(answer: Answer) -> Grade:
    """Returns the grade of an answer without output: nobody is asked."""
    return Grade(0.0 if answer.fault == "application" else None, usd=0.0)


def _against_failed(pair: tuple[Answer, Answer]) -> tuple[Grade, Grade]:
    """Returns the grades of two answers of which at least one has no output.

    An application's failure loses against an output; beside a provider's nothing is known.
    """
    if any(answer.output is None and answer.fault != "application" for answer in pair):
        return Grade(None, usd=0.0), Grade(None, usd=0.0)
    first, second = (Grade(float(answer.output is not None), usd=0.0) for answer in pair)
    return first, second


def _missing(grader: Grader) -> Grade:
    return Grade(None, error=f"not judged: {grader.stopped}")
