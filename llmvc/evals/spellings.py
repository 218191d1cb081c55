"""What the spellings of a prompt say of a score: its mean under each of them, and their spread.

It describes and decides nothing: both arms are measured in the same spellings, and a metric rests
on the mean over all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from llmvc.core.metric import Metric
from llmvc.core.report import CaseRuns
from llmvc.core.variants import WRITTEN
from llmvc.evals import table
from llmvc.evals.table import Value
from llmvc.stats import samples, variants
from llmvc.stats.samples import FloatArray, Groups

Details = dict[str, Mapping[str, float | None]]

_GROUPS: Final = {"candidate": "variants", "baseline": "variants_baseline"}


def details(
    metric: Metric,
    names: Sequence[str],
    cases: Sequence[CaseRuns],
    value: Value,
    groups: Groups,
    *,
    alpha: float,
) -> Details:
    """Returns the details `variants` and `variants_baseline` of a metric, in its scale.

    Args:
        metric: a score.
        names: the suite's variants; run r was made with number r modulo (their count + 1).
        cases: those that count for the metric.
        value: a run's score in [0, 1].
        groups: which cases belong together.
        alpha: one-sided level of the interval.

    Returns:
        For each arm that was measured: the mean under each spelling, `spread`, `spread_low` and
        `spread_high`; None where a case has no usable run. The candidate's have the `margin`, too.
    """
    found: Details = {}
    if not names or metric.pass_k is not None:
        return found
    for arm, group in _GROUPS.items():
        runs = [getattr(case, arm) for case in cases]
        if not any(runs):
            continue
        only = [replace(c, candidate=own, baseline=()) for c, own in zip(cases, runs, strict=True)]
        means = [_means(only, at, len(names) + 1, value) for at in range(len(names) + 1)]
        figures = _figures(metric, (WRITTEN, *names), means, groups, alpha)
        found[group] = {**figures, "margin": metric.margin} if arm == "candidate" else figures
    return found


def _means(cases: Sequence[CaseRuns], at: int, count: int, value: Value) -> FloatArray | None:
    """Returns the mean of each case over its runs in one spelling; None if one has none."""
    own = [
        replace(case, candidate=tuple(run for run in case.candidate if run.run % count == at))
        for case in cases
    ]
    rows = table.collect(own, value, what="score", skip_failed=True)
    return None if rows.reason else samples.reduce_runs(rows.candidate).means


def _figures(
    metric: Metric,
    names: Sequence[str],
    means: Sequence[FloatArray | None],
    groups: Groups,
    alpha: float,
) -> dict[str, float | None]:
    known = [mean for mean in means if mean is not None]
    low, span = metric.scale[0], metric.span
    figures: dict[str, float | None] = {
        name: None if mean is None else low + span * float(mean.mean())
        for name, mean in zip(names, means, strict=True)
    }
    made = variants.Spread(alpha)
    if len(known) == len(means):
        made = variants.spread(known, groups, alpha=alpha)
    bounds = {"spread": made.estimate, "spread_low": made.low, "spread_high": made.high}
    figures.update({name: None if one is None else span * one for name, one in bounds.items()})
    return figures
