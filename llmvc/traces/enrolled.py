"""Which units of a step count, and what each guardrail says of them.

- A unit is enrolled in an arm if the current release assigned it there without a pin.
- A unit that was also served the other version is mixed: it is left out of both arms and counted.
- A unit that only pins lead to belongs to an earlier step: it is left out.
"""

from dataclasses import dataclass
from math import exp
from typing import Final

import numpy as np

from llmvc.core.canary import SHARES, Guardrail
from llmvc.stats.unpaired import Arm, Mean, Quantile, Share
from llmvc.traces.sums import BINS, WIDTH, Sums, Units, upper_end

MOST_UNKNOWN: Final = 0.05
"""An amount that is not known of more calls than this says nothing."""
UNITS_OF: Final = {"latency": 1e-6, "cost": 1e-9, "tokens": 1.0, "context": 1e-4}
"""What one whole number of a sum stands for: seconds, USD, tokens, shares of the window."""
A_UNIT: Final = ("cost", "tokens")
"""Amounts that are told for a unit; the others are told for a call."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One arm of a step.

    Attributes:
        units: its rows.
        rows: numbers of those that count.
        enrolled: units assigned to it by the current release, mixed ones included.
        mixed: those of them that were served the other version too.
        unexposed: units with calls and without any assignment.
    """

    units: Units
    rows: tuple[int, ...]
    enrolled: int
    mixed: int
    unexposed: int

    def column(self, name: str) -> list[int]:
        """Returns a column of the rows that count."""
        values = self.units.columns[name]
        return [values[row] for row in self.rows]

    def total(self, name: str) -> int:
        """Returns the sum of such a column."""
        return sum(self.column(name))


def arms(sums: Sums) -> tuple[Enrolled, Enrolled]:
    """Returns baseline and canary."""
    versions = (sums.scope.baseline, sums.scope.candidate)
    baseline, canary = (sums.arms[version] for version in versions)
    return _arm(baseline, canary), _arm(canary, baseline)


def _arm(units: Units, other: Units) -> Enrolled:
    assigns, pinned, calls = (units.columns[name] for name in ("assigns", "pinned", "calls"))
    served = [other.columns[name] for name in ("assigns", "pinned", "calls")]
    rows: list[int] = []
    mixed = unexposed = 0
    for unit, row in units.at.items():
        if not assigns[row]:
            unexposed += not pinned[row] and calls[row] > 0
            continue
        there = other.at.get(unit)
        if there is not None and any(column[there] for column in served):
            mixed += 1
        else:
            rows.append(row)
    return Enrolled(units, tuple(rows), len(rows) + mixed, mixed, unexposed)


def figures(trial: Enrolled, baseline: Enrolled, guardrail: Guardrail) -> tuple[Arm, Arm]:
    """Returns what a guardrail is about, in the canary's arm and in the other."""
    ours, theirs = figure(trial, guardrail), figure(baseline, guardrail)
    return steadied(ours, theirs), theirs


def steadied(ours: Arm, theirs: Arm) -> Arm:
    """Returns the canary's figure, which is as uncertain as the baseline's units say at least."""
    if isinstance(ours, Share) and isinstance(theirs, Share):
        return ours.steadied(theirs)
    if isinstance(ours, Mean) and isinstance(theirs, Mean):
        return ours.steadied(theirs)
    return ours


def figure(arm: Enrolled, guardrail: Guardrail) -> Arm:
    """Returns what a guardrail is about, in one arm."""
    metric = guardrail.metric
    if metric == "errors":
        return Share(arm.column("errors"), arm.column("calls"))
    if metric in SHARES:
        return Share(arm.column(metric), arm.column(f"{metric}_of"))
    if guardrail.at is not None:
        return _quantile(arm, guardrail.at)
    told = np.asarray(arm.column(f"{metric}_of"), dtype=np.float64)
    counted = np.minimum(told, 1.0) if metric in A_UNIT else told
    found = Mean(arm.column(metric), counted, what=metric)
    answered = arm.total("calls") - arm.total("errors")
    unknown = answered - int(told.sum())
    if found.reason is None and unknown > MOST_UNKNOWN * answered:
        found.reason = f"the {metric} of {unknown} of {answered} calls is not known"
    return found


def _quantile(arm: Enrolled, at: float) -> Quantile:
    counted = bytearray(len(arm.units.at))
    for row in arm.rows:
        counted[row] = 1
    kept = [(key, n) for key, n in arm.units.bins.items() if counted[key // BINS]]
    return Quantile(
        [key // BINS for key, _ in kept],
        [upper_end(key % BINS) for key, _ in kept],
        [n for _, n in kept],
        at=at,
        width=exp(WIDTH),
    )
