"""What changed case by case: which cases broke, were fixed or cannot make up their mind.

- It describes and decides nothing: a verdict rests on all cases together.
- A run is right if its score is at least half of the scale, and an arm if its mean is.
- A run without a score is left out of its arm's mean; a case with an arm that has no score at all
  stands nowhere here, since the metric is undefined then and says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from llmvc.core.metric import Metric
from llmvc.core.report import CaseRuns, Run
from llmvc.core.suite import Suite
from llmvc.evals import table

Kind = Literal["broken", "fixed", "flaky", "lower", "higher", "wrong"]

KINDS: Final[tuple[Kind, ...]] = ("broken", "fixed", "flaky", "lower", "higher", "wrong")
"""In the order in which a reader wants them."""
_HALF: Final = 0.5
_CLOSE: Final = 1e-9

Scores = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class CaseChange:
    """One case that changed, or that is wrong or flaky.

    Attributes:
        case: its runs.
        kind: what happened to it.
        change: the candidate's mean minus the baseline's, in the metric's scale; None without a
            baseline.
        candidate: the score of each run in the metric's scale, more is better; None for no score.
        baseline: the same under the baseline; empty without one.
    """

    case: CaseRuns
    kind: Kind
    change: float | None
    candidate: Scores
    baseline: Scores

    @property
    def telling(self) -> tuple[Run | None, Run | None]:
        """The candidate's and the baseline's run that show the change best; None for no run."""
        best = self.kind in ("fixed", "higher")
        return (
            _extreme(self.case.candidate, self.candidate, highest=best),
            _extreme(self.case.baseline, self.baseline, highest=not best),
        )


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed by one metric.

    Attributes:
        metric: its name.
        cases: those that changed, by kind, the largest change first.
    """

    metric: str
    cases: tuple[CaseChange, ...]

    @property
    def counts(self) -> dict[Kind, int]:
        """How many cases there are of each kind that has some."""
        found = dict.fromkeys(KINDS, 0)
        for item in self.cases:
            found[item.kind] += 1
        return {kind: n for kind, n in found.items() if n}

    def of(self, kind: Kind, most: int) -> tuple[CaseChange, ...]:
        """Returns the first cases of one kind."""
        return tuple(item for item in self.cases if item.kind == kind)[:most]

    def first(self, most: int) -> Iterable[CaseChange]:
        """Gives the first cases of every kind."""
        for kind in self.counts:
            yield from self.of(kind, most)


def changes(cases: Sequence[CaseRuns], suite: Suite) -> tuple[Changes, ...]:
    """Returns what changed by each score and severe metric, in the suite's order."""
    return tuple(
        Changes(metric.name, tuple(_changed(cases, suite, metric)))
        for metric in suite.metrics
        if metric.kind in ("score", "severe")
    )


def _changed(cases: Sequence[CaseRuns], suite: Suite, metric: Metric) -> list[CaseChange]:
    severe = metric.kind == "severe"
    value = table.severity(metric) if severe else table.scoring(suite, metric)

    def scores(runs: Iterable[Run]) -> Scores:
        found = (value(run) for run in runs)
        # A severe failure is told as 1; here, as everywhere in a list of cases, more is better.
        return tuple(1.0 - x if severe and x is not None else x for x in found)

    listed = [
        item
        for case in table.of_slice(cases, metric)
        if (item := _compare(case, scores(case.candidate), scores(case.baseline), metric))
    ]
    return sorted(
        listed, key=lambda item: (KINDS.index(item.kind), -abs(item.change or 0.0), item.case.id)
    )


def _compare(
    case: CaseRuns, candidate: Scores, baseline: Scores, metric: Metric
) -> CaseChange | None:
    """Returns what happened to one case; None if nothing did."""
    after, before = _mean(candidate), _mean(baseline)
    if after is None or (case.baseline and before is None):
        return None
    kind = _kind(after, before, flaky=_disagree(candidate) or _disagree(baseline))
    if kind is None:
        return None
    low, span = (0.0, 1.0) if metric.kind == "severe" else (metric.scale[0], metric.span)
    told = [
        tuple(None if x is None else low + span * x for x in arm) for arm in (candidate, baseline)
    ]
    change = None if before is None else span * (after - before)
    return CaseChange(case, kind, change, *told)


def _kind(after: float, before: float | None, *, flaky: bool) -> Kind | None:
    right = after >= _HALF - _CLOSE
    if before is None:
        return "flaky" if flaky else (None if right else "wrong")
    was_right = before >= _HALF - _CLOSE
    if right != was_right:
        return "fixed" if right else "broken"
    if flaky:
        return "flaky"
    if abs(after - before) <= _CLOSE:
        return None
    return "higher" if after > before else "lower"


def _mean(scores: Scores) -> float | None:
    known = [x for x in scores if x is not None]
    return sum(known) / len(known) if known else None


def _disagree(scores: Scores) -> bool:
    """Tells whether some runs are right and others wrong."""
    return len({x >= _HALF - _CLOSE for x in scores if x is not None}) > 1


def _extreme(runs: Sequence[Run], scores: Scores, *, highest: bool) -> Run | None:
    known = [(x if highest else -x, -at) for at, x in enumerate(scores) if x is not None]
    return runs[-max(known)[1]] if known else None
