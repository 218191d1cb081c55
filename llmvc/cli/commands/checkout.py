"""`llmvc checkout`."""

import click

from llmvc.app import versioning
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import asjson


@click.command("checkout")
@click.argument("revision")
@click.option("--force", is_flag=True, help="Lose edits that are not committed.")
@options.as_json
def command(*, revision: str, force: bool, as_json: bool) -> None:
    """Writes the version REVISION into the files that the manifest names.

    It refuses while those files hold edits that `llmvc commit` has not stored.

    \b
    Example: llmvc checkout support@prod
    """  # noqa: D301
    target, paths = versioning.checkout(options.workspace(), revision, force=force)
    out = current()
    if as_json:
        out.json("checkout/1", {**asjson.resolved(target), "written": list(paths)})
        return
    out.data(f"{target.name}  {target.bundle.digest[:15]}")
    out.talk("\n".join(f"  wrote {path}" for path in paths) or "nothing to write")
