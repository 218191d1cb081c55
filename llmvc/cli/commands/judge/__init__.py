"""`llmvc judge`: the table of its commands."""

from typing import Final

import click

from llmvc.cli.table import Table

# Name -> (module, one-line help), in the order of a judge's life.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "calibrate": ("calibrate", "Holds a judge against answers that people labelled."),
    "check": ("check", "Says whether a judge still grades as it did."),
    "show": ("show", "Shows what is known of a judge."),
    "label": ("label", "Makes a sheet of answers for people to grade, and reads it."),
    "shift": ("shift", "Says what moving a judge changes, on stored answers."),
    "retire": ("retire", "Takes a judge out of use for good."),
}


@click.group("judge", cls=Table, table=COMMANDS, package=__name__)
def command() -> None:
    """Calibrates, checks and moves the judges that grade outputs.

    \b
    Example: llmvc judge calibrate helpful-judge --anchors anchors.jsonl
    """  # noqa: D301
