"""`llmvc canary`: the table of its commands."""

from typing import Final

import click

from llmvc.cli.table import Table

# Name -> (module, one-line help), in the order of a canary's life.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "plan": ("plan", "Says what a canary can tell, and how long it takes."),
    "start": ("start", "Lets a version serve the first share of an environment's users."),
    "status": ("status", "Shows share, analysis and what is next."),
    "analyze": ("analyze", "Judges the newest release by what services logged."),
    "step": ("step", "Widens to the next share, on an analysis that passed."),
    "pause": ("pause", "Keeps the share until somebody steps."),
    "abort": ("abort", "Ends a canary; its users get the baseline again."),
    "promote": ("promote", "Lets the environment serve the candidate to all."),
    "run": ("run", "Analyses and moves by the plan: one tick for cron or CI."),
    "explain": ("explain", "Says which arm a unit got, at any release."),
    "flagd": ("flagd", "Writes an environment as a flag of flagd."),
}


@click.group("canary", cls=Table, table=COMMANDS, package=__name__)
def command() -> None:
    """Tries a version on a share of an environment's users, and widens it on evidence.

    \b
    Example: llmvc canary start support canary
    """  # noqa: D301
