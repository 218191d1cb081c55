"""Checks a document against one of the published schemas, and says what to write instead.

- The rules are the files in `schemas/`; only the keywords that they use are known here, and a
  test compares the outcome with the jsonschema library. That library says "valid" or not just as
  well, but it cannot name the field that was meant, and it takes longer to load than `status`
  may take in all.
- JSON Schemas that users write (variables, tools, responses) are another matter: see `embedded`.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from llmvc.core import canon
from llmvc.core.canon import Json
from llmvc.errors import FormatError
from llmvc.files.reading import Document, Path, dotted
from llmvc.files.shipped import shipped

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "number": (int, float),
    "integer": (int,),
}
_CALLED: Final = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "number": "a number",
    "integer": "a whole number",
}


@dataclass(frozen=True, slots=True)
class _Problem:
    """One broken rule; the lowest rank is the most telling one."""

    rank: int
    path: Path
    what: str


def check(document: Document, schema: str) -> None:
    """Checks a document against the schema of that name: `bundle`, `suite` or `config`.

    Raises:
        FormatError: the most telling problem, as `file:line: what; what to write instead`.
    """
    rules = load(schema)
    problems = sorted(_problems(document.value, rules, (), rules), key=lambda problem: problem.rank)
    if problems:
        first = problems[0]
        raise document.error(
            first.path, first.what, hint=f"schemas/{schema}.schema.json lists what may stand there"
        )


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
    return f"{what}; write one of {', '.join(known)}"


def _problems(value: Json, rules: Any, path: Path, root: Mapping[str, Any]) -> Iterator[_Problem]:
    if rules is False:
        yield _Problem(1, path, f"{_name(path)} may not stand here")
    if not isinstance(rules, dict):
        return
    if "$ref" in rules:
        yield from _problems(value, root["$defs"][rules["$ref"].rpartition("/")[2]], path, root)
    if "type" in rules and not _is_type(value, rules["type"]):
        yield _Problem(3, path, f"{_name(path)} must be {_called(rules['type'])}, {_but(value)}")
        return
    yield from _choice_problems(value, rules, path, root)
    yield from _value_problems(value, rules, path)
    if isinstance(value, dict):
        yield from _object_problems(value, rules, path, root)
    elif isinstance(value, list):
        yield from _array_problems(value, rules, path, root)
    elif isinstance(value, str):
        yield from _text_problems(value, rules, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_problems(value, rules, path)


def _choice_problems(
    value: Json, rules: Mapping[str, Any], path: Path, root: Mapping[str, Any]
) -> Iterator[_Problem]:
    if "if" in rules:
        holds = not any(_problems(value, rules["if"], path, root))
        yield from _problems(value, rules.get("then" if holds else "else", True), path, root)
    for part in rules.get("allOf", ()):
        yield from _problems(value, part, path, root)
    if "oneOf" in rules:  # used for "exactly one of these members" alone
        names = [branch["required"][0] for branch in rules["oneOf"]]
        if isinstance(value, dict) and sum(name in value for name in names) != 1:
            yield _Problem(4, path, f"{_name(path)} needs exactly one of {', '.join(names)}")
    if "anyOf" in rules:  # used for branches of different types alone
        fitting = [branch for branch in rules["anyOf"] if _is_type(value, branch["type"])]
        for branch in fitting[:1]:
            yield from _problems(value, branch, path, root)
        if not fitting:
            types = [branch["type"] for branch in rules["anyOf"]]
            yield _Problem(3, path, f"{_name(path)} must be {_called(types)}, {_but(value)}")


def _value_problems(value: Json, rules: Mapping[str, Any], path: Path) -> Iterator[_Problem]:
    if "const" in rules and not _same(value, rules["const"]):
        yield _Problem(2, path, f"{_name(path)} must be {_shown(rules['const'])}, {_but(value)}")
    if "enum" in rules and not any(_same(value, item) for item in rules["enum"]):
        known = [str(item) for item in rules["enum"]]
        what = f"{_name(path)} may not be {_shown(value)}"
        yield _Problem(2, path, unknown(what, str(value), known))


def _object_problems(
    value: Mapping[str, Json], rules: Mapping[str, Any], path: Path, root: Mapping[str, Any]
) -> Iterator[_Problem]:
    properties: Mapping[str, Any] = rules.get("properties", {})
    extra = rules.get("additionalProperties", True)
    names = rules.get("propertyNames", {}).get("pattern")
    for key, item in value.items():
        here = (*path, key)
        if names and not re.search(names, key):
            yield _Problem(1, here, f"{dotted(here)} is not a valid name; {_hint(rules)}")
        if key in properties:
            yield from _problems(item, properties[key], here, root)
        elif extra is False:
            what = f"{dotted(here)} is not a field"
            yield _Problem(0, here, unknown(what, key, [n for n in properties if n not in value]))
        else:
            yield from _problems(item, extra, here, root)
    for key in rules.get("required", ()):
        if key not in value:
            yield _Problem(4, path, f"{dotted((*path, key))} is missing")
    if len(value) < rules.get("minProperties", 0):
        yield _Problem(5, path, f"{_name(path)} is empty")


def _array_problems(
    value: Sequence[Json], rules: Mapping[str, Any], path: Path, root: Mapping[str, Any]
) -> Iterator[_Problem]:
    if len(value) < rules.get("minItems", 0):
        what = "is empty" if not value else f"needs at least {rules['minItems']} items"
        yield _Problem(5, path, f"{_name(path)} {what}")
    if len(value) > rules.get("maxItems", len(value)):
        yield _Problem(5, path, f"{_name(path)} may hold at most {rules['maxItems']} items")
    if rules.get("uniqueItems"):
        seen: set[bytes] = set()
        for at, item in enumerate(value):
            spelled = canon.encode(item)
            if spelled in seen:
                yield _Problem(5, (*path, at), f"{_name(path)} holds {_shown(item)} twice")
            seen.add(spelled)
    for at, item in enumerate(value):
        yield from _problems(item, rules.get("items", True), (*path, at), root)


def _text_problems(value: str, rules: Mapping[str, Any], path: Path) -> Iterator[_Problem]:
    if "pattern" in rules and not re.search(rules["pattern"], value):
        yield _Problem(2, path, f"{_name(path)} may not be {_shown(value)}; {_hint(rules)}")
    elif len(value) < rules.get("minLength", 0):
        yield _Problem(2, path, f"{_name(path)} is empty")
    elif len(value) > rules.get("maxLength", len(value)):
        yield _Problem(2, path, f"{_name(path)} is longer than {rules['maxLength']} characters")


def _number_problems(value: float, rules: Mapping[str, Any], path: Path) -> Iterator[_Problem]:
    broken = {
        "minimum": ("at least", value < rules.get("minimum", value)),
        "maximum": ("at most", value > rules.get("maximum", value)),
        "exclusiveMinimum": ("above", value <= rules.get("exclusiveMinimum", value - 1)),
        "exclusiveMaximum": ("below", value >= rules.get("exclusiveMaximum", value + 1)),
    }
    for keyword, (called, is_broken) in broken.items():
        if keyword in rules and is_broken:
            limit = f"{called} {_shown(rules[keyword])}"
            yield _Problem(2, path, f"{_name(path)} must be {limit}, {_but(value)}")


def _is_type(value: Json, types: str | Sequence[str]) -> bool:
    for name in [types] if isinstance(types, str) else types:
        if isinstance(value, bool):
            fits = name == "boolean"
        elif name == "integer" and isinstance(value, float):
            fits = value.is_integer()
        else:
            fits = isinstance(value, _TYPES[name])
        if fits:
            return True
    return False


def _same(value: Json, other: Json) -> bool:
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _name(path: Path) -> str:
    return dotted(path) or "the file"


def _called(types: str | Sequence[str]) -> str:
    names = [types] if isinstance(types, str) else list(dict.fromkeys(types))
    return " or ".join(_CALLED[name] for name in names)


def _but(value: Json) -> str:
    if isinstance(value, dict):
        return "not a mapping"
    if isinstance(value, list):
        return "not a list"
    return f"not {_shown(value)}"


def _shown(value: Json) -> str:
    text = "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= 60 else text[:57] + "..."


def _hint(rules: Mapping[str, Any]) -> str:
    return str(rules.get("description", "see the schema"))


def fail(document: Document, path: Path, err: FormatError) -> FormatError:
    """Returns the error again, with the file and line that led to it."""
    return document.error(path, str(err), hint=err.hint)
