"""Planning: what the suite of a bundle can show, before any call is made."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmvc.app import evidence, pilots, revisions
from llmvc.app.evidence import Question
from llmvc.app.measuring import default_environment, served_bundle
from llmvc.app.workspace import Workspace
from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.core.suite import Suite
from llmvc.errors import UsageError

if TYPE_CHECKING:
    from llmvc.evals.pilot import Pilot
    from llmvc.evals.planner import SuitePlan


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may choose about a plan; None leaves it as the suite has it.

    Attributes:
        suite: path of the suite file; None for the bundle's only one.
        env: the environment that will be compared with.
        report: the pilot's digest or its start; None for the last report.
        files: result files of baseline and candidate that are the pilot instead.
        margin: of every gating score, in its own units.
        cases: how many cases of the present kind.
        runs: per case and arm.
        power: the chance that is wanted.
        case_usd: what a new case costs to write and label.
    """

    suite: str | None = None
    env: str | None = None
    report: str | None = None
    files: tuple[str, str] | None = None
    margin: float | None = None
    cases: int | None = None
    runs: int | None = None
    power: float = 0.8
    case_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and what it is for.

    Attributes:
        bundle: the bundle's name.
        env: the environment that will be compared with.
        suite: path of the suite file.
        plan: what the suite can show.
    """

    bundle: str
    env: str
    suite: str
    plan: "SuitePlan"


def plan(ws: Workspace, revision: str | None, options: Options) -> Planned:
    """Says what the suite of a bundle can show.

    Raises:
        UsageError: a margin is wider than the scale of a metric, or two pilots are named.
        Inconclusive: no metric of the suite gates.
    """
    from llmvc.evals import planner  # noqa: PLC0415 (loads numpy)

    if options.files is not None and options.report is not None:
        raise UsageError("a plan has one pilot", hint="give --from or --pilot, not both")
    candidate = revisions.resolve(ws, revision if revision is not None else ws.bundle_name(None))
    env = options.env if options.env is not None else default_environment(ws.config)
    loaded = ws.suite_of(candidate.name, options.suite)
    baseline = served_bundle(ws, candidate.name, env)
    question = Question(
        candidate.name,
        candidate.bundle.digest,
        baseline.digest if baseline is not None else None,
        loaded.suite.digest,
    )
    pilot = _pilot(ws, question, env, loaded.suite, options)
    suite, cases = _changed(loaded.suite, options), loaded.cases
    known, tried = tuple[Estimate, ...](), 1
    if options.cases is None or options.cases == len(cases):
        asked = replace(question, suite=suite.digest)
        known, tried = pilots.estimates(ws, asked, suite), evidence.tried(ws, asked)
    else:
        # Other cases make another suite: the eval would know neither reports nor candidates of it.
        cases = planner.resized(cases, options.cases)
    wish = planner.Wish(options.power, options.case_usd, tried)
    found = planner.plan(suite, cases, pilot, wish, known=known, first=baseline is None)
    return Planned(candidate.name, env, loaded.path, found)


def _pilot(
    ws: Workspace, question: Question, env: str, suite: Suite, options: Options
) -> "Pilot | None":
    if options.files is not None:
        baseline, candidate = options.files
        return pilots.of_files(Path(baseline), Path(candidate), suite)
    if options.report is not None:
        return pilots.named(ws, options.report, suite)
    return pilots.last(ws, question, env, suite)


def _changed(suite: Suite, options: Options) -> Suite:
    """Returns the suite as it would be with another margin and other runs."""
    metrics = tuple(_with_margin(metric, options.margin) for metric in suite.metrics)
    return replace(suite, metrics=metrics, runs=options.runs or suite.runs)


def _with_margin(metric: Metric, margin: float | None) -> Metric:
    if margin is None or metric.kind != "score" or not metric.gate:
        return metric
    if not 0 < margin < metric.span:
        raise UsageError(
            f"a margin of {margin:g} does not fit metric {metric.name}",
            hint=f"its scores span {metric.span:g}: the margin lies between 0 and that",
        )
    return replace(metric, margin=margin)
