"""`llmvc doctor`."""

import click

from llmvc.app import doctor
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import asjson
from llmvc.render.text import table


@click.command("doctor")
@options.as_json
def command(*, as_json: bool) -> int:
    """Checks Git, the configuration, remotes, hook and diff driver, and says what to mend.

    \b
    Example: llmvc doctor
    """  # noqa: D301
    findings = doctor.examine(options.workspace())
    out = current()
    if as_json:
        out.json("doctor/1", {"findings": asjson.plain(findings)})
    else:
        out.data(table([item.state, item.what, item.mend] for item in findings))
    return 4 if any(item.state == "bad" for item in findings) else 0
