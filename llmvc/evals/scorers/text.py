"""Scorers that look at the output as text.

- `equals` compares JSON values where the expected one is not text, so that `{"a": 1}` equals
  `{ "a" : 1.0 }`; text must be the same to the letter, unless `trim` or `ignore_case` say less.
- `regex` searches; its syntax is that of Python's `re`, which can take very long on patterns with
  nested repeats. `ignore_case` may be set.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from llmvc.errors import FormatError
from llmvc.evals.scorers.options import Options
from llmvc.evals.scorers.structure import parse, same


def equals(options: Options, output: str) -> float:
    """Scores 1 for the expected value itself."""
    wanted = options.value()
    trim, ignore_case = options.flag("trim"), options.flag("ignore_case")
    if not isinstance(wanted, str):
        value, valid = parse(output)
        return float(valid and same(value, wanted))
    if trim:
        output, wanted = output.strip(), wanted.strip()
    if ignore_case:
        output, wanted = output.casefold(), wanted.casefold()
    return float(output == wanted)


def starts_with(options: Options, output: str) -> float:
    """Scores 1 if the output begins with the value."""
    wanted = options.text()
    if options.flag("ignore_case"):
        output, wanted = output.casefold(), wanted.casefold()
    return float(output.startswith(wanted))


def regex(options: Options, output: str) -> float:
    """Scores 1 if the pattern is found anywhere."""
    pattern = options.value()
    if not isinstance(pattern, str):
        raise FormatError(f"the pattern is {pattern!r}, not text")
    return float(_compiled(pattern, options.flag("ignore_case")).search(output) is not None)


@lru_cache(maxsize=256)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:  # noqa: FBT001 (cache key)
    try:
        return re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except (re.error, OverflowError, RecursionError) as err:
        raise FormatError(f"{pattern!r} is not a regular expression: {err}") from err


def _contains(*, fold: bool) -> Callable[[Options, str], float]:
    def rule(options: Options, output: str) -> float:
        return float(_fold(options.text(), fold=fold) in _fold(output, fold=fold))

    return rule


def _several(
    combine: Callable[[list[bool]], bool], *, fold: bool
) -> Callable[[Options, str], float]:
    def rule(options: Options, output: str) -> float:
        whole = _fold(output, fold=fold)
        return float(combine([_fold(part, fold=fold) in whole for part in options.texts()]))

    return rule


def _fold(value: str, *, fold: bool) -> str:
    return value.casefold() if fold else value


RULES: Final[Mapping[str, Callable[[Options, str], float]]] = {
    "equals": equals,
    "starts-with": starts_with,
    "regex": regex,
    "contains": _contains(fold=False),
    "icontains": _contains(fold=True),
    "contains-any": _several(any, fold=False),
    "icontains-any": _several(any, fold=True),
    "contains-all": _several(all, fold=False),
    "icontains-all": _several(all, fold=True),
}
