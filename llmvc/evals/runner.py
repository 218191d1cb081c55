"""The runner: makes the calls of a plan, scores their outputs, and keeps what it has.

- A run that is in the cache is not made again, so an interrupted eval goes on where it stopped.
- A run that fails stays in its row with its error. What no call can mend stops the eval.
- Workers take calls from one iterator: what is under way is bounded, whatever the plan's size.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from llmvc.core.digest import Digest
from llmvc.core.suite import Case, Suite
from llmvc.evals import budget
from llmvc.evals.budget import CallEstimate, Limits, Money
from llmvc.evals.plan import Arm, Plan
from llmvc.evals.prices import Prices
from llmvc.evals.progress import Progress, RunResult
from llmvc.evals.reuse import Reuse
from llmvc.evals.running import FirstScore
from llmvc.evals.runs import Entry, RunCache
from llmvc.evals.scorers import Scoring
from llmvc.evals.session import Decided, Session

if TYPE_CHECKING:
    from llmvc.evals.cluster import Cluster
    from llmvc.evals.judging.grading import Grading
    from llmvc.evals.judging.judge import Judge

__all__ = [
    "Arm",
    "CallEstimate",
    "Decided",
    "Limits",
    "Prepared",
    "Progress",
    "RunResult",
    "prepare",
    "run",
]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An eval before its first call.

    Attributes:
        plan: the calls.
        suite: what is measured by.
        cache: where finished runs are kept.
        reuse: which of them count.
        money: what the calls cost.
        expected: how many calls will be made, and what they will cost.
        now: the clock.
        fresh: whether every call is made again.
    """

    plan: Plan
    suite: Suite
    cache: RunCache
    reuse: Reuse
    money: Money
    expected: CallEstimate
    now: Callable[[], datetime]
    fresh: bool


def prepare(
    whole: Plan,
    suite: Suite,
    cache: RunCache,
    limits: Limits,
    *,
    prices: Prices,
    now: Callable[[], datetime],
    fresh: bool = False,
    outcomes: Mapping[tuple[str, Digest], Entry] | None = None,
) -> Prepared:
    """Returns what `run` is to do, without a call.

    Args:
        whole: the calls, or those of one shard.
        suite: what to measure by.
        cache: where finished runs are kept.
        limits: what may be used.
        prices: what tokens cost.
        now: the clock.
        fresh: whether to make every call again.
        outcomes: runs of shards in which the application failed; see `Reuse`.

    Raises:
        ProviderError: a price is not known, and must be.
        UsageError: the same, and only `limits.max_usd` stands against it.
    """
    reuse = Reuse(whole, suite, cache, now=now, fresh=fresh, outcomes=outcomes)
    money = Money.of(
        whole.arms,
        prices,
        allow_unpriced=limits.allow_unpriced,
        limit=None if limits.max_usd is None else "--max-usd",
    )
    return Prepared(whole, suite, cache, reuse, money, money.estimate(whole, reuse), now, fresh)


def run(
    prepared: Prepared,
    cases: Sequence[Case],
    limits: Limits,
    *,
    progress: Callable[[Progress], None] | None = None,
    folder: Path | None = None,
    decided: Decided | None = None,
    judges: "Mapping[Digest, Judge] | None" = None,
    cluster: "Cluster | None" = None,
) -> RunResult:
    """Makes the calls of a prepared eval, once.

    Args:
        prepared: what to do.
        cases: of the suite, in any order; scorers and judges are tried on all of them beforehand.
        limits: what may be used.
        progress: called after every run.
        folder: what paths of external scorer code start from.
        decided: asked at each planned look but the last whether the eval may end there.
        judges: the suite's judges, by the digest of their bundle.
        cluster: what makes the calls, if this process does not.

    Raises:
        ConfigError: it would cost more than allowed.
        FormatError: a case or a scorer is not complete.
        ProviderError: a price is not known, or a provider cannot be used at all.
        KeyboardInterrupt: the user stopped it; finished runs are in the cache.
    """
    suite = prepared.suite
    scoring = Scoring(suite.scorers, folder)
    scoring.check(cases)
    grading = _grading(prepared, cases, judges or {}, limits) if suite.judges else None
    budget.check_affordable(prepared.expected, limits)
    session = Session(
        prepared.plan,
        prepared.reuse,
        prepared.money,
        scoring=scoring,
        limits=limits,
        now=prepared.now,
        progress=progress or (lambda _: None),
        decided=decided or (lambda _cases, _look: False),
        grading=grading,
        cluster=cluster,
        running=None if progress is None else FirstScore(suite),
    )
    # What the user's own code prints must not end up among the data on standard output.
    with redirect_stdout(sys.stderr):
        return asyncio.run(session.measure())


def _grading(
    prepared: Prepared, cases: Sequence[Case], judges: "Mapping[Digest, Judge]", limits: Limits
) -> "Grading":
    from llmvc.evals.judging.grading import Grading  # noqa: PLC0415 (few suites have judges)

    grading = Grading(
        prepared.suite,
        judges,
        prepared.cache,
        prices=prepared.money.prices,
        now=prepared.now,
        limits=limits,
        fresh=prepared.fresh,
    )
    grading.check(cases)
    return grading
