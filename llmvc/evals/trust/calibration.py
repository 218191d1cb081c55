"""From a judge's grades of the anchors to what is known of it: calibration, check and shift.

- Pure functions of anchors, grades and a time; who calls the judge is `evals.judging`.
- An anchor that the judge gave no grade in form counts against it, at calibration and after.
- A provider that failed says nothing of the judge; with many such anchors nothing is said at all.
- A judge that was refused stays so on these anchors, however often it is asked: that it is admitted
  at all is never more likely than that the first calibration does it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean
from typing import TYPE_CHECKING, Final

import numpy as np

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.judge import Rules
from llmvc.core.judging import (
    SUSPECT,
    TRUSTED,
    UNCALIBRATED,
    AnchorSet,
    Calibration,
    Check,
    Figure,
    Identity,
    Shift,
    identities_of,
)
from llmvc.core.plural import count
from llmvc.core.times import rfc3339
from llmvc.errors import FormatError
from llmvc.evals.trust.agreeing import MOST_UNGRADED, Agreeing, good, usual, verdict
from llmvc.stats.judges import Flips, effective_votes, flip_test
from llmvc.stats.paired import el_score

if TYPE_CHECKING:
    from llmvc.evals.trust.agreeing import Grades

VALID_DAYS: Final = 30
FRESH_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class Regraded:
    """One stored output under two judges; a score is None where a judge gave no grade."""

    run_id: Digest
    case: str
    old: float | None
    new: float | None


def calibrate(
    judge: Digest,
    rules: Rules,
    anchors: AnchorSet,
    grades: "Grades",
    *,
    connection: Digest,
    earlier: Sequence[Calibration] = (),
    now: datetime,
    actor: str,
    tool: str,
    days: int = VALID_DAYS,
) -> Calibration:
    """Returns how a judge does on labelled answers, and whether that is good enough.

    It is admitted if the one-sided 95% bound of its balanced accuracy is above 0.55 and above what
    the trivial rules reach, if it was asked at least twice, so that its noise is known, and if no
    earlier calibration on these anchors refused what answers here.

    Args:
        judge: digest of the judge bundle.
        rules: what the bundle fixes.
        anchors: the labelled answers.
        grades: anchor id -> the judge's grades, at least two.
        connection: digest of what it was asked through.
        earlier: calibrations of this judge, on any anchors.
        now: the time of this.
        actor: who calibrates.
        tool: `llmvc <version>`.
        days: how long it is valid.

    Raises:
        FormatError: a label is no grade of the judge.
    """
    found = Agreeing.of(rules, anchors, grades, seed=_seed(judge, anchors))
    figures = found.figures()
    seen = _identities(grades)
    same = [one for one in earlier if one.anchors == anchors.digest]
    why = found.objections(figures) or _refused(same, connection, seen)
    return Calibration(
        judge=judge,
        anchors=anchors.digest,
        connection=connection,
        attempt=1 + len(same),
        family=rules.family,
        protocol=rules.protocol,
        n=len(found.rows),
        raters=len(anchors.raters),
        figures=figures,
        families=found.families(),
        reference=found.judged,
        human={anchor.id: score for anchor, score, _ in found.rows},
        admitted=not why,
        why=why,
        identities=seen,
        made=rfc3339(now),
        expires=rfc3339(now + timedelta(days=days)),
        actor=actor,
        tool=tool,
    )


def check(
    calibration: Calibration, anchors: AnchorSet, grades: "Grades", *, now: datetime
) -> Check:
    """Returns whether a judge still grades the anchors as it did when it was calibrated.

    Args:
        calibration: what it is compared with, made through the connection of the new grades.
        anchors: those of the calibration.
        grades: anchor id -> new grades, one or more.
        now: the time of this.

    Raises:
        FormatError: the anchors are others.
    """
    if anchors.digest != calibration.anchors:
        raise FormatError(
            f"the judge was calibrated on anchors {digest.short(calibration.anchors)}, "
            f"these are {digest.short(anchors.digest)}",
            hint="calibrate it again: llmvc judge calibrate",
        )
    pairwise = calibration.protocol == "pairwise-swap"
    known = {name: score for name, score in calibration.reference.items() if score is not None}
    given = {name: grades.get(name, ()) for name in known}
    answered = [name for name, ones in given.items() if any(one.votes for one in ones)]
    new = {name: usual([one.score for one in given[name]], pairwise=pairwise) for name in answered}
    flips = sum(
        found is None
        or verdict(found, pairwise=pairwise) != verdict(known[name], pairwise=pairwise)
        for name, found in new.items()
    )
    noise = calibration.figures.get("self_noise", Figure()).value or 0.0
    test = flip_test(flips, len(new), noise)
    injected = sum(
        anchor.kind == "adversarial"
        and anchor.id in new
        and good(new[anchor.id], pairwise=pairwise)
        and not good(known[anchor.id], pairwise=pairwise)
        for anchor in anchors.anchors
    )
    seen = _identities(grades)
    suspicions = _suspicions(calibration, test, injected, seen)
    ungraded = len(known) - len(new)
    missing = not known or ungraded > MOST_UNGRADED * len(known)
    blind = (f"{ungraded} of {len(known)} anchors could not be graded",) if missing else ()
    return Check(
        judge=calibration.judge,
        calibration=calibration.digest,
        connection=calibration.connection,
        n=len(new),
        flips=flips,
        alarm=test.alarm,
        p=test.p if new else None,
        injected=injected,
        identities=seen,
        state=SUSPECT if suspicions else UNCALIBRATED if missing else TRUSTED,
        why=suspicions or blind,
        made=rfc3339(now),
        expires=rfc3339(now + timedelta(hours=FRESH_HOURS)),
    )


def panel_votes(calibrations: Sequence[Calibration]) -> float | None:
    """Returns how many independent votes the judges of a panel are worth.

    Args:
        calibrations: of each of them, in any order.

    Returns:
        The number, from 1 to that of the judges; None for a single one, or where they were not
        calibrated on the same anchors, or do not err.
    """
    if len({one.anchors for one in calibrations}) != 1:
        return None
    shared = sorted(set.intersection(*(set(one.human) for one in calibrations)))
    errors = [[_errs(one, anchor) for anchor in shared] for one in calibrations]
    return effective_votes(np.array(errors, dtype=np.float64))


def _errs(calibration: Calibration, anchor: str) -> bool:
    """Says whether a judge's usual verdict on an anchor was not people's."""
    judged, pairwise = calibration.reference.get(anchor), calibration.protocol == "pairwise-swap"
    truth = verdict(calibration.human[anchor], pairwise=pairwise)
    return judged is None or verdict(judged, pairwise=pairwise) != truth


def shift(
    old: Digest,
    new: Digest,
    outputs: Sequence[Regraded],
    *,
    now: datetime,
    pairwise: bool = False,
) -> Shift:
    """Returns what changes if one judge takes another's place; cases count, not runs.

    Args:
        old: digest of the judge bundle that goes.
        new: digest of the one that comes.
        outputs: stored outputs, graded by both.
        now: the time of this.
        pairwise: whether the scores compare two outputs.
    """
    both = [
        (one.case, one.old, one.new)
        for one in outputs
        if one.old is not None and one.new is not None
    ]
    by_case: dict[str, list[float]] = {}
    for case, before, after in both:
        by_case.setdefault(case, []).append(after - before)
    test = el_score(np.array([fmean(ones) for ones in by_case.values()], dtype=np.float64))
    run_ids: list[canon.Json] = [*sorted({one.run_id for one in outputs})]
    return Shift(
        old=old,
        new=new,
        n=len(both),
        outputs=digest.of_value(run_ids),
        mean_old=fmean(before for _, before, _ in both) if both else None,
        mean_new=fmean(after for _, _, after in both) if both else None,
        shift=fmean(fmean(ones) for ones in by_case.values()) if both else None,
        low=test.low,
        high=test.high,
        flips=sum(
            verdict(before, pairwise=pairwise) != verdict(after, pairwise=pairwise)
            for _, before, after in both
        ),
        made=rfc3339(now),
    )


def heard(anchors: AnchorSet, grades: "Grades") -> bool:
    """Says whether a provider answered for nearly all anchors, so that grades tell of a judge."""
    silent = sum(
        not all(one.votes for one in grades.get(anchor.id, ())) for anchor in anchors.anchors
    )
    return silent <= MOST_UNGRADED * len(anchors.anchors)


def _refused(
    same: Iterable[Calibration], connection: Digest, seen: Iterable[Identity]
) -> tuple[str, ...]:
    """Returns why an earlier refusal holds; empty if there is none of what answers now."""
    for one in same:
        if not one.admitted and one.connection == connection and set(one.identities) & set(seen):
            refusal = f"it was refused on these anchors on {one.made[:10]}"
            return (f"{refusal}, and that holds: change the judge, or add anchors",)
    return ()


def _suspicions(
    calibration: Calibration, test: Flips, injected: int, seen: Iterable[Identity]
) -> tuple[str, ...]:
    """Returns what says that a judge is not what it was."""
    found: list[str] = []
    if test.flips >= test.alarm:
        found.append(
            f"{test.flips} of {test.n} anchors got another verdict: {test.alarm} are too many"
        )
    if injected:
        found.append(f"{count(injected, 'adversarial anchor')} got a good grade and had none")
    if unknown := set(seen) - set(calibration.identities):
        found.append(f"{_named(unknown)} answered, which was not calibrated")
    return tuple(found)


def _identities(grades: "Grades") -> tuple[Identity, ...]:
    return identities_of(who for ones in grades.values() for one in ones for who in one.identities)


def _named(identities: Iterable[Identity]) -> str:
    return ", ".join(
        " ".join(filter(None, one)) or "an unnamed model" for one in identities_of(identities)
    )


def _seed(judge: Digest, anchors: AnchorSet) -> int:
    return int(digest.hex_of(digest.of_value([judge, anchors.digest]))[:8], 16)
