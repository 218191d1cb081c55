"""What values of options are, beyond what click knows.

- A number is finite: `nan`, which no range excludes, would switch every limit off.
- A reason says something: what is kept for good is not left empty.
"""

from math import isfinite
from typing import Any

import click


class Finite(click.FloatRange):
    """A float in a range; neither `nan` nor infinite.

    Args:
        told: added to the error of what is no number.
        bounds: as of `click.FloatRange`.
    """

    name = "number"

    def __init__(self, *, told: str = "", **bounds: Any) -> None:
        super().__init__(**bounds)
        self._told = told

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Reads the number."""
        try:
            found = float(value)
        except ValueError:
            found = float("nan")
        if not isfinite(found):
            self.fail(f"{value!r} is no finite number{self._told}", param, ctx)
        return float(super().convert(value, param, ctx))


class Reason(click.ParamType[str]):
    """Text that says something, without the space around it."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Reads the text."""
        found = str(value).strip()
        if not found:
            self.fail("it needs a reason, and this one is empty", param, ctx)
        return found
