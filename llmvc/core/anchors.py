"""Anchors: frozen answers with labels by people, which a judge is held against.

- An anchor set has a digest of its own; whoever changes an answer or a label has another set.
- A label is a grade of the judge's scale, in its words. For a pair it speaks of `output` as
  compared with `other`.
- `control` anchors are trivial (identical pair, empty answer), `adversarial` ones are bad answers
  that ask for a good grade.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from llmvc.core import canon
from llmvc.core.record import Record

AnchorKind = Literal["normal", "control", "adversarial"]

_PARTS: Final = re.compile(r"[^a-z0-9]+|(?<=[a-z]{3})(?=\d)")
_ENDS: Final = re.compile(
    r"latest|preview|exp|experimental|instruct|chat|it|hf|gguf|awq|gptq|b?fp?(8|16)"
    r"|\d{3,8}|(\d+x)?\d+[bm]"
)
"""Where the snapshot or packaging begins: what follows names no line."""
_SIZES: Final = re.compile(
    r"mini|nano|micro|tiny|small|medium|large|xl|base|lite|flash|turbo|plus|pro|max|ultra"
    r"|opus|sonnet|haiku|\d+k"
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """One answer, or pair of answers, that people graded.

    Attributes:
        id: unique in the set.
        output: the answer.
        labels: rater -> grade, in the judge's words.
        vars: the variables of the case that it answers, `expected` too.
        other: what a pairwise judge compares it with; None for a pointwise one.
        kind: see the module's docstring.
        family: training lineage of the model that wrote the output; None if not known.
        tags: labels for slices, sorted.
    """

    id: str
    output: str
    labels: Mapping[str, str]
    vars: Mapping[str, canon.Json] = field(default_factory=dict)
    other: str | None = None
    kind: AnchorKind = "normal"
    family: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnchorSet(Record):
    """Anchors, sorted by id.

    Attributes:
        anchors: ids are unique.
    """

    TYPE: ClassVar[str] = "anchors/1"
    anchors: tuple[Anchor, ...]

    def __post_init__(self) -> None:
        """Puts the anchors in order."""
        object.__setattr__(self, "anchors", tuple(sorted(self.anchors, key=lambda one: one.id)))

    @property
    def raters(self) -> tuple[str, ...]:
        """Everybody who labelled anything, sorted."""
        return tuple(sorted({rater for anchor in self.anchors for rater in anchor.labels}))


def lineage(model: str) -> str:
    """Returns the training line that a model's id names, as well as a name can tell.

    Publisher, size, snapshot date and packaging are left out: `gpt-4o-mini-2024-07-18` is of
    `gpt-4o`, `meta-llama/Llama-3.1-8B-Instruct` of `llama-3-1`.

    Args:
        model: an id as providers and bundles write it.
    """
    text = model.lower().rsplit("/", 1)[-1]
    text = text.removeprefix("ft:").split(":", 1)[0]
    # A publisher or region before a dot is no version: `us.anthropic.claude-3` but not `qwen2.5`.
    while "." in text and text.split(".", 1)[0].isalpha():
        text = text.split(".", 1)[1]
    kept: list[str] = []
    for part in filter(None, _PARTS.split(text.removeprefix("meta-"))):
        if kept and _ENDS.fullmatch(part):
            break
        if not kept or not _SIZES.fullmatch(part):
            kept.append(part)
    return "-".join(kept)


def same_family(family: str, *models: str) -> bool:
    """Says whether a judge's family is that of one of the models.

    A family that names a whole line, such as `gpt`, holds every model of it. In doubt they are the
    same: a false yes asks for labels, a false no lets a judge favour its kin.

    Args:
        family: as the judge's bundle states it, or a model id.
        models: ids.
    """
    own = lineage(family).split("-")
    others = [lineage(model).split("-") for model in models]
    return any(
        own[: len(shared)] == shared[: len(own)] for shared in others if own[0] and shared[0]
    )
