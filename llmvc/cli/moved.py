"""How a move of an environment is shown; promote, rollback, override and migrate share it."""

from llmvc.app.appending import Moved
from llmvc.cli.output import current
from llmvc.render import asjson, views


def show(moved: Moved, *, dry_run: bool, as_json: bool) -> None:
    """Prints what moved, from which digest to which."""
    out = current()
    if as_json:
        out.json("move/1", asjson.moved(moved, dry_run=dry_run))
        return
    out.data(views.moved(moved, dry_run=dry_run))
