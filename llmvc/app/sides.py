"""The sides of a comparison: what answers the calls of candidate and baseline, and where."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmvc.app import connecting
from llmvc.app.workspace import Workspace
from llmvc.errors import ConfigError
from llmvc.evals.plan import Arm, ArmName
from llmvc.evals.providers.base import Provider

if TYPE_CHECKING:
    from llmvc.app.job import Choices, Comparison
    from llmvc.evals.cluster import Cluster


def arms(ws: Workspace, comparison: "Comparison") -> tuple[Arm, ...]:
    """Returns the candidate, and the baseline if there is one.

    Raises:
        ConfigError: a connection is not there or not described well.
        NotFoundError: a part of a bundle is not in this clone.
        ProviderError: a key, file or function is not there.
    """
    providers: dict[str, Provider] = {}
    candidate = _arm(ws, "candidate", comparison, providers)
    if comparison.baseline is None:
        return (candidate,)
    return candidate, _arm(ws, "baseline", comparison, providers)


def cluster(
    ws: Workspace, comparison: "Comparison", arms: Sequence[Arm], choices: "Choices"
) -> "Cluster | None":
    """Returns what makes the calls; None for this process."""
    if choices.on is None:
        return None
    from llmvc.evals.cluster import Cluster, Recipe  # noqa: PLC0415 (an extra)

    folder = ws.repo.root or ws.repo.common_dir
    used = {arm.named: connecting.connection(comparison.config, arm.named) for arm in arms}
    recipes = {
        name: Recipe(name, one.kind, one.options, one.mode, folder) for name, one in used.items()
    }
    return Cluster(choices.on, recipes, concurrency=choices.concurrency)


def _arm(
    ws: Workspace, name: ArmName, comparison: "Comparison", providers: dict[str, Provider]
) -> Arm:
    """Returns one side of the comparison; both share a provider that both name."""
    is_candidate = name == "candidate"
    bundle = comparison.candidate.bundle if is_candidate else comparison.baseline
    if bundle is None:
        raise ConfigError("there is no baseline to measure")
    at_hand = dict(comparison.candidate.assets) if is_candidate else {}
    wanted = connecting.provider_name(bundle, comparison.candidate.name)
    if wanted not in providers:
        providers[wanted] = connecting.provider(ws, comparison.config, wanted)
    source = ws.repo.source() if providers[wanted].mode == "app" else None
    application = {"commit": source.commit, "dirty": not ws.is_clean()} if source else None
    needed = connecting.needed(ws, bundle, at_hand)
    return Arm(
        name,
        bundle,
        providers[wanted],
        connecting.texts(bundle, needed),
        parts=needed,
        named=wanted,
        application=application,
    )
