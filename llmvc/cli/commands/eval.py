"""`llmvc eval`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from llmvc.app import job, measuring
from llmvc.cli import options
from llmvc.cli.measured import exit_code, kept, show
from llmvc.cli.output import Output, current
from llmvc.cli.progress import bar
from llmvc.core.names import is_name
from llmvc.core.plural import count
from llmvc.errors import ProviderError, UsageError

if TYPE_CHECKING:
    from llmvc.app.sharding import Sharded
    from llmvc.evals.budget import CallEstimate

_CLUSTER: Final = re.compile(r"dask(://[^/\s]+:[0-9]{1,5})?")


@click.command("eval")
@click.argument("revision", required=False)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--env", metavar="ENV", help="Compare with what this environment serves.")
@options.measuring
@click.option("--fresh", is_flag=True, help="Call again even where a run is in the cache.")
@click.option(
    "--merge-only", is_flag=True, help="Unite the stored reports on this question, call nobody."
)
@click.option("--shard", metavar="I/N", help="Make the calls of one part only; no verdict.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where --shard writes its runs; by default under the run cache.",
)
@click.option("--on", metavar="CLUSTER", help="Make the calls on dask, or dask://HOST:PORT.")
@click.option("--cache", metavar="URL", help="The shared run cache; else LLMVC_CACHE, else config.")
@options.dry_run
@options.actor
@options.as_json
def command(
    *,
    revision: str | None,
    files: tuple[Path, ...],
    env: str | None,
    shard: str | None,
    out: Path | None,
    on: str | None,
    actor: str | None,
    as_json: bool,
    **given: object,
) -> int:
    """Measures REVISION (the working tree by default) against what an environment serves.

    Finished runs are kept: interrupt it, and the next eval goes on where it stopped.
    `eval merge FILE...` puts together what `eval --shard` wrote, and judges it.

    \b
    Example: llmvc eval support --max-usd 0.50
             llmvc eval support --shard 2/4 --out shard-2.jsonl
             llmvc eval merge shard-*.jsonl
    """  # noqa: D301
    if files and (revision != "merge" or shard is not None):
        second = str(files[0])
        hint = "for one: llmvc eval merge shard-*.jsonl"
        if revision is not None and is_name(second):
            hint = f"to compare with what {second} serves: llmvc eval {revision} --env {second}"
        raise UsageError(f"unexpected {second}", hint=hint)
    if out is not None and shard is None:
        raise UsageError("--out goes with --shard", hint="for one: --shard 1/4 --out shard-1.jsonl")
    if on is not None and not _CLUSTER.fullmatch(on):
        raise UsageError(f"--on {on} is no cluster", hint="dask, or dask://HOST:PORT")
    shown, ws = current(), options.workspace(actor)
    if revision == "merge" and not files and "merge" not in ws.manifests:
        raise UsageError("merge which shards?", hint="for one: llmvc eval merge shard-*.jsonl")
    choices = job.Choices(shard=_part(shard), on=on, **given)  # type: ignore[arg-type]  # click checked each value's type

    def tell(what: job.Comparison, expected: "CallEstimate") -> None:
        shown.talk(measuring.announce(what, expected, choices.shard))

    with kept(), bar(enabled=not shown.quiet) as progress:
        if choices.shard is not None:
            from llmvc.app.sharding import measure_shard  # noqa: PLC0415 (few evals are cut)

            part = measure_shard(
                ws, revision, env=env, choices=choices, out=out, on_estimate=tell, progress=progress
            )
            return _show_shard(shown, part, dry_run=choices.dry_run, as_json=as_json)
        if files:
            from llmvc.app.sharding import merge  # noqa: PLC0415

            done = merge(ws, files, env=env, choices=choices, on_estimate=tell, progress=progress)
        else:
            done = measuring.evaluate(
                ws, revision, env=env, choices=choices, on_estimate=tell, progress=progress
            )
    show(shown, done, as_json=as_json)
    return exit_code(done)


def _part(text: str | None) -> tuple[int, int] | None:
    """Reads --shard."""
    if text is None:
        return None
    from llmvc.evals.shards import parse  # noqa: PLC0415 (few evals are cut)

    return parse(text)


def _show_shard(out: Output, part: "Sharded", *, dry_run: bool, as_json: bool) -> int:
    """Prints what a shard led to; exit 4 if calls have to be made again."""
    if as_json:
        members = {name: getattr(part, name) for name in part.__slots__ if name != "note"}
        out.json("eval-shard/1", {**members, "path": str(part.path)})
    elif not dry_run:
        spent = "of unknown cost" if part.cost_usd is None else f"${part.cost_usd:.4f}"
        spent += f" + ${part.judge_usd:.4f} judges" * bool(part.judge_usd)
        out.data(
            f"shard {part.at}/{part.of}: {count(part.called, 'call')}, {part.reused} reused, "
            f"{spent}\n{part.path}"
        )
    out.talk("dry run: nothing was called" if dry_run else part.note)
    if part.failed:
        raise ProviderError(
            f"{count(part.failed, 'call')} of shard {part.at}/{part.of} failed",
            hint="run it again: it makes only these",
        )
    return 0
