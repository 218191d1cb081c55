"""Looking back: logs, and any stored object by its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmvc.app import appointing, revisions
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import canon
from llmvc.core.digest import Digest
from llmvc.core.judging import Shift
from llmvc.core.migration import Migration
from llmvc.core.names import Revision
from llmvc.core.release import MEASURED, Release
from llmvc.core.version import Version
from llmvc.errors import FormatError, NotFoundError, UsageError
from llmvc.store.chain import MIGRATION


@dataclass(frozen=True, slots=True)
class Log:
    """One history, newest first: releases of an environment, or versions of a bundle.

    Attributes:
        name: what was asked for, such as `support@prod`.
        releases: the environment's releases; empty for versions.
        versions: the bundle's versions; empty for releases.
        serving: bundle digest -> environments that serve it now, for versions.
        shifts: number of a judge's release -> what moving to it changed, where that is known.
    """

    name: str
    releases: tuple[Release, ...] = ()
    versions: tuple[Version, ...] = ()
    serving: Mapping[Digest, tuple[str, ...]] | None = None
    shifts: Mapping[int, Shift] = field(default_factory=dict[int, Shift])


@dataclass(frozen=True, slots=True)
class Shown:
    """A stored object, or a run in the run cache, and what it is.

    Attributes:
        digest: its identity.
        kind: such as `bundle/1`, `entry/1` for a run, or `asset` for bytes that are no llmvc
            object.
        value: the decoded object; None for an asset.
        resolved: how it was named, for bundles.
        migration: what the release says of a move to another model; None if it made none.
    """

    digest: Digest
    kind: str
    value: canon.Json
    resolved: Resolved | None = None
    migration: Migration | None = None


def log(ws: Workspace, name: str, *, count: int | None = None) -> Log:
    """Returns the history that `support@prod` or `support` names.

    Raises:
        NotFoundError: there is none.
    """
    revision = Revision.parse(name)
    if revision.kind == "env":
        bundle = ws.released_bundle(revision.bundle)
        chain = ws.repo.chain(bundle, revision.env)
        tips = chain.newest(count) if count else chain.tips()
        releases = tuple(tip.release for tip in reversed(tips))
        if not releases:
            raise revisions.unreleased(ws, bundle, revision.env)
        found = {item.seq: appointing.shift_of(ws, item) for item in releases}
        shifts = {seq: shift for seq, shift in found.items() if shift is not None}
        return Log(f"{bundle}@{revision.env}", releases=releases, shifts=shifts)
    if revision.kind != "worktree":
        raise UsageError(
            f"{name} is one version, not a history", hint="name a bundle or an environment"
        )
    bundle = ws.bundle_name(revision.bundle)
    versions = tuple(reversed(ws.repo.versions.history(bundle)))[:count]
    if not versions:
        raise NotFoundError(
            f"{bundle} has no committed version", hint=f"llmvc commit {bundle}, or llmvc fetch"
        )
    serving: dict[Digest, tuple[str, ...]] = {}
    for _, env in ws.repo.environments(bundle):
        tip = ws.repo.chain(bundle, env).tip()
        if tip is not None:
            serving[tip.release.to] = (*serving.get(tip.release.to, ()), env)
    return Log(bundle, versions=versions, serving=serving)


def show(ws: Workspace, name: str) -> Shown:
    """Returns what a revision, or a bare digest, names; a run's digest is one in a report.

    Raises:
        NotFoundError: neither the store nor the run cache of this clone has it.
    """
    if name.startswith("b3:"):
        try:
            wanted = revisions.find_digest(ws, name)
        except NotFoundError as err:
            return _run(ws, name, err)
        data = ws.repo.versions.read(wanted) or b""
        try:
            value = canon.decode(data)
        except FormatError:
            return Shown(wanted, "asset", None)
        kind = value.get("llmvc") if isinstance(value, Mapping) else None
        return Shown(wanted, kind if isinstance(kind, str) else "asset", value)
    found = revisions.resolve(ws, name)
    moved = _migration(ws, found.release) if found.release else None
    return Shown(found.bundle.digest, "bundle/1", found.bundle.body, found, moved)


def _migration(ws: Workspace, release: Release) -> Migration | None:
    """Returns the record of a migration that a release carries; of a rollback there is none."""
    if release.kind not in MEASURED:
        return None
    chain = ws.repo.chain(release.bundle, release.env)
    tip = chain.tip()
    if tip is None or tip.release.digest != release.digest:
        tip = next((one for one in chain.tips() if one.release.digest == release.digest), None)
    data = chain.blob(MIGRATION, tip) if tip is not None else None
    return None if data is None else Migration.from_bytes(data)


def _run(ws: Workspace, prefix: str, missing: NotFoundError) -> Shown:
    """Returns the run in the run cache whose digest starts so."""
    from llmvc.evals import runs  # noqa: PLC0415 (only where the store has nothing)

    found = runs.search(runs.folder(ws.repo.common_dir), lambda run_id: run_id.startswith(prefix))
    if not found:
        raise NotFoundError(
            f"{missing}, nor does the run cache of this clone hold such a run", hint=missing.hint
        )
    (run_id, entry), *others = found.items()
    if others:
        raise UsageError(f"{prefix} fits {len(found)} runs", hint="write more characters")
    value = canon.decode(runs.encode(entry.key, entry.answer))
    return Shown(run_id, runs.TYPE, value)
