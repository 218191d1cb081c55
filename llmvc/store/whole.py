"""What the store must hold, given what it holds: a rule for each type of object.

- A blob under `a/` or `v/` lies under `o/` as well; what is about something is filed under it.
- A report needs its bundles, its suite and the reports that it unites; a suite its datasets; a
  version its bundle, the bundle's parts, and the versions before it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.bundle import TYPE as BUNDLE
from llmvc.core.bundle import Bundle
from llmvc.core.digest import Digest
from llmvc.core.report import TYPE as REPORT
from llmvc.core.suite import TYPE as SUITE
from llmvc.core.version import TYPE as VERSION
from llmvc.core.version import keys_of
from llmvc.errors import FormatError
from llmvc.store.versions import about_folder, object_path, version_path

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    REPORT: ("candidate", "baseline", "suite", "merges"),
    SUITE: ("datasets",),
    VERSION: ("bundle",),
}


class Whole:
    """Takes every object of a store, and then tells what is not there."""

    def __init__(self) -> None:
        self._wanted: dict[str, str] = {}
        self._parts: dict[Digest, tuple[Digest, ...]] = {}
        self._committed: set[Digest] = set()

    def take(self, path: str, data: bytes) -> None:
        """Notes what a file of the store needs; one that cannot be read needs nothing."""
        own = digest.of_bytes(data)
        if not path.startswith("o/"):
            self._wanted.setdefault(object_path(own), path)
            return
        try:
            body = canon.decode(data) if data.startswith(b'{"') else None
            if isinstance(body, dict):
                self._read(path, own, body)
        except FormatError:
            return

    def _read(self, path: str, own: Digest, body: Mapping[str, canon.Json]) -> None:
        kind = str(body.get("llmvc"))
        for key in keys_of(body) or ():
            self._wanted.setdefault(f"{about_folder(key)}/{digest.hex_of(own)}", path)
        for name in _NAMES.get(kind, ()):
            for of in _digests(body.get(name)):
                self._wanted.setdefault(object_path(of), path)
        if kind == BUNDLE:
            self._parts[own] = Bundle(canon.encode(body)).asset_digests()
        if kind == VERSION:
            self._committed.add(digest.parse(body.get("bundle")))
            for of in (own, *_digests(body.get("parents"))):
                self._wanted.setdefault(version_path(str(body.get("name")), of), path)

    def lacks(self, paths: frozenset[str]) -> Iterator[tuple[str, str]]:
        """Yields what is not among the paths of the store, and the path of what needs it."""
        for bundle in sorted(self._committed):
            for of in self._parts.get(bundle, ()):
                self._wanted.setdefault(object_path(of), object_path(bundle))
        yield from ((path, why) for path, why in sorted(self._wanted.items()) if path not in paths)


def _digests(value: canon.Json) -> tuple[Digest, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(digest.parse(item) for item in listed if item is not None)
