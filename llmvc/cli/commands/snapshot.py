"""`llmvc snapshot`."""

import click

from llmvc.app import serving
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import fleet


@click.command("snapshot")
@click.option("--to", metavar="DIR|URL", help="Where to; else Git's llmvc.snapshot.")
@click.option("--bundle", "bundles", metavar="NAME", multiple=True, help="This bundle only.")
@click.option("--env", "envs", metavar="NAME", multiple=True, help="This environment only.")
@click.option("--prune", is_flag=True, help="Remove objects that no reader can need any more.")
@options.as_json
def command(
    *,
    to: str | None,
    bundles: tuple[str, ...],
    envs: tuple[str, ...],
    prune: bool,
    as_json: bool,
) -> None:
    """Writes what environments serve to a folder or URL, for processes that have no Git.

    Objects first, then the pointer: killed half-way, the old snapshot still stands. The same refs
    give the same bytes. An environment that went back or is forked against what lies there is
    refused.

    \b
    Example: llmvc snapshot --to /srv/llmvc
    """  # noqa: D301
    done = serving.snapshot(options.workspace(), to, bundles=bundles, envs=envs, prune=prune)
    out = current()
    if as_json:
        out.json("exported/1", {"snapshots": [fleet.exported_json(one) for one in done]})
        return
    out.data("\n".join(fleet.exported(one) for one in done))
