"""Whether a document is valid, without the tenth of a second that loading jsonschema takes.

- It knows the keywords that our schemas use, and says nothing at all where it meets another.
- Whatever it does not find valid is jsonschema's to judge, which also says what is wrong.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from llmvc.core.canon import Json


class UnsureError(Exception):
    """A keyword or a comparison that only jsonschema decides."""


def holds(value: Json, schema: Mapping[str, Any]) -> bool:
    """Says whether a value is valid for sure; False also means that it is not known."""
    try:
        return _Check(schema).valid(value, schema)
    except (UnsureError, re.error, RecursionError):
        return False


class _Check:
    """One schema file, to whose definitions `$ref` leads."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def valid(self, value: Any, schema: Any) -> bool:
        """Says whether a value obeys a schema or a part of one."""
        if isinstance(schema, bool):
            return schema
        return all(
            keyword in _SILENT or self._obeys(keyword, value, rule, schema)
            for keyword, rule in schema.items()
        )

    def _obeys(self, keyword: str, value: Any, rule: Any, schema: Mapping[str, Any]) -> bool:
        if keyword in _PLAIN:
            return _PLAIN[keyword](value, rule)
        own = getattr(self, f"_{keyword.removeprefix('$')}", None)
        if own is None:
            raise UnsureError(keyword)
        return bool(own(value, rule, schema))

    def _ref(self, value: Any, rule: str, _: Any) -> bool:
        if not rule.startswith("#/$defs/"):
            raise UnsureError(rule)
        return self.valid(value, self._root["$defs"][rule.removeprefix("#/$defs/")])

    def _anyOf(self, value: Any, rule: list[Any], _: Any) -> bool:  # noqa: N802 (the keyword)
        return any(self.valid(value, one) for one in rule)

    def _oneOf(self, value: Any, rule: list[Any], _: Any) -> bool:  # noqa: N802 (the keyword)
        return sum(self.valid(value, one) for one in rule) == 1

    def _not(self, value: Any, rule: Any, _: Any) -> bool:
        return not self.valid(value, rule)

    def _if(self, value: Any, rule: Any, schema: Mapping[str, Any]) -> bool:
        return self.valid(value, schema.get("then" if self.valid(value, rule) else "else", True))

    def _items(self, value: Any, rule: Any, _: Any) -> bool:
        return not isinstance(value, list) or all(self.valid(item, rule) for item in value)

    def _properties(self, value: Any, rule: Mapping[str, Any], _: Any) -> bool:
        if not isinstance(value, dict):
            return True
        return all(self.valid(value[name], one) for name, one in rule.items() if name in value)

    def _additionalProperties(self, value: Any, rule: Any, schema: Mapping[str, Any]) -> bool:  # noqa: N802 (the keyword)
        if not isinstance(value, dict):
            return True
        known = schema.get("properties", {})
        return all(self.valid(item, rule) for name, item in value.items() if name not in known)

    def _propertyNames(self, value: Any, rule: Any, _: Any) -> bool:  # noqa: N802 (the keyword)
        return not isinstance(value, dict) or all(self.valid(name, rule) for name in value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is(value: Any, name: str) -> bool:
    if name == "number":
        return _number(value)
    if name == "integer":
        return _number(value) and (isinstance(value, int) or value.is_integer())
    if name not in _TYPES:
        raise UnsureError(name)
    return isinstance(value, _TYPES[name])


def _same(value: Any, other: Any) -> bool:
    """Says whether two values are equal, where that needs no rule of JSON Schema's own."""
    if isinstance(value, dict | list) or (_number(value) and type(value) is not type(other)):
        raise UnsureError("equality")
    return type(value) is type(other) and bool(value == other)


def _unique(value: Any, rule: bool) -> bool:  # noqa: FBT001 (the keyword's value)
    if not rule or not isinstance(value, list):
        return True
    if not all(isinstance(item, str) for item in value):
        raise UnsureError("uniqueItems")
    return len(set(value)) == len(value)


_TYPES: Final[Mapping[str, type]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}
# What describes a schema, or is read with another keyword.
_SILENT: Final = frozenset(
    {"description", "title", "$schema", "$id", "version", "$defs", "then", "else"}
)
_PLAIN: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "type": lambda v, r: any(_is(v, name) for name in ([r] if isinstance(r, str) else r)),
    "enum": lambda v, r: any(_same(v, one) for one in r),
    "const": _same,
    # As `check` has it: our patterns are about the whole text.
    "pattern": lambda v, r: not isinstance(v, str) or re.fullmatch(r, v) is not None,
    "minLength": lambda v, r: not isinstance(v, str) or len(v) >= r,
    "minimum": lambda v, r: not _number(v) or v >= r,
    "maximum": lambda v, r: not _number(v) or v <= r,
    "exclusiveMinimum": lambda v, r: not _number(v) or v > r,
    "exclusiveMaximum": lambda v, r: not _number(v) or v < r,
    "minItems": lambda v, r: not isinstance(v, list) or len(v) >= r,
    "minProperties": lambda v, r: not isinstance(v, dict) or len(v) >= r,
    "required": lambda v, r: not isinstance(v, dict) or all(name in v for name in r),
    "uniqueItems": _unique,
}
