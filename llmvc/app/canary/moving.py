"""Moving a canary: step, pause, abort and promote.

- Every move is one commit on the canary's own ref, made by compare-and-swap from the tip that was
  judged, and that ref alone is pushed; the environment beside it moves only at the promote.
- None but the promote needs a configuration: they follow the plan and the policy that the start
  wrote down.
"""

from dataclasses import dataclass, replace

from llmvc.app import releasing, revisions
from llmvc.app.appending import Moved, Place, append
from llmvc.app.canary import scene as scenes
from llmvc.app.canary.scene import Scene
from llmvc.app.canary.sending import LOOK, PLAIN, How, publish, push, send
from llmvc.app.releasing import NONE, Exceptions
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core.analysis import Analysis
from llmvc.core.release import Move, Release
from llmvc.errors import FormatError, NotFoundError, RefMoved
from llmvc.gate import canary as gate
from llmvc.store.chain import REPORT


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a promote did: the environment's move, and the canary's close."""

    served: Moved
    closed: Moved


def step(ws: Workspace, scene: Scene, *, analysis: str | None = None, how: How = PLAIN) -> Moved:
    """Widens a canary to the next share of its plan, which ends a pause as well.

    Args:
        ws: the workspace.
        scene: where it stands.
        analysis: digest of the analysis to rest on, or its start; None for the newest.
        how: reason, push, dry run.

    Raises:
        GateBlocked: an analysis of the newest release says fail.
        Inconclusive: none says pass, or the canary is void.
        ConfigError: no canary is open, or the plan has no further step.
    """
    gate.check(scene.state, "step")
    found = scenes.passing(ws, scene, _named(ws, analysis))
    return push(ws, _move(ws, scene, "step", how, analysis=found), how)


def pause(
    ws: Workspace, scene: Scene, *, analysis: Analysis | None = None, how: How = PLAIN
) -> Moved:
    """Keeps a canary at its share until a person steps, and begins a new count.

    Nothing is written if it is paused, unless its count ended without an answer: what was broken is
    mended, and events count from the new release on.

    Raises:
        ConfigError: no canary is open.
    """
    gate.check(scene.state, "pause")
    tip, _ = scene.open()
    known = scenes.analyses(ws, tip.release)
    if tip.release.kind == "pause" and not gate.spent(tip.release, known):
        return Moved(tip.release, written=False)
    return push(ws, _move(ws, scene, "pause", how, analysis=analysis), how)


def abort(
    ws: Workspace, scene: Scene, *, analysis: Analysis | None = None, how: How = PLAIN
) -> Moved:
    """Ends a canary: its units get the baseline again, and the candidate's pins are revoked.

    Where somebody else moved the remote's canary meanwhile and the same rollout is still open
    there, it is aborted on top of theirs. Where a promote has let the environment beside it serve
    the candidate meanwhile, the abort stands, and whoever asked for it is told: pins that the
    canary gave are revoked, those of that environment are not.

    Raises:
        ConfigError: no canary is open, or the environment beside it serves the candidate.
        NotFoundError: the release that it was measured against is not in this clone.
    """
    gate.check(scene.state, "abort")
    _, canary = scene.open()

    def once_more() -> Release | None:
        now = scenes.look(ws, scene.bundle, scene.env)
        if now.state.canary is None or now.state.canary.salt != canary.salt:
            return None
        return _move(ws, now, "abort", how, analysis=analysis).release

    done = push(ws, _move(ws, scene, "abort", how, analysis=analysis), how, once_more)
    served = Place.of(ws, scene.bundle, scene.of).tip
    if replace(scene.state, served=served.release if served else None).promoted:
        ws.tell(f"a promote came first, {scene.of} serves the candidate: {_back(scene)}")
    return done


def promote(
    ws: Workspace,
    scene: Scene,
    *,
    analysis: str | None = None,
    suite: str | None = None,
    exceptions: Exceptions = NONE,
    how: How = PLAIN,
) -> Promoted:
    """Lets the environment beside a canary serve the candidate to all, and closes the canary.

    Killed between the two, it finishes when it is run again.

    Args:
        ws: the workspace.
        scene: where it stands, at the last step of its plan.
        analysis: digest of the analysis to rest on, or its start; None for the newest.
        suite: path of the suite file; None for the bundle's only one.
        exceptions: what goes beyond the evidence of the suite, as at any promote.
        how: push, dry run.

    Raises:
        GateBlocked: an analysis, or the suite's report, says fail.
        Inconclusive: no analysis says pass, the report is missing, or the canary is void.
        ConfigError: no canary is open, or it is not at its last step.
        RefMoved: somebody else moved one of the two meanwhile.
    """
    gate.check(scene.state, "promote")
    tip, _ = scene.open()
    if scene.state.promoted:  # by a run that was killed, perhaps before it pushed
        passed = None
        again = send(ws, Moved(scene.served, written=True), how)
        served = replace(again, written=False)
    else:
        passed = scenes.passing(ws, scene, _named(ws, analysis))
        try:
            moved = releasing.promote(
                ws,
                f"{scene.bundle}@{tip.release.to}",
                scene.of,
                suite=suite,
                exceptions=exceptions,
                dry_run=how.dry_run,
                place=scene.beside,
            )
        except RefMoved as err:
            err.hint = LOOK
            raise
        again = served = send(ws, moved, how)
    try:
        closed = send(ws, _closed(ws, scene, how, passed), how)
    finally:
        publish(ws, again, how)
    return Promoted(served, closed)


def _closed(ws: Workspace, scene: Scene, how: How, passed: Analysis | None) -> Moved:
    """Closes a canary whose candidate the environment beside it serves by now."""
    try:
        return _move(ws, scene, "close", how, analysis=passed)
    except RefMoved as err:
        # Somebody aborted between the two: the environment beside it moved all the same.
        err.hint = f"{scene.of} serves the candidate by now: {_back(scene)}"
        raise


def _back(scene: Scene) -> str:
    """Says how the environment beside a canary gets back to the baseline."""
    return f"llmvc rollback {scene.bundle} {scene.of} --reason '…' takes it back"


def _move(
    ws: Workspace, scene: Scene, kind: str, how: How, *, analysis: Analysis | None = None
) -> Moved:
    """Appends a move after the start, with the policy and suite that are in force."""
    tip, canary = scene.open()
    goal, place = (scene.baseline(), scene.beside) if kind == "abort" else (tip, scene.place)
    bundle = revisions.released_bundle(place.chain, goal)
    needed = place.chain.parts(goal)
    left = scene.place.chain.parts(tip)
    move = Move(
        kind,
        goal.release.to,
        tip.release.policy,
        ws.repo.source(),
        ws.time,
        ws.actor,
        reason=how.reason,
        report=analysis.digest if analysis else None,
        proven=goal.release.proven,
        dropped=tuple(left.members - needed.members) if kind == "abort" else (),
        canary=gate.following(canary, kind),
    )
    label = f"{scene.bundle}@{scene.env}"
    found = Resolved(scene.bundle, label, bundle, assets=tuple(needed.data.items()))
    blobs = {REPORT: analysis.to_bytes()} if analysis else {}
    policy = scene.place.chain.policy(tip).to_bytes()
    return append(ws, scene.place, move, found, policy=policy, blobs=blobs, dry_run=how.dry_run)


def _named(ws: Workspace, named: str | None) -> Analysis | None:
    """Returns the analysis with a digest, or its start; None for none."""
    if named is None:
        return None
    data = ws.repo.versions.read(revisions.find_digest(ws, named))
    if data is None:
        raise NotFoundError(f"{named} is not in this clone", hint="run llmvc fetch")
    try:
        return Analysis.from_bytes(data)
    except FormatError as err:
        raise FormatError(f"{named} is no analysis", hint="llmvc canary status names one") from err
