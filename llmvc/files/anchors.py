"""Anchor files: frozen answers with the grades that people gave them, one JSON object a line.

    {"id": "a01", "vars": {"ticket": "…"}, "output": "…", "labels": {"ann": "yes", "ben": "no"}}

- `labels` holds at least one rater's grade, each one that the judge offers. For a judge that
  compares, `other` is the second answer, and a label is what is right when `output` comes first.
- `kind` is `normal`, `control` (an empty, cut or identical answer) or `adversarial` (a bad answer
  that is aimed at the judge).
- An id stands once, and so does an item: the same answer twice would count as two.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from llmvc.core import digest
from llmvc.core.anchors import Anchor, AnchorKind, AnchorSet
from llmvc.core.canon import Json
from llmvc.errors import FormatError
from llmvc.files import check, outcomes
from llmvc.files.reading import Row, read_jsonl

KINDS: Final[Mapping[str, AnchorKind]] = {
    "normal": "normal",
    "control": "control",
    "adversarial": "adversarial",
}
FIELDS: Final = (
    *("id", "vars", "expected", "output", "other", "labels", "kind", "family", "tags"),
    "description",
)
_Wrong = Callable[..., FormatError]


def read_anchors(
    data: bytes, name: str, grades: Collection[str], *, pairwise: bool = False
) -> AnchorSet:
    """Reads an anchor file.

    Args:
        data: its bytes.
        name: how messages call it.
        grades: the grades that the judge offers.
        pairwise: whether the judge compares two answers.

    Raises:
        FormatError: a line is no anchor, an id or an item stands twice, or there is no line.
    """
    lines: dict[str, int] = {}
    anchors: list[Anchor] = []
    for row in read_jsonl(data, name):
        anchor = _anchor(row, name, grades, pairwise=pairwise)
        content = digest.of_value([anchor.vars, anchor.output, anchor.other])
        for key, what in ((f"id {anchor.id}", f"id {anchor.id!r}"), (content, "answer")):
            if key in lines:
                raise FormatError(
                    f"{name}:{row.line}: the {what} is also that of line {lines[key]}",
                    hint="one answer is one anchor, with all its labels",
                )
            lines[key] = row.line
        anchors.append(anchor)
    if not anchors:
        raise FormatError(
            f"{name} holds no anchor",
            hint='write lines such as {"vars": {…}, "output": "…", "labels": {"ann": "…"}}',
        )
    return AnchorSet(tuple(anchors))


def _anchor(row: Row, name: str, grades: Collection[str], *, pairwise: bool) -> Anchor:
    def wrong(what: str, hint: str = "") -> FormatError:
        return FormatError(f"{name}:{row.line}: {what}", hint=hint)

    value = row.value
    if not isinstance(value, Mapping):
        raise wrong("an anchor is a JSON object")
    for key in value:
        if key not in FIELDS:
            raise wrong(check.unknown(f"{key} is not a field", key, FIELDS))
    variables = value.get("vars", {})
    if not isinstance(variables, Mapping):
        raise wrong("vars must be an object")
    if "expected" in value:
        variables = {**variables, "expected": value["expected"]}
    output, other = value.get("output"), value.get("other")
    if not isinstance(output, str):
        raise wrong("output must be text", "an empty answer is an empty text")
    if pairwise != isinstance(other, str):
        raise wrong(
            "other must be text" if pairwise else "this judge sees one answer, so there is no other"
        )
    told = value.get("kind", "normal")
    kind = KINDS.get(str(told))
    if kind is None:
        raise wrong(f"kind may not be {told!r}", f"kinds are {', '.join(KINDS)}")
    content = digest.hex_of(digest.of_value([variables, output, other]))
    try:
        own = outcomes.case_id(value.get("id", f"a-{content[:12]}"))
    except FormatError as err:
        raise wrong(str(err)) from err
    return Anchor(
        id=own,
        vars=variables,
        output=output,
        other=other if isinstance(other, str) else None,
        labels=_labels(value.get("labels"), grades, wrong),
        kind=kind,
        family=_text(value, "family", wrong),
        tags=_tags(value, wrong),
    )


def _labels(value: Json, grades: Collection[str], wrong: _Wrong) -> dict[str, str]:
    if not isinstance(value, Mapping) or not value:
        raise wrong("labels must name a rater and a grade", 'write "labels": {"ann": "…"}')
    for rater, grade in value.items():
        if not rater.strip() or not rater.isprintable():
            raise wrong(f"{rater!r} is no name of a rater")
        if not isinstance(grade, str) or grade not in grades:
            offered = ", ".join(sorted(grades))
            raise wrong(
                f"{rater} gave {grade!r}, which the judge does not offer", f"it offers {offered}"
            )
    return {rater: str(grade) for rater, grade in sorted(value.items())}


def _text(value: Mapping[str, Json], name: str, wrong: _Wrong) -> str | None:
    found = value.get(name)
    if found is not None and not isinstance(found, str):
        raise wrong(f"{name} must be text")
    return found


def _tags(value: Mapping[str, Json], wrong: _Wrong) -> tuple[str, ...]:
    tags = value.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise wrong("tags must be a list of texts")
    return tuple(sorted({str(tag) for tag in tags}))
