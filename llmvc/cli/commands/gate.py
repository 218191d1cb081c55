"""`llmvc gate`."""

import click

from llmvc.app import measuring
from llmvc.cli import options
from llmvc.cli.measured import exit_code, show
from llmvc.cli.output import current


@click.command("gate")
@click.argument("report")
@click.option("--recompute", is_flag=True, help="Derive the estimates again from the scores first.")
@options.as_json
def command(*, report: str, recompute: bool, as_json: bool) -> int:
    """Judges the stored REPORT again; exit 0 for pass, 1 for fail, 3 for inconclusive.

    \b
    Example: llmvc gate b3:9c1d22e0
    """  # noqa: D301
    done = measuring.gate(options.workspace(), report, recompute=recompute)
    show(current(), done, as_json=as_json)
    return exit_code(done)
