"""What a promote or a canary's start may take upon itself beyond the evidence."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from llmvc.app.releasing import Exceptions
from llmvc.cli.options import reason as reason_option
from llmvc.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])
_WHY: Final = "--reason '…'"


def options(command: Command) -> Command:
    """Adds --suite, --accept-suite, --accept-inconclusive, --clear-severe, --again and --reason."""
    for option in reversed(
        (
            click.option(
                "--suite", metavar="FILE", help="The suite file, if the bundle has several."
            ),
            click.option(
                "--accept-suite",
                metavar="DIGEST",
                help="Let this suite replace the one in force.",
            ),
            click.option(
                "--accept-inconclusive", is_flag=True, help="Release UNPROVEN; needs --reason."
            ),
            click.option(
                "--clear-severe",
                metavar="CASE,…",
                help="Cases whose severe failure was looked at and is accepted; needs --reason.",
            ),
            click.option(
                "--again",
                is_flag=True,
                help="Serve a version that was rolled back; needs --reason.",
            ),
            reason_option,
        )
    ):
        command = option(command)
    return command


def read(**taken: Any) -> Exceptions:
    """Returns what was taken upon oneself, from the values of these options.

    Raises:
        UsageError: one of them needs a reason.
    """
    for name in ("accept_inconclusive", "clear_severe", "again"):
        if taken[name] and taken["reason"] is None:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} needs a reason: --reason is missing", hint=_WHY)
    listed = (taken["clear_severe"] or "").split(",")
    return Exceptions(
        taken["reason"],
        taken["accept_suite"],
        taken["accept_inconclusive"],
        taken["again"],
        clear_severe=frozenset(case.strip() for case in listed if case.strip()),
    )
