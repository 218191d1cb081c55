"""Whether a judge may be believed: its state, what is odd about it, and what rests on it.

- A judge that is not TRUSTED makes each metric that rests on it inconclusive: it never passes, and
  it never fails either. What needs no judge is held against its rule as ever.
- Nothing known is no trust: without calibration, or without a check since, no state is better than
  with one.
- A judge of the family that a migration goes to is believed only where people's labels correct it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, lgamma, log, log1p
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.judging import (
    RETIRED,
    SUSPECT,
    TRUSTED,
    UNCALIBRATED,
    Calibration,
    Check,
    Evidence,
    Figure,
    Identity,
    State,
    Tombstone,
    identities_of,
    same_family,
)
from llmvc.core.metric import Metric
from llmvc.core.plural import count
from llmvc.core.suite import Suite
from llmvc.errors import FormatError

SCORER: Final = "judge"
"""The type of a judged scorer; its option `judge` is the digest of the judge's bundle."""

MIGRATING: Final = "judge-family-migrating"
"""The lint code that makes judged metrics inconclusive unless labels correct them; others warn."""
MORE_LABELS: Final = "label more answers of both arms: llmvc judge label REPORT"
WRITTEN_BY: Final = "by:"
"""What the tag of a case begins with that names the model which wrote it, such as `by:gpt-4o`."""
LEAST_VOTES: Final = 1.5
SHARED_WORDS: Final = 12
FLIP_ALPHA: Final = 0.01
ELSEWHERE: Final = (
    "it was calibrated through another connection: what answers there says nothing of this one"
)

_SECONDS: Final = len("2026-11-20T08:30:00")


@dataclass(frozen=True, slots=True)
class Distrust:
    """Why a metric cannot be judged, and the command that mends it."""

    reason: str
    settle: str


@dataclass(frozen=True, slots=True)
class Prompted:
    """What the lint looks at of one judge: its training lineage, and the text it is asked by."""

    family: str
    text: str


def standing_check(calibration: Calibration, checks: Iterable[Check]) -> Check | None:
    """Returns the check that counts: the newest, but a suspect one holds until a new calibration.

    A judge that drifted would pass one of several checks in the end.

    Args:
        calibration: the one in force.
        checks: all of the judge, in any order.
    """
    in_force = (calibration.digest, calibration.connection)
    own = [check for check in checks if (check.calibration, check.connection) == in_force]
    return max(own, key=lambda check: (check.state == SUSPECT, check.made), default=None)


def state_of(
    calibration: Calibration | None,
    check: Check | None,
    retired: Tombstone | None,
    identities: Iterable[Identity],
    now: str,
    *,
    connection: Digest | None = None,
    flips: int = 0,
    graded: int = 0,
    flagged: int = 0,
) -> tuple[State, tuple[str, ...]]:
    """Returns a judge's state, and why it is not trusted.

    Args:
        calibration: its newest one.
        check: the one that counts since, see `standing_check`.
        retired: what took it out of use.
        identities: (model, fingerprint) that answered for it in a measurement.
        now: RFC 3339, UTC.
        connection: what it is asked through; None if nobody asks it.
        flips: pairs on which the two orders disagreed in that measurement.
        graded: pairs that it graded.
        flagged: answers in it that were aimed at the judge.
    """
    if retired is not None:
        return RETIRED, (f"it was retired: {retired.reason}",)
    if calibration is None:
        return UNCALIBRATED, ("it was never held against labels by people",)
    if connection not in (None, calibration.connection):
        return UNCALIBRATED, (ELSEWHERE,)
    if not calibration.admitted:
        return UNCALIBRATED, calibration.why
    checked = check if check is not None and check.calibration == calibration.digest else None
    suspicions = _expired(calibration, now) + _strange(calibration, identities, flips, graded)
    suspicions += _aimed(calibration, flagged)
    if checked is not None and checked.state == SUSPECT:
        suspicions += checked.why
    if suspicions:
        return SUSPECT, suspicions
    why = _unchecked(checked, now)
    return (UNCALIBRATED, why) if why else (TRUSTED, ())


def _expired(calibration: Calibration, now: str) -> tuple[str, ...]:
    over = _passed(calibration.expires, now)
    return (f"its calibration ran out on {calibration.expires[:10]}",) if over else ()


def _strange(
    calibration: Calibration, identities: Iterable[Identity], flips: int, graded: int
) -> tuple[str, ...]:
    """Returns what a measurement saw of a judge that its calibration does not explain."""
    found: list[str] = []
    if unknown := set(identities) - set(calibration.identities):
        names = ", ".join(" ".join(filter(None, one)) or "?" for one in identities_of(unknown))
        found.append(f"{names} answered, which was not calibrated")
    bound = calibration.figures.get("position_flips", Figure()).high
    if bound is not None and _at_least(flips, graded, bound) < FLIP_ALPHA:
        found.append(
            f"the two orders disagreed on {flips} of {graded} pairs, "
            f"at calibration on {bound:.0%} at most"
        )
    return tuple(found)


def _aimed(calibration: Calibration, flagged: int) -> tuple[str, ...]:
    """Returns what answers aimed at a judge say, if such ones are known to move it."""
    fooled = calibration.figures.get("injection", Figure()).value
    if not flagged or not fooled:
        return ()
    answers = count(flagged, "answer")
    return (f"{answers} aimed at it, and at calibration {fooled:.0%} of such ones fooled it",)


def upheld(
    said: Evidence,
    calibrations: Sequence[Calibration],
    checks: Sequence[Check],
    retired: Tombstone | None,
    *,
    at: str,
    now: str,
) -> Evidence:
    """Returns what a report says of a judge, with no more trust than the stored records bear out.

    The records that it names must be there and have made the judge trusted when it graded, and
    what came out since must not speak against it. What the report does not say is not added.

    Args:
        said: by the report.
        calibrations: all of this judge, the oldest first.
        checks: the same.
        retired: what took it out of use.
        at: when the grading ended, RFC 3339, UTC.
        now: the same of today.
    """
    if said.state != TRUSTED:
        return said
    then = next((one for one in calibrations if one.digest == said.calibration), None)
    if then is None:
        named = digest.short(said.calibration)
        gone = f"its calibration {named} is not among what is stored of it"
        return replace(said, state=UNCALIBRATED, why=(gone,))
    if said.connection != then.connection:
        return replace(said, state=UNCALIBRATED, why=(ELSEWHERE,))
    # Of the same second only the one that the report names is known to have come before.
    counted = [one for one in checks if one.made[:_SECONDS] < at[:_SECONDS]]
    counted += [one for one in checks if one.digest == said.check]
    state, why = state_of(
        then,
        standing_check(then, counted),
        retired,
        said.identities,
        at,
        flips=said.flips,
        graded=said.graded,
        flagged=said.flagged,
    )
    if state == TRUSTED:
        newest = [one for one in calibrations if one.connection == then.connection][-1]
        today, since = state_of(newest, standing_check(newest, checks), retired, (), now)
        if today != UNCALIBRATED or not newest.admitted:
            state, why = today, since
    return replace(said, state=state, why=why)


def _unchecked(check: Check | None, now: str) -> tuple[str, ...]:
    """Returns why a judge counts as not checked; empty if it does."""
    if check is None:
        return ("it was not checked against its anchors",)
    if check.state != TRUSTED:
        return check.why
    if _passed(check.expires, now):
        return (f"it was last checked against its anchors at {check.made}",)
    return ()


def lint(
    judge: Prompted,
    panel: Sequence[Prompted],
    *,
    kin: bool,
    migrating: bool = False,
    prompts: Collection[str] = (),
    writers: Collection[str] = (),
    votes: float | None = None,
) -> tuple[str, ...]:
    """Returns codes for what makes a judge's word worth less than it looks.

    Args:
        judge: the judge.
        panel: all judges of the suite, this one included.
        kin: whether the model of an arm is of its family (`core.judging.same_family`).
        migrating: whether the candidate differs from the baseline in its model.
        prompts: the texts of the arms' bundles.
        writers: families of the models that wrote cases of the suite, as far as tags tell.
        votes: how many independent votes the judges are worth that share a metric with it, see
            `Evidence.panel_votes`.
    """
    words = [_runs_of_words(text) for text in prompts]
    found = {
        MIGRATING: kin and migrating,
        "judge-family": kin and not migrating,
        "one-judge": len(panel) == 1,
        "one-family": len(panel) > 1 and len({one.family for one in panel}) == 1,
        "shares-prompt-text": any(_runs_of_words(judge.text) & one for one in words),
        "cases-by-judge-family": same_family(judge.family, *writers),
        "panel-n-eff": votes is not None and votes < LEAST_VOTES,
    }
    return tuple(code for code, holds in found.items() if holds)


def distrusted(
    suite: Suite, judges: Mapping[str, canon.Json], corrected: Collection[str] = ()
) -> Mapping[str, Distrust]:
    """Returns the metrics that rest on a judge that cannot be believed.

    Args:
        suite: the metrics and scorers.
        judges: `Report.judges`.
        corrected: metrics whose estimate is corrected by people's labels.
    """
    found: dict[str, Distrust] = {}
    for metric in suite.metrics:
        for judge in judges_of(suite, metric):
            why = _distrust(judge, judges.get(judge), corrected=metric.name in corrected)
            if why is not None:
                found.setdefault(metric.name, why)
    return found


def judges_of(suite: Suite, metric: Metric) -> tuple[str, ...]:
    """Returns the digests of the judges that a metric rests on."""
    return tuple(
        str(scorer.options.get("judge"))
        for scorer in suite.scorers
        if scorer.type == SCORER and scorer.name in metric.scorers
    )


def _distrust(judge: str, value: canon.Json, *, corrected: bool) -> Distrust | None:
    short = digest.short(judge)
    if value is None:
        return Distrust(f"the report says nothing of judge {short}", "measure again: llmvc eval")
    try:
        evidence = Evidence.from_dict(value)
    except FormatError as err:
        return Distrust(f"judge {short}: {err}", "measure again: llmvc eval")
    name, why = evidence.name, "; ".join(evidence.why)
    if evidence.state != TRUSTED:
        again = f"llmvc judge calibrate {name} --anchors FILE"
        remedy = {
            UNCALIBRATED: f"llmvc judge check {name}, or {again}",
            SUSPECT: f"find out what changed, then {again}",
        }.get(evidence.state, "name another judge in the suite")
        return Distrust(f"judge {name} is {evidence.state}: {why}", remedy)
    labelled = corrected and any(evidence.labels.values())
    if evidence.migration and evidence.same_family and not labelled:
        return Distrust(
            f"judge {name} is of the family of a model that it compares ({evidence.family}), "
            "and no labels by people correct it",
            MORE_LABELS,
        )
    return None


def _passed(time: str, now: str) -> bool:
    """Says whether a time is over; both are RFC 3339 in UTC, whose order is that of their text."""
    return time[:_SECONDS] <= now[:_SECONDS]


def _at_least(found: int, n: int, rate: float) -> float:
    """Returns the chance of so many or more of `n` at a rate in [0, 1]."""
    if not 0 < rate < 1 or not found:
        return 1.0 if rate or not found else 0.0
    whole = lgamma(n + 1)
    return sum(
        exp(whole - lgamma(k + 1) - lgamma(n - k + 1) + k * log(rate) + (n - k) * log1p(-rate))
        for k in range(found, n + 1)
    )


def _runs_of_words(text: str) -> frozenset[tuple[str, ...]]:
    words = text.lower().split()
    ends = range(len(words) - SHARED_WORDS + 1)
    return frozenset(tuple(words[at : at + SHARED_WORDS]) for at in ends)
