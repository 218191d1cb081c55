"""`llmvc eval`."""

import click

from llmvc.app import job, measuring
from llmvc.cli import options
from llmvc.cli.measured import exit_code, show
from llmvc.cli.output import current
from llmvc.cli.progress import bar


@click.command("eval")
@click.argument("revision", required=False)
@click.option("--env", metavar="ENV", help="Compare with what this environment serves.")
@options.measuring
@click.option("--fresh", is_flag=True, help="Call again even where a run is in the cache.")
@click.option(
    "--merge-only", is_flag=True, help="Unite the stored reports on this question, call nobody."
)
@options.dry_run
@options.actor
@options.as_json
def command(
    *,
    revision: str | None,
    env: str | None,
    fresh: bool,
    merge_only: bool,
    dry_run: bool,
    actor: str | None,
    as_json: bool,
    **limits: object,
) -> int:
    """Measures REVISION (the working tree by default) against what an environment serves.

    Finished runs are kept: interrupt it, and the next eval goes on where it stopped.

    \b
    Example: llmvc eval support --max-usd 0.50
    """  # noqa: D301
    out = current()
    ws = options.workspace(actor)
    with bar(enabled=not out.quiet) as progress:
        done = measuring.evaluate(
            ws,
            revision,
            env=env,
            choices=job.Choices(fresh=fresh, merge_only=merge_only, dry_run=dry_run, **limits),  # type: ignore[arg-type]  # click checked each value's type
            on_estimate=lambda what, expected: out.talk(measuring.announce(what, expected)),
            progress=progress,
        )
    show(out, done, as_json=as_json)
    return exit_code(done)
