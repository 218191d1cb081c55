"""From the runs in a report to one value a run, by case and arm: what a metric is made of.

- A value that is missing is a problem with a name; it never becomes 0, nor a smaller set of cases.
- The rules on single cases are read off here too: they need no statistics.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from llmvc.core.metric import Metric
from llmvc.core.plural import count
from llmvc.core.report import CaseRuns, Run
from llmvc.core.suite import Suite

SEVERE: Final = 0.5
"""A run whose scorer gives less than this is a severe failure."""
_ALL: Final = 1.0 - 1e-9
_CLOSE: Final = 1e-9
_WHOLE: Final = 100

Value = Callable[[Run], float | None]
Rows = list[list[float]]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One metric's values.

    Attributes:
        cases: ids, in the order of the rows.
        candidate: the values of each case's runs.
        baseline: the same under the baseline; None without one.
        n: cases with a usable run in every arm.
        reason: what is missing; None if nothing is. The rows count only then.
    """

    cases: tuple[str, ...]
    candidate: Rows
    baseline: Rows | None
    n: int
    reason: str | None


def collect(cases: Sequence[CaseRuns], value: Value, *, what: str, skip_failed: bool) -> Table:
    """Gathers one value a run, and says what is missing.

    Args:
        cases: those that count.
        value: a run's value; None if it has none.
        what: the value's name for people.
        skip_failed: whether a run that the provider failed is left out instead of making the metric
            undefined; one that has an output and no value never is.
    """
    arms = {"candidate": [case.candidate for case in cases]}
    if any(case.baseline for case in cases):
        arms["baseline"] = [case.baseline for case in cases]
    rows: dict[str, Rows] = {}
    problems: list[str] = []
    for arm, cases_runs in arms.items():
        rows[arm], unknown = [], 0
        for runs in cases_runs:
            found = [value(run) for run in runs]
            known = [number for number in found if number is not None]
            rows[arm].append(known)
            if len(known) < len(found):
                unknown += sum(
                    number is None
                    and not (skip_failed and run.error is not None and not run.run_id)
                    for run, number in zip(runs, found, strict=True)
                )
        empty = sum(not row for row in rows[arm])
        if unknown:
            problems.append(f"{what} is not known for {count(unknown, 'run')} of the {arm}")
        elif empty:
            have = "has" if empty == 1 else "have"
            problems.append(f"{empty} of {len(cases)} cases {have} no usable run of the {arm}")
    if not cases:
        problems.append("there are no cases")
    usable = sum(all(row) for row in zip(*rows.values(), strict=True))
    return Table(
        tuple(case.id for case in cases),
        rows["candidate"],
        rows.get("baseline"),
        usable,
        "; ".join(problems) or None,
    )


def of_slice(cases: Sequence[CaseRuns], metric: Metric) -> Sequence[CaseRuns]:
    """Returns the cases that count for a metric."""
    found = cases if metric.slice is None else [c for c in cases if metric.slice in c.tags]
    if metric.used is None:
        return found
    low, high = metric.used
    top = float("inf") if high >= _WHOLE else high
    return [case for case in found if (use := _use(case)) is not None and low <= 100 * use < top]


def unknown_use(cases: Sequence[CaseRuns], metric: Metric) -> str | None:
    """Says why cases cannot be told apart by the context they use; None if they can, or need not.

    A case of unknown use is in no bucket, so that it would be left out of all of them unseen.
    """
    if metric.used is None:
        return None
    unknown = sum(_use(case) is None for case in cases)
    return f"the context used is not known for {count(unknown, 'case')}" if unknown else None


def _use(case: CaseRuns) -> float | None:
    """Returns the larger of both arms' mean share of the window: both arms have the same cases."""
    means: list[float] = []
    for runs in filter(None, (case.candidate, case.baseline)):
        known = [run.context_share for run in runs if run.context_share is not None]
        if not known:
            return None
        means.append(sum(known) / len(known))
    return max(means, default=None)


def scoring(suite: Suite, metric: Metric) -> Value:
    """Returns how a run's score follows from the metric's scorers: their weighted mean."""
    weights = {scorer.name: scorer.weight for scorer in suite.scorers}
    parts = [(name, weights.get(name, 0.0)) for name in metric.scorers]
    if len(parts) == 1 and parts[0][1] == 1.0:
        return partial(_plain, parts[0][0])
    return partial(_weighted, parts, sum(weight for _, weight in parts))


def severity(metric: Metric) -> Value:
    """Returns how a run is a severe failure (1) or not (0)."""
    return partial(_severe, metric.scorers)


def broken_rules(
    metric: Metric, cases: Sequence[CaseRuns], value: Value
) -> dict[str, tuple[str, ...]]:
    """Returns the ids of the cases that break a rule on single cases.

    Args:
        metric: the rules.
        cases: those that count for the metric.
        value: a run's score in [0, 1], or whether it is a severe failure.
    """
    found: dict[str, tuple[str, ...]] = {}
    if metric.must_pass:
        must = [case for case in cases if not set(case.tags).isdisjoint(metric.must_pass)]
        failed = (c.id for c in must if any(_known(value(r)) < _ALL for r in c.candidate))
        found["must_pass"] = tuple(sorted(failed))
    if metric.severity is not None:
        drop = metric.severity.drop / metric.span - _CLOSE
        found["severity"] = tuple(sorted(c.id for c in cases if _fall(c, value) >= drop))
    if metric.kind == "severe":
        new = (
            case.id
            for case in cases
            if any(value(run) for run in case.candidate)
            and not any(value(run) for run in case.baseline)
        )
        found["severe"] = tuple(sorted(new))
    return {name: ids for name, ids in found.items() if ids}


def _known(value: float | None) -> float:
    """Returns a value; one that is missing breaks no rule, it makes the metric undefined."""
    return 1.0 if value is None else value


def _fall(case: CaseRuns, value: Value) -> float:
    """Returns how much lower the candidate's mean is; 0 where an arm says nothing."""
    means: list[float] = []
    for runs in (case.baseline, case.candidate):
        known = [number for number in map(value, runs) if number is not None]
        if not known:
            return 0.0
        means.append(sum(known) / len(known))
    return means[0] - means[1]


def _plain(name: str, run: Run) -> float | None:
    return run.scores.get(name)


def _weighted(parts: list[tuple[str, float]], total: float, run: Run) -> float | None:
    result = 0.0
    for name, weight in parts:
        score = run.scores.get(name)
        if score is None:
            return None
        result += weight * score
    return result / total if total > 0 else None


def _severe(names: Sequence[str], run: Run) -> float | None:
    scores = [run.scores.get(name) for name in names]
    if any(score is not None and score < SEVERE for score in scores):
        return 1.0
    return None if any(score is None for score in scores) else 0.0
