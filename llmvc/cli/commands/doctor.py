"""`llmvc doctor`."""

import click

from llmvc.app import doctor
from llmvc.cli import options
from llmvc.cli.output import current
from llmvc.errors import UsageError
from llmvc.render import asjson


@click.command("doctor")
@click.argument("bundle", required=False)
@click.option("--oncall", is_flag=True, help="Check that a rollback would work, all the way.")
@options.as_json
def command(*, bundle: str | None, oncall: bool, as_json: bool) -> int:
    """Checks Git, the configuration, remotes, hook and diff driver, and says what to mend.

    With --oncall it asks what counts on a bad day, of BUNDLE or of all: is the rollback's target
    here with all its objects, may I push, does the fleet answer, can the snapshot be written.

    \b
    Examples: llmvc doctor
              llmvc doctor --oncall support
    """  # noqa: D301
    ws = options.workspace()
    if oncall:
        from llmvc.app import oncall as card  # noqa: PLC0415 (it loads what serves)

        findings = card.examine(ws, bundle)
    elif bundle is not None:
        raise UsageError("only --oncall is about one bundle", hint="llmvc doctor --oncall BUNDLE")
    else:
        findings = doctor.examine(ws)
    out = current()
    if as_json:
        out.json("doctor/1", {"findings": asjson.plain(findings)})
    else:
        out.data("\n".join(_lines(item) for item in findings))
    return 4 if any(item.state == "bad" for item in findings) else 0


def _lines(item: doctor.Finding) -> str:
    """Shows what was found, and below it what mends it."""
    mend = f"\n      -> {item.mend}" if item.mend else ""
    return f"{item.state:4}  {item.what}{mend}"
