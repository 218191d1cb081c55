"""Looking at everything that llmvc keeps in Git, and listing what is wrong with it.

In this order: git's own view of connectivity, the store (path = digest, canonical form), the
environments (the chain's rules, the files that each record names), remotes, leftover locks.
Nothing is raised for what is found broken, and nothing is repaired.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.bundle import Bundle
from llmvc.core.names import ENV_PREFIX, STORE_REF, env_of
from llmvc.core.release import MEASURED, SUITED, Release, kind_of_promotion
from llmvc.core.report import Report
from llmvc.errors import FormatError, IntegrityError, LlmvcError
from llmvc.store.chain import (
    MIGRATION,
    RECORD,
    REPORT,
    EnvChain,
    Tip,
    files_of,
    named,
    object_name,
    trailers,
    wrong,
)
from llmvc.store.git import reason
from llmvc.store.reader import Object
from llmvc.store.refs import is_ancestor
from llmvc.store.repository import Repository
from llmvc.store.settings import SEEN
from llmvc.store.trees import FILE
from llmvc.store.versions import FORMAT, FORMAT_PATH, digest_at, misfiled
from llmvc.store.whole import Whole

_AT_ONCE: Final = 100
_OURS: Final = ("refs/llmvc", "refs/llmvc-seen")
_HINT: Final = "fetch a good copy: llmvc fetch; or restore it from another clone"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        where: the ref, path or object.
        what: what is wrong with it.
        hint: what to do.
    """

    where: str
    what: str
    hint: str = ""


def fsck(repo: Repository) -> tuple[Problem, ...]:
    """Returns all problems found, in the order of the checks; nothing if all is well."""
    checks: tuple[Callable[[Repository], Iterator[Problem]], ...] = (
        _connectivity,
        _store,
        _environments,
        _remotes,
        _locks,
    )
    found: list[Problem] = []
    for check in checks:
        try:
            found.extend(check(repo))
        except LlmvcError as err:
            found.append(Problem("refs/llmvc", str(err), err.hint))
    return tuple(found)


def _connectivity(repo: Repository) -> Iterator[Problem]:
    tips = sorted(set(repo.backend.refs.under(*_OURS).values()))
    if not tips:
        return
    args = ("rev-list", "--objects", "--verify-objects", "--quiet", "--stdin")
    result = repo.git.call(*args, stdin=_lines(tips))
    if result.code or result.err:
        yield Problem("refs/llmvc", f"git misses objects: {reason(result.err)}", _HINT)
        return
    commits = repo.git.run("rev-list", "--stdin", stdin=_lines(tips)).decode().split()
    for oid, item in _read(repo, commits):
        # git compares trees and blobs with their ids above, but takes commits as they are.
        data = b"" if item is None else item.data
        if hashlib.new(repo.backend.object_format, _header(data) + data).hexdigest() != oid:
            yield Problem(oid, "is not the commit that its id says", _HINT)


def _store(repo: Repository) -> Iterator[Problem]:
    tip = repo.backend.refs.read(STORE_REF)
    if tip is None:
        return
    by_id: dict[str, list[str]] = {}
    for path, entry in repo.backend.trees.walk(tip):
        if entry.mode != FILE:
            yield Problem(f"{STORE_REF}:{path}", f"has mode {entry.mode:o}", _HINT)
        by_id.setdefault(entry.oid, []).append(path)
    if [FORMAT_PATH] not in by_id.values():
        yield Problem(f"{STORE_REF}:{FORMAT_PATH}", "is missing", _HINT)
    whole = Whole()
    for oid, item in _read(repo, by_id):
        if item is None or item.kind != "blob":
            yield Problem(f"{STORE_REF}:{by_id[oid][0]}", f"git has no blob {oid}", _HINT)
            continue
        for path in by_id[oid]:
            what = _stored(path, item.data)
            if what:
                yield Problem(f"{STORE_REF}:{path}", what, _HINT)
            elif path != FORMAT_PATH:
                whole.take(path, item.data)
    for path, why in whole.lacks(frozenset(path for paths in by_id.values() for path in paths)):
        yield Problem(f"{STORE_REF}:{path}", f"is missing; {why} needs it", _HINT)


def _stored(path: str, data: bytes) -> str | None:
    """Returns what is wrong with a file of the store."""
    if path == FORMAT_PATH:
        return None if data == FORMAT else f"is an unknown format: {data[:40]!r}"
    try:
        right = digest_at(path)
    except LlmvcError as err:
        return str(err)
    own = digest.of_bytes(data)
    if own != right:
        return f"holds {own}, not what its path says"
    return misfiled(path, data) if canonical(data) else "is not in canonical form"


def canonical(data: bytes) -> bool:
    """Tells whether bytes are canonical JSON, or no object of ours at all (an asset)."""
    if not data.startswith(b"{"):
        return True
    try:
        value = canon.decode(data)
        ours = isinstance(value, dict) and "llmvc" in value
        return not ours or canon.encode(value) == data
    except FormatError:
        return b'"llmvc":"' not in data


def _environments(repo: Repository) -> Iterator[Problem]:
    for ref in repo.backend.refs.under(ENV_PREFIX.rstrip("/")):
        name = env_of(ref)
        if name is None:
            yield Problem(ref, "is no environment of a bundle")
            continue
        try:
            yield from _chain(repo, repo.chain(*name))
        except LlmvcError as err:
            yield Problem(ref, str(err), err.hint or _HINT)


def _chain(repo: Repository, chain: EnvChain) -> Iterator[Problem]:
    wanted: dict[str, list[tuple[Release, Release | None, str]]] = {}
    broken: set[int] = set()
    tips = chain.tips()
    for before, tip in zip((None, *tips), tips, strict=False):
        parent = before.release if before else None
        files = {path: entry.oid for path, entry in repo.backend.trees.walk(tip.oid)}
        for name in files_of(tip.release):
            if name not in files:
                broken.add(tip.release.seq)
                yield Problem(chain.ref, f"release {tip.release.seq} lacks its {name}", _HINT)
        for name, oid in files.items():
            wanted.setdefault(oid, []).append((tip.release, parent, name))
    for oid, item in _read(repo, wanted):
        for release, parent, name in wanted[oid]:
            what = _released(release, parent, name, item.data) if item else f"git has no blob {oid}"
            if what:
                broken.add(release.seq)
                yield Problem(f"{chain.ref}:{name}", f"release {release.seq}: {what}", _HINT)
    for before, tip in zip((None, *tips), tips, strict=False):
        near = {tip.release.seq, before.release.seq if before else 0}
        if near & broken:
            continue
        what = _moved(repo, chain, before, tip) or _beside(repo, chain, before, tip)
        if what:
            yield Problem(chain.ref, f"release {tip.release.seq}: {what}", _HINT)


def _moved(repo: Repository, chain: EnvChain, before: Tip | None, tip: Tip) -> str | None:
    """Returns what is wrong with a release as a whole: its parts, its kind, its commit."""
    release = tip.release
    try:
        chain.parts(tip)
        bundles = [
            Bundle.from_bytes(chain.blob("bundle.json", at) or b"") if at else None
            for at in (before, tip)
        ]
    except (IntegrityError, FormatError) as err:
        return str(err)
    old, new = bundles
    safe = chain.policy(tip).safe
    if safe is not None and chain.blob(object_name(safe), tip) is None:
        return "lacks the safe version of its policy"
    if release.kind in MEASURED and new and release.kind != kind_of_promotion(old, new):
        return f"is a {kind_of_promotion(old, new)}, its record says {release.kind}"
    if release.kind in MEASURED and new and (new.kind == "judge") != (release.suite is None):
        return f"its evidence is not that of a bundle of kind {new.kind}"
    try:
        moment = datetime.fromisoformat(release.time)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        return f"its time {release.time!r} is no time"
    commit = repo.backend.reader.get(tip.oid)
    lines = commit.data.decode("utf-8", "replace").splitlines() if commit else []
    unsaid = [line for line in trailers(release) if line not in lines]
    return f"its commit does not say {unsaid[0]!r}" if unsaid else None


def _beside(repo: Repository, chain: EnvChain, before: Tip | None, tip: Tip) -> str | None:
    """Returns what is wrong with a canary's release by the chain that it stands beside.

    What that chain does not hold here is not known, and nothing is wrong with it.
    """
    canary = tip.release.canary or (before.release.canary if before else None)
    if canary is None or tip.release.kind not in ("start", "abort"):
        return None
    others = repo.chain(chain.bundle, canary.of).releases()
    served = next((item for item in others if item.digest == canary.baseline), None)
    if served is None:
        return None
    if tip.release.kind == "abort":
        right = (tip.release.to, tip.release.proven) == (served.to, served.proven)
        return None if right else "the abort goes back to something else than the baseline"
    report = Report.from_bytes(chain.blob(REPORT, tip) or b"")
    return None if report.baseline == served.to else "the report is about another baseline"


def _released(release: Release, parent: Release | None, name: str, data: bytes) -> str | None:
    """Returns what is wrong with a file of a release."""
    try:
        right = named(release, name)
        if right is None and name not in (RECORD, MIGRATION):
            return "the release does not name this file"
        own = digest.of_bytes(data)
        if own != (right or own):
            return f"holds {own}, its record says {right}"
        if not canonical(data):
            return "is not in canonical form"
        asks = name == REPORT and release.kind in SUITED
        if asks:
            return _asked(release, Report.from_bytes(data))
        return wrong(release, parent, name, data)
    except FormatError as err:
        return str(err)


def _asked(release: Release, report: Report) -> str | None:
    """Returns what is wrong with what a release's report is about."""
    # A canary's baseline is served by another environment; `_beside` looks there.
    baseline = report.baseline if release.kind == "start" else release.from_
    question = (report.candidate, report.baseline, report.suite)
    if question != (release.to, baseline, release.suite):
        return "the report answers another question than this release asks"
    return None


def _remotes(repo: Repository) -> Iterator[Problem]:
    refs = repo.backend.refs.under(ENV_PREFIX.rstrip("/"), SEEN.rstrip("/"))
    for ref, seen in refs.items():
        remote, middle, rest = ref.removeprefix(SEEN).rpartition("/env/")
        if not ref.startswith(SEEN) or not middle:
            continue
        local = refs.get(f"{ENV_PREFIX}{rest}")
        if local is None or is_ancestor(repo.git, seen, local):
            continue
        behind = is_ancestor(repo.git, local, seen)
        what = "was moved back behind" if behind else "has left"
        yield Problem(
            f"{ENV_PREFIX}{rest}",
            f"{what} what remote {remote} was last seen to have ({seen[:12]})",
            f"llmvc fetch {remote}" if behind else "llmvc push shows the remote's release",
        )


def _locks(repo: Repository) -> Iterator[Problem]:
    places = (
        (repo.common_dir, "packed-refs.lock"),
        (repo.common_dir / "refs", "llmvc*/**/*.lock"),
        (repo.backend.object_dir, "??/*.lock"),
    )
    for folder, pattern in places:
        for path in sorted(folder.glob(pattern)):
            yield Problem(
                str(path), "is a lock that a killed process left", f"if git is idle: rm '{path}'"
            )


def _read(repo: Repository, oids: Iterable[str]) -> Iterator[tuple[str, Object | None]]:
    """Yields every object; None for one that is missing or damaged."""
    rest = list(oids)
    while rest:
        chunk, rest = rest[:_AT_ONCE], rest[_AT_ONCE:]
        try:
            found = list(repo.backend.reader.many(chunk))
        except (IntegrityError, FormatError):
            found = [_one(repo, oid) for oid in chunk]
        yield from zip(chunk, found, strict=True)


def _one(repo: Repository, oid: str) -> Object | None:
    try:
        return repo.backend.reader.get(oid)
    except (IntegrityError, FormatError):
        return None


def _header(data: bytes) -> bytes:
    return b"commit %d\0" % len(data)


def _lines(words: Iterable[str]) -> bytes:
    return "".join(f"{word}\n" for word in words).encode()
