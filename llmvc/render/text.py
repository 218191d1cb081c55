"""Text for terminals."""

import re
from collections.abc import Iterable, Sequence

# C0 but newline and tab, DEL, C1, and the characters that reorder text.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_COLOR = re.compile("\x1b\\[[0-9;]*m")

COLORS = {
    "pass": "32",
    "fail": "31",
    "inconclusive": "33",
    "removed": "31",
    "added": "32",
    "dim": "2",
}


def safe(text: str, *, keep_color: bool = False) -> str:
    """Returns the text with every character that could drive a terminal made visible.

    Args:
        text: anything, from anywhere.
        keep_color: let llmvc's own colour codes through.
    """
    if not keep_color:
        return _UNSAFE.sub(_visible, text)
    parts: list[str] = []
    at = 0
    for code in _COLOR.finditer(text):
        parts += [_UNSAFE.sub(_visible, text[at : code.start()]), code[0]]
        at = code.end()
    return "".join(parts) + _UNSAFE.sub(_visible, text[at:])


def _visible(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def paint(text: str, color: str, *, colored: bool) -> str:
    """Returns the text in a colour of `COLORS`, if colour is wanted."""
    code = COLORS.get(color)
    return f"\x1b[{code}m{text}\x1b[0m" if colored and code else text


def table(rows: Iterable[Sequence[str]], *, indent: str = "") -> str:
    """Returns rows as columns that are as wide as they must be."""
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        return ""
    widths = [0] * max(len(row) for row in cells)
    for row in cells:
        for at, cell in enumerate(row):
            widths[at] = max(widths[at], len(_COLOR.sub("", cell)))
    lines: list[str] = []
    for row in cells:
        padded = [
            cell + " " * (widths[at] - len(_COLOR.sub("", cell))) for at, cell in enumerate(row)
        ]
        lines.append((indent + "  ".join(padded)).rstrip())
    return "\n".join(lines)
