"""One eval under way: workers take the calls of each look, and every answer becomes a row."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from llmvc.core import canon
from llmvc.core.digest import Digest
from llmvc.core.report import CaseRuns, Run
from llmvc.core.times import rfc3339
from llmvc.errors import ProviderError
from llmvc.evals import windows
from llmvc.evals.budget import Budget, Limits, Money
from llmvc.evals.plan import Arm, ArmCase, Plan
from llmvc.evals.progress import Progress, RunResult
from llmvc.evals.providers.base import Answer
from llmvc.evals.reuse import Identity, Reuse, identity
from llmvc.evals.scorers import Scoring
from llmvc.evals.snapshot import snapshot

if TYPE_CHECKING:
    from llmvc.core.estimate import Estimate
    from llmvc.evals.cluster import Cluster
    from llmvc.evals.judging.grading import Grading, Output

Decided = Callable[[tuple[CaseRuns, ...], int], bool]
"""Says of the rows so far, at a look, whether they decide."""
Running = Callable[[Sequence[CaseRuns]], "Estimate | None"]
"""Says of the cases that are complete what is to be shown on the way."""

# How long providers that never wait may keep the loop from looking at ^C and the clock.
_BREATH_S = 0.01
# Calls that fail one after another before nobody waits for more of them.
_ENOUGH = 20
# How old the running interval gets, and the share of the time that it may take.
_RUNNING_S = 2.0
_RUNNING_SHARE = 0.02
# What statistics need is loaded while the first calls wait.
_LATER: Final = "llmvc.evals.reports"


class Session:
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
        grading: "Grading | None" = None,
        cluster: "Cluster | None" = None,
        running: Running | None = None,
    ) -> None:
        self._plan = whole
        self._arms = whole.arms
        self._reuse = reuse
        self._money = money
        self._windows = {arm.name: windows.window_of(arm, money.prices) for arm in self._arms}
        self._means = money.means(reuse)
        self._scoring = scoring
        self._limits = limits
        self._budget = Budget(limits.max_usd)
        self._now = now
        self._report = progress
        self._decided = decided
        self._grading = grading
        self._cluster = cluster
        self._running = running
        self._shown: Estimate | None = None
        self._next_shown = perf_counter() + _RUNNING_S
        self._look = 0
        self._total = len(whole.cases) * len(whole.arms) * whole.runs
        self._snapshots: dict[str, Path | None] = {}
        self._rows: dict[tuple[str, str, int], Run] = {}
        self._failures: dict[str, dict[Digest, Answer]] = {arm.name: {} for arm in self._arms}
        self._graded: set[tuple[str, str, int]] = set()
        self._seen: Counter[tuple[str, Identity]] = Counter()
        self._notes: set[tuple[str, str]] = set()
        self._answering: set[Identity] = set()
        self._called = self._failed = 0
        self._worked: set[str] = set()
        self._in_a_row: Counter[str] = Counter()
        self._breathed = perf_counter()
        self._stopped: str | None = None

    async def measure(self) -> RunResult:
        """Makes the calls that are missing and returns all rows."""
        started = rfc3339(self._now())
        loading = asyncio.ensure_future(asyncio.to_thread(import_module, _LATER))
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
            if self._grading is not None:
                await self._grading.aclose()
            if self._cluster is not None:
                await self._cluster.aclose()
            await loading
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
            failures=tuple(
                (arm, *failure)
                for arm, failed in self._failures.items()
                for failure in failed.items()
            ),
            judges={} if self._grading is None else self._grading.facts(),
            judge_usd=0.0 if self._grading is None else self._grading.spent_usd,
        )

    async def _make_looks(self) -> None:
        """Makes the calls of one planned look after another, until one of them decides."""
        last = len(self._plan.stages)
        for look in range(1, last + 1):
            self._look = look
            await self._settle_reuse()
            self._take_reused()
            await self._make(self._reuse.missing(look))
            await self._judge(look)
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
        left = (call for call in calls if _key(*call) not in self._rows)
        try:
            async with asyncio.TaskGroup() as group:
                if self._cluster is not None:
                    for _ in range(await self._cluster.start()):
                        group.create_task(self._work_elsewhere(self._cluster, left))
                else:
                    for _ in range(max(1, self._limits.concurrency)):
                        group.create_task(self._work(left))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _work(self, calls: Iterator[tuple[ArmCase, int]]) -> None:
        for one, number in calls:
            expected = self._expected(one)
            if not self._admit(expected):
                return
            answer = await one.arm.provider.answer(one.call(number, self._snapshots[one.arm.name]))
            self._take(one, number, answer, expected)
            if perf_counter() - self._breathed > _BREATH_S:
                await asyncio.sleep(0)
                self._breathed = perf_counter()

    async def _work_elsewhere(
        self, cluster: "Cluster", calls: Iterator[tuple[ArmCase, int]]
    ) -> None:
        """Has one shard of calls after another made by the cluster's workers."""
        while shard := list(islice(calls, cluster.size)):
            expected = [self._expected(one) for one, _ in shard]
            if not self._admit(sum(expected), len(shard)):
                return
            asked = [(one.arm, one.call(n, self._snapshots[one.arm.name])) for one, n in shard]
            answers = await cluster.answer(asked)
            # Without a pause: whatever ends the eval meanwhile, what was paid for is kept.
            for (one, number), answer, usd in zip(shard, answers, expected, strict=True):
                self._take(one, number, answer, usd)

    def _expected(self, one: ArmCase) -> float:
        return self._budget.share(self._money.expected(one, self._means) or 0.0)

    def _admit(self, expected: float, calls: int = 1) -> bool:
        """Says whether calls may start, and sets their money aside."""
        self._stopped = self._stopped or self._budget.admit(expected, calls)
        return self._stopped is None

    def _take(self, one: ArmCase, number: int, answer: Answer, expected: float) -> None:
        """Puts a new answer into the ledger and into its row."""
        self._called += 1
        self._check(one.arm, answer)
        run_id: Digest | None = None
        if answer.fault != "provider":
            notes = (*answer.notes, *windows.notes(one, answer))
            answer = replace(answer, time=answer.time or rfc3339(self._now()), notes=notes)
            run_id = self._reuse.ledgers[one.arm.name].add(one.keys[number], answer).run_id
            if one.arm.name == "candidate":
                self._answering.add(identity(answer))
        self._budget.settle(expected, self._keep(one, number, answer, run_id))

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
        cost, window = self._money.cost(one.arm, answer), self._windows[one.arm.name]
        tools = one.arm.bundle.body.get("tools", ())
        scored = self._scoring.score(one.case, answer, tools=tools, cost_usd=cost, window=window)
        error = scored.error if answer.fault is None else f"{answer.fault}: {answer.error}"
        self._notes.update((one.arm.name, str(note)) for note in answer.notes)
        key = _key(one, number)
        if answer.fault is not None:
            self._failures[one.arm.name][one.keys[number]] = answer
        self._rows[key] = Run(
            run=number,
            run_id=run_id,
            scores=scored.scores,
            error=error,
            cost_usd=cost,
            latency_s=answer.latency_s,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            cached_tokens=answer.cached_tokens,
            ttft_s=answer.ttft_s,
            context_share=windows.share(answer, window),
            truncated=one.spelt(number).truncated,
        )
        if run_id is None:
            self._failed += 1
        else:
            self._seen[one.arm.name, identity(answer)] += 1
        self._tell()
        return cost

    async def _judge(self, look: int) -> None:
        """Has the judges grade the outputs of a look that have no grade yet."""
        if self._grading is None or self._stopped:
            return
        outputs = tuple(self._outputs(look))
        graded = await self._grading.grade(outputs, partial(self._tell, judging=True))
        self._stopped = self._grading.stopped
        for output in outputs:
            key = (output.arm, output.case.id, output.run)
            row, found = self._rows[key], graded.get(key)
            self._graded.add(key)
            if found is not None:
                self._rows[key] = replace(
                    row,
                    scores={**row.scores, **found.scores},
                    error="; ".join(filter(None, (row.error, found.error))) or None,
                    judge_usd=found.usd,
                )
        self._tell(judging=True)

    def _outputs(self, look: int) -> Iterator["Output"]:
        """Yields what is to be graded; the ledgers hold what was answered."""
        from llmvc.evals.judging.grading import Output  # noqa: PLC0415 (few suites have judges)

        for past in range(1, look + 1):
            for one, number in self._plan.calls(past):
                if _key(one, number) in self._graded:
                    continue
                key = one.keys[number]
                entry = self._reuse.ledgers[one.arm.name].find(key)
                answer = self._failures[one.arm.name].get(key) or (entry.answer if entry else None)
                if answer is not None:
                    yield Output(one.arm.name, one.case, number, answer)

    def _tell(self, *, judging: bool = False) -> None:
        """Reports how far the eval is."""
        if self._running is not None and perf_counter() > self._next_shown:
            self._shown, took = self._run_estimate(self._running)
            self._next_shown = perf_counter() + max(_RUNNING_S, took / _RUNNING_SHARE)
        done = len(self._rows)
        progress = Progress(
            done,
            self._total,
            done - self._called,
            self._failed,
            self._budget.spent,
            0.0 if self._grading is None else self._grading.spent_usd,
            self._grading.votes if judging and self._grading is not None else None,
            self._shown,
        )
        self._report(progress)

    def _run_estimate(self, running: Running) -> tuple["Estimate | None", float]:
        began = perf_counter()
        return running(self._cases(complete=True)), perf_counter() - began

    def _cases(self, *, complete: bool = False) -> tuple[CaseRuns, ...]:
        """Returns the rows by case, as far as the look goes; a run not made stands as failed.

        Args:
            complete: leave out cases that lack runs.
        """
        cases, runs_a_case = self._plan.stages[self._look - 1]
        unknown = self._scoring.score(self._plan.cases[0][0].case, Answer()).scores
        reason = f"not run: {self._stopped}"
        rows: list[CaseRuns] = []
        for arms in self._plan.cases[:cases]:
            numbers = range(runs_a_case)
            if complete and any(_key(one, n) not in self._rows for one in arms for n in numbers):
                continue
            case = arms[0].case
            runs = {
                one.arm.name: tuple(
                    self._rows.get(_key(one, number))
                    or Run(run=number, run_id=None, scores=unknown, error=reason)
                    for number in numbers
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
            if notes := sorted(note for arm, note in self._notes if arm == name):
                listed[-1]["notes"] = notes
        return tuple(sorted(listed, key=canon.encode))


def _key(one: ArmCase, number: int) -> tuple[str, str, int]:
    """Returns what a row is found by."""
    return one.arm.name, one.case.id, number
