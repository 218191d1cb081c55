"""Moving a judge's environment: what a judge must show, in the place of a report.

- A judge is released on its calibration: admitted, in force, and checked since.
- Where another judge is served, old and new figures must be comparable: a shift between the two
  is stored, and the log shows it.
"""

from llmvc.app import judges
from llmvc.app.appending import Place
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.core.judging import TRUSTED, Calibration, Shift
from llmvc.core.release import Release
from llmvc.errors import Inconclusive


def vouch(ws: Workspace, place: Place, candidate: Resolved) -> Calibration:
    """Returns the calibration that a judge may be released on.

    Raises:
        Inconclusive: it is not trusted, or nobody knows what the move changes.
    """
    own = candidate.bundle.digest
    known = judges.known(ws, own)
    state, why = known.state(ws.time)
    made = known.calibration
    name = f"judge {candidate.label} {digest.short(own)}"
    if made is None or not made.admitted:
        raise Inconclusive(
            f"{name} is {state}: {'; '.join(why)}",
            hint=f"llmvc judge calibrate {candidate.label} --anchors FILE",
        )
    if state != TRUSTED:
        raise Inconclusive(
            f"{name} is {state}: {'; '.join(why)}", hint=f"llmvc judge check {candidate.label}"
        )
    served = place.serving
    if served is not None and shift_between(known.shifts, served, own) is None:
        raise Inconclusive(
            f"nobody knows what moving from judge {digest.short(served)} to "
            f"{digest.short(own)} changes",
            hint=f"grade stored answers by both: llmvc judge shift {candidate.label} "
            f"{place.chain.env}",
        )
    return made


def shift_between(shifts: tuple[Shift, ...], old: Digest, new: Digest) -> Shift | None:
    """Returns the newest shift from one judge to another; None if there is none."""
    return next((one for one in reversed(shifts) if (one.old, one.new) == (old, new)), None)


def shift_of(ws: Workspace, release: Release) -> Shift | None:
    """Returns what the release of a judge changed; None where that is not known."""
    if release.suite is not None or release.report is None or release.from_ is None:
        return None  # only a judge's release has evidence without a suite
    return shift_between(judges.known(ws, release.to).shifts, release.from_, release.to)
