"""Canaries: a candidate that serves a share of an environment's units, under a plan made before.

- A canary is open as long as the newest release of its own environment carries one.
- From start to end only its share changes, and only upwards along the plan's steps.
- It is measured against one release of the environment that it stands beside; once that
  environment has moved, it is void and readers serve that environment alone.
- Its own environment holds nothing else: `KINDS` follow `KINDS`, and no other kind does.
- Shares are in millionths (ppm), so that no float decides who is in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from llmvc.core import canon, digest, record
from llmvc.core.digest import Digest
from llmvc.core.names import is_name
from llmvc.errors import FormatError

if TYPE_CHECKING:
    from llmvc.core.release import Release

OPEN: Final = ("start", "step", "pause")
"""Kinds of releases after which a canary is open."""
ENDS: Final = ("abort", "close")
KINDS: Final = OPEN + ENDS
WHOLE: Final = 1_000_000
BUCKETING: Final = "b3-1"
UNITS: Final = ("conversation", "user", "request")
TESTS: Final = ("always-valid", "spending")
ANSWERS: Final = ("hold", "pause", "abort")
METRICS: Final = (
    "errors",
    "refusals",
    "truncated",
    "negative",
    "latency",
    "cost",
    "tokens",
    "context",
)
SHARES: Final = ("errors", "refusals", "truncated", "negative")
"""Metrics that are shares of calls or of feedback: they take a margin, the others a limit."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a canary widens, and what each step waits for.

    Attributes:
        steps: shares in ppm, strictly rising, each in (0, 1,000,000): promote is the last step.
        min_units: units that each arm needs before a step is judged.
        min_seconds: how long a step lasts at least, so that it covers a cycle of traffic.
        looks: how often a step's data may be judged.
        alpha: chance that the whole canary is stopped although it harms nothing.
        test: `always-valid`, or `spending` alpha over the planned looks.
        on_inconclusive: what `canary run` does when the looks are used up: hold, pause or abort.
        on_invalid: what it does when the measurement is broken.
    """

    steps: tuple[int, ...]
    min_units: int = 100
    min_seconds: int = 3600
    looks: int = 24
    alpha: float = 0.05
    test: str = "always-valid"
    on_inconclusive: str = "hold"
    on_invalid: str = "pause"

    def __post_init__(self) -> None:
        """Checks the shares, which must add up to a rising rollout."""
        if not self.steps or list(self.steps) != sorted(set(self.steps)):
            raise FormatError("a canary's steps do not rise", hint="for one: steps: [5%, 25%]")
        if not 0 < self.steps[0] <= self.steps[-1] < WHOLE:
            raise FormatError(
                "a canary's step is not above 0% and below 100%",
                hint="100% leaves nothing to compare with: promote is the last step",
            )
        if not 0 < self.alpha < 0.5 or min(self.looks, self.min_units, self.min_seconds + 1) < 1:
            raise FormatError("a canary's alpha, looks, min_units or min_seconds is out of range")
        answers = {self.on_inconclusive, self.on_invalid}
        if self.test not in TESTS or not answers <= set(ANSWERS):
            raise FormatError("a canary's test, on_inconclusive or on_invalid is not known")

    def after(self, share_ppm: int) -> int | None:
        """Returns the share of the step after the one with this share; None if it is the last."""
        return next((step for step in self.steps if step > share_ppm), None)


@dataclass(frozen=True, slots=True)
class Guardrail:
    """What a canary must not make worse.

    Attributes:
        metric: one of `METRICS`.
        margin: largest rise of a share that may pass, in (0, 1); None for metrics with a limit.
        limit: largest ratio candidate / baseline that may pass, above 1; None with a margin.
        at: quantile that a latency is compared at, in (0, 1); None for the mean.
    """

    metric: str
    margin: float | None = None
    limit: float | None = None
    at: float | None = None

    def __post_init__(self) -> None:
        """Checks that the metric is known and has the one kind of bound that fits it."""
        if self.metric not in METRICS:
            raise FormatError(f"unknown guardrail {self.metric!r}", hint=", ".join(METRICS))
        wants, bound, other = (
            ("margin", self.margin, self.limit)
            if self.metric in SHARES
            else ("limit", self.limit, self.margin)
        )
        low, high = (0, 1) if wants == "margin" else (1, 100)
        if bound is None or other is not None or not low < bound < high:
            raise FormatError(f"guardrail {self.name} needs a {wants} between {low} and {high}")
        if self.at is not None and not (self.metric == "latency" and 0 < self.at < 1):
            raise FormatError(f"guardrail {self.name}: only latency has a quantile, in (0, 1)")

    @property
    def name(self) -> str:
        """The metric, with its quantile if it has one, such as `latency p95`."""
        return self.metric if self.at is None else f"{self.metric} p{100 * self.at:g}"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a canary's arm may cost; None for any amount.

    Attributes:
        max_usd_per_unit: USD for a unit, on average.
        max_usd_per_day: USD for all of its units, a day.
    """

    max_usd_per_unit: float | None = None
    max_usd_per_day: float | None = None


UNLIMITED: Final = Budget()


@dataclass(frozen=True, slots=True)
class Canary:
    """What a canary's release says of it; see formats.md.

    Attributes:
        of: the environment that it stands beside.
        baseline: digest of that environment's release record that it is measured against.
        share_ppm: share of units that get the candidate.
        salt: id of the rollout, the same from start to end.
        unit: what is assigned as one: conversation, user or request.
        plan: steps and their conditions.
        guardrails: what must not get worse; at least one.
        budget: what it may cost.
        bucketing: name of the rule that assigns; always `b3-1`.
    """

    of: str
    baseline: Digest
    share_ppm: int
    salt: str
    unit: str
    plan: Plan
    guardrails: tuple[Guardrail, ...]
    budget: Budget = UNLIMITED
    bucketing: str = BUCKETING

    def __post_init__(self) -> None:
        """Checks what the parts do not check themselves."""
        if self.bucketing != BUCKETING:
            raise FormatError(f"unknown bucketing {self.bucketing!r}", hint=f"this is {BUCKETING}")
        if self.unit not in UNITS or not is_name(self.of) or not self.salt:
            raise FormatError("a canary's unit, environment or salt is not known")
        if self.share_ppm not in self.plan.steps or not self.guardrails:
            raise FormatError("a canary needs a share that is a step of its plan, and a guardrail")
        check_distinct(self.guardrails)

    def widened(self, share_ppm: int) -> "Canary":
        """Returns the same canary with another share."""
        return replace(self, share_ppm=share_ppm)

    def to_dict(self) -> dict[str, canon.Json]:
        """Returns the member `canary` of a `release/1` record."""
        return record.members(self)

    @classmethod
    def from_dict(cls, body: canon.Json) -> "Canary":
        """Reads the member `canary` of a stored release.

        Raises:
            FormatError: it is malformed, or of a kind that this version does not know.
        """
        return record.read(cls, body, "a release's canary")


def percent(share_ppm: int) -> str:
    """Shows a share as people write it, such as `5%`."""
    return f"{share_ppm / 10_000:g}%"


def check_distinct(guardrails: Sequence[Guardrail]) -> None:
    """Checks that no two guardrails watch the same.

    Raises:
        FormatError: two do.
    """
    names = [item.name for item in guardrails]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FormatError(f"guardrail {twice} stands twice")


def salt_of(
    *,
    bundle: str,
    env: str,
    previous: Digest | None,
    baseline: Digest,
    candidate: Digest,
    time: str,
    actor: str,
) -> str:
    """Returns the id of a rollout: the first 16 hex characters of the digest of what began it.

    `previous` makes it another one each time, even where all else is the same.
    """
    begun: dict[str, canon.Json] = {
        "bundle": bundle,
        "env": env,
        "previous": previous,
        "baseline": baseline,
        "candidate": candidate,
        "time": time,
        "actor": actor,
    }
    return digest.hex_of(digest.of_value(begun))[:16]


def void(canary: Canary, served: Digest | None, *, beside: int = 0) -> str | None:
    """Returns why readers must not follow an open canary; None if it counts.

    Args:
        canary: what the newest release of its environment carries.
        served: digest of the newest release record of `canary.of`; None if that is not known.
        beside: how many other open canaries name the same bundle and environment.
    """
    if served is None:
        return f"the releases of {canary.of} are not known here"
    if served != canary.baseline:
        return f"{canary.of} has moved since: it serves release {digest.short(served)}, not " + (
            digest.short(canary.baseline)
        )
    return f"{beside + 1} canaries of {canary.of} are open at once" if beside else None


def mistake(release: "Release", parent: "Release | None") -> str | None:
    """Returns which rule of a canary's environment a release breaks; None if it breaks none.

    Seq, previous, from and rolled_back follow the rules of every chain, which are not looked at.

    Args:
        release: what follows.
        parent: the release before it; None at the root.
    """
    if parent is not None and (release.kind in KINDS) != (parent.kind in KINDS):
        return f"a {release.kind} cannot follow a {parent.kind}: a canary has its own environment"
    if (release.canary is not None) != (release.kind in OPEN):
        return f"a {release.kind} {'lacks its' if release.kind in OPEN else 'carries a'} canary"
    if release.kind == "start":
        return _mistaken_start(release, parent.canary if parent else None)
    return _mistaken_move(release, parent) if release.kind in KINDS else None


def _mistaken_move(release: "Release", parent: "Release | None") -> str | None:
    """Returns what is wrong with a release after the start."""
    before = parent.canary if parent else None
    if parent is None or before is None:
        return f"a {release.kind} follows no open canary"
    if (release.to == parent.to) == (release.kind == "abort"):
        return f"a {release.kind} {'keeps' if release.kind == 'abort' else 'changes'} the candidate"
    if release.kind in ENDS:
        return None
    share = before.plan.after(before.share_ppm) if release.kind == "step" else before.share_ppm
    if share is None or release.canary != before.widened(share):
        return f"a {release.kind} changes more than the share, or leaves the plan's steps"
    return None


def _mistaken_start(release: "Release", before: Canary | None) -> str | None:
    """Returns what is wrong with the start of a canary."""
    canary = release.canary
    if before is not None:
        return "a canary starts over an open canary"
    if canary is None or canary.share_ppm != canary.plan.steps[0]:
        return "a canary does not start with the first step of its plan"
    if canary.of == release.env:
        return "a canary stands beside itself"
    salt = salt_of(
        bundle=release.bundle,
        env=release.env,
        previous=release.previous,
        baseline=canary.baseline,
        candidate=release.to,
        time=release.time,
        actor=release.actor,
    )
    return None if canary.salt == salt else f"the salt is {canary.salt}, the rules say {salt}"
