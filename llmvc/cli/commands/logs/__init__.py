"""`llmvc logs`: the table of its commands."""

from typing import Final

import click

from llmvc.cli.table import Table

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "validate": ("validate", "Checks event logs line by line."),
}


@click.group("logs", cls=Table, table=COMMANDS, package=__name__)
def command() -> None:
    """Looks at the event logs that services write.

    \b
    Example: llmvc logs validate '/var/log/support/events.jsonl*'
    """  # noqa: D301
