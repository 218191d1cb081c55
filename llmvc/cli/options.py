"""Options that several commands share, and how their values become workspaces."""

from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

import click

from llmvc.cli.output import current
from llmvc.cli.types import Finite, Reason
from llmvc.core import names
from llmvc.errors import LlmvcError, UsageError

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
    told = "Why; it stands in the release for good."
    return click.option("--reason", type=Reason(), metavar="TEXT", help=told)(command)


def required_reason(command: Command) -> Command:
    """Adds --reason, which must be given."""
    told = "Why; it is kept for good."
    return click.option("--reason", type=Reason(), required=True, metavar="TEXT", help=told)(
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
                type=Finite(min=0),
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
    return click.option(name, *stored, type=Finite(min=0), metavar="USD", help=told)


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


def revision_and_env(
    arguments: tuple[str, ...], usage: str, *, at: bool = False
) -> tuple[str | None, str]:
    """Reads `[REV] ENV`, or `BUNDLE/ENV` in one.

    Args:
        arguments: the words.
        usage: what was expected.
        at: whether `BUNDLE@ENV` may stand for `BUNDLE ENV`, since it can mean nothing else.

    Raises:
        UsageError: there are none or more than two, or the environment is missing or no name.
    """
    if not 1 <= len(arguments) <= 2:
        raise UsageError(f"expected {usage}", hint="for one: support prod")
    if len(arguments) == 2:
        return arguments[0], names.check_name(arguments[1], "environment")
    one, place = arguments[0], names.placed(arguments[0])
    bundle, parted, env = place.partition("@")
    if not parted:
        return None, names.check_name(one, "environment")
    if place == one and not (at and names.is_name(env)):
        raise env_missing(one)
    return bundle or None, env


def bundle_and_env(bundle: str | None, env: str | None) -> tuple[str | None, str]:
    """Reads `[BUNDLE] [ENV]`, by default prod, or `BUNDLE/ENV` or `BUNDLE@ENV` in one.

    Raises:
        UsageError: the environment is no name.
    """
    if bundle is not None and env is None:
        bundle, _, env = names.placed(bundle).partition("@")
    return bundle or None, names.check_name(env or "prod", "environment")


def env_missing(given: str) -> UsageError:
    """Returns the error of a command that was given a version, but not where it goes."""
    command = click.get_current_context().command_path
    return UsageError("the environment is missing", hint=f"for one: {command} {given} prod")


def check_env_given(ws: "Workspace", where: tuple[str, ...]) -> None:
    """Tells a bundle that stands alone from an environment.

    Raises:
        UsageError: the only word is a bundle, and no environment.
    """
    heads = ws.repo.environments()
    bundles, envs = ({place[at] for place in heads} for at in (0, 1))
    with suppress(LlmvcError):  # a rollback needs no configuration
        envs |= set(ws.config.environments)
        bundles |= set(ws.manifests)
    if len(where) == 1 and where[0] in bundles - envs:
        raise env_missing(where[0])


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
