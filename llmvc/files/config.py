"""The configuration of a repository: `.llmvc/config.yaml`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from llmvc.core.canon import Json
from llmvc.core.policy import Policy
from llmvc.errors import ConfigError, NotFoundError
from llmvc.files.check import check
from llmvc.files.reading import Document, read_yaml
from llmvc.files.rollout import Rollout, read_rollout
from llmvc.files.tree import Files

CONFIG_PATH: Final = ".llmvc/config.yaml"
BUNDLES: Final = ("**/bundle.yaml",)
SUITES: Final = ("**/suite.yaml",)


@dataclass(frozen=True, slots=True)
class Connection:
    """How a provider that bundles name is reached.

    Attributes:
        name: what bundles call it.
        kind: which implementation answers.
        options: what that implementation needs; never secrets, but names of variables that
            hold them.
        mode: `chat` answers one request, `app` is the application itself.
    """

    name: str
    kind: Literal["openai", "anthropic", "command", "python", "recorded", "canned"]
    options: Mapping[str, Json]
    mode: Literal["chat", "app"] = "chat"


@dataclass(frozen=True, slots=True)
class Hook:
    """What the pre-push hook may spend, and against what it measures."""

    environment: str | None = None
    max_usd: float = 1.0
    max_seconds: int = 120
    on_inconclusive: Literal["warn", "block"] = "warn"


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration with its defaults filled in.

    Attributes:
        bundles: globs of manifests.
        suites: globs of suites.
        environments: the policy of each environment, without its safe version.
        safe: environment -> bundle whose committed version `rollback --to safe` serves.
        canaries: environment -> how a canary there goes, for those that hold canaries.
        providers: connections by the name that bundles use.
        hook: limits of the pre-push hook.
        prices: path of the user's own price table; None for the shipped one alone.
        models: path of the user's own table of models; None for the shipped one alone.
        cache: URL or path of the shared run cache; None for this clone's alone.
    """

    bundles: tuple[str, ...] = BUNDLES
    suites: tuple[str, ...] = SUITES
    environments: Mapping[str, Policy] = field(default_factory=dict[str, Policy])
    safe: Mapping[str, str] = field(default_factory=dict[str, str])
    canaries: Mapping[str, Rollout] = field(default_factory=dict[str, Rollout])
    providers: Mapping[str, Connection] = field(default_factory=dict[str, Connection])
    hook: Hook = Hook()
    prices: str | None = None
    models: str | None = None
    cache: str | None = None


def load_config(files: Files) -> Config:
    """Reads the configuration.

    Raises:
        ConfigError: there is none.
        FormatError: it is not valid.
    """
    return parse_config(_data(files))


def bundle_globs(files: Files) -> tuple[str, ...]:
    """Returns the globs of manifests alone, without the cost of checking the rest.

    Raises:
        ConfigError: there is no configuration.
        FormatError: the globs cannot be read.
    """
    body = read_yaml(_data(files), CONFIG_PATH).value
    globs = body.get("bundles", list(BUNDLES)) if isinstance(body, Mapping) else None
    if isinstance(globs, list) and globs and all(isinstance(glob, str) and glob for glob in globs):
        return tuple(str(glob) for glob in globs)
    return load_config(files).bundles  # this says what is wrong


def matching(files: Files, globs: Sequence[str]) -> tuple[str, ...]:
    """Returns the paths that any of the globs matches; `**/` stands for any folders or none."""
    wanted = re.compile("|".join(f"(?:{_regex(glob)})" for glob in globs) or r"(?!)")
    return tuple(name for name in files.names() if wanted.fullmatch(name))


def parse_config(data: bytes, name: str = CONFIG_PATH) -> Config:
    """Reads the configuration from its bytes."""
    document = read_yaml(data, name)
    check(document, "config")
    body: Any = document.value
    hook = body.get("hook", {})
    environment = hook.get("environment")
    if environment is not None and environment not in body.get("environments", {}):
        raise document.error(
            ("hook", "environment"), f"hook.environment {environment!r} is not among environments"
        )
    environments = {env: rules or {} for env, rules in body.get("environments", {}).items()}
    canaries = _canaries(document, environments)
    return Config(
        bundles=tuple(body.get("bundles", BUNDLES)),
        suites=tuple(body.get("suites", SUITES)),
        environments={
            env: Policy(
                rules.get("source_branch"),
                bool(rules.get("allow_inconclusive", True)),
                canary_of=canaries[env].of if env in canaries else None,
            )
            for env, rules in environments.items()
        },
        safe={env: rules["safe"] for env, rules in environments.items() if "safe" in rules},
        canaries=canaries,
        providers={
            provider: _connection(provider, values)
            for provider, values in body.get("providers", {}).items()
        },
        hook=Hook(
            environment,
            max_usd=float(hook.get("max_usd", 1.0)),
            max_seconds=int(hook.get("max_seconds", 120)),
            on_inconclusive=hook.get("on_inconclusive", "warn"),
        ),
        prices=body.get("prices"),
        models=body.get("models"),
        cache=body.get("cache"),
    )


def _data(files: Files) -> bytes:
    try:
        return files.read(CONFIG_PATH)
    except NotFoundError as err:
        raise ConfigError(
            f"{CONFIG_PATH} is not there{f' in {files.label}' if files.label else ''}",
            hint="run llmvc init",
        ) from err


def _canaries(document: Document, environments: Mapping[str, Any]) -> dict[str, Rollout]:
    """Returns how canaries go in the environments that hold some."""
    found: dict[str, Rollout] = {}
    for env, rules in environments.items():
        if "canary" not in rules:
            continue
        path = ("environments", env, "canary")
        found[env] = read_rollout(document, path, rules["canary"])
        of = found[env].of
        if of not in environments or "canary" in environments[of]:
            known = ", ".join(name for name in environments if "canary" not in environments[name])
            raise document.error(
                path,
                f"environments.{env}.canary stands beside {of!r}, which is no environment that "
                "serves",
                hint=f"of: one of {known or 'the environments, of which there is no other'}",
            )
        if "safe" in rules:
            raise document.error(
                ("environments", env, "safe"),
                f"environments.{env}.safe: a canary is aborted, not rolled back",
                hint=f"write it under {of}",
            )
    return found


def _connection(name: str, values: Mapping[str, Any]) -> Connection:
    options = {key: value for key, value in values.items() if key not in ("kind", "mode")}
    return Connection(name, values["kind"], options, values.get("mode", "chat"))


def _regex(glob: str) -> str:
    result, at = "", 0
    while at < len(glob):
        if glob.startswith("**/", at):
            result, at = result + r"(?:[^/]+/)*", at + 3
        elif glob.startswith("**", at):
            result, at = result + r".*", at + 2
        else:
            char = glob[at]
            result += r"[^/]*" if char == "*" else r"[^/]" if char == "?" else re.escape(char)
            at += 1
    return result
