"""Where files are read from, and which paths may be named.

- A path is relative, POSIX, NFC, and means the same on every system; anything else is refused
  before a file is touched.
- The working tree is read without following links, component by component, and only regular
  files are opened: what was checked is what was read.
"""

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from llmvc.errors import FormatError, NotFoundError, StoreError

MAX_BYTES: Final = 256 * 1024 * 1024
SKIPPED: Final = frozenset({".git", "node_modules", ".venv", "__pycache__"})

_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?\Z", re.IGNORECASE)
_GIT_ALIAS = re.compile(r"(\.git|git~[0-9]+)\Z", re.IGNORECASE)
_FORBIDDEN = frozenset('\\:<>"|?*')
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class Files(Protocol):
    """A tree of files: the working tree, or that of a Git commit."""

    @property
    def label(self) -> str:
        """Empty for the working tree, `git:REV` for a commit; used in messages."""
        ...

    def read(self, path: str) -> bytes:
        """Returns the bytes of a file named relative to the repository's root.

        Raises:
            NotFoundError: there is no such file.
            FormatError: it is not a regular file, or too large.
        """
        ...

    def names(self) -> tuple[str, ...]:
        """Returns the paths of all files, sorted."""
        ...

    def root(self) -> Path | None:
        """Returns the folder of the working tree; None for a commit."""
        ...


class WorkTree:
    """The files of a working tree, as they lie on disk.

    Args:
        root: top of the working tree.
    """

    label = ""

    def __init__(self, root: Path) -> None:
        self._root = root

    def root(self) -> Path | None:
        """Returns the top of the working tree."""
        return self._root

    def read(self, path: str) -> bytes:
        """Returns the bytes of a file; links are refused at every component."""
        check_path(path)
        try:
            return _read_beneath(self._root, path.split("/"))
        except FileNotFoundError as err:
            raise NotFoundError(
                f"{path} is not there", hint="create it, or correct the name"
            ) from err
        except OSError as err:
            if err.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
                raise FormatError(
                    f"{path} is a symbolic link, or not a regular file",
                    hint="put a copy of the file itself there",
                ) from err
            raise StoreError(f"{path} cannot be read: {err.strerror}") from err

    def names(self) -> tuple[str, ...]:
        """Returns all files except those of Git, of nested repositories and of package folders."""
        return tuple(sorted(_walk(str(self._root), "")))


def check_path(path: str) -> str:
    """Returns a path that may be named in a manifest or suite.

    Raises:
        FormatError: it is absolute, climbs, or means something else on another system.
    """
    wrong = _wrong_with(path)
    if wrong:
        raise FormatError(
            f"path {path!r} {wrong}",
            hint="name a file in the same folder or below it, such as texts/system.md",
        )
    return path


def beside(path: str, name: str) -> str:
    """Returns the path of a file named relative to the folder of another one."""
    folder, slash, _ = path.rpartition("/")
    return f"{folder}{slash}{name}"


def check_collisions(paths: Iterable[str], where: str) -> None:
    """Refuses paths that are one file where case does not count."""
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(unicodedata.normalize("NFC", path.casefold()), path)
        if other != path:
            raise FormatError(
                f"{where}: {other} and {path} differ only in case",
                hint="rename one; on some systems they are one file",
            )


def _wrong_with(path: str) -> str:
    rules = (
        (not path, "is empty"),
        (path.startswith("/"), "is absolute"),
        (any(char in _FORBIDDEN for char in path), "holds a character that is not portable"),
        (
            any(unicodedata.category(char) in _INVISIBLE for char in path),
            "holds a control or invisible character",
        ),
        (not unicodedata.is_normalized("NFC", path), "is not in Unicode normal form C"),
        (len(path) > 1024, "is longer than 1024 characters"),
    )
    for broken, what in rules:
        if broken:
            return what
    return next((wrong for part in path.split("/") if (wrong := _wrong_with_part(part))), "")


def _wrong_with_part(part: str) -> str:
    if part in ("", ".", ".."):
        return f"holds the component {part!r}"
    if part[-1] in ". ":
        return "holds a component that ends in a dot or a space"
    if _GIT_ALIAS.match(part):
        return "leads into Git's own folder"
    if _DEVICE.match(part):
        return "holds the name of a device"
    return (
        "holds a component longer than 255 bytes"
        if len(part.encode("utf-8", "replace")) > 255
        else ""
    )


def _read_beneath(root: Path, parts: Sequence[str]) -> bytes:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = inner
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(parts[-1], flags, dir_fd=folder)
    finally:
        os.close(folder)
    return read_regular(handle, "/".join(parts))


def read_regular(handle: int, name: str) -> bytes:
    """Reads an open file and closes it; refuses what is not a regular file, or over the limit."""
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode):
        os.close(handle)  # a folder cannot be handed to fdopen, which would leave it open
        raise FormatError(f"{name} is not a regular file")
    with os.fdopen(handle, "rb") as stream:
        data = stream.read(MAX_BYTES + 1) if state.st_size <= MAX_BYTES else b""
    if state.st_size > MAX_BYTES or len(data) > MAX_BYTES:
        raise FormatError(f"{name} is larger than {MAX_BYTES // 1024 // 1024} MiB")
    return data


def _walk(folder: str, prefix: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            listed = list(entries)
    except PermissionError:
        return  # a folder that may not be listed holds nothing that could be read
    if prefix and any(entry.name == ".git" for entry in listed):
        return  # a nested repository or submodule has its own bundles
    for entry in listed:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in SKIPPED:
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False) and entry.name not in SKIPPED:
            yield prefix + entry.name
