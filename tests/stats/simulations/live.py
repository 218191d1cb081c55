"""Canaries that were never served: units of both arms, looks at them, and what the rules say.

- A cell is a canary of one guardrail; a run is one canary from its first look to its last.
- The figures go through the same classes and rules as those of real events.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from llmvc.core.canary import SHARES, Guardrail, Plan
from llmvc.stats.unpaired import Arm, Mean, Share, difference, ratio
from llmvc.traces.analyze import GROWTH, distance, verdict
from llmvc.traces.enrolled import A_UNIT, steadied

WHOLE = 1_000_000


@dataclass(frozen=True)
class Cell:
    """A canary and the truth about it.

    Attributes:
        rule: its guardrail.
        change: true rise of the share, or true ratio; 0 or 1 for none.
        base: the baseline's share of bad calls, or nothing for amounts.
        share: the canary's share of the units.
        first: units in the canary at the first look.
        looks: how many there are.
        test: always-valid or spending.
        even: whether looks come at equal numbers of units; else each at a quarter more.
        calls: mean calls of a unit, whose number has a heavy tail; 1 for exactly one.
        alike: correlation of the calls of a unit.
        tail: standard deviation of the logarithm of an amount.
        heavier: how much larger that is in the canary.
        runaways: share of the canary's units that cost 30 times as much, on top of `change`.
        room: whether bounds leave room for a heavy tail, as they do.
        alpha: one-sided level.
    """

    rule: Guardrail
    change: float = 0.0
    base: float = 0.02
    share: float = 0.25
    first: int = 200
    looks: int = 24
    test: str = "always-valid"
    even: bool = True
    calls: float = 1.0
    alike: float = 0.0
    tail: float = 1.0
    heavier: float = 0.0
    runaways: float = 0.0
    room: bool = True
    alpha: float = 0.05

    @property
    def plan(self) -> Plan:
        """The plan that a release would carry."""
        return Plan(
            (round(self.share * WHOLE),),
            min_units=min(100, self.first),
            looks=self.looks,
            alpha=self.alpha,
            test=self.test,
        )

    def sizes(self) -> list[int]:
        """Returns the canary's units at each look."""
        if self.even:
            return [self.first * (look + 1) for look in range(self.looks)]
        return [round(self.first * GROWTH**look) for look in range(self.looks)]

    def units(self, rng, n: int, *, trial: bool):
        """Returns sums and numbers of calls of n units of an arm."""
        calls = np.ones(n)
        if self.calls > 1:
            calls = np.minimum(1 + np.floor(rng.pareto(1.8, n) * (self.calls - 1) * 0.8), 200)
        if self.rule.metric in SHARES:
            rate = self.base + (self.change if trial else 0.0)
            level = np.full(n, rate)
            if self.alike:
                spread = 1 / self.alike - 1
                level = rng.beta(rate * spread, (1 - rate) * spread, n)
            return rng.binomial(calls.astype(int), level).astype(float), calls
        scale = self.change if trial and self.change else 1.0
        tail = self.tail + self.heavier * trial
        amounts = scale * calls * rng.lognormal(-tail * tail / 2, tail, n)
        if trial and self.runaways:
            amounts = np.where(rng.random(n) < self.runaways, 30.0, 1.0) * amounts
        return amounts, calls

    def truth(self) -> float:
        """Returns the true difference or ratio."""
        return self.change if self.rule.metric in SHARES else (self.change or 1.0)


@dataclass(frozen=True)
class Run:
    """What the looks of one canary said.

    Attributes:
        verdicts: one a look, as if nothing had stopped it.
        held: whether each interval held the truth.
        naive: whether each look would have called it changed at p < 0.05, both sides.
    """

    verdicts: tuple[str, ...]
    held: tuple[bool, ...]
    naive: tuple[bool, ...]

    def ever(self, what: str) -> bool:
        """Says whether it ended with a verdict, at the first look that had one."""
        return next((one for one in self.verdicts if one != "inconclusive"), "") == what


def run(cell: Cell, rng) -> Run:
    """Runs one canary."""
    sizes, rest = cell.sizes(), (1 - cell.share) / cell.share
    most = sizes[-1]
    ours = cell.units(rng, most, trial=True)
    theirs = cell.units(rng, round(most * rest), trial=False)
    compare = difference if cell.rule.metric in SHARES else ratio
    found = []
    for look, n in enumerate(sizes, 1):
        m = round(n * rest)
        arms = [_arm(cell, *(part[:k] for part in of)) for k, of in ((n, ours), (m, theirs))]
        arms[0] = steadied(*arms)
        reach = distance(cell.plan, look)(n * m / (n + m), cell.alpha)
        now = compare(*arms, reach, reach)
        plain = compare(*arms, 1.959964, 1.959964)
        none = 0.0 if cell.rule.metric in SHARES else 1.0
        found.append(
            (
                verdict(cell.rule, now),
                (now.low is None or now.low <= cell.truth())
                and (now.high is None or cell.truth() <= now.high),
                plain.low is not None and not plain.low <= none <= plain.high,
            )
        )
    return Run(*zip(*found, strict=True))


def runs(cell: Cell, count: int, seed: int) -> Iterator[Run]:
    """Yields runs of a cell, each from a generator of its own."""
    for number in range(count):
        yield run(cell, np.random.default_rng([seed, number]))


def rates(cell: Cell, count: int, seed: int) -> dict[str, float]:
    """Returns how often canaries of a cell end how, in shares."""
    found = list(runs(cell, count, seed))
    return {
        "fail": float(np.mean([one.ever("fail") for one in found])),
        "pass": float(np.mean([one.ever("pass") for one in found])),
        "any fail": float(np.mean(["fail" in one.verdicts for one in found])),
        "any pass": float(np.mean(["pass" in one.verdicts for one in found])),
        "always held": float(np.mean([all(one.held) for one in found])),
        "naive": float(np.mean([any(one.naive) for one in found])),
    }


def _arm(cell: Cell, sums, calls) -> Arm:
    if cell.rule.metric in SHARES:
        return Share(sums, calls)
    per_unit = cell.rule.metric in A_UNIT
    found = Mean(sums, np.ones(len(sums)) if per_unit else calls, what=cell.rule.metric)
    found.skew *= cell.room
    return found


ERRORS = Guardrail("errors", margin=0.01)
COST = Guardrail("cost", limit=1.1)
LATENCY = Guardrail("latency", limit=1.2)

PLAIN = Cell(ERRORS)
SMALL = replace(PLAIN, share=0.05, first=50)
CLUSTERED = Cell(ERRORS, calls=4, alike=0.3)
HEAVY = Cell(COST, tail=1.2)
HEAVIER = replace(HEAVY, heavier=0.4)
RUNAWAY = Cell(COST, tail=0.6, runaways=0.01)
SLOW = Cell(LATENCY, calls=4, tail=0.8)
CELLS = {
    "errors 2%, share 25%": PLAIN,
    "errors 2%, share 5%": SMALL,
    "errors, 1 to 200 calls a unit, alike": CLUSTERED,
    "cost, heavy tail": HEAVY,
    "latency, 1 to 200 calls a unit": SLOW,
}
SPENDING = {"test": "spending", "even": False, "looks": 5, "first": 2000}
