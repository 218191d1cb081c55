"""`llmvc gate`."""

import os
from typing import Any

import click

from llmvc.cli import options
from llmvc.cli.measured import EXITS, exit_code, show
from llmvc.cli.output import current
from llmvc.cli.types import Finite
from llmvc.errors import UsageError


@click.command("gate")
@click.argument("arguments", nargs=-1, metavar="REPORT | BASELINE CANDIDATE")
@click.option("--recompute", is_flag=True, help="Derive the estimates of REPORT again first.")
@click.option("--margin", type=Finite(min=0), metavar="X", help="The largest drop that may pass.")
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME", help="A score to judge; may be repeated."
)
@click.option("--scale", metavar="LOW:HIGH", help="The range of the scores; else 0:1.")
@click.option(
    "--alpha", type=Finite(min=0), metavar="P", help="Error rate of each verdict; else 0.05."
)
@click.option(
    "--cost-limit", type=Finite(min=0), metavar="RATIO", help="Judge the cost, such as 1.1."
)
@click.option(
    "--latency-limit", type=Finite(min=0), metavar="RATIO", help="Judge the median latency."
)
@click.option("--group-by", metavar="NAME", help="The member that says which cases are related.")
@click.option("--intersect", is_flag=True, help="Leave out cases that one file lacks.")
@options.as_json
def command(*, arguments: tuple[str, ...], recompute: bool, as_json: bool, **rules: Any) -> int:
    """Judges a stored REPORT again, or two result files of any harness.

    A file is JSON lines such as {"case": "a", "run": 0, "scores": {"quality": 0.8}}, an output of
    promptfoo, or a log of Inspect. Two files need no repository. Exit 0 for pass, 1 for fail, 3 for
    inconclusive.

    \b
    Example: llmvc gate b3:9c1d22e0
             llmvc gate base.jsonl new.jsonl --margin 0.05
    """  # noqa: D301
    given = [name for name, value in rules.items() if value not in (None, (), False)]
    if len(arguments) == 1 and os.path.isfile(arguments[0]):  # noqa: PTH113 (pathlib costs 10 ms)
        raise UsageError(
            f"{arguments[0]} is one file", hint="llmvc gate BASELINE CANDIDATE compares two"
        )
    if len(arguments) == 1 and given:
        option = {"metrics": "metric"}.get(given[0], given[0]).replace("_", "-")
        raise UsageError(
            f"--{option} is for two result files", hint="a report is judged by its suite"
        )
    if len(arguments) == 1:
        return _report(arguments[0], recompute=recompute, as_json=as_json)
    if len(arguments) != 2:
        raise UsageError("expected REPORT or BASELINE CANDIDATE")
    if recompute:
        raise UsageError("--recompute is for a stored report", hint="files are always computed")
    return _files(arguments[0], arguments[1], as_json=as_json, **rules)


def _report(prefix: str, *, recompute: bool, as_json: bool) -> int:
    from llmvc.app import judging  # noqa: PLC0415 (two files need no repository)

    done = judging.gate(options.workspace(), prefix, recompute=recompute)
    show(current(), done, as_json=as_json)
    return exit_code(done)


def _files(
    baseline: str,
    candidate: str,
    *,
    as_json: bool,
    scale: str | None,
    alpha: float | None,
    metrics: tuple[str, ...],
    **rules: Any,
) -> int:
    from pathlib import Path  # noqa: PLC0415

    from llmvc.app.comparing import Rules, compare_files  # noqa: PLC0415
    from llmvc.render import comparing  # noqa: PLC0415

    chosen = Rules(
        metrics=metrics,
        scale=options.scale(scale),
        alpha=0.05 if alpha is None else alpha,
        **rules,
    )
    found = compare_files(Path(baseline), Path(candidate), chosen)
    out = current()
    if as_json:
        out.json("gate/1", comparing.members(found))
    else:
        out.data(comparing.text(found, colored=out.colored))
    if found.left_out != (0, 0):
        out.talk(comparing.left_out(found))
    return EXITS[found.verdict.verdict]
