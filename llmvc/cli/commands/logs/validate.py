"""`llmvc logs validate`."""

import click

from llmvc.app import logs
from llmvc.app.workspace import Workspace
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.core.plural import count
from llmvc.errors import ConfigError
from llmvc.render import asjson


@click.command("validate")
@click.argument("patterns", nargs=-1, required=True, metavar="GLOB...")
@options.as_json
def command(*, patterns: tuple[str, ...], as_json: bool) -> int:
    """Checks event logs by the published schema, and their versions by the releases.

    Works outside a repository as well; versions are not checked then. Exit 4 if a line is wrong, or
    names a version that was never released.

    \b
    Example: llmvc logs validate '/var/log/support/events.jsonl*'
    """  # noqa: D301
    done = logs.validate(patterns, _workspace())
    out = current()
    if as_json:
        out.json("validated/1", asjson.plain_object(done))
        return 0 if done.sound else 4
    for problem in done.problems:
        out.data(f"{problem.file}:{problem.line}: {problem.what}")
    if done.broken > len(done.problems):
        out.data(f"and {count(done.broken - len(done.problems), 'more wrong line')}")
    for version, n in (done.unknown or {}).items():
        out.data(f"{version}: {count(n, 'event')} of a version that was never released here")
    for half in done.halves:
        out.talk(f"{half}: half-written, most likely by a process that writes now")
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in done.events.items()) or "no events"
    out.talk(f"{count(done.files, 'file')}: {kinds}")
    return 0 if done.sound else 4


def _workspace() -> Workspace | None:
    try:
        return options.workspace()
    except ConfigError:
        return None
