"""The pre-push check: what is pushed is measured before it leaves.

- It reads the pushed commit, never the working tree, and publishes nothing.
- Stored evidence is used first; a measurement is made only within the hook's budget.
- Code that would have to run (python or command providers, python scorers) runs only if HEAD is
  the pushed commit and the working tree is clean; else the bundle is reported as not measured.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmvc.app import job, measuring, revisions
from llmvc.app.hooks import Changed
from llmvc.app.job import Choices, Comparison, OnProgress
from llmvc.app.judging import Measured
from llmvc.app.workspace import Workspace
from llmvc.core.estimate import Verdict
from llmvc.core.plural import count
from llmvc.core.report import Report
from llmvc.errors import ConfigError, LlmvcError
from llmvc.evals.budget import dollars
from llmvc.files.manifest import find_manifests

if TYPE_CHECKING:
    from llmvc.files.config import Hook


@dataclass(frozen=True, slots=True)
class Checked:
    """What the hook found about one changed bundle.

    Attributes:
        bundle: its name.
        commit: the pushed commit.
        env: the environment compared with.
        report: the evidence; None if nothing was measured.
        verdict: what the gate says; None if nothing was measured.
        note: why nothing was measured, or where the evidence comes from.
        blocks: the exit code that stops the push; 0 lets it go.
    """

    bundle: str
    commit: str
    env: str
    report: Report | None
    verdict: Verdict | None
    note: str
    blocks: int = 0


def check(ws: Workspace, changed: Changed, progress: OnProgress) -> Checked:
    """Finds or makes the evidence on a changed bundle, and says whether it stops the push.

    What keeps a bundle from being measured is said and does not stop the push.
    """
    config = changed.config
    blank = Checked(changed.path, changed.commit, "", None, None, "")
    try:
        names = {path: name for name, path in find_manifests(changed.files, config).items()}
        name = names[changed.path]
        env = measuring.default_environment(config)
        blank = replace(blank, bundle=name, env=env)
        candidate = revisions.resolve(ws, f"{name}@git:{changed.commit}")
        served = measuring.served_bundle(ws, name, env)
        if served is not None and served.digest == candidate.bundle.digest:
            return replace(blank, note=f"{env} serves it already")
        suite = ws.suite_of(name, None, files=changed.files)
        return _judged(ws, blank, Comparison(candidate, env, served, suite, config), progress)
    except LlmvcError as err:
        hint = f" ({err.hint})" if err.hint else ""
        return replace(blank, note=f"not measured: {err}{hint}")


def _judged(ws: Workspace, blank: Checked, comparison: Comparison, progress: OnProgress) -> Checked:
    hook = comparison.config.hook
    done = measuring.stored(ws, comparison)
    if done is not None:
        return _stopped(blank, done, hook)
    code = comparison.code_to_run()
    if code and (obstacle := _not_here(ws, blank.commit)):
        return _not_measured(blank, f"{code} would run, and {obstacle}")
    choices = Choices(max_usd=hook.max_usd, max_seconds=hook.max_seconds)
    with job.prepared(ws, comparison, choices, progress) as prepared:
        expected = prepared.expected
        if expected.usd is None or expected.usd > hook.max_usd:
            cost = "unknown cost" if expected.usd is None else f"about {dollars(expected.usd)}"
            limit = f"hook.max_usd is {dollars(hook.max_usd)}"
            return _not_measured(blank, f"{count(expected.calls, 'call')}, {cost}, {limit}")
        try:
            done = measuring.measure(prepared, progress)
        except ConfigError as err:
            return _not_measured(blank, str(err))
    return _stopped(blank, done, hook)


def _not_measured(blank: Checked, why: str) -> Checked:
    by_hand = f"llmvc eval {blank.bundle}@git:{blank.commit[:12]} --env {blank.env}"
    return replace(blank, note=f"not measured: {why}; run it by hand: {by_hand}")


def _stopped(blank: Checked, done: Measured, hook: "Hook") -> Checked:
    """Returns what was found, and whether it stops the push."""
    found = replace(blank, report=done.report, verdict=done.verdict, note=done.note)
    verdict = done.outcome or ""
    if verdict == "fail":
        return replace(found, blocks=1)
    if verdict == "inconclusive" and hook.on_inconclusive == "block":
        return replace(found, blocks=3)
    return found


def _not_here(ws: Workspace, commit: str) -> str:
    """Says why the working tree is not exactly what is pushed; empty if it is."""
    if ws.repo.root is None or ws.repo.source().commit != commit:
        return "this commit is not checked out"
    return "" if ws.is_clean() else "the working tree has edits or files that are not committed"
