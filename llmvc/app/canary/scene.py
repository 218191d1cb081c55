"""Where a canary stands: its own chain, the environment beside it, and what was analysed.

- Only refs are read: a canary can be looked at, paused and aborted without a configuration.
- The environment beside it is read once; what is judged is what was read.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from llmvc.app.appending import Place
from llmvc.app.workspace import Workspace
from llmvc.core import canary as canaries
from llmvc.core import digest
from llmvc.core.analysis import Analysis, mistake
from llmvc.core.names import Revision, placed
from llmvc.core.release import Release
from llmvc.errors import FormatError, NotFoundError, UsageError
from llmvc.gate import canary as gate
from llmvc.gate.canary import State
from llmvc.store.chain import Tip

# Canonical JSON spells it just so; other things may be about a release some day.
_ANALYSIS: Final = f'"llmvc":"{Analysis.TYPE}"'.encode("ascii")


@dataclass(frozen=True, slots=True)
class Scene:
    """A canary's environment and the one beside it, as they stood when they were read.

    Attributes:
        place: the canary's own environment.
        beside: the environment that it stands beside.
        state: what the rules of the gate look at.
    """

    place: Place
    beside: Place
    state: State

    @property
    def bundle(self) -> str:
        """The bundle's name."""
        return self.place.chain.bundle

    @property
    def env(self) -> str:
        """The canary's own environment."""
        return self.place.chain.env

    @property
    def of(self) -> str:
        """The environment that it stands beside."""
        return self.beside.chain.env

    @property
    def served(self) -> Release:
        """The newest release of the environment beside it.

        Raises:
            NotFoundError: none is known here.
        """
        if self.state.served is None:
            raise NotFoundError(f"{self.bundle} has no release in {self.of}", hint="llmvc fetch")
        return self.state.served

    def open(self) -> tuple[Tip, canaries.Canary]:
        """Returns the newest release and the canary that it carries.

        Raises:
            NotFoundError: no canary is open.
        """
        if self.place.tip is None or self.state.canary is None:
            raise NotFoundError(
                f"no canary of {self.bundle} is open in {self.env}", hint="llmvc canary start REV"
            )
        return self.place.tip, self.state.canary

    def baseline(self) -> Tip:
        """Returns the release that the open canary is measured against.

        Raises:
            NotFoundError: no canary is open, or this clone does not have that release.
        """
        wanted, tip = self.open()[1].baseline, self.beside.tip
        if tip is not None and tip.release.digest == wanted:
            return tip
        for tip in self.beside.chain.tips():
            if tip.release.digest == wanted:
                return tip
        raise NotFoundError(
            f"release {digest.short(wanted)} of {self.bundle}/{self.of} is not in this clone",
            hint="run llmvc fetch",
        )


def look(ws: Workspace, bundle: str, env: str, *, of: str | None = None) -> Scene:
    """Reads where a canary stands.

    Args:
        ws: the workspace.
        bundle: the bundle's name.
        env: the canary's own environment.
        of: the environment beside it; None for the one that its newest release names.

    Raises:
        NotFoundError: no canary was ever started there.
    """
    place = Place.of(ws, bundle, env)
    if of is None:
        of = _beside(place)
    served = Place.of(ws, bundle, of)
    others = tuple(
        other
        for _, other in ws.repo.environments(bundle)
        if other not in (env, of) and _open_beside(ws, bundle, other) == of
    )
    state = State(
        place.tip.release if place.tip else None,
        served.tip.release if served.tip else None,
        others,
    )
    return Scene(place, served, state)


def named(name: str | None) -> tuple[str | None, str | None]:
    """Reads `[BUNDLE][@ENV]` or `BUNDLE/ENV`; None for what was left out.

    Raises:
        UsageError: it names a version.
    """
    revision = Revision.parse(placed(name or ""))
    if revision.kind not in ("worktree", "env") or revision.back or revision.at:
        raise UsageError(
            f"{name} is no environment", hint="write support@canary, support, or nothing"
        )
    return revision.bundle, revision.env or None


def find(ws: Workspace, name: str | None) -> Scene:
    """Returns the canary that `[BUNDLE][@ENV]` names; what is left out, the only one tells.

    Raises:
        UsageError: the name is a version, or several canaries fit.
        NotFoundError: none does.
    """
    wanted, place = named(name)
    if wanted is not None and place is not None:
        return look(ws, wanted, place)
    found: dict[tuple[str, str], Release] = {}
    for bundle, env in ws.repo.environments(wanted):
        tip = ws.repo.chain(bundle, env).tip() if place in (None, env) else None
        if tip is not None and tip.release.kind in canaries.KINDS:
            found[bundle, env] = tip.release
    opened = [where for where, release in found.items() if release.canary is not None]
    known = opened or list(found)
    if not known:
        raise NotFoundError(
            "no canary was started yet", hint="llmvc canary start REV, or llmvc fetch"
        )
    if len(known) > 1:
        listed = ", ".join(f"{bundle}@{env}" for bundle, env in known)
        raise UsageError("which canary?", hint=f"name one of {listed}")
    return look(ws, *known[0])


def analyses(ws: Workspace, release: Release) -> tuple[Analysis, ...]:
    """Returns what is stored about a canary's release, the newest look last.

    Whoever may push to the store can file anything: what is no analysis of this release and by its
    plan is passed over, so that it neither lets a canary on nor stands in the way of one.
    """
    found: list[Analysis] = []
    for data in ws.repo.versions.about(release.digest):
        if _ANALYSIS in data:
            with suppress(FormatError):
                found.append(Analysis.from_bytes(data))
    sound = (item for item in found if mistake(item, release) is None)
    return tuple(sorted(sound, key=lambda item: (item.look, item.made, item.digest)))


def passing(ws: Workspace, scene: Scene, wanted: Analysis | None = None) -> Analysis:
    """Returns the analysis that a step or a promote rests on: one named, or the newest that passed.

    Raises:
        GateBlocked: one says fail, of this release or before a pause at the same share.
        Inconclusive: none says pass.
    """
    tip, _ = scene.open()
    before: list[Analysis] = []
    if tip.release.kind == "pause":
        for release in reversed(scene.place.chain.releases()[:-1]):
            before += analyses(ws, release)
            if release.kind != "pause":
                break
    known = analyses(ws, tip.release)
    return gate.passing(tip.release, known, before=before, wanted=wanted)


def _beside(place: Place) -> str:
    """Returns the environment that the newest canary stands, or stood, beside."""
    tip, chain = place.tip, place.chain
    if tip is None or tip.release.kind not in canaries.KINDS:
        raise NotFoundError(
            f"no canary of {chain.bundle} was started in {chain.env}",
            hint="llmvc canary start REV, or llmvc fetch",
        )
    return tip.release.canary.of if tip.release.canary else str(chain.policy(tip).canary_of)


def _open_beside(ws: Workspace, bundle: str, env: str) -> str | None:
    """Returns what an open canary in an environment stands beside."""
    tip = ws.repo.chain(bundle, env).tip()
    return tip.release.canary.of if tip and tip.release.canary else None
