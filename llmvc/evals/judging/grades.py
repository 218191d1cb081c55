"""What a judge is asked about, and what it said: an item and its grade."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.evals.reuse import Identity

_ITEM: Final = "item/1"


@dataclass(frozen=True, slots=True)
class Item:
    """One output to grade.

    Attributes:
        key: what the grade is returned under; unique among the items of one call.
        vars: the case's variables, and `expected` if the case has it.
        output: what is graded.
        other: what a pairwise judge compares it with; None for a pointwise one.
    """

    key: str
    vars: Mapping[str, canon.Json]
    output: str
    other: str | None = None

    @property
    def content(self) -> Digest:
        """The identity of what is graded, whatever its key."""
        return digest.of_value(
            {"llmvc": _ITEM, "vars": self.vars, "output": self.output, "other": self.other}
        )


@dataclass(frozen=True, slots=True)
class Grade:
    """What a judge said of one output.

    Attributes:
        score: in [0, 1]; pairwise: 1 if the output is the better one, 0.5 for a tie or where the
            orders disagree. None if the judge did not say.
        votes: the score of every vote; None for one not in form.
        flipped: pairwise: whether most of the votes in form changed with the order; None if there
            is none, and for a pointwise judge.
        flagged: how the output was aimed at the judge: `fence`, `grade-line`.
        error: why there is no score.
        usd: what its votes cost, whenever they were made; None if that is not known.
        identities: (model, fingerprint) that answered.
        calls: how many replies its votes took, whenever they were made.
        asked: how many of them were made now.
    """

    score: float | None
    votes: tuple[float | None, ...] = ()
    flipped: bool | None = None
    flagged: tuple[str, ...] = ()
    error: str | None = None
    usd: float | None = None
    identities: frozenset[Identity] = frozenset()
    calls: int = 0
    asked: int = field(default=0, compare=False)
