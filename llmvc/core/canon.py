"""Canonical JSON: the one spelling of a value, RFC 8785.

- `encode` is the only way that bytes to be hashed come into being.
- `decode(encode(value))` equals `value`, and encoding again gives the same bytes.
- A number whose canonical form is an integer of magnitude 2**53 or more is refused: RFC 8785
  writes 1e20 as an integer that readers of its own output then refuse.
- `mapped` and `listed` look into JSON of unknown form without a surprise.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any, Final, NoReturn

from llmvc.errors import FormatError

JsonScalar = None | bool | int | float | str
Json = JsonScalar | Sequence["Json"] | Mapping[str, "Json"]

MAX_DEPTH = 64
MAX_EXACT = 2**53


def encode(value: Json) -> bytes:
    """Returns the canonical bytes of a JSON value.

    Raises:
        FormatError: the value holds NaN, an infinity, an integer of magnitude >= 2**53, a lone
            surrogate, a key that is not text, or more than 64 levels.
    """
    try:
        return _SPELL[type(value)](value, 0).encode("utf-8")
    except (TypeError, ValueError) as err:  # rfc8785 and encode raise ValueErrors
        raise FormatError(f"value has no canonical form: {err}") from err


def _object_text(value: dict[str, Json], depth: int) -> str:
    _check_depth(depth)
    depth += 1
    # Members stand in the order of their names' UTF-16 code units. To join refuses other names.
    by = None if "".join(value).isascii() else _utf16
    members = sorted(value.items()) if by is None else sorted(value.items(), key=by)
    spelled = [f"{encode_basestring(k)}:{_SPELL[type(v)](v, depth)}" for k, v in members]
    return f"{{{','.join(spelled)}}}"


def _utf16(member: tuple[str, Json]) -> bytes:
    return member[0].encode("utf-16be")


def _list_text(value: Sequence[Json], depth: int) -> str:
    _check_depth(depth)
    depth += 1
    return f"[{','.join([_SPELL[type(item)](item, depth) for item in value])}]"


def _number_text(value: float, depth: int) -> str:
    if depth > MAX_DEPTH or abs(value) >= MAX_EXACT:
        _check(value, depth)
    if isinstance(value, int) or value.is_integer():
        return str(int(value))
    # Both write the fewest digits that read back as the number; they differ in exponents.
    text = float.__repr__(value)
    if text[-4:] in _PLAIN:  # costs and latencies of single calls are often that small
        sign = "-" if value < 0 else ""
        return f"{sign}{_PLAIN[text[-4:]]}{text[len(sign) : -4].replace('.', '')}"
    if "e" not in text and "n" not in text:
        return text
    import rfc8785  # noqa: PLC0415 (few numbers need it, and a service would wait for it)

    return rfc8785.dumps(value).decode("ascii")


def _too_large(value: float) -> FormatError:
    return FormatError(f"number {value!r} is beyond 2**53 and would not be read back")


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise FormatError(f"nested deeper than {MAX_DEPTH} levels")


def decode(data: bytes) -> Json:
    """Reads JSON strictly: UTF-8 without BOM, no duplicate keys, no NaN, no huge integers.

    Raises:
        FormatError: the bytes are not such JSON.
    """
    try:
        text = data.decode("utf-8")
        value: Json = _DECODER.decode(text)
    except UnicodeDecodeError as err:
        raise FormatError(f"not UTF-8 at byte {err.start}") from err
    except RecursionError as err:
        raise FormatError(f"nested deeper than {MAX_DEPTH} levels") from err
    except ValueError as err:
        raise FormatError(f"not JSON: {err}") from err
    _check(value, 0)
    if "\\u" in text:
        encode(value)  # an escape may spell a lone surrogate, which no bytes can hold
    return value


def decode_object(data: bytes, kind: str) -> dict[str, Json]:
    """Reads a stored object whose `llmvc` member must be `kind`, such as `report/1`."""
    value = decode(data)
    if not isinstance(value, dict) or value.get("llmvc") != kind:
        raise FormatError(f"not a {kind} object")
    return value


def mapped(value: Json) -> Mapping[str, Json]:
    """Returns an object; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Json) -> Sequence[Json]:
    """Returns a list; an empty one for anything else."""
    return value if isinstance(value, list | tuple) else ()


def _check(value: Json, depth: int) -> None:
    _check_depth(depth)
    if isinstance(value, dict):
        for item in value.values():
            if type(item) not in _HARMLESS:
                _check(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            if type(item) not in _HARMLESS:
                _check(item, depth + 1)
    elif isinstance(value, float):
        # NaN passes here and is refused by rfc8785 itself; the decoder lets none in.
        if abs(value) >= MAX_EXACT and (math.isinf(value) or value.is_integer()):
            raise _too_large(value)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= MAX_EXACT:
        raise _too_large(value)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        raise ValueError(f"duplicate key {twice!r}")
    return result


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"number {text} is out of range")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


# One decoder for all: making one costs as much as reading a small record.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_float
)

# The exponents that Python writes and RFC 8785 does not, and the zeros in their stead.
_PLAIN: Final = {"e-05": "0.0000", "e-06": "0.00000"}

# What `_check` has nothing to say about, nor anything inside it.
_HARMLESS: Final = frozenset((str, bool, type(None)))

_Spell = Callable[[Any, int], str]


class _Spellers(dict[type, _Spell]):
    """How values of a type are spelled; a type of the caller's is spelled as what it derives from.

    An eval spells tens of thousands of values, and a table is four times as fast as rfc8785.
    """

    def __missing__(self, kind: type) -> _Spell:
        for known in (str, int, float, dict, list, tuple):
            if issubclass(kind, known):
                return self[known]
        raise FormatError(f"value has no canonical form: unsupported type: {kind}")


_SPELL: Final = _Spellers(
    {
        str: lambda value, _: encode_basestring(value),
        bool: lambda value, _: "true" if value else "false",
        type(None): lambda _, __: "null",
        int: _number_text,
        float: _number_text,
        dict: _object_text,
        list: _list_text,
        tuple: _list_text,
    }
)
