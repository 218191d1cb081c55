"""What a score is worth that a judge gave: corrected by people's labels, or told as the judge's.

- Labels of both arms' answers to enough cases correct a metric whose only scorer is the judged one.
  A metric of several scorers is not corrected: people graded one part of it.
- The arms' means are corrected with it, so that their difference is the estimate; what the judge
  alone reports stands in `details`.
- Labelled cases of groups, and of a suite that may stop at any time, are tested without the judge.
- Where a pairwise judge's preference turns round at equal lengths, nothing is said.
- All of it is derived from the report's rows and labels, so that anyone can derive it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final

import numpy as np

from llmvc.core.estimate import Estimate
from llmvc.core.judging import Evidence
from llmvc.core.metric import Metric, Scorer
from llmvc.core.plural import count
from llmvc.core.report import CaseRuns
from llmvc.core.suite import Suite
from llmvc.errors import FormatError
from llmvc.evals.estimates import Design, clip, differences
from llmvc.evals.table import Table
from llmvc.gate.judged import SCORER
from llmvc.stats import anytime, events, judges, lengths, paired, samples
from llmvc.stats.agreement import Figure
from llmvc.stats.paired import ScoreTest
from llmvc.stats.samples import LEAST_CASES, FloatArray, Groups

Pair = tuple[float, float]
"""What is said of the baseline and of the candidate, in [0, 1]."""

_NOTHING: Final = Evidence("")
_BINARY: Final = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Judged:
    """A score metric with what it rests on.

    Attributes:
        metric: the rule.
        suite: its scorers.
        cases: those that count for the metric.
        rows: their scores, in the same order.
        groups: which cases belong together.
        design: level, and what the report says of judges.
    """

    metric: Metric
    suite: Suite
    cases: Sequence[CaseRuns]
    rows: Table
    groups: Groups
    design: Design

    def told(self, base: Estimate) -> Estimate:
        """Returns the estimate of the scores, corrected or marked if a judge gave them.

        Args:
            base: what the scores say as they are.
        """
        scorers = [one for one in self.suite.scorers if one.name in self.metric.scorers]
        judged = [one for one in scorers if one.type == SCORER]
        if not judged or base.reason is not None:
            return base
        evidence, alone = self._evidence(judged[0]), len(scorers) == 1
        reported = {"reported": base.estimate, "reported_low": base.low, "reported_high": base.high}
        reported |= {"reported_baseline": base.baseline, "reported_candidate": base.candidate}
        base = replace(base, details={**base.details, "judge": {**reported, "labels": 0.0}})
        if not alone or self.metric.pass_k is not None:
            several = f"judge-measured by {count(len(judged), 'judge')}"
            whole = several if len(judged) > 1 else "judge-measured"
            return _marked(base, whole if len(judged) == len(scorers) else "judge-measured in part")
        if self.rows.baseline is None:
            return _marked(base, "judge-measured")
        base = self._at_equal_lengths(base, judged[0], evidence)
        people = self._people(judged[0], evidence)
        labelled = sum(pair is not None for pair in people)
        if labelled < LEAST_CASES:
            few = f": {count(labelled, 'label')} of {LEAST_CASES} needed" if labelled else ""
            return _marked(base, f"judge-measured{few}")
        return self._corrected(base, people, labelled)

    def _evidence(self, scorer: Scorer) -> Evidence:
        """Returns what the report says of a scorer's judge; what cannot be read says nothing."""
        try:
            return Evidence.from_dict(self.design.judges.get(str(scorer.options.get("judge"))))
        except FormatError:
            return _NOTHING

    def _people(self, scorer: Scorer, evidence: Evidence) -> list[Pair | None]:
        """Returns how people see each case's answers; None where they were not asked."""
        labels = evidence.labels.get(scorer.name, {})
        pairs = [labels.get(case.id, (None, 0.0)) for case in self.cases]
        return [
            None if old is None else (1.0 - old, 1.0 - new) if scorer.negate else (old, new)
            for old, new in pairs
        ]

    def _corrected(self, base: Estimate, people: list[Pair | None], labelled: int) -> Estimate:
        """Returns the estimate that people's labels give, with the judge's help if it has any."""
        (bottom, _), span, margin = self.metric.scale, self.metric.span, self.metric.margin
        human = [None if pair is None else pair[1] - pair[0] for pair in people]
        test, weight = self._tested(human, None if margin is None else margin / span)
        baseline, candidate = self._arms(people, weight or 0.0)
        known = self._units(human)
        worse, better = int(np.count_nonzero(known < 0)), int(np.count_nonzero(known > 0))
        how = f"labels of {count(labelled, 'case')}"
        if self.suite.looks.by == "any-time":
            how = f"betting e-process on {how}, valid at any stop"
        else:
            how = f"{'EL-score on' if weight is None else 'PPI++ with'} {how}, t({test.n - 1})"
        details = {**base.details["judge"], "labels": float(labelled), "weight": weight}

        def scaled(value: float | None) -> float | None:
            return None if value is None else span * value

        return replace(
            base,
            baseline=bottom + span * baseline,
            candidate=bottom + span * candidate,
            arm_low=None,
            arm_high=None,
            estimate=scaled(test.estimate),
            low=scaled(clip(test.low)),
            high=scaled(clip(test.high)),
            p_pass=test.p_pass,
            p_fail=test.p_fail,
            t_pass=test.t_pass,
            t_fail=test.t_fail,
            score_pass=test.score_pass,
            score_fail=test.score_fail,
            n_worse=worse,
            n_better=better,
            fixed_low=None,
            fixed_high=None,
            checks=self._checks(people, known) if self.design.describe else {},
            details={**base.details, "judge": details},
            method=how,
            reason=test.reason,
        )

    def _units(self, human: Sequence[float | None]) -> FloatArray:
        """Returns people's differences, one a case, or one a group where cases are grouped."""
        known = np.array([value for value in human if value is not None], dtype=np.float64)
        return known if self.groups.alone else self._labelled(human).units(known)

    def _labelled(self, human: Sequence[float | None]) -> Groups:
        """Returns the groups of the labelled cases."""
        at = [place for place, value in enumerate(human) if value is not None]
        return samples.group([str(self.groups.index[place]) for place in at])

    def _checks(self, people: Sequence[Pair | None], units: FloatArray) -> dict[str, float]:
        """Returns what describes people's labels and decides nothing.

        Whether anything changed in the runs is not asked: that would be of the judge's grades.
        """
        said = {score for pair in people if pair is not None for score in pair}
        found: dict[str, float | None] = {}
        if self.metric.scale != _BINARY:
            found["wilcoxon"] = events.wilcoxon(np.round(units, 12))
        if said <= set(_BINARY):
            worse, better = int(np.count_nonzero(units < 0)), int(np.count_nonzero(units > 0))
            found["mcnemar"], found["mcnemar_mid_p"] = events.mcnemar(worse, better)
        return {name: p for name, p in found.items() if p is not None}

    def _tested(
        self, human: list[float | None], margin: float | None
    ) -> tuple[ScoreTest, float | None]:
        """Returns the test of people's differences, and the judge's weight in it."""
        alpha = self.design.alpha
        at = [place for place, value in enumerate(human) if value is not None]
        known = np.array([value for value in human if value is not None], dtype=np.float64)
        own = self._labelled(human)
        if self.suite.looks.by == "any-time":
            if not own.alone:
                why = "labels of grouped cases cannot be tested at any time"
                return ScoreTest(len(at), alpha, reason=why), None
            bet = anytime.betting(known, margin=margin, alpha=alpha, bound=1.0)
            mean = float(known.mean())
            told = (bet.low, bet.high, None, None, None, None, bet.p_pass, bet.p_fail, bet.reason)
            return ScoreTest(len(at), alpha, mean, *told), None
        if not self.groups.alone:
            if reason := own.refusal():
                return ScoreTest(len(at), alpha, reason=f"labels: {reason}"), None
            units = own.units(known)
            bound = max(own.stretch, float(np.abs(units).max()))
            return paired.el_score(units, margin=margin, alpha=alpha, bound=bound), None
        found = judges.corrected(human, self._differences(), margin=margin, alpha=alpha)
        return found.test, found.weight

    def _arms(self, people: Sequence[Pair | None], weight: float) -> Pair:
        """Returns the arms' means, baseline first, whose difference is the corrected estimate.

        The judge's share is the same in both: what it says of the other cases beyond what it says
        of the labelled ones. Where that leads out of [0, 1] both arms are moved back together.
        """
        labelled = np.array([pair is not None for pair in people], dtype=np.bool_)
        found: list[float] = []
        for arm, rows in enumerate((self.rows.baseline or [], self.rows.candidate)):
            mean = fmean(pair[arm] for pair in people if pair is not None)
            if weight:
                judged = samples.reduce_runs(rows).means
                mean += weight * float(judged[~labelled].mean() - judged[labelled].mean())
            found.append(mean)
        beyond = max(0.0, max(found) - 1.0) or min(0.0, *found)
        return found[0] - beyond, found[1] - beyond

    def _differences(self) -> FloatArray:
        arms = (self.rows.candidate, self.rows.baseline or [])
        return differences(*(samples.reduce_runs(arm) for arm in arms))

    def _at_equal_lengths(self, base: Estimate, scorer: Scorer, evidence: Evidence) -> Estimate:
        """Adds what a pairwise judge would say at equal lengths, and what follows if it differs."""
        if evidence.protocol != "pairwise-swap" or not evidence.length_control:
            return base
        found = self._length_controlled(scorer)
        span, told = self.metric.span, base.details["judge"]
        figures = {"length_controlled": found.value, "length_low": found.low}
        figures["length_high"] = found.high
        scaled = {name: None if one is None else span * one for name, one in figures.items()}
        base = replace(base, details={**base.details, "judge": {**told, **scaled}})
        if _turned(base, found):
            return replace(base, reason="the judge's preference turns round at equal lengths")
        return _marked(base, f"not at equal lengths: {found.reason}") if found.reason else base

    def _length_controlled(self, scorer: Scorer) -> Figure:
        preferred: list[float] = []
        gaps: list[float] = []
        places: list[int] = []
        for place, case in enumerate(self.cases):
            others = {run.run: run for run in case.baseline}
            for run in case.candidate:
                score, other = run.scores.get(scorer.name), others.get(run.run)
                if score is None or other is None:
                    continue
                if run.output_tokens is None or other.output_tokens is None:
                    return Figure(reason="the lengths of some answers are not known")
                preferred.append(score)
                gaps.append(float(run.output_tokens - other.output_tokens))
                places.append(place)
        return lengths.controlled(
            np.array(preferred, dtype=np.float64),
            np.array(gaps, dtype=np.float64),
            [int(self.groups.index[place]) for place in places],
            alpha=self.design.alpha,
        )


def _marked(base: Estimate, how: str) -> Estimate:
    return replace(base, method=f"{base.method}, {how}" if base.method else how)


def _turned(base: Estimate, found: Figure) -> bool:
    """Says whether a comparison at equal lengths contradicts the one that was made."""
    if found.value is None or found.low is None or found.high is None:
        return False
    better = base.low is not None and base.low > 0
    worse = base.high is not None and base.high < 0
    if found.high < 0:
        return not worse
    return (better and found.value < 0) or (worse and found.value > 0)
