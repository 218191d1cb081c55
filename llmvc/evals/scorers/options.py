"""A scorer's options as they stand for one case, and what is known beside the answer."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from llmvc.core import canon
from llmvc.core.metric import number
from llmvc.core.suite import Case
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer

Embed = Callable[[str], Sequence[float]]
"""Turns a text into a vector, by a model on this machine."""
Rule = Callable[["Options", Answer], float]
"""Scores an answer from 0 to 1. A FormatError says that it cannot tell."""

_SLOT: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*\}\}")
# A text of several, parted by commas; one in quotation marks may have commas itself.
_PART: Final = re.compile(r'\s*"((?:[^"]|"")+)"\s*(?:,|\Z)|([^,]+)')


class UntoldError(FormatError):
    """The answer does not say what a scorer has to know; with another answer it could tell."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What scorers may know of a run beside its answer.

    Attributes:
        tools: the bundle's tools, as it declares them; None if they are not known.
        cost_usd: what the run cost; None if it is not known.
        window: the model's context window in tokens; None if it is not known.
    """

    tools: canon.Json = None
    cost_usd: float | None = None
    window: int | None = None


NOTHING: Final = Setting()


class Options:
    """Options with `{{expected}}`, `{{expected.a.b}}` and `{{vars.name}}` filled in.

    A text that is one slot and nothing else becomes the value itself, of any type; a slot inside
    longer text becomes text. A bare `{{name}}` is a variable too, as promptfoo writes it.

    Attributes:
        setting: what is known beside the answer.
        embed: the embedder that the scorer names; None if it names none.
        negated: whether the score is turned around by `not-`.
    """

    __slots__ = ("_case", "_values", "embed", "negated", "setting")

    def __init__(
        self,
        values: Mapping[str, canon.Json],
        case: Case,
        setting: Setting = NOTHING,
        embed: Embed | None = None,
        *,
        negated: bool = False,
    ) -> None:
        self._values = values
        self._case = case
        self.setting = setting
        self.embed = embed
        self.negated = negated

    def __contains__(self, name: str) -> bool:
        """Returns whether an option is written."""
        return name in self._values

    def of(self, values: Mapping[str, canon.Json], *, negated: bool = False) -> "Options":
        """Returns the options of a check that stands within this one."""
        return Options(values, self._case, self.setting, self.embed, negated=negated)

    def over(self, values: canon.Json, known: Sequence[str]) -> "Options":
        """Returns these options, with what an object says of them in its stead.

        Args:
            values: the object; anything else says nothing.
            known: the members that it may have.

        Raises:
            FormatError: it has another, which would be passed over.
        """
        if not isinstance(values, Mapping):
            return self
        unknown = sorted(set(values).difference(known))
        if unknown:
            raise FormatError(
                f"value has a member {unknown[0]!r}", hint=f"it may have {', '.join(known)}"
            )
        return self.of({**self._values, **values}, negated=self.negated)

    @property
    def checks(self) -> Sequence[canon.Json]:
        """The case's own checks."""
        return self._case.checks

    @property
    def expected(self) -> canon.Json:
        """The case's expected value; None if it has none."""
        return self._case.expected

    def get(self, name: str, default: canon.Json = None) -> canon.Json:
        """Returns one option, filled in."""
        if name not in self._values:
            return default
        return self._filled(self._values[name])

    def raw(self, name: str) -> canon.Json:
        """Returns one option as it is written; None if it is not there."""
        return self._values.get(name)

    def value(self) -> canon.Json:
        """Returns `value`, else what the case expects.

        Raises:
            FormatError: there is neither.
        """
        found = self.get("value", self.expected)
        if found is None and "value" not in self:
            raise FormatError(
                "there is nothing to compare with",
                hint="give the scorer a value, or the case an expected",
            )
        return found

    def text(self) -> str:
        """Returns `value` as text; numbers and other JSON as they are written in JSON.

        Raises:
            FormatError: there is none, or it is empty: every output has that.
        """
        return _said(as_text(self.value()))

    def texts(self) -> tuple[str, ...]:
        """Returns `value` as several texts; text is split at commas, as promptfoo does.

        Raises:
            FormatError: there are none, or one is empty: every output has that.
        """
        found = self.value()
        if isinstance(found, str):
            parts = [
                quoted.replace('""', '"') or bare.strip() for quoted, bare in _PART.findall(found)
            ]
            found = [part for part in parts if part]
        if not isinstance(found, Sequence) or not found:
            raise FormatError("value is not a list of texts")
        return tuple(_said(as_text(item)) for item in found)

    def references(self) -> tuple[str, ...]:
        """Returns `value` as the texts that the output may resemble: one, or a list of them.

        Raises:
            FormatError: there are none.
        """
        found = self.value()
        listed = found if isinstance(found, list | tuple) else (found,)
        if not listed:
            raise FormatError("value is an empty list")
        return tuple(as_text(item) for item in listed)

    def number(self, name: str) -> float | None:
        """Returns a numeric option; None if it is not there.

        Raises:
            FormatError: it is something else.
        """
        found = self.get(name)
        if found is None:
            return None
        value = number(found)
        if value is None:
            raise FormatError(f"{name} is {found!r}, not a number")
        return value

    def amount(self, name: str) -> float:
        """Returns a numeric option; 0 if it is not there.

        Raises:
            FormatError: it is something else, or below 0.
        """
        value = self.number(name) or 0.0
        if value < 0:
            raise FormatError(f"{name} is {value:g}, below 0")
        return value

    def flag(self, name: str) -> bool:
        """Returns whether an option is true.

        Raises:
            FormatError: it is neither true nor false.
        """
        found = self.get(name, default=False)
        if not isinstance(found, bool):
            raise FormatError(f"{name} is {found!r}, neither true nor false")
        return found

    def within(self, found: float, beside: Sequence[str] = ()) -> float:
        """Scores 1 if a count keeps to `min` and `max`, or to `value`: a number or {min, max}.

        Args:
            found: the count.
            beside: further members that an object under `value` may have.

        Raises:
            FormatError: no bound is set, or one is no number.
        """
        value = self.get("value")
        low, high = self.number("min"), self.number("max")
        if isinstance(value, Mapping):
            inner = self.over(value, ("min", "max", *beside))
            low, high = inner.number("min"), inner.number("max")
        elif value is not None:
            low = high = self.number("value") if not isinstance(value, str) else _parsed(value)
        if low is None and high is None:
            raise FormatError("no bound is set", hint="write min, max or value")
        if low is not None and high is not None and low > high:
            raise FormatError(f"min {low:g} is above max {high:g}")
        return float((low is None or found >= low) and (high is None or found <= high))

    def one_of(self, name: str, known: Sequence[str]) -> str:
        """Returns an option that names one of several ways; the first is the default.

        Raises:
            FormatError: it names another.
        """
        found = self.get(name, known[0])
        if isinstance(found, str) and found.replace("_", "-") in known:
            return found.replace("_", "-")
        raise FormatError(f"{name} is {found!r}, not one of {', '.join(known)}")

    def _filled(self, value: canon.Json) -> canon.Json:
        if isinstance(value, str):
            if "{{" not in value:
                return value
            whole = _SLOT.fullmatch(value)
            if whole:
                return self._slot(whole[1])
            return _SLOT.sub(lambda slot: as_text(self._slot(slot[1])), value)
        if isinstance(value, Mapping):
            return {key: self._filled(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._filled(item) for item in value]
        return value

    def _slot(self, name: str) -> canon.Json:
        head, _, rest = name.partition(".")
        if head == "expected":
            found, there = dig(self._case.expected, rest)
        elif head == "vars" and rest:
            found, there = dig(self._case.vars, rest)
        else:
            found, there = dig(self._case.vars, name)
        if not there:
            raise FormatError(f"{{{{{name}}}}} has no value in this case")
        return found


def dig(value: canon.Json, path: str) -> tuple[canon.Json, bool]:
    """Follows a dotted path, with numbers for list places; also tells whether it leads anywhere.

    A member whose name itself has dots is found before the path is split.
    """
    if not path:
        return value, value is not None
    if isinstance(value, Mapping):
        if path in value:
            return value[path], True
        head, dot, rest = path.partition(".")
        return dig(value[head], rest) if dot and rest and head in value else (None, False)
    if isinstance(value, list | tuple):
        head, _, rest = path.partition(".")
        if not head.isdecimal() or int(head) >= len(value):
            return None, False
        return dig(value[int(head)], rest) if rest else (value[int(head)], True)
    return None, False


def _parsed(text: str) -> float:
    try:
        value = float(text)
    except ValueError as err:
        raise FormatError(f"value is {text!r}, not a number") from err
    if not isfinite(value):
        raise FormatError(f"value is {text!r}, not a number")
    return value


def _said(text: str) -> str:
    if not text:
        raise FormatError("the text to look for is empty", hint="every output has that")
    return text


def as_text(value: canon.Json) -> str:
    """Returns text as it is and any other value as canonical JSON."""
    return value if isinstance(value, str) else canon.encode(value).decode("utf-8")
