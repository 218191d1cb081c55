"""The gate tested on itself, with a stored report's runs or with a result file's."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmvc.app import reporting
from llmvc.app.comparing import Rules, compare_files
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.core.metric import Metric, Scorer
from llmvc.core.report import CaseRuns
from llmvc.core.suite import Suite
from llmvc.errors import Inconclusive, NotFoundError

if TYPE_CHECKING:
    from llmvc.app.reporting import Reading
    from llmvc.evals.aa import ArmName, SelfTest


@dataclass(frozen=True, slots=True)
class Tested:
    """What the gate was tested with, and how it did.

    Attributes:
        name: the report or the file, for people.
        report: the report's digest; None for a file.
        result: how the gate did.
    """

    name: str
    report: Digest | None
    result: "SelfTest"


def with_report(
    ws: Workspace, name: str | None, *, arm: "ArmName | None", times: int, seed: int | None
) -> Tested:
    """Tests the gate with the runs of a stored report.

    Args:
        ws: the workspace.
        name: a report's digest or its start, an environment, or another version; None for the
            working tree, and if that was not measured, for what the environment serves.
        arm: whose runs are used; None for the arm with more runs, the candidate where both have as
            many.
        times: how often cases and halves are drawn.
        seed: of the draws; None for the report's.

    Raises:
        NotFoundError: no report has that name.
        Inconclusive: nobody has measured that version, or its runs allow no test.
    """
    found = reporting.read(ws, name) if name is not None else _newest(ws)
    report = found.report
    from llmvc.evals.aa import self_test  # noqa: PLC0415 (loads numpy, after bad input is told)

    result = self_test(
        report.cases,
        found.suite,
        arm or _larger(report.cases),
        times=times,
        seed=report.seed if seed is None else seed,
    )
    return Tested(f"{report.bundle} report {digest.short(report.digest)}", report.digest, result)


def with_file(path: Path, rules: Rules, *, times: int, seed: int | None) -> Tested:
    """Tests the gate with the runs in one result file of any harness.

    Args:
        path: the file.
        rules: which scores are judged, by which margin.
        times: how often cases and halves are drawn.
        seed: of the draws; None for 0.

    Raises:
        UsageError: the rules do not say what to judge.
        NotFoundError: the file is not there.
        FormatError: it cannot be read, or a score is outside its range.
        Inconclusive: its runs allow no test.
    """
    # Held against itself a file is checked, and its scores are brought to [0, 1].
    compared = compare_files(path, path, rules)
    names = tuple(item.metric for item in compared.estimates if item.kind == "score")
    suite = Suite(
        datasets=(),
        scorers=tuple(Scorer(name, "result", {}) for name in names),
        runs=max(1, compared.runs[0]),
        metrics=tuple(
            Metric(name, "score", (name,), margin=rules.margin, scale=rules.scale) for name in names
        ),
        alpha=rules.alpha,
    )
    from llmvc.evals.aa import self_test  # noqa: PLC0415 (loads numpy, after bad input is told)

    try:
        result = self_test(compared.cases, suite, "candidate", times=times, seed=seed or 0)
    except Inconclusive as err:
        raise Inconclusive(
            f"{path}: {err}", hint="give the file more cases, with two runs or more of each"
        ) from err
    return Tested(str(path), None, result)


def _newest(ws: Workspace) -> "Reading":
    """Returns the report on the working tree; if there is none, that of what is served."""
    try:
        return reporting.read(ws, None)
    except Inconclusive as missing:
        from llmvc.app.measuring import default_environment  # noqa: PLC0415 (loads the providers)

        try:
            return reporting.read(ws, f"{ws.bundle_name(None)}@{default_environment(ws.config)}")
        except NotFoundError:
            raise missing from None


def _larger(cases: tuple[CaseRuns, ...]) -> "ArmName":
    candidate = sum(len(case.candidate) for case in cases)
    return "baseline" if sum(len(case.baseline) for case in cases) > candidate else "candidate"
