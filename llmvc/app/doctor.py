"""The doctor: what is set up, what is missing, and how to mend it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from llmvc.app import hooks, revisions
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.digest import Digest
from llmvc.core.judging import TRUSTED
from llmvc.core.plural import count
from llmvc.errors import LlmvcError

State = Literal["ok", "hint", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: `ok`, `hint` (works, could be better) or `bad` (will not work).
        what: what was found.
        mend: what to do; empty if there is nothing to do.
    """

    state: State
    what: str
    mend: str = ""


def examine(ws: Workspace) -> tuple[Finding, ...]:
    """Looks at Git, the configuration, bundles, suites, remotes, the hook and the diff driver."""
    looks: tuple[Callable[[Workspace], Iterator[Finding]], ...] = (
        _git,
        _config,
        _bundles,
        _remotes,
        _hook,
        _driver,
        _locks,
    )
    return tuple(finding for look in looks for finding in guarded(look, ws))


def guarded(look: Callable[[Workspace], Iterator[Finding]], ws: Workspace) -> list[Finding]:
    """Returns what a look finds; what stops it is a finding, too."""
    try:
        return list(look(ws))
    except LlmvcError as err:
        return [Finding("bad", str(err), err.hint)]


def _git(ws: Workspace) -> Iterator[Finding]:
    version = ws.repo.git.run("version").decode("utf-8", "replace").strip()
    yield Finding("ok", f"{version}, {ws.repo.backend.object_format} repository")
    if ws.repo.settings.fetch_mirror():
        yield Finding(
            "bad",
            "this clone is a fetch mirror: fetches would delete releases",
            "use an ordinary clone",
        )
    if ws.repo.git.run("rev-parse", "--is-shallow-repository").strip() == b"true":
        yield Finding("hint", "this clone is shallow: chains may be cut", "git fetch --unshallow")
    for remote in ws.repo.settings.remotes():
        if ws.repo.settings.all("remote", remote, "mirror"):
            yield Finding(
                "bad",
                f"remote {remote} is a push mirror: it may delete refs there",
                f"git config --unset remote.{remote}.mirror",
            )


def _config(ws: Workspace) -> Iterator[Finding]:
    config = ws.config
    yield Finding("ok", f"environments: {', '.join(sorted(config.environments)) or 'none'}")
    for name, connection in sorted(config.providers.items()):
        key = connection.options.get("api_key_env")
        if isinstance(key, str) and not ws.environ.get(key):
            yield Finding(
                "hint", f"provider {name} needs {key}, which is not set", f"export {key}=…"
            )
        else:
            yield Finding("ok", f"provider {name}: {connection.kind}")
    for env, name in sorted(config.safe.items()):
        yield from guarded(partial(_safe, env=env, name=name), ws)


def _safe(ws: Workspace, env: str, name: str) -> Iterator[Finding]:
    found = revisions.safe_version(ws, env)
    if found is not None:
        yield Finding("ok", f"safe version of {env}: {name} {digest.short(found)}")


def _bundles(ws: Workspace) -> Iterator[Finding]:
    from llmvc.files.suite import find_suites  # noqa: PLC0415 (with YAML, when it is needed)

    safe = {named.partition("@")[0] for named in ws.config.safe.values()}
    for name, path in sorted(ws.manifests.items()):
        try:
            found = ws.manifest_of(name)
        except LlmvcError as err:
            yield Finding("bad", str(err), err.hint)
            continue
        yield Finding("ok", f"bundle {name}: {path}, {count(len(found.files), 'file')}")
        if found.bundle.kind == "judge":
            yield _judge(ws, name, found.bundle.digest)
            continue
        try:
            if name in safe and name not in find_suites(ws.files, ws.config):
                continue  # it goes to prod without evidence
            loaded = ws.suite_of(name, None)
        except LlmvcError as err:
            yield Finding("bad", str(err), err.hint)
            continue
        yield Finding(
            "ok",
            f"suite for {name}: {loaded.path}, {count(len(loaded.cases), 'case')}",
        )
    if not ws.manifests:
        yield Finding("hint", "no bundle yet", "llmvc new NAME")


def _judge(ws: Workspace, name: str, judge: Digest) -> Finding:
    from llmvc.app import judges  # noqa: PLC0415 (few repositories have judges)

    known = judges.known(ws, judge)
    state, why = known.state(ws.time)
    if state == TRUSTED:
        return Finding("ok", f"judge {name}: {state}")
    return Finding("hint", f"judge {name}: {state}: {'; '.join(why)}", known.remedy(name, state))


def _remotes(ws: Workspace) -> Iterator[Finding]:
    for remote in ws.repo.settings.remotes():
        specs = ws.repo.settings.all("remote", remote, "fetch")
        if any("refs/llmvc-remote/" in spec for spec in specs):
            yield Finding("ok", f"remote {remote}: git fetch brings releases along")
        else:
            yield Finding(
                "hint", f"remote {remote}: git fetch does not bring releases", "llmvc init"
            )


def _hook(ws: Workspace) -> Iterator[Finding]:
    if hooks.is_installed(ws):
        yield Finding("ok", "pre-push hook is installed; git push --no-verify skips it")
    else:
        yield Finding("hint", "pre-push hook is not installed", "llmvc hook install")


def _driver(ws: Workspace) -> Iterator[Finding]:
    if ws.repo.git.call("config", "--get", "diff.llmvc.textconv").code == 0:
        yield Finding("ok", "git diff shows manifests in canonical order")
    else:
        yield Finding("hint", "the diff driver is not set up in this clone", "llmvc init")


def _locks(ws: Workspace) -> Iterator[Finding]:
    for path in sorted((ws.repo.common_dir / "refs" / "llmvc").rglob("*.lock")):
        yield Finding(
            "bad",
            f"{path} was left by a process that was killed",
            "remove it if no git process runs",
        )
