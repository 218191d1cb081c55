"""A repository whose provider replays a recording, and a clock that stands still.

Nothing in a report depends on the machine then: its bytes are the same however an eval came about.
"""

from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmvc.app import measuring, sides
from llmvc.app.workspace import Workspace
from llmvc.evals import plan
from llmvc.evals.providers.base import Answer
from llmvc.evals.providers.recorded import record_line
from llmvc.store.repository import Repository
from tests.support.build import CONFIG, SUITE, RepoBuilder

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FAKE = 'fake: {kind: python, function: "fake.py:answer", self_hosted: true}'
RECORDED = "fake: {kind: recorded, file: recorded.jsonl, self_hosted: true}"


def opened(
    start: Path | None = None,
    *,
    actor: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Workspace:
    """Does what `Workspace.open` does, with a clock that stands still."""
    named = actor or "ada"
    return Workspace(Repository.open(start), now=lambda: NOW, named_actor=named, tell=tell)


@contextmanager
def standing_still():
    """Lets every command of this process see one time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "open", staticmethod(opened))
        yield


def recorded(root: Path, *, cases: int = 40, runs: int = 2, wrong: int = 3) -> RepoBuilder:
    """Makes the repository; the first `wrong` cases are answered wrongly in their second run."""
    repo = RepoBuilder(root).start(cases=cases)
    repo.write(".llmvc/config.yaml", CONFIG.replace(FAKE, RECORDED))
    repo.write(
        "evals/support/suite.yaml", SUITE.format(name="support").replace("s: 1", f"s: {runs}")
    )
    repo.write("recorded.jsonl", "")
    ws = opened(root)
    comparison = measuring.compare(ws, "support", "prod")
    loaded = comparison.suite
    planned = plan.make(sides.arms(ws, comparison), loaded.cases, loaded.suite)
    lines = []
    for one, run in planned.calls():
        missed = run == 1 and int(one.case.id[1:]) < wrong
        answer = Answer(
            output="wrong" if missed else str(one.case.expected),
            input_tokens=10,
            output_tokens=1,
            latency_s=0.25 + run / 8,
        )
        lines.append(record_line(one.request_digest, run, answer, time="2026-11-20T11:00:00.000Z"))
    ws.repo.close()
    repo.write("recorded.jsonl", b"\n".join((*lines, b"")))
    repo.save("recorded")
    return repo
