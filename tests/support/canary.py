"""Canaries in tests: a configuration that allows one, and analyses that say what a test wants."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from llmvc.core.analysis import Analysis, ArmTotals, Check, Judged, Outcome, Result
from llmvc.core.canary import Guardrail
from llmvc.core.digest import of_value
from llmvc.core.release import Release
from llmvc.store.repository import Repository
from tests.support.build import CONFIG
from tests.support.cli import Cli

PLAN = """\
  canary:
    canary:
      of: prod
      steps: [5%, 25%]
      min_units: 2
      min_duration: 0s
      looks: 3
      guardrails:
        - {metric: errors, margin: 0.01}
        - {metric: latency, at: 0.95, limit: 1.2}
"""
WITH_CANARY = CONFIG.replace("  prod: {}\n", "  prod: {}\n" + PLAN)
MADE = "2026-11-20T13:00:00Z"


def analysis(release: Release, verdict: Result = "pass", *, look: int = 1, **more: Any) -> Analysis:
    """Returns an analysis of a canary's release that says what is wanted."""
    assert release.canary is not None
    served = of_value("served")
    made = Analysis(
        bundle=release.bundle,
        env=release.env,
        release=release.digest,
        seq=release.seq,
        baseline=served,
        candidate=release.to,
        rollout=release.canary.salt,
        look=look,
        arms={
            "baseline": ArmTotals(served, 1900, 4000, 9, 0.1),
            "canary": ArmTotals(release.to, 100, 200, 1, 0.01),
        },
        guardrails=tuple(_judged(rule, verdict) for rule in release.canary.guardrails),
        checks={"ratio": Check(0.5, 0.001, broken=False, says="as planned")},
        invalid=("mixed versions",) if verdict == "invalid" else (),
        verdict=verdict,
        reason=f"it says {verdict}",
        settle="wait for more units" if verdict == "inconclusive" else None,
        logs=of_value([verdict, look]),
        first=MADE,
        last=MADE,
        made=MADE,
        actor="Ada <ada@example.org>",
        tool="llmvc test",
    )
    return replace(made, **more)


def _judged(rule: Guardrail, verdict: Result) -> Judged:
    """Returns what a guardrail says where an analysis says `verdict`."""
    bound = rule.margin or rule.limit or 0.0
    high = bound * (0.9 if verdict == "pass" else 2)
    said: Outcome = "inconclusive" if verdict == "invalid" else verdict
    told = (0.02, 0.02, bound * 0.5, bound * 0.1, high, rule.margin, rule.limit)
    return Judged(rule.name, rule.metric, *told, said, f"it says {said}", None)


def judged(root: Path, verdict: Result = "pass", *, look: int = 1, **more: Any) -> Analysis:
    """Stores an analysis of the newest release of the canary in a repository, and returns it."""
    with Repository.open(root) as repo:
        tip = repo.chain("support", "canary").tip()
        assert tip is not None
        made = analysis(tip.release, verdict, look=look, **more)
        store(repo, made)
    return made


def store(repo: Repository, made: Analysis) -> None:
    """Files an analysis as `canary analyze` does."""
    from llmvc.app.workspace import utc_now

    repo.versions.add(
        about=[(made.release, made.to_bytes())],
        subject="analyze",
        author=made.actor,
        time=utc_now(),
    )


def kinds(cli: Cli, name: str = "support@canary") -> list[str]:
    """Returns the kinds of an environment's releases, oldest first."""
    return [item["kind"] for item in reversed(cli.json("log", name)["releases"])]
