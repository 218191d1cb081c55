"""Files that are whole or not there, in a folder or in whatever fsspec knows.

- A file is written under another name first, or in one go.
- What a place writes to a folder is on disk before it has its name, and the name is on disk before
  `write` ends.
- Writers of one folder take turns; a writer that is killed holds no lock.
"""

import fcntl
import os
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, ParamSpec, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from llmvc.errors import ConfigError, StoreError

P = ParamSpec("P")
T = TypeVar("T")

PART: Final = ".part"
"""How names of files end that are being written; no reader looks at them."""
TURN_S: Final = 10.0
"""How long a writer waits for another one."""
_LOCK: Final = ".lock"


class Place(Protocol):
    """Where files lie; paths are relative, with `/`."""

    name: str

    def read(self, path: str) -> bytes | None:
        """Returns the bytes of a file; None if it is not there."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Writes a file; nobody ever sees a part of it."""
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """Returns the names in a folder, sorted; none if it is not there."""
        ...

    def remove(self, path: str) -> None:
        """Removes a file, if it is there."""
        ...

    def turn(self) -> AbstractContextManager[object]:
        """Waits until no other writer is at work, and keeps others waiting."""
        ...


class Folder:
    """A folder as a place.

    Args:
        top: the folder; it is made when it is written to.
        private: whether what is written is for its owner alone.
    """

    def __init__(self, top: Path, *, private: bool = False) -> None:
        self.top = top
        self._private = private
        self.name = str(top)

    def read(self, path: str) -> bytes | None:
        """Returns the bytes of a file; None if it is not there."""
        try:
            return (self.top / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise StoreError(f"cannot read {self.top / path}: {err.strerror}") from err

    def write(self, path: str, data: bytes) -> None:
        """Writes a file and makes it durable.

        Raises:
            StoreError: the disk refused.
        """
        target = self.top / path
        try:
            put(target, data, durable=True, private=self._private)
            handle = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as err:
            raise StoreError(f"cannot write {target}: {err.strerror}") from err

    def names(self, folder: str) -> tuple[str, ...]:
        """Returns the names in a folder, sorted."""
        try:
            return tuple(sorted(path.name for path in (self.top / folder).iterdir()))
        except FileNotFoundError:
            return ()
        except OSError as err:
            raise StoreError(f"cannot read {self.top / folder}: {err.strerror}") from err

    def remove(self, path: str) -> None:
        """Removes a file, if it is there."""
        (self.top / path).unlink(missing_ok=True)

    @contextmanager
    def turn(self) -> Generator[None]:
        """Waits until no other writer is at work here; the system ends the turn of a dead one.

        Raises:
            StoreError: the other does not come to an end, or the disk refused.
        """
        try:
            self.top.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.top / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as err:
            raise StoreError(f"cannot write {self.top}: {err.strerror}") from err
        try:
            self._lock(handle)
            yield
        finally:
            os.close(handle)

    def _lock(self, handle: int) -> None:
        until = time.monotonic() + TURN_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as err:
                if time.monotonic() > until:
                    raise StoreError(
                        f"another writer has held {self.top / _LOCK} for {TURN_S:g} s",
                        hint=f"find it and end it: fuser {self.top / _LOCK}",
                    ) from err
                time.sleep(0.01)
            else:
                return


class Elsewhere:
    """Any file system that fsspec knows, as a place; it should have one writer at a time."""

    def __init__(self, files: Any, top: str, name: str) -> None:
        self._files = files
        self._top = top.rstrip("/")
        self.name = name

    def read(self, path: str) -> bytes | None:
        """Returns the bytes of a file; None if it is not there."""
        try:
            return bytes(self._reach(self._files.cat_file, self._at(path)))
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> None:
        """Writes a file in one go, as object stores do."""
        self._reach(self._files.makedirs, self._at(path).rpartition("/")[0], exist_ok=True)
        self._reach(self._files.pipe_file, self._at(path), data)

    def names(self, folder: str) -> tuple[str, ...]:
        """Returns the names in a folder, sorted."""
        self._reach(self._files.invalidate_cache)
        try:
            found = self._reach(self._files.ls, self._at(folder), detail=False)
        except FileNotFoundError:
            return ()
        return tuple(sorted(str(path).rpartition("/")[2] for path in found))

    def remove(self, path: str) -> None:
        """Removes a file, if it is there."""
        try:
            self._reach(self._files.rm_file, self._at(path))
        except FileNotFoundError:
            return

    def turn(self) -> AbstractContextManager[object]:
        """Waits for nobody: object stores have no locks."""
        return nullcontext()

    def _at(self, path: str) -> str:
        return f"{self._top}/{path}"

    def _reach(self, act: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        """Does something there; each kind of place has errors of its own."""
        try:
            return act(*args, **more)
        except FileNotFoundError:
            raise
        except Exception as err:
            said = (str(err).strip() or type(err).__name__).splitlines()[0][:200]
            raise StoreError(f"cannot use {self.name}: {said}") from err


def probe(place: Place) -> None:
    """Writes a small file and removes it again.

    Raises:
        StoreError: the place cannot be written.
    """
    with place.turn():
        place.write(f".probe{PART}", b"")
        place.remove(f".probe{PART}")


def place_at(url: str, *, private: bool = False) -> Place:
    """Returns the place at a path or URL.

    Args:
        url: of any kind that fsspec knows; a path or `file:` URL needs no fsspec.
        private: whether what is written to a folder is for its owner alone.

    Raises:
        ConfigError: a package is missing, nobody knows such URLs, or none can be written there.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Folder(Path(unquote(parts.path)), private=private)
    if len(parts.scheme) < 2:
        return Folder(Path(url).expanduser(), private=private)
    # What stands before an @ may be a secret, and messages end up in logs.
    name = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
    if parts.scheme in ("http", "https"):
        raise ConfigError(
            f"{name} cannot be written: over HTTP files are only read",
            hint="write to what that URL serves, such as a folder or s3://BUCKET/llmvc",
        )
    try:
        import fsspec  # type: ignore[import-untyped]  # noqa: PLC0415 (an extra; it has no types)

        files, top = fsspec.core.url_to_fs(url)
    except ImportError as err:
        raise ConfigError(
            f"{name} needs another package: {err}",
            hint="pip install 'llmvc[cache]', and the package of that kind of place",
        ) from err
    except (OSError, ValueError) as err:
        raise ConfigError(f"{name}: {err}") from err
    return Elsewhere(files, str(top), name)


def put(target: Path, data: bytes, *, durable: bool = False, private: bool = False) -> None:
    """Writes a file under another name and renames it.

    Args:
        target: its path; folders are made.
        data: its bytes.
        durable: whether the bytes must be on disk before the name is.
        private: whether it, and folders that are made, are for their owner alone.

    Raises:
        OSError: the disk refused.
    """
    target.parent.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
    # In containers every process has the same few numbers, and one that was killed left its part.
    part = target.with_name(f".{target.name}.{os.urandom(8).hex()}{PART}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
