"""Looking at a canary: where it stands, what is next, and which arm a unit got at any release."""

from dataclasses import dataclass
from typing import Literal

from llmvc.app.canary import scene as scenes
from llmvc.app.canary.scene import Scene
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.analysis import Analysis
from llmvc.core.bucket import bucket
from llmvc.core.digest import Digest
from llmvc.core.plural import count
from llmvc.core.release import Release
from llmvc.errors import LlmvcError, NotFoundError, UsageError
from llmvc.gate import canary as gate


@dataclass(frozen=True, slots=True)
class Status:
    """Where a canary stands.

    Attributes:
        release: the newest release of its environment.
        of: the environment that it stands beside.
        served: that one's newest release; None if none is known here.
        void: why readers serve that one alone; None if the canary counts, or none is open.
        analysis: the newest one of this release; None if there is none.
        following: share of the plan's next step in ppm; None at the last, or if none is open.
        next: what may be done now, in words.
    """

    release: Release
    of: str
    served: Release | None
    void: str | None
    analysis: Analysis | None
    following: int | None
    next: str


@dataclass(frozen=True, slots=True)
class Explained:
    """Which arm a unit got, derived again from records alone.

    Attributes:
        unit: its id.
        release: the canary's release that decided.
        bucket: where the unit falls, in [0, 1,000,000); None if the release ended the canary.
        arm: what the unit got, until the environment beside it moved on, if it did.
        digest: the version that the arm serves, which is what the environment beside it serves now
            if the newest release ended the canary; None if the release beside it is not known here.
        beside: the release that the canary was measured against; None if it is not known here, or
            if the release ended the canary.
        left: the release by which the environment beside it moved on, after which readers served
            that one alone; None if it did not while this release was the newest.
    """

    unit: str
    release: Release
    bucket: int | None
    arm: Literal["baseline", "canary"]
    digest: Digest | None
    beside: Release | None
    left: Release | None


def status(ws: Workspace, scene: Scene) -> Status:
    """Returns where a canary stands and what may be done now.

    Raises:
        NotFoundError: none was ever started there.
    """
    tip = scene.place.tip
    if tip is None:
        raise NotFoundError(f"no canary was started in {scene.env}", hint="llmvc canary start REV")
    state, canary = scene.state, tip.release.canary
    found = scenes.analyses(ws, tip.release) if canary else ()
    return Status(
        tip.release,
        scene.of,
        state.served,
        None if state.promoted else state.void,
        found[-1] if found else None,
        canary.plan.after(canary.share_ppm) if canary else None,
        _next(ws, scene),
    )


def explain(ws: Workspace, scene: Scene, unit: str, *, at: int | None = None) -> Explained:
    """Derives again which arm a unit got, from the two chains alone.

    Args:
        ws: the workspace.
        scene: the canary.
        unit: id of the conversation, user or request.
        at: number of the canary's release; None for the newest.

    Raises:
        UsageError: the unit is empty.
        NotFoundError: the canary has no such release.
    """
    if not unit:
        raise UsageError("a unit is not empty", hint="name a conversation, user or request")
    chain = scene.place.chain.releases()
    wanted = len(chain) if at is None else at
    if not 1 <= wanted <= len(chain):
        where = f"{scene.bundle}/{scene.env}"
        raise NotFoundError(
            f"{where} has {count(len(chain), 'release')}, none has number {wanted}",
            hint=f"llmvc log {scene.bundle}@{scene.env}",
        )
    release = chain[wanted - 1]
    canary = release.canary
    if canary is None:
        last = scene.state.served if wanted == len(chain) else None
        return Explained(unit, release, None, "baseline", (last or release).to, None, None)
    beside, left = _beside(ws, release, until=chain[wanted] if wanted < len(chain) else None)
    place = bucket(canary.salt, unit)
    inside = place < canary.share_ppm
    to = release.to if inside else beside.to if beside else None
    return Explained(unit, release, place, "canary" if inside else "baseline", to, beside, left)


def _beside(
    ws: Workspace, release: Release, *, until: Release | None
) -> tuple[Release | None, Release | None]:
    """Returns the release that an open canary is measured against, and the one after it.

    The latter only if its time is before that of the canary's own next release: then it was what
    made the canary void.
    """
    canary = release.canary
    if canary is None:
        return None, None
    chain = ws.repo.chain(release.bundle, canary.of).releases()
    found = next((item for item in chain if item.digest == canary.baseline), None)
    after = chain[found.seq] if found and found.seq < len(chain) else None
    if after is not None and until is not None and after.time >= until.time:
        after = None
    return found, after


def _next(ws: Workspace, scene: Scene) -> str:
    """Says what may be done now."""
    state = scene.state
    if state.tip is None or state.canary is None:
        return f"llmvc canary start REV {scene.env}"
    if state.promoted:
        return f"{scene.of} serves the candidate: llmvc canary promote closes the canary"
    onward = "step" if state.canary.plan.after(state.canary.share_ppm) is not None else "promote"
    try:
        gate.check(state, "step" if onward == "step" else "promote")
        passed = scenes.passing(ws, scene)
    except LlmvcError as err:
        return err.hint or str(err)
    return f"llmvc canary {onward}, on analysis {digest.short(passed.digest)}"
