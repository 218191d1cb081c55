"""Groups of commands that are a table of names until one of them is called."""

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

import click


class Table(click.Group):
    """A group that imports a command only when it is called.

    Args:
        table: name -> (module, one-line help), in the order in which they are listed.
        package: where the modules lie; each has its command as `command`.
        hidden: names that are not listed.
    """

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, tuple[str, str]],
        package: str,
        hidden: Collection[str] = (),
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self._table = table
        self._package = package
        self._hidden = hidden

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Returns the visible names in the table's order."""
        return [name for name in self._table if name not in self._hidden]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Imports one command."""
        if cmd_name not in self._table:
            return None
        module = import_module(f"{self._package}.{self._table[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the table without importing anything."""
        with formatter.section("Commands"):
            rows = [(name, self._table[name][1]) for name in self.list_commands(ctx)]
            formatter.write_dl(rows)
