"""From a bundle to what answers its calls: the connection in the configuration, and its parts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.bundle import Bundle, parts
from llmvc.core.digest import Digest
from llmvc.core.request import CANNED
from llmvc.errors import ConfigError, NotFoundError
from llmvc.evals.providers import connect
from llmvc.evals.providers.base import Provider

if TYPE_CHECKING:
    from llmvc.files.config import Config, Connection


def provider_name(bundle: Bundle, name: str) -> str:
    """Returns the connection that answers for a bundle; a set, having no model, names its own."""
    model = bundle.body.get("model")
    return str(model.get("provider", name)) if isinstance(model, dict) else name


def connection(config: "Config", wanted: str) -> "Connection":
    """Returns the connection of a name.

    Raises:
        ConfigError: the configuration has none of that name, or one that is built in.
    """
    from llmvc.files.config import Connection  # noqa: PLC0415 (with YAML, when it is needed)

    if wanted == CANNED:
        if wanted in config.providers:
            raise ConfigError(
                f"provider {CANNED!r} in .llmvc/config.yaml: the name is taken, for bundles that "
                "are their own answer",
                hint="give it another name, there and as model.provider",
            )
        return Connection(wanted, CANNED, {"self_hosted": True})
    if wanted in config.providers:
        return config.providers[wanted]
    if wanted == "openai":
        return Connection(wanted, "openai", {})
    if wanted == "anthropic":
        return Connection(wanted, "anthropic", {})
    known = ", ".join(sorted(config.providers)) or "none"
    raise ConfigError(
        f"provider {wanted!r} is not in .llmvc/config.yaml",
        hint=f"known: {known}; add it under providers, with its kind",
    )


def provider(ws: Workspace, config: "Config", wanted: str) -> Provider:
    """Returns what answers calls through the connection of a name; nothing is called yet.

    Raises:
        ConfigError: there is none of that name, or it is not described well.
        ProviderError: the key, file or function that it names is not there.
    """
    found = connection(config, wanted)
    return connect(
        wanted,
        found.kind,
        found.options,
        mode=found.mode,
        folder=ws.repo.root or ws.repo.common_dir,
        environ=ws.environ,
    )


def needed(
    ws: Workspace, bundle: Bundle, at_hand: Mapping[Digest, bytes]
) -> Mapping[Digest, bytes]:
    """Returns a bundle's assets, and the members of a set with theirs.

    Args:
        ws: the workspace.
        bundle: of any kind.
        at_hand: what was read along with it.

    Raises:
        NotFoundError: a part is neither at hand nor in the store.
    """

    def read(wanted: Digest) -> bytes:
        data = at_hand[wanted] if wanted in at_hand else ws.repo.versions.read(wanted)
        if data is None:
            raise NotFoundError(
                f"{digest.short(wanted)}, a part of {digest.short(bundle.digest)}, "
                "is not in this clone",
                hint="run llmvc fetch; members of a set are to be committed first",
            )
        return data

    return parts(bundle, read).data


def texts(bundle: Bundle, held: Mapping[Digest, bytes]) -> dict[str, str]:
    """Returns the texts of a bundle's assets by path; binary ones are left out."""
    listed = bundle.body.get("assets")
    found: dict[str, str] = {}
    for path, wanted in listed.items() if isinstance(listed, dict) else ():
        data = held[digest.parse(wanted)]
        if b"\0" not in data:
            found[path] = data.decode("utf-8", errors="replace")
    return found
