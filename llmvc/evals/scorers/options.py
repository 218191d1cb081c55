"""A scorer's options as they stand for one case."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from llmvc.core import canon
from llmvc.core.metric import number
from llmvc.core.suite import Case
from llmvc.errors import FormatError

_SLOT: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*\}\}")


class Options:
    """Options with `{{expected}}`, `{{expected.a.b}}` and `{{vars.name}}` filled in.

    A text that is one slot and nothing else becomes the value itself, of any type; a slot inside
    longer text becomes text. A bare `{{name}}` is a variable too, as promptfoo writes it.
    """

    __slots__ = ("_case", "_values")

    def __init__(self, values: Mapping[str, canon.Json], case: Case) -> None:
        self._values = values
        self._case = case

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
        if found is None and "value" not in self._values:
            raise FormatError(
                "there is nothing to compare with",
                hint="give the scorer a value, or the case an expected",
            )
        return found

    def text(self) -> str:
        """Returns `value` as text; numbers and other JSON as they are written in JSON.

        Raises:
            FormatError: there is none.
        """
        return as_text(self.value())

    def texts(self) -> tuple[str, ...]:
        """Returns `value` as several texts; text is split at commas, as promptfoo does.

        Raises:
            FormatError: there are none.
        """
        found = self.value()
        if isinstance(found, str):
            found = [part.strip() for part in found.split(",")]
        if not isinstance(found, Sequence) or not found:
            raise FormatError("value is not a list of texts")
        return tuple(as_text(item) for item in found)

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

    def flag(self, name: str) -> bool:
        """Returns whether an option is true.

        Raises:
            FormatError: it is neither true nor false.
        """
        found = self.get(name, default=False)
        if not isinstance(found, bool):
            raise FormatError(f"{name} is {found!r}, neither true nor false")
        return found

    def _filled(self, value: canon.Json) -> canon.Json:
        if isinstance(value, str):
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


def as_text(value: canon.Json) -> str:
    """Returns text as it is and any other value as canonical JSON."""
    return value if isinstance(value, str) else canon.encode(value).decode("utf-8")
