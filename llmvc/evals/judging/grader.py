"""Grading: the votes that a judge is asked for, and the grade that they make.

- The same output of the same case has the same grade: what is measured is how the judge grades an
  output on average, so it is asked once for all runs that brought this output.
- A grade is the mean of its votes. A reply without an offered grade is asked for again twice, with
  other nonces and seeds; after that the vote is missing. Where most votes are, there is no grade.
- A pairwise judge sees both orders. Where they disagree the vote is a tie, and counted as a flip.
- Every reply is kept in the run cache as it comes, so that nothing is paid for twice.
- A failing provider leaves an output without grade; it never makes one better or worse.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from llmvc.core import canon, digest, request
from llmvc.core.digest import Digest
from llmvc.errors import FormatError, ProviderError
from llmvc.evals import runs
from llmvc.evals.budget import Budget
from llmvc.evals.judging import fence, replies
from llmvc.evals.judging.calls import (
    Asked,
    CallFailedError,
    Calls,
    Forecast,
    StoppedError,
    total,
)
from llmvc.evals.judging.grades import Grade, Item
from llmvc.evals.judging.judge import Judge
from llmvc.evals.prices import Prices
from llmvc.evals.providers.base import Answer
from llmvc.evals.reuse import identity
from llmvc.evals.runs import RunCache

ATTEMPTS: Final = 3
"""How often a vote is asked for until a reply is in form."""

# Outputs without any reply in form before nobody waits for the first.
_ENOUGH: Final = 20


@dataclass(frozen=True, slots=True)
class _Subject:
    """An item under way: its first request, the keys of its calls, and what came back so far.

    `asked` says of each answer whether it was asked for now.
    """

    item: Item
    content: Digest
    request: Mapping[str, canon.Json]
    keys: tuple[Digest, ...]
    answers: list[Answer] = field(default_factory=list)
    asked: list[bool] = field(default_factory=list)
    flips: list[bool] = field(default_factory=list)


class Grader:
    """A judge at work: asks for votes, keeps them in the run cache, and makes grades of them.

    Args:
        judge: who judges.
        cache: where votes are kept.
        prices: what its tokens cost.
        now: the clock.
        budget: what new votes may cost; several judges may share one.
        concurrency: outputs under way at once.
        fresh: whether to ask for every vote again.
        max_age_s: how old a kept vote may be, in seconds; None for no limit.
        allow_unpriced: whether calls of unknown price may be made.

    Raises:
        ConfigError: the judge's calls would leave out a part of its bundle.
        FormatError: the bundle is no judge.
        ProviderError: its price is not known, and must be.
        UsageError: the same, and only the budget's limit stands against it.
    """

    def __init__(
        self,
        judge: Judge,
        cache: RunCache,
        *,
        prices: Prices,
        now: Callable[[], datetime],
        budget: Budget,
        concurrency: int = 8,
        fresh: bool = False,
        max_age_s: int | None = None,
        allow_unpriced: bool = False,
    ) -> None:
        self.judge = judge
        self._rules = judge.rules
        self._orders = judge.calls // judge.votes
        self._workers = max(1, concurrency)
        self._calls = Calls(
            judge.name,
            judge.arm,
            cache.ledger(judge.bundle.digest, judge.connection),
            prices=prices,
            now=now,
            budget=budget,
            allow_unpriced=allow_unpriced,
            fresh=fresh,
            max_age_s=max_age_s,
        )
        self._grades: dict[tuple[Digest, int], Grade] = {}
        self._in_form = False
        self._out_of_form = 0

    @property
    def stopped(self) -> str | None:
        """Why grades are missing; None if none is."""
        return self._calls.stopped

    @property
    def grades(self) -> Collection[Grade]:
        """All grades so far, one for each output and repetition, but those a provider failed on."""
        return self._grades.values()

    def estimate(self, items: Sequence[Item], *, repeats: int = 1) -> Forecast:
        """Returns what grading outputs takes, without a call.

        Args:
            items: equal ones count once, and those that the judge cannot be shown not at all.
            repeats: how often each is graded.
        """
        subjects: list[_Subject] = []
        for content, item in {item.content: item for item in items}.items():
            with suppress(FormatError):  # grading says so
                subjects.append(self._subject(item, content, repeats - 1))
        self._calls.load(frozenset(key for one in subjects for key in one.keys))
        whole = Forecast()
        for one in subjects:
            calls, kept = self._due(one, repeats * self._rules.votes)
            usd = self._calls.expected(one.item.key, one.request) if calls else 0.0
            whole += Forecast(calls, 0, kept, None if usd is None else calls * usd)
        return whole

    def _due(self, subject: _Subject, votes: int) -> tuple[int, int]:
        """Returns how many calls an output's votes take if new replies are in form, and keep."""
        calls = kept = 0
        for first in range(0, votes * ATTEMPTS * self._orders, ATTEMPTS * self._orders):
            for order in range(self._orders):
                for attempt in range(ATTEMPTS):
                    number = first + attempt * self._orders + order
                    answer = self._calls.kept(subject.keys[number])
                    calls += answer is None
                    kept += answer is not None
                    if answer is None or self._settles(answer):
                        break
        return calls, kept

    async def grade(
        self,
        items: Sequence[Item],
        *,
        repeat: int = 0,
        on_grade: Callable[[Item, Grade], None] | None = None,
    ) -> dict[str, Grade]:
        """Grades outputs; those that the budget did not allow for are missing.

        Args:
            items: with unique keys.
            repeat: which repetition of the same grading this is, from 0; each has votes of its own.
            on_grade: called with every grade as it is made.

        Raises:
            FormatError: no item can be shown to the judge; where some can, the others lack a grade.
            ProviderError: no call can succeed, or no reply is ever in form.
        """
        alike: dict[Digest, list[Item]] = {}
        for item in items:
            alike.setdefault(item.content, []).append(item)
        told: dict[str, Grade] = {}

        def tell(content: Digest, grade: Grade) -> None:
            for item in alike[content]:
                told[item.key] = grade
                if on_grade is not None:
                    on_grade(item, grade)

        subjects: list[_Subject] = []
        unshown: list[FormatError] = []
        for content, (item, *_) in alike.items():
            if (content, repeat) in self._grades:
                tell(content, self._grades[content, repeat])
                continue
            try:
                subjects.append(self._subject(item, content, repeat))
            except FormatError as err:
                where = f"judge {self.judge.name}, {item.key}"
                unshown.append(FormatError(f"{where}: {err}", hint=err.hint))
                tell(content, Grade(None, error=str(unshown[-1])))
        if alike and len(unshown) == len(alike):
            raise unshown[0]
        self._calls.load(frozenset(key for one in subjects for key in one.keys))
        await self._grade_all(iter(subjects), repeat, tell)
        return {item.key: told[item.key] for item in items if item.key in told}

    def _subject(self, item: Item, content: Digest, repeat: int) -> _Subject:
        """Returns an item with the keys of all calls that its grade may take."""
        if (item.other is not None) != self._rules.pairwise:
            raise FormatError(
                f"it grades {'two outputs' if self._rules.pairwise else 'one output'} at a time"
            )
        first = self.judge.request(item, 0)
        calls = (repeat + 1) * self._rules.votes * ATTEMPTS * self._orders
        keys = runs.keys(digest.of_value(first), content, self.judge.connection, calls)
        return _Subject(item, content, first, keys)

    async def _grade_all(
        self, subjects: Iterator[_Subject], repeat: int, tell: Callable[[Digest, Grade], None]
    ) -> None:
        """Grades several at a time; the first error that no call can mend ends them all."""

        async def work() -> None:
            for subject in subjects:
                grade = await self._grade(subject, repeat)
                if grade is None:
                    # The next one may be in the cache as a whole.
                    continue
                if grade.votes:
                    # One that a provider failed on has none, and is tried again.
                    self._grades[subject.content, repeat] = grade
                tell(subject.content, grade)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _grade(self, subject: _Subject, repeat: int) -> Grade | None:
        """Returns the grade of one output; None if no further call may be made."""
        first = repeat * self._rules.votes
        votes: list[float | None] = []
        error: str | None = None
        try:
            votes = [await self._vote(subject, first + at) for at in range(self._rules.votes)]
        except StoppedError:
            return None
        except CallFailedError as err:
            error = f"judge {self.judge.name}: {err}"
        found = [vote for vote in votes if vote is not None]
        enough = 2 * len(found) > self._rules.votes
        if error is None:
            self._check_form(found)
            if not enough:
                error = f"judge {self.judge.name}: {len(found)} of {len(votes)} votes are in form"
        flips = subject.flips
        texts = (subject.item.output, subject.item.other or "")
        flagged = {flag for text in texts for flag in fence.flags(text, self._rules)}
        return Grade(
            score=sum(found) / len(found) if enough else None,
            votes=tuple(votes),
            flipped=2 * sum(flips) > len(flips) if flips else None,
            flagged=tuple(sorted(flagged)),
            error=error,
            usd=total([self._calls.cost(answer) for answer in subject.answers]),
            identities=frozenset(identity(answer) for answer in subject.answers),
            calls=len(subject.answers),
            asked=sum(subject.asked),
        )

    async def _vote(self, subject: _Subject, vote: int) -> float | None:
        """Returns one vote's score; None if it is not in form.

        Pairwise, what is seen of the output shown as B is turned round, so that both orders speak
        of the same output; where one prefers it and the other does not, the vote is a tie.
        """
        if not self._rules.pairwise:
            return await self._ask(subject, vote, 0)
        drawn = digest.of_bytes(f"{self._rules.order_seed}/{subject.content}".encode())
        first = int(digest.hex_of(drawn)[0], 16) % 2
        seen = {first: await self._ask(subject, vote, first)}
        seen[1 - first] = await self._ask(subject, vote, 1 - first)
        as_a, as_b = seen[0], seen[1]
        if as_a is None or as_b is None:
            return None
        subject.flips.append(as_a != 1.0 - as_b)
        return 0.5 if subject.flips[-1] else as_a

    async def _ask(self, subject: _Subject, vote: int, order: int) -> float | None:
        """Returns the score of the first reply in form; None if no attempt brings one."""
        for attempt in range(ATTEMPTS):
            number = (vote * ATTEMPTS + attempt) * self._orders + order
            seed = request.call_seed(self.judge.arm.seed, subject.content, number)
            new = self._calls.kept(subject.keys[number]) is None
            answer = await self._calls.answer(
                Asked(subject.keys[number], subject.item.key, number, seed),
                partial(self.judge.request, subject.item, number)
                if number
                else lambda: subject.request,
            )
            subject.answers.append(answer)
            subject.asked.append(new)
            if self._settles(answer):
                return self._score(answer)
        return None

    def _settles(self, answer: Answer) -> bool:
        """Says whether a vote needs no further attempt.

        A judge that refuses a request would refuse it again.
        """
        return answer.output is None or self._score(answer) is not None

    def _score(self, answer: Answer) -> float | None:
        grade = replies.read(answer.output or "", self._rules)
        return None if grade is None else self._rules.grades[grade]

    def _check_form(self, found: Sequence[float]) -> None:
        """Ends the grading if the judge never answers in form.

        Raises:
            ProviderError: it does not.
        """
        self._in_form = self._in_form or bool(found)
        self._out_of_form += not found
        if self._out_of_form >= _ENOUGH and not self._in_form:
            raise ProviderError(
                f"judge {self.judge.name} was asked about {_ENOUGH} outputs, and no reply of it "
                f"holds one of its grades: {', '.join(self.judge.grades)}",
                hint="let its messages ask for a last line such as "
                f"`Grade: {next(iter(self.judge.grades))}`, or correct judge.parser",
            )
