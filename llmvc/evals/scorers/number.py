"""The scorer that looks at the output as a number.

- The number is the whole output, the first group of `pattern`, or the field at `field` of JSON.
- It may differ from the expected one by `tolerance` (or `abs`), or by the share `rel` of it,
  whichever allows more; without either it must be equal.
- An output without a number scores 0: that is the application's fault, not the scorer's.
"""

import math
import re
from collections.abc import Mapping
from typing import Final

from llmvc.core.metric import number
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers.options import Options, Rule, dig
from llmvc.evals.scorers.structure import parse

# Written out, because float() would also accept "nan", "1_000" and digits of other scripts.
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\Z")


def numeric(options: Options, answer: Answer) -> float:
    """Scores 1 for a number close enough to the expected one."""
    wanted = _read(options.value())
    if wanted is None:
        raise FormatError(f"the expected value is {options.value()!r}, not a number")
    absolute = options.amount("tolerance") or options.amount("abs")
    allowed = max(absolute, abs(wanted) * options.amount("rel"))
    found = _find(options, answer.output or "")
    return float(found is not None and abs(found - wanted) <= allowed)


def _find(options: Options, output: str) -> float | None:
    path, pattern = options.get("field"), options.get("pattern")
    if isinstance(path, str):
        value, valid = parse(output)
        found, there = dig(value, path) if valid else (None, False)
        return _read(found) if there else None
    if isinstance(pattern, str):
        try:
            hit = re.search(pattern, output)
        except re.error as err:
            raise FormatError(f"{pattern!r} is not a regular expression: {err}") from err
        return None if hit is None else _read(hit[1] if hit.re.groups else hit[0])
    return _read(output)


def _read(value: object) -> float | None:
    if isinstance(value, str):
        text = value.strip()
        value = float(text) if _NUMBER.match(text) else None
    try:
        found = number(value) if isinstance(value, int | float) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return found if found is not None and math.isfinite(found) else None


RULES: Final[Mapping[str, Rule]] = {"numeric": numeric}
