"""Event logs: which files there are, and their lines, one after the other.

- A file is read as a stream; nothing but the line at hand is in memory.
- A last line without its newline is half-written, most likely by a process that writes now: it is
  told apart from a line that is broken, and is no fault.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

from llmvc.errors import NotFoundError, StoreError


@dataclass(slots=True)
class Lines:
    """What was read so far.

    Attributes:
        files: files opened.
        lines: whole lines.
        broken: whole lines that are no JSON object.
        halves: last lines that were not whole.
    """

    files: int = 0
    lines: int = 0
    broken: int = 0
    halves: int = 0


def files(patterns: Iterable[str]) -> tuple[Path, ...]:
    """Returns the files that glob patterns name, each once, sorted.

    Raises:
        NotFoundError: a pattern matches no file.
    """
    found: dict[Path, Path] = {}
    for pattern in patterns:
        paths = [Path(name) for name in glob(pattern, recursive=True)]  # noqa: PTH207 (any folder)
        matching = [path for path in paths if path.is_file()]
        if not matching:
            raise NotFoundError(
                f"no event log matches {pattern}", hint="quote the pattern, and check the folder"
            )
        found |= {path.resolve(): path for path in matching}
    return tuple(sorted(found.values()))


def raw(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the number of each line, from 1, and the line with its newline if it has one.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            yield from enumerate(stream, 1)
    except OSError as err:
        raise StoreError(f"cannot read {path}: {err.strerror}") from err


def events(paths: Iterable[Path], seen: Lines) -> Iterator[dict[str, Any]]:
    """Yields every JSON object of some logs, and counts what is none.

    Args:
        paths: the files.
        seen: is counted up.
    """
    loads = json.loads
    for path in paths:
        seen.files += 1
        for _, line in raw(path):
            whole = line.endswith(b"\n")
            try:
                event = loads(line)
            except (ValueError, RecursionError):
                event = None
            if isinstance(event, dict):
                seen.lines += 1
                yield event
            elif not whole:
                seen.halves += 1
            elif line.strip():
                seen.lines += 1
                seen.broken += 1
