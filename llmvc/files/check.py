"""Checks a document against one of the published schemas, and says what to write instead.

- The jsonschema library decides what is valid; the rules are the files in `schemas/`.
- Of all that is wrong the most telling is reported: fields that do not exist come before values
  that may not be, these before wrong types, and what is missing or empty comes last.
"""

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, cast

from llmvc.core.canon import Json
from llmvc.files import valid
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
# What to say by the keyword of the schema that is broken, the most telling first.
_MESSAGES: Final[Mapping[str, str]] = {
    "additionalProperties": "is not a field",
    "not": "may not stand here",
    "propertyNames": "is not a valid name; {hint}",
    "const": "must be {rule}, not {value}",
    "enum": "may not be {value}",
    "pattern": "may not be {value}; {hint}",
    "minLength": "is empty",
    "minimum": "must be at least {rule}, not {value}",
    "maximum": "must be at most {rule}, not {value}",
    "exclusiveMinimum": "must be above {rule}, not {value}",
    "exclusiveMaximum": "must be below {rule}, not {value}",
    "type": "must be {rule}, not {value}",
    "required": "is missing",
    "oneOf": "needs exactly one of {rule}",
    "minItems": "is empty",
    "minProperties": "is empty",
    "uniqueItems": "holds {rule} twice",
}
_RANKS: Final = {keyword: rank for rank, keyword in enumerate(_MESSAGES)}


def check(document: Document, schema: str) -> None:
    """Checks a document against the schema of that name: `bundle`, `suite` or `config`.

    Raises:
        FormatError: the most telling problem, as `file:line: what; what to write instead`.
    """
    if valid.holds(document.value, load(schema)):
        return
    errors = _validator(schema).iter_errors(document.value)
    problems = [_problem(leaf) for error in errors for leaf in _leaves(error)]
    if problems:
        _, path, what = min(problems, key=lambda it: (it[0], document.line_of(it[1]) or 0, it[2]))
        hint = f"llmvc's schemas/{schema}.schema.json lists what may stand there"
        raise document.error(path, what, hint=hint)


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
    """Returns the message for a word that is not known: the closest one, else all."""
    near = closest(word, known)
    if near:
        return f"{what}; write {near} instead"
    return f"{what}; write one of {', '.join(known)}" if known else f"{what}; remove it"


@cache
def _validator(schema: str) -> "Validator":
    from jsonschema import Draft202012Validator, ValidationError, validators  # noqa: PLC0415 (slow)

    def pattern(_: Any, rule: str, value: Any, __: Any) -> Iterator[ValidationError]:
        # The library searches, and to Python `$` also stands before a line break at the end. All
        # our patterns are about the whole text.
        if isinstance(value, str) and not re.fullmatch(rule, value):
            yield ValidationError(f"does not match {rule}")

    extend: Any = validators.extend
    made: Validator = extend(Draft202012Validator, {"pattern": pattern})(load(schema))
    return made


def _leaves(error: "ValidationError") -> Iterator["ValidationError"]:
    """Yields the error, but of an `anyOf` those of the branch that the value's type asks for."""
    if error.validator == "anyOf":
        for _, errors in groupby(error.context, key=lambda inner: inner.relative_schema_path[0]):
            branch = list(errors)
            if all(inner.validator != "type" or inner.relative_path for inner in branch):
                yield from (leaf for inner in branch for leaf in _leaves(inner))
                return
    yield error


def _problem(error: "ValidationError") -> tuple[int, Path, str]:
    """Returns the rank of an error, the path of the field it is about, and what to say."""
    keyword, path = str(error.validator), tuple(error.absolute_path)
    value, rule, rules = (
        cast("Any", it) for it in (error.instance, error.validator_value, error.schema)
    )
    if "propertyNames" in error.relative_schema_path:
        keyword, path = "propertyNames", (*path, value)
    elif keyword == "additionalProperties":
        path = (*path, next(key for key in value if key not in rules["properties"]))
    elif keyword == "required":
        path = (*path, next(key for key in rule if key not in value))
    elif keyword == "oneOf":
        rule = ", ".join(branch["required"][0] for branch in rule)
    elif keyword == "uniqueItems":
        rule = Counter(_shown(item) for item in value).most_common(1)[0][0]
    elif keyword == "anyOf" and "description" in rules:
        keyword = "pattern"
    elif keyword in ("type", "anyOf"):
        keyword, rule = "type", _types([error, *error.context])
    what = _MESSAGES[keyword].format(
        rule=rule if isinstance(rule, str) else _shown(rule),
        value=_shown(value),
        hint=rules.get("description", "see the schema"),
    )
    what = f"{dotted(path) or 'the file'} {what}"
    if keyword == "enum":
        what = unknown(what, str(value), [str(item) for item in rule])
    elif keyword == "additionalProperties":
        what = unknown(
            what, str(path[-1]), [key for key in rules["properties"] if key not in value]
        )
    return _RANKS[keyword], path, what


def _types(errors: Sequence["ValidationError"]) -> str:
    rules: list[Any] = [error.validator_value for error in errors if error.validator == "type"]
    names = [name for rule in rules for name in ([rule] if isinstance(rule, str) else rule)]
    return " or ".join(dict.fromkeys(_CALLED[name] for name in names))


def _shown(value: Json) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= 60 else text[:57] + "..."
