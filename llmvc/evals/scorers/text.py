"""Scorers that look at the output as text.

- `equals` compares JSON values where the expected one is not text, so that `{"a": 1}` equals
  `{ "a" : 1.0 }`; text must be the same to the letter, unless `trim` or `ignore_case` say less.
- `regex` searches; its syntax is that of Python's `re`, which can take very long on patterns with
  nested repeats. `ignore_case` may be set.
- `choice` takes the last of the offered labels that stands in the output as a word of its own: a
  model that reasons first names the others on the way. A label that is not offered counts nothing.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from llmvc.core.metric import number
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers.options import Options, Rule
from llmvc.evals.scorers.structure import parse, same


def equals(options: Options, answer: Answer) -> float:
    """Scores 1 for the expected value itself."""
    wanted, output = options.value(), answer.output or ""
    trim, ignore_case = options.flag("trim"), options.flag("ignore_case")
    if not isinstance(wanted, str):
        value, valid = parse(output)
        return float(valid and same(value, wanted))
    if trim:
        output, wanted = output.strip(), wanted.strip()
    if ignore_case:
        output, wanted = output.casefold(), wanted.casefold()
    return float(output == wanted)


def starts_with(options: Options, answer: Answer) -> float:
    """Scores 1 if the output begins with the value."""
    return float(str.startswith(*_pair(options, answer)))


def ends_with(options: Options, answer: Answer) -> float:
    """Scores 1 if the output ends with the value."""
    return float(str.endswith(*_pair(options, answer)))


def _pair(options: Options, answer: Answer) -> tuple[str, str]:
    """Returns the output and the value, brought to one case if that does not matter."""
    fold = options.flag("ignore_case")
    return _fold(answer.output or "", fold=fold), _fold(options.text(), fold=fold)


def regex(options: Options, answer: Answer) -> float:
    """Scores 1 if the pattern is found anywhere."""
    pattern = options.value()
    if not isinstance(pattern, str) or not pattern:
        raise FormatError(f"the pattern is {pattern!r}, not text")
    compiled = _compiled(pattern, options.flag("ignore_case"))
    return float(compiled.search(answer.output or "") is not None)


@lru_cache(maxsize=256)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:  # noqa: FBT001 (cache key)
    try:
        return re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except (re.error, OverflowError, RecursionError) as err:
        raise FormatError(f"{pattern!r} is not a regular expression: {err}") from err


def word_count(options: Options, answer: Answer) -> float:
    """Scores 1 if the number of words, parted by white space, is within the bounds."""
    return options.within(len((answer.output or "").split()))


def char_count(options: Options, answer: Answer) -> float:
    """Scores 1 if the number of characters is within the bounds."""
    return options.within(len(answer.output or ""))


def choice(options: Options, answer: Answer) -> float:
    """Scores what the last offered label in the output is worth; 0 if there is none."""
    choices = options.get("choices")
    if not isinstance(choices, Mapping) or not choices:
        raise FormatError("there are no choices", hint="write choices: {yes: 1, no: 0}")
    worth = {label: number(value) for label, value in choices.items()}
    for label, value in worth.items():
        if not label.strip() or value is None or not 0 <= value <= 1:
            raise FormatError(f"choice {label!r} is not worth a score from 0 to 1")
    fold = options.flag("ignore_case")
    worth = {_fold(label, fold=fold): value for label, value in worth.items()}
    if len(worth) < len(choices):
        raise FormatError("two choices are one label without their case")
    found = _labels(tuple(worth)).findall(_fold(answer.output or "", fold=fold))
    return (worth[found[-1]] or 0.0) if found else 0.0


@lru_cache(maxsize=256)
def _labels(labels: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(labels, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


def _contains(*, fold: bool) -> Rule:
    def rule(options: Options, answer: Answer) -> float:
        return float(_fold(options.text(), fold=fold) in _fold(answer.output or "", fold=fold))

    return rule


def _several(combine: Callable[[list[bool]], bool], *, fold: bool) -> Rule:
    def rule(options: Options, answer: Answer) -> float:
        whole = _fold(answer.output or "", fold=fold)
        return float(combine([_fold(part, fold=fold) in whole for part in options.texts()]))

    return rule


def _fold(value: str, *, fold: bool) -> str:
    return value.casefold() if fold else value


RULES: Final[Mapping[str, Rule]] = {
    "equals": equals,
    "starts-with": starts_with,
    "ends-with": ends_with,
    "regex": regex,
    "word-count": word_count,
    "char-count": char_count,
    "choice": choice,
    "contains": _contains(fold=False),
    "icontains": _contains(fold=True),
    "contains-any": _several(any, fold=False),
    "icontains-any": _several(any, fold=True),
    "contains-all": _several(all, fold=False),
    "icontains-all": _several(all, fold=True),
}
