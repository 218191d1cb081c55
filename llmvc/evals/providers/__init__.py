"""Providers: whatever answers a call. One file a kind, loaded when a connection names it."""

from collections.abc import Mapping
from pathlib import Path

from llmvc.core import canon
from llmvc.errors import ConfigError
from llmvc.evals.providers.base import Mode, Provider

KINDS = ("openai", "anthropic", "command", "python", "recorded", "canned")


def connect(
    name: str,
    kind: str,
    options: Mapping[str, canon.Json],
    *,
    mode: str,
    folder: Path,
    environ: Mapping[str, str],
) -> Provider:
    """Returns the provider that a connection describes; nothing is called yet.

    Args:
        name: the connection's name, which bundles use as `model.provider`.
        kind: one of KINDS.
        options: what the kind needs, as the configuration has it.
        mode: `chat`, or `app` for the application itself.
        folder: what relative paths start from: the top of the working tree.
        environ: where keys are looked up; also the environment of commands.

    Raises:
        ConfigError: the connection is not described well.
        ProviderError: the key, file or function that it names is not there.
    """
    checked = _mode(name, kind, mode)
    if kind == "openai":
        from llmvc.evals.providers import openai  # noqa: PLC0415 (one kind a run)

        return openai.connect(name, options, environ=environ)
    if kind == "anthropic":
        from llmvc.evals.providers import anthropic  # noqa: PLC0415

        return anthropic.connect(name, options, environ=environ)
    if kind == "command":
        from llmvc.evals.providers.command import Command  # noqa: PLC0415

        return Command.connect(name, options, mode=checked, folder=folder, environ=environ)
    if kind == "python":
        from llmvc.evals.providers.python import Python  # noqa: PLC0415

        return Python.connect(name, options, mode=checked, folder=folder)
    if kind == "canned":
        from llmvc.evals.providers.canned import Canned  # noqa: PLC0415

        return Canned()
    from llmvc.evals.providers.recorded import Recorded  # noqa: PLC0415

    return Recorded.connect(name, options, folder=folder)


def _mode(name: str, kind: str, mode: str) -> Mode:
    if kind not in KINDS:
        raise ConfigError(
            f"provider {name!r} has unknown kind {kind!r}", hint=f"kinds are {', '.join(KINDS)}"
        )
    if mode == "chat":
        return "chat"
    if mode != "app":
        raise ConfigError(
            f"provider {name!r} has unknown mode {mode!r}", hint="modes are chat and app"
        )
    if kind not in ("command", "python"):
        raise ConfigError(
            f"provider {name!r} of kind {kind} cannot be the application itself",
            hint="mode: app needs kind command or python",
        )
    return "app"
