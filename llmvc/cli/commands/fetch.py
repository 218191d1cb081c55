"""`llmvc fetch`."""

import click

from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.errors import UsageError
from llmvc.render import asjson, views
from llmvc.store import sync


@click.command("fetch")
@click.argument("remote", required=False)
@click.option(
    "--drop", metavar="BUNDLE/ENV", help="Give up own releases there and take the remote's."
)
@options.as_json
def command(*, remote: str | None, drop: str | None, as_json: bool) -> int:
    """Fetches versions, evidence and releases from REMOTE and checks them before it takes them.

    A remote that was rewound, or lost an environment, is reported and not followed.

    \b
    Example: llmvc fetch
    """  # noqa: D301
    repo = options.workspace().repo
    out = current()
    bundle, slash, env = (drop or "").partition("/")
    if drop is not None and not slash:
        raise UsageError(f"{drop!r} is not BUNDLE/ENV", hint="for one: --drop support/prod")
    dropped = sync.drop(repo, remote, bundle, env) if drop is not None else None
    if dropped is not None:
        out.talk(views.dropped(dropped))
    done = sync.fetch(repo, remote)
    if as_json:
        out.json("fetch/1", {**asjson.plain_object(done), "dropped": asjson.plain(dropped)})
    else:
        out.data(views.fetched(done))
    if done.notices:
        return 4
    return 5 if done.diverged else 0
