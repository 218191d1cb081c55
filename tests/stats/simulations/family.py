"""Canaries with three guardrails at once, whose figures belong together, as Holm judges them.

- A slow unit is a dear one and fails more often: one hidden trait of a unit moves all three.
- Looks go through `traces.analyze.guardrails`, so that what is simulated is what is used.
"""

from dataclasses import dataclass, field

import numpy as np

from llmvc.core.canary import WHOLE, Canary, Guardrail, Plan
from llmvc.core.digest import Digest
from llmvc.traces.analyze import GROWTH, guardrails

RULES = (
    Guardrail("errors", margin=0.02),
    Guardrail("cost", limit=1.1),
    Guardrail("latency", limit=1.1),
)
EDGE = (0.02, 1.1, 1.1)
"""Where a false pass is most likely: each at its bound."""
NOTHING = (0.0, 1.1, 1.1)
"""Where a false fail is most likely: a share that did not rise, amounts at their limits."""
SAME = (0.0, 1.0, 1.0)
_COLUMNS = ("errors", "calls", "cost", "cost_of", "latency", "latency_of")


@dataclass(frozen=True)
class Family:
    """A canary and the truth about it.

    Attributes:
        change: rise of the errors, ratio of the costs, ratio of the latencies.
        alike: correlation of what a unit's trait does to the three, in [0, 1).
        test: always-valid or spending.
        first: units of each arm at the first look.
        looks: how many there are.
    """

    change: tuple[float, float, float] = SAME
    alike: float = 0.7
    test: str = "always-valid"
    first: int = 100
    looks: int = 24

    @property
    def canary(self) -> Canary:
        """What its release would carry."""
        plan = Plan((WHOLE // 2,), min_units=100, looks=self.looks, test=self.test)
        return Canary("prod", Digest("b3:" + "a" * 64), WHOLE // 2, "0" * 16, "user", plan, RULES)

    def sizes(self) -> list[int]:
        """Returns the units of each arm at each look."""
        if self.test == "always-valid":
            return [self.first * look for look in range(1, self.looks + 1)]
        return [round(self.first * GROWTH**look) for look in range(self.looks)]


@dataclass
class _Sampled:
    """An arm of the first so many units; what `guardrails` asks of `Enrolled`."""

    columns: dict[str, np.ndarray]
    size: int = field(default=0)

    def column(self, name: str):
        return self.columns[name][: self.size]

    def total(self, name: str) -> int:
        return int(self.column(name).sum())


def _arm(of: Family, rng, n: int, change) -> _Sampled:
    """Returns units with three calls each, which fail in 4% of the calls."""
    trait = rng.normal(size=n)

    def level(spread):
        own = np.sqrt(1 - of.alike) * rng.normal(size=n)
        return np.exp(spread * (np.sqrt(of.alike) * trait + own) - spread**2 / 2)

    rise, dearer, slower = change
    calls = np.full(n, 3)
    rate = np.clip(0.04 * level(0.8), 0, 0.9)
    # Both arms' errors are drawn alike, and the rise falls on calls that were well.
    errors = rng.binomial(3, rate)
    errors += rng.binomial(3 - errors, rise / 0.96)
    rows = (errors, calls, 1e7 * dearer * level(0.8), calls, 3e6 * slower * level(0.6), calls)
    return _Sampled(dict(zip(_COLUMNS, rows, strict=True)))


def run(of: Family, rng) -> list[tuple[str, ...]]:
    """Returns what each look says of the three guardrails."""
    sizes, canary = of.sizes(), of.canary
    trial, beside = (_arm(of, rng, sizes[-1], change) for change in (of.change, SAME))
    said = []
    for look, size in enumerate(sizes, 1):
        trial.size = beside.size = size
        judged = guardrails(canary, beside, trial, look)
        said.append(tuple(one.verdict for one in judged))
    return said


def rates(of: Family, count: int, seed: int) -> dict[str, float]:
    """Returns how often canaries pass, fail, and fail by a guardrail that nothing is wrong with."""
    passed = failed = wrongly = 0
    sound = [change <= none for change, none in zip(of.change, NOTHING, strict=True)]
    for number in range(count):
        said = run(of, np.random.default_rng([seed, number]))
        ended = next((one for one in said if "fail" in one or set(one) == {"pass"}), ())
        passed += bool(ended) and "fail" not in ended
        failed += "fail" in ended
        wrongly += any(
            verdict == "fail" and well
            for look in said
            for verdict, well in zip(look, sound, strict=True)
        )
    return {"pass": passed / count, "fail": failed / count, "false fail": wrongly / count}
