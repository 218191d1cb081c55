"""`llmvc canary run`."""

import click

from llmvc.app.canary import scene, ticking
from llmvc.app.canary.sending import How
from llmvc.cli import canaries, options
from llmvc.cli.output import current
from llmvc.core.analysis import Analysis
from llmvc.render import canary as views


@click.command("run")
@canaries.name
@canaries.logged
@click.option("--promote", is_flag=True, help="Promote once the last step has passed.")
@click.option("--suite", metavar="FILE", help="The suite file, if the bundle has several.")
@options.no_push
@options.actor
@options.as_json
def command(
    *,
    name: str | None,
    logs: tuple[str, ...],
    sums: tuple[str, ...],
    promote: bool,
    suite: str | None,
    no_push: bool,
    actor: str | None,
    as_json: bool,
) -> int:
    """Analyses a canary once and steps, pauses or aborts as its plan says.

    For cron or CI; run it as often as you like. Exit 0 if all is well, done or not; 1 if it aborted
    on a fail, 3 if the measurement is broken, if it paused or aborted on what cannot tell, or if
    the canary is void, 5 if somebody else moved it meanwhile.

    \b
    Example: llmvc canary run support@canary --logs '/var/log/support/*.jsonl' --promote
    """  # noqa: D301
    from llmvc.app.canary.analysing import analyze  # noqa: PLC0415 (numpy, where it is needed)

    ws = options.workspace(actor)
    where = scene.find(ws, name)

    def judge() -> Analysis:
        return analyze(ws, where, logs=logs, sums=sums)

    done = ticking.run(ws, where, judge, promote=promote, suite=suite, how=How(push=not no_push))
    out = current()
    if as_json:
        out.json("tick/1", views.ticked_members(done))
    else:
        out.data(views.ticked(done))
    return _exit_code(done)


def _exit_code(done: ticking.Ticked) -> int:
    verdict = done.analysis.verdict if done.analysis else None
    if done.act == "abort" and verdict == "fail":
        return 1
    return 3 if done.act in ("void", "pause", "abort") or verdict == "invalid" else 0
