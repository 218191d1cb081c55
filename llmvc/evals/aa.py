"""The gate tested on itself: two halves of one arm's runs, drawn and judged many times.

- Nothing differs between the halves, so every `fail` is a false block. Where a drop of exactly the
  margin is put in, every `pass` is a false pass.
- Estimates and verdicts come from the very functions that judge a release.
- All rates are conditional on the runs at hand: cases are drawn from these cases, and chance from
  these runs. Nothing follows for other cases, nor for a model or a judge that drifts.
- What has no error rate is not tested: rules on single cases and new severe failures. Latency and
  early looks are not tested either.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

import numpy as np

from llmvc.core.estimate import Estimate, Verdict
from llmvc.core.metric import Metric
from llmvc.core.report import CaseRuns, Run
from llmvc.core.suite import Looks, Suite
from llmvc.errors import Inconclusive
from llmvc.evals import table
from llmvc.evals.estimates import Design
from llmvc.evals.halves import Draw, Flags, Halves, Values
from llmvc.evals.summary import summarize
from llmvc.gate.decide import FAIL, INCONCLUSIVE, PASS, decide
from llmvc.stats import events

ArmName: TypeAlias = Literal["candidate", "baseline"]
Gate: TypeAlias = Callable[[Sequence[CaseRuns], Suite], Verdict]

EXCESS: Final = 1.3
"""Most errors of a test over its level: an exact worst-case search found about 6.5% for 5%."""
_TAIL: Final = 0.025
_CLOSE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened.

    Attributes:
        count: how often.
        times: of how many.
        rate: the share.
        low: lower end of its exact 95% interval (Clopper and Pearson).
        high: its upper end.
    """

    count: int
    times: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AtRule:
    """What becomes of a candidate that is exactly as bad as a rule just forbids.

    Attributes:
        metric: its name.
        kind: `score` or `cost`.
        rule: the margin or limit.
        passed: false passes: how often the metric passes all the same; None where that cannot be
            tried.
        naive: how often one run against one run shows no change beyond the rule; None where a run
            alone has no value.
        reason: why it cannot be tried; None if it was.
    """

    metric: str
    kind: str
    rule: float
    passed: Rate | None = None
    naive: Rate | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What the gate does with halves of one arm's runs.

    Attributes:
        arm: whose runs they are.
        cases: cases with two usable runs or more.
        left_out: cases with fewer.
        groups: what was drawn: cases, or whole groups of them.
        half: fewest and most runs in a half of a case.
        times: how often cases and halves were drawn.
        seed: of the draws.
        alpha: the level that was judged at.
        promise: how often the gate errs at most, as a share.
        failed: false blocks: `fail` where nothing changed.
        passed: `pass` where nothing changed.
        inconclusive: neither.
        naive: how often a change beyond a rule in one run against one run, on the same draws, would
            have blocked; None where a run alone has no value.
        at_rule: one a tested metric.
        untested: names of the suite's other metrics.
    """

    arm: ArmName
    cases: int
    left_out: int
    groups: int
    half: tuple[int, int]
    times: int
    seed: int
    alpha: float
    promise: float
    failed: Rate
    passed: Rate
    inconclusive: Rate
    naive: Rate | None
    at_rule: tuple[AtRule, ...]
    untested: tuple[str, ...]

    def above(self, rate: Rate | None) -> bool:
        """Says whether an error rate is above the promise, by more than chance explains."""
        return rate is not None and rate.low > self.promise

    @property
    def as_promised(self) -> bool:
        """Whether no error rate is above the promise."""
        return not any(map(self.above, (self.failed, *(item.passed for item in self.at_rule))))


def judged(cases: Sequence[CaseRuns], suite: Suite) -> Verdict:
    """Returns the gate's verdict on runs, as for a release."""
    quick = Design(suite.alpha, describe=False)
    return decide(summarize(cases, suite, quick), suite, has_baseline=True)


def self_test(
    cases: Sequence[CaseRuns],
    suite: Suite,
    arm: ArmName,
    *,
    times: int = 400,
    seed: int = 0,
    gate: Gate = judged,
) -> SelfTest:
    """Judges halves of one arm's runs against each other.

    Args:
        cases: what was measured; cases with fewer than two usable runs in the arm are left out.
        suite: the metrics and the level.
        arm: whose runs are halved.
        times: how often to draw.
        seed: of the draws.
        gate: what is tested.

    Raises:
        Inconclusive: whatever is drawn from these runs, the gate cannot tell.
    """
    pools, tested = _pools(cases, arm), _tested(suite)
    trials = _trials(pools, tested)
    halves, rng = Halves.of(pools), np.random.default_rng(seed)
    verdicts: list[str] = []
    blocked: list[bool] = []
    for _ in range(times):
        draw = halves.draw(rng)
        same = draw.cases(pools)
        verdicts.append(gate(same, tested).verdict)
        blocked.append(any(trial.blocks(draw) for trial in trials))
        for trial in trials:
            if trial.reason is None:
                trial.harm(draw, same, gate, rng)
    sizes = (halves.runs // 2).tolist()
    names = {metric.name for metric in tested.metrics}
    return SelfTest(
        arm=arm,
        cases=len(pools),
        left_out=len(cases) - len(pools),
        groups=len(halves.members),
        half=(min(sizes), max(sizes)),
        times=times,
        seed=seed,
        alpha=suite.alpha,
        promise=min(1.0, EXCESS * suite.alpha),
        failed=_rate(item == FAIL for item in verdicts),
        passed=_rate(item == PASS for item in verdicts),
        inconclusive=_rate(item == INCONCLUSIVE for item in verdicts),
        naive=_rate(blocked) if any(trial.single for trial in trials) else None,
        at_rule=tuple(trial.told() for trial in trials),
        untested=tuple(metric.name for metric in suite.metrics if metric.name not in names),
    )


@dataclass(slots=True, eq=False)
class _Trial:
    """One metric, harmed by exactly its rule in every draw.

    For a score, each drawn case is hit with the chance `margin / mean`, apart from all others, and
    its candidate then scores nothing in any run. Over draws and hits the mean falls by the margin,
    exactly so given the runs at hand; one draw may fall by more or less, as a sample of cases does.
    For cost, the candidate of every case costs the limit times as much, exactly so in each draw.

    Attributes:
        metric: what is harmed.
        suite: the suite with this metric alone.
        rule: the margin in [0, 1], or the limit.
        values: one a run, NaN where there is none, shape (cases, most runs).
        counts: which cases count for the metric.
        chance: of a case to be hit.
        runs: each case's runs, harmed.
        reason: why it cannot be tried; None if it can.
        passed: whether the metric passed, draw by draw.
        missed: whether one run against one run showed no change beyond the rule.
    """

    metric: Metric
    suite: Suite
    rule: float
    values: Values
    counts: Flags
    chance: float
    runs: list[tuple[Run, ...]]
    reason: str | None
    passed: list[bool] = field(default_factory=list[bool])
    missed: list[bool] = field(default_factory=list[bool])

    @property
    def single(self) -> bool:
        """Whether a run alone has a value."""
        return self.metric.pass_k is None and not np.isnan(self.values[self.counts, 0]).any()

    def blocks(self, draw: Draw, hit: Flags | None = None) -> bool:
        """Says whether one run against one run shows a change beyond the rule."""
        if not self.single:
            return False
        baseline, candidate = draw.single(self.values)
        counts = self.counts[draw.at]
        if self.metric.kind == "cost":
            paid = float(candidate[counts].sum()) * (1.0 if hit is None else self.rule)
            return paid > self.rule * float(baseline[counts].sum()) * (1.0 + _CLOSE)
        if hit is not None:
            candidate = np.where(hit, 0.0, candidate)
        drop = float((baseline - candidate)[counts].sum())
        return drop > (self.rule + _CLOSE) * int(counts.sum())

    def harm(
        self, draw: Draw, same: Sequence[CaseRuns], gate: Gate, rng: np.random.Generator
    ) -> None:
        """Harms the candidate of one draw, and notes what the gate and one run say of it."""
        hit = rng.random(len(draw.at)) < self.chance
        worse = draw.with_candidate(same, self.runs, hit)
        (verdict,) = gate(worse, self.suite).metrics
        self.passed.append(verdict.verdict == PASS)
        self.missed.append(not self.blocks(draw, hit))

    def told(self) -> AtRule:
        """Returns what was noted."""
        rule = self.metric.limit if self.metric.kind == "cost" else self.metric.margin
        base = AtRule(self.metric.name, self.metric.kind, rule or 0.0, reason=self.reason)
        if self.reason is not None:
            return base
        naive = _rate(self.missed) if self.single else None
        return replace(base, passed=_rate(self.passed), naive=naive)


def _trials(pools: Sequence[CaseRuns], suite: Suite) -> list[_Trial]:
    """Prepares every metric.

    Raises:
        Inconclusive: none can be tested.
    """
    trials = [
        _trial(metric, suite, pools, estimate)
        for metric, estimate in zip(suite.metrics, summarize(pools, suite), strict=True)
    ]
    if all(trial.reason is not None for trial in trials):
        listed = "; ".join(f"{trial.metric.name}: {trial.reason}" for trial in trials)
        raise Inconclusive(
            f"the gate cannot be tested on these runs: {listed}",
            hint="measure more cases, with runs: 2 or more, or see llmvc plan",
        )
    return trials


def _trial(metric: Metric, suite: Suite, pools: Sequence[CaseRuns], estimate: Estimate) -> _Trial:
    """Prepares one metric, of which `estimate` has the mean over all runs."""
    cost = metric.kind == "cost"
    value = _cost if cost else table.scoring(suite, metric)
    values = np.full((len(pools), max(len(case.candidate) for case in pools)), np.nan)
    for at, case in enumerate(pools):
        values[at, : len(case.candidate)] = [
            np.nan if found is None else found for found in map(value, case.candidate)
        ]
    counted = {case.id for case in table.of_slice(pools, metric)}
    reason, mean = estimate.reason, estimate.candidate
    margin = 0.0 if metric.margin is None else metric.margin / metric.span
    chance = 1.0
    if not cost and reason is None and mean is not None:
        share = (mean - metric.scale[0]) / metric.span
        chance = margin / share if share >= margin else 0.0
        if not chance:
            reason = f"the mean of {mean:.3g} cannot fall by the margin of {metric.margin:g}"
        least = min(len(case.candidate) for case in pools) // 2
        if metric.pass_k is not None and least < metric.pass_k:
            reason = f"pass^{metric.pass_k} needs {2 * metric.pass_k} runs of every case"
    limit = metric.limit or 1.0
    return _Trial(
        metric=metric,
        suite=replace(suite, metrics=(metric,)),
        rule=limit if cost else margin,
        values=values,
        counts=np.array([case.id in counted for case in pools]),
        chance=chance,
        runs=[tuple(_harmed(run, metric, limit) for run in case.candidate) for case in pools],
        reason=reason,
    )


def _harmed(run: Run, metric: Metric, limit: float) -> Run:
    if metric.kind == "cost":
        return replace(run, cost_usd=None if run.cost_usd is None else run.cost_usd * limit)
    return replace(run, scores={**run.scores, **dict.fromkeys(metric.scorers, 0.0)})


def _cost(run: Run) -> float | None:
    return run.cost_usd


def _pools(cases: Sequence[CaseRuns], arm: ArmName) -> list[CaseRuns]:
    """Returns the cases with at least two usable runs in the arm, as the candidate's.

    Raises:
        Inconclusive: there is none.
    """
    found: list[CaseRuns] = []
    for case in cases:
        runs = tuple(filter(_usable, case.candidate if arm == "candidate" else case.baseline))
        if len(runs) > 1:
            found.append(CaseRuns(case.id, case.group, runs, (), case.tags))
    if not found:
        raise Inconclusive(
            f"the {arm} ran no case twice, so there are no two halves to compare",
            hint="measure with runs: 2 or more in the suite",
        )
    return found


def _usable(run: Run) -> bool:
    """Says whether a run gave an outcome; one that failed without a score did not."""
    return run.error is None or any(score is not None for score in run.scores.values())


def _tested(suite: Suite) -> Suite:
    """Returns the suite with what is tested alone, judged at one look.

    Raises:
        Inconclusive: it has no such metric.
    """
    metrics = tuple(
        replace(metric, must_pass=(), severity=None)
        for metric in suite.metrics
        if metric.gate
        and (metric.margin if metric.kind == "score" else metric.limit) is not None
        and metric.kind in ("score", "cost")
    )
    if not metrics:
        raise Inconclusive(
            "no gating metric of the suite has a margin or a cost limit: nothing to be tested",
            hint="give the suite a metric with a margin",
        )
    # It is the gate that is tested: scores are taken as given, whether or not a judge gave them.
    scorers = tuple(replace(scorer, type="given") for scorer in suite.scorers)
    return replace(suite, metrics=metrics, scorers=scorers, looks=Looks(suite.looks.by))


def _rate(found: Iterable[bool]) -> Rate:
    flags = list(found)
    test = events.rate(flags, alpha=_TAIL)
    if test.rate is None or test.low is None or test.high is None:
        raise Inconclusive("nothing was drawn", hint="draw at least once")
    return Rate(test.count, test.n, test.rate, test.low, test.high)
