"""How a measurement is shown; eval, gate, migrate and ship share it."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from llmvc.cli.output import Output
from llmvc.render import views

if TYPE_CHECKING:
    from llmvc.app.judging import Measured

EXITS: Final = {"pass": 0, "fail": 1, "inconclusive": 3}


@contextmanager
def kept() -> Generator[None]:
    """Says of a measurement that is interrupted what is left of it."""
    try:
        yield
    except KeyboardInterrupt as err:
        raise KeyboardInterrupt("finished runs are kept: the next one goes on from them") from err


def show(out: Output, done: "Measured", *, as_json: bool) -> None:
    """Prints the estimates and the verdict."""
    if as_json:
        from llmvc.render import asjson  # noqa: PLC0415 (text needs none of it)

        out.json("eval/1", asjson.measured(done))
    elif done.report is not None and done.verdict is not None:
        out.data(views.verdict(done.report, done.verdict, colored=out.colored))
        if out.verbose:
            out.talk(views.reasons(done.report, done.verdict))
    for note in _notes(done):
        out.talk(f"warning: {note}")
    if done.note:
        out.talk(done.note)
    if done.golden is not None and not as_json:
        out.data("against the pinned version of the suite:")
        show(out, done.golden, as_json=False)


def _notes(done: "Measured") -> list[str]:
    """Returns what providers silently did otherwise than asked, each note once."""
    arms: dict[tuple[str, str], list[str]] = {}
    for seen in done.report.providers if done.report is not None else ():
        told = seen.get("notes")
        for note in told if isinstance(told, list | tuple) else ():
            who = arms.setdefault((str(seen.get("provider")), str(note)), [])
            who += [arm for arm in (str(seen.get("arm")),) if arm not in who]
    return [f"{name} ({', '.join(who)}): {note}" for (name, note), who in sorted(arms.items())]


def exit_code(done: "Measured") -> int:
    """Returns what the command exits with."""
    return EXITS[done.outcome] if done.outcome is not None else 0
