"""The pre-push hook: what is pushed is measured before it leaves.

- It reads the pushed commit, never the working tree, and publishes nothing.
- Stored evidence is used first; a measurement is made only within the hook's budget.
- Code that would have to run (python or command providers, python scorers) runs only if HEAD is
  the pushed commit and the working tree is clean; else the bundle is reported as not measured.
"""

import shutil
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from llmvc.app import job, measuring, revisions
from llmvc.app.job import Choices, Comparison, OnProgress
from llmvc.app.measuring import Measured
from llmvc.app.workspace import Workspace
from llmvc.core.report import Report, Verdict
from llmvc.errors import ConfigError, LlmvcError, UsageError

if TYPE_CHECKING:
    from llmvc.files.config import Config, Hook
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
class _Changed:
    """A manifest whose folder a push changes."""

    commit: str
    path: str
    files: "CommitFiles"
    config: "Config"


def pre_push(ws: Workspace, remote: str, text: str, progress: OnProgress) -> tuple[Checked, ...]:
    """Checks every bundle that the push changes.

    Args:
        ws: the workspace.
        remote: the name or URL that is pushed to.
        text: what Git wrote to the hook's input.
        progress: called after every run.
    """
    found: dict[tuple[str, str], _Changed] = {}
    unread: list[Checked] = []
    for push in parse_pushes(text):
        try:
            for changed in _changed(ws, remote, push):
                found[changed.commit, changed.path] = changed
        except LlmvcError as err:
            unread.append(_unread(Checked("bundles", push.local_oid, "", None, None, ""), err))
    return (*unread, *(_check(ws, changed, progress) for changed in found.values()))


def _changed(ws: Workspace, remote: str, push: Push) -> Iterable[_Changed]:
    """Yields the manifests whose folder differs between what is pushed and what is there."""
    commit = ws.repo.commit_at(push.local_oid)
    if commit is None:
        return
    files = ws.repo.files_at(commit)
    try:
        files.read(CONFIG_PATH)
    except LlmvcError:
        return
    from llmvc.files import config  # noqa: PLC0415 (others pay nothing)

    base = ws.repo.pushed_base(commit, push.remote_oid, remote)
    whole: Config | None = None
    for path in config.matching(files, config.bundle_globs(files)):
        folder = str(PurePosixPath(path).parent)
        before = ws.repo.tree_id(base, folder) if base else None
        if files.tree_id(folder) != before:
            whole = whole or config.load_config(files)  # slow, so only where something changed
            yield _Changed(commit, path, files, whole)


def _check(ws: Workspace, changed: _Changed, progress: OnProgress) -> Checked:
    from llmvc.files.manifest import load_manifest  # noqa: PLC0415 (no bundle changed, no YAML)

    config = changed.config
    blank = Checked(changed.path, changed.commit, "", None, None, "")
    try:
        name = load_manifest(changed.files, changed.path).name
        env = measuring.default_environment(config)
        blank = replace(blank, bundle=name, env=env)
        candidate = revisions.resolve(ws, f"{name}@git:{changed.commit}")
        served = measuring.served_bundle(ws, name, env)
        if served is not None and served.digest == candidate.bundle.digest:
            return replace(blank, note=f"{env} serves it already")
        suite = ws.suite_of(name, None, files=changed.files)
        return _judged(ws, blank, Comparison(candidate, env, served, suite, config), progress)
    except LlmvcError as err:
        return _unread(blank, err)


def _unread(blank: Checked, err: LlmvcError) -> Checked:
    hint = f" ({err.hint})" if err.hint else ""
    return replace(blank, note=f"not measured: {err}{hint}")


def _judged(ws: Workspace, blank: Checked, comparison: Comparison, progress: OnProgress) -> Checked:
    hook = comparison.config.hook
    done = measuring.stored(ws, comparison)
    if done is not None:
        return _stopped(blank, done, hook)
    code = comparison.code_to_run()
    if code and not _checked_out(ws, blank.commit):
        return _not_measured(blank, f"{code} would run, and HEAD is not this commit and clean")
    choices = Choices(max_usd=hook.max_usd, max_seconds=hook.max_seconds)
    with job.prepared(ws, comparison, choices) as prepared:
        expected = prepared.expected
        if expected.usd is None or expected.usd > hook.max_usd:
            cost = "unknown cost" if expected.usd is None else f"about ${expected.usd:.2f}"
            limit = f"hook.max_usd is ${hook.max_usd:.2f}"
            return _not_measured(blank, f"{expected.calls} calls, {cost}, {limit}")
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
    verdict = done.verdict.verdict if done.verdict else ""
    if verdict == "fail":
        return replace(found, blocks=1)
    if verdict == "inconclusive" and hook.on_inconclusive == "block":
        return replace(found, blocks=3)
    return found


def _checked_out(ws: Workspace, commit: str) -> bool:
    return ws.repo.root is not None and ws.repo.source().commit == commit and ws.is_clean()


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
