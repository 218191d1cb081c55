"""The runner: makes the calls of a plan, scores their outputs, and keeps what it has.

- A run that is in the cache is not made again, so an interrupted eval goes on where it stopped.
- A run that fails stays in its row with its error. What no call can mend stops the eval.
- Workers take calls from one iterator: what is under way is bounded, whatever the plan's size.
"""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from time import perf_counter

from llmvc.core import canon
from llmvc.core.digest import Digest
from llmvc.core.report import CaseRuns, Run
from llmvc.core.suite import Case, Suite
from llmvc.errors import ProviderError
from llmvc.evals import budget, plan
from llmvc.evals.budget import Budget, CallEstimate, Limits, Money
from llmvc.evals.plan import Arm, ArmCase, Plan
from llmvc.evals.prices import Prices
from llmvc.evals.providers.base import Answer
from llmvc.evals.reuse import Identity, Reuse, identity
from llmvc.evals.runs import RunCache, rfc3339
from llmvc.evals.scorers import Scoring
from llmvc.evals.snapshot import snapshot

Decided = Callable[[tuple[CaseRuns, ...], int], bool]
"""Says of the rows so far, at a look, whether they decide."""

__all__ = ["Arm", "CallEstimate", "Limits", "Progress", "RunResult", "estimate", "run"]

# How long providers that never wait may keep the loop from looking at ^C and the clock.
_BREATH_S = 0.01
# Calls that fail one after another before nobody waits for more of them.
_ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an eval is.

    Attributes:
        done: finished runs, reused ones included.
        total: runs that the report will rest on.
        reused: runs taken from the cache.
        failed: runs without output so far.
        cost_usd: what new calls have cost so far.
    """

    done: int
    total: int
    reused: int
    failed: int
    cost_usd: float


@dataclass(frozen=True)
class RunResult:
    """What an eval brought.

    Attributes:
        cases: sorted by id, every row with all of its runs.
        providers: identities seen, as reports hold them.
        reused: runs taken from the cache.
        called: runs made now.
        cost_usd: what those cost, as far as it is known.
        stopped: why the eval ended early; None if it is complete.
        seed: what the order of the calls was drawn with.
        started: RFC 3339, UTC.
        finished: RFC 3339, UTC.
        prices: the price table, if a cost rests on it.
        application: the application's revision, if it ran itself.
        look: the planned look, from 1, at which it ended.
        looks: how many were planned.
        saved: runs that were not needed because it ended early.
        planned: the size of the suite; see `Report.planned`.
    """

    cases: tuple[CaseRuns, ...]
    providers: tuple[Mapping[str, canon.Json], ...]
    reused: int
    called: int
    cost_usd: float
    stopped: str | None
    seed: int
    started: str
    finished: str
    prices: Mapping[str, canon.Json] | None = None
    application: Mapping[str, canon.Json] | None = None
    look: int = 1
    looks: int = 1
    saved: int = 0
    planned: Mapping[str, int] = field(default_factory=dict)


def estimate(
    arms: Sequence[Arm],
    cases: Sequence[Case],
    suite: Suite,
    cache: RunCache,
    limits: Limits,
    *,
    prices: Prices,
    now: Callable[[], datetime],
    fresh: bool = False,
    planned: Plan | None = None,
) -> CallEstimate:
    """Returns what `run` would do, without a call.

    Raises:
        ConfigError: a bundle cannot be measured this way.
        ProviderError: a price is not known, and must be.
    """
    whole = planned or plan.make(arms, cases, suite)
    return Money.of(arms, limits, prices).estimate(
        whole, Reuse(whole, suite, cache, now=now, fresh=fresh)
    )


def run(
    arms: Sequence[Arm],
    cases: Sequence[Case],
    suite: Suite,
    cache: RunCache,
    limits: Limits,
    *,
    prices: Prices,
    now: Callable[[], datetime],
    progress: Callable[[Progress], None] | None = None,
    fresh: bool = False,
    folder: Path | None = None,
    planned: Plan | None = None,
    decided: Decided | None = None,
) -> RunResult:
    """Measures the arms on the cases.

    Args:
        arms: the candidate, and the baseline if there is one.
        cases: in any order.
        suite: what to measure by.
        cache: where finished runs are kept.
        limits: what may be used.
        prices: what tokens cost.
        now: the clock.
        progress: called after every run.
        fresh: whether to make every call again.
        folder: what paths of external scorer code start from.
        planned: the plan, if it was made before.
        decided: asked at each planned look but the last whether the eval may end there.

    Raises:
        ConfigError: a bundle cannot be measured this way, or it would cost more than allowed.
        FormatError: a case or a scorer is not complete.
        ProviderError: a price is not known, or a provider cannot be used at all.
        KeyboardInterrupt: the user stopped it; finished runs are in the cache.
    """
    scoring = Scoring(suite.scorers, folder)
    scoring.check(cases)
    whole = planned or plan.make(arms, cases, suite)
    reuse = Reuse(whole, suite, cache, now=now, fresh=fresh)
    money = Money.of(arms, limits, prices)
    budget.check_affordable(money.estimate(whole, reuse), limits)
    session = _Session(
        whole,
        reuse,
        money,
        scoring=scoring,
        limits=limits,
        now=now,
        progress=progress or (lambda _: None),
        decided=decided or (lambda _cases, _look: False),
    )
    # What the user's own code prints must not end up among the data on standard output.
    with redirect_stdout(sys.stderr):
        return asyncio.run(session.measure())


class _Session:
    """One eval under way."""

    def __init__(
        self,
        whole: Plan,
        reuse: Reuse,
        money: Money,
        *,
        scoring: Scoring,
        limits: Limits,
        now: Callable[[], datetime],
        progress: Callable[[Progress], None],
        decided: Decided,
    ) -> None:
        self._plan = whole
        self._arms = [one.arm for one in whole.cases[0]]
        self._reuse = reuse
        self._money = money
        self._means = money.means(reuse)
        self._scoring = scoring
        self._limits = limits
        self._budget = Budget(limits.max_usd)
        self._now = now
        self._report = progress
        self._decided = decided
        self._look = 0
        self._snapshots: dict[str, Path | None] = {}
        self._rows: dict[tuple[str, str, int], Run] = {}
        self._seen: Counter[tuple[str, Identity]] = Counter()
        self._answering: set[Identity] = set()
        self._called = self._failed = 0
        self._worked: set[str] = set()
        self._in_a_row: Counter[str] = Counter()
        self._breathed = perf_counter()
        self._stopped: str | None = None

    async def measure(self) -> RunResult:
        """Makes the calls that are missing and returns all rows."""
        started = rfc3339(self._now())
        try:
            with tempfile.TemporaryDirectory(prefix="llmvc-") as folder:
                self._snapshots = {arm.name: snapshot(arm, Path(folder)) for arm in self._arms}
                async with asyncio.timeout(self._limits.max_seconds):
                    await self._make_looks()
        except TimeoutError:
            self._stopped = f"the {self._limits.max_seconds:g} seconds allowed are over"
        finally:
            for provider in {id(arm.provider): arm.provider for arm in self._arms}.values():
                await provider.aclose()
        return RunResult(
            cases=self._cases(),
            providers=self._providers(),
            reused=len(self._rows) - self._called,
            called=self._called,
            cost_usd=self._budget.spent,
            stopped=self._stopped,
            seed=self._plan.seed,
            started=started,
            finished=rfc3339(self._now()),
            prices=self._money.table,
            application=next((arm.application for arm in self._arms if arm.application), None),
            look=self._look,
            looks=len(self._plan.stages),
            saved=self._total - len(self._rows),
            planned=self._plan.size,
        )

    async def _make_looks(self) -> None:
        """Makes the calls of one planned look after another, until one of them decides."""
        last = len(self._plan.stages)
        for look in range(1, last + 1):
            self._look = look
            await self._settle_reuse()
            self._take_reused()
            await self._make(self._reuse.missing(look))
            if self._stopped or look == last or self._decided(self._cases(), look):
                return

    async def _settle_reuse(self) -> None:
        """Finds out who answers the candidate, and drops the baseline's runs of others."""
        probe = self._reuse.probe(self._look)
        if probe is not None:
            await self._make(iter((probe,)))
        cached = (identity(answer) for answer in self._reuse.answers("candidate"))
        self._reuse.settle(frozenset(self._answering if probe is not None else cached))

    def _take_reused(self) -> None:
        for one, number in self._plan.calls(self._look):
            entry = self._reuse.find(one, number)
            if entry is not None:
                self._keep(one, number, entry.answer, entry.run_id)

    async def _make(self, calls: Iterator[tuple[ArmCase, int]]) -> None:
        """Makes calls, several at a time; the first error that no call can mend ends them all."""
        workers = max(1, self._limits.concurrency)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work(calls))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _work(self, calls: Iterator[tuple[ArmCase, int]]) -> None:
        for one, number in calls:
            if (one.arm.name, one.case.id, number) in self._rows:
                continue
            expected = self._budget.share(self._money.expected(one, self._means) or 0.0)
            self._stopped = self._stopped or self._budget.admit(expected)
            if self._stopped:
                return
            answer = await one.arm.provider.answer(one.call(number, self._snapshots[one.arm.name]))
            self._called += 1
            self._check(one.arm, answer)
            run_id: Digest | None = None
            if answer.fault != "provider":
                answer = replace(answer, time=answer.time or rfc3339(self._now()))
                run_id = self._reuse.ledgers[one.arm.name].add(one.keys[number], answer).run_id
                if one.arm.name == "candidate":
                    self._answering.add(identity(answer))
            cost = self._keep(one, number, answer, run_id)
            self._budget.settle(expected, cost)
            if perf_counter() - self._breathed > _BREATH_S:
                await asyncio.sleep(0)
                self._breathed = perf_counter()

    def _check(self, arm: Arm, answer: Answer) -> None:
        """Ends the eval if it measures something else, or nothing at all.

        Raises:
            ProviderError: it does.
        """
        wrong = arm.unexpected(answer)
        if wrong:
            raise ProviderError(wrong, hint="correct model.expect in the manifest, or the provider")
        # An application that sometimes fails is measured; one that never works measures nothing.
        # A candidate may break it for good; a baseline that is broken compares with nothing.
        if answer.fault is None:
            self._worked.add(arm.name)
        works = self._worked if arm.name == "candidate" else self._worked & {arm.name}
        harmless = answer.fault is None or (answer.fault == "application" and bool(works))
        self._in_a_row[arm.name] = 0 if harmless else self._in_a_row[arm.name] + 1
        if self._in_a_row[arm.name] >= _ENOUGH:
            raise ProviderError(
                f"{_ENOUGH} calls of the {arm.name} in a row failed, the last one: {answer.error}",
                hint="finished runs are kept: run the eval again when that is mended",
            )

    def _keep(
        self, one: ArmCase, number: int, answer: Answer, run_id: Digest | None
    ) -> float | None:
        """Scores an answer into its row, and returns what it cost."""
        scored = self._scoring.score(one.case, answer)
        error = scored.error if answer.fault is None else f"{answer.fault}: {answer.error}"
        cost = self._money.cost(one.arm, answer)
        self._rows[one.arm.name, one.case.id, number] = Run(
            run=number,
            run_id=run_id,
            scores=scored.scores,
            error=error,
            cost_usd=cost,
            latency_s=answer.latency_s,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
        )
        if run_id is None:
            self._failed += 1
        else:
            self._seen[one.arm.name, identity(answer)] += 1
        done = len(self._rows)
        reused = done - self._called
        self._report(Progress(done, self._total, reused, self._failed, self._budget.spent))
        return cost

    @property
    def _total(self) -> int:
        """How many runs the whole plan has."""
        return len(self._plan.cases) * len(self._arms) * self._plan.runs

    def _cases(self) -> tuple[CaseRuns, ...]:
        """Returns the rows by case, as far as the look goes; a run not made stands as failed."""
        cases, runs_a_case = self._plan.stages[self._look - 1]
        unknown = self._scoring.score(self._plan.cases[0][0].case, Answer()).scores
        reason = f"not run: {self._stopped}"
        rows: list[CaseRuns] = []
        for arms in self._plan.cases[:cases]:
            case = arms[0].case
            runs = {
                one.arm.name: tuple(
                    self._rows.get((one.arm.name, case.id, number))
                    or Run(run=number, run_id=None, scores=unknown, error=reason)
                    for number in range(runs_a_case)
                )
                for one in arms
            }
            baseline = runs.get("baseline", ())
            rows.append(CaseRuns(case.id, case.group, runs["candidate"], baseline, case.tags))
        return tuple(sorted(rows, key=lambda row: row.id))

    def _providers(self) -> tuple[Mapping[str, canon.Json], ...]:
        arms: dict[str, Arm] = {arm.name: arm for arm in self._arms}
        listed: list[dict[str, canon.Json]] = []
        for (name, (model, fingerprint)), calls in self._seen.items():
            provider, requested = arms[name].model
            listed.append(
                {
                    "arm": name,
                    "provider": arms[name].named or provider,
                    "kind": arms[name].provider.kind,
                    "model": model or next(iter(requested), None),
                    "fingerprint": fingerprint,
                    "calls": calls,
                }
            )
        return tuple(sorted(listed, key=canon.encode))
