"""Evals cut into shards: several machines make the calls, one puts them together and judges.

- A shard makes its calls and writes a file; it gives no verdict.
- Merging brings the files' runs into the run cache and then evaluates as ever. A complete set
  needs no call; one that is not is refused, and nothing of it is lost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmvc.app import measuring
from llmvc.app.evidence import Question
from llmvc.app.job import Choices, Comparison, Job, OnEstimate, OnProgress, prepared
from llmvc.app.judging import Measured
from llmvc.app.unchanged import Watched
from llmvc.app.workspace import Workspace
from llmvc.core.plural import count
from llmvc.errors import ConfigError, FormatError, UsageError
from llmvc.evals import runs, shards
from llmvc.evals.progress import RunResult
from llmvc.evals.runs import Ledger, RunCache
from llmvc.evals.shards import Header, Line, ShardFile

if TYPE_CHECKING:
    from llmvc.core.digest import Digest


@dataclass(frozen=True, slots=True)
class Sharded:
    """What measuring a shard led to.

    Attributes:
        path: the shard file.
        at: which part it is, from 1.
        of: how many there are.
        called: runs made now.
        reused: runs taken from the cache.
        failed: runs that a provider failed, which are to be made again.
        cost_usd: what new calls cost; None if nothing is known of it.
        judge_usd: what new votes of judges cost.
        note: what else a person should know.
    """

    path: Path
    at: int
    of: int
    called: int = 0
    reused: int = 0
    failed: int = 0
    cost_usd: float | None = 0.0
    judge_usd: float = 0.0
    note: str = ""


def measure_shard(
    ws: Workspace,
    revision: str | None,
    *,
    env: str | None,
    choices: Choices,
    out: Path | None,
    on_estimate: OnEstimate,
    progress: OnProgress,
) -> Sharded:
    """Makes the calls of one shard, and writes the file that carries their runs.

    Args:
        ws: the workspace.
        revision: the version; None for the only bundle of the working tree.
        env: the environment compared with; None for the default.
        choices: what the person chose, a shard among it.
        out: the file; None for one under the run cache.
        on_estimate: told what is about to be called.
        progress: called after every run.

    Raises:
        UsageError: no shard was chosen, or there are more than cases.
        ConfigError: it had to stop at a limit; finished runs are in the cache.
    """
    if choices.shard is None:
        raise UsageError("which shard?", hint="--shard 1/4, for one")
    at, of = choices.shard
    comparison = measuring.compare(ws, revision, env, choices.suite)
    name, candidate = comparison.candidate.name, comparison.candidate.bundle.digest
    shared = measuring.shared_cache(ws, choices)
    plans: dict[Digest, Digest] = {}
    lines: list[Line] = []
    results: list[RunResult] = []
    costs: list[float | None] = []
    notes: dict[str, None] = {}
    for one in _questions(ws, comparison):
        watched = Watched.of(ws, one.suite)
        with prepared(ws, one, choices, progress, watched=watched, shared=shared) as job:
            on_estimate(replace(one, panel=job.panel), job.expected)
            if choices.dry_run:
                continue
            plans[one.question.key] = shards.plan_digest(job.whole)
            result = job.measured(progress)
            lines += _lines(job, result)
            results.append(result)
            costs.append(job.spent(result))
        notes |= dict.fromkeys(job.prepared.cache.notes())
        choices = measuring.left(choices, result)
    path = out or runs.folder(ws.repo.common_dir) / "shards" / f"{name}-{at}-of-{of}.jsonl"
    if not choices.dry_run:
        shards.write(path, Header(name, candidate, comparison.env, plans, at, of), lines)
    done = Sharded(path, at, of, note="\n".join(notes))
    return _counted(done, results, lines, costs)


def _counted(
    done: Sharded,
    results: Sequence[RunResult],
    lines: Sequence[Line],
    costs: Sequence[float | None],
) -> Sharded:
    """Returns what a shard led to, with what its questions come to."""
    return replace(
        done,
        called=sum(result.called for result in results),
        reused=sum(result.reused for result in results),
        failed=sum(line.entry.answer.fault == "provider" for line in lines),
        cost_usd=None if None in costs else sum(filter(None, costs)),
        judge_usd=sum(result.judge_usd for result in results),
    )


def _questions(ws: Workspace, comparison: Comparison) -> list[Comparison]:
    """Returns what is to be measured: nothing that a stored report answers already."""
    if measuring.nothing_to_compare(comparison) is not None:
        return []
    against = measuring.against_golden(ws, comparison)
    asked = [comparison, *([against] if against is not None else [])]
    return [one for one in asked if measuring.stored(ws, one) is None]


def _lines(job: Job, result: RunResult) -> Iterable[Line]:
    """Yields the runs of a shard, and what its judges voted."""
    ledgers: dict[str, Ledger] = {}
    made, cache = job.prepared.plan, job.prepared.cache
    for arm in made.arms:
        ledgers[arm.name] = cache.ledger(arm.bundle.digest, arm.connection)
    wanted: dict[str, set[Digest]] = {ledger.name: set() for ledger in ledgers.values()}
    for one, run in made.calls():
        wanted[ledgers[one.arm.name].name].add(one.keys[run])
    for name, ledger in cache.open().items():
        for entry in ledger.held():
            if name not in wanted or entry.key in wanted[name]:
                yield Line.of(name, entry.key, entry.answer)
    for side, key, answer in result.failures:
        yield Line.of(ledgers[side].name, key, answer)


def merge(
    ws: Workspace,
    paths: Sequence[Path],
    *,
    env: str | None,
    choices: Choices,
    on_estimate: OnEstimate,
    progress: OnProgress,
) -> Measured:
    """Brings the runs of shard files into the run cache, and evaluates them.

    Raises:
        FormatError: a file is damaged, they are of different measurements, or one is missing.
        ConfigError: runs are missing, or the working tree asks another question.
    """
    files = sorted((shards.read(path) for path in paths), key=lambda file: file.header.at)
    shards.check_one_whole(files)
    header = files[0].header
    comparison = measuring.compare(ws, header.bundle, env or header.env, choices.suite)
    if comparison.candidate.bundle.digest != header.candidate:
        named = f"{header.bundle}@{header.candidate}"
        comparison = measuring.compare(ws, named, env or header.env, choices.suite)
    _take(ws, files)
    outcomes = {
        (line.ledger, line.entry.key): line.entry
        for _, line in shards.failures(files)
        if line.entry.answer.fault == "application"
    }
    asked = _questions(ws, comparison)
    for one in asked:
        with prepared(ws, one, choices, progress, outcomes=outcomes) as job:
            _check_complete(job, files, one.question)
    return measuring.evaluate_comparison(
        ws,
        comparison,
        choices=choices,
        on_estimate=on_estimate,
        progress=progress,
        outcomes=outcomes,
    )


def _take(ws: Workspace, files: Sequence[ShardFile]) -> None:
    """Puts the finished runs of shards into the run cache, where they are not yet."""
    with RunCache(runs.folder(ws.repo.common_dir)) as cache:
        rows: dict[str, list[Line]] = {}
        for file in files:
            for line in file.lines:
                if line.entry.answer.fault is None:
                    rows.setdefault(line.ledger, []).append(line)
        for name, lines in rows.items():
            ledger = cache.named(name)
            ledger.load(frozenset(line.entry.key for line in lines))
            for line in lines:
                ledger.take(line.entry, line.data)


def _check_complete(job: Job, files: Sequence[ShardFile], question: Question) -> None:
    """Checks that shards hold every run of a comparison.

    Raises:
        FormatError: they measured something else.
        ConfigError: runs are missing.
    """
    plan = files[0].header.plans.get(question.key)
    if plan != shards.plan_digest(job.whole):
        what = "answer another question than" if plan is None else "have another plan than"
        raise FormatError(
            f"the shards {what} {question}",
            hint="check out the commit that they were made from, and fetch what it was compared "
            "with: llmvc fetch",
        )
    if not job.expected.calls:
        return
    why = {line.entry.key: (file, line) for file, line in shards.failures(files)}
    named: list[str] = []
    for one, run in job.prepared.reuse.missing():
        told = f"{one.arm.name} {one.case.id} run {run}"
        if one.keys[run] in why:
            file, line = why[one.keys[run]]
            told += f" ({line.entry.answer.error}, shard {file.header.at}/{file.header.of})"
        named.append(told)
    listed = ", ".join(named[:3]) + (", ..." if len(named) > 3 else "")
    raise ConfigError(
        f"in no shard or too old: {count(len(named), 'run')}, {listed}",
        hint=f"the others are kept: make these shards again, or llmvc eval {question.bundle}, "
        "which makes only the calls that are missing",
    )
