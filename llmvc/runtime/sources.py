"""Sources: where snapshots come from.

- A directory is looked at by its pointer's inode, time and size: one `stat` where nothing changed.
- What other places need is loaded only for them: HTTP by `web`, a Git repository by `llmvc.store`,
  any other URL by `places`.
- No name of an object leads out of its folder.
"""

import importlib
import os
import re
from typing import TYPE_CHECKING, Final, Protocol

from llmvc.core import digest
from llmvc.errors import FormatError, NotFoundError, StoreError
from llmvc.runtime.snapshot import MOST, POINTER

if TYPE_CHECKING:
    from llmvc.runtime.places import Place

OBJECTS: Final = "objects"
CHECKED: Final = "checked"
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})\Z"
)
_HEX: Final = re.compile(r"[0-9a-f]{64}\Z")


class Source(Protocol):
    """What gives snapshots. It is asked by one thread at a time."""

    def pointer(self, seen: str | None) -> tuple[bytes, str] | None:
        """Returns the bytes of `snapshot.json` and a tag; None if they are those tagged `seen`."""
        ...

    def object(self, name: str) -> bytes:
        """Returns an object by its 64 hex characters.

        Raises:
            NotFoundError: it is not there.
        """
        ...

    def checked(self) -> float | None:
        """Returns when, in seconds since 1970, its feeder last looked; None if that is not told."""
        ...

    def close(self) -> None:
        """Lets go of what it holds; may be called again."""
        ...


def open_source(place: "str | os.PathLike[str] | Source") -> Source:
    """Returns the source at a place.

    Args:
        place: a directory that holds a snapshot, a Git repository, a URL, or a source.

    Raises:
        ConfigError: a library that it needs is not installed.
        StoreError: it cannot be opened.
    """
    if not isinstance(place, str | os.PathLike):
        return place
    text = os.fspath(place)
    scheme, has_scheme, rest = text.partition("://")
    if scheme in ("http", "https") and has_scheme:
        from llmvc.runtime.web import Http  # noqa: PLC0415 (see its first line)

        return Http(text)
    if has_scheme and scheme != "file":
        from llmvc.runtime.places import place_at  # noqa: PLC0415 (it is larger than all of this)

        return Placed(place_at(text))
    path = rest if has_scheme else text
    if not os.path.exists(os.path.join(path, POINTER)) and is_repository(path):
        store = importlib.import_module("llmvc.store.serving")
        source: Source = store.GitSource(path)
        return source
    return Directory(path)


def usual_wait_s(source: Source) -> float:
    """Returns the seconds between two looks where nobody says: 0.1 for a directory, else 2."""
    return 0.1 if isinstance(source, Directory) else 2.0


def is_repository(path: str) -> bool:
    """Says whether a folder is the top of a Git repository, bare or not."""
    bare = all(os.path.exists(os.path.join(path, name)) for name in ("HEAD", "objects", "refs"))
    return bare or os.path.exists(os.path.join(path, ".git"))


class Directory:
    """A directory that somebody writes: `llmvc snapshot`, an agent, or an image's build.

    Args:
        path: the directory.
        packaged: whether it came with the service, so that its age is its pointer's.
    """

    def __init__(self, path: str | os.PathLike[str], *, packaged: bool = False) -> None:
        self._path, self._packaged = os.fspath(path), packaged
        self._pointer = os.path.join(self._path, POINTER)

    def pointer(self, seen: str | None) -> tuple[bytes, str] | None:
        """Returns the pointer's bytes and a tag of its inode, time and size.

        Raises:
            NotFoundError: there is no snapshot.
            StoreError: it cannot be read.
        """
        try:
            if seen is not None and _tag(os.stat(self._pointer)) == seen:
                return None
            with open(self._pointer, "rb") as file:
                return file.read(MOST + 1), _tag(os.fstat(file.fileno()))
        except FileNotFoundError as err:
            hint = f"write one: llmvc snapshot --to {self._path}"
            raise NotFoundError(f"{self._path} holds no snapshot", hint=hint) from err
        except OSError as err:
            raise StoreError(f"{self._pointer} cannot be read: {err.strerror}") from err

    def object(self, name: str) -> bytes:
        """Returns an object; see `Source`."""
        return self._read(os.path.join(OBJECTS, checked_name(name)))

    def checked(self) -> float | None:
        """Returns what the file `checked` says; for a packaged snapshot without one, its age."""
        try:
            return when(self._read(CHECKED))
        except NotFoundError:
            return os.stat(self._pointer).st_mtime if self._packaged else None

    def close(self) -> None:
        """Does nothing; no file is kept open."""

    def _read(self, name: str) -> bytes:
        path = os.path.join(self._path, name)
        try:
            with open(path, "rb") as file:
                return file.read(MOST + 1)
        except FileNotFoundError as err:
            raise NotFoundError(f"{path} is missing") from err
        except OSError as err:
            raise StoreError(f"{path} cannot be read: {err.strerror}") from err


class Placed:
    """A directory at any URL that fsspec knows, such as `s3://bucket/serve`.

    Args:
        place: the directory.
    """

    def __init__(self, place: "Place") -> None:
        self._place = place

    def pointer(self, seen: str | None) -> tuple[bytes, str] | None:
        """Returns the pointer's bytes and their BLAKE3; they are read each time."""
        data = self._read(POINTER)
        tag = digest.of_bytes(data)
        return None if tag == seen else (data, tag)

    def object(self, name: str) -> bytes:
        """Returns an object; see `Source`."""
        return self._read(f"{OBJECTS}/{checked_name(name)}")

    def checked(self) -> float | None:
        """Returns what the file `checked` says; None if there is none."""
        data = self._place.read(CHECKED)
        return None if data is None else when(data)

    def close(self) -> None:
        """Does nothing; fsspec keeps its connections for all."""

    def _read(self, path: str) -> bytes:
        data = self._place.read(path)
        if data is None:
            raise NotFoundError(f"{self._place.name}/{path} is missing")
        return data


def _tag(stat: os.stat_result) -> str:
    return f"{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}"


def checked_name(name: str) -> str:
    """Returns the name of an object; raises FormatError if it is none, such as `../key`."""
    if not _HEX.match(name):
        raise FormatError(f"{name!r:.80} is no object's name")
    return name


def when(data: bytes) -> float:
    """Returns the seconds since 1970 of an RFC 3339 time.

    Raises:
        FormatError: it is none.
    """
    from datetime import datetime  # noqa: PLC0415 (only where a feeder tells the time)

    text = data.decode("ascii", "replace").strip()
    try:
        if _TIME.match(text):
            return datetime.fromisoformat(text).timestamp()
    except ValueError:
        pass
    raise FormatError(f"{CHECKED} is no time: {text!r:.40}", hint="2026-11-20T10:00:00Z is one")
