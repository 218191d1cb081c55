"""What models and the APIs of their makers take, from a small dated table and the user's own.

- A model that no family of the table fits is not known: nothing is said of it.
- What a family or its API's rules do not mention is not restricted.
- A budget for reasoning of 0 switches it off, and is no request for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from llmvc.core import canon, digest
from llmvc.core.dialects.shared import mapped
from llmvc.core.digest import Digest
from llmvc.core.metric import number
from llmvc.errors import ConfigError, FormatError

TYPE: Final = "models/1"
SHIPPED: Final = Path(__file__).with_name("models.json")
MAX_BYTES: Final = 4 * 1024 * 1024
_FAMILY: Final = frozenset(
    {"name", "match", "rules", "refuses", "one_of", "limits", "reasons", "source_date", "retires"}
)
_RULES: Final = frozenset({"limits", "thinking", "tools", "strict"})
_BUDGET: Final = "decoding.reasoning.budget"


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
        limits: member -> `least`, `most` (of a list: how many), `one_of`.
        rules: those of their maker's API: `thinking`, `tools` and `strict`; empty if not known.
        reasons: whether they think before they answer, in output tokens, unless told not to.
        source_date: when this was known.
        retires: the date from which on the maker answers no more; empty if none is known.
    """

    name: str
    refuses: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    limits: Mapping[str, Mapping[str, canon.Json]] = field(default_factory=dict[str, Any])
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])
    reasons: bool = False
    source_date: str = ""
    retires: str = ""

    def broken(self, body: Mapping[str, canon.Json]) -> Iterator[Broken]:
        """Yields the members of a bundle that these models do not take, each once."""
        thinking: Mapping[str, Any] = {}
        if member(body, _BUDGET):
            thinking = self.rules.get("thinking", {})
        seen: set[str] = set()
        for name in self.refuses:
            if member(body, name) is not None:
                seen.add(name)
                yield Broken(name, f"{self.name} does not take it")
        for name in thinking.get("refuses", ()):
            if member(body, name) is not None and name not in seen:
                seen.add(name)
                yield Broken(name, f"{self.name} does not take it beside a budget for reasoning")
        for names in self.one_of:
            sent = [name for name in names if member(body, name) is not None]
            for name in sent[1:]:
                if seen.isdisjoint(sent):
                    yield Broken(name, f"{self.name} does not take it beside {sent[0]}")
        limits = {**self.rules.get("limits", {}), **self.limits, **thinking.get("limits", {})}
        for name, limit in limits.items():
            value = member(body, name)
            wrong = None if value is None or name in seen else _outside(value, limit)
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
    allowed = limit.get("one_of")
    if isinstance(allowed, list | tuple):
        return None if value in allowed else " or ".join(map(str, allowed))
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
        reasons=body.get("reasons") is True,
        source_date=body.get("source_date", ""),
        retires=body.get("retires", ""),
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as err:
        raise ConfigError(
            f"cannot read table of models {path}: {err.strerror}",
            hint="correct `models:` in .llmvc/config.yaml",
        ) from err
    if len(data) > MAX_BYTES:
        raise FormatError(f"table of models {path} is over {MAX_BYTES // 2**20} MiB")
    try:
        body = canon.decode_object(data, TYPE)
        _check(body)
    except FormatError as err:
        raise FormatError(f"table of models {path}: {err}", hint=err.hint) from err
    return body


def _check(body: Mapping[str, Any]) -> None:
    """Checks that each member of a table is one that is known, and of the right kind."""
    rules = body.get("rules", {})
    if not isinstance(rules, Mapping) or not isinstance(body.get("families"), list):
        raise FormatError("it has no list of families, or rules that are no object")
    for name, rule in rules.items():
        if not isinstance(rule, Mapping) or not _RULES.issuperset(rule):
            raise FormatError(f"rules {name}", hint=f"they may have {', '.join(sorted(_RULES))}")
    for at, family in enumerate(body["families"]):
        _check_family(f"families[{at}]", family)


def _check_family(where: str, family: Any) -> None:
    if not isinstance(family, Mapping) or not _FAMILY.issuperset(family):
        raise FormatError(
            f"{where} has an unknown member", hint=f"known: {', '.join(sorted(_FAMILY))}"
        )
    texts = (family.get("name"), family.get("source_date", ""), family.get("retires", ""))
    lists = (family.get("match"), family.get("refuses", []), *family.get("one_of", []))
    limits = family.get("limits", {})
    if (
        not all(isinstance(text, str) for text in texts)
        or not all(_is_texts(names) for names in lists)
        or not isinstance(limits, Mapping)
        or not all(isinstance(limit, Mapping) for limit in limits.values())
    ):
        raise FormatError(f"{where} needs name and match, and lists of names under the others")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
