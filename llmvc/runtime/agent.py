"""The agent: one poller a machine keeps a folder at what a remote or another snapshot tells of.

- What cannot be reached, or must not be followed, leaves the folder as it is, and its `checked`
  where it was, so that readers know how old it is.
- An older pointer of the same releases is no trouble for `PATIENCE_S`: caches do not agree at once.
- Trouble is said once, when it begins, and once more when it is over.
- Failures are followed by longer and longer pauses; all pauses differ between machines.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from llmvc.core import digest
from llmvc.core.pointer import CHECKED, POINTER
from llmvc.core.times import rfc3339
from llmvc.errors import LlmvcError, StoreError
from llmvc.places import Folder, put
from llmvc.runtime.export import Exported, export
from llmvc.runtime.snapshot import PATIENCE_S, OlderError

if TYPE_CHECKING:
    from llmvc.runtime.sources import Source

LONGEST: Final = 5
LONGEST_S: Final = 30.0
"""Longest mean pause after failures: in usual ones, and in seconds unless the usual is longer."""


class Stopped(BaseException):
    """The agent was told to end; raised by whoever handles the signal, wherever it is then."""


def stop(*_: object) -> NoReturn:
    """Ends the agent; to be used as a handler of signals.

    Raises:
        Stopped: always.
    """
    raise Stopped


def _fraction() -> float:
    return int.from_bytes(os.urandom(4), "big") / 2**32


@dataclass
class Agent:
    """Keeps one folder up to date.

    Attributes:
        source: what to write.
        place: where to.
        name: what the source is called, for people.
        follow: brings the source itself up to date first; raises where that fails.
        every_s: mean pause between looks.
        tell: says something to whoever watches.
        clock: seconds since the epoch.
        sleep: waits for a number of seconds.
        fraction: a number in [0, 1) that differs between processes.
        trouble: what is wrong now; None if nothing is.
    """

    source: "Source"
    place: Folder
    name: str
    follow: Callable[[], None] = lambda: None
    every_s: float = 2.0
    tell: Callable[[str], None] = lambda _: None
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    fraction: Callable[[], float] = _fraction
    trouble: LlmvcError | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _agreed: float | None = field(default=None, init=False)
    _tag: str | None = field(default=None, init=False)
    _last: Exported | None = field(default=None, init=False)

    def run(self) -> NoReturn:
        """Looks again and again.

        Raises:
            Stopped: the agent was told to end.
        """
        while True:
            self.look()
            self.sleep(self.pause())

    def look(self) -> Exported | None:
        """Looks once; returns what was written, or None if nothing had to be.

        Whatever is wrong is said and kept in `trouble`, not raised.
        """
        began = self.clock()
        wrong: LlmvcError | None = None
        done: Exported | None = None
        try:
            self.follow()
        except LlmvcError as err:
            wrong = err  # other environments may have moved all the same, or somebody here did it
        try:
            done = self._write()
            self._agreed = began
            if wrong is None:
                self._check(began)
        except OlderError as err:
            if self._agreed is None or not 0 <= began - self._agreed <= PATIENCE_S:
                wrong = wrong or err
        except LlmvcError as err:
            wrong = wrong or err
        except OSError as err:
            wrong = wrong or StoreError(f"cannot write {self.place.name}: {err.strerror}")
        self._note(wrong)
        return done

    def pause(self) -> float:
        """Returns how long to wait before the next look, in seconds."""
        if not self._failures:
            return self.every_s * (0.9 + 0.2 * self.fraction())
        longest = max(self.every_s, min(LONGEST * self.every_s, LONGEST_S))
        mean: float = min(self.every_s * 2 ** min(self._failures, 16), longest)
        return mean * (0.5 + self.fraction())

    def _write(self) -> Exported | None:
        found = self.source.pointer(self._tag)
        if found is None and self._lies_there():
            return None
        done = export(self.source, self.place)
        self._tag = found[1] if found else self._tag
        before = self._last.seqs if self._last else {}
        for name in done.moved:
            came = f", was {before[name]}" if name in before else ""
            self.tell(f"{name}: release {done.seqs[name]}{came}")
        self._last = done
        return done

    def _lies_there(self) -> bool:
        """Tells whether the pointer that was written last is still there."""
        held = self.place.read(POINTER)
        return bool(held and self._last and digest.of_bytes(held) == self._last.pointer)

    def _check(self, began: float) -> None:
        """Notes when what feeds the folder was last known to be current."""
        fed = self.source.checked()
        at = rfc3339(began if fed is None else min(fed, began))
        put(self.place.top / CHECKED, at.encode())

    def _note(self, wrong: LlmvcError | None) -> None:
        """Says what has become wrong, or is not any more."""
        if wrong is None and self.trouble is not None:
            self.tell(f"{self.name} is well again")
        if wrong is not None and str(wrong) != str(self.trouble or ""):
            hint = f"; {wrong.hint}" if wrong.hint else ""
            self.tell(f"{self.name}: {wrong}; what was good is kept{hint}")
        self._failures = self._failures + 1 if wrong else 0
        self.trouble = wrong
