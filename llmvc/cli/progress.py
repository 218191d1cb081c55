"""The progress bar of an eval, on stderr."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from llmvc.evals.runner import Progress


@contextmanager
def bar(*, enabled: bool) -> Generator[Callable[[Progress], None]]:
    """Yields what shows progress; nothing is drawn where stderr is no terminal."""
    if not enabled or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 (only a terminal pays for it)
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[spent]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("eval", total=None, spent="", start=False)

        def update(now: Progress) -> None:
            shown.start_task(task)
            shown.update(task, total=now.total, completed=now.done, spent=f"${now.cost_usd:.4f}")

        yield update
