"""The answers that a report rests on, with the cases that they answer.

- Reports hold no texts: answers come from this clone's run cache, cases from the suite's data.
- A case counts only if its row is the one that was measured; what is not here is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.canon import Json
from llmvc.core.digest import Digest
from llmvc.core.report import ARMS, Report
from llmvc.core.suite import Case, Dataset, Suite
from llmvc.errors import LlmvcError, NotFoundError
from llmvc.evals import runs


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a report rests on.

    Attributes:
        report: the report.
        cases: id -> the row that was measured.
        texts: (arm, case id, run) -> run id and answer, of the cases above.
        missing: runs whose answer or case is not here.
    """

    report: Report
    cases: Mapping[str, Case]
    texts: Mapping[tuple[str, str, int], tuple[Digest, str]]
    missing: int

    def vars(self, case: str) -> dict[str, Json]:
        """Returns what a judge is told of a case: its variables, and what is expected."""
        row = self.cases[case]
        return {**row.vars, **({} if row.expected is None else {"expected": row.expected})}


def outputs(ws: Workspace, report: Report, suite: Suite) -> Outputs:
    """Finds the answers that a report rests on.

    Raises:
        NotFoundError: there is none in this clone.
    """
    cases = _cases(ws, report, suite)
    wanted = {
        run.run_id: (arm, case.id, run.run)
        for case in report.cases
        for arm in ARMS
        for run in getattr(case, arm)
        if run.run_id is not None
    }
    entries = runs.search(runs.folder(ws.repo.common_dir), wanted.__contains__)
    texts = {
        wanted[run_id]: (run_id, entry.answer.output)
        for run_id, entry in sorted(entries.items())
        if entry.answer.output is not None and wanted[run_id][1] in cases
    }
    if not texts:
        raise NotFoundError(
            f"this clone has none of the answers of report {digest.short(report.digest)}",
            hint="run this where it was measured, or measure again: llmvc eval --fresh",
        )
    return Outputs(report, cases, texts, len(wanted) - len(texts))


def _cases(ws: Workspace, report: Report, suite: Suite) -> dict[str, Case]:
    """Returns the measured cases that a suite of the working tree still has."""
    from llmvc.files.suite import find_suites  # noqa: PLC0415 (with YAML, when it is needed)

    stored = [data for one in suite.datasets if (data := ws.repo.versions.read(one)) is not None]
    measured = {row for data in stored for row in Dataset.from_bytes(data).cases}
    found: dict[str, Case] = {}
    for path in find_suites(ws.files, ws.config).get(report.bundle, ()):
        try:
            loaded = ws.suite_of(report.bundle, str(ws.root / path))
        except LlmvcError:
            continue  # a suite that cannot be read says so when it is used
        found |= {case.id: case for case in loaded.cases if (case.id, case.digest) in measured}
    return found
