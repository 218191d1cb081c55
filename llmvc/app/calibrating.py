"""Calibrating a judge on answers that people labelled, and checking that it is still the same.

- A vote counts only if it was made since the last record of the judge, and in the last hour: an
  older one would say what the judge was, not what it is.
- What had to stop leaves no record, only votes to go on from.
- What is known of a judge holds for the connection that it was asked through.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from llmvc import __version__
from llmvc.app import anchoring, connecting, judges
from llmvc.app.judges import Known
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.anchors import AnchorSet
from llmvc.core.digest import Digest
from llmvc.core.judge import Rules
from llmvc.core.judging import UNCALIBRATED, Calibration, Check, State
from llmvc.core.plural import count
from llmvc.errors import ConfigError, Inconclusive, ProviderError
from llmvc.evals import runs
from llmvc.evals.budget import Budget
from llmvc.evals.judging.calls import Forecast
from llmvc.evals.judging.grader import Grader
from llmvc.evals.judging.grades import Grade, Item
from llmvc.evals.judging.judge import Judge
from llmvc.evals.prices import Prices
from llmvc.evals.progress import Progress, Votes
from llmvc.evals.runs import RunCache
from llmvc.evals.trust import calibration
from llmvc.gate.judged import ELSEWHERE

_KEPT_S: Final = 3600
"""How old a vote may be at most that an interrupted command goes on from, in seconds."""


def _silent(_now: Progress) -> None:
    """Shows nothing."""


@dataclass(frozen=True, slots=True)
class Means:
    """What asking a judge may take.

    Attributes:
        max_usd: what new votes may cost; None for no limit.
        concurrency: answers under way at once.
        allow_unpriced: whether calls of unknown price may be made.
        progress: told how far it is.
    """

    max_usd: float | None = None
    concurrency: int = 8
    allow_unpriced: bool = False
    progress: Callable[[Progress], None] = _silent

    def after(self, usd: float) -> "Means":
        """Returns what is left of them once so much is spent."""
        left = None if self.max_usd is None else max(0.0, self.max_usd - usd)
        return replace(self, max_usd=left)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A calibration, what is odd about its anchors, and what it cost."""

    judge: Resolved
    calibration: Calibration
    anchors: AnchorSet
    notes: tuple[str, ...]
    usd: float


@dataclass(frozen=True, slots=True)
class Checked:
    """A check, and where it leaves its judge."""

    judge: Resolved
    calibration: Calibration
    check: Check
    state: State
    why: tuple[str, ...]
    usd: float


def calibrate(
    ws: Workspace, revision: str, path: str, *, repeats: int, days: int, means: Means
) -> Calibrated:
    """Grades labelled answers several times, and stores what that says of the judge.

    Args:
        ws: the workspace.
        revision: the judge.
        path: file of the anchors.
        repeats: how often each is graded, at least 2.
        days: how long the calibration is valid.
        means: what it may take.

    Raises:
        ConfigError: it had to stop at a limit; votes are kept.
        FormatError: the file is no anchor file for this judge.
        ProviderError: the judge cannot be asked, or its provider failed on many anchors.
    """
    found = judges.resolve(ws, revision)
    rules = Rules.of(found.bundle)
    anchors = anchoring.read(path, rules)
    notes = anchoring.lint(ws, found, anchors)
    judge = connected(ws, found)
    known = judges.known(ws, found.bundle.digest, judge.asked_through)
    asking = Asking(ws, judge, means, max_age_s=_kept_s(ws, known))
    grades = asking.grade(_items(anchors), repeats=repeats)
    if not calibration.heard(anchors, grades):
        raise ProviderError(
            f"the provider of judge {found.label} failed on too many anchors to say anything of it",
            hint="finished votes are kept: run it again when that is mended",
        )
    made = calibration.calibrate(
        found.bundle.digest,
        rules,
        anchors,
        grades,
        connection=judge.asked_through,
        earlier=known.calibrations,
        now=ws.now(),
        actor=ws.actor,
        tool=f"llmvc {__version__}",
        days=days,
    )
    said = "admitted" if made.admitted else "not admitted"
    judges.file(
        ws,
        made,
        about=[made.judge],
        beside=held(ws, found),
        subject=f"{found.name}: calibrated, {said}",
    )
    return Calibrated(found, made, anchors, notes, asking.budget.spent)


def _kept_s(ws: Workspace, known: Known) -> int:
    """Returns how old a vote may be: made since the last record, so that no drifted one counts."""
    made = [one.made for one in known.calibrations] + [one.made for one in known.checks]
    since = [(ws.now() - datetime.fromisoformat(time)).total_seconds() for time in made]
    return int(max(0.0, min([*since, _KEPT_S])))


def check(ws: Workspace, revision: str, path: str | None, *, means: Means) -> Checked:
    """Grades the anchors of the calibration again, and stores whether the judge has changed.

    Raises:
        Inconclusive: it was never calibrated through the connection that it has here.
        NotFoundError: the anchors are not there.
        ConfigError: it had to stop at a limit.
    """
    found = judges.resolve(ws, revision)
    known = judges.known(ws, found.bundle.digest, connected(ws, found).asked_through)
    anchors = anchoring.of(ws, _in_force(found, known), Rules.of(found.bundle), path)
    return _check(ws, found, known, anchors, means)


def _in_force(found: Resolved, known: Known) -> Calibration:
    """Returns the calibration that a judge is checked against.

    Raises:
        Inconclusive: there is none through its connection.
    """
    made = known.calibration
    if made is None or made.connection != known.connection:
        why = "it was never held against labels by people" if made is None else ELSEWHERE
        raise Inconclusive(
            f"judge {found.label} {digest.short(found.bundle.digest)} is not calibrated: {why}",
            hint=f"llmvc judge calibrate {found.label} --anchors FILE",
        )
    return made


def _check(
    ws: Workspace, found: Resolved, known: Known, anchors: AnchorSet, means: Means
) -> Checked:
    made = _in_force(found, known)
    asking = Asking(ws, connected(ws, found), means, max_age_s=_kept_s(ws, known))
    done = calibration.check(made, anchors, asking.grade(_items(anchors)), now=ws.now())
    judges.file(ws, done, about=[done.judge], subject=f"{found.name}: checked, {done.state}")
    state, why = judges.known(ws, done.judge, known.connection).state(ws.time)
    return Checked(found, made, done, state, why, asking.budget.spent)


def ready(ws: Workspace, found: Resolved, connection: Digest, means: Means) -> tuple[Known, float]:
    """Returns what is known of a judge, after a check if the last one is too old.

    A check is made only where the judge is calibrated, not retired, and its anchors are at hand.

    Args:
        ws: the workspace.
        found: the judge.
        connection: what it is asked through.
        means: what a check may take.

    Returns:
        What is known, and what the check cost in USD.

    Raises:
        ConfigError: it had to stop at a limit.
        ProviderError: the judge cannot be asked.
    """
    known = judges.known(ws, found.bundle.digest, connection)
    anchors = due(ws, found, known)
    if anchors is None:
        return known, 0.0
    name, size = digest.short(found.bundle.digest), count(len(anchors.anchors), "anchor")
    ws.tell(f"checking judge {found.label} {name} on {size} first")
    done = _check(ws, found, known, anchors, means)
    return judges.known(ws, found.bundle.digest, connection), done.usd


def due(ws: Workspace, found: Resolved, known: Known) -> AnchorSet | None:
    """Returns the anchors that a judge is to be checked on now; None if no check would help."""
    made, last = known.calibration, known.check
    state, _ = known.state(ws.time)
    # A suspect judge stays one until it is calibrated again, whatever a further check would say.
    if made is None or not made.admitted or state != UNCALIBRATED:
        return None
    if known.connection != made.connection:
        return None
    if last is not None and last.expires > ws.time:
        return None
    return anchoring.find(ws, made.anchors, Rules.of(found.bundle))


def connected(ws: Workspace, found: Resolved) -> Judge:
    """Returns a judge with what answers its calls.

    Raises:
        ConfigError: its connection is not described well.
        ProviderError: its provider cannot be used.
    """
    wanted = connecting.provider_name(found.bundle, found.name)
    parts = connecting.needed(ws, found.bundle, dict(found.assets))
    provider = connecting.provider(ws, ws.config, wanted)
    texts = connecting.texts(found.bundle, parts)
    return Judge(found.bundle, found.name, provider, texts, wanted)


def held(ws: Workspace, found: Resolved) -> list[bytes]:
    """Returns a judge's bundle and assets, which the store is to have beside what is said of it."""
    return [found.bundle.data, *connecting.needed(ws, found.bundle, dict(found.assets)).values()]


class Asking:
    """One judge at work for a command.

    Args:
        ws: the workspace.
        judge: who is asked.
        means: what it may take.
        max_age_s: how old a kept vote may be, in seconds.
    """

    def __init__(
        self,
        ws: Workspace,
        judge: Judge,
        means: Means,
        *,
        max_age_s: int | None = None,
    ) -> None:
        self.budget = Budget(means.max_usd)
        self._ws, self._judge, self._means = ws, judge, means
        self._max_age_s = max_age_s

    def grade(self, items: Sequence[Item], *, repeats: int = 1) -> dict[str, tuple[Grade, ...]]:
        """Returns the grades of every item, one a repeat.

        Raises:
            ConfigError: it had to stop at a limit; votes are kept.
            ProviderError: the judge cannot be asked.
            UsageError: a limit in USD could not hold, since its price is not known.
        """
        cache = RunCache(runs.folder(self._ws.repo.common_dir))
        try:
            with cache:
                return asyncio.run(self._grade(cache, items, repeats))
        finally:
            for note in cache.notes():
                self._ws.tell(note)

    async def _grade(
        self, cache: RunCache, items: Sequence[Item], repeats: int
    ) -> dict[str, tuple[Grade, ...]]:
        path = self._ws.config.prices
        grader = Grader(
            self._judge,
            cache,
            prices=Prices.load(self._ws.root / path if path else None),
            now=self._ws.now,
            budget=self.budget,
            concurrency=self._means.concurrency,
            max_age_s=self._max_age_s,
            allow_unpriced=self._means.allow_unpriced,
        )
        self._ws.tell(_announced(grader.estimate(items, repeats=repeats), self._judge.name))
        votes = Votes(0, len(items) * repeats * self._judge.calls)

        def tell(_item: Item, grade: Grade) -> None:
            nonlocal votes
            if grade.votes:
                votes = votes.plus(self._judge.calls, new=grade.asked > 0)
            self._means.progress(Progress(0, 0, 0, 0, 0.0, self.budget.spent, votes))

        try:
            rounds = [await grader.grade(items, repeat=at, on_grade=tell) for at in range(repeats)]
        finally:
            await self._judge.provider.aclose()
        if grader.stopped is not None:
            raise ConfigError(
                f"stopped: {grader.stopped}; votes are kept",
                hint="raise --max-judge-usd and run it again, it goes on from here",
            )
        return {item.key: tuple(one[item.key] for one in rounds) for item in items}


def _announced(take: Forecast, name: str) -> str:
    cost = "of unknown cost" if take.usd is None else f"about ${take.usd:.4f}"
    return f"asking judge {name}: {count(take.calls, 'new vote')}, {take.kept} reused, {cost}"


def _items(anchors: AnchorSet) -> list[Item]:
    return [Item(one.id, one.vars, one.output, one.other) for one in anchors.anchors]
