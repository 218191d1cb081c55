"""What the benchmarks of whole processes share: an environment of their own, and a stopwatch."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

LLMVC = [sys.executable, "-m", "llmvc"]
BARE = [sys.executable, "-c", "pass"]
ENVIRON = {
    # Without PYTHON*: a process that may not keep its bytecode compiles all sources every time.
    **{key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Bench",
    "GIT_AUTHOR_EMAIL": "bench@example.org",
    "GIT_COMMITTER_NAME": "Bench",
    "GIT_COMMITTER_EMAIL": "bench@example.org",
}


class Took(NamedTuple):
    """What one process took; its own children are counted in `user_s`."""

    wall_s: float
    user_s: float
    peak_mb: int
    last_line: str


def timed(command: Sequence[str], folder: Path) -> Took:
    """Runs one process to its end; `last_line` is that of its standard error."""
    with tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=folder, env=ENVIRON, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        last = said.read().rstrip("\n").rpartition("\n")[2]
    if child.returncode:
        sys.exit(f"{' '.join(command)} ended with {child.returncode}: {last}")
    return Took(wall, usage.ru_utime, usage.ru_maxrss // 1024, last)
