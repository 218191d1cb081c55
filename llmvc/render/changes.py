"""One change of a bundle in a terminal: texts line by line, lists item by item, the rest whole."""

from typing import TYPE_CHECKING

from llmvc.core import canon
from llmvc.core.diff import ABSENT, Change
from llmvc.render.text import paint

if TYPE_CHECKING:
    from collections.abc import Mapping


def told(change: Change, texts: "Mapping[str, str]", *, colored: bool) -> list[str]:
    """Returns the lines that show a change: what was, and what is.

    Args:
        change: of one member of a bundle.
        texts: what changed assets say by their digests, where they are text and at hand.
        colored: whether to paint them.
    """
    sides = (change.old, change.new)
    old, new = (texts.get(side, side) if isinstance(side, str) else side for side in sides)
    if (
        isinstance(old, str)
        and isinstance(new, str)
        and ("\n" in old or "\n" in new or len(old) > 60)
    ):
        return [f"  {change.where}", *_of_text(old, new, colored=colored)]
    lines = [f"  {change.where}"]
    if isinstance(old, list) and isinstance(new, list):
        return lines + _of_list(old, new, colored=colored)
    if old is not ABSENT:
        lines.append(paint(f"    - {_json(old)}", "removed", colored=colored))
    if new is not ABSENT:
        lines.append(paint(f"    + {_json(new)}", "added", colored=colored))
    return lines


def _of_text(old: str, new: str, *, colored: bool) -> list[str]:
    from difflib import unified_diff  # noqa: PLC0415 (only diffs need it)

    before, after = old.split("\n"), new.split("\n")
    lines: list[str] = []
    for line in list(unified_diff(before, after, lineterm="", n=1))[2:]:
        color = {"-": "removed", "+": "added"}.get(line[:1], "dim")
        lines.append(paint(f"    {line}", color, colored=colored))
    return lines


def _of_list(old: list[canon.Json], new: list[canon.Json], *, colored: bool) -> list[str]:
    """Shows which items of a list came and went; those that stayed are counted."""
    from difflib import SequenceMatcher  # noqa: PLC0415 (only diffs need it)

    before, after = [_json(item) for item in old], [_json(item) for item in new]
    lines: list[str] = []
    for move, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if move == "equal":
            lines.append(paint(f"      {b - a} the same", "dim", colored=colored))
            continue
        lines += [paint(f"    - {item}", "removed", colored=colored) for item in before[a:b]]
        lines += [paint(f"    + {item}", "added", colored=colored) for item in after[c:d]]
    return lines


def _json(value: object) -> str:
    return canon.encode(value).decode("utf-8")  # type: ignore[arg-type]  # ABSENT was handled
