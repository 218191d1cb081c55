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
from functools import partial
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.metric import Scorer
from llmvc.core.suite import Case, Suite
from llmvc.errors import ConfigError, FormatError
from llmvc.evals.budget import BYTES_PER_TOKEN, GUESSED_OUTPUT, Budget, Limits
from llmvc.evals.judging.calls import Forecast, total
from llmvc.evals.judging.grader import Grader
from llmvc.evals.judging.grades import Grade, Item
from llmvc.evals.judging.judge import Judge
from llmvc.evals.prices import Prices
from llmvc.evals.progress import Votes
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
        UsageError: the same, and only `limits.max_judge_usd` stands against it.
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
        self.votes = Votes()
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
        self, known: Sequence[Output], cases: Sequence[Case], total: int, *, paired: bool
    ) -> Forecast:
        """Returns what judging takes, without a call.

        Args:
            known: the outputs that are there; those of a pair are both there, or neither counts.
            cases: some of them stand for the outputs to come.
            total: how many outputs are to be judged, of all arms.
            paired: whether half of them are the baseline's.
        """
        places = {output.place for output in known}
        pairs = sum(_beside(one) in places for one in places if one[0] == "candidate")
        whole = Forecast()
        for grader in self._graders.values():
            pairwise = grader.judge.rules.pairwise
            whole += grader.estimate(tuple(_work(grader, known).items.values()))
            left = (total // 2 - pairs) * paired if pairwise else total - len(known)
            if left:
                whole += _to_come(grader, cases[:_SAMPLE], left)
        return whole

    async def grade(
        self, outputs: Sequence[Output], tell: Callable[[], None] = lambda: None
    ) -> Mapping[Place, Graded]:
        """Grades outputs, those of both arms for a case and run together.

        Args:
            outputs: of one look, none of them graded before.
            tell: called before the first vote and after every grade, to look at `votes`.

        Returns:
            The judged scores of each of them.

        Raises:
            ProviderError: no call of a judge can succeed, or none is ever answered in form.
        """
        work = {key: _work(grader, outputs) for key, grader in self._graders.items()}
        total = sum(len(one.items) * self._graders[key].judge.calls for key, one in work.items())
        self.votes = Votes(0, total)

        def count(_item: Item, grade: Grade, *, calls: int) -> None:
            if grade.votes:
                self.votes = self.votes.plus(calls, new=grade.asked > 0)
            tell()

        tell()
        found: dict[Digest, Mapping[Place, Grade]] = {}
        for key, one in work.items():
            grader = self._graders[key]
            counted = partial(count, calls=grader.judge.calls)
            grades = await grader.grade(tuple(one.items.values()), on_grade=counted)
            found[key] = one.graded(grader, grades)
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


def _to_come(grader: Grader, cases: Sequence[Case], outputs: int) -> Forecast:
    """Returns what outputs take at most that are not there yet; some cases stand for theirs."""
    guess = "x" * (GUESSED_OUTPUT * BYTES_PER_TOKEN)
    sample = grader.estimate([_item(grader.judge, case, case.id, guess) for case in cases])
    calls = outputs * grader.judge.calls
    usd = None if sample.usd is None or not sample.calls else calls * sample.usd / sample.calls
    return Forecast(calls, calls, 0, usd)


def _item(judge: Judge, case: Case, key: str, output: str, other: str = "") -> Item:
    told = {} if case.expected is None else {"expected": case.expected}
    return Item(key, {**case.vars, **told}, output, other if judge.rules.pairwise else None)


@dataclass(frozen=True, slots=True)
class _Work:
    """What a judge is to be asked about outputs, and the grades that need no asking."""

    items: Mapping[Place, Item]
    settled: Mapping[Place, Grade]

    def graded(self, grader: Grader, grades: Mapping[str, Grade]) -> dict[Place, Grade]:
        """Returns all grades; what a judge says of a pair holds turned round for the baseline."""
        made = {place: grades.get(item.key, _missing(grader)) for place, item in self.items.items()}
        if grader.judge.rules.pairwise:
            made |= {_beside(place): _turned(grade) for place, grade in made.items()}
        return {**self.settled, **made}


def _work(grader: Grader, outputs: Sequence[Output]) -> _Work:
    return (_comparing if grader.judge.rules.pairwise else _each)(grader.judge, outputs)


def _each(judge: Judge, outputs: Sequence[Output]) -> _Work:
    """Returns the work of a pointwise judge."""
    settled = {output.place: _unasked(output.answer) for output in outputs}
    items: dict[Place, Item] = {}
    for output in outputs:
        if output.answer.output is not None:
            key = f"case {output.case.id}, run {output.run} of the {output.arm}"
            items[output.place] = _item(judge, output.case, key, output.answer.output)
    return _Work(items, settled)


def _comparing(judge: Judge, outputs: Sequence[Output]) -> _Work:
    """Returns the work of a pairwise judge: on the candidate's outputs, beside the baseline's."""
    places = {output.place: output for output in outputs}
    settled = {place: _unasked(output.answer) for place, output in places.items()}
    items: dict[Place, Item] = {}
    for place, output in places.items():
        if output.arm != "candidate":
            continue
        other = places.get(_beside(place))
        if other is None:
            reason = f"judge {judge.name} compares two outputs, and there is no baseline"
            settled[place] = Grade(None, error=reason)
            continue
        text, beside = output.answer.output, other.answer.output
        if text is None or beside is None:
            settled[place], settled[other.place] = _against_failed((output.answer, other.answer))
        elif text == beside:
            settled[place] = settled[other.place] = Grade(0.5, usd=0.0)
        else:
            key = f"case {output.case.id}, run {output.run}"
            items[place] = _item(judge, output.case, key, text, beside)
    return _Work(items, settled)


def _beside(place: Place) -> Place:
    """Returns where the baseline's output of the same case and run stands."""
    return "baseline", *place[1:]


def _turned(grade: Grade) -> Grade:
    return replace(grade, score=None if grade.score is None else 1.0 - grade.score, usd=0.0)


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
