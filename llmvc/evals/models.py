"""What models and the APIs of their makers take, from a small dated table and the user's own.

- A model that no family of the table fits is not known: nothing is said of it.
- What a family or its API's rules do not mention is not restricted.
- A budget for reasoning of 0 switches it off, and is no request for it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from llmvc.core import canon, digest
from llmvc.core.bundle import MEMBERS
from llmvc.core.canon import mapped
from llmvc.core.digest import Digest
from llmvc.core.metric import number
from llmvc.errors import FormatError
from llmvc.evals import tables

TYPE: Final = "models/1"
SHIPPED: Final = Path(__file__).with_name("models.json")
_BUDGET: Final = "decoding.reasoning.budget"
_EFFORT: Final = "decoding.reasoning.effort"


@dataclass(frozen=True, slots=True)
class Broken:
    """A member of a bundle that a model does not take as it is.

    Attributes:
        name: as the manifest calls it, such as `decoding.seed`.
        why: in words.
    """

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Family:
    """Models that take the same.

    Attributes:
        name: for people.
        refuses: members of a bundle that they do not take.
        one_of: members of which at most one may be sent.
        limits: member -> `least`, `most` (of a list: how many), `one_of`, `needed`.
        rules: those of their maker's API; empty if not known. `refuses` and `limits` as here;
            `reasoning` and `thinking` what holds beside while they reason, and beside a budget for
            it; `tools` and `strict` see `evals.shapes`.
        reasons: whether they reason before they answer, in output tokens, unless told not to.
        tools_api: the one API by which they take tools while they reason; empty for any.
        prefill: whether they go on from an answer that the prompt begins for them.
        source_date: when this was known.
    """

    name: str
    refuses: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    limits: Mapping[str, Mapping[str, canon.Json]] = field(default_factory=dict[str, Any])
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])
    reasons: bool = False
    tools_api: str = ""
    prefill: bool = True
    source_date: str = ""

    def broken(self, body: Mapping[str, canon.Json]) -> Iterator[Broken]:
        """Yields the members of a bundle that these models do not take, each once."""
        seen: set[str] = set()
        for one in self._all_broken(body):
            if one.name not in seen:
                seen.add(one.name)
                yield one

    def reasons_at(self, body: Mapping[str, canon.Json]) -> bool:
        """Says whether these models reason before they answer a bundle's request."""
        effort = None if _EFFORT in self.refuses else member(body, _EFFORT)
        return self.reasons if effort is None else effort != "none"

    def _all_broken(self, body: Mapping[str, canon.Json]) -> Iterator[Broken]:
        """Yields them, the plainest reason of each first."""
        reasons, rules = self.reasons_at(body), self.rules
        reasoning = rules.get("reasoning", {}) if reasons else {}
        thinking = rules.get("thinking", {}) if member(body, _BUDGET) else {}
        never = {*self.refuses, *rules.get("refuses", ())}
        for names, when in (
            (never, ""),
            (reasoning.get("refuses", ()), " while it reasons"),
            (thinking.get("refuses", ()), " beside a budget for reasoning"),
        ):
            for name in names:
                if member(body, name) is not None:
                    yield Broken(name, f"{self.name} does not take it{when}")
        for names in self.one_of:
            sent = [name for name in names if member(body, name) is not None]
            if never.isdisjoint(sent):
                for name in sent[1:]:
                    yield Broken(name, f"{self.name} does not take it beside {sent[0]}")
        api = member(body, "model.api")
        if reasons and self.tools_api not in ("", api) and body.get("tools"):
            says = f"{self.name} takes them by the {self.tools_api} API alone while it reasons"
            yield Broken("tools", f"{says}: --set model.api={self.tools_api}")
        limits = {**rules.get("limits", {}), **self.limits}
        for name, limit in (*thinking.get("limits", {}).items(), *limits.items()):
            wrong = _outside(member(body, name), limit)
            if wrong:
                yield Broken(name, f"{self.name} takes {wrong}")


@dataclass(frozen=True)
class Models:
    """A table of families.

    Attributes:
        families: (what they match, family), the first that fits counts.
        date: when the newest part was written.
        identity: digest of all of it.
    """

    families: tuple[tuple[tuple[str, ...], Family], ...]
    date: str
    sources: tuple[bytes, ...]

    @classmethod
    def load(cls, user_file: Path | None = None) -> "Models":
        """Reads the shipped table and, before it, the user's own.

        Raises:
            ConfigError: the user's file cannot be read.
            FormatError: it is no such table.
        """
        shipped = _read(SHIPPED)
        own = _read(user_file) if user_file is not None else {}
        rules: dict[str, Any] = {**shipped["rules"], **own.get("rules", {})}
        families = [*own.get("families", []), *shipped["families"]]
        dates = [str(one["date"]) for one in (own, shipped) if one.get("date")]
        return cls(
            tuple(_family(one, rules) for one in families),
            max(dates, default=""),
            tuple(canon.encode(dict(one)) for one in (own, shipped)),
        )

    @cached_property
    def digest(self) -> Digest:
        """The identity of all parts."""
        return digest.of_value([digest.of_bytes(data) for data in self.sources])

    def find(self, provider: str, *models: str) -> Family | None:
        """Returns the family of the first of some names that one fits; None if it is not known.

        Args:
            provider: under whose name the table lists the models.
            models: the names of one model, the most exact first.
        """
        for model in models:
            for match, family in self.families:
                if any(fnmatchcase(f"{provider}/{model}", one) for one in match):
                    return family
        return None


def member(body: Mapping[str, canon.Json], name: str) -> canon.Json:
    """Returns a member of a bundle by its dotted name; None where it is not there."""
    value: canon.Json = body
    for step in name.split("."):
        value = mapped(value).get(step)
    return value


def _outside(value: canon.Json, limit: Mapping[str, canon.Json]) -> str | None:
    """Returns what would be taken instead; None if the value is within the limit."""
    if value is None and limit.get("needed") is not True:
        return None
    allowed = limit.get("one_of")
    if isinstance(allowed, list | tuple):
        return None if value in allowed else " or ".join(map(str, allowed))
    if value is None:
        return "no request without it"
    size = len(value) if isinstance(value, list | tuple) else number(value)
    least, most = number(limit.get("least")), number(limit.get("most"))
    what = " of them" if isinstance(value, list | tuple) else ""
    if size is not None and most is not None and size > most:
        return f"{most:g}{what} at most"
    # A budget of 0 says that there is to be none.
    return f"{least:g}{what} at least" if size and least is not None and size < least else None


def _family(body: Mapping[str, Any], rules: Mapping[str, Any]) -> tuple[tuple[str, ...], Family]:
    named = body.get("rules")
    if named is not None and named not in rules:
        raise FormatError(f"family {body['name']} of a table of models names no rules: {named}")
    return tuple(body["match"]), Family(
        name=body["name"],
        refuses=tuple(body.get("refuses", ())),
        one_of=tuple(tuple(names) for names in body.get("one_of", ())),
        limits=body.get("limits", {}),
        rules={} if named is None else rules[named],
        reasons=body.get("reasons", False),
        tools_api=body.get("tools_api", ""),
        prefill=body.get("prefill", True),
        source_date=body.get("source_date", ""),
    )


def _read(path: Path) -> Mapping[str, Any]:
    body: Mapping[str, Any] = tables.read(path, "table of models", "models")
    where = f"table of models {path}"
    if body.get("llmvc") != TYPE:
        raise FormatError(f"{where} does not say that it is {TYPE}", hint=f'add "llmvc": "{TYPE}"')
    _check(where, body, _TABLE)
    for at, family in enumerate(body.get("families", ())):
        if not (family.get("name") and family.get("match")):
            raise FormatError(f"{where}.families[{at}] needs a name and what it matches")
    return body


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _number(value: Any) -> bool:
    return number(value) is not None


def _named(value: Any) -> bool:
    return isinstance(value, str) and value.split(".")[0] in MEMBERS


def _pattern(value: Any) -> bool:
    try:
        re.compile(value)
    except (TypeError, re.error):
        return False
    return True


_IS: Final = {
    _text: "a text",
    _flag: "true or false",
    _number: "a number",
    _named: "the name of a member of a bundle",
    _pattern: "a regular expression",
}
_LIMIT: Final = {"least": _number, "most": _number, "one_of": [None], "needed": _flag}
_BESIDE: Final = {"refuses": [_named], "limits": {_named: _LIMIT}}
_STRICT: Final = {
    **dict.fromkeys(("depth", "properties", "enum", "min_items"), _number),
    **dict.fromkeys(("closed", "all_required", "recursive"), _flag),
    "refuses": [_text],
    "root": _text,
}
_RULES: Final = {
    **_BESIDE,
    "reasoning": {"refuses": [_named]},
    "thinking": _BESIDE,
    "tools": {"name": _pattern, "most": _number, "description": _number},
    "strict": _STRICT,
}
_FAMILY: Final = {
    **_BESIDE,
    **dict.fromkeys(("name", "rules", "tools_api", "source_date", "source"), _text),
    **dict.fromkeys(("reasons", "prefill"), _flag),
    "match": [_text],
    "one_of": [[_named]],
}
_TABLE: Final = {
    **dict.fromkeys(("llmvc", "date", "note"), _text),
    "families": [_FAMILY],
    "rules": {_text: _RULES},
}


def _check(where: str, value: Any, shape: Any) -> None:
    """Checks a value, so that no fact is silently lost because it is misspelt.

    Args:
        where: names the value.
        value: any JSON.
        shape: members and their shapes, of which the first may stand for any name that it takes;
            the shape of the elements in a list; a predicate; None for anything.

    Raises:
        FormatError: the value has another shape.
    """
    if isinstance(shape, dict):
        if not isinstance(value, Mapping):
            raise FormatError(f"{where} is no object")
        takes: Any = next((key for key in shape if callable(key)), None)
        for name, one in value.items():
            if name not in shape and not (takes and takes(name)):
                known = _IS[takes] if takes else ", ".join(sorted(shape))
                raise FormatError(f"{where} has an unknown member {name!r}", hint=f"known: {known}")
            _check(f"{where}.{name}", one, shape[name if name in shape else takes])
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise FormatError(f"{where} is no list")
        for at, one in enumerate(value):
            _check(f"{where}[{at}]", one, shape[0])
    elif shape is not None and not shape(value):
        raise FormatError(f"{where} is not {_IS[shape]}: {value!r}")
