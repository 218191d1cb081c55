"""Versions: commit, status and checkout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmvc.app import revisions
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.bundle import SECTIONS, Bundle
from llmvc.core.canary import Canary, void
from llmvc.core.canon import mapped
from llmvc.core.digest import Digest
from llmvc.core.release import Release
from llmvc.core.version import Version
from llmvc.errors import ConfigError, FormatError, LlmvcError, NotFoundError
from llmvc.places import put

if TYPE_CHECKING:
    from llmvc.files.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Committed:
    """What `commit` did.

    Attributes:
        name: the bundle's name.
        digest: the bundle's digest.
        version: the version record's digest.
        created: whether a version was made; not if the parent has this very bundle.
        sections: section -> `=`, `~`, `+` or `-` against the first parent, present sections only.
        serving: environment -> digest it serves now.
    """

    name: str
    digest: Digest
    version: Digest
    created: bool
    sections: Mapping[str, str]
    serving: Mapping[str, Digest]


@dataclass(frozen=True, slots=True)
class EnvironmentState:
    """What one environment serves.

    An open canary has a share of the environment `of` as well; `void` says why readers do not
    follow it, None if they do.
    """

    env: str
    to: Digest
    seq: int
    kind: str
    proven: bool
    behind: bool
    of: str | None = None
    share_ppm: int | None = None
    void: str | None = None


@dataclass(frozen=True, slots=True)
class BundleState:
    """One bundle as `status` shows it; `problem` says why a manifest cannot be read."""

    name: str
    path: str | None
    digest: Digest | None
    committed: bool = False
    environments: tuple[EnvironmentState, ...] = ()
    problem: str | None = None


def commit(ws: Workspace, bundle: str | None, *, message: str, dry_run: bool = False) -> Committed:
    """Stores the working tree's bundle as an immutable version.

    Args:
        ws: the workspace.
        bundle: its name; None if there is only one.
        message: why the version is made.
        dry_run: say what would be stored, write nothing.

    Raises:
        FormatError: the manifest or a file it names is not as it must be.
    """
    name = ws.bundle_name(bundle)
    manifest = ws.manifest_of(name)
    new = manifest.bundle
    _check_members(ws, manifest)
    parents = _parents(ws, name)
    serving = {state.env: state.to for state in _served(ws, name).get(name, ())}
    history = ws.repo.versions.history(name)
    by_digest = {version.digest: version for version in history}
    first = by_digest.get(parents[0]) if parents else None
    sections = _marks(ws, first.bundle if first else None, new)
    if first is not None and len(parents) == 1 and first.bundle == new.digest:
        if not dry_run:
            ws.repo.remember(name, parents[0])
        return Committed(
            name, new.digest, parents[0], created=False, sections=sections, serving=serving
        )
    version = Version(
        name=name,
        bundle=new.digest,
        parents=tuple(sorted(parents)),
        message=message,
        author=ws.actor,
        time=ws.time,
        source=ws.repo.source(manifest.files),
    )
    if not dry_run:
        _store(ws, version, [new.data, *manifest.assets.values()])
    return Committed(
        name, new.digest, version.digest, created=True, sections=sections, serving=serving
    )


def _store(ws: Workspace, version: Version, objects: Sequence[bytes]) -> None:
    ws.repo.versions.add(
        objects=objects,
        versions=[version],
        subject=f"{version.name}: {version.message}",
        trailers={"Llmvc-Bundle": version.bundle, "Llmvc-Name": version.name},
        author=version.author,
        time=ws.now(),
    )
    ws.repo.remember(version.name, version.digest)


def status(ws: Workspace, bundle: str | None = None) -> tuple[BundleState, ...]:
    """Returns every bundle's state; a manifest that cannot be read is a line, not an end."""
    served = _served(ws, bundle)
    try:
        names = set(served) | set(ws.manifests)
    except LlmvcError as err:
        if not served:
            raise
        return tuple(
            BundleState(name, None, None, environments=envs, problem=str(err))
            for name, envs in served.items()
        )
    if bundle is not None:
        names &= {bundle}
        if not names:
            raise NotFoundError(
                f"no bundle named {bundle!r}", hint=f"known: {', '.join(sorted(ws.manifests))}"
            )
    return tuple(_state(ws, name, served.get(name, ())) for name in sorted(names))


def checkout(
    ws: Workspace, revision: str, *, force: bool = False
) -> tuple[Resolved, tuple[str, ...]]:
    """Writes a version into the files that the manifest names.

    Returns:
        The version, and the paths that were written.

    Raises:
        ConfigError: the files hold edits that are no committed version, or a file that is none of
            the bundle's stands in the way.
    """
    from llmvc.files.manifest import checkout_files  # noqa: PLC0415

    target = revisions.resolve(ws, revision)
    manifest = ws.manifest_of(target.name)
    if not force and ws.repo.versions.read(manifest.bundle.digest) is None:
        raise ConfigError(
            f"{manifest.path} and its files hold edits that are not committed",
            hint=f"llmvc commit {target.name} first, or --force to lose them",
        )
    assets = {item: _asset(ws, item) for item in target.bundle.asset_digests()}
    files = checkout_files(ws.files.read(manifest.path), manifest, target.bundle, assets)
    for path, data in files.items():
        if not force and path not in manifest.files and _is_other(ws, path, data):
            raise ConfigError(
                f"{path} is in the way: {target.label} has a file there, {manifest.path} has none",
                hint="move it away, or --force to overwrite it",
            )
    for path, data in files.items():
        replace_file(ws, path, data)
    newest = [
        item
        for item in ws.repo.versions.history(target.name)
        if item.bundle == target.bundle.digest
    ]
    if newest:
        ws.repo.remember(target.name, newest[-1].digest)
    return target, tuple(sorted(files))


def _is_other(ws: Workspace, path: str, data: bytes) -> bool:
    """Tells whether something else than these bytes stands at a path."""
    try:
        return ws.files.read(path) != data
    except NotFoundError:
        return False
    except FormatError:  # no regular file
        return True


def last_commit(ws: Workspace, name: str) -> Resolved:
    """Returns the version that the working tree's bundle comes from."""
    parents = _parents(ws, name)
    found = [item for item in ws.repo.versions.history(name) if item.digest in parents]
    if not found:
        raise NotFoundError(f"{name} has no committed version yet", hint=f"llmvc commit {name}")
    bundle = revisions.read_bundle(ws, found[-1].bundle)
    return Resolved(name, f"{name}@{bundle.digest[:15]}", bundle)


def _parents(ws: Workspace, name: str) -> tuple[Digest, ...]:
    merged = [
        found for head in ws.repo.merge_heads() if (found := revisions.bundle_at(ws, name, head))
    ]
    # HEAD's own manifest counts only where this worktree remembers no commit of its own.
    seen, history = ws.repo.last(name), ws.repo.versions.history(name)
    remembered = seen is not None and any(item.digest == seen.version for item in history)
    at_head = None if remembered else revisions.bundle_at(ws, name, "HEAD")
    return ws.repo.parents_for(name, at_head, merged)


def _served(ws: Workspace, bundle: str | None) -> dict[str, tuple[EnvironmentState, ...]]:
    """Returns what every environment of a bundle, or of all bundles, serves."""
    from llmvc.store.behind import standing  # noqa: PLC0415 (for environments alone)

    heads, behind = standing(ws.repo, bundle)
    late = {(item.bundle, item.env) for item in behind}
    tips = {where: ws.repo.chain(*where).at(oid).release for where, oid in heads.items()}
    states: dict[str, tuple[EnvironmentState, ...]] = {}
    for (name, env), found in tips.items():
        canary = found.canary
        state = EnvironmentState(
            env,
            found.to,
            found.seq,
            found.kind,
            found.proven,
            (name, env) in late,
            canary.of if canary else None,
            canary.share_ppm if canary else None,
            _void(name, canary, tips) if canary else None,
        )
        states[name] = (*states.get(name, ()), state)
    return states


def _void(name: str, canary: Canary, tips: Mapping[tuple[str, str], Release]) -> str | None:
    """Returns why readers do not follow an open canary of a bundle."""
    served = tips.get((name, canary.of))
    others = [
        env
        for (bundle, env), item in tips.items()
        if bundle == name and item.canary and item.canary.of == canary.of
    ]
    return void(canary, served.digest if served else None, beside=len(others) - 1)


def _state(ws: Workspace, name: str, environments: tuple[EnvironmentState, ...]) -> BundleState:
    path = ws.manifests.get(name)
    if path is None:
        return BundleState(name, None, None, environments=environments)
    try:
        found = ws.manifest_of(name).bundle.digest
    except LlmvcError as err:
        return BundleState(name, path, None, environments=environments, problem=str(err))
    # An eval stores what it measured as well, which makes no version of it.
    known = any(version.bundle == found for version in ws.repo.versions.history(name))
    return BundleState(name, path, found, committed=known, environments=environments)


def _check_members(ws: Workspace, manifest: "Manifest") -> None:
    """Checks that every member of a set is a committed bundle, so that the set is whole."""
    from llmvc.files.reading import read_yaml  # noqa: PLC0415 (with YAML, when it is needed)

    for member, wanted in mapped(manifest.bundle.body.get("members")).items():
        if ws.repo.versions.read(digest.parse(wanted)) is None:
            written = mapped(read_yaml(ws.files.read(manifest.path), manifest.path).value)
            bundle = mapped(written.get("members")).get(member)
            raise ConfigError(
                f"{manifest.path}: member {member} ({bundle}) is not a committed version",
                hint="llmvc commit each member first",
            )


def _marks(ws: Workspace, before: Digest | None, new: Bundle) -> dict[str, str]:
    data = ws.repo.versions.read(before) if before else None
    return marks(Bundle.from_bytes(data) if data else None, new)


def marks(old: Bundle | None, new: Bundle) -> dict[str, str]:
    """Returns how each section moved: `=` same, `~` changed, `+` added, `-` removed."""
    before = old.section_digests() if old else dict.fromkeys(SECTIONS)
    after = new.section_digests()
    result: dict[str, str] = {}
    for name in SECTIONS:
        if before[name] is None and after[name] is None:
            continue
        if before[name] == after[name]:
            result[name] = "="
        else:
            result[name] = "+" if before[name] is None else "-" if after[name] is None else "~"
    return result


def _asset(ws: Workspace, wanted: Digest) -> bytes:
    data = ws.repo.versions.read(wanted)
    if data is None:
        raise NotFoundError(f"asset {wanted[:15]} is not in this clone", hint="run llmvc fetch")
    return data


def replace_file(ws: Workspace, path: str, data: bytes) -> None:
    """Writes a file whole or not at all: a neighbour first, then a rename over it."""
    target = ws.root / path
    try:
        put(target, data)
    except OSError as err:
        raise ConfigError(f"cannot write {path}: {err.strerror}") from err
