"""The rule that blocks a release, or lets it pass: stored estimates in, a verdict out.

- `pass` needs every gating metric to be shown within its margin, limit or budget; `fail` needs one
  that is shown to be worse, after Holm's correction over the gating metrics, or a hard rule on
  single cases that broke. All else is `inconclusive`.
- What is missing, undefined or estimated at another error rate never passes. Interval and p-value
  must both clear a rule: they agree, unless more is asked now than when they were made.
- It is monotone: a worse estimate never turns another verdict into a pass, and a smaller margin
  never helps.
- A metric whose judge cannot be believed neither passes nor fails.
- A metric that does not gate gets its own verdict by the same rules, corrected after Benjamini and
  Hochberg, and decides nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from llmvc.core import canon
from llmvc.core.estimate import Estimate, MetricVerdict, Verdict
from llmvc.core.metric import KINDS, Metric
from llmvc.core.plural import count
from llmvc.core.suite import Suite
from llmvc.gate import judged, words
from llmvc.gate.level import LAST_LOOK, Standing, level, refusal
from llmvc.gate.multiple import benjamini_hochberg, holm
from llmvc.gate.settle import LEAST_CHANGED, settle

PASS: Final = "pass"  # noqa: S105 (a verdict, not a password)
FAIL: Final = "fail"
INCONCLUSIVE: Final = "inconclusive"

MOST_BROKEN: Final = 0.05
"""A baseline that fails more often than this measures nothing."""

_ROUNDING: Final = 1e-9


def decide(
    estimates: Sequence[Estimate],
    suite: Suite,
    *,
    has_baseline: bool,
    failures: int = 0,
    broken: float = 0.0,
    standing: Standing = LAST_LOOK,
    cleared: frozenset[str] = frozenset(),
    judges: Mapping[str, canon.Json] | None = None,
) -> Verdict:
    """Returns the verdict on a candidate.

    Args:
        estimates: one per metric of the suite, in any order.
        suite: the margins, floors and error rate.
        has_baseline: whether there is something to compare with; if not, floors decide.
        failures: runs without an output.
        broken: share of the baseline's runs in which the application failed.
        standing: which look this is, and how many candidates were tried.
        cleared: ids of the cases whose severe failure a person has looked at and accepts.
        judges: what the report says of the suite's judges, `Report.judges`.
    """
    labelled = {one.metric for one in estimates if one.details.get("judge", {}).get("labels")}
    distrusted = judged.distrusted(suite, judges or {}, labelled)
    known = {estimate.metric: estimate for estimate in estimates}
    asked = level(suite, standing)
    made_at = standing.made_at or asked or suite.alpha
    rows = [
        _Row(
            metric,
            known.get(metric.name, Estimate(metric.name, metric.kind)),
            made_at,
            min(1.0, asked / made_at) if asked else 1.0,
            has_baseline=has_baseline,
            cleared=cleared,
            distrust=distrusted.get(metric.name),
        )
        for metric in suite.metrics
    ]
    verdicts = _judge(rows)
    gating = sorted(
        (verdict for verdict in verdicts if verdict.gate),
        key=lambda item: KINDS.index(_kind(suite, item.metric)),
    )
    result, reason = _overall(gating)
    next_step: str | None = None
    hard = any(row.metric.gate and row.broken() for row in rows)
    if not hard and (blocked := _blocked(suite, standing, failures, broken)):
        result, (reason, next_step) = INCONCLUSIVE, blocked
    elif result == INCONCLUSIVE:
        open_metrics = {item.metric for item in gating if item.verdict == INCONCLUSIVE}
        open_rows = [row for row in rows if row.metric.name in open_metrics]
        next_step = _settle(open_rows, suite, labelled)
    return Verdict(result, reason, tuple(verdicts), next_step)


def _settle(rows: Sequence["_Row"], suite: Suite, labelled: Collection[str]) -> str:
    """Returns what would settle the metrics given, by judges, by labels or by cases."""
    advice = [row.distrust.settle for row in rows if row.distrust is not None]
    left = [row for row in rows if row.distrust is None]
    if any(row.metric.name in labelled for row in left):
        advice.append(judged.MORE_LABELS)
    plain = [(row.metric, row.estimate) for row in left if row.metric.name not in labelled]
    if plain:
        first = left[0]
        advice.append(settle(plain, suite, has_baseline=first.has_baseline, cleared=first.cleared))
    return "; ".join(dict.fromkeys(advice))


@dataclass(frozen=True, slots=True)
class _Row:
    """A metric with its estimate.

    Attributes:
        metric: the rule.
        estimate: the numbers.
        made_at: the level of the report that holds them.
        strictness: what is asked now as a share of that level, at most 1.
        has_baseline: whether there is something to compare with.
        cleared: cases whose severe failure was accepted.
        distrust: why the judge that it rests on cannot be believed; None if it can.
    """

    metric: Metric
    estimate: Estimate
    made_at: float
    strictness: float
    has_baseline: bool
    cleared: frozenset[str]
    distrust: judged.Distrust | None = None

    @property
    def level(self) -> float:
        """The level that the metric's p-values are held against."""
        return (self.estimate.alpha or 0.0) * self.strictness

    @property
    def flagged(self) -> tuple[str, ...]:
        """The cases with a new severe failure that nobody has accepted."""
        found = self.estimate.cases.get("severe", ())
        return tuple(case for case in found if case not in self.cleared)

    def shows(self, p: float | None) -> bool:
        """Says whether a p-value is small enough."""
        return p is not None and p < self.level

    def over_budget(self) -> bool:
        """Says whether a first release is shown to fail severely too often: nobody can clear it."""
        return (
            not self.has_baseline and self.unusable() is None and self.shows(self.estimate.p_fail)
        )

    def broken(self) -> str | None:
        """Returns how a rule on single cases broke; None if none did."""
        if self.distrust is not None:
            return None
        must_pass = self.estimate.cases.get("must_pass", ())
        if must_pass:
            return words.must_pass(must_pass)
        fallen, rule = self.estimate.cases.get("severity", ()), self.metric.severity
        if rule is not None and len(fallen) > rule.cases:
            return words.fallen(fallen, rule)
        return None

    def unusable(self) -> str | None:
        """Returns why the estimate cannot be judged at all; None if it can."""
        if self.distrust is not None:
            return self.distrust.reason
        alpha = self.estimate.alpha
        if self.estimate.reason is not None:
            return self.estimate.reason
        if alpha is None:
            return "it was not estimated"
        if alpha > self.made_at * (1 + _ROUNDING):
            return f"it was estimated at error rate {alpha:g}, the report says {self.made_at:g}"
        return None


def _kind(suite: Suite, name: str) -> str:
    return next(metric.kind for metric in suite.metrics if metric.name == name)


def _blocked(
    suite: Suite, standing: Standing, failures: int, broken: float
) -> tuple[str, str] | None:
    """Returns why no verdict may be read from the estimates, and what to do about it."""
    if all(_only_flags(metric) for metric in suite.metrics if metric.gate):
        return (
            "no metric of the suite gates",
            "give the suite a metric with a margin and gate: true",
        )
    if broken > MOST_BROKEN:
        return (
            f"the application failed in {broken:.0%} of the baseline's runs, which score 0",
            "mend the baseline's run first: beside a broken one anything looks good",
        )
    if failures > 0:
        runs = count(failures, "run")
        have = "has" if failures == 1 else "have"
        return f"{runs} failed and {have} no output", "run llmvc eval again; finished runs are kept"
    return refusal(suite, standing)


def _only_flags(metric: Metric) -> bool:
    """Says whether a metric has no number to be held against, only cases to be looked at."""
    return metric.kind == "severe" and metric.budget is None


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


def _judge(rows: Sequence[_Row]) -> list[MetricVerdict]:
    """Judges each metric: alone first, then those that look worse among their kind."""
    alone = [_alone(row) for row in rows]
    gating = holm(_family(rows, alone, gate=True))
    watched = benjamini_hochberg(_family(rows, alone, gate=False))
    return [
        _among(row, verdict, gating if row.metric.gate else watched)
        for row, verdict in zip(rows, alone, strict=True)
    ]


def _family(
    rows: Sequence[_Row], alone: Sequence[MetricVerdict], *, gate: bool
) -> Mapping[str, float]:
    """Returns the p-values of "no worse", each divided by its level, that count together."""
    return {
        row.metric.name: row.estimate.p_fail / row.level
        for row, verdict in zip(rows, alone, strict=True)
        if row.metric.gate == gate
        and row.has_baseline
        and not verdict.degraded
        and row.estimate.p_fail is not None
        and row.level
        and row.unusable() is None
    }


def _alone(row: _Row) -> MetricVerdict:
    """Says whether a metric is shown to be within its rule; else inconclusive, or a broken rule."""
    metric = row.metric
    rule = words.rule(metric, has_baseline=row.has_baseline)
    verdict = MetricVerdict(metric.name, INCONCLUSIVE, metric.gate, "", rule)
    if row.distrust is not None:
        return replace(verdict, reason=row.distrust.reason)
    if broken := row.broken():
        return replace(verdict, verdict=FAIL, reason=broken)
    if metric.kind == "severe" and row.flagged and not row.over_budget():
        return replace(verdict, reason=words.severe(row.flagged, has_baseline=row.has_baseline))
    timed = metric.kind in ("latency", "context")
    if timed and metric.rule(has_baseline=True) is None:
        return replace(verdict, reason=words.watched(metric, row.estimate))
    if reason := row.unusable():
        return replace(verdict, reason=reason)
    paired = row.has_baseline and not metric.alone
    judge: Callable[[_Row, MetricVerdict], MetricVerdict] = _within if paired else _reach
    return (_rare if metric.kind == "severe" else judge)(row, verdict)


def _within(row: _Row, verdict: MetricVerdict) -> MetricVerdict:
    """Holds a metric against its margin or limit."""
    metric, estimate = row.metric, row.estimate
    low, high, margin, limit = estimate.low, estimate.high, metric.margin, metric.limit
    if metric.kind == "score":
        clear = low is not None and margin is not None and low > -margin
        worse = high is not None and high < 0 and row.shows(estimate.p_fail)
    else:
        clear = high is not None and limit is not None and high < limit
        worse = low is not None and low > 1
    if not clear:
        return replace(verdict, reason=words.beyond(metric, estimate))
    if not row.shows(estimate.p_pass):
        return replace(verdict, reason=words.strict(metric, estimate, row.level))
    reason = words.within(metric, estimate, worse=worse)
    return replace(verdict, verdict=PASS, degraded=worse, reason=reason)


def _reach(row: _Row, verdict: MetricVerdict) -> MetricVerdict:
    """Judges a first release, which has floors and ceilings instead of a baseline."""
    metric, estimate = row.metric, row.estimate
    rule = metric.rule(has_baseline=False)
    if rule is None:
        return replace(verdict, reason=words.no_floor(metric))
    low, high = estimate.arm_low, estimate.arm_high
    if low is None or high is None:
        return replace(verdict, reason="the candidate's mean has no interval")
    above, below = low >= rule, high < rule
    good, bad = (above, below) if metric.kind == "score" else (below, low > rule)
    passes, fails = good and row.shows(estimate.p_pass), bad and row.shows(estimate.p_fail)
    # Beside other metrics that are compared with the baseline, to be worse is for Holm to say.
    fails = fails and not row.has_baseline
    result = PASS if passes else FAIL if fails else INCONCLUSIVE
    return replace(verdict, verdict=result, reason=words.reached(metric, estimate, rule, result))


def _rare(row: _Row, verdict: MetricVerdict) -> MetricVerdict:
    """Holds the share of cases with a severe failure against its budget."""
    metric, estimate = row.metric, row.estimate
    passes = metric.budget is None or row.shows(estimate.p_pass)
    fails = not row.has_baseline and row.shows(estimate.p_fail)
    result = PASS if passes else FAIL if fails else INCONCLUSIVE
    return replace(verdict, verdict=result, reason=words.rare(metric, estimate))


def _among(row: _Row, verdict: MetricVerdict, rejected: frozenset[str]) -> MetricVerdict:
    """Turns a metric that does not pass into a fail if it is shown to be worse."""
    metric, estimate = row.metric, row.estimate
    if (
        verdict.verdict != INCONCLUSIVE
        or not row.has_baseline
        or row.unusable() is not None
        or not row.shows(estimate.p_fail)
    ):
        return verdict
    if metric.kind == "score" and estimate.n_changed < LEAST_CHANGED:
        return replace(verdict, reason=words.few_changed(metric, estimate))
    if metric.name not in rejected:
        return replace(verdict, reason=words.chance(metric, estimate))
    return replace(verdict, verdict=FAIL, reason=words.worse(metric, estimate))
