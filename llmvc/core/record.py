"""Records: small frozen values whose annotations say what their canonical bytes may hold.

- Every member is present, null where it has no value; nothing else is.
- Reading is strict: a member that is missing, unknown or of another type is refused.
- A whole number stands for itself where a fraction may stand: RFC 8785 writes 1.0 as 1.
- `from_` is stored as `from`, which Python keeps for itself.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Self, TypeVar, Union, get_args, get_origin

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.errors import FormatError

T = TypeVar("T")


class Record:
    """What the stored records share: bytes, identity and strict reading."""

    __slots__ = ()
    TYPE: ClassVar[str]

    def to_bytes(self) -> bytes:
        """Returns the canonical bytes."""
        return canon.encode({"llmvc": self.TYPE, **members(self)})

    @property
    def digest(self) -> Digest:
        """The record's identity."""
        return digest.of_bytes(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads a stored record.

        Raises:
            FormatError: the bytes are not one, or a member is not as it should be.
        """
        body = canon.decode_object(data, cls.TYPE)
        del body["llmvc"]
        return read(cls, body, cls.TYPE)


def members(record: Any) -> dict[str, canon.Json]:
    """Returns the JSON form of a record's members."""
    return {item.name.rstrip("_"): plain(getattr(record, item.name)) for item in fields(record)}


def plain(value: Any) -> Any:
    """Returns the JSON form of a value of a record."""
    if is_dataclass(value):
        return members(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def read(cls: type[T], value: canon.Json, where: str) -> T:
    """Reads a record from its JSON form.

    Args:
        cls: a dataclass.
        value: what was read.
        where: its name for people.

    Raises:
        FormatError: a member is missing, unknown or of another type.
    """
    wanted = {item.name.rstrip("_"): item for item in fields(cls)}  # type: ignore[arg-type]  # a dataclass
    if not isinstance(value, Mapping):
        raise FormatError(f"{where} is no object")
    if wrong := sorted(wanted.keys() ^ value.keys()):
        verb = "lacks" if wrong[0] in wanted else "has an unknown"
        raise FormatError(f"{where} {verb} member {wrong[0]}")
    found = {
        item.name: _as(item.type, value[name], f"{where}: {name}") for name, item in wanted.items()
    }
    return cls(**found)


def _as(kind: Any, value: Any, where: str) -> Any:
    """Returns a JSON value as one of an annotated type."""
    if get_origin(kind) in (Union, UnionType) and kind != canon.Json:
        if value is None:
            return None
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    origin, args = get_origin(kind), get_args(kind)
    if origin is tuple and isinstance(value, list):
        return _as_tuple(args, value, where)
    if origin is Mapping and isinstance(value, Mapping):
        return {key: _as(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        return read(kind, value, where)
    return digest.parse(value) if kind is Digest else _as_scalar(kind, value, where)


def _as_tuple(args: tuple[Any, ...], value: list[Any], where: str) -> tuple[Any, ...]:
    kinds = [args[0]] * len(value) if args[-1] is ... else args
    if len(kinds) != len(value):
        raise FormatError(f"{where} has {len(value)} items and needs {len(kinds)}")
    return tuple(_as(kind, item, where) for kind, item in zip(kinds, value, strict=True))


def _as_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    offered = get_args(kind) if get_origin(kind) is Literal else None
    if kind == canon.Json or (value in offered if offered else type(value) is kind):
        return value
    raise FormatError(f"{where} is {value!r:.40}, which it may not be")
