"""How far an eval is, on stderr: a bar in a terminal, else a line every half minute."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from llmvc.evals.progress import Progress

QUIET_S: Final = 30.0
_BAR_S: Final = 0.1


@contextmanager
def bar(*, enabled: bool) -> Generator[Callable[[Progress], None]]:
    """Yields what shows progress; nothing is shown if it is not enabled."""
    if not enabled:
        yield lambda _: None
        return
    if not sys.stderr.isatty():
        yield Watch(QUIET_S, lambda text, _: sys.stderr.write(f"{text}\n"))
        return
    from rich.console import Console  # noqa: PLC0415 (only a terminal pays for it)
    from rich.progress import BarColumn, TextColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (BarColumn(bar_width=24), TextColumn("{task.description}", markup=False))
    with Bar(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None, start=False)

        def update(text: str, now: Progress) -> None:
            shown.start_task(task)
            at = now.judging or now
            shown.update(task, total=at.total, completed=at.done, description=text)

        yield Watch(_BAR_S, update)


@dataclass
class Watch:
    """Passes on how far an eval is, but not too often.

    Attributes:
        every_s: seconds between two texts.
        show: takes the text and what it says.
        clock: seconds that only grow.
    """

    every_s: float
    show: Callable[[str, Progress], object]
    clock: Callable[[], float] = monotonic
    _began: float | None = field(init=False, default=None)
    _judging_since: float | None = field(init=False, default=None)
    _next: float = field(init=False)

    def __post_init__(self) -> None:
        self._next = self.clock() + self.every_s

    def __call__(self, now: Progress) -> None:
        """Takes how far the eval is."""
        moment = self.clock()
        if now.judging is None:
            # A judge may be checked before the first call: that time is none of the calls'.
            since = self._began = moment if self._began is None else self._began
            self._judging_since = None
        else:
            since = moment if self._judging_since is None else self._judging_since
            self._judging_since = since
        if moment >= self._next:
            self._next = moment + self.every_s
            self.show(text(now, moment - since), now)


def text(now: Progress, elapsed_s: float) -> str:
    """Returns what is known on the way: calls, rate, money, time left and the running interval.

    Args:
        now: how far the eval is.
        elapsed_s: since its start; while judges are at work, since they began.
    """
    at, unit = (now, "calls") if now.judging is None else (now.judging, "votes")
    made = at.done - at.reused
    rate = made / elapsed_s if elapsed_s > 0 else 0.0
    parts = [f"{at.done:,}/{at.total:,}" + " votes" * (unit == "votes")]
    if made:
        parts.append(f"{rate:,.1f} {unit}/s" if rate < 100 else f"{rate:,.0f} {unit}/s")
    parts.append(f"${now.cost_usd:.4f}")
    if now.judging or now.judge_usd:
        parts[-1] += f" + ${now.judge_usd:.4f} judges"
    if now.failed:
        parts.append(f"{now.failed:,} failed")
    if rate > 0:
        parts.append(f"{_duration((at.total - at.done) / rate)} left")
    return "  ".join((*parts, *_running(now)))


def _running(now: Progress) -> list[str]:
    """Returns the running interval, labelled so that nobody takes it for a verdict."""
    found = now.running
    if found is None or found.candidate is None:
        return []
    center, low, high = found.estimate, found.low, found.high
    if center is None:
        center, low, high = found.candidate, found.arm_low, found.arm_high
    if low is None or high is None:
        return []
    sign = "" if found.estimate is None else "+"
    told = f"{found.metric} {center:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
    return [f"{told} so far, no verdict"]


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
