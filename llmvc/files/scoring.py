"""What scorers may say in a suite or in a case: which options each type takes."""

from collections.abc import Mapping, Sequence
from typing import Final

from llmvc.core import scorers
from llmvc.core.canon import Json
from llmvc.errors import FormatError
from llmvc.files.check import unknown

_COUNT: Final = ("value", "min", "max")
_LIKE: Final = ("value", "threshold", "ignore_case")

OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "equals": ("value", "trim", "ignore_case"),
    "contains": ("value",),
    "icontains": ("value",),
    "contains-any": ("value",),
    "contains-all": ("value",),
    "icontains-any": ("value",),
    "icontains-all": ("value",),
    "starts-with": ("value", "ignore_case"),
    "ends-with": ("value", "ignore_case"),
    "regex": ("value", "ignore_case"),
    "word-count": _COUNT,
    "char-count": _COUNT,
    "choice": ("choices", "threshold", "ignore_case"),
    "is-refusal": ("value",),
    "levenshtein": (*_LIKE, "similarity"),
    "rouge-n": ("value", "threshold", "n", "measure"),
    "rouge-l": ("value", "threshold", "measure"),
    "bleu": _LIKE,
    "gleu": _LIKE,
    "similar": ("value", "threshold", "embedder"),
    "json-valid": (),
    "contains-json": ("schema",),
    "json-schema": ("schema",),
    "json-field": ("field", "value", "tolerance"),
    "numeric": ("value", "field", "pattern", "tolerance", "abs", "rel"),
    "is-xml": ("value", "elements"),
    "contains-xml": ("value", "elements"),
    "is-html": (),
    "contains-html": (),
    "is-sql": ("value", "dialect"),
    "contains-sql": ("value", "dialect"),
    "tool-calls-valid": ("tools", "optional", "turn"),
    "tool-used": ("value", "turn"),
    "tool-call-f1": ("value", "threshold", "turn"),
    "tool-args-match": ("value", "threshold", "mode", "tolerance", "ignore", "defaults", "turn"),
    "tool-sequence": ("value", "mode", "turn"),
    "step-count": (*_COUNT, "of", "turn"),
    "finish-reason": ("value",),
    "latency": ("max_s", "threshold"),
    "cost": ("threshold",),
    "tokens": (*_COUNT, "of"),
    "context-fit": ("max",),
    "perplexity": ("threshold",),
    "assert-set": ("assert", "threshold", "embedder"),
    "checks": ("threshold", "embedder"),
    "python": ("path", "function", "scale"),
    "judge": ("judge",),
}
# Options without which a type means nothing.
REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "json-schema": ("schema",),
    "json-field": ("field",),
    "choice": ("choices",),
    "similar": ("embedder",),
    "assert-set": ("assert",),
    "python": ("path",),
}
# Types that take their schema as value, as promptfoo writes it in a row.
_SCHEMA_AS_VALUE: Final = frozenset({"json-valid", "contains-json"})
# Names that any assertion may have.
_IN_A_CHECK: Final = frozenset({"type", "weight", "threshold", "metric"})


def base_type(text: str, known: frozenset[str] = scorers.TYPES) -> tuple[str, bool]:
    """Returns the type behind a written name, and whether `not-` negates it.

    Raises:
        FormatError: there is no such type.
    """
    try:
        return scorers.base_type(text, known)
    except FormatError as err:
        name = text.removeprefix("not-")
        if name in scorers.JUDGED or name in scorers.TYPES:
            raise FormatError(_misplaced(text, name, err), hint=err.hint) from err
        what = f"there is no scorer type {text!r}"
        raise FormatError(unknown(what, name, sorted(known))) from err


def _misplaced(text: str, name: str, err: FormatError) -> str:
    judged = name in scorers.JUDGED or name == scorers.JUDGE
    return str(err) if judged else f"a scorer of type {text!r} may not stand in a row or a set"


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
    _check_known(kind, found, OPTIONS[kind])
    for name in REQUIRED.get(kind, ()):
        if name not in found:
            raise FormatError(f"a scorer of type {kind} needs {name}")
    if kind == scorers.SET:
        _check_members(found)
    return found


def check_assertion(value: Json) -> Mapping[str, Json]:
    """Returns one assertion of a row or a set as it is written, if it can be scored.

    Raises:
        FormatError: it cannot.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        raise FormatError('an assertion is an object with a type, such as {"type": "contains"}')
    for name in ("weight", "threshold"):
        number = value.get(name, 0)
        if isinstance(number, bool) or not isinstance(number, int | float) or number < 0:
            raise FormatError(f"{name} of an assertion must be a number of at least 0")
    kind, _ = base_type(str(value["type"]), scorers.CHECK_TYPES | {scorers.SET})
    # The embedder is pinned by the suite, so the scorer that looks at the checks has it.
    known = [name for name in OPTIONS[kind] if name != "embedder"]
    if kind in _SCHEMA_AS_VALUE:
        known.append("value")
    found = {name: item for name, item in value.items() if name not in _IN_A_CHECK}
    _check_known(kind, found, known)
    if kind == scorers.SET:
        _check_members(value)
    for name in REQUIRED.get(kind, ()):
        if name not in found and name in known:
            raise FormatError(f"an assertion of type {kind} needs {name}")
    for name in ("value", "schema"):
        _check_in_place(name, value.get(name))
    return value


def _check_known(kind: str, found: Mapping[str, Json], known: Sequence[str]) -> None:
    for name in found:
        if name not in known:
            what = f"{name} is not an option of {kind}"
            rest = [option for option in known if option not in found]
            raise FormatError(unknown(what, name, rest) if rest else f"{what}; remove it")


def _check_members(values: Mapping[str, Json]) -> None:
    members = values.get("assert")
    if not isinstance(members, list) or not members:
        raise FormatError("an assert-set needs a list of assertions under assert")
    for item in members:
        check_assertion(item)


def _check_in_place(name: str, value: Json) -> None:
    """Refuses a value that stands in another file, which would be compared as a mere name."""
    elsewhere = isinstance(value, str) and value.startswith("file://")
    if elsewhere or (name == "schema" and isinstance(value, Mapping) and set(value) == {"file"}):
        raise FormatError(
            f"{name} of an assertion stands in another file",
            hint="write it in place; only scorers of the suite read files",
        )
