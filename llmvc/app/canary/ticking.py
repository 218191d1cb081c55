"""One tick of a canary, for a scheduler or CI: analyse, then do what the plan says.

- A tick may be repeated: a step makes a new release, which has no data yet, so the next tick holds.
- Two ticks at once move from the same tip; the one that comes second is refused whole.
- A killed tick is finished by the next one; at worst it left an analysis, which is a look.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from llmvc.app.appending import Moved
from llmvc.app.canary import moving
from llmvc.app.canary import scene as scenes
from llmvc.app.canary.scene import Scene
from llmvc.app.canary.sending import How
from llmvc.app.workspace import Workspace
from llmvc.core.analysis import Analysis
from llmvc.errors import LlmvcError
from llmvc.gate import canary as gate


@dataclass(frozen=True, slots=True)
class Ticked:
    """What a tick did.

    Attributes:
        act: what it did; `none` if no canary is open, `void` if readers follow it no more.
        why: the reason, which stands in the release if there is a new one.
        analysis: what it rests on; None if nothing was analysed.
        moved: the releases made, in their order.
    """

    act: Literal["step", "pause", "abort", "promote", "hold", "none", "void"]
    why: str
    analysis: Analysis | None = None
    moved: tuple[Moved, ...] = ()


def run(
    ws: Workspace,
    scene: Scene,
    analyze: Callable[[], Analysis],
    *,
    promote: bool,
    suite: str | None,
    how: How,
) -> Ticked:
    """Analyses the newest release of a canary, and steps, promotes, pauses or aborts by its plan.

    Args:
        ws: the workspace.
        scene: where the canary stands; only from there it is moved.
        analyze: judges the newest release by what was logged, and stores the analysis.
        promote: whether to go past the last step; else it waits for a person there.
        suite: path of the suite file, for the promote.
        how: whether to push, and a reason that goes before the one found.

    Raises:
        RefMoved: somebody else moved the canary, or the environment beside it, meanwhile.
        GateBlocked: the suite's report says fail, at the promote.
        Inconclusive: the suite's report is missing, at the promote.
    """
    state = scene.state
    if state.tip is None or state.canary is None:
        return Ticked("none", "no canary is open")
    if state.promoted:
        if not promote:
            return Ticked("hold", f"{scene.of} serves the candidate: llmvc canary promote")
        done = moving.promote(ws, scene, suite=suite, how=how)
        return Ticked("promote", "finished what a run before began", None, (done.closed,))
    if state.void is not None:
        return Ticked("void", state.void)
    found = analyze()
    stored = scenes.analyses(ws, state.tip)
    decided = gate.answer(state, found, stored, promote=promote)
    if decided.act == "hold" and decided.analysis.verdict == "pass":
        decided = replace(decided, why=_blocked(ws, scene) or decided.why)
    made = replace(how, reason=": ".join(filter(None, (how.reason, decided.why))))
    return Ticked(
        decided.act,
        decided.why,
        decided.analysis,
        _carry_out(ws, scene, decided.act, decided.analysis, suite=suite, how=made),
    )


def _blocked(ws: Workspace, scene: Scene) -> str | None:
    """Returns why a pass leads nowhere, such as what failed before a pause; None if it may."""
    try:
        scenes.passing(ws, scene)
    except LlmvcError as err:
        return str(err)
    return None


def _carry_out(
    ws: Workspace, scene: Scene, act: gate.Act, found: Analysis, *, suite: str | None, how: How
) -> tuple[Moved, ...]:
    """Makes the move that was decided."""
    if act == "step":
        return (moving.step(ws, scene, analysis=found.digest, how=how),)
    if act == "promote":
        done = moving.promote(ws, scene, analysis=found.digest, suite=suite, how=how)
        return (done.served, done.closed)
    if act == "pause":
        return (moving.pause(ws, scene, analysis=found, how=how),)
    return (moving.abort(ws, scene, analysis=found, how=how),) if act == "abort" else ()
