"""`llmvc fsck`."""

import click

from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.render import asjson
from llmvc.store.fsck import fsck


@click.command("fsck")
@options.as_json
def command(*, as_json: bool) -> int:
    """Proves that every stored object is what its digest says and every chain follows its rules.

    \b
    Example: llmvc fsck
    """  # noqa: D301
    problems = fsck(options.workspace().repo)
    out = current()
    if as_json:
        out.json("fsck/1", {"problems": asjson.plain(problems)})
    else:
        for problem in problems:
            out.data(
                f"{problem.where}: {problem.what}"
                + (f"\n  -> {problem.hint}" if problem.hint else "")
            )
        if not problems:
            out.talk("everything stored is what its digest says")
    return 4 if problems else 0
