"""What a judge bundle fixes about judging: its grades, its protocol, and how its replies are read.

- The `judge` section of a bundle says all of it, so that a change of any of it is another judge.
- A grade is text that the judge answers; its score lies in [0, 1]. No grade stands within another.
- A pairwise judge sees two outputs under blind names and answers `A`, `B` or, if offered, `tie`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from llmvc.core import canon
from llmvc.core.bundle import Bundle
from llmvc.core.metric import number
from llmvc.errors import FormatError

ProtocolName = Literal["pointwise", "pairwise-swap"]

PROTOCOLS: Final[tuple[ProtocolName, ...]] = ("pointwise", "pairwise-swap")
PAIRWISE_GRADES: Final[Mapping[str, float]] = {"A": 1.0, "B": 0.0, "tie": 0.5}
"""What a pairwise judge may answer -> the score of the output that it was shown as A."""
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "pointwise": ("rubric", "output"),
    "pairwise-swap": ("rubric", "output_a", "output_b"),
}
"""What a judge's messages must show, by its protocol."""
MARKS: Final = " \t\r*_`\"'.\\"
"""White space and Markdown's marks, which may stand around a grade in a reply."""
OWN_NAMES: Final = frozenset({"rubric", "grades", "expected", "output", "output_a", "output_b"})
"""Template variables that every judge has; a case's variable of such a name is hidden by them."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a judge judges.

    Attributes:
        family: the training lineage of its model, which it may prefer.
        rubric: what it judges by, as it is shown.
        protocol: one output at a time, or two in both orders.
        votes: how often it is asked about one output; odd.
        grades: what it may answer -> score in [0, 1], the worst first; A, B, tie if it compares.
        parser: `last-line`, {"pattern": ...} or {"json": ...}.
        order_seed: what the order that is asked first is drawn from.
        length_control: of two answers: whether what it prefers is held against what it would prefer
            at equal lengths.
    """

    family: str
    rubric: str
    protocol: ProtocolName
    votes: int
    grades: Mapping[str, float]
    parser: canon.Json
    order_seed: int
    length_control: bool

    @property
    def pairwise(self) -> bool:
        """Whether it compares two outputs."""
        return self.protocol == "pairwise-swap"

    @classmethod
    def of(cls, bundle: Bundle) -> "Rules":
        """Reads the rules of a judge.

        Raises:
            FormatError: the bundle is no judge, or its `judge` section is not complete.
        """
        section = bundle.body.get("judge")
        if bundle.kind != "judge" or not isinstance(section, Mapping):
            raise FormatError(
                f"a bundle of kind {bundle.kind} is no judge",
                hint="a judge's manifest has kind: judge and a judge section",
            )
        for member, problem in problems(section):
            raise FormatError(f"judge.{member} {problem}")
        seed = section.get("order_seed")
        return cls(
            family=str(section["family"]),
            rubric=str(section["rubric"]),
            protocol=PROTOCOLS[[str(one) for one in PROTOCOLS].index(str(section["protocol"]))],
            votes=_whole(section.get("votes", 1)) or 1,
            grades=_grades(section),
            parser=section.get("parser", "last-line"),
            order_seed=seed if isinstance(seed, int) else 0,
            length_control=section.get("length_control") is not False,
        )


def problems(section: Mapping[str, canon.Json]) -> Iterator[tuple[str, str]]:
    """Yields what is wrong with a `judge` section, as (member, what is wrong with it)."""
    for member in ("family", "rubric"):
        text = section.get(member)
        if not isinstance(text, str) or not text.strip():
            yield member, "is missing"
    protocol = section.get("protocol")
    if protocol not in PROTOCOLS:
        yield "protocol", f"must be one of {', '.join(PROTOCOLS)}"
    votes = _whole(section.get("votes", 1))
    if votes is None or votes < 1 or votes % 2 == 0:
        yield "votes", "must be odd, so that they have a majority"
    seed = section.get("order_seed")
    if seed is not None and _whole(seed) is None:
        yield "order_seed", "must be a whole number"
    grades = _pairwise_problem if protocol == "pairwise-swap" else _grades_problem
    for problem in (grades(section), _parser_problem(section)):
        if problem:
            yield problem


def _grades(section: Mapping[str, canon.Json]) -> dict[str, float]:
    """Returns grade -> score; a list runs from the worst to the best in even steps."""
    written = section.get("grades")
    if section.get("protocol") == "pairwise-swap":
        offered = _listed(written) or tuple(PAIRWISE_GRADES)
        return {grade: PAIRWISE_GRADES[grade] for grade in offered}
    if isinstance(written, Mapping):
        scores = {grade: number(score) or 0.0 for grade, score in written.items()}
        return dict(sorted(scores.items(), key=lambda item: item[1]))
    listed = _listed(written)
    return {grade: at / (len(listed) - 1) for at, grade in enumerate(listed)}


def _grades_problem(section: Mapping[str, canon.Json]) -> tuple[str, str] | None:
    written = section.get("grades")
    if isinstance(written, Mapping):
        scores = [number(score) for score in written.values()]
        if any(score is None or not 0 <= score <= 1 for score in scores):
            return "grades", "must have scores from 0 to 1"
        if len(set(scores)) < 2:
            return "grades", "must have two different scores"
    names = tuple(written) if isinstance(written, Mapping) else _listed(written)
    if len(names) < 2:
        return "grades", "must offer at least two, such as [bad, good]"
    return _clash(names)


def _clash(names: Sequence[str]) -> tuple[str, str] | None:
    """Returns which grades a reader of replies could take for each other."""
    words = [tuple(_plain(name).split()) for name in names]
    for name, own in zip(names, words, strict=True):
        if not own or name.strip(MARKS) != name or any(sign in name for sign in ":=\n"):
            return "grades", f"has {name!r}, which is not a word or words on one line"
    for at, own in enumerate(words):
        for other, longer in enumerate(words):
            if at == other:
                continue
            if any(longer[i : i + len(own)] == own for i in range(len(longer))):
                what = f"has {names[at]!r} within {names[other]!r}"
                return "grades", f"{what}: a reply could be read as either"
    return None


def _pairwise_problem(section: Mapping[str, canon.Json]) -> tuple[str, str] | None:
    if "grades" not in section:
        return None
    written = section["grades"]
    offered = _listed(written) if isinstance(written, list) else ()
    if not {"A", "B"} <= set(offered) <= set(PAIRWISE_GRADES) or len(set(offered)) < len(offered):
        return "grades", "must be [A, B] or [A, B, tie] for protocol pairwise-swap"
    return None


def _parser_problem(section: Mapping[str, canon.Json]) -> tuple[str, str] | None:
    parser = section.get("parser", "last-line")
    if parser == "last-line":
        return None
    pattern = parser.get("pattern") if isinstance(parser, Mapping) else None
    field = parser.get("json") if isinstance(parser, Mapping) else None
    if isinstance(field, str) and field and pattern is None:
        return None
    if not isinstance(pattern, str) or field is not None:
        return "parser", "must be last-line, {pattern: ...} or {json: field}"
    try:
        groups = re.compile(pattern).groups
    except re.error as err:
        return "parser", f"has no regular expression under pattern: {err}"
    return None if groups == 1 else ("parser", f"must have one group in pattern, not {groups}")


def _listed(value: canon.Json) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _whole(value: canon.Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
