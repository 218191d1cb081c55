"""Checks a document against one of the published schemas, and says what to write instead.

- The jsonschema library decides what is valid; the rules are the files in `schemas/`.
- Of all that is wrong the most telling is reported: fields that do not exist come before values
  that may not be, these before wrong types, and what is missing or empty comes last.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, cast

from llmvc.core import canon
from llmvc.core.canon import Json
from llmvc.files.reading import Document, Path, dotted
from llmvc.files.shipped import shipped

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

_CALLED: Final = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "number": "a number",
    "integer": "a whole number",
}
# What to say by the keyword of the schema that was broken, the most telling first.
_MESSAGES: Final[Mapping[str | None, str]] = {
    "additionalProperties": "{name} is not a field",
    None: "{name} may not stand here",
    "propertyNames": "{name} is not a valid name; {hint}",
    "const": "{name} must be {rule}, not {value}",
    "enum": "{name} may not be {value}",
    "pattern": "{name} may not be {value}; {hint}",
    "minLength": "{name} is empty",
    "minimum": "{name} must be at least {rule}, not {value}",
    "maximum": "{name} must be at most {rule}, not {value}",
    "exclusiveMinimum": "{name} must be above {rule}, not {value}",
    "exclusiveMaximum": "{name} must be below {rule}, not {value}",
    "type": "{name} must be {types}, not {value}",
    "anyOf": "{name} must be {types}, not {value}",
    "required": "{name} is missing",
    "oneOf": "{name} needs exactly one of {members}",
    "minItems": "{name} is empty",
    "minProperties": "{name} is empty",
    "uniqueItems": "{name} holds {twice} twice",
}
_RANKS: Final = {keyword: rank for rank, keyword in enumerate(_MESSAGES)}


def check(document: Document, schema: str) -> None:
    """Checks a document against the schema of that name: `bundle`, `suite` or `config`.

    Raises:
        FormatError: the most telling problem, as `file:line: what; what to write instead`.
    """

    def rank(error: "ValidationError") -> tuple[int, int, str]:
        place = _place(error)
        return _RANKS[_keyword(error)], document.line_of(place) or 0, dotted(place)

    errors = _validator(schema).iter_errors(document.value)
    found = [leaf for error in errors for leaf in _leaves(error)]
    if found:
        first = min(found, key=rank)
        hint = f"schemas/{schema}.schema.json lists what may stand there"
        raise document.error(_place(first), _message(first), hint=hint)


@cache
def load(schema: str) -> dict[str, Any]:
    """Returns a published schema."""
    path = shipped("schemas", f"{schema}.schema.json")
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def closest(word: str, known: Sequence[str]) -> str | None:
    """Returns the known word that a misspelt one stands for, if there is a likely one."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else None


def unknown(what: str, word: str, known: Sequence[str]) -> str:
    """Returns the message for a word that is not known: the closest one, else all of them."""
    near = closest(word, known)
    if near:
        return f"{what}; write {near} instead"
    return f"{what}; write one of {', '.join(known)}" if known else f"{what}; remove it"


@cache
def _validator(schema: str) -> "Validator":
    from jsonschema import Draft202012Validator, ValidationError, validators  # noqa: PLC0415 (slow)

    def pattern(_: Any, rule: str, value: Any, __: Any) -> Iterator[ValidationError]:
        # Our patterns are anchored. The library searches, and to Python `$` also stands before a
        # line break at the end.
        if isinstance(value, str) and not re.fullmatch(rule, value):
            yield ValidationError(f"does not match {rule}")

    made: Validator = validators.extend(Draft202012Validator, {"pattern": pattern})(load(schema))
    return made


def _leaves(error: "ValidationError") -> Iterator["ValidationError"]:
    """Yields the error, but of an `anyOf` those of the branch that the value's type asks for."""
    if error.validator == "anyOf":
        for _, errors in groupby(error.context, key=lambda inner: inner.relative_schema_path[0]):
            branch = list(errors)
            if not any(_is_own_type(inner) for inner in branch):
                yield from (leaf for inner in branch for leaf in _leaves(inner))
                return
    yield error


def _is_own_type(error: "ValidationError") -> bool:
    """Tells whether the value that a branch was tried on is of another type."""
    return error.validator == "type" and not error.relative_path


def _keyword(error: "ValidationError") -> str | None:
    keyword: Any = error.validator
    return "propertyNames" if "propertyNames" in error.relative_schema_path else keyword


def _place(error: "ValidationError") -> Path:
    """Returns the path of the field that an error is about, also of one that is not there."""
    keyword, value, rules = _keyword(error), cast("Any", error.instance), cast("Any", error.schema)
    steps: Path = ()
    if keyword == "propertyNames":
        steps = (value,)
    elif keyword == "required":
        steps = tuple(key for key in rules["required"] if key not in value)[:1]
    elif keyword == "additionalProperties":
        steps = tuple(key for key in value if key not in rules["properties"])[:1]
    return (*error.absolute_path, *steps)


def _message(error: "ValidationError") -> str:
    keyword, place = _keyword(error), _place(error)
    value, rule = cast("Any", error.instance), cast("Any", error.validator_value)
    rules = cast("Any", error.schema) or {}
    what = _MESSAGES[keyword].format(
        name=dotted(place) or "the file",
        value=_shown(value),
        rule=_shown(rule),
        hint=rules.get("description", "see the schema"),
        types=_types([error, *error.context]),
        members=", ".join(branch["required"][0] for branch in rule) if keyword == "oneOf" else "",
        twice=_shown(_twice(value)) if keyword == "uniqueItems" else "",
    )
    if keyword == "enum":
        return unknown(what, str(value), [str(item) for item in rule])
    if keyword == "additionalProperties":
        free = [key for key in rules["properties"] if key not in value]
        return unknown(what, str(place[-1]), free)
    return what


def _types(errors: Sequence["ValidationError"]) -> str:
    rules = [cast("Any", error.validator_value) for error in errors if error.validator == "type"]
    names = [name for rule in rules for name in ([rule] if isinstance(rule, str) else rule)]
    return " or ".join(dict.fromkeys(_CALLED[name] for name in names))


def _twice(values: list[Json]) -> Json:
    last = {canon.encode(value): at for at, value in enumerate(values)}
    return next(value for at, value in enumerate(values) if last[canon.encode(value)] != at)


def _shown(value: Json) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= 60 else text[:57] + "..."
