"""`llmvc agent`."""

import re
import signal
from pathlib import Path

import click

from llmvc.app import serving
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.errors import UsageError

_SECONDS = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>ms|s|m)?\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


@click.command("agent")
@click.option("--to", required=True, metavar="DIR", help="The folder to keep current.")
@click.option("--every", default="2s", metavar="TIME", help="Pause between looks: 500ms, 2s, 1m.")
@click.option("--remote", metavar="NAME", help="The Git remote; else as llmvc fetch chooses.")
@click.option("--from", "source", metavar="DIR|URL", help="Follow another snapshot, without Git.")
@click.option("--once", is_flag=True, help="Look once; exit 4 if anything is wrong.")
@click.option("--http", metavar="HOST:PORT", help="Serve the folder, resolve and render as well.")
def command(
    *,
    to: str,
    every: str,
    remote: str | None,
    source: str | None,
    once: bool,
    http: str | None,
) -> int:
    """Keeps DIR at what a Git remote, or another snapshot, tells of: one agent a machine.

    It runs in the foreground and ends on SIGTERM or ^C. What cannot be reached, was rewound or is
    forked leaves DIR as it is; `checked` in it says when all was last well. One line a change.

    \b
    Examples: llmvc agent --to /srv/llmvc
              llmvc agent --to /srv/llmvc --from https://config.example.com/llmvc
    """  # noqa: D301
    from llmvc.runtime import agent as agents  # noqa: PLC0415 (only this command runs one)

    if not to:
        raise UsageError("--to names no folder", hint="--to . is the current one")
    if source is not None and remote is not None:
        raise UsageError("--from and --remote exclude each other", hint="drop one of them")
    if once and http is not None:
        raise UsageError("--once serves nothing", hint="drop --http")
    tell = current().talk
    ws = None if source is not None else options.workspace()
    agent = serving.agent(
        ws, Path(to), source=source, remote=remote, every_s=_seconds(every), tell=tell
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, agents.stop)
    try:
        if once:
            agent.look()
            return agent.trouble.exit_code if agent.trouble else 0
        if http is not None:
            from llmvc.runtime.server import serve  # noqa: PLC0415 (seldom wanted)

            with serve(agent, http):
                agent.run()
        else:
            agent.run()
    except agents.Stopped:
        tell("ended")
    return 0


def _seconds(text: str) -> float:
    found = _SECONDS.match(text)
    seconds = float(found["number"]) * _UNITS[found["unit"] or "s"] if found else 0.0
    if not 0.05 <= seconds <= 3600:
        raise UsageError(f"--every {text} is no time from 50ms to 60m", hint="for one: --every 2s")
    return seconds
