"""From the name of a version to its bytes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.bundle import Bundle
from llmvc.core.digest import Digest
from llmvc.core.names import Revision
from llmvc.core.release import Release
from llmvc.core.version import Version
from llmvc.errors import (
    ConfigError,
    FormatError,
    IntegrityError,
    LlmvcError,
    NotFoundError,
    UsageError,
)
from llmvc.store.chain import EnvChain, Tip


@dataclass(frozen=True, slots=True)
class Resolved:
    """A version that was named, found and read.

    Attributes:
        name: the bundle's name.
        label: how it was named, for people.
        bundle: the version itself.
        release: the release that serves it, if an environment was named.
        files: paths it was read from, if it comes from manifest files; manifest first.
        assets: bytes of its assets that were read along with it, by digest.
    """

    name: str
    label: str
    bundle: Bundle
    release: Release | None = None
    files: tuple[str, ...] = ()
    assets: tuple[tuple[Digest, bytes], ...] = ()


def resolve(ws: Workspace, text: str) -> Resolved:
    """Finds the version that a revision names.

    Raises:
        UsageError: the text is no revision, or a digest prefix fits several bundles.
        NotFoundError: nothing has that name.
    """
    revision = Revision.parse(text)
    if revision.kind == "env":
        return _served(ws, revision)
    if revision.kind == "digest":
        return _stored(ws, revision)
    name = ws.bundle_name(revision.bundle)
    at_commit = ws.repo.files_at(revision.value) if revision.kind == "git" else None
    manifest = ws.manifest_of(name, files=at_commit)
    label = f"{name}@git:{revision.value}" if at_commit else name
    return Resolved(
        name, label, manifest.bundle, None, manifest.files, tuple(manifest.assets.items())
    )


def safe_version(ws: Workspace, env: str) -> Digest | None:
    """Returns the version that `rollback --to safe` is to serve; None if none is configured.

    Raises:
        NotFoundError: there is no such bundle.
        ConfigError: it was never committed.
    """
    named = ws.config.safe.get(env)
    if named is None:
        return None
    try:
        found = resolve(ws, named)
        committed(ws, found)
    except LlmvcError as err:
        where = f".llmvc/config.yaml: environments.{env}.safe"
        raise type(err)(f"{where}: {err}", hint=err.hint) from err
    return found.bundle.digest


def committed(ws: Workspace, candidate: Resolved) -> tuple[Version, ...]:
    """Returns the version records of a bundle, the newest last.

    Raises:
        ConfigError: it was never committed.
    """
    history = ws.repo.versions.history(candidate.name)
    versions = tuple(item for item in history if item.bundle == candidate.bundle.digest)
    if not versions:
        raise ConfigError(
            f"{candidate.label} ({digest.short(candidate.bundle.digest)}) "
            "is not a committed version",
            hint=f"llmvc commit {candidate.name} -m '…'",
        )
    return versions


def unreleased(ws: Workspace, bundle: str, env: str) -> NotFoundError:
    """Returns the error for an environment without releases, naming those that have some."""
    known = [f"{name}@{other}" for name, other in ws.repo.environments()]
    return NotFoundError(
        f"{bundle} has no release in {env}",
        hint=f"released: {', '.join(known)}"
        if known
        else "fetch them with llmvc fetch, or promote one",
    )


def bundle_at(ws: Workspace, name: str, commit: str) -> Digest | None:
    """Returns what a commit's own manifest stands for, if it has one that reads."""
    if ws.repo.commit_at(commit) is None:
        return None
    try:
        return ws.manifest_of(name, files=ws.repo.files_at(commit)).bundle.digest
    except LlmvcError:
        return None


def read_bundle(ws: Workspace, wanted: Digest) -> Bundle:
    """Reads a bundle from the store.

    Raises:
        NotFoundError: it is not there.
    """
    data = ws.repo.versions.read(wanted)
    if data is None:
        raise NotFoundError(
            f"bundle {digest.short(wanted)} is not in this clone", hint="run llmvc fetch"
        )
    return Bundle.from_bytes(data)


def released_bundle(chain: EnvChain, tip: Tip) -> Bundle:
    """Reads the bundle of a release from the environment's own ref, which alone is enough.

    Raises:
        IntegrityError: the ref does not hold it.
    """
    data = chain.blob("bundle.json", tip)
    if data is None:
        raise IntegrityError(
            f"{chain.ref} release {tip.release.seq} holds no bundle.json", hint="llmvc fsck"
        )
    return Bundle.from_bytes(data)


def find_digest(ws: Workspace, prefix: str) -> Digest:
    """Returns the one stored object whose digest starts so.

    Raises:
        UsageError: the prefix is malformed or fits several objects.
        NotFoundError: it fits none.
    """
    if not digest.is_prefix(prefix):
        raise UsageError(f"{prefix!r} is not a digest", hint="write b3: and 8 to 64 hex characters")
    found = ws.repo.versions.find(prefix)
    if not found:
        raise NotFoundError(
            f"nothing stored has the digest {prefix}", hint="run llmvc fetch, or see llmvc log"
        )
    first, *others = found
    if others:
        listed = ", ".join(digest.short(item) for item in found[:4])
        raise UsageError(
            f"{prefix} fits {len(found)} objects: {listed}", hint="write more characters"
        )
    return first


def _served(ws: Workspace, revision: Revision) -> Resolved:
    name = ws.released_bundle(revision.bundle)
    chain = ws.repo.chain(name, revision.env)
    label = f"{name}@{revision.env}"
    tip = chain.tip()
    if tip is None:
        raise unreleased(ws, name, revision.env)
    if revision.back or revision.at:
        tips = chain.newest(revision.back + 1) if revision.back else chain.tips()
        tip = _at(tips, revision, label)
        label += f"~{revision.back}" if revision.back else f"@{{{revision.at}}}"
    return Resolved(name, label, released_bundle(chain, tip), tip.release)


def _at(tips: tuple[Tip, ...], revision: Revision, label: str) -> Tip:
    if revision.back:
        if revision.back >= len(tips):
            has = f"{len(tips)} release{'' if len(tips) == 1 else 's'}"
            raise NotFoundError(f"{label} has only {has}", hint=f"llmvc log {label}")
        return tips[-1 - revision.back]
    moment = parse_time(revision.at)
    before = [tip for tip in tips if parse_time(tip.release.time) <= moment]
    if not before:
        raise NotFoundError(
            f"{label} served nothing at {revision.at}",
            hint=f"its first release is of {tips[0].release.time}",
        )
    return before[-1]


def parse_time(text: str) -> datetime:
    """Reads a date (meaning its end, UTC) or an RFC 3339 time.

    Raises:
        UsageError: it is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise UsageError(
            f"{text!r} is not a date or time", hint="write 2026-11-20 or 2026-11-20T09:30:00Z"
        ) from err
    if len(text) == len("2026-11-20"):
        moment += timedelta(days=1, microseconds=-1)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _stored(ws: Workspace, revision: Revision) -> Resolved:
    bundles: list[Bundle] = []
    for item in ws.repo.versions.find(revision.value):
        data = ws.repo.versions.read(item)
        if data is not None and is_bundle(data):
            bundles.append(Bundle.from_bytes(data))
    if not bundles:
        raise NotFoundError(
            f"no stored bundle has the digest {revision.value}",
            hint="run llmvc fetch, or see llmvc log",
        )
    if len(bundles) > 1:
        listed = ", ".join(digest.short(bundle.digest) for bundle in bundles[:4])
        raise UsageError(
            f"{revision.value} fits {len(bundles)} bundles: {listed}", hint="write more characters"
        )
    name = revision.bundle or ws.released_bundle(None)
    return Resolved(name, f"{name}@{digest.short(bundles[0].digest)}", bundles[0])


def is_bundle(data: bytes) -> bool:
    """Tells whether stored bytes are a bundle."""
    try:
        Bundle.from_bytes(data)
    except FormatError:
        return False
    return True
