"""The pre-push hook: installing it, and finding out quickly whether a push changes a bundle."""

import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from llmvc.app.workspace import Workspace
from llmvc.errors import ConfigError, NotFoundError, UsageError
from llmvc.store.source import changed_between

if TYPE_CHECKING:
    from llmvc.files.config import Config
    from llmvc.store.source import CommitFiles

CONFIG_PATH = ".llmvc/config.yaml"
MARK = "llmvc pre-push hook 1"
KEPT = "pre-push.before-llmvc"
ZERO = frozenset("0")


@dataclass(frozen=True, slots=True)
class Push:
    """One line that Git hands to a pre-push hook."""

    local_ref: str
    local_oid: str
    remote_ref: str
    remote_oid: str


def parse_pushes(text: str) -> tuple[Push, ...]:
    """Reads what Git writes to a pre-push hook; deletions and our own refs are left out.

    Raises:
        UsageError: a line does not have four fields.
    """
    pushes: list[Push] = []
    for line in text.splitlines():
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 4:
            raise UsageError(f"pre-push input has {len(fields)} fields instead of 4: {line!r}")
        push = Push(*fields)
        if not set(push.local_oid) <= ZERO and not push.remote_ref.startswith("refs/llmvc/"):
            pushes.append(push)
    return tuple(pushes)


@dataclass(frozen=True, slots=True)
class Changed:
    """A manifest whose folder a push changes.

    Attributes:
        commit: the pushed commit.
        path: the manifest's path.
        files: the files of that commit.
        config: the configuration as that commit has it.
    """

    commit: str
    path: str
    files: "CommitFiles"
    config: "Config"


def changed(ws: Workspace, remote: str, push: Push) -> tuple[Changed, ...]:
    """Returns the manifests whose folder differs between what is pushed and what is there.

    Args:
        ws: the workspace.
        remote: the name or URL that is pushed to.
        push: one line of the hook's input.
    """
    commit = ws.repo.commit_at(push.local_oid)
    if commit is None:
        return ()
    files = ws.repo.files_at(commit)
    try:
        files.read(CONFIG_PATH)
    except NotFoundError:
        return ()
    from llmvc.files import config  # noqa: PLC0415 (other repositories pay nothing)

    base = ws.repo.pushed_base(commit, push.remote_oid, remote)
    found = [
        path
        for path in config.matching(files, config.bundle_globs(files))
        if changed_between(files, base, str(PurePosixPath(path).parent))
    ]
    if not found:
        return ()
    whole = config.load_config(files)  # slow, so only where something changed
    return tuple(Changed(commit, path, files, whole) for path in found)


def install(ws: Workspace) -> tuple[Path, bool]:
    """Installs the pre-push hook, keeping one that is there.

    Returns:
        Where it lies, and whether a hook of the user's was moved aside.

    Raises:
        ConfigError: core.hooksPath points elsewhere, or a hook was already kept aside.
    """
    from llmvc.files.shipped import shipped  # noqa: PLC0415

    target = _hook_path(ws)
    kept = target.with_name(KEPT)
    ours = target.exists() and _is_ours(target)
    moved = target.exists() and not ours
    if moved and kept.exists():
        raise ConfigError(
            f"{kept} is there already", hint="merge it with your pre-push hook, then install again"
        )
    text = (
        shipped("hooks", "pre-push")
        .read_text(encoding="utf-8")
        .replace("@PYTHON@", _quoted(sys.executable))
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if moved:
            shutil.move(target, kept)
        beside = target.with_name(".pre-push.llmvc")
        beside.write_text(text, encoding="utf-8")
        beside.chmod(0o755)
        beside.replace(target)
    except OSError as err:
        raise ConfigError(f"cannot write {target}: {err.strerror}") from err
    return target, moved


def uninstall(ws: Workspace) -> tuple[Path, bool]:
    """Removes the hook and puts the user's own back.

    Returns:
        Where it lay, and whether there was one of ours.
    """
    target = _hook_path(ws)
    if not target.exists() or not _is_ours(target):
        return target, False
    kept = target.with_name(KEPT)
    if kept.exists():
        kept.replace(target)
    else:
        target.unlink()
    return target, True


def is_installed(ws: Workspace) -> bool:
    """Tells whether the pre-push hook is llmvc's and can run."""
    target = _hook_path(ws)
    return target.exists() and _is_ours(target) and bool(target.stat().st_mode & stat.S_IXUSR)


def _hook_path(ws: Workspace) -> Path:
    own = ws.repo.common_dir / "hooks"
    answer = ws.repo.git.call("config", "--type=path", "--get", "core.hooksPath")
    configured = answer.out.decode("utf-8", "replace").strip()
    if configured and (ws.repo.root or ws.repo.common_dir) / configured != own:
        raise ConfigError(
            f"core.hooksPath is {configured}, so Git does not look at this repository's own hooks",
            hint=f'call `llmvc hook run pre-push "$@"` from the pre-push hook in {configured}',
        )
    return own / "pre-push"


def _is_ours(path: Path) -> bool:
    return MARK in path.read_text(encoding="utf-8", errors="replace")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
