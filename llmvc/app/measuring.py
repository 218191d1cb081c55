"""Measuring: from a version and a suite to a verdict.

A question that was answered already is not asked again.
"""

from dataclasses import asdict, dataclass, replace
from math import isclose
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
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.bundle import Bundle
from llmvc.core.report import Report, Verdict
from llmvc.core.suite import Suite
from llmvc.errors import ConfigError, Inconclusive, IntegrityError, NotFoundError
from llmvc.evals.budget import CallEstimate
from llmvc.evals.runner import RunResult

if TYPE_CHECKING:
    from llmvc.files.config import Config


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measurement led to.

    Attributes:
        report: the evidence; None if there was nothing to measure.
        verdict: what the gate says of it.
        note: what else a person should know.
        result: what the runner did; None where a stored report answered.
    """

    report: Report | None
    verdict: Verdict | None
    note: str = ""
    result: RunResult | None = None


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
    if baseline is not None and baseline.digest == candidate.bundle.digest:
        return Measured(None, None, f"{where} serves {candidate.label} already: nothing to compare")
    loaded = ws.suite_of(candidate.name, choices.suite)
    comparison = Comparison(candidate, where, baseline, loaded, config)
    if choices.merge_only:
        return _united(ws, comparison)
    known = stored(ws, comparison)
    if known is not None and not choices.fresh:
        return known
    with prepared(ws, comparison, choices) as job:
        on_estimate(comparison, job.expected)
        if choices.dry_run:
            return Measured(None, None, "dry run: nothing was called")
        return measure(job, progress)


def stored(ws: Workspace, comparison: Comparison) -> Measured | None:
    """Returns the stored answer to a question; None if it has none that is complete."""
    reports = evidence.reports_on(ws, comparison.question)
    report = evidence.covering(reports)
    if report is None or report.failures("candidate") + report.failures("baseline"):
        return None
    looks = evidence.looks_taken(report, reports)
    verdict = evidence.judge(report, comparison.suite.suite, looks_taken=looks)
    note = f"stored evidence, report {digest.short(report.digest)}"
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
    return replace(done, note=f"{done.note}: {calls}", result=result)


def served_bundle(ws: Workspace, bundle: str, env: str) -> Bundle | None:
    """Returns what an environment serves; None if nothing was released there."""
    chain = ws.repo.chain(bundle, env)
    tip = chain.tip()
    return revisions.released_bundle(chain, tip) if tip else None


def gate(ws: Workspace, prefix: str, *, recompute: bool = False) -> Measured:
    """Judges a stored report again, together with all others on its question.

    Args:
        ws: the workspace.
        prefix: the report's digest, or its start.
        recompute: derive its estimates again from the scores that it carries.

    Raises:
        NotFoundError: no report has that digest.
        IntegrityError: its estimates are not what its scores give.
    """
    data = ws.repo.versions.read(revisions.find_digest(ws, prefix))
    if data is None or not data.startswith(b"{"):
        raise NotFoundError(
            f"{prefix} is not a report", hint="llmvc log shows the reports of releases"
        )
    report = Report.from_bytes(data)
    suite = evidence.read_suite(ws, report.suite)
    if recompute:
        _check_estimates(report, suite)
    question = Question(report.bundle, report.candidate, report.baseline, report.suite)
    reports = evidence.reports_on(ws, question)
    covering = evidence.covering(reports)
    verdict = evidence.judge(report, suite, looks_taken=evidence.looks_taken(report, reports))
    if covering is not None and covering.digest != report.digest:
        return Measured(report, verdict, f"superseded by report {digest.short(covering.digest)}")
    return Measured(report, verdict)


def _united(ws: Workspace, comparison: Comparison) -> Measured:
    """Returns the one report on a question, uniting several first."""
    question, suite = comparison.question, comparison.suite.suite
    reports = evidence.reports_on(ws, question)
    if not reports:
        raise Inconclusive(
            f"no evidence for {question}", hint=f"measure it: llmvc eval {question.bundle}"
        )
    report = evidence.covering(reports)
    if report is None:
        from llmvc.evals.reports import merge  # noqa: PLC0415 (loads numpy)

        report = merge(reports, suite)
        file_report(ws, question, report)
        reports = (*reports, report)
    looks = evidence.looks_taken(report, reports)
    verdict = evidence.judge(report, suite, looks_taken=looks)
    return Measured(report, verdict, f"report {digest.short(report.digest)}")


def _check_estimates(report: Report, suite: Suite) -> None:
    """Checks the stored estimates against the per-case scores; an undefined one claims nothing."""
    from llmvc.evals.summary import summarize  # noqa: PLC0415 (loads numpy)

    derived = {item.metric: asdict(item) for item in summarize(report.cases, suite)}
    for stored in report.estimates:
        for name, value in asdict(stored).items() if stored.reason is None else ():
            right = derived.get(stored.metric, {}).get(name)
            if isinstance(value, int | float) and isinstance(right, int | float):
                same = isclose(value, right, rel_tol=1e-9, abs_tol=1e-12)
            else:
                same = value == right
            if not same:
                raise IntegrityError(
                    f"report {digest.short(report.digest)}: {name} of {stored.metric} is {value}, "
                    f"its scores give {right}",
                    hint="somebody edited it; find out who, and measure again",
                )


def announce(comparison: Comparison, expected: CallEstimate) -> str:
    """Returns what a person should know before the first call."""
    candidate, suite = comparison.candidate, comparison.suite
    served = comparison.baseline
    against = digest.short(served.digest) if served else "nothing (first release)"
    cost = "of unknown cost" if expected.usd is None else f"about ${expected.usd:.4f}"
    return (
        f"{candidate.label} {digest.short(candidate.bundle.digest)} "
        f"against {comparison.env}: {against}\n"
        f"{len(suite.cases)} cases x {suite.suite.runs} runs: "
        f"{expected.calls} new calls, {expected.cached} reused, {cost}"
    )
