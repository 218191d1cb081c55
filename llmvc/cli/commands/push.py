"""`llmvc push`."""

import click

from llmvc.app import serving
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import asjson, views
from llmvc.store import sync


@click.command("push")
@click.argument("remote", required=False)
@options.as_json
def command(*, remote: str | None, as_json: bool) -> int:
    """Pushes versions, evidence and releases to REMOTE.

    The store is united with the remote's; an environment that moved there meanwhile is refused and
    the winner shown (exit 5). Nothing is ever forced.

    \b
    Example: llmvc push
    """  # noqa: D301
    ws = options.workspace()
    done = sync.push(ws.repo, remote)
    out = current()
    out.talk(serving.publish(ws))
    if as_json:
        out.json("push/1", asjson.plain_object(done))
    else:
        out.data(views.pushed(done))
    return 5 if any(item.status == sync.REFUSED for item in done.envs) else 0
