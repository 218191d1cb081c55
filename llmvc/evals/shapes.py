"""Whether tools and schemas have the shape that an API takes: names, numbers, keywords.

- Only what the rules of `evals.models` mention is held against them.
- A schema is held to the strict subset only where it is sent as strict.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from llmvc.core import canon
from llmvc.core.canon import listed, mapped
from llmvc.core.migration import Finding
from llmvc.core.plural import count

MOST: Final = 5
"""Of each schema so many things are told."""
_MAPS: Final = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_ONES: Final = ("items", "additionalProperties", "not", "if", "then", "else", "contains")

Rules = Mapping[str, Mapping[str, Any]]


def tools(body: Mapping[str, canon.Json], rules: Rules) -> Iterator[Finding]:
    """Yields what an API does not take of a bundle's tools.

    Args:
        body: of the bundle.
        rules: of the API, see `evals.models.Family`.
    """
    limits, given = rules.get("tools", {}), [mapped(one) for one in listed(body.get("tools"))]
    most, longest = limits.get("most"), limits.get("description")
    if most is not None and len(given) > most:
        yield Finding("tools", "refused", "tools", f"{len(given)} of them; it takes {most}")
    for tool in given:
        name = str(tool.get("name"))
        where, text = f"tools.{name}", str(tool.get("description", ""))
        if "name" in limits and not re.fullmatch(limits["name"], name):
            yield Finding("tools", "refused", where, f"its name is not {limits['name']}")
        if longest is not None and len(text) > longest:
            says = f"its description has {len(text):,} characters; it takes {longest:,}"
            yield Finding("tools", "refused", f"{where}.description", says)
        if tool.get("strict"):
            schema = tool.get("input_schema", {})
            for says in strict(schema, rules.get("strict", {})):
                yield Finding("tools", "refused", f"{where}.input_schema", says)


def response(
    body: Mapping[str, canon.Json], rules: Rules, *, always_strict: bool
) -> Iterator[Finding]:
    """Yields what an API does not take of a bundle's response schema.

    Args:
        body: of the bundle.
        rules: of the API.
        always_strict: whether it holds every schema to the strict subset.
    """
    form = mapped(body.get("response"))
    if form.get("format") == "json_schema" and (always_strict or form.get("strict")):
        for says in strict(form.get("schema"), rules.get("strict", {})):
            yield Finding("response", "refused", "response.schema", says)


def strict(schema: canon.Json, rules: Mapping[str, Any]) -> list[str]:
    """Returns how a schema leaves the strict subset, the first few places in words."""
    if not rules:
        return []
    seen = _Seen(rules)
    seen.walk(schema, "", 0)
    found = [*seen.root(schema), *seen.problems, *seen.sizes()]
    rest = len(found) - MOST
    return [*found[:MOST], f"and {count(rest, 'more such place')}"] if rest > 0 else found


@dataclass(slots=True)
class _Seen:
    """What a walk through a schema has seen."""

    rules: Mapping[str, Any]
    problems: list[str] = field(default_factory=list[str])
    deepest: int = 0
    properties: int = 0
    enums: int = 0

    def root(self, schema: canon.Json) -> Iterator[str]:
        """Yields what the root must be and is not."""
        wanted = self.rules.get("root")
        body = mapped(schema)
        if wanted is not None and (body.get("type") != wanted or "anyOf" in body):
            yield f"its root must be of type {wanted}, without anyOf"
        if self.rules.get("recursive") is False and _recursive(body):
            yield "it refers to itself"

    def sizes(self) -> Iterator[str]:
        """Yields the numbers that are too large."""
        told = {"depth": "levels of objects", "properties": "properties", "enum": "enum values"}
        counted = {"depth": self.deepest, "properties": self.properties, "enum": self.enums}
        for name, what in told.items():
            most = self.rules.get(name)
            if most is not None and counted[name] > most:
                yield f"it has {counted[name]:,} {what}; {most:,} are taken"

    def walk(self, schema: canon.Json, where: str, depth: int) -> None:
        """Looks at a schema and those within it."""
        body = mapped(schema)
        at = where or "the root"
        listed_in = self.rules.get("refuses", ())
        self.problems += [f"{at} has {key}" for key in body if key in listed_in]
        least = body.get("minItems")
        if isinstance(least, int) and least > self.rules.get("min_items", least):
            self.problems.append(f"{at} has minItems {least}")
        self.enums += len(listed(body.get("enum")))
        inner = mapped(body.get("properties"))
        if body.get("type") == "object" or inner:
            depth += 1
            self.deepest = max(self.deepest, depth)
            self.properties += len(inner)
            self._object(body, inner, at)
        for key in _MAPS:
            for name, one in mapped(body.get(key)).items():
                self.walk(one, f"{where}/{key}/{name}", depth)
        for key in _LISTS:
            for number, one in enumerate(listed(body.get(key))):
                self.walk(one, f"{where}/{key}/{number}", depth)
        for key in _ONES:
            if isinstance(body.get(key), Mapping):
                self.walk(body[key], f"{where}/{key}", depth)

    def _object(
        self, body: Mapping[str, canon.Json], inner: Mapping[str, canon.Json], at: str
    ) -> None:
        """Notes what an object that must be closed leaves open."""
        if self.rules.get("closed") and body.get("additionalProperties") is not False:
            self.problems.append(f"{at} lacks additionalProperties: false")
        needed = listed(body.get("required"))
        missing = sorted(name for name in inner if name not in needed)
        if self.rules.get("all_required") and missing:
            self.problems.append(f"{at} does not require {', '.join(missing)}")


def _recursive(root: Mapping[str, canon.Json]) -> bool:
    """Says whether following references within a schema leads back to where they start."""
    defs = {
        f"#/{key}/{name}": _references(one)
        for key in ("$defs", "definitions")
        for name, one in mapped(root.get(key)).items()
    }
    defs["#"] = _references({k: v for k, v in root.items() if k not in ("$defs", "definitions")})
    for start, named in defs.items():
        rest, reached = list(named), set[str]()
        while rest:
            one = rest.pop()
            if one == start:
                return True
            if one not in reached:
                reached.add(one)
                rest += defs.get(one, ())
    return False


def _references(value: canon.Json) -> frozenset[str]:
    if isinstance(value, Mapping):
        own = value.get("$ref")
        inner = (_references(one) for one in value.values())
        return frozenset((own,) if isinstance(own, str) else ()).union(*inner)
    return frozenset[str]().union(*map(_references, listed(value)))
