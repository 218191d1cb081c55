"""Measuring: from a version and a suite to a verdict.

A question that was answered already is not asked again.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from llmvc.app import evidence, revisions
from llmvc.app.evidence import Question
from llmvc.app.job import (
    Choices,
    Comparison,
    Job,
    OnEstimate,
    OnProgress,
    file_report,
    prepared,
    store_report,
)
from llmvc.app.judging import Measured, stricter
from llmvc.app.unchanged import Watched
from llmvc.app.workspace import Workspace
from llmvc.core import digest, variants
from llmvc.core.bundle import Bundle
from llmvc.core.digest import Digest
from llmvc.core.plural import count
from llmvc.core.report import Report
from llmvc.core.suite import Suite
from llmvc.errors import ConfigError, Inconclusive, NotFoundError
from llmvc.evals.budget import CallEstimate
from llmvc.evals.progress import RunResult
from llmvc.evals.runs import Entry, RunCache

if TYPE_CHECKING:
    from llmvc.evals.shared import Shared
    from llmvc.files.config import Config


def default_environment(config: "Config") -> str:
    """Returns the environment that a measurement is for if none is named.

    Raises:
        ConfigError: the configuration has several and none is called prod.
    """
    if config.hook.environment is not None:
        return config.hook.environment
    known = sorted(config.environments)
    if "prod" in known or not known:
        return "prod"
    if len(known) == 1:
        return known[0]
    raise ConfigError("compare with which environment?", hint=f"--env {known[0]}, for one")


def evaluate(
    ws: Workspace,
    revision: str | None,
    *,
    env: str | None,
    choices: Choices,
    on_estimate: OnEstimate,
    progress: OnProgress,
) -> Measured:
    """Measures a version against what an environment serves, unless that was done already.

    Raises:
        Inconclusive: the design cannot pass, whatever the outputs are.
        ConfigError: the measurement cannot be made this way, or would cost too much.
        ProviderError: a provider cannot be used.
    """
    comparison = compare(ws, revision, env, choices.suite)
    return evaluate_comparison(
        ws, comparison, choices=choices, on_estimate=on_estimate, progress=progress
    )


def evaluate_comparison(
    ws: Workspace,
    comparison: Comparison,
    *,
    choices: Choices,
    on_estimate: OnEstimate,
    progress: OnProgress,
    outcomes: Mapping[tuple[str, Digest], Entry] | None = None,
) -> Measured:
    """Does what `evaluate` does for a comparison at hand.

    Args:
        ws: the workspace.
        comparison: what is compared.
        choices: what the person chose.
        on_estimate: told what is about to be called.
        progress: called after every run.
        outcomes: runs of shards in which the application failed.
    """
    if (nothing := nothing_to_compare(comparison)) is not None:
        return nothing
    against = against_golden(ws, comparison)
    done = _answer(ws, comparison, choices, on_estimate, progress, outcomes=outcomes)
    if against is None or done.outcome == "fail":
        return done
    rest = choices if done.result is None else left(choices, done.result)
    return replace(
        done, golden=_answer(ws, against, rest, on_estimate, progress, outcomes=outcomes)
    )


def left(choices: Choices, result: RunResult) -> Choices:
    """Returns the choices with what is left to spend after a measurement."""

    def rest(most: float | None, spent: float) -> float | None:
        return None if most is None else max(0.0, most - spent)

    return replace(
        choices,
        max_usd=rest(choices.max_usd, result.cost_usd),
        max_judge_usd=rest(choices.max_judge_usd, result.judge_usd),
    )


def compare(
    ws: Workspace, revision: str | None, env: str | None, suite: str | None = None
) -> Comparison:
    """Returns the comparison of a version with what an environment serves.

    Args:
        ws: the workspace.
        revision: the version; None for the only bundle of the working tree.
        env: the environment; None for the one that measurements are for.
        suite: path of the suite file; None for the bundle's only one.

    Raises:
        ConfigError: the environment holds canaries, which are measured by another one.
    """
    config = ws.config
    where = env if env is not None else default_environment(config)
    if env is not None:
        ws.policy(env)  # a name that nobody knows serves nothing: it would pass for a first release
    if where in config.canaries:
        of = config.canaries[where].of
        raise ConfigError(
            f"{where} holds canaries of {of}: they are measured against what {of} serves",
            hint=f"--env {of}",
        )
    candidate = revisions.resolve(ws, revision if revision is not None else ws.bundle_name(None))
    baseline = served_bundle(ws, candidate.name, where)
    loaded = ws.suite_of(candidate.name, suite)
    return Comparison(candidate, where, baseline, loaded, config)


def nothing_to_compare(comparison: Comparison) -> Measured | None:
    """Returns what to say if an environment serves the candidate already; None if not."""
    candidate, baseline = comparison.candidate, comparison.baseline
    if baseline is None or baseline.digest != candidate.bundle.digest:
        return None
    said = f"{comparison.env} serves {candidate.label} already: nothing to compare"
    return Measured(None, None, said)


def against_golden(ws: Workspace, comparison: Comparison) -> Comparison | None:
    """Returns the comparison with the suite's pinned version; None if it is not asked for.

    Raises:
        NotFoundError: that version is not in this clone.
    """
    pinned = evidence.golden(comparison.question, comparison.suite.suite)
    if pinned is None or pinned.baseline is None:
        return None
    data = ws.repo.versions.read(pinned.baseline)
    if data is None:
        raise NotFoundError(
            f"the suite's golden version {digest.short(pinned.baseline)} is not in this clone",
            hint="run llmvc fetch, or correct golden in the suite",
        )
    return replace(
        comparison,
        env="the pinned version",
        baseline=Bundle.from_bytes(data),
        counted=pinned.counted,
    )


def _answer(
    ws: Workspace,
    comparison: Comparison,
    choices: Choices,
    on_estimate: OnEstimate,
    progress: OnProgress,
    *,
    outcomes: Mapping[tuple[str, Digest], Entry] | None = None,
) -> Measured:
    """Returns the stored answer to a comparison, or measures it."""
    if choices.merge_only:
        return _united(ws, comparison)
    known = stored(ws, comparison, unite=not choices.dry_run)
    if known is not None and _judges_settled(ws, comparison, known, choices, progress):
        known = stored(ws, comparison)
    if known is not None and not choices.fresh:
        return known
    if known is not None and known.report is not None:
        raise Inconclusive(
            f"report {digest.short(known.report.digest)} answers this already",
            hint="calling again would prove nothing: add as many cases again, or plan more looks",
        )
    shared = shared_cache(ws, choices)
    watched = Watched.of(ws, comparison.suite)
    with prepared(
        ws, comparison, choices, progress, outcomes=outcomes, watched=watched, shared=shared
    ) as job:
        on_estimate(replace(comparison, panel=job.panel), job.expected)
        if choices.dry_run:
            return Measured(None, None, "dry run: nothing was called")
        done = measure(job, progress)
    return noted(done, job.prepared.cache)


def _judges_settled(
    ws: Workspace,
    comparison: Comparison,
    known: Measured,
    choices: Choices,
    progress: OnProgress,
) -> bool:
    """Says whether a judge that nobody knew when the report was made is trusted by now."""
    if known.report is None or not known.report.judges or choices.dry_run:
        return False
    from llmvc.app import panel  # noqa: PLC0415 (few suites have judges)
    from llmvc.app.calibrating import Means  # noqa: PLC0415

    means = Means(choices.max_judge_usd, choices.concurrency, choices.allow_unpriced, progress)
    return panel.refreshed(ws, comparison, known.report, means)


def shared_cache(ws: Workspace, choices: Choices) -> "Shared | None":
    """Returns the run cache that is shared with others; None if there is none."""
    url = choices.cache or ws.environ.get("LLMVC_CACHE") or ws.config.cache
    if not url:
        return None
    from llmvc.evals.shared import Shared  # noqa: PLC0415 (few share one)

    return Shared.at(url, ws.root)


def noted(done: Measured, cache: RunCache) -> Measured:
    """Adds what went wrong with the run cache to what a person should know."""
    return replace(done, note="\n".join((*filter(None, [done.note]), *cache.notes())))


def stored(ws: Workspace, comparison: Comparison, *, unite: bool = True) -> Measured | None:
    """Returns the stored answer to a question; None if it has none that is complete.

    Args:
        ws: the workspace.
        comparison: the question.
        unite: whether several reports that nobody united yet are united first.
    """
    suite = comparison.suite.suite
    report, reports = one_report(ws, comparison.question, suite, unite=unite)
    if report is None or report.failures("candidate") + report.failures("baseline"):
        return None
    where = evidence.standing(report, reports, evidence.tried(ws, comparison.question))
    verdict = evidence.judge(ws, report, suite, where)
    ended_early = not report.merges and report.look < len(suite.looks.at)
    if ended_early and verdict.verdict == "inconclusive":
        return None  # it was decided when fewer candidates had been tried: go on from its look
    note = f"stored evidence, report {digest.short(report.digest)}"
    note += stricter(suite, where)
    if report.application is not None:
        loose = " with loose edits" if report.application.get("dirty") else ""
        note += f", of the application at {report.application.get('commit')}{loose}"
    return Measured(report, verdict, note)


def measure(job: Job, progress: OnProgress) -> Measured:
    """Makes the calls, stores the report, and unites it with others on the same question.

    Raises:
        ConfigError: it had to stop at a limit.
    """
    report, result = job.run(progress)
    store_report(job.ws, job.comparison, report)
    done = _united(job.ws, job.comparison, report)
    usd = job.spent(result)
    cost = "of unknown cost" if usd is None else f"${usd:.4f}"
    calls = f"{count(result.called, 'call')}, {result.reused} reused, {cost}"
    if result.saved:
        saved = count(result.saved, "call")
        calls += f"; decided at look {result.look} of {result.looks}: {saved} saved"
    which, *more = done.note.split("\n")
    note = "\n".join((f"{which}: {calls}", *more))
    return replace(done, note=note, result=result)


def served_bundle(ws: Workspace, bundle: str, env: str) -> Bundle | None:
    """Returns what an environment serves; None if nothing was released there."""
    chain = ws.repo.chain(bundle, env)
    tip = chain.tip()
    return revisions.released_bundle(chain, tip) if tip else None


def _united(ws: Workspace, comparison: Comparison, read: Report | None = None) -> Measured:
    """Returns the one report on a question, uniting several first."""
    question, suite = comparison.question, comparison.suite.suite
    report, reports = one_report(ws, question, suite, read=read)
    if report is None:
        raise Inconclusive(
            f"no evidence for {question}", hint=f"measure it: llmvc eval {question.bundle}"
        )
    where = evidence.standing(report, reports, evidence.tried(ws, question))
    verdict = evidence.judge(ws, report, suite, where)
    told = f"report {digest.short(report.digest)}{stricter(suite, where)}"
    return Measured(report, verdict, told)


def one_report(
    ws: Workspace,
    question: Question,
    suite: Suite,
    *,
    unite: bool = True,
    read: Report | None = None,
) -> tuple[Report | None, tuple[Report, ...]]:
    """Returns the report that rests on all measurements of a question, and all reports on it.

    Args:
        ws: the workspace.
        question: what they are about.
        suite: what they were measured by.
        unite: whether several reports that nobody united yet are united first.
        read: one of them that is at hand.
    """
    reports = evidence.reports_on(ws, question, read)
    report = evidence.covering(reports)
    if report is None and reports and unite:
        from llmvc.evals.reports import merge  # noqa: PLC0415 (loads numpy)

        report = merge(reports, suite)
        file_report(ws, question, report)
        reports = (*reports, report)
    return report, reports


def announce(
    comparison: Comparison, expected: CallEstimate, shard: tuple[int, int] | None = None
) -> str:
    """Returns what a person should know before the first call."""
    candidate, suite = comparison.candidate, comparison.suite
    served = comparison.baseline
    against = digest.short(served.digest) if served else "nothing (first release)"
    cost = "of unknown cost" if expected.usd is None else f"about ${expected.usd:.4f}"
    looks = suite.suite.looks
    early = "at most " if looks.by == "any-time" or len(looks.at) > 1 else ""
    part = "" if shard is None else f", shard {shard[0]} of {shard[1]}"
    return (
        f"{candidate.label} {digest.short(candidate.bundle.digest)} "
        f"against {comparison.env}: {against}\n"
        f"{count(len(suite.cases), 'case')} x {count(suite.suite.runs, 'run')}{part}: "
        f"{early}{count(expected.calls, 'new call')}, {expected.cached} reused, {cost}"
        + _as_written(comparison)
        + _judged(comparison)
    )


def _as_written(comparison: Comparison) -> str:
    """Says which of the suite's variants find nothing to change in a prompt; empty if all do."""
    names = comparison.suite.suite.variants
    arms = {"candidate": comparison.candidate.bundle, "baseline": comparison.baseline}
    left = {arm: variants.unchanged(bundle, names) for arm, bundle in arms.items() if bundle}
    return "".join(
        f"\nvariants that find nothing to change in the {arm}: {', '.join(found)}"
        for arm, found in left.items()
        if found
    )


def _judged(comparison: Comparison) -> str:
    """Says of each judge whether it is trusted, and what is odd about it; empty without one."""
    if comparison.panel is None:
        return ""
    from llmvc.app import panel  # noqa: PLC0415 (few suites have judges)

    return f"\n{panel.announce(comparison.panel)}"
