"""The names of the scorers that a suite may use; what they do stands in `llmvc.evals.scorers`.

- Readers of suite files check names here, so that they need not load the scorers themselves.
- `not-<type>` negates. The names that promptfoo writes in a row's `assert` are understood too.
"""

from collections.abc import Mapping
from typing import Final

from llmvc.errors import FormatError

TYPES: Final = frozenset(
    {
        "equals",
        "contains",
        "icontains",
        "contains-any",
        "contains-all",
        "icontains-any",
        "icontains-all",
        "regex",
        "starts-with",
        "json-valid",
        "json-schema",
        "json-field",
        "numeric",
        "python",
        "checks",
    }
)

# Types that may stand in a row's own checks; code there would escape the suite's digest.
CHECK_TYPES: Final = TYPES - {"python", "checks"}

ALIASES: Final[Mapping[str, str]] = {"is-json": "json-valid", "is-valid-json": "json-valid"}


def base_type(text: str, known: frozenset[str] = TYPES) -> tuple[str, bool]:
    """Returns the type behind a written name, and whether it is negated.

    Raises:
        FormatError: no such type is known.
    """
    negated = text.startswith("not-")
    name = text.removeprefix("not-")
    name = ALIASES.get(name, name)
    if name not in known:
        raise FormatError(
            f"unknown scorer type {text!r}", hint=f"types are {', '.join(sorted(known))}"
        )
    return name, negated
