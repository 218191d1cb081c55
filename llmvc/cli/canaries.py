"""What the commands of a canary share: its name, the logs it is judged by, and how it is moved."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from llmvc.app.appending import Moved
from llmvc.app.canary.moving import Promoted
from llmvc.app.canary.sending import How
from llmvc.cli import moved, options
from llmvc.cli.output import current
from llmvc.core.names import is_name

Command = TypeVar("Command", bound=Callable[..., Any])


def name(command: Command) -> Command:
    """Adds the argument that names a canary, which `scene.find` reads."""
    return click.argument("name", metavar="[BUNDLE][@ENV]", nargs=-1, callback=_one)(command)


def _one(ctx: click.Context, _: click.Parameter, words: tuple[str, ...]) -> str | None:
    """Returns the only name; files are what the shell made of a pattern for --logs."""
    files = [word for word in words if not is_name(word) and Path(word).is_file()]
    if files and any(option.name == "logs" for option in ctx.command.params):
        ctx.fail(f"unexpected {files[0]}, quote the pattern: --logs '*.jsonl'")
    if len(words) > 1:
        ctx.fail(f"unexpected {words[1]}")
    return words[0] if words else None


def logged(command: Command) -> Command:
    """Adds --logs and --sums."""
    logs = click.option("--logs", multiple=True, metavar="GLOB", help="Event logs; repeatable.")
    sums = click.option("--sums", multiple=True, metavar="FILE", help="Sums of other logs to add.")
    return logs(sums(command))


def move(command: Callable[..., Moved | Promoted]) -> Callable[..., None]:
    """Adds --no-push, --dry-run, --actor and --json; shows what the command returns.

    The command gets the workspace as `ws`, and how to move as `how`, in which its --reason is too.
    """

    @options.no_push
    @options.dry_run
    @options.actor
    @options.as_json
    @wraps(command)
    def moves(
        *, no_push: bool, dry_run: bool, actor: str | None, as_json: bool, **taken: Any
    ) -> None:
        how = How(taken.pop("reason"), push=not no_push, dry_run=dry_run)
        done = command(ws=options.workspace(actor), how=how, **taken)
        if isinstance(done, Moved):
            moved.show(done, dry_run=dry_run, as_json=as_json)
            return
        from llmvc.render import canary as views  # noqa: PLC0415 (a promote alone is two moves)

        if as_json:
            current().json("promoted/1", views.promoted_members(done, dry_run=dry_run))
        else:
            current().data(views.promoted(done, dry_run=dry_run))

    return moves
