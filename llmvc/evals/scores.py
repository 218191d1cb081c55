"""The estimate of a bounded score: the difference of case means, by the test that the suite names.

Scores are tested in [0, 1] and told in the metric's scale.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.evals.estimates import Design, by_student, clip, described, differences, with_split
from llmvc.evals.table import Table
from llmvc.stats import anytime, events, paired, repeats, samples
from llmvc.stats.samples import Arm, FloatArray, Groups

MOST_PERMUTED: Final = 20_000
"""Runs in an arm up to which "did anything change" is asked: it only describes."""
_BINARY: Final = (0.0, 1.0)


def score(
    metric: Metric, rows: Table, groups: Groups, design: Design, *, any_time: bool
) -> Estimate:
    """Estimates a bounded score: the difference of means, by the test that the suite names."""
    base, arms = described(metric, rows, groups, design.alpha)
    if base.reason:
        return _told(base, metric)
    candidate, baseline = arms
    if baseline is None:
        return _told(_first(base, metric, candidate, groups, design), metric)
    if design.describe:
        arm = _one_arm(candidate.means, groups, design.alpha)
        base = replace(base, arm_low=arm.low, arm_high=arm.high)
    d = differences(candidate, baseline)
    base = _tested(base, metric, d, groups, design, any_time=any_time)
    base = with_split(base, samples.split_variance(d, candidate, baseline))
    fixed = repeats.fixed_suite(candidate, baseline, alpha=design.alpha)
    if fixed is not None:
        base = replace(base, fixed_low=clip(fixed[0]), fixed_high=clip(fixed[1]))
    if design.describe:
        base = replace(base, checks=_checks(metric, rows, d, base, design.seed))
    return _told(base, metric)


def _first(
    base: Estimate, metric: Metric, candidate: Arm, groups: Groups, design: Design
) -> Estimate:
    """Adds the test of a first release, which has a floor instead of a baseline."""
    floor = None if metric.floor is None else (metric.floor - metric.scale[0]) / metric.span
    arm = _one_arm(candidate.means, groups, design.alpha, floor)
    base = replace(
        base,
        arm_low=arm.low,
        arm_high=arm.high,
        p_pass=arm.p_pass,
        p_fail=arm.p_fail,
        t_pass=arm.t_pass,
        t_fail=arm.t_fail,
        method=by_student("EL-score of one arm", groups),
    )
    return with_split(base, samples.split_variance(candidate.means, candidate))


def _tested(
    base: Estimate,
    metric: Metric,
    d: FloatArray,
    groups: Groups,
    design: Design,
    *,
    any_time: bool,
) -> Estimate:
    """Adds the test of the per-case differences `d`."""
    margin = None if metric.margin is None else metric.margin / metric.span
    if any_time:
        planned = design.planned or _size(groups)
        if not planned["cases"]:
            return replace(base, reason="the groups of a slice count once all cases are measured")
        scale = planned["groups"] / planned["cases"]
        bound = max(1.0, scale * planned["largest"])
        d = groups.units(d) * (scale * groups.cases / groups.count)
        bet = anytime.betting(d, margin=margin, alpha=design.alpha, bound=bound)
        return replace(
            base,
            low=clip(bet.low),
            high=clip(bet.high),
            p_pass=bet.p_pass,
            p_fail=bet.p_fail,
            method="betting e-process, valid at any stop",
            reason=bet.reason,
        )
    units = groups.units(d)
    bound = max(groups.stretch, float(np.abs(units).max()))
    test = paired.el_score if metric.test == "el-score" else paired.el_ratio
    name = "EL-score" if metric.test == "el-score" else "EL-ratio"
    found = test(units, margin=margin, alpha=design.alpha, bound=bound)
    return replace(
        base,
        low=clip(found.low),
        high=clip(found.high),
        p_pass=found.p_pass,
        p_fail=found.p_fail,
        t_pass=found.t_pass,
        t_fail=found.t_fail,
        score_pass=found.score_pass,
        score_fail=found.score_fail,
        method=by_student(f"paired {name}", groups),
        reason=found.reason,
    )


def _checks(
    metric: Metric, rows: Table, d: FloatArray, base: Estimate, seed: int
) -> dict[str, float]:
    """Returns p-values that describe and decide nothing."""
    found: dict[str, float | None] = {}
    baseline = rows.baseline or []
    most = max((len(row) for row in (*rows.candidate, *baseline)), default=0)
    if metric.pass_k is None and most == 1:
        values = {value for row in (*rows.candidate, *baseline) for value in row}
        if values <= set(_BINARY):
            found["mcnemar"], found["mcnemar_mid_p"] = events.mcnemar(base.n_worse, base.n_better)
    if metric.scale != _BINARY:
        found["wilcoxon"] = events.wilcoxon(d)
    if metric.pass_k is None and len(d) * most <= MOST_PERMUTED:
        found["changed"] = repeats.changed(rows.candidate, baseline, seed=seed)
    return {name: p for name, p in found.items() if p is not None}


def _one_arm(
    values: FloatArray, groups: Groups, alpha: float, floor: float | None = None
) -> paired.ScoreTest:
    """Returns the interval for the mean of one arm's scores.

    Groups are added up about the mean, so that their sizes alone make no spread; the ends of the
    support move with them.
    """
    mean = float(values.mean())
    units = mean + groups.units(values - mean)
    stretch = groups.stretch
    low, high = mean - mean * stretch, mean + (1.0 - mean) * stretch
    low, high = min(low, float(units.min())), max(high, float(units.max()))
    test = paired.el_mean(units, floor=floor, alpha=alpha, low=low, high=high)
    return replace(test, low=clip(test.low, 0.0), high=clip(test.high, 0.0))


def _told(base: Estimate, metric: Metric) -> Estimate:
    """Returns an estimate in the units of the metric's scale instead of [0, 1]."""
    return base if metric.scale == _BINARY else base.in_scale(metric.scale[0], metric.span)


def _size(groups: Groups) -> dict[str, int]:
    largest = int(groups.sizes.max(initial=1))
    return {"cases": groups.cases, "groups": groups.count, "largest": largest}
