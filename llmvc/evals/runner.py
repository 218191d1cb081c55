"""The runner: makes the calls of a plan, scores their outputs, and keeps what it has.

- A run that is in the cache is not made again, so an interrupted eval goes on where it stopped.
- A run that fails stays in its row with its error. What no call can mend stops the eval.
- Workers take calls from one iterator: what is under way is bounded, whatever the plan's size.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmvc.core.digest import Digest
from llmvc.core.suite import Case, Suite
from llmvc.evals import budget, plan
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

__all__ = ["Arm", "CallEstimate", "Decided", "Limits", "Progress", "RunResult", "estimate", "run"]


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
    outcomes: Mapping[tuple[str, Digest], Entry] | None = None,
) -> CallEstimate:
    """Returns what `run` would do, without a call.

    Args:
        arms: the candidate, and the baseline if there is one.
        cases: in any order.
        suite: what to measure by.
        cache: where finished runs are kept.
        limits: what may be used.
        prices: what tokens cost.
        now: the clock.
        fresh: whether to make every call again.
        planned: the plan, if it was made before.
        outcomes: runs of shards in which the application failed; see `Reuse`.

    Raises:
        ConfigError: a bundle cannot be measured this way.
        ProviderError: a price is not known, and must be.
    """
    whole = planned or plan.make(arms, cases, suite)
    return Money.of(arms, limits, prices).estimate(
        whole, Reuse(whole, suite, cache, now=now, fresh=fresh, outcomes=outcomes)
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
    judges: "Mapping[Digest, Judge] | None" = None,
    outcomes: Mapping[tuple[str, Digest], Entry] | None = None,
    cluster: "Cluster | None" = None,
) -> RunResult:
    """Measures the arms on the cases.

    Args that `estimate` does not have:
        progress: called after every run.
        folder: what paths of external scorer code start from.
        decided: asked at each planned look but the last whether the eval may end there.
        judges: the suite's judges, by the digest of their bundle.
        cluster: what makes the calls, if this process does not.

    Raises:
        ConfigError: a bundle cannot be measured this way, or it would cost more than allowed.
        FormatError: a case or a scorer is not complete.
        ProviderError: a price is not known, or a provider cannot be used at all.
        KeyboardInterrupt: the user stopped it; finished runs are in the cache.
    """
    scoring = Scoring(suite.scorers, folder)
    scoring.check(cases)
    whole = planned or plan.make(arms, cases, suite)
    means: dict[str, Any] = {"prices": prices, "now": now, "limits": limits, "fresh": fresh}
    grading = _grading(suite, cases, judges or {}, cache, means) if suite.judges else None
    reuse = Reuse(whole, suite, cache, now=now, fresh=fresh, outcomes=outcomes)
    money = Money.of(arms, limits, prices)
    budget.check_affordable(money.estimate(whole, reuse), limits)
    session = Session(
        whole,
        reuse,
        money,
        scoring=scoring,
        limits=limits,
        now=now,
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
    suite: Suite,
    cases: Sequence[Case],
    judges: "Mapping[Digest, Judge]",
    cache: RunCache,
    means: Mapping[str, Any],
) -> "Grading":
    from llmvc.evals.judging.grading import Grading  # noqa: PLC0415 (few suites have judges)

    grading = Grading(suite, judges, cache, **means)
    grading.check(cases)
    return grading
