"""Releases forward: promote, adopt and override; `rollback` has a module of its own.

Every move is one commit on the environment's ref, made by compare-and-swap from the tip that was
judged: whoever comes second is told who won.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmvc.app import appointing, evidence, revisions
from llmvc.app.appending import Moved, Place, append, check_fits, tell_void
from llmvc.app.evidence import Question
from llmvc.app.migrating import stored
from llmvc.app.revisions import Resolved, committed
from llmvc.app.workspace import Workspace
from llmvc.core import digest, release
from llmvc.core.bundle import Bundle
from llmvc.core.estimate import Verdict
from llmvc.core.policy import Policy
from llmvc.core.release import Move, told
from llmvc.core.report import Report
from llmvc.core.suite import Suite
from llmvc.core.version import Source
from llmvc.errors import ConfigError, Inconclusive, UsageError
from llmvc.store.chain import CALIBRATION, MIGRATION, REPORT

if TYPE_CHECKING:
    from llmvc.files.suite import LoadedSuite


@dataclass(frozen=True, slots=True)
class Exceptions:
    """What a person takes upon themself beyond the evidence; all stand in the release.

    Attributes:
        reason: why, in words.
        accept_suite: digest (or its start) of a suite that may replace the one in force.
        accept_inconclusive: whether an inconclusive report may do; shown as UNPROVEN.
        again: whether a digest that was rolled back may return.
        clear_severe: cases whose new severe failure was looked at and is accepted.
    """

    reason: str | None = None
    accept_suite: str | None = None
    accept_inconclusive: bool = False
    again: bool = False
    clear_severe: frozenset[str] = frozenset()


NONE = Exceptions()


def promote(
    ws: Workspace,
    revision: str,
    env: str,
    *,
    suite: str | None = None,
    exceptions: Exceptions = NONE,
    dry_run: bool = False,
    place: Place | None = None,
) -> Moved:
    """Lets an environment serve a version that passed against what it serves now.

    Args:
        ws: the workspace.
        revision: a committed version; a bare name is the working tree, which must equal one.
        env: the environment.
        suite: path of the suite file; None for the bundle's only one.
        exceptions: what goes beyond the evidence.
        dry_run: check everything, write nothing.
        place: as the caller, who publishes then, judged it; None to look now.

    Raises:
        GateBlocked: the evidence says fail.
        Inconclusive: there is no evidence, or it cannot tell.
        RefMoved: somebody else moved the environment meanwhile.
    """
    candidate = revisions.resolve(ws, revision)
    policy = policy_of(ws, env)
    publishing, place = place is None, place or Place.of(ws, candidate.name, env)
    if place.tip is not None and place.serving == candidate.bundle.digest:
        return Moved(place.tip.release, written=False)
    check_fits(place, "promote")
    check_again(place, candidate, exceptions)
    move = Move(
        kind=_kind(place, candidate.bundle),
        to=candidate.bundle.digest,
        policy=policy.digest,
        source=source_of(ws, candidate, policy, env),
        time=ws.time,
        actor=ws.actor,
        reason=reason_of(exceptions),
        proven=True,
    )
    if candidate.bundle.kind == "judge":
        made = appointing.vouch(ws, place, candidate)  # it has no report to pass: ADR 0018
        on = Grounds(move._replace(report=made.digest), {CALIBRATION: made.to_bytes()})
    else:
        on = measured(ws, place, candidate, move, policy=policy, exceptions=exceptions, suite=suite)
    moved = append(
        ws,
        place,
        on.move,
        candidate,
        policy=policy.to_bytes(),
        blobs={**on.blobs, **_migration(ws, place, on)},
        dry_run=dry_run,
        publishing=publishing,
    )
    return replace(moved, suite_note=on.note, verdict=on.verdict)


def _kind(place: Place, candidate: Bundle) -> str:
    """Returns what a promotion of a bundle over what is served is called."""
    served = revisions.released_bundle(place.chain, place.tip) if place.tip else None
    return release.kind_of_promotion(served, candidate)


def _migration(ws: Workspace, place: Place, on: "Grounds") -> dict[str, bytes]:
    """Returns the record of the migration that a release carries out; empty if there is none.

    Where more is known since it was made, such as labels, it names the report that counts today.
    """
    move, verdict = on.move, on.verdict
    if move.report is None or verdict is None:
        return {}
    found = stored.find(ws, place.serving, move.to, move.suite)
    if found is not None and found.report != move.report:
        found = replace(found, report=move.report, verdict=verdict.verdict)
    return {} if found is None else {MIGRATION: found.to_bytes()}


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a promotion rests on: its record, what lies beside it, and what a person should know."""

    move: Move
    blobs: Mapping[str, bytes]
    note: str = ""
    verdict: Verdict | None = None


def measured(
    ws: Workspace,
    place: Place,
    candidate: Resolved,
    move: Move,
    *,
    policy: Policy,
    exceptions: Exceptions,
    suite: str | None,
) -> Grounds:
    """Returns the grounds of a bundle that its suite measured against what is served.

    Args:
        ws: the workspace.
        place: the environment that serves the baseline.
        candidate: what is to go in.
        move: what to do, evidence apart.
        policy: whether inconclusive evidence may do.
        exceptions: what goes beyond the evidence.
        suite: path of the suite file; None for the bundle's only one.

    Raises:
        GateBlocked: the evidence says fail.
        Inconclusive: there is none, or it cannot tell.
    """
    loaded = ws.suite_of(candidate.name, suite)
    note = check_suite(ws, place, loaded, exceptions.accept_suite)
    question = Question(candidate.name, move.to, place.serving, loaded.suite.digest)
    report, verdict, proven = _evidence(ws, question, loaded.suite, policy, exceptions)
    golden = evidence.golden(question, loaded.suite)
    known = evidence.flagged(report, loaded.suite)
    if golden is not None:
        other, _, also = _evidence(ws, golden, loaded.suite, policy, exceptions)
        proven, known = proven and also, known | evidence.flagged(other, loaded.suite)
    _check_cleared(exceptions.clear_severe, known)
    on = move._replace(suite=loaded.suite.digest, report=report.digest, proven=proven)
    blobs = {"suite.json": loaded.suite.to_bytes(), REPORT: report.data_bytes}
    return Grounds(on, blobs, note, verdict)


def adopt(ws: Workspace, revision: str, env: str, *, reason: str, dry_run: bool = False) -> Moved:
    """Records what an environment serves already, unmeasured, as its first release."""
    candidate = revisions.resolve(ws, revision)
    place = Place.of(ws, candidate.name, env)
    if place.tip is not None:
        raise UsageError(
            f"{candidate.name} already has releases in {env}",
            hint="adopt is for the first; promote it, or override with a reason",
        )
    return _unmeasured(ws, candidate, place, kind="adopt", reason=reason, dry_run=dry_run)


def override(
    ws: Workspace, revision: str, env: str, *, reason: str, push: bool = True, dry_run: bool = False
) -> Moved:
    """Lets an environment serve a committed version without evidence; the log shows it for good.

    Args:
        ws: the workspace.
        revision: the version.
        env: the environment.
        reason: why.
        push: whether to push that one ref, if there is a remote: it is a verb for the bad day.
        dry_run: say what would happen, write nothing.

    Raises:
        RefMoved: the remote has another release, which is fetched; ours is dropped.
    """
    candidate = revisions.resolve(ws, revision)
    place = Place.of(ws, candidate.name, env)
    moved = _unmeasured(ws, candidate, place, kind="override", reason=reason, dry_run=dry_run)
    if not moved.written:
        return moved
    from llmvc.app.carrying import push_release  # noqa: PLC0415 (a dry run never talks)
    from llmvc.app.serving import publish  # noqa: PLC0415

    if push:
        outcome, _ = push_release(ws, candidate.name, env, lambda: None)
        moved = replace(moved, pushed=outcome)
    tell_void(ws, place)
    ws.tell(publish(ws, unpushed=True))
    return moved


def _unmeasured(
    ws: Workspace, candidate: Resolved, place: Place, *, kind: str, reason: str, dry_run: bool
) -> Moved:
    policy = policy_of(ws, place.chain.env)
    version = committed(ws, candidate)[-1]
    if place.tip is not None and place.serving == candidate.bundle.digest:
        return Moved(place.tip.release, written=False)
    move = Move(
        kind=kind,
        to=candidate.bundle.digest,
        policy=policy.digest,
        source=version.source,
        time=ws.time,
        actor=ws.actor,
        reason=reason,
    )
    return append(ws, place, move, candidate, policy=policy.to_bytes(), dry_run=dry_run)


def policy_of(ws: Workspace, env: str) -> Policy:
    """Returns what an environment demands now, its safe version included.

    Raises:
        NotFoundError: the configuration has no such environment, or there is no such bundle.
        ConfigError: it holds canaries, or the safe version was never committed.
    """
    policy = ws.policy(env)
    if policy.canary_of is not None:
        raise ConfigError(
            f"{env} holds canaries of {policy.canary_of} and moves by them alone",
            hint=f"llmvc canary start REV {env}",
        )
    return replace(policy, safe=revisions.safe_version(ws, env))


def source_of(ws: Workspace, candidate: Resolved, policy: Policy, env: str) -> Source:
    """Returns where a version comes from, which is the branch that the policy asks for.

    A version that was committed before its files were counts once the branch's manifest has it.

    Raises:
        ConfigError: it was never committed, or is not on that branch.
    """
    versions, branch = committed(ws, candidate), policy.source_branch
    if branch is None:
        return versions[-1].source
    for version in reversed(versions):
        source = version.source
        if source.commit is not None and not source.dirty and ws.is_on(source.commit, branch):
            return source
    tip = ws.repo.commit_at(branch)
    if tip and revisions.bundle_at(ws, candidate.name, tip) == candidate.bundle.digest:
        return Source(tip, dirty=False)
    raise ConfigError(
        f"{env} takes releases from branch {branch} only, and this version is not there",
        hint=f"merge it into {branch}",
    )


def check_again(
    place: Place, candidate: Resolved, exceptions: Exceptions, *, command: str | None = None
) -> None:
    """Checks that nothing comes back that was rolled back, unless a person says why.

    Args:
        place: where it was rolled back from.
        candidate: what is to be served.
        exceptions: what a person allows.
        command: what was asked for; None for a promote to that place.

    Raises:
        ConfigError: it would.
    """
    tip = place.tip
    served = [candidate.bundle.digest]
    if candidate.bundle.kind == "set":
        served += candidate.bundle.asset_digests()
    listed = [item for item in served if tip and item in tip.release.rolled_back]
    if tip is None or not listed:
        return
    if not (exceptions.again and exceptions.reason):
        where = f"{tip.release.bundle}/{tip.release.env}, which is at {told(tip.release)}"
        again = command or f"llmvc promote {candidate.label} {tip.release.env}"
        raise ConfigError(
            f"{digest.short(listed[0])} was rolled back from {where}",
            hint=f"to serve it again: {again} --again --reason '…'",
        )


def check_suite(ws: Workspace, place: Place, loaded: "LoadedSuite", accepted: str | None) -> str:
    """Returns how the suite differs from the one in force, if it may.

    Raises:
        ConfigError: it does more than add cases, and nobody accepted it.
    """
    suite, tip = loaded.suite, place.tip
    if tip is None or tip.release.suite in (None, suite.digest):
        return ""
    data = place.chain.blob("suite.json", tip)
    added = (
        evidence.cases_added(ws, Suite.from_bytes(data), suite, loaded.datasets) if data else None
    )
    if added is not None:
        return f"suite +{added}"
    if accepted is not None and digest.is_prefix(accepted) and suite.digest.startswith(accepted):
        return "suite replaced"
    raise ConfigError(
        f"suite {digest.short(suite.digest)} is not the one in force, "
        f"{digest.short(tip.release.suite)}, and changes more than adding cases",
        hint=f"if that is meant: --accept-suite {digest.short(suite.digest)}",
    )


def reason_of(exceptions: Exceptions) -> str | None:
    """Returns the reason that stands in the release, with the cases that were cleared."""
    if not exceptions.clear_severe:
        return exceptions.reason
    listed = ", ".join(sorted(exceptions.clear_severe))
    return f"{exceptions.reason} (severe failures cleared: {listed})"


def _evidence(
    ws: Workspace, question: Question, suite: Suite, policy: Policy, exceptions: Exceptions
) -> tuple[Report, Verdict, bool]:
    """Returns the report on a question, its verdict, and whether it proves a release.

    Raises:
        GateBlocked: it says fail.
        Inconclusive: there is none, or it cannot tell.
        UsageError: what goes beyond it needs a reason.
    """
    cleared = exceptions.clear_severe
    if cleared and not exceptions.reason:
        raise UsageError("--clear-severe needs a reason", hint="--reason '…'")
    report, verdict = evidence.find(ws, question, suite, cleared=cleared)
    proven = _check_verdict(report, verdict, policy, exceptions)
    if not proven:
        evidence.demand_no_severe(report, suite, cleared)
        evidence.demand_no_fail(ws, question, suite)
    return report, verdict, proven


def _check_cleared(cleared: frozenset[str], flagged: frozenset[str]) -> None:
    """Checks that a person clears what there is to clear, and nothing else."""
    unknown = sorted(cleared - flagged)
    if unknown:
        listed = ", ".join(sorted(flagged)) or "no case"
        raise UsageError(
            f"--clear-severe names {unknown[0]}, which has no new severe failure",
            hint=f"flagged: {listed}",
        )


def _check_verdict(
    report: Report, verdict: Verdict, policy: Policy, exceptions: Exceptions
) -> bool:
    """Returns whether the release is proven; raises where the verdict does not allow it."""
    if verdict.verdict == "inconclusive" and exceptions.accept_inconclusive:
        if not policy.allow_inconclusive:
            raise Inconclusive("the environment's policy does not accept inconclusive evidence")
        if not exceptions.reason:
            raise UsageError("--accept-inconclusive needs a reason", hint="--reason '…'")
        return False
    evidence.demand_pass(report, verdict)
    return True
