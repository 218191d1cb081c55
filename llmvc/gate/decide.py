"""The rule that blocks a release, or lets it pass: stored estimates in, a verdict out.

- `pass` needs every gating metric to be shown within its margin or limit; `fail` needs one that is
  shown to be worse, after Holm's correction over the gating metrics. All else is `inconclusive`.
- What is missing, undefined or estimated at another error rate never passes.
- It is monotone: a worse estimate never turns another verdict into a pass, and a smaller margin
  never helps.
- A metric that does not gate gets its own verdict by the same rules and decides nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from llmvc.core.plural import count
from llmvc.core.report import Estimate, MetricVerdict, Verdict
from llmvc.core.suite import Metric, Suite
from llmvc.gate import words
from llmvc.gate.settle import settle

PASS: Final = "pass"  # noqa: S105 (a verdict, not a password)
FAIL: Final = "fail"
INCONCLUSIVE: Final = "inconclusive"

LEAST_CHANGED: Final = 5
"""Fewer changed cases never fail: three worse and none better is significant at any n."""

_ROUNDING: Final = 1e-9


def decide(
    report_estimates: Sequence[Estimate],
    suite: Suite,
    *,
    has_baseline: bool,
    looks_taken: int = 1,
    failures: int = 0,
) -> Verdict:
    """Returns the verdict on a candidate.

    Args:
        report_estimates: one per metric of the suite, in any order.
        suite: the margins, floors and error rate.
        has_baseline: whether there is something to compare with; if not, floors decide.
        looks_taken: reports on this question that count as looks, this one included.
        failures: runs without an output.
    """
    known = {estimate.metric: estimate for estimate in report_estimates}
    rows = [
        _Row(metric, known.get(metric.name, Estimate(metric.name, metric.kind)))
        for metric in suite.metrics
    ]
    level = suite.alpha / suite.looks
    judged = _compare(rows, level) if has_baseline else [_reach(row, level) for row in rows]
    gating = [verdict for verdict in judged if verdict.gate]
    result, reason = _overall(gating)
    next_step: str | None = None
    if blocked := _blocked(suite, gating, looks_taken=looks_taken, failures=failures):
        result, (reason, next_step) = INCONCLUSIVE, blocked
    elif result == INCONCLUSIVE:
        open_metrics = {item.metric for item in gating if item.verdict == INCONCLUSIVE}
        open_rows = [(row.metric, row.estimate) for row in rows if row.metric.name in open_metrics]
        next_step = settle(open_rows, suite, has_baseline=has_baseline)
    return Verdict(result, reason, tuple(judged), next_step)


@dataclass(frozen=True, slots=True)
class _Row:
    metric: Metric
    estimate: Estimate


def _blocked(
    suite: Suite, gating: Sequence[MetricVerdict], *, looks_taken: int, failures: int
) -> tuple[str, str] | None:
    """Returns why no verdict may be read from the estimates, and what to do about it."""
    if not gating:
        return (
            "no metric of the suite gates",
            "give the suite a metric with a margin and gate: true",
        )
    if failures > 0:
        runs = count(failures, "run")
        return f"{runs} failed and have no output", "run llmvc eval again; finished runs are kept"
    if looks_taken > suite.looks:
        looks = count(suite.looks, "look")
        return (
            f"this is look {looks_taken} at one question and the suite plans {looks}",
            "add cases: a suite with more evidence is a new question",
        )
    return None


def _overall(gating: Sequence[MetricVerdict]) -> tuple[str, str]:
    failed = [item for item in gating if item.verdict == FAIL]
    unclear = [item for item in gating if item.verdict == INCONCLUSIVE]
    if failed:
        return FAIL, "; ".join(f"{item.metric}: {item.reason}" for item in failed)
    if unclear:
        return INCONCLUSIVE, "; ".join(f"{item.metric}: {item.reason}" for item in unclear)
    degraded = [item.metric for item in gating if item.degraded]
    metrics = "the gating metric passes" if len(gating) == 1 else "all gating metrics pass"
    note = f"; worse within the margin: {', '.join(degraded)}" if degraded else ""
    return PASS, metrics + note


def _compare(rows: Sequence[_Row], level: float) -> list[MetricVerdict]:
    """Judges each metric against the baseline."""
    within = [_within(row, level) for row in rows]
    family = {
        row.metric.name: row.estimate.p_fail / row.estimate.alpha
        for row, verdict in zip(rows, within, strict=True)
        if row.metric.gate
        and not verdict.degraded
        and row.estimate.p_fail is not None
        and row.estimate.alpha
        and _unusable(row, level) is None
    }
    rejected = holm(family)
    return [
        verdict
        if verdict.verdict == PASS or _unusable(row, level) is not None
        else _worse(row, verdict, rejected)
        for row, verdict in zip(rows, within, strict=True)
    ]


def holm(family: Mapping[str, float]) -> frozenset[str]:
    """Returns the names rejected by Holm's step-down procedure.

    Args:
        family: name -> p divided by that test's own level.
    """
    rejected: set[str] = set()
    for at, (name, share) in enumerate(sorted(family.items(), key=lambda item: item[1])):
        if share * (len(family) - at) >= 1.0:
            break
        rejected.add(name)
    return frozenset(rejected)


def _within(row: _Row, level: float) -> MetricVerdict:
    """Says whether a metric is shown to be within its margin or limit; else inconclusive."""
    metric, estimate = row.metric, row.estimate
    rule = words.margin(metric)
    verdict = MetricVerdict(metric.name, INCONCLUSIVE, metric.gate, "", rule)
    if reason := _unusable(row, level):
        return replace(verdict, reason=reason)
    if metric.kind == "score":
        passes = (
            metric.margin is not None and estimate.low is not None and estimate.low > -metric.margin
        )
        worse = estimate.high is not None and estimate.high < 0
    else:
        passes = (
            metric.limit is not None and estimate.high is not None and estimate.high < metric.limit
        )
        worse = estimate.low is not None and estimate.low > 1
    if not passes:
        return replace(verdict, reason=words.beyond(metric, estimate))
    return replace(
        verdict, verdict=PASS, degraded=worse, reason=words.within(metric, estimate, worse=worse)
    )


def _worse(row: _Row, verdict: MetricVerdict, rejected: frozenset[str]) -> MetricVerdict:
    """Turns a metric that does not pass into a fail if it is shown to be worse."""
    metric, estimate = row.metric, row.estimate
    if estimate.p_fail is None or estimate.alpha is None or estimate.p_fail >= estimate.alpha:
        return verdict
    if metric.kind == "score" and estimate.n_changed < LEAST_CHANGED:
        return replace(verdict, reason=words.few_changed(metric, estimate))
    if metric.gate and metric.name not in rejected:
        return replace(verdict, reason=words.chance(metric, estimate))
    return replace(verdict, verdict=FAIL, reason=words.worse(metric, estimate))


def _reach(row: _Row, level: float) -> MetricVerdict:
    """Judges a first release, which has floors and ceilings instead of a baseline."""
    metric, estimate = row.metric, row.estimate
    verdict = MetricVerdict(metric.name, INCONCLUSIVE, metric.gate, "", words.floor(metric))
    rule = metric.floor if metric.kind == "score" else metric.ceiling_usd
    if rule is None:
        return replace(verdict, reason=words.no_floor(metric, estimate))
    if reason := _unusable(row, level):
        return replace(verdict, reason=reason)
    low, high = estimate.arm_low, estimate.arm_high
    if low is None or high is None:
        return replace(verdict, reason="the candidate's mean has no interval")
    if metric.kind == "score":
        passes, fails = low >= rule, high < rule
    else:
        passes, fails = high < rule, low > rule
    result = PASS if passes else FAIL if fails else INCONCLUSIVE
    return replace(verdict, verdict=result, reason=words.reached(metric, estimate, rule, result))


def _unusable(row: _Row, level: float) -> str | None:
    """Returns why an estimate cannot be judged at all; None if it can."""
    metric, estimate = row.metric, row.estimate
    if estimate.reason is not None:
        return estimate.reason
    if metric.kind == "latency":
        return words.watched(estimate)
    if estimate.alpha is None:
        return "it was not estimated"
    if estimate.alpha > level * (1 + _ROUNDING):
        return f"it was estimated at error rate {estimate.alpha:g}, the suite asks for {level:g}"
    return None
