"""Writes YAML and JSON that `reading` reads back to the same value."""

import json
import re
from collections.abc import Mapping
from typing import Final

from llmvc.core.canon import Json
from llmvc.files import scalars

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*\Z")
# What YAML 1.1 and 1.2 both print as it is; anything else is escaped in double quotes.
_UNPRINTABLE = re.compile(
    "[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def scalar(value: Json) -> str:
    """Returns a scalar, or an empty collection, in one line."""
    if isinstance(value, str):
        return value if _PLAIN.match(value) and scalars.is_text(value) else quoted(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)


def quoted(text: str) -> str:
    """Returns text in double quotes, as YAML and, ASCII apart, JSON read it."""

    def escape(char: str) -> str:
        if char in _SHORT:
            return _SHORT[char]
        if not _UNPRINTABLE.match(char):
            return char
        return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"

    return '"' + "".join(escape(char) for char in text) + '"'


def flow(value: Json) -> str:
    """Returns any value in flow style, in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key(name)}: {flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return quoted(value) if isinstance(value, str) else scalar(value)


def block(value: Json, indent: int = 0) -> str:
    """Returns a value in block style: what stands after `key:` or `-`, with its line end.

    Args:
        value: what to write.
        indent: columns before the value's own lines.
    """
    pad = " " * indent
    if isinstance(value, Mapping) and value:
        lines = (f"{pad}{key(name)}:{block(item, indent + 2)}" for name, item in value.items())
        return "\n" + "".join(lines)
    if isinstance(value, list | tuple) and value:
        return "\n" + "".join(f"{pad}-{_item(item, indent + 2)}" for item in value)
    if isinstance(value, str) and _fits_literal(value):
        mark = "|" if value.endswith("\n") else "|-"
        body = value.removesuffix("\n").split("\n")
        return f" {mark}\n" + "".join(f"{pad}{line}\n" if line else "\n" for line in body)
    return f" {scalar(value)}\n"


def document(value: Json) -> str:
    """Returns a whole YAML document."""
    if isinstance(value, Mapping | list | tuple) and value:
        return block(value).removeprefix("\n")
    return scalar(value) + "\n"


def pretty_json(value: Json) -> bytes:
    """Returns a JSON file as people like it."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def json_line(value: Json) -> str:
    """Returns one line of a JSON lines file."""
    return json.dumps(value, ensure_ascii=False) + "\n"


def key(text: str) -> str:
    """Returns a mapping's key, in quotes where it needs them."""
    plain = _PLAIN.match(text) and (scalars.is_text(text) or text in scalars.PLAIN_KEYS)
    return text if plain else quoted(text)


def _item(value: Json, indent: int) -> str:
    text = block(value, indent)
    if isinstance(value, Mapping | list | tuple) and value:
        return " " + text.removeprefix("\n").removeprefix(" " * indent)
    return text


def _fits_literal(text: str) -> bool:
    """Tells whether a text may stand as a literal block: several lines, nothing to escape."""
    return (
        "\n" in text.removesuffix("\n")
        and not text.startswith((" ", "\n", "\t"))
        and not text.endswith("\n\n")
        and not _UNPRINTABLE.search(text)
        and "\t" not in text
    )
