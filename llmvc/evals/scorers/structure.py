"""Scorers that look at the output as JSON.

- The whole output must be JSON; text around it, such as a code fence, makes it invalid, because the
  program that reads it would stumble over it too.
- `contains-json` is for programs that look for it: it takes any object or array in the text.
- `json-field` follows a dotted path, with numbers for list places.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

from llmvc.core import canon
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers.options import Options, Rule, dig

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

# Brackets that open no JSON are tried so often; an output of brackets alone must not cost minutes.
_TRIES: Final = 200


def parse(output: str) -> tuple[canon.Json, bool]:
    """Reads an output as JSON, and tells whether it is; NaN and infinities are not JSON."""
    try:
        return json.loads(output, parse_constant=_refuse), True
    except (ValueError, RecursionError):
        return None, False


def same(left: canon.Json, right: canon.Json, tolerance: float = 0.0) -> bool:
    """Compares JSON values: 1 equals 1.0, but not true; numbers may differ by a tolerance."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(
            same(left[key], right[key], tolerance) for key in left
        )
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(
            same(one, other, tolerance) for one, other in zip(left, right, strict=True)
        )
    if tolerance and isinstance(left, int | float) and isinstance(right, int | float):
        try:
            return abs(left - right) <= tolerance
        except OverflowError:  # a whole number of hundreds of digits, and a fraction
            return left == right
    return left == right


def found_in(text: str) -> Iterator[canon.Json]:
    """Yields the JSON objects and arrays that stand in a text, outer ones alone."""
    at = tries = 0
    while tries < _TRIES and (opened := _OPENING.search(text, at)):
        at = opened.start()
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            tries, at = tries + 1, at + 1
        else:
            yield value


def json_valid(options: Options, answer: Answer) -> float:
    """Scores 1 for JSON; with a schema, as promptfoo's is-json has it, for JSON of that form."""
    if options.raw("value") is not None or options.raw("schema") is not None:
        return json_schema(options, answer)
    return float(parse(answer.output or "")[1])


def contains_json(options: Options, answer: Answer) -> float:
    """Scores 1 if a JSON object or array stands in the output; with a schema, one of that form."""
    values = found_in(answer.output or "")
    if options.raw("value") is None and options.raw("schema") is None:
        return float(any(True for _ in values))
    validator = _validator_of(options)
    return float(any(accepts(validator, value) for value in values))


def json_schema(options: Options, answer: Answer) -> float:
    """Scores 1 for JSON that the schema accepts."""
    validator = _validator_of(options)
    value, valid = parse(answer.output or "")
    return float(valid and accepts(validator, value))


def _validator_of(options: Options) -> "Validator":
    written = options.raw("schema")
    return validator_of(options.raw("value") if written is None else written)


def json_field(options: Options, answer: Answer) -> float:
    """Scores 1 if the field at the path has the expected value.

    With `tolerance`, numbers may differ by it.
    """
    path = options.get("field")
    if not isinstance(path, str) or not path:
        raise FormatError("there is no field to look at", hint="write its path under `field`")
    wanted = _wanted(options, path)
    tolerance = options.amount("tolerance")
    value, valid = parse(answer.output or "")
    found, there = dig(value, path) if valid else (None, False)
    if not there:
        return 0.0
    return float(same(found, wanted, tolerance))


def _wanted(options: Options, path: str) -> canon.Json:
    expected = options.expected
    if "value" not in options and isinstance(expected, Mapping):
        found, there = dig(expected, path)
        if not there:
            raise FormatError(f"what the case expects has no {path!r}")
        return found
    return options.value()


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_OPENING: Final = re.compile(r"[\[{]")
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)


class _Written:
    """A schema as the suite or a row has it, told apart by which object it is."""

    __slots__ = ("value",)

    def __init__(self, value: canon.Json) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Written) and other.value is self.value


def validator_of(schema: canon.Json) -> "Validator":
    """Returns what checks values against a JSON Schema; made once for each schema object.

    Raises:
        FormatError: it is none.
    """
    return _validator(_Written(schema))


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


def accepts(validator: "Validator", value: canon.Json) -> bool:
    """Tells whether a schema accepts a value.

    Raises:
        FormatError: it refers to what is not in it.
    """
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    try:
        return validator.is_valid(value)
    except (RecursionError, OverflowError):  # deeper or larger than anything a program could read
        return False
    except Unresolvable as err:
        raise FormatError(f"the JSON Schema refers to {err.ref!r}, which is not in it") from err


RULES: Final[Mapping[str, Rule]] = {
    "json-valid": json_valid,
    "contains-json": contains_json,
    "json-schema": json_schema,
    "json-field": json_field,
}
