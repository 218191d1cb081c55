"""What the estimates of all kinds of metrics share: the design, and the figures without a test."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from llmvc.core import canon
from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.evals.table import Rows, Table
from llmvc.stats import repeats, samples
from llmvc.stats.samples import Arm, FloatArray, Groups


@dataclass(frozen=True, slots=True)
class Design:
    """What an estimate has to know beside the runs.

    Attributes:
        alpha: one-sided level of the verdict.
        seed: of everything random.
        planned: {"cases", "groups", "largest"} of the whole suite; empty if all of it was measured.
        describe: whether to tell what decides nothing too: one arm alone, further checks.
        judges: what the report says of the suite's judges, labels by people included.
    """

    alpha: float
    seed: int = 0
    planned: Mapping[str, int] = field(default_factory=dict)
    describe: bool = True
    judges: Mapping[str, canon.Json] = field(default_factory=dict)


def described(
    metric: Metric, rows: Table, groups: Groups, alpha: float
) -> tuple[Estimate, tuple[Arm, Arm | None]]:
    """Returns the figures that need no test, and why no test can follow, if so."""
    base = Estimate(metric.name, metric.kind, alpha=alpha, n=rows.n, reason=rows.reason)
    none = samples.reduce_runs([])
    if rows.reason:
        return base, (none, None)
    strange = any(_strange(arm) for arm in (rows.candidate, rows.baseline) if arm)
    if metric.pass_k is not None:
        rows, reason = _pass_k(rows, metric.pass_k)
        if reason:
            return replace(base, reason=reason), (none, None)
    candidate = samples.reduce_runs(rows.candidate)
    baseline = None if rows.baseline is None else samples.reduce_runs(rows.baseline)
    base = replace(
        base,
        candidate=float(candidate.means.mean()),
        n_effective=groups.effective,
        reason=groups.refusal(),
    )
    if metric.kind == "score" and (strange or _outside(candidate, baseline)):
        return replace(base, reason="a score lies outside its range"), (candidate, baseline)
    if baseline is None:
        return base, (candidate, None)
    difference = differences(candidate, baseline)
    mean, estimate = float(baseline.means.mean()), float(difference.mean())
    units = np.round(groups.units(difference), 12)
    if metric.kind in ("cost", "tokens"):
        estimate_or_none = float(candidate.means.mean()) / mean if mean else None
    else:
        estimate_or_none = estimate
    base = replace(
        base,
        baseline=mean,
        estimate=estimate_or_none,
        n_worse=int(np.count_nonzero(units < 0)),
        n_better=int(np.count_nonzero(units > 0)),
    )
    return base, (candidate, baseline)


def _pass_k(rows: Table, r: int) -> tuple[Table, str | None]:
    """Returns rows with one value a case, the chance that `r` runs all pass; or why there is none.

    A run passes if its score is 1.
    """
    made: list[list[list[float]] | None] = []
    for arm in (rows.candidate, rows.baseline):
        if arm is None:
            made.append(None)
            continue
        if any(len(row) < r for row in arm):
            return rows, f"pass^{r} needs {r} usable runs of every case"
        passes = [sum(value >= 1 - 1e-9 for value in row) for row in arm]
        chances = repeats.pass_k(passes, [len(row) for row in arm], r)
        made.append([[float(chance)] for chance in chances])
    candidate, baseline = made
    return replace(rows, candidate=candidate or [], baseline=baseline), None


def _strange(arm: Rows) -> bool:
    """Says whether a run's score lies outside its range, though the mean of its case may not."""
    return min(map(min, arm)) < 0.0 or max(map(max, arm)) > 1.0 + 1e-9


def _outside(*arms: Arm | None) -> bool:
    return any(
        arm is not None and not ((arm.means >= 0) & (arm.means <= 1 + 1e-9)).all() for arm in arms
    )


def differences(candidate: Arm, baseline: Arm) -> FloatArray:
    """Returns candidate minus baseline, free of rounding noise so that equal means are equal."""
    difference: FloatArray = candidate.means - baseline.means
    scale = max(1.0, float(np.abs(difference).max(initial=0.0)))
    return np.where(np.abs(difference) < 1e-12 * scale, 0.0, difference)


def by_student(name: str, groups: Groups) -> str:
    """Names a test with the units that it counts and their degrees of freedom."""
    over = "" if groups.alone else f" over {groups.count} groups"
    return f"{name}{over}, t({groups.count - 1})"


def with_split(base: Estimate, split: tuple[float, float] | None) -> Estimate:
    """Adds the variance between cases and that of repeated runs, if they can be told apart."""
    return base if split is None else replace(base, var_case=split[0], var_run=split[1])


def clip(value: float | None, low: float = -1.0) -> float | None:
    """Cuts a bound at the ends of what a score, or a difference of scores, can be."""
    return None if value is None else min(1.0, max(low, value))
