"""A run cache that several machines share: a laptop and CI do not pay for the same call twice.

- It holds segments, `<ledger>/<digest>.jsonl`: some lines of a ledger, named by the digest of their
  bytes. None is ever changed, so that writers cannot conflict, and a bad one is found by its name.
- Before an eval the segments that are not here are copied beside the ledger; after it the lines
  that nobody has yet become one segment. `<ledger>.shared` remembers up to where that was done.
- What is wrong with it never stops an eval: it goes on with the runs at hand, and says so.
- Outputs are private: whoever can read the place can read them.
"""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, ParamSpec, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from llmvc.core import digest
from llmvc.errors import ConfigError, StoreError

P = ParamSpec("P")
T = TypeVar("T")

_SEGMENT: Final = re.compile(r"[0-9a-f]{64}\.jsonl\Z")


class Place(Protocol):
    """Where segments lie."""

    def names(self, folder: str) -> Iterable[str]:
        """Returns the names in a folder; none if it is not there."""
        ...

    def read(self, path: str) -> bytes:
        """Returns the bytes of a file."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Writes a file; nobody ever sees a part of it."""
        ...


class Shared:
    """The shared run cache at one place.

    Attributes:
        notes: what went wrong, for people.
    """

    def __init__(self, place: Place, shown: str) -> None:
        self.notes: list[str] = []
        self._place = place
        self._shown = shown

    @classmethod
    def at(cls, url: str, root: Path) -> "Shared":
        """Returns the cache at a URL.

        Args:
            url: of any kind that fsspec knows; a path or `file:` URL needs no fsspec.
            root: what a relative path starts from.

        Raises:
            ConfigError: a package is missing, or nobody knows such URLs.
        """
        parts = urlsplit(url)
        if parts.scheme == "file":
            return cls(Folder(Path(unquote(parts.path))), url)
        if not parts.scheme or len(parts.scheme) == 1:
            return cls(Folder(root / Path(url).expanduser()), url)
        # What stands before an @ may be a secret, and messages end up in logs.
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
        return cls(_elsewhere(url, shown), shown)

    def pull(self, ledger: Path) -> None:
        """Copies the segments of a ledger that are not here beside it."""
        own, folder = _pushed(ledger), ledger.with_suffix("")
        try:
            names = _reach(self._listed, ledger.stem)
        except StoreError as err:
            self._note(f"cannot be read: {err}; calls that others made are made again")
            return
        for name in names:
            if name in own or (folder / name).exists():
                continue
            segment = f"segment {ledger.stem[:12]}/{name[:12]}"
            try:
                data = _reach(self._place.read, f"{ledger.stem}/{name}")
                if digest.hex_of(digest.of_bytes(data)) == name[:64]:
                    _reach(_write, folder / name, data)
                else:
                    self._note(f"{segment} is not what its name says")
            except StoreError as err:  # it may be private: others can be read all the same
                self._note(f"{segment} cannot be read: {err}")

    def _listed(self, folder: str) -> list[str]:
        return sorted(name for name in self._place.names(folder) if _SEGMENT.match(name))

    def push(self, ledger: Path) -> None:
        """Makes one segment of the lines that are new in a ledger."""
        try:
            with ledger.open("rb") as file:
                start = max(_pushed(ledger).values(), default=0)
                file.seek(start)
                data = file.read()
        except OSError:
            return  # no run was made
        data = data[: data.rfind(b"\n") + 1]
        if not data:
            return
        name = f"{digest.hex_of(digest.of_bytes(data))}.jsonl"
        try:
            _reach(self._place.write, f"{ledger.stem}/{name}", data)
            _reach(_mark, ledger, f"{start + len(data)} {name}\n")
        except StoreError as err:
            self._note(
                f"cannot be written: {err}; the runs are kept here: make it writable, and the "
                "next eval adds them"
            )

    def _note(self, text: str) -> None:
        said = f"shared run cache {self._shown} {text}"
        if said not in self.notes:
            self.notes.append(said)


class Folder:
    """A folder as a place, such as one that CI keeps from job to job."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def names(self, folder: str) -> Iterable[str]:
        """Returns the names in a folder."""
        try:
            return [path.name for path in (self._top / folder).iterdir()]
        except FileNotFoundError:
            return ()

    def read(self, path: str) -> bytes:
        """Returns the bytes of a file."""
        return (self._top / path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        """Writes a file under another name first."""
        _write(self._top / path, data)


class Elsewhere:
    """Any file system that fsspec knows, as a place."""

    def __init__(self, files: Any, top: str) -> None:
        self._files = files
        self._top = top.rstrip("/")

    def names(self, folder: str) -> Iterable[str]:
        """Returns the names in a folder."""
        try:
            self._files.invalidate_cache()
            found = self._files.ls(f"{self._top}/{folder}", detail=False)
        except FileNotFoundError:
            return ()
        return [str(path).rpartition("/")[2] for path in found]

    def read(self, path: str) -> bytes:
        """Returns the bytes of a file."""
        return bytes(self._files.cat_file(f"{self._top}/{path}"))

    def write(self, path: str, data: bytes) -> None:
        """Writes a file in one go, as object stores do."""
        self._files.makedirs(f"{self._top}/{path}".rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(f"{self._top}/{path}", data)


def _elsewhere(url: str, shown: str) -> Elsewhere:
    try:
        import fsspec  # type: ignore[import-untyped]  # noqa: PLC0415 (an extra; it has no types)

        files, top = fsspec.core.url_to_fs(url)
    except ImportError as err:
        raise ConfigError(
            f"shared run cache {shown} needs another package: {_told(err)}",
            hint="pip install 'llmvc[cache]', and the package of that kind of place",
        ) from err
    except ValueError as err:
        raise ConfigError(
            f"shared run cache {shown}: {_told(err)}",
            hint="a path, file:, s3:, gs:, sftp:, or another kind that fsspec knows",
        ) from err
    return Elsewhere(files, str(top))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    part.replace(path)


def _reach(act: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
    """Does something at a place; each kind of place has errors of its own."""
    try:
        return act(*args, **more)
    except Exception as err:
        raise StoreError(_told(err)) from err


def _mark(ledger: Path, line: str) -> None:
    with _marks(ledger).open("a", encoding="ascii") as marks:
        marks.write(line)


def _marks(ledger: Path) -> Path:
    return ledger.with_suffix(".shared")


def _pushed(ledger: Path) -> dict[str, int]:
    """Returns the segments that were made of a ledger, and where each ends in it.

    A ledger that is shorter than that was lost, so that nothing noted of it holds any more.
    """
    try:
        lines = _marks(ledger).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return {}
    pairs = (line.partition(" ") for line in lines)
    found = {name: int(end) for end, _, name in pairs if end.isdigit() and _SEGMENT.match(name)}
    if max(found.values(), default=0) <= (ledger.stat().st_size if ledger.exists() else 0):
        return found
    _marks(ledger).unlink(missing_ok=True)
    return {}


def _told(err: BaseException) -> str:
    """Returns an error's first line; of one of the system its words alone."""
    if isinstance(err, OSError) and err.strerror:
        return err.strerror
    return (str(err).strip() or type(err).__name__).splitlines()[0][:200]
