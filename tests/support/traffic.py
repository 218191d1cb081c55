"""Traffic of a canary that was never served: units, calls and what goes wrong with them, as events.

traffic = Traffic(tmp_path / "events.jsonl")
traffic.units(400)
traffic.units(400, errors=0.2, arm="canary")
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from llmvc.core.bucket import bucket
from llmvc.core.canary import Canary, Guardrail, Plan
from llmvc.core.digest import Digest
from llmvc.core.release import Release
from llmvc.core.version import Source
from llmvc.runtime.assign import Assignment
from llmvc.runtime.events import Log
from llmvc.traces.adding import summed
from llmvc.traces.sums import Scope, Sums

SALT = "0123456789abcdef"
BASELINE, CANDIDATE = (Digest("b3:" + letter * 64) for letter in "ac")
STARTED = "2026-11-20T12:00:00Z"
START = 1_795_176_000.0
KEY = b"k" * 16
ERRORS = Guardrail("errors", margin=0.05)


def release(*guardrails: Guardrail, share_ppm: int = 250_000, **plan) -> Release:
    """Returns the first release of a canary."""
    given = {"steps": (250_000, 500_000), "min_units": 50, "min_seconds": 60, **plan}
    canary = Canary(
        "prod", BASELINE, share_ppm, SALT, "user", Plan(**given), guardrails or (ERRORS,)
    )
    told = (None, None, None, CANDIDATE, None, None, BASELINE, Source(None, dirty=False))
    return Release(
        "support", "canary", 1, "start", *told, STARTED, "ada", None, proven=False, canary=canary
    )


@dataclass
class Traffic:
    """Writes events to a log, at times of its own.

    Attributes:
        path: the log.
        now: seconds since 1970.
        salt: the rollout.
        seq: the canary's release.
        versions: baseline and candidate.
    """

    path: Path
    now: float = START + 1
    salt: str | None = SALT
    seq: int = 1
    versions: tuple[str, str] = (BASELINE, CANDIDATE)
    share_ppm: int = 250_000
    logs: dict[str, Log] = field(default_factory=dict)

    def log(self, process: str = "w1") -> Log:
        """Returns the log of a process."""
        if process not in self.logs:
            made = Log(self.path, key=KEY, process=process, clock=lambda: self.now)
            self.logs[process] = made
        return self.logs[process]

    def assignment(self, unit: str, arm: str | None = None, *, pinned: bool = False) -> Assignment:
        """Returns what a unit was assigned."""
        trial = bucket(SALT, unit) < self.share_ppm if arm is None else arm == "canary"
        name = "pinned" if pinned else "canary" if trial else "baseline"
        rollout = None if pinned else self.salt
        return Assignment(
            "support", "prod", name, self.versions[trial], None, self.seq, rollout, "", pinned,
            None, unit, 0.0,
        )  # fmt: skip

    def units(
        self, count: int, *, errors: Mapping[str, float] | float = 0.0, calls: int = 2, **how
    ):
        """Writes units with their calls; the same seed is the same traffic.

        Args:
            count: how many.
            errors: share of calls that fail, for all or by arm.
            calls: calls of each.
            how: `process`, `name` of the first unit, `seconds` that it takes, `model` and `table`.
        """
        rng = np.random.default_rng(len(how.get("name", "user")) + count)
        log, every = self.log(how.get("process", "w1")), how.get("seconds", 600) / count
        for number in range(count):
            self.now += every
            of = self.assignment(f"{how.get('name', 'user')}-{number}")
            if how.get("assigned", True):
                log.assign(of)
            rate = errors if isinstance(errors, float) else errors[of.arm]
            for _ in range(calls):
                with log.call(of, provider="openai", model="gpt-5") as call:
                    call.usage(input_tokens=int(rng.integers(400, 600)), output_tokens=100)
                    call.answered(model=how.get("model", "gpt-5-1"), refused=False)
                    call.cost(float(rng.lognormal(-6, 0.3)), how.get("table", "b3:" + "e" * 64))
                    call.context(used_tokens=500, limit_tokens=8000, truncated=False)
                    if rng.random() < rate:
                        call.failed("TimeoutError")
        return self

    def sums(self, of: Release | None = None) -> Sums:
        """Returns what the log comes to."""
        return summed([self.path], Scope.of(of or release(), BASELINE))
