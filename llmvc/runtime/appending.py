"""A file of lines that many processes append to, and that begins anew when it has grown large.

- A line is one `write` to a file opened for appending: lines of two processes never mix.
- Whoever finds the file too large renames it, under a lock on the file itself; the others find the
  same soon after, see that it is done, and go on in the new one.
- `pathlib` would cost a service 10 ms at its start: this module keeps to `os`.
"""

import fcntl
import os
import time
from typing import Final

_MODE: Final = 0o640
_CHECKS: Final = 64
"""So often a process looks at the size of the file while it writes as much as fits in one."""
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class Appended:
    """One process's hold on such a file; not for two threads at once.

    Args:
        path: the file; it is made, with its folder, when the first line comes.
        most_bytes: from about this size on it is renamed to `PATH.<nanoseconds>`; each process may
            overshoot by a 64th.
    """

    def __init__(self, path: str, most_bytes: int) -> None:
        self._path = path
        self._most = most_bytes
        self._fd = -1
        self._torn = False
        self._unseen = 0

    def append(self, line: bytes) -> None:
        """Appends a line, which ends with its newline.

        Raises:
            OSError: the disk did not take all of it; the next line begins on a line of its own.
        """
        if self._fd < 0:
            self._open()
        elif self._unseen > self._most // _CHECKS:
            self._look()
        self._unseen += len(line)
        data = b"\n" + line if self._torn else line
        written = os.write(self._fd, data)
        self._torn = written < len(data)
        if self._torn:
            raise OSError(f"{self._path}: the disk took {written} of {len(data)} bytes")

    def close(self) -> None:
        """Closes the file; the next line opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)  # noqa: PTH103, PTH120 (see the module)
        self._fd = os.open(self._path, _FLAGS, _MODE)

    def _look(self) -> None:
        """Looks how large the file is; to do so at every line costs as much as the line."""
        self._unseen = 0
        mine = os.fstat(self._fd)
        if mine.st_size >= self._most or not mine.st_nlink:
            self._rotate()

    def _rotate(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            mine = os.fstat(self._fd)
            try:
                there = os.stat(self._path)  # noqa: PTH116 (see the module)
            except FileNotFoundError:
                there = None
            # Another process that held the lock may have renamed it: then there is nothing to do.
            if there is not None and (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev):
                os.rename(self._path, f"{self._path}.{time.time_ns()}")  # noqa: PTH104 (see the module)
        finally:
            self.close()
        self._open()
