"""What scorers may say in a suite or in a case: which options each type takes."""

from collections.abc import Mapping
from typing import Final

from llmvc.core import scorers
from llmvc.core.canon import Json
from llmvc.errors import FormatError
from llmvc.files.check import unknown

OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "equals": ("value", "trim", "ignore_case"),
    "contains": ("value",),
    "icontains": ("value",),
    "contains-any": ("value",),
    "contains-all": ("value",),
    "icontains-any": ("value",),
    "icontains-all": ("value",),
    "regex": ("value", "ignore_case"),
    "starts-with": ("value", "ignore_case"),
    "json-valid": (),
    "json-schema": ("schema",),
    "json-field": ("field", "value", "tolerance"),
    "numeric": ("value", "field", "pattern", "tolerance", "abs", "rel"),
    "python": ("path", "function", "scale"),
    "checks": (),
}
# Options without which a type means nothing.
REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "json-schema": ("schema",),
    "json-field": ("field",),
    "python": ("path",),
}
_GROUP: Final = "assert-set"


def base_type(text: str, known: frozenset[str] = scorers.TYPES) -> tuple[str, bool]:
    """Returns the type behind a written name, and whether `not-` negates it.

    Raises:
        FormatError: there is no such type.
    """
    try:
        return scorers.base_type(text, known)
    except FormatError as err:
        what = f"there is no scorer type {text!r}"
        raise FormatError(unknown(what, text.removeprefix("not-"), sorted(known))) from err


def options(kind: str, values: Mapping[str, Json], common: frozenset[str]) -> dict[str, Json]:
    """Returns the options among a scorer's values.

    Args:
        kind: the scorer's type.
        values: what is written.
        common: names that any type may have.

    Raises:
        FormatError: an option does not belong to the type, or one that it needs is missing.
    """
    found = {name: value for name, value in values.items() if name not in common}
    for name in found:
        if name not in OPTIONS[kind]:
            what = f"{name} is not an option of {kind}"
            known = [option for option in OPTIONS[kind] if option not in found]
            raise FormatError(unknown(what, name, known) if known else f"{what}; remove it")
    for name in REQUIRED.get(kind, ()):
        if name not in found:
            raise FormatError(f"a scorer of type {kind} needs {name}")
    return found


def check_assertion(value: Json) -> Mapping[str, Json]:
    """Returns one assertion of a case as it is written, if it can be scored.

    Raises:
        FormatError: it cannot.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        raise FormatError('an assertion is an object with a type, such as {"type": "contains"}')
    common = frozenset({"type", "weight", "threshold", "metric"})
    for name in ("weight", "threshold"):
        number = value.get(name, 0)
        if isinstance(number, bool) or not isinstance(number, int | float) or number < 0:
            raise FormatError(f"{name} of an assertion must be a number of at least 0")
    if value["type"] == _GROUP:
        inner = value.get("assert")
        if not isinstance(inner, list) or not inner:
            raise FormatError("an assert-set needs a list of assertions under assert")
        for item in inner:
            check_assertion(item)
        return value
    kind, _ = base_type(str(value["type"]), scorers.CHECK_TYPES)
    if kind == "json-valid":  # promptfoo's is-json may carry its schema as value
        common |= {"value"}
    options(kind, value, common)
    return value
