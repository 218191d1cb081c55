"""Analyses: what a canary's events say at one look, and the verdict on it.

- An analysis names the canary's release that it judged, and the digest of the sums that it rests
  on: the same sums at the same look are the same analysis, so that asking twice is one look.
- `invalid` beats everything: where the measurement is broken, no figure counts.
- No data is `inconclusive`, never a pass. What a figure cannot say is None, with a reason.
- An analysis comes from a ref that everybody may write to: nothing rests on one with a `mistake`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from llmvc.core.digest import Digest
from llmvc.core.record import Record
from llmvc.core.release import Release

Outcome = Literal["pass", "fail", "inconclusive"]
Result = Literal["pass", "fail", "inconclusive", "invalid"]
ARMS: Final = ("baseline", "canary")


@dataclass(frozen=True, slots=True)
class ArmTotals:
    """What one arm did in the step.

    Attributes:
        digest: the version it served.
        units: those enrolled in this step that count.
        calls: calls of these units.
        feedback: pieces of feedback on them.
        usd: what the calls cost as far as that is known; None if that of none is.
    """

    digest: Digest
    units: int
    calls: int
    feedback: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Judged:
    """What one guardrail says.

    Attributes:
        name: the guardrail's, such as `latency p95`.
        metric: one of `core.canary.METRICS`.
        baseline: the baseline arm's figure; None if it has none.
        canary: the canary arm's.
        estimate: their difference for shares, else canary over baseline.
        low: lower bound, at the level that a fail needs.
        high: upper bound, at the level that a pass needs.
        margin: largest rise of a share that may pass; None for metrics with a limit.
        limit: largest ratio that may pass; None for shares.
        verdict: pass, fail or inconclusive.
        reason: why, in words with the numbers.
        settle: what would settle it; None unless it is inconclusive and something would.
    """

    name: str
    metric: str
    baseline: float | None
    canary: float | None
    estimate: float | None
    low: float | None
    high: float | None
    margin: float | None
    limit: float | None
    verdict: Outcome
    reason: str
    settle: str | None


@dataclass(frozen=True, slots=True)
class Check:
    """Whether the measurement itself is sound, in one respect.

    Attributes:
        value: what was found; None where nothing could be.
        limit: from where on it is broken; None where it is no number.
        broken: whether it is.
        says: the finding in words.
    """

    value: float | None
    limit: float | None
    broken: bool
    says: str


@dataclass(frozen=True, slots=True)
class Analysis(Record):
    """One look at one step of a canary; filed under the release that it judges.

    Attributes:
        bundle: the bundle's name.
        env: the canary's own environment.
        release: digest of the canary's release record that was judged.
        seq: that release's number.
        baseline: digest of the version that the environment beside it serves.
        candidate: digest of the version on trial.
        rollout: the canary's salt.
        look: which look at this release it is, from 1.
        arms: `baseline` and `canary`.
        guardrails: in the order of the canary's record.
        checks: name -> finding.
        invalid: why the measurement is broken; empty if it is sound.
        verdict: on the whole step.
        reason: why, in words.
        settle: what to wait for or mend; None after a pass or a fail.
        logs: digest of the sums judged.
        first: RFC 3339 time of the first event counted; None without any.
        last: that of the last one.
        made: RFC 3339, UTC.
        actor: who asked.
        tool: `llmvc <version>`.
    """

    TYPE: ClassVar[str] = "analysis/1"
    bundle: str
    env: str
    release: Digest
    seq: int
    baseline: Digest
    candidate: Digest
    rollout: str
    look: int
    arms: Mapping[str, ArmTotals]
    guardrails: tuple[Judged, ...]
    checks: Mapping[str, Check]
    invalid: tuple[str, ...]
    verdict: Result
    reason: str
    settle: str | None
    logs: Digest
    first: str | None
    last: str | None
    made: str
    actor: str
    tool: str


def mistake(found: Analysis, release: Release) -> str | None:
    """Returns why an analysis is none of a canary's release, or none by its plan; None if it is.

    It is held against the record that it names and against itself: a pass that its own figures, or
    the plan that the canary was started with, do not give is no pass.
    """
    canary = release.canary
    about = (found.bundle, found.env, found.release, found.seq, found.candidate, found.rollout)
    tip = (release.bundle, release.env, release.digest, release.seq, release.to)
    if canary is None or about != (*tip, canary.salt):
        return f"it is about release {found.seq} of {found.bundle}/{found.env}"
    rules = [(one.name, one.metric, one.margin, one.limit) for one in canary.guardrails]
    if [(one.name, one.metric, one.margin, one.limit) for one in found.guardrails] != rules:
        return "its guardrails are not the plan's"
    broken = any(check.broken for check in found.checks.values())
    if (found.verdict == "invalid") != bool(found.invalid) or (broken and not found.invalid):
        return f"it says {found.verdict} of a measurement that is broken, or the reverse"
    if found.verdict != "pass":
        return None
    bounds = [
        (one.high, one.limit if one.margin is None else one.margin) for one in found.guardrails
    ]
    shown = all(high is not None and most is not None and high < most for high, most in bounds)
    units = [found.arms[name].units if name in found.arms else 0 for name in ARMS]
    if not shown or found.look > canary.plan.looks or min(units) < canary.plan.min_units:
        return "it says pass, and its figures or the plan do not"
    return None
