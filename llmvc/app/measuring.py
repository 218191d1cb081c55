"""Measuring: from a version and a suite to a verdict.

A question that was answered already is not asked again.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from llmvc.app import evidence, revisions
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
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.bundle import Bundle
from llmvc.core.report import Report
from llmvc.errors import ConfigError, Inconclusive, NotFoundError
from llmvc.evals.budget import CallEstimate

if TYPE_CHECKING:
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
    config = ws.config
    where = env if env is not None else default_environment(config)
    candidate = revisions.resolve(ws, revision if revision is not None else ws.bundle_name(None))
    baseline = served_bundle(ws, candidate.name, where)
    loaded = ws.suite_of(candidate.name, choices.suite)
    if baseline is not None and baseline.digest == candidate.bundle.digest:
        return Measured(None, None, f"{where} serves {candidate.label} already: nothing to compare")
    comparison = Comparison(candidate, where, baseline, loaded, config)
    against = _against_golden(ws, comparison)
    done = _answer(ws, comparison, choices, on_estimate, progress)
    if against is None or done.outcome == "fail":
        return done
    left = choices
    if choices.max_usd is not None and done.result is not None:
        left = replace(choices, max_usd=max(0.0, choices.max_usd - done.result.cost_usd))
    return replace(done, golden=_answer(ws, against, left, on_estimate, progress))


def _against_golden(ws: Workspace, comparison: Comparison) -> Comparison | None:
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
) -> Measured:
    """Returns the stored answer to a comparison, or measures it."""
    if choices.merge_only:
        return _united(ws, comparison)
    known = stored(ws, comparison, unite=not choices.dry_run)
    if known is not None and not choices.fresh:
        return known
    if known is not None and known.report is not None:
        raise Inconclusive(
            f"report {digest.short(known.report.digest)} answers this already",
            hint="calling again would prove nothing: add as many cases again, or plan more looks",
        )
    with prepared(ws, comparison, choices) as job:
        on_estimate(comparison, job.expected)
        if choices.dry_run:
            return Measured(None, None, "dry run: nothing was called")
        return measure(job, progress)


def stored(ws: Workspace, comparison: Comparison, *, unite: bool = True) -> Measured | None:
    """Returns the stored answer to a question; None if it has none that is complete.

    Args:
        ws: the workspace.
        comparison: the question.
        unite: whether several reports that nobody united yet are united first.
    """
    report, reports = _one_report(ws, comparison, unite=unite)
    if report is None or report.failures("candidate") + report.failures("baseline"):
        return None
    suite = comparison.suite.suite
    where = evidence.standing(report, reports, evidence.tried(ws, comparison.question))
    verdict = evidence.judge(report, suite, where)
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
    done = _united(job.ws, job.comparison)
    calls = f"{result.called} calls, {result.reused} reused, ${result.cost_usd:.4f}"
    if result.saved:
        calls += f"; decided at look {result.look} of {result.looks}: {result.saved} calls saved"
    which, *more = done.note.split("\n")
    note = "\n".join((f"{which}: {calls}", *more))
    return replace(done, note=note, result=result)


def served_bundle(ws: Workspace, bundle: str, env: str) -> Bundle | None:
    """Returns what an environment serves; None if nothing was released there."""
    chain = ws.repo.chain(bundle, env)
    tip = chain.tip()
    return revisions.released_bundle(chain, tip) if tip else None


def _united(ws: Workspace, comparison: Comparison) -> Measured:
    """Returns the one report on a question, uniting several first."""
    question, suite = comparison.question, comparison.suite.suite
    report, reports = _one_report(ws, comparison)
    if report is None:
        raise Inconclusive(
            f"no evidence for {question}", hint=f"measure it: llmvc eval {question.bundle}"
        )
    where = evidence.standing(report, reports, evidence.tried(ws, question))
    verdict = evidence.judge(report, suite, where)
    told = f"report {digest.short(report.digest)}{stricter(suite, where)}"
    return Measured(report, verdict, told)


def _one_report(
    ws: Workspace, comparison: Comparison, *, unite: bool = True
) -> tuple[Report | None, tuple[Report, ...]]:
    """Returns the report that rests on all measurements of a question, and all reports on it."""
    reports = evidence.reports_on(ws, comparison.question)
    report = evidence.covering(reports)
    if report is None and reports and unite:
        from llmvc.evals.reports import merge  # noqa: PLC0415 (loads numpy)

        report = merge(reports, comparison.suite.suite)
        file_report(ws, comparison.question, report)
        reports = (*reports, report)
    return report, reports


def announce(comparison: Comparison, expected: CallEstimate) -> str:
    """Returns what a person should know before the first call."""
    candidate, suite = comparison.candidate, comparison.suite
    served = comparison.baseline
    against = digest.short(served.digest) if served else "nothing (first release)"
    cost = "of unknown cost" if expected.usd is None else f"about ${expected.usd:.4f}"
    looks = suite.suite.looks
    early = "at most " if looks.by == "any-time" or len(looks.at) > 1 else ""
    return (
        f"{candidate.label} {digest.short(candidate.bundle.digest)} "
        f"against {comparison.env}: {against}\n"
        f"{len(suite.cases)} cases x {suite.suite.runs} runs: "
        f"{early}{expected.calls} new calls, {expected.cached} reused, {cost}"
    )
