"""Bundles: everything that decides how an LLM feature behaves, as one immutable value.

- A bundle is its canonical bytes; its digest is the BLAKE3 of them.
- Behaviour fields keep absent, null and a value apart: a field that is not written is not there.
- Names, descriptions, owners, comments and connections are not part of it.
- Each section has a digest of its own, so that two bundles can be compared at a glance.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.errors import FormatError

TYPE: Final = "bundle/1"
KINDS: Final = ("app", "judge", "set")

# Which members belong to which section, in the order in which people read them.
SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "messages": ("messages", "variables", "few_shot"),
    "model": ("model",),
    "decoding": ("decoding",),
    "tools": ("tools", "tool_choice", "parallel_tool_calls", "mcp"),
    "schema": ("response",),
    "context": ("context",),
    "retrieval": ("retrieval",),
    "guardrails": ("guardrails",),
    "post": ("post",),
    "assets": ("assets",),
    "judge": ("judge",),
    "members": ("members",),
}
MEMBERS: Final = frozenset(name for members in SECTIONS.values() for name in members)


@dataclass(frozen=True)
class Bundle:
    """One version of a bundle.

    Attributes:
        data: the canonical bytes of the `bundle/1` object.
    """

    data: bytes

    @classmethod
    def of(cls, kind: str, members: Mapping[str, canon.Json]) -> "Bundle":
        """Builds a bundle from its behaviour members.

        Raises:
            FormatError: an unknown kind or member, or a value without canonical form.
        """
        if kind not in KINDS:
            raise FormatError(f"unknown kind {kind!r}", hint=f"kinds are {', '.join(KINDS)}")
        unknown = sorted(set(members) - MEMBERS)
        if unknown:
            raise FormatError(f"unknown bundle member {unknown[0]!r}")
        return cls(canon.encode({"llmvc": TYPE, "kind": kind, **members}))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Bundle":
        """Reads stored bytes.

        Raises:
            FormatError: the bytes are not a bundle.
        """
        bundle = cls(data)
        if bundle.kind not in KINDS:
            raise FormatError(f"unknown kind {bundle.kind!r}")
        return bundle

    @cached_property
    def digest(self) -> Digest:
        """The bundle's identity."""
        return digest.of_bytes(self.data)

    @cached_property
    def body(self) -> Mapping[str, canon.Json]:
        """The decoded object; do not change it."""
        return canon.decode_object(self.data, TYPE)

    @property
    def kind(self) -> str:
        """One of `app`, `judge`, `set`."""
        return str(self.body.get("kind"))

    def section(self, name: str) -> dict[str, canon.Json]:
        """Returns the members of one section that are present."""
        return {member: self.body[member] for member in SECTIONS[name] if member in self.body}

    def section_digests(self) -> dict[str, Digest | None]:
        """Returns the digest of every section; None where a section has no member."""
        result: dict[str, Digest | None] = {}
        for name in SECTIONS:
            members = self.section(name)
            result[name] = (
                digest.of_value({"llmvc": "section/1", name: members}) if members else None
            )
        return result

    def asset_digests(self) -> tuple[Digest, ...]:
        """Returns the digests of all files and members that the bundle needs beside itself."""
        found: list[Digest] = []
        for member in ("assets", "members"):
            listed = self.body.get(member)
            if isinstance(listed, Mapping):
                found += [digest.parse(value) for value in listed.values()]
        return tuple(sorted(set(found)))


class Parts(NamedTuple):
    """All that a bundle needs beside itself, and that all the members of a set need.

    Attributes:
        data: digest -> bytes, of assets and members alike.
        members: which of them are bundles.
    """

    data: Mapping[Digest, bytes]
    members: frozenset[Digest]


def parts(bundle: Bundle, read: Callable[[Digest], bytes]) -> Parts:
    """Returns what a bundle needs beside itself.

    Args:
        bundle: of any kind.
        read: returns an object's bytes, or raises.
    """
    data: dict[Digest, bytes] = {}
    members: set[Digest] = set()
    rest = [bundle]
    while rest:
        one = rest.pop()
        for wanted in one.asset_digests():
            if one.kind == "set" and wanted not in members:
                members.add(wanted)
                data[wanted] = read(wanted)
                rest.append(Bundle.from_bytes(data[wanted]))
            elif wanted not in data:
                data[wanted] = read(wanted)
    return Parts(data, frozenset(members))
