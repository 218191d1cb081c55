"""Datasets: JSON lines in the shapes that eval tools use, brought to one normal form.

- Ours: `{id, vars, expected, group, tags, assert}`; promptfoo: `{vars, assert}`; Braintrust:
  `{input, expected, metadata, tags}`; Inspect: `{input, target, id}`; LangSmith:
  `{inputs, outputs}`.
- A case without id gets one from its inputs, `c-` and 12 hex characters, so that it stays the
  same case when lines move.
- What stands under `metadata` is for people, but for `group`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from llmvc.core import digest
from llmvc.core.canon import Json
from llmvc.core.suite import Case
from llmvc.errors import FormatError
from llmvc.files import check, scoring
from llmvc.files.reading import Row, read_jsonl

COMMON: Final = ("id", "group", "tags", "metadata", "description")
SHAPES: Final[Mapping[str, tuple[str, ...]]] = {
    "vars": ("vars", "expected", "assert"),
    "inputs": ("inputs", "outputs"),
    "input": ("input", "expected", "target"),
}
_LONGEST_ID: Final = 200


def read_cases(data: bytes, name: str) -> tuple[Case, ...]:
    """Reads a JSON lines dataset.

    Raises:
        FormatError: a line is not a case, an id stands twice, or there is no case at all.
    """
    return cases(read_jsonl(data, name), name)


def cases(rows: Iterable[Row], name: str) -> tuple[Case, ...]:
    """Returns the cases of some rows in their order.

    Raises:
        FormatError: as `read_cases`.
    """
    lines: dict[str, int] = {}
    result: list[Case] = []
    for row in rows:
        case = _case(row, name)
        if case.id in lines:
            raise FormatError(
                f"{name}:{row.line}: case id {case.id!r} is also that of line {lines[case.id]}",
                hint="give each case an id of its own",
            )
        lines[case.id] = row.line
        result.append(case)
    if not result:
        raise FormatError(f"{name} holds no case", hint='write lines such as {"vars": {...}}')
    return tuple(result)


def _case(row: Row, name: str) -> Case:
    def wrong(what: str, hint: str = "") -> FormatError:
        return FormatError(f"{name}:{row.line}: {what}", hint=hint)

    value = row.value
    if not isinstance(value, Mapping):
        raise wrong("a case is a JSON object", 'write {"vars": {...}, "expected": ...}')
    shape = next((key for key in SHAPES if key in value), None)
    if shape is None:
        raise wrong("the case has neither vars nor input", 'write "vars": {...}')
    known = (*COMMON, *SHAPES[shape])
    for key in value:
        if key not in known:
            what = check.unknown(f"{key} is not a field", key, [k for k in known if k not in value])
            raise wrong(what, "notes may stand under metadata")
    inputs = value[shape]
    if shape != "input" and not isinstance(inputs, Mapping):
        raise wrong(f"{shape} must be an object")
    variables = inputs if isinstance(inputs, Mapping) else {"input": inputs}
    return Case(
        id=_id(value, variables, wrong),
        vars=variables,
        expected=_expected(value, wrong),
        group=_group(value, wrong),
        tags=_tags(value, wrong),
        checks=_checks(value, wrong),
    )


_Wrong = Callable[..., FormatError]


def _id(value: Mapping[str, Json], variables: Mapping[str, Json], wrong: _Wrong) -> str:
    given = value.get("id")
    if given is None:
        return "c-" + digest.hex_of(digest.of_value(variables))[:12]
    if isinstance(given, int) and not isinstance(given, bool):
        return str(given)
    if not isinstance(given, str) or not given.strip() or not given.isprintable():
        raise wrong("id must be printable text or a whole number")
    if len(given) > _LONGEST_ID:
        raise wrong(f"id is longer than {_LONGEST_ID} characters")
    return given


def _expected(value: Mapping[str, Json], wrong: _Wrong) -> Json:
    found = [key for key in ("expected", "target", "outputs") if key in value]
    if len(found) > 1:
        raise wrong(f"both {found[0]} and {found[1]} say what is expected", "keep one")
    return value[found[0]] if found else None


def _group(value: Mapping[str, Json], wrong: _Wrong) -> str | None:
    metadata = value.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise wrong("metadata must be an object")
    group = value.get("group")
    if group is None and isinstance(metadata, Mapping):
        group = metadata.get("group")
    if isinstance(group, int) and not isinstance(group, bool):
        return str(group)
    if group is not None and not isinstance(group, str):
        raise wrong("group must be text")
    return group


def _tags(value: Mapping[str, Json], wrong: _Wrong) -> tuple[str, ...]:
    tags = value.get("tags")
    tags = [] if tags is None else tags
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise wrong("tags must be a list of texts")
    return tuple(sorted({str(tag) for tag in tags}))


def _checks(value: Mapping[str, Json], wrong: _Wrong) -> tuple[Mapping[str, Json], ...]:
    listed = value.get("assert")
    listed = [] if listed is None else listed
    if not isinstance(listed, list):
        raise wrong("assert must be a list")
    found: list[Mapping[str, Json]] = []
    for item in listed:
        try:
            found.append(scoring.check_assertion(item))
        except FormatError as err:
            raise wrong(str(err), err.hint) from err
    return tuple(found)
