"""What may become of a canary: which move may follow which state, with which evidence.

- A step and a promote need an analysis of the canary's newest release that says pass. A pass
  stands whatever a later look cannot tell, until the measurement is found broken; what an analysis
  of that release showed to be worse is not outvoted by another.
- A pause begins a new count and takes nothing back: what was shown to be worse at this share stays.
- A canary that is void takes no step and is not promoted; it can only be paused or aborted.
- `answer` is the whole policy of `canary run`: it moves towards less traffic without asking, and
  towards more only on a pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llmvc.core import canary as canaries
from llmvc.core import digest
from llmvc.core.analysis import Analysis, mistake
from llmvc.core.canary import Canary, percent
from llmvc.core.plural import count
from llmvc.core.release import MEASURED, Release, told
from llmvc.errors import ConfigError, GateBlocked, Inconclusive, LlmvcError

Verb = Literal["start", "step", "pause", "abort", "promote"]
Act = Literal["step", "pause", "abort", "promote", "hold"]


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one environment for canaries.

    Attributes:
        tip: its newest release; None before the first canary.
        served: the newest release of the environment that it stands beside; None if none is known.
        others: environments with another open canary of the same bundle beside the same.
    """

    tip: Release | None
    served: Release | None
    others: tuple[str, ...] = ()

    @property
    def canary(self) -> Canary | None:
        """The open canary; None if none is."""
        return self.tip.canary if self.tip else None

    @property
    def promoted(self) -> bool:
        """Whether the environment beside it has just moved to the candidate, by a promote."""
        tip, served, canary = self.tip, self.served, self.canary
        return (
            tip is not None
            and canary is not None
            and served is not None
            and (served.previous, served.to) == (canary.baseline, tip.to)
            and served.kind in MEASURED
        )

    @property
    def void(self) -> str | None:
        """Why readers serve the environment beside it alone; None if the canary counts."""
        if self.canary is None:
            return None
        served = self.served.digest if self.served else None
        return canaries.void(self.canary, served, beside=len(self.others))


def check(state: State, verb: Verb) -> None:
    """Checks that a move may follow a state, evidence apart.

    Raises:
        ConfigError: it may not; both records are named.
        Inconclusive: the canary is void, so that no evidence is about what is served.
    """
    wrong = _check_start(state) if verb == "start" else _check_open(state, verb)
    if wrong is not None:
        raise wrong


def _check_start(state: State) -> LlmvcError | None:
    if state.served is None:
        return ConfigError(
            "nothing was released in the environment that the canary would stand beside",
            hint="promote or adopt a first release there; a canary is measured against it",
        )
    if state.canary is None and not state.others:
        return None
    where = told(state.tip) if state.canary and state.tip else f"in {state.others[0]}"
    return ConfigError(
        f"a canary is open already, {where}, beside {told(state.served)}",
        hint="end it first: llmvc canary promote, or llmvc canary abort --reason '…'",
    )


def _check_open(state: State, verb: Verb) -> LlmvcError | None:
    tip, canary = state.tip, state.canary
    if tip is None or canary is None:
        return ConfigError(
            "no canary is open" + (f": {told(tip)}" if tip else ""),
            hint="llmvc canary start REV; llmvc push, if the remote has not heard of the end",
        )
    if state.promoted and verb != "promote" and state.served is not None:
        return ConfigError(
            f"{canary.of} serves the candidate already: {told(state.served)}",
            hint="llmvc canary promote closes the canary; llmvc rollback takes the candidate back",
        )
    onward = verb in ("step", "promote") and not state.promoted
    return _check_onward(state, tip, canary, verb) if onward else None


def _check_onward(state: State, tip: Release, canary: Canary, verb: Verb) -> LlmvcError | None:
    """Returns why a canary may not get more traffic, evidence apart."""
    if state.void is not None:
        beside = told(state.served) if state.served else f"{canary.of} unknown"
        return Inconclusive(
            f"the canary is void, {state.void}: {told(tip)}, beside {beside}",
            hint="llmvc canary abort --reason '…', then start anew against what is served",
        )
    following = canary.plan.after(canary.share_ppm)
    if verb == "step" and following is None:
        return ConfigError(
            f"{percent(canary.share_ppm)} is the plan's last step: {told(tip)}",
            hint="llmvc canary promote",
        )
    if verb == "promote" and following is not None:
        return ConfigError(
            f"{told(tip)} serves {percent(canary.share_ppm)}, and {percent(following)} is next",
            hint="llmvc canary step",
        )
    return None


def passing(
    tip: Release,
    analyses: Sequence[Analysis],
    *,
    before: Sequence[Analysis] = (),
    wanted: Analysis | None = None,
) -> Analysis:
    """Returns the analysis on which a step or a promote may rest.

    Args:
        tip: the canary's newest release.
        analyses: all that are stored about it, the newest last.
        before: those of the releases of the same share before it, if it is a pause.
        wanted: the one to rest on; None for the newest that says pass.

    Raises:
        GateBlocked: an analysis at this share says fail.
        Inconclusive: none says pass, or the newest says invalid.
    """
    known = [item for item in analyses if mistake(item, tip) is None]
    where = f"release {tip.seq} of {tip.bundle}/{tip.env}"
    if wanted is not None and wanted not in known:
        why = mistake(wanted, tip) or "it is not filed there"
        raise Inconclusive(
            f"analysis {digest.short(wanted.digest)} is none of {where}: {why}",
            hint="llmvc canary analyze --logs GLOB",
        )
    failed = next((item for item in (*before, *known) if item.verdict == "fail"), None)
    if failed is not None:
        raise GateBlocked(
            f"analysis {digest.short(failed.digest)} of release {failed.seq} of "
            f"{tip.bundle}/{tip.env} says fail: {failed.reason}",
            hint="llmvc canary abort --reason '…'",
        )
    if not known:
        raise Inconclusive(
            f"no look at {where} was taken: nothing was analysed, or too little for a look",
            hint="llmvc canary analyze --logs GLOB",
        )
    standing = _passed(known)
    chosen = known[-1] if standing is None else wanted or standing
    if chosen.verdict != "pass":
        raise Inconclusive(
            f"analysis {digest.short(chosen.digest)} of {where} says {chosen.verdict}: "
            f"{chosen.reason}",
            hint=chosen.settle or "llmvc canary analyze --logs GLOB",
        )
    return chosen


def _passed(analyses: Sequence[Analysis]) -> Analysis | None:
    """Returns the newest that says pass; None if none does, or the last says invalid."""
    if analyses and analyses[-1].verdict == "invalid":
        return None
    return next((item for item in reversed(analyses) if item.verdict == "pass"), None)


def spent(tip: Release, analyses: Sequence[Analysis]) -> bool:
    """Returns whether the count of a release ended without an answer, so that a new one may begin.

    It did where its newest analysis, the last of `analyses`, is invalid, or the plan's last look.
    """
    if not analyses or tip.canary is None:
        return False
    newest, looks = analyses[-1], tip.canary.plan.looks
    used_up = newest.verdict == "inconclusive" and newest.look >= looks
    return newest.verdict == "invalid" or used_up


@dataclass(frozen=True, slots=True)
class Answer:
    """What `canary run` does, why, and on which analysis it rests."""

    act: Act
    why: str
    analysis: Analysis


def answer(
    state: State, found: Analysis, stored: Sequence[Analysis] = (), *, promote: bool
) -> Answer:
    """Returns what a tick does about the newest analysis of an open canary that counts.

    Args:
        state: an open canary that is neither void nor promoted.
        found: the analysis just made of its newest release.
        stored: all that are stored about that release, the newest last, and `found` if it is.
        promote: whether it may go past the last step.
    """
    tip, canary = state.tip, state.canary
    if tip is None or canary is None:
        return Answer("hold", "no canary is open", found)
    worst = next((item for item in (*stored, found) if item.verdict == "fail"), None)
    if worst is not None:
        return Answer("abort", worst.reason, worst)
    if found.verdict == "invalid":
        why = f"invalid: {found.reason}"
        return Answer(_by_policy(tip, canary.plan.on_invalid), why, found)
    passed = found if found.verdict == "pass" else _passed(stored)
    if passed is not None:
        return _onward(tip, canary, passed, promote=promote)
    # Two ticks at once may have stored the same look, each under its own name.
    taken = len({item.look for item in stored if item.verdict != "invalid"})
    if taken < canary.plan.looks:
        return Answer("hold", f"inconclusive: {found.reason}", found)
    why = f"inconclusive after {count(taken, 'look')}, all that are planned: {found.reason}"
    return Answer(_by_policy(tip, canary.plan.on_inconclusive), why, found)


def _onward(tip: Release, canary: Canary, passed: Analysis, *, promote: bool) -> Answer:
    """Returns what a pass leads to."""
    widens = canary.plan.after(canary.share_ppm) is not None
    if tip.kind == "pause":
        onward = f"paused: llmvc canary {'step' if widens else 'promote'} goes on"
        return Answer("hold", onward, passed)
    if widens:
        return Answer("step", passed.reason, passed)
    if promote:
        return Answer("promote", passed.reason, passed)
    return Answer("hold", "the last step passed: llmvc canary promote", passed)


def _by_policy(tip: Release, wanted: str) -> Act:
    """Returns what the plan says, as far as there is something left to do."""
    if wanted == "abort":
        return "abort"
    return "pause" if wanted == "pause" and tip.kind != "pause" else "hold"


def following(canary: Canary, kind: str) -> Canary | None:
    """Returns what a release of a kind carries after one that carries `canary`."""
    if kind == "pause":
        return canary
    share = canary.plan.after(canary.share_ppm) if kind == "step" else None
    return None if share is None else canary.widened(share)
