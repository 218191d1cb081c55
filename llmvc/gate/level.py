"""The error rate that a verdict is read at: alpha, shared among looks and candidates.

- The looks that a suite plans spend its alpha (`gate.looks`); beyond the plan nothing is left.
- Measurements that were united are a look beside the plan: what the looks before could have spent
  is taken off first, so that no order of looking makes more errors than alpha.
- Whoever tries many candidates finds one that passes by luck: beyond the number that the suite
  allows, alpha is divided, or new cases are asked for.
"""

from dataclasses import dataclass
from typing import Final

from llmvc.core.suite import Suite
from llmvc.gate.looks import levels


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a verdict stands among others on the same cases.

    Attributes:
        look: the planned look, from 1; None for the last one.
        merged: whether several measurements were united.
        tried: candidates tried on this baseline and suite, this one included.
        made_at: level of the estimates; None for the level of the verdict.
    """

    look: int | None = None
    merged: bool = False
    tried: int = 1
    made_at: float | None = None


LAST_LOOK: Final = Standing()


def level(suite: Suite, standing: Standing) -> float:
    """Returns the one-sided level of a verdict; 0 where none may be read."""
    alpha, look = _shared(suite, standing.tried), _look(suite, standing)
    first = 2 if standing.merged else 1
    if not alpha or not first <= look <= len(suite.looks.at):
        return 0.0
    nominal = levels(suite.looks.at, alpha)
    if not standing.merged:
        return nominal[look - 1]
    return max(0.0, min(nominal[look - 1], alpha - sum(nominal[: look - 1])))


def refusal(suite: Suite, standing: Standing) -> tuple[str, str] | None:
    """Returns why no verdict may be read, and what to do about it; None if one may."""
    if level(suite, standing) > 0:
        return None
    if standing.tried > suite.candidates and suite.beyond == "new-cases":
        return (
            f"{standing.tried} candidates were tried on these cases, {suite.candidates} may be",
            "add cases that no candidate was tried on: a suite with more evidence starts anew",
        )
    look, planned = _look(suite, standing), len(suite.looks.at)
    why = f"this is look {look} at one question, the suite plans {planned}"
    if look <= planned:
        why = f"the looks before look {look} at one question left nothing of the error rate"
    return why, "add as many cases again: a suite with more evidence is a new question"


def note(suite: Suite, standing: Standing) -> str | None:
    """Says how the candidates tried before make the verdict stricter; None if they do not."""
    if standing.tried <= suite.candidates or suite.beyond != "divide":
        return None
    return (
        f"candidate {standing.tried} on this baseline and suite, which allows {suite.candidates}: "
        f"the error rate is {_shared(suite, standing.tried):.2g} instead of {suite.alpha:g}"
    )


def _shared(suite: Suite, tried: int) -> float:
    """Returns what the candidates tried leave of the suite's alpha."""
    if tried <= suite.candidates:
        return suite.alpha
    return suite.alpha * suite.candidates / tried if suite.beyond == "divide" else 0.0


def _look(suite: Suite, standing: Standing) -> int:
    """Returns the number of the look; the last one unless another is named."""
    return len(suite.looks.at) if standing.look is None else standing.look
