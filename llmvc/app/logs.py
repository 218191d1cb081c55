"""Checking event logs: every line by the published schema, and every version by the releases.

- Files are streams, and problems are told up to a number: a log may have millions of both.
- A half-written last line is told and is no fault: a process may be writing it now.
- A log that is there twice is a fault: an analysis would refuse it.
- A version that no environment of its bundle ever served is a fault: some service runs a build, or
  a snapshot, that does not know what it was given.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmvc.app.workspace import Workspace
from llmvc.errors import FormatError, LlmvcError
from llmvc.files.check import check
from llmvc.files.reading import Document
from llmvc.traces.reading import beginning, files, json_of, raw

MOST: Final = 20
"""So many problems are told; the others are counted."""
_SHORT: Final = 15


@dataclass(frozen=True, slots=True)
class Problem:
    """One line that is wrong.

    Attributes:
        file: the log.
        line: its number, from 1.
        what: what is wrong with it.
    """

    file: str
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What the lines of some logs are.

    Attributes:
        files: logs read.
        events: kind of event -> how many are right.
        broken: lines that are wrong, those that are not told included.
        problems: the first of them, in their order.
        halves: last lines without an end: `file:line`.
        unknown: `BUNDLE VERSION` -> events of a version that was never released; None where no
            release is known to compare with.
    """

    files: int
    events: Mapping[str, int]
    broken: int
    problems: tuple[Problem, ...]
    halves: tuple[str, ...]
    unknown: Mapping[str, int] | None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.broken and not self.unknown


def validate(patterns: Iterable[str], ws: Workspace | None = None) -> Checked:
    """Checks logs.

    Args:
        patterns: globs of the files.
        ws: the repository whose releases are compared with; None for none.

    Raises:
        NotFoundError: a pattern matches no file.
    """
    paths, events = files(patterns), Counter[str]()
    problems: list[Problem] = []
    halves: list[str] = []
    served: Counter[tuple[str, str]] = Counter()
    begins: dict[str, Path] = {}
    broken = 0
    for path in paths:
        begun = False
        for number, line in raw(path):
            found = _read(path, line)
            if isinstance(found, Mapping) and not begun:
                begun, other = True, begins.setdefault(beginning(line), path)
                found = found if other == path else f"a copy of {other} begins"
            if isinstance(found, Mapping):
                events[str(found["event"])] += 1
                if found["event"] != "heartbeat":
                    served[found["llmvc.bundle.name"], found["llmvc.bundle.digest"][:_SHORT]] += 1
            elif not line.endswith(b"\n"):
                halves.append(f"{path}:{number}")
            elif line.strip():
                broken += 1
                if len(problems) < MOST:
                    problems.append(Problem(str(path), number, found))
    return Checked(
        len(paths),
        dict(sorted(events.items())),
        broken,
        tuple(problems),
        tuple(halves),
        _never_released(ws, served),
    )


def _read(path: Path, line: bytes) -> dict[str, Any] | str:
    """Returns the event of a line, or what is wrong with it."""
    value: Any = json_of(line)
    if not isinstance(value, dict):
        return "no JSON object"
    name = str(path)
    try:
        check(Document(name, value), "event")
    except FormatError as err:
        return str(err).removeprefix(f"{name}: ")
    return value


def _never_released(
    ws: Workspace | None, served: Mapping[tuple[str, str], int]
) -> dict[str, int] | None:
    """Returns the versions that no environment of their bundle ever served."""
    if ws is None:
        return None
    known: set[tuple[str, str]] = set()
    try:
        for bundle, env in ws.repo.environments():
            releases = ws.repo.chain(bundle, env).releases()
            known |= {(bundle, release.to[:_SHORT]) for release in releases}
    except LlmvcError:
        return None  # what the logs say can be checked without the releases
    if not known:
        return None
    return {
        f"{bundle} {version}": n
        for (bundle, version), n in sorted(served.items())
        if (bundle, version) not in known
    }
