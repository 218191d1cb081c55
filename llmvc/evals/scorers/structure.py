"""Scorers that look at the output as JSON.

- The whole output must be JSON; text around it, such as a code fence, makes it invalid, because the
  program that reads it would stumble over it too.
- `json-field` follows a dotted path, with numbers for list places.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

from llmvc.core import canon
from llmvc.errors import FormatError
from llmvc.evals.scorers.options import Options, dig

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


def parse(output: str) -> tuple[canon.Json, bool]:
    """Reads an output as JSON, and tells whether it is; NaN and infinities are not JSON."""
    try:
        return json.loads(output, parse_constant=_refuse), True
    except (ValueError, RecursionError):
        return None, False


def same(left: canon.Json, right: canon.Json) -> bool:
    """Compares JSON values: 1 equals 1.0, but not true."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def json_valid(options: Options, output: str) -> float:
    """Scores 1 for JSON; with a schema, as promptfoo's is-json has it, for JSON of that form."""
    if options.raw("value") is not None or options.raw("schema") is not None:
        return json_schema(options, output)
    return float(parse(output)[1])


def json_schema(options: Options, output: str) -> float:
    """Scores 1 for JSON that the schema accepts."""
    written = options.raw("schema")
    validator = _validator(_Written(options.raw("value") if written is None else written))
    value, valid = parse(output)
    return float(valid and _accepts(validator, value))


def json_field(options: Options, output: str) -> float:
    """Scores 1 if the field at the path has the expected value.

    With `tolerance`, numbers may differ by it.
    """
    path = options.get("field")
    if not isinstance(path, str) or not path:
        raise FormatError("there is no field to look at", hint="write its path under `field`")
    wanted = _wanted(options, path)
    tolerance = options.number("tolerance")
    value, valid = parse(output)
    found, there = dig(value, path) if valid else (None, False)
    if not there:
        return 0.0
    if tolerance is not None and _is_number(found) and _is_number(wanted):
        return float(abs(found - wanted) <= tolerance)  # type: ignore[operator]
    return float(same(found, wanted))


def _wanted(options: Options, path: str) -> canon.Json:
    expected = options.expected
    if options.raw("value") is None and isinstance(expected, Mapping):
        found, there = dig(expected, path)
        if not there:
            raise FormatError(f"what the case expects has no {path!r}")
        return found
    return options.value()


def _is_number(value: canon.Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


class _Written:
    """A schema as the suite or a row has it, told apart by which object it is."""

    __slots__ = ("value",)

    def __init__(self, value: canon.Json) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Written) and other.value is self.value


@lru_cache(maxsize=1024)
def _validator(schema: _Written) -> "Validator":
    import jsonschema  # noqa: PLC0415 (only suites that use schemas pay for it)
    from jsonschema.validators import validator_for  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415

    value: Any = schema.value
    if not isinstance(schema.value, Mapping | bool):
        raise FormatError("there is no JSON Schema", hint="write it under `schema`")
    kind = validator_for(value, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(value)
    except jsonschema.SchemaError as err:
        raise FormatError(f"not a JSON Schema: {err.message}") from err
    # An empty registry: a reference to another document is an error here, not a download.
    return kind(value, registry=Registry())


def _accepts(validator: "Validator", value: canon.Json) -> bool:
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    try:
        return validator.is_valid(value)
    except Unresolvable as err:
        raise FormatError(f"the JSON Schema refers to {err.ref!r}, which is not in it") from err


RULES: Final[Mapping[str, Callable[[Options, str], float]]] = {
    "json-valid": json_valid,
    "json-schema": json_schema,
    "json-field": json_field,
}
