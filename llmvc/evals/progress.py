"""How far an eval is, and what it brought when it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmvc.core import canon
from llmvc.core.digest import Digest
from llmvc.core.estimate import Estimate
from llmvc.core.report import CaseRuns
from llmvc.evals.providers.base import Answer


@dataclass(frozen=True, slots=True)
class Votes:
    """How far judges are with the outputs of a look.

    Attributes:
        done: votes that are there, kept ones included.
        total: votes that the grades of these outputs take, if every reply is in form.
        reused: votes of outputs whose grade took no new call.
    """

    done: int = 0
    total: int = 0
    reused: int = 0

    def plus(self, votes: int, *, new: bool) -> "Votes":
        """Returns how far judges are after so many votes more."""
        return Votes(self.done + votes, self.total, self.reused + (0 if new else votes))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an eval is.

    Attributes:
        done: finished runs, reused ones included.
        total: runs that the report will rest on.
        reused: runs taken from the cache.
        failed: runs without output so far.
        cost_usd: what new calls have cost so far.
        judge_usd: what new votes of judges have cost so far.
        judging: how far judges are with the runs of a look; None while none is at work.
        running: the first gating score on the cases that are complete, a few seconds old; it
            decides nothing. None where it is not known yet.
    """

    done: int
    total: int
    reused: int
    failed: int
    cost_usd: float
    judge_usd: float = 0.0
    judging: Votes | None = None
    running: Estimate | None = None


# asyncio asks for the repr of a task that ends, and so of its result: thousands of rows.
@dataclass(frozen=True, repr=False)
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
        judges: of each judge, by digest: its identities, flips, graded, calls and usd.
        judge_usd: what new votes cost.
        failures: runs without output, as (arm, key, answer).
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
    judges: Mapping[Digest, Mapping[str, object]] = field(default_factory=dict)
    judge_usd: float = 0.0
    failures: tuple[tuple[str, Digest, Answer], ...] = ()
