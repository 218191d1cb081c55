"""`llmvc report`."""

import sys
from pathlib import Path
from typing import Final

import click

from llmvc.app import reporting
from llmvc.cli import options
from llmvc.cli.output import current, versioned
from llmvc.errors import UsageError
from llmvc.render import migration_markdown, report_html, report_json, report_text, spans
from llmvc.render.text import safe

FORMATS: Final = ("text", "markdown", "json", "html")
_SUFFIXES: Final = {".md": "markdown", ".markdown": "markdown", ".json": "json", ".html": "html"}


@click.command("report")
@click.argument("report", required=False)
@click.option(
    "--format",
    "wanted",
    type=click.Choice(FORMATS),
    help="Text, unless the name after --output says otherwise.",
)
@click.option("-o", "--output", metavar="FILE", help="Write it to FILE instead of printing it.")
@click.option(
    "--outputs",
    is_flag=True,
    help="Show the outputs of the listed cases (text, html); they may be private.",
)
@click.option(
    "--cases",
    type=click.IntRange(min=0),
    default=reporting.CASES,
    show_default=True,
    metavar="N",
    help="List so many changed cases of each kind.",
)
@click.option("--no-plot", is_flag=True, help="Leave the plots out of html.")
@click.option("--env", metavar="ENV", help="The environment that a version is compared with.")
@click.option("--suite", metavar="FILE", help="The suite file, if the bundle has several.")
@options.as_json
def command(
    *,
    report: str | None,
    wanted: str | None,
    output: str | None,
    outputs: bool,
    cases: int,
    no_plot: bool,
    env: str | None,
    suite: str | None,
    as_json: bool,
) -> None:
    """Shows a report for reading, whatever its verdict is.

    REPORT is a report's digest, or an environment for the report of its release, or another version
    for the report on it; the working tree by default.

    \b
    Examples: llmvc report
              llmvc report support@prod --outputs -o report.html
              llmvc report b3:9c1d22e0 --format markdown
    """  # noqa: D301
    chosen = "json" if as_json else wanted or _SUFFIXES.get(Path(output or "").suffix, "text")
    if outputs and chosen not in ("text", "html"):
        raise UsageError(f"--outputs does not go with {chosen}", hint="text and html show outputs")
    found = reporting.read(
        options.workspace(), report, env=env, suite=suite, listed=cases, outputs=outputs
    )
    out = current()
    if chosen == "json" and output is None:
        out.json("reading/1", report_json.members(found))
        return
    glyph = spans.UNICODE if output else spans.glyphs(sys.stdout.encoding)
    made = _made(found, chosen, glyph, plot=not no_plot, colored=out.colored and output is None)
    if output is None:
        out.data(made)
    else:
        out.save(output, safe(made), private=outputs)


def _made(
    found: reporting.Reading, form: str, glyph: spans.Glyphs, *, plot: bool, colored: bool
) -> str:
    """Returns a report in one of the forms."""
    if form == "json":
        return versioned("reading/1", report_json.members(found))
    if form == "markdown":
        return migration_markdown.with_report(found)
    if form == "html":
        return report_html.html(found, plot=plot)
    return report_text.text(found, glyph, colored=colored)
