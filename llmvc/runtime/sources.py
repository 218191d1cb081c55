"""Sources: where snapshots come from.

- A directory is looked at by its pointer's inode, time and size: one `stat` where nothing changed.
  A file system may count its times in seconds and use an inode again, so a pointer that is new here
  is read again until it has been the same for `COARSE_S`.
- What other places need is loaded only for them: HTTP by `web`, a Git repository by `llmvc.store`,
  any other URL by `places`.
- No name of an object leads out of its folder.
"""

import importlib
import os
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from llmvc.core import digest
from llmvc.core.pointer import CHECKED, MOST, OBJECTS, POINTER, is_object
from llmvc.errors import FormatError, NotFoundError, StoreError, UsageError

if TYPE_CHECKING:
    from llmvc.places import Place

COARSE_S: Final = 2.0
"""The longest step of the times that a file system keeps; FAT's."""
_TIME: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


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
        UsageError: it is none.
    """
    if not isinstance(place, str | os.PathLike):
        if not hasattr(place, "pointer"):
            raise UsageError(f"the source is {place!r:.40}", hint="a folder or a URL is one")
        return place
    text = os.fspath(place)
    if not text:  # a variable that is not set must not mean the folder that one happens to be in
        raise UsageError("the source is empty", hint="a folder or a URL is one")
    scheme, has_scheme, _ = text.partition("://")
    if scheme.lower() in ("http", "https") and has_scheme:
        from llmvc.runtime.web import Http  # noqa: PLC0415 (see its first line)

        return Http(text)
    if has_scheme and scheme != "file":
        return Placed(text)
    path = _path_of(text) if has_scheme else text
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
        clock: seconds that only go up.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        packaged: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._packaged, self._clock = os.fspath(path), packaged, clock
        self._pointer = os.path.join(self._path, POINTER)
        self._last, self._since = "", 0.0

    def pointer(self, seen: str | None) -> tuple[bytes, str] | None:
        """Returns the pointer's bytes and a tag of its inode, time and size.

        A pointer that is new here comes again, under the tag of no file, for `COARSE_S`.

        Raises:
            NotFoundError: there is no snapshot.
            StoreError: it cannot be read.
        """
        try:
            if seen is not None and _tag(os.stat(self._pointer)) == seen:
                return None
            with open(self._pointer, "rb") as file:
                tag, now = _tag(os.fstat(file.fileno())), self._clock()
                if tag != self._last:
                    self._last, self._since = tag, now
                settled = now - self._since > COARSE_S
                return file.read(MOST + 1), tag if settled else f"{tag}?"
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
        url: of the directory.

    Raises:
        ConfigError: a library that it needs is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._process, self._place = os.getpid(), _place_at(url)

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
        data = self._here().read(CHECKED)
        return None if data is None else when(data)

    def close(self) -> None:
        """Does nothing; fsspec keeps its connections for all."""

    def _read(self, path: str) -> bytes:
        place = self._here()
        data = place.read(path)
        if data is None:
            raise NotFoundError(f"{place.name}/{path} is missing")
        return data

    def _here(self) -> "Place":
        """Returns the place; after a fork one of this process's own, as fsspec's are not shared."""
        if self._process != os.getpid():
            self._process, self._place = os.getpid(), _place_at(self._url)
        return self._place


def _place_at(url: str) -> "Place":
    from llmvc.places import place_at  # noqa: PLC0415 (it is larger than all of this)

    return place_at(url)


def _path_of(url: str) -> str:
    """Returns the path of a file URL."""
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415 (few name a directory that way)

    return unquote(urlsplit(url).path)


def _tag(stat: os.stat_result) -> str:
    return f"{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}"


def checked_name(name: str) -> str:
    """Returns the name of an object; raises FormatError if it is none, such as `../key`."""
    if not is_object(name):
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
        if re.fullmatch(_TIME, text):
            return datetime.fromisoformat(text).timestamp()
    except ValueError:
        pass
    raise FormatError(f"{CHECKED} is no time: {text!r:.40}", hint="2026-11-20T10:00:00Z is one")
