"""Estimates and verdicts: what the runs in a report say of each metric, and what follows from it.

- What cannot be said is None, with a reason.
- `details` describes and decides nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the runs say about one metric; None, with a reason, where they cannot say.

    Attributes:
        metric: its name.
        kind: `severe`, `score`, `cost` or `latency`.
        baseline: the arm's mean, in the metric's scale; the share of cases with a severe failure,
            USD a case, or the quantile in seconds for the other kinds.
        candidate: the same of the candidate.
        estimate: candidate minus baseline for scores and severe failures, candidate over baseline
            otherwise.
        low: lower end of the interval of level 1 - 2 * alpha.
        high: its upper end.
        arm_low: lower end of the same interval for the candidate alone.
        arm_high: its upper end.
        p_pass: one-sided p of "at the rule or beyond"; small means shown to be within. The rule is
            the margin, limit or budget; without a baseline the floor or ceiling.
        p_fail: one-sided p of "no worse" for scores, else of "within the rule"; small means shown
            to be worse. Without a baseline, of "at the floor or ceiling, or better".
        t_pass: the statistic behind p_pass.
        t_fail: the statistic behind p_fail.
        score_pass: `t_pass` without the variance guard.
        score_fail: `t_fail` without the variance guard.
        alpha: the one-sided level that the interval was made at.
        n: cases that count.
        n_effective: independent units: cases, or the effective number of groups.
        n_worse: cases, or groups where cases are grouped, whose mean is lower under the candidate.
        n_better: those whose mean is higher.
        var_case: variance between cases of the true difference.
        var_run: variance that repeated runs add.
        fixed_low: lower end of the interval for exactly these cases; says nothing about others.
        fixed_high: its upper end.
        checks: name -> p of tests that describe and decide nothing.
        cases: rule -> ids of the cases that break it, sorted: `must_pass`, `severity`, `severe`.
        details: further figures in groups, in the metric's scale: `quantiles` (`p50` …), `judge`
            (what the judge alone reports, and how human labels corrected it), `variants` (the mean
            under each spelling of the prompt, and their spread).
        method: how it was computed.
        reason: why it is undefined; None if it is defined.
    """

    metric: str
    kind: str
    baseline: float | None = None
    candidate: float | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    arm_low: float | None = None
    arm_high: float | None = None
    p_pass: float | None = None
    p_fail: float | None = None
    t_pass: float | None = None
    t_fail: float | None = None
    score_pass: float | None = None
    score_fail: float | None = None
    alpha: float | None = None
    n: int = 0
    n_effective: float | None = None
    n_worse: int = 0
    n_better: int = 0
    var_case: float | None = None
    var_run: float | None = None
    fixed_low: float | None = None
    fixed_high: float | None = None
    checks: Mapping[str, float] = field(default_factory=dict)
    cases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    details: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    method: str = ""
    reason: str | None = None

    @property
    def n_changed(self) -> int:
        """How many cases differ between the arms."""
        return self.n_worse + self.n_better

    def in_scale(self, low: float, span: float) -> "Estimate":
        """Returns an estimate of a score in [0, 1] as one in [low, low + span]."""

        def place(value: float | None) -> float | None:
            return None if value is None else low + span * value

        def width(value: float | None, by: float = span) -> float | None:
            return None if value is None else by * value

        return replace(
            self,
            baseline=place(self.baseline),
            candidate=place(self.candidate),
            arm_low=place(self.arm_low),
            arm_high=place(self.arm_high),
            estimate=width(self.estimate),
            low=width(self.low),
            high=width(self.high),
            fixed_low=width(self.fixed_low),
            fixed_high=width(self.fixed_high),
            var_case=width(self.var_case, span**2),
            var_run=width(self.var_run, span**2),
        )


@dataclass(frozen=True, slots=True)
class MetricVerdict:
    """The verdict on one metric, and what it rests on in words.

    Attributes:
        metric: its name.
        verdict: `pass`, `fail` or `inconclusive`.
        gate: whether it decides; else it is only watched.
        reason: the numbers behind it, as a sentence.
        rule: what it was held against, such as `margin -0.05`; empty if nothing.
        degraded: whether it passed and is significantly worse all the same.
    """

    metric: str
    verdict: str
    gate: bool
    reason: str
    rule: str = ""
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """`pass`, `fail` or `inconclusive`, with the reason and what would settle it."""

    verdict: str
    reason: str
    metrics: tuple[MetricVerdict, ...] = ()
    settle: str | None = None
