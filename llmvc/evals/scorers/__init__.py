"""Scorers: outputs in, numbers from 0 to 1 out. One file a family.

- None is a third state beside 0 and 1: the scorer itself could not tell. A negated scorer that
  cannot tell still cannot.
- Whatever is wrong with a scorer's options for some case is found before the first call.
- `{{expected}}`, `{{expected.field}}` and `{{vars.name}}` in options are filled in per case.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from llmvc.core import canon
from llmvc.core.metric import Scorer
from llmvc.core.scorers import JUDGE, SET
from llmvc.core.suite import Case
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers import (
    checks,
    likeness,
    markup,
    number,
    operations,
    refusal,
    similarity,
    structure,
    text,
    tools,
)
from llmvc.evals.scorers.options import NOTHING, Options, Rule, Setting, UntoldError

RULES: Final[Mapping[str, Rule]] = {
    **text.RULES,
    **refusal.RULES,
    **likeness.RULES,
    **similarity.RULES,
    **structure.RULES,
    **number.RULES,
    **markup.RULES,
    **tools.RULES,
    **operations.RULES,
}

_Function = Callable[[Case, Answer, Setting], float]


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of one output.

    Attributes:
        scores: scorer name -> score; None where the scorer could not tell.
        error: which scorer could not tell, and why; None if all could.
    """

    scores: Mapping[str, float | None]
    error: str | None = None


class Scoring:
    """The scorers of a suite, ready to use.

    Args:
        scorers: as the suite has them.
        folder: what paths of external scorer code start from.

    Raises:
        FormatError: a scorer's type or code is not known.
    """

    def __init__(self, scorers: Sequence[Scorer], folder: Path | None = None) -> None:
        self._scorers = tuple(
            (scorer, _function(scorer, folder or Path()))
            for scorer in scorers
            if scorer.type != JUDGE
        )
        names = [scorer.name for scorer in scorers]
        self._zero = Scored(dict.fromkeys(names, 0.0))
        self._unknown = Scored(dict.fromkeys(names))

    def check(self, cases: Sequence[Case]) -> None:
        """Tries the options of every scorer on every case, on an empty output.

        Raises:
            FormatError: one of them lacks or misspells something.
        """
        nothing = Answer(output="")
        for scorer, function in self._scorers:
            if scorer.type == "python":
                continue
            for case in cases:
                try:
                    function(case, nothing, NOTHING)
                except UntoldError:
                    continue
                except FormatError as err:
                    where = f"scorer {scorer.name}, case {case.id}"
                    raise FormatError(f"{where}: {err}", hint=err.hint) from err

    def score(
        self,
        case: Case,
        answer: Answer,
        *,
        tools: canon.Json = None,
        cost_usd: float | None = None,
        window: int | None = None,
    ) -> Scored:
        """Scores one answer; an application that failed scores 0, a provider that did, nothing.

        Args:
            case: what was asked.
            answer: what came back.
            tools: the bundle's tools, as it declares them; None if they are not known.
            cost_usd: what the run cost; None for what the provider stated.
            window: the model's context window in tokens; None if it is not known.
        """
        if answer.output is None:
            return self._zero if answer.fault == "application" else self._unknown
        setting = Setting(tools, cost_usd, window)
        scores: dict[str, float | None] = {}
        errors: list[str] = []
        for scorer, function in self._scorers:
            try:
                found = function(case, answer, setting)
            except FormatError as err:
                scores[scorer.name] = None
                errors.append(f"scorer {scorer.name}: {err}")
            else:
                scores[scorer.name] = 1.0 - found if scorer.negate else found
        return Scored(scores, "; ".join(errors) or None)


def score(
    scorer: Scorer, case: Case, answer: Answer, *, folder: Path | None = None
) -> float | None:
    """Returns one scorer's score of one answer; None if it cannot tell."""
    return Scoring((scorer,), folder).score(case, answer).scores[scorer.name]


def _function(scorer: Scorer, folder: Path) -> _Function:
    """Returns what scores by a scorer; whatever can be prepared for all runs is done here."""
    kind, values = scorer.type, scorer.options
    if kind == "python":
        from llmvc.evals.scorers.code import load  # noqa: PLC0415 (only it runs foreign code)

        own = load(scorer, folder)
        return lambda case, answer, _: own(case, answer)
    embed = similarity.embedder(scorer, folder)
    rule = _rule(kind)
    if rule is None:
        raise FormatError(f"scorer {scorer.name} has unknown type {kind!r}")

    def scored(case: Case, answer: Answer, setting: Setting) -> float:
        options = Options(values, case, setting, embed, negated=scorer.negate)
        return checks.judged(kind, rule(options, answer), options)

    return scored


def _rule(kind: str) -> Rule | None:
    if kind == "checks":
        return partial(checks.row, rules=RULES)
    if kind == SET:
        return partial(checks.group, rules=RULES)
    return RULES.get(kind)
