"""Event logs: which files there are, and their lines, one after the other.

- A file is read as a stream; nothing but the line at hand is in memory, and of a line that is too
  long not even that.
- What log rotation has compressed with gzip is read as it is.
- An event counts once: a file that is a copy of another is refused, however far it was copied.
- A log that is rotated while others are read is found under its new name.
- A last line without its newline is half-written, most likely by a process that writes now: it is
  told apart from a line that is broken, and is no fault.
"""

import gzip
import json
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from glob import escape, glob
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from blake3 import blake3

from llmvc.errors import NotFoundError, StoreError, UsageError

MOST_LINE: Final = 16 << 20
"""A longer line is no event."""
_GZIP: Final = b"\x1f\x8b"
_DECODE: Final = json.JSONDecoder().raw_decode
"""Half of the time that `json.loads` takes for bytes."""
_TOO_LONG: Final = b"a line of over 16 MiB\n"


@dataclass(slots=True)
class Lines:
    """What was read so far.

    Attributes:
        lines: whole lines.
        broken: whole lines that are no JSON object.
        begins: digest of a file's first event -> the file. An event names its time, process and
            unit, so that no other file begins alike.
    """

    lines: int = 0
    broken: int = 0
    begins: dict[str, Path] = field(default_factory=dict[str, Path])


def files(patterns: Iterable[str]) -> tuple[Path, ...]:
    """Returns the files that glob patterns name, sorted; one with several names stands once.

    Raises:
        NotFoundError: a pattern matches no file.
        StoreError: a file is gone, or cannot be looked at.
    """
    found: dict[tuple[int, int], Path] = {}
    for pattern in patterns:
        paths = [Path(name) for name in glob(pattern, recursive=True)]  # noqa: PTH207 (any folder)
        matching = [path for path in paths if path.is_file()]
        if not matching and any(map(Path.is_dir, paths)):
            folder = pattern.rstrip("/")
            raise NotFoundError(f"{pattern} is a folder", hint=f"name files: '{folder}/*.jsonl'")
        if not matching:
            raise NotFoundError(
                f"no event log matches {pattern}", hint="quote the pattern, and check the folder"
            )
        found |= {_identity(path): path for path in matching}
    return tuple(sorted(found.values()))


def raw(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the number of each line, from 1, and the line with its newline if it has one.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            packed = file.peek(2)[:2] == _GZIP
            stream = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file
            for number in count(1):
                line = stream.readline(MOST_LINE)
                if not line:
                    return
                if number == 1:
                    line = line.removeprefix(BOM_UTF8)
                yield number, line if len(line) < MOST_LINE else _skipped(stream, line)
    except (OSError, EOFError, zlib.error) as err:
        raise StoreError(f"cannot read {path}: {getattr(err, 'strerror', None) or err}") from err


def _skipped(stream: BinaryIO, line: bytes) -> bytes:
    """Reads on to the end of a line that is too long, and returns what stands for it."""
    while line and not line.endswith(b"\n"):
        line = stream.readline(MOST_LINE)
    return _TOO_LONG


def events(paths: Iterable[Path], seen: Lines) -> Iterator[dict[str, Any]]:
    """Yields every JSON object of some logs, and counts what is none.

    Args:
        paths: the files.
        seen: is counted up.

    Raises:
        UsageError: a file is a copy of another.
        StoreError: a file cannot be read, or is gone.
    """
    named = [(path, _identity(path)) for path in paths]
    for path, which in named:
        begun = False
        for _, line in raw(_followed(path, which)):
            whole = line.endswith(b"\n")
            event = json_of(line)
            if type(event) is dict:
                seen.lines += 1
                if whole and not begun:
                    begun = True
                    _begin(seen, path, line)
                yield event
            elif whole and line.strip():
                seen.lines += 1
                seen.broken += 1


def _identity(path: Path) -> tuple[int, int]:
    """Returns what tells a file from all others, whatever its name.

    Raises:
        StoreError: it is gone, or cannot be looked at.
    """
    try:
        there = path.stat()
    except OSError as err:
        raise StoreError(f"cannot read {path}: {err.strerror}") from err
    return there.st_dev, there.st_ino


def _followed(path: Path, which: tuple[int, int]) -> Path:
    """Returns where a log is now: reading others takes minutes, in which it may be rotated.

    Raises:
        StoreError: it is nowhere.
    """
    renamed = path.parent.glob(f"{escape(path.name)}.*")  # looks into the folder when it must
    for other in chain((path,), renamed):
        if other.exists() and _identity(other) == which:
            return other
    raise StoreError(f"{path} was moved away while others were read", hint="read them again")


def json_of(line: bytes) -> object:
    """Returns the JSON value of a line; None where it is none, or no UTF-8."""
    try:
        text = line.decode().strip()
        value, end = _DECODE(text)
    except (ValueError, RecursionError):
        return None
    return value if end == len(text) else None


def beginning(line: bytes) -> str:
    """Returns what tells a log from all others, but for its copies: its first event's digest."""
    return blake3(line).hexdigest(16)


def _begin(seen: Lines, path: Path, line: bytes) -> None:
    """Notes a file's first event."""
    other = seen.begins.setdefault(beginning(line), path)
    if other != path:
        raise UsageError(
            f"{other} and {path} begin with the same event: one is a copy of the other",
            hint="name each log once; what counts twice is not measured",
        )
