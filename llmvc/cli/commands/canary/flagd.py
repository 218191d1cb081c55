"""`llmvc canary flagd`."""

import json

import click

from llmvc.app import serving
from llmvc.cli import options
from llmvc.cli.output import current


@click.command("flagd")
@click.argument("bundle", required=False)
@click.argument("env", required=False)
def command(*, bundle: str | None, env: str | None) -> None:
    """Writes a flag definition for flagd: BUNDLE/ENV, with the canary that stands beside it.

    ENV, by default prod, is the environment that services ask for. The rule compares
    `llmvc_bucket`, which the service computes; without it the baseline is served.

    \b
    Example: llmvc canary flagd support prod > flags.json
    """  # noqa: D301
    bundle, where = options.bundle_and_env(bundle, env)
    found = serving.flags(options.workspace(), bundle, where)
    current().data(json.dumps(found, indent=2, ensure_ascii=False))
