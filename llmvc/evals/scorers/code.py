"""The scorer `python`: a function of the user's, named by file and function.

- The suite pins the code by the digest of its LF bytes; other bytes are refused.
- It is called with (output, case, answer) and returns a bool, a number from 0 to 1, or an object
  with `score`. None, anything else, and any exception mean that it could not tell.
- With a `scale` such as [1, 5] it returns numbers in that range, which reports hold as 0 to 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmvc.core import digest
from llmvc.core.metric import Scorer, number
from llmvc.core.suite import Case
from llmvc.errors import FormatError, IntegrityError
from llmvc.evals.loading import load_function
from llmvc.evals.providers.base import Answer, one_line, thawed


def load(scorer: Scorer, folder: Path) -> Callable[[Case, Answer], float]:
    """Loads the function that a scorer names.

    Raises:
        FormatError: the scorer names no function, or it cannot be loaded.
        IntegrityError: the file is not the one that the suite was read with.
    """
    name, function_name = scorer.options.get("path"), scorer.options.get("function", "score")
    if not isinstance(name, str) or not isinstance(function_name, str):
        raise FormatError(
            f"scorer {scorer.name} names no code", hint="write `path: scorers.py` beside its type"
        )
    scale = scorer.options.get("scale")
    low, high = (number(end) or 0.0 for end in scale) if isinstance(scale, list) else (0.0, 1.0)
    function, code = load_function(folder / name, function_name)
    if scorer.code is not None and scorer.code != code:
        raise IntegrityError(
            f"scorer {scorer.name}: {name} is {digest.short(code)}, "
            f"the suite says {digest.short(scorer.code)}",
            hint="run the eval again after the file has settled",
        )

    def call(case: Case, answer: Answer) -> float:
        try:
            found = function(answer.output, thawed(case.to_dict()), asdict(answer))
            return read(found, low, high)
        except FormatError:
            raise
        except (Exception, SystemExit) as err:  # foreign code: whatever it raises, it cannot tell
            raise FormatError(one_line(f"{type(err).__name__}: {err}")) from err

    return call


def read(value: Any, low: float = 0.0, high: float = 1.0) -> float:
    """Reads what a scorer returned, as a score from 0 to 1.

    Raises:
        FormatError: it cannot tell, or it is not a number in its range.
    """
    why = "it returned None"
    if isinstance(value, Mapping):
        if "score" not in value:
            raise FormatError("the object that it returned has no score")
        value, why = value["score"], str(value.get("reason") or why)
    if isinstance(value, bool):  # passed or not, whatever the scale
        return float(value)
    if value is None:
        raise FormatError(one_line(f"cannot tell: {why}"))
    if isinstance(value, int | float) and low <= value <= high:
        return (float(value) - low) / (high - low)
    raise FormatError(one_line(f"returned {value!r}, not a score from {low:g} to {high:g}"))
