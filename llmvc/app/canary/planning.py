"""Planning a canary: what the configured plan can show at a given traffic, before any of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from llmvc.app.canary import scene, starting
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.canary import SHARES, Guardrail
from llmvc.errors import Inconclusive, NotFoundError, UsageError
from llmvc.files.rollout import Rollout
from llmvc.traces import planning
from llmvc.traces.adding import summed
from llmvc.traces.enrolled import arms, figure
from llmvc.traces.planning import Pilot, Step
from llmvc.traces.reading import files
from llmvc.traces.sums import Scope


@dataclass(frozen=True, slots=True)
class Planned:
    """What a canary can show.

    Attributes:
        bundle: the bundle's name.
        env: the canary's environment.
        rollout: its plan, as the configuration says it.
        per_day: units of both arms together.
        power: the chance that was wanted.
        rates: name of a guardrail -> share of the baseline that the figures rest on; None where it
            is an amount.
        missing: guardrails of which nothing is known.
        steps: in their order.
    """

    bundle: str
    env: str
    rollout: Rollout
    per_day: float
    power: float
    rates: Mapping[str, float | None]
    missing: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def days(self) -> float | None:
        """How long the whole canary lasts; None if a step cannot tell."""
        known = [step.days for step in self.steps if step.days is not None]
        return sum(known) if len(known) == len(self.steps) else None


def plan(
    ws: Workspace,
    name: str | None,
    *,
    per_day: float,
    rates: Mapping[str, float],
    logs: Iterable[str] = (),
    power: float = 0.8,
) -> Planned:
    """Says what the plan of an environment's canaries can show.

    Args:
        ws: the workspace.
        name: `[BUNDLE][@ENV]`.
        per_day: units of both arms together.
        rates: name of a guardrail -> the baseline's share, or for an amount the standard deviation
            of a unit over its mean.
        logs: globs of logs of what the environment beside it serves; what they tell wins.
        power: chance that each guardrail of an unchanged candidate passes.

    Raises:
        UsageError: a rate is of no guardrail, or out of range.
        ConfigError: no environment holds canaries.
        Inconclusive: nothing is known of any guardrail.
    """
    bundle, env = scene.named(name)
    bundle, env = ws.bundle_name(bundle), starting.environment(ws, env)
    rollout = ws.config.canaries[env]
    pilots = {
        rule: _told(rule, rates[rule.name]) for rule in rollout.guardrails if rule.name in rates
    }
    known = ", ".join(rule.name for rule in rollout.guardrails)
    if wrong := rates.keys() - {rule.name for rule in rollout.guardrails}:
        raise UsageError(
            f"--baseline-rate {min(wrong)}: no such guardrail", hint=f"there are: {known}"
        )
    patterns = tuple(logs)
    if patterns:
        pilots |= _logged(ws, bundle, rollout, patterns)
    if not pilots:
        first = rollout.guardrails[0].name
        raise Inconclusive(
            f"nothing is known of what {bundle}@{rollout.of} does: {known}",
            hint=f"--baseline-rate '{first}=…', or --logs GLOB of what is served now",
        )
    named = {rule.name: pilot for rule, pilot in pilots.items()}
    return Planned(
        bundle,
        env,
        rollout,
        per_day,
        power,
        {name: pilot.rate for name, pilot in named.items()},
        tuple(rule.name for rule in rollout.guardrails if rule not in pilots),
        planning.steps(rollout.plan, rollout.guardrails, named, per_day=per_day, power=power),
    )


def _told(rule: Guardrail, value: float) -> Pilot:
    """Returns the pilot that one number makes."""
    if rule.metric in SHARES:
        if not 0 < value < 1:
            raise UsageError(f"--baseline-rate {rule.name}={value:g} is no share in (0, 1)")
        return Pilot.of_rate(value)
    if not value > 0:
        raise UsageError(f"--baseline-rate {rule.name}={value:g} is not above 0")
    return Pilot(None, value * value)


def _logged(
    ws: Workspace, bundle: str, rollout: Rollout, patterns: tuple[str, ...]
) -> dict[Guardrail, Pilot]:
    """Returns what logs say of what is served beside the canary now."""
    tip = ws.repo.chain(bundle, rollout.of).tip()
    if tip is None:
        raise NotFoundError(f"{bundle} has no release in {rollout.of}", hint="llmvc fetch")
    release = tip.release
    version = digest.hex_of(release.to)[:12]
    scope = Scope(bundle, rollout.of, None, release.seq, 0, version, "")
    served, _ = arms(summed(files(patterns), scope))
    found = {rule: Pilot.of_arm(rule, figure(served, rule)) for rule in rollout.guardrails}
    return {rule: pilot for rule, pilot in found.items() if pilot is not None}
