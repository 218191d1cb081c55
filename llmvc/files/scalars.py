"""What a plain YAML scalar means: JSON's literals and text, and nothing that readers dispute.

A plain scalar is null (`null`, `~` or nothing), `true`, `false`, a number spelled as JSON spells
it, or text. What YAML 1.1 or 1.2 reads as anything else (`no`, `012`, `1:30`, `1_000`,
`2024-01-01`, `.nan`, `0x10`) is refused: two readers would give the bundle two meanings.
"""

import math
import re
from typing import Final

from llmvc.core import canon
from llmvc.core.canon import Json
from llmvc.errors import FormatError

_LITERALS: Final[dict[str, Json]] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_DISPUTED = re.compile(
    r"""(?:
        (?i:null|true|false|yes|no|on|off|y|n|=|<<)
      | [-+]?[0-9][0-9_]*                                        # 012, 1_000, +1
      | [-+]?0(?:b[01_]+|o[0-7_]+|x[0-9a-fA-F_]+)
      | [-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?
      | [-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
      | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?         # base 60
      | [-+]?\.(?i:inf|nan)
      | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9].*)?
    )\Z""",
    re.VERBOSE | re.DOTALL,
)
_DOTTED = re.compile(r"-?\.[0-9]+\Z")
# Every library in use reads these keys as text, and `n` is a decoding parameter.
PLAIN_KEYS: Final = frozenset({"y", "Y", "n", "N"})
_LONGEST: Final = 400


def resolve(text: str) -> Json:
    """Returns the value of a plain scalar.

    Raises:
        FormatError: readers dispute it, or the number cannot be kept exactly.
    """
    if text in _LITERALS:
        return _LITERALS[text]
    number = _NUMBER.match(text)
    if number and len(text) <= _LONGEST:
        return _number(text, whole=not (number[1] or number[2]))
    if _DISPUTED.match(text):
        raise FormatError(f"{_shown(text)} is not read the same everywhere", hint=_advice(text))
    return text


def key(text: str) -> str:
    """Returns a plain key.

    Raises:
        FormatError: it would be read as something other than text.
    """
    if text not in PLAIN_KEYS and not is_text(text):
        raise FormatError(f"key {_shown(text)} is not text", hint=f'quote it: "{text[:40]}"')
    return text


def is_text(text: str) -> bool:
    """Tells whether a plain scalar means the text itself."""
    return text not in _LITERALS and not _NUMBER.match(text) and not _DISPUTED.match(text)


def _number(text: str, *, whole: bool) -> int | float:
    value = int(text) if whole else float(text)
    if math.isinf(value) or (abs(value) >= canon.MAX_EXACT and value == int(value)):
        raise FormatError(
            f"number {_shown(text)} is too large to be kept exactly", hint="quote it if it is text"
        )
    return value


def _advice(text: str) -> str:
    literal = text.lower()
    if literal in ("true", "false", "null"):
        return f'write {literal}, or quote it: "{text}"'
    if text.lstrip("+-").lower() in (".nan", ".inf"):
        return f'write a number, or quote it: "{text}"'
    if _DOTTED.match(text):
        return f'write {text.replace(".", "0.", 1)}, or quote it: "{text}"'
    return f'quote it: "{text[:40]}"'


def _shown(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"
