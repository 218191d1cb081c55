"""`llmvc diff`."""

import click

from llmvc.app import review
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import asjson, views


@click.command("diff")
@click.argument("old", required=False)
@click.argument("new", required=False)
@click.option("--exit-code", is_flag=True, help="Exit 1 if there are differences.")
@options.as_json
def command(*, old: str | None, new: str | None, exit_code: bool, as_json: bool) -> int:
    """Compares OLD with NEW by section and text.

    Without NEW the working tree is compared; without OLD, with the last commit.

    \b
    Examples: llmvc diff
              llmvc diff support@prod support
              llmvc diff support@prod~1 support@prod --exit-code
    """  # noqa: D301
    found = review.diff(options.workspace(), old, new)
    out = current()
    if as_json:
        out.json("diff/1", asjson.diff(found))
    elif found.changes:
        out.data(views.diff(found, colored=out.colored))
    else:
        same = found.old.bundle.digest[:15]
        out.talk(f"{found.old.label} and {found.new.label} are the same bundle, {same}")
    return 1 if found.changes and exit_code else 0
