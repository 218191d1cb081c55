"""Reports for reading, made from a few scores."""

from collections.abc import Mapping, Sequence

from llmvc.app.reporting import Reading
from llmvc.core import digest
from llmvc.core.metric import Metric, Scorer
from llmvc.core.report import CaseRuns, Report, Run
from llmvc.core.suite import Suite
from llmvc.evals.changes import changes
from llmvc.evals.estimates import Design
from llmvc.evals.providers.base import Answer
from llmvc.evals.runs import Entry
from llmvc.evals.summary import summarize
from llmvc.gate.decide import decide
from llmvc.gate.level import Standing

Scores = Sequence[float | None]
QUALITY = Metric("quality", "score", ("right",), margin=0.05, floor=0.5)
LATENCY = Metric("latency", "latency", gate=False)
COST = Metric("cost", "cost", limit=1.1, ceiling_usd=0.01)
SEVERE = Metric("leaks", "severe", ("right",), budget=0.1)
HOSTILE = '<script>alert("1")</script> | `x` **b** [a](http://evil.example) @all #1 \x1b[31m\u202e'


def run_id(case: str, arm: str, run: int) -> digest.Digest:
    return digest.of_bytes(f"{case} {arm} {run}".encode())


def runs(case: str, arm: str, scores: Scores) -> tuple[Run, ...]:
    """A run with the score -1 failed."""
    return tuple(
        Run(at, None, {"right": None}, error=f"no answer for {case}")
        if score == -1
        else Run(at, run_id(case, arm, at), {"right": score}, None, 0.001 * (2 + at), 1.0 + at)
        for at, score in enumerate(scores)
    )


def case(
    name: str,
    baseline: Scores,
    candidate: Scores,
    *,
    group: str | None = None,
    tags: tuple[str, ...] = (),
) -> CaseRuns:
    arms = (runs(name, "candidate", candidate), runs(name, "baseline", baseline))
    return CaseRuns(name, group, *arms, tags)


def suite(*metrics: Metric, **changed: object) -> Suite:
    fields = {
        "datasets": (digest.of_bytes(b"cases"),),
        "scorers": (Scorer("right", "equals", {}),),
        "runs": 3,
        "metrics": metrics or (QUALITY,),
        **changed,
    }
    return Suite(**fields)


def many(count: int = 40) -> tuple[CaseRuns, ...]:
    """Cases of which three broke, one was fixed and two are flaky."""
    kinds: Mapping[int, tuple[Scores, Scores]] = {
        0: ((1, 1, 1), (0, 0, 0)),
        1: ((1, 1, 1), (0, 1, 0)),
        2: ((1, 1, 0), (0, 0, 0)),
        3: ((0, 0, 0), (1, 1, 1)),
        4: ((1, 1, 1), (1, 1, 0)),
        5: ((0, 1, 1), (0, 1, 1)),
    }
    even = ((1, 1, 1), (1, 1, 1))
    return tuple(case(f"c{at:03}", *kinds.get(at, even), tags=("mixed",)) for at in range(count))


def reading(
    cases: Sequence[CaseRuns] | None = None,
    rules: Suite | None = None,
    *,
    standing: Standing | None = None,
    listed: int = 10,
    outputs: Mapping[str, str] | None = None,
    **changed: object,
) -> Reading:
    """A reading of a report on the cases.

    Args:
        outputs: run digest -> output, what the run cache holds.
        changed: members of the report.
    """
    rows, suite_ = tuple(many() if cases is None else cases), rules or suite()
    paired = any(item.baseline for item in rows)
    where = standing or Standing(look=1, made_at=0.05)
    estimates = summarize(rows, suite_, Design(0.05, 7, {}))
    fields = {
        "bundle": "support",
        "candidate": digest.of_bytes(b"new"),
        "baseline": digest.of_bytes(b"old") if paired else None,
        "suite": suite_.digest,
        "seed": 7,
        "cases": rows,
        "estimates": estimates,
        "verdict": decide(estimates, suite_, has_baseline=paired, standing=where),
        "started": "2026-11-20T12:00:00Z",
        "finished": "2026-11-20T12:01:00Z",
        "actor": "Ada <ada@example.org>",
        "tool": "llmvc 0",
        **changed,
    }
    report = Report(**fields)
    entries = None
    if outputs is not None:
        entries = {
            digest.parse(key): Entry(
                digest.of_bytes(b"key"), digest.parse(key), Answer(output=text)
            )
            for key, text in outputs.items()
        }
    return Reading(
        report,
        suite_,
        report.verdict,
        where,
        changes(rows, suite_),
        listed=listed,
        outputs=entries,
    )
