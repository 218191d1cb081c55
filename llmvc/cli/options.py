"""Options that several commands share, and how their values become workspaces."""

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

import click

from llmvc.cli.output import current
from llmvc.core import names
from llmvc.errors import UsageError

if TYPE_CHECKING:
    from llmvc.app.workspace import Workspace

Command = TypeVar("Command", bound=Callable[..., Any])


def as_json(command: Command) -> Command:
    """Adds --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one versioned JSON object.")(
        command
    )


def dry_run(command: Command) -> Command:
    """Adds --dry-run."""
    return click.option("--dry-run", is_flag=True, help="Check everything, move nothing.")(command)


def no_push(command: Command) -> Command:
    """Adds --no-push."""
    return click.option("--no-push", is_flag=True, help="Do not push the environment's ref.")(
        command
    )


def actor(command: Command) -> Command:
    """Adds --actor."""
    return click.option(
        "--actor", metavar="WHO", help="Who does this; else LLMVC_ACTOR, else Git's identity."
    )(command)


def reason(command: Command) -> Command:
    """Adds --reason."""
    return click.option("--reason", metavar="TEXT", help="Why; it stands in the release for good.")(
        command
    )


def measuring(command: Command) -> Command:
    """Adds the options of every command that may call a model."""
    for option in reversed(
        (
            click.option(
                "--suite", metavar="FILE", help="The suite file, if the bundle has several."
            ),
            _usd("--max-usd", "Stop before spending more on calls of the bundles."),
            _usd("--max-judge-usd", "Stop before spending more on judges."),
            click.option(
                "--max-seconds",
                type=click.FloatRange(min=0),
                metavar="S",
                help="Stop after so long; go on later.",
            ),
            _concurrency("Calls"),
            _unpriced("Call models"),
        )
    ):
        command = option(command)
    return command


def _concurrency(what: str) -> Callable[[Command], Command]:
    return click.option(
        "--concurrency",
        type=click.IntRange(1, 512),
        default=8,
        show_default=True,
        help=f"{what} under way at once.",
    )


def _usd(name: str, told: str, *stored: str) -> Callable[[Command], Command]:
    return click.option(name, *stored, type=click.FloatRange(min=0), metavar="USD", help=told)


def _unpriced(what: str) -> Callable[[Command], Command]:
    return click.option("--allow-unpriced", is_flag=True, help=f"{what} whose price is not known.")


def judging(command: Command) -> Command:
    """Adds the options of every command that asks a judge."""
    for option in reversed(
        (
            _usd("--max-judge-usd", "Stop before spending more on votes.", "max_usd"),
            _concurrency("Answers"),
            _unpriced("Ask judges"),
        )
    ):
        command = option(command)
    return command


def workspace(actor: str | None = None) -> "Workspace":
    """Opens the repository around the current folder; it is closed when the command ends."""
    from llmvc.app.workspace import Workspace  # noqa: PLC0415 (`gate` on two files has none)

    opened = Workspace.open(actor=actor, tell=current().talk)
    click.get_current_context().call_on_close(opened.repo.close)
    return opened


def revision_and_env(arguments: tuple[str, ...], usage: str) -> tuple[str | None, str]:
    """Reads `[REV] ENV`.

    Raises:
        UsageError: there are none or more than two, or the environment is no name.
    """
    if not 1 <= len(arguments) <= 2:
        raise UsageError(f"expected {usage}", hint="for one: support prod")
    env = names.check_name(arguments[-1], "environment")
    return (arguments[0] if len(arguments) == 2 else None), env


def scale(text: str | None) -> tuple[float, float]:
    """Returns the range that `--scale LOW:HIGH` names; [0, 1] without one.

    Raises:
        UsageError: it is no range.
    """
    if text is None:
        return 0.0, 1.0
    low, colon, high = text.partition(":")
    try:
        ends = (float(low), float(high))
    except ValueError as err:
        raise UsageError(f"--scale {text} is no range", hint="write it as --scale 1:5") from err
    if not colon or not all(map(isfinite, ends)):
        raise UsageError(f"--scale {text} is no range", hint="write it as --scale 1:5")
    return ends
