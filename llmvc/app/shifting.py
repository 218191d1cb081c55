"""Moving a judge: the same stored answers, graded by the one that goes and the one that comes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from llmvc.app import calibrating, evidence, judges
from llmvc.app.calibrating import Asking, Means
from llmvc.app.outputs import Outputs, outputs
from llmvc.app.revisions import Resolved, find_digest
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.core.judge import Rules
from llmvc.core.judging import Shift
from llmvc.core.report import Report
from llmvc.errors import Inconclusive, NotFoundError, UsageError
from llmvc.evals.judging.grades import Item
from llmvc.evals.trust import calibration
from llmvc.evals.trust.calibration import Regraded


@dataclass(frozen=True, slots=True)
class Shifted:
    """What moving a judge changes, on which report's answers, and what it cost."""

    old: Resolved
    new: Resolved
    report: Report
    shift: Shift
    missing: int
    usd: float


def shift(ws: Workspace, revision: str, env: str, *, report: str | None, means: Means) -> Shifted:
    """Grades stored answers under the judge that an environment serves and under another.

    Args:
        ws: the workspace.
        revision: the judge that comes.
        env: the environment whose judge goes.
        report: digest of the report whose answers are graded, or its start; None for the newest
            released one that the old judge graded.
        means: what it may take.

    Raises:
        UsageError: both are the same judge, or they do not judge in the same way.
        NotFoundError: the environment serves no judge, or no answer is here.
        ConfigError: it had to stop at a limit.
    """
    new = judges.resolve(ws, revision)
    old = judges.resolve(ws, f"{new.name}@{env}")
    if old.bundle.digest == new.bundle.digest:
        raise UsageError(f"{old.label} is {digest.short(new.bundle.digest)} already")
    rules = Rules.of(new.bundle)
    if Rules.of(old.bundle).pairwise != rules.pairwise:
        raise UsageError("one of the judges grades answers, the other compares them")
    graded = _report(ws, report, old)
    found = outputs(ws, graded, evidence.read_suite(ws, graded.suite))
    items = dict(_items(found, pairwise=rules.pairwise))
    if not items:
        raise NotFoundError(f"report {digest.short(graded.digest)} has no answers to compare")
    spent = 0.0
    scores: list[Mapping[str, float | None]] = []
    for one in (old, new):
        asking = Asking(ws, calibrating.connected(ws, one), means.after(spent))
        grades = asking.grade([item for item, _ in items.values()])
        scores.append({key: ones[0].score for key, ones in grades.items()})
        spent += asking.budget.spent
    made = calibration.shift(
        old.bundle.digest,
        new.bundle.digest,
        [
            Regraded(run_id, case, scores[0][item.key], scores[1][item.key])
            for run_id, (item, case) in items.items()
        ],
        now=ws.now(),
        pairwise=rules.pairwise,
    )
    subject = f"{new.name}: shift {digest.short(made.old)} -> {digest.short(made.new)}"
    judges.file(ws, made, (made.old, made.new), subject=subject, beside=calibrating.held(ws, new))
    return Shifted(old, new, graded, made, found.missing, spent)


def _items(found: Outputs, *, pairwise: bool) -> Iterator[tuple[Digest, tuple[Item, str]]]:
    """Yields the run id of each answer with what a judge is shown of it, and its case."""
    for (arm, case, run), (run_id, text) in found.texts.items():
        if not pairwise:
            yield run_id, (Item(run_id, found.vars(case), text), case)
        elif arm == "candidate" and ("baseline", case, run) in found.texts:
            other = found.texts["baseline", case, run][1]
            yield run_id, (Item(run_id, found.vars(case), text, other), case)


def _report(ws: Workspace, name: str | None, old: Resolved) -> Report:
    """Returns the report whose answers are graded."""
    if name is not None:
        data = ws.repo.versions.read(find_digest(ws, name))
        return Report.from_bytes(data or b"")
    released = [one for one in _released(ws) if old.bundle.digest in one.judges]
    if not released:
        raise Inconclusive(
            f"no release rests on a report that {old.label} graded",
            hint="name a report whose answers are to be graded: --report b3:…",
        )
    return max(released, key=lambda one: (one.finished, one.digest))


def _released(ws: Workspace) -> Iterator[Report]:
    """Yields the reports that the releases of all bundles carry."""
    for bundle, env in ws.repo.environments():
        for tip in ws.repo.chain(bundle, env).tips():
            wanted = tip.release.report if tip.release.suite else None
            data = ws.repo.versions.read(wanted) if wanted else None
            if data is not None:
                yield Report.from_bytes(data)
