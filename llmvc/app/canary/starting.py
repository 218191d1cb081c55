"""Starting a canary: a committed version serves the first step of an environment's plan."""

from dataclasses import replace

from llmvc.app import releasing, revisions
from llmvc.app.appending import Moved, append, check_fits
from llmvc.app.canary import scene as scenes
from llmvc.app.canary.scene import Scene
from llmvc.app.canary.sending import PLAIN, How, push
from llmvc.app.releasing import NONE, Exceptions
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core.canary import Canary, salt_of
from llmvc.core.digest import Digest
from llmvc.core.policy import Policy
from llmvc.core.release import Move, told
from llmvc.errors import ConfigError, UsageError
from llmvc.gate import canary as gate


def environment(ws: Workspace, env: str | None, of: str | None = None) -> str:
    """Returns the environment that the configuration lets hold canaries.

    Args:
        ws: the workspace.
        env: the one named; None for the only one that the configuration has.
        of: the environment that it must stand beside; None for any.

    Raises:
        ConfigError: the configuration has no such canary.
        UsageError: it has several.
    """
    known = {
        name: plan.of for name, plan in ws.config.canaries.items() if of is None or plan.of == of
    }
    if env is not None:
        ws.policy(env)
    if not known or (env is not None and env not in known):
        beside = f" beside {of}" if of else ""
        raise ConfigError(
            f"{env or 'no environment'} is {'not ' if env else ''}configured to hold canaries"
            f"{beside}",
            hint="under environments in .llmvc/config.yaml: "
            "canary: {canary: {of: prod, steps: [5%, 25%], guardrails: […]}}",
        )
    if env is None and len(known) > 1:
        raise UsageError("which environment?", hint=f"name one of {', '.join(sorted(known))}")
    return env or next(iter(known))


def start(
    ws: Workspace,
    revision: str,
    env: str,
    *,
    suite: str | None = None,
    exceptions: Exceptions = NONE,
    how: How = PLAIN,
) -> Moved:
    """Lets a committed version serve the first step of an environment's plan.

    The evidence is the one that a promote to the environment beside it would need.

    Args:
        ws: the workspace.
        revision: a committed version.
        env: an environment that the configuration lets hold canaries.
        suite: path of the suite file; None for the bundle's only one.
        exceptions: what goes beyond the evidence, with the reason.
        how: whether to push, or to write at all.

    Raises:
        ConfigError: a canary is open already, or the version may not serve.
        GateBlocked: the evidence says fail.
        Inconclusive: there is no evidence, or it cannot tell.
        RefMoved: somebody else moved the canary's environment meanwhile.
    """
    candidate = revisions.resolve(ws, revision)
    policy, strict = ws.policy(env), _strict(ws, env)
    source = releasing.source_of(ws, candidate, strict, env)
    scene = scenes.look(ws, candidate.name, env, of=ws.config.canaries[env].of)
    check_fits(scene.place, "start")
    gate.check(scene.state, "start")
    _check_candidate(scene, candidate, exceptions)
    time = ws.time
    move = Move(
        "start",
        candidate.bundle.digest,
        policy.digest,
        source,
        time,
        ws.actor,
        canary=_opened(ws, scene, candidate.bundle.digest, time),
        reason=releasing.reason_of(exceptions),
        proven=True,
    )
    on = releasing.measured(
        ws, scene.beside, candidate, move, policy=strict, exceptions=exceptions, suite=suite
    )
    moved = append(
        ws,
        scene.place,
        on.move,
        candidate,
        policy=policy.to_bytes(),
        blobs=on.blobs,
        dry_run=how.dry_run,
    )
    return push(ws, replace(moved, suite_note=on.note, verdict=on.verdict), how)


def _strict(ws: Workspace, env: str) -> Policy:
    """Returns what both environments demand: users of the one beside it get the candidate."""
    own, there = ws.policy(env), releasing.policy_of(ws, ws.config.canaries[env].of)
    return replace(
        own,
        source_branch=own.source_branch or there.source_branch,
        allow_inconclusive=own.allow_inconclusive and there.allow_inconclusive,
    )


def _check_candidate(scene: Scene, candidate: Resolved, exceptions: Exceptions) -> None:
    """Checks that a version may be tried at all."""
    if candidate.bundle.kind == "judge":
        raise UsageError("a judge serves no units", hint="llmvc promote releases it")
    served = scene.served
    if candidate.bundle.digest == served.to:
        raise ConfigError(
            f"{candidate.label} is what {scene.of} serves already: {told(served)}",
            hint="a canary needs another version",
        )
    command = f"llmvc canary start {candidate.label} {scene.env}"
    releasing.check_again(scene.beside, candidate, exceptions, command=command)
    releasing.check_again(scene.place, candidate, exceptions, command=command)


def _opened(ws: Workspace, scene: Scene, candidate: Digest, time: str) -> Canary:
    """Returns what a canary's first release carries."""
    wanted, baseline = ws.config.canaries[scene.env], scene.served.digest
    tip = scene.place.tip
    salt = salt_of(
        bundle=scene.bundle,
        env=scene.env,
        previous=tip.release.digest if tip else None,
        baseline=baseline,
        candidate=candidate,
        time=time,
        actor=ws.actor,
    )
    return Canary(
        of=wanted.of,
        baseline=baseline,
        share_ppm=wanted.plan.steps[0],
        salt=salt,
        unit=wanted.unit,
        plan=wanted.plan,
        guardrails=wanted.guardrails,
        budget=wanted.budget,
    )
