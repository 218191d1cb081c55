"""How often, and with what pauses, a contended write is tried again."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


def _fraction() -> float:
    return int.from_bytes(os.urandom(4), "big") / 2**32


@dataclass(frozen=True, slots=True)
class Retry:
    """Bounded tries with growing, jittered pauses; tests hand in a clock that does not wait.

    Attributes:
        tries: how many tries there are in all.
        first_s: mean of the first pause; each further one is twice as long, up to `longest_s`.
        longest_s: upper limit of the mean pause.
        sleep: waits for a number of seconds.
        fraction: a number in [0, 1) that differs between processes.
        clock: seconds since the epoch, to tell the age of a lock file.
    """

    tries: int = 10
    first_s: float = 0.02
    longest_s: float = 0.4
    sleep: Callable[[float], None] = time.sleep
    fraction: Callable[[], float] = _fraction
    clock: Callable[[], float] = time.time

    def rounds(self) -> Iterator[int]:
        """Yields the number of each try, from 0, pausing before all but the first."""
        for number in range(self.tries):
            if number:
                mean = min(self.first_s * 2 ** (number - 1), self.longest_s)
                self.sleep(mean * (0.5 + self.fraction()))
            yield number
