"""Releases: the moves of one environment, and the rules by which they follow each other.

A chain is a line of `release/1` records, oldest first. A record is right only if

- `seq` is its parent's plus one, or 1 at the root; `previous` is the digest of its parent's bytes;
- `bundle` and `env` never change along a chain, and `from` is what the parent served (`to`);
- a rollback names as `target` an earlier release that served the digest it returns to;
- adopt, rollback and override keep the parent's suite; promote and migrate name their evidence:
  suite and report, or for a judge its calibration as `report`, and no suite (ADR 0018);
- `proven` is the target's on a rollback, and true of others only with evidence;
- `rolled_back` is the parent's set, plus `from` on a rollback, minus what is served now.

Nothing here reads a clock or Git: callers hand in bytes and get values.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.bundle import Bundle
from llmvc.core.digest import Digest
from llmvc.core.version import Source
from llmvc.errors import FormatError, IntegrityError, NotFoundError

TYPE: Final = "release/1"
KINDS: Final = ("adopt", "promote", "migrate", "rollback", "override")
MEASURED: Final = ("promote", "migrate")
MEMBERS: Final = frozenset(
    (
        *("llmvc", "bundle", "env", "seq", "kind", "previous", "target", "from", "to", "suite"),
        *("report", "policy", "source", "time", "actor", "reason", "proven", "rolled_back"),
        *("drain", "canary"),
    )
)
MIGRATION_SECTIONS: Final = frozenset({"model", "decoding", "context"})


@dataclass(frozen=True, slots=True)
class Release:
    """One move of an environment; see formats.md for each member."""

    bundle: str
    env: str
    seq: int
    kind: str
    previous: Digest | None
    target: Digest | None
    from_: Digest | None
    to: Digest
    suite: Digest | None
    report: Digest | None
    policy: Digest
    source: Source
    time: str
    actor: str
    reason: str | None
    proven: bool
    rolled_back: tuple[Digest, ...] = field(default=())

    def to_bytes(self) -> bytes:
        """Returns the canonical `release/1` bytes."""
        return canon.encode(
            {
                "llmvc": TYPE,
                "bundle": self.bundle,
                "env": self.env,
                "seq": self.seq,
                "kind": self.kind,
                "previous": self.previous,
                "target": self.target,
                "from": self.from_,
                "to": self.to,
                "suite": self.suite,
                "report": self.report,
                "policy": self.policy,
                "source": self.source.to_dict(),
                "time": self.time,
                "actor": self.actor,
                "reason": self.reason,
                "proven": self.proven,
                "rolled_back": list(self.rolled_back),
                "drain": None,
                "canary": None,
            }
        )

    @property
    def digest(self) -> Digest:
        """The record's identity, which the next one names as `previous`."""
        return digest.of_bytes(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> "Release":
        """Reads a stored record.

        Raises:
            FormatError: the bytes are not a release of a known kind.
        """
        body = canon.decode_object(data, TYPE)
        seq, kind, rolled_back = body.get("seq"), body.get("kind"), body.get("rolled_back")
        if not isinstance(seq, int) or kind not in KINDS or not isinstance(rolled_back, list):
            raise FormatError("release record has an unknown kind, seq or rolled_back")
        if body.keys() != MEMBERS or body["drain"] is not None or body["canary"] is not None:
            raise FormatError("release record holds members that this version does not know")
        reason = body.get("reason")
        return cls(
            bundle=str(body.get("bundle")),
            env=str(body.get("env")),
            seq=seq,
            kind=str(kind),
            previous=_optional(body.get("previous")),
            target=_optional(body.get("target")),
            from_=_optional(body.get("from")),
            to=digest.parse(body.get("to")),
            suite=_optional(body.get("suite")),
            report=_optional(body.get("report")),
            policy=digest.parse(body.get("policy")),
            source=Source.from_dict(body.get("source")),
            time=str(body.get("time")),
            actor=str(body.get("actor")),
            reason=str(reason) if reason is not None else None,
            proven=bool(body.get("proven")),
            rolled_back=tuple(digest.parse(item) for item in rolled_back),
        )


@dataclass(frozen=True, slots=True)
class Move:
    """What a person wants an environment to do next.

    Attributes:
        kind: one of `KINDS`.
        to: digest to serve.
        policy: digest of the policy in force.
        suite: digest of the suite measured by; ignored by kinds that keep the parent's.
        report: digest of the evidence, for a judge its calibration; None for kinds that need none.
        target: the release returned to, for a rollback.
        proven: whether passing evidence stands behind `to`.
        dropped: further digests that a rollback of a set marks as rolled back.
        members: digests that a set serves beside its own.
    """

    kind: str
    to: Digest
    policy: Digest
    source: Source
    time: str
    actor: str
    reason: str | None = None
    suite: Digest | None = None
    report: Digest | None = None
    target: Digest | None = None
    proven: bool = False
    dropped: tuple[Digest, ...] = ()
    members: tuple[Digest, ...] = ()


def append(parent: Release | None, move: Move, *, bundle: str, env: str) -> Release:
    """Returns the release that carries out a move on top of `parent`."""
    keeps_suite = move.kind not in MEASURED
    draft = Release(
        bundle=bundle,
        env=env,
        seq=parent.seq + 1 if parent else 1,
        kind=move.kind,
        previous=parent.digest if parent else None,
        target=move.target,
        from_=parent.to if parent else None,
        to=move.to,
        suite=(parent.suite if parent else None) if keeps_suite else move.suite,
        report=move.report,
        policy=move.policy,
        source=move.source,
        time=move.time,
        actor=move.actor,
        reason=move.reason,
        proven=move.proven,
    )
    return replace(draft, rolled_back=_rolled_back(parent, draft, move))


def _rolled_back(parent: Release | None, release: Release, move: Move) -> tuple[Digest, ...]:
    listed = set(parent.rolled_back) if parent else set[Digest]()
    if release.kind == "rollback" and release.from_ is not None:
        listed |= {release.from_, *move.dropped}
    return tuple(sorted(listed - {release.to, *move.members}))


def rollback_target(chain: Sequence[Release]) -> Release:
    """Returns the release that a rollback without argument goes back to.

    Walks strictly before the tip or, if the tip is itself a rollback, strictly before its target;
    takes the first release that serves neither the current digest nor one already rolled back.
    So rolling back twice goes further back, never forward into the fault.

    Args:
        chain: all releases, oldest first.

    Raises:
        NotFoundError: no such release is left.
    """
    if not chain:
        raise NotFoundError("nothing was released yet")
    tip = chain[-1]
    before = len(chain) - 1
    if tip.kind == "rollback":
        # A release's digest is what the next one names as previous: nothing is hashed here.
        before = next((at for at in range(before) if chain[at + 1].previous == tip.target), 0)
    for release in reversed(chain[:before]):
        if release.to != tip.to and release.to not in tip.rolled_back:
            return release
    raise NotFoundError(
        f"{tip.bundle}/{tip.env} has no earlier release to roll back to",
        hint=f"name a version yourself: llmvc override {tip.bundle}@b3:… {tip.env} --reason …",
    )


def check(
    chain: Iterable[bytes], members: Callable[[int], Collection[Digest]] = lambda _: ()
) -> tuple[Release, ...]:
    """Reads a chain of stored records, oldest first, and enforces every rule.

    Args:
        chain: the records.
        members: number of a release -> digests that its set serves beside its own; asked only
            where the record takes more off `rolled_back` than what it serves itself.

    Raises:
        IntegrityError: a record does not follow from those before it.
        FormatError: a record cannot be read.
    """
    releases: list[Release] = []
    before: dict[Digest, Release] = {}
    for data in chain:
        release = Release.from_bytes(data)
        _check_next(release, before)
        _check_rolled_back(release, releases[-1] if releases else None, members)
        before[digest.of_bytes(data)] = release
        releases.append(release)
    return tuple(releases)


def _check_next(release: Release, before: dict[Digest, Release]) -> None:
    """Checks a record against all those before it, which are in order and keyed by digest."""
    previous = next(reversed(before), None)
    parent = before[previous] if previous else None
    name = f"{release.bundle}/{release.env} release {release.seq}"
    if (release.bundle, release.env) != (
        (parent.bundle, parent.env) if parent else (release.bundle, release.env)
    ):
        raise IntegrityError(f"{name}: bundle or environment changes along the chain")
    expected = {
        "seq": (release.seq, parent.seq + 1 if parent else 1),
        "previous": (release.previous, previous),
        "from": (release.from_, parent.to if parent else None),
    }
    for member, (found, right) in expected.items():
        if found != right:
            raise IntegrityError(f"{name}: {member} is {found}, its parent says {right}")
    if release.kind in MEASURED and release.report is None:
        raise IntegrityError(f"{name}: a {release.kind} carries no report")
    if release.suite is None and parent is not None and parent.suite is not None:
        raise IntegrityError(f"{name}: a {release.kind} drops the suite in force")
    if release.kind not in MEASURED and release.suite != (parent.suite if parent else None):
        raise IntegrityError(f"{name}: a {release.kind} changes the suite in force")
    _check_proof(release, before.get(release.target) if release.target else None, name)


def _check_proof(release: Release, target: Release | None, name: str) -> None:
    """Checks what a record says to stand behind the version that it serves."""
    if release.kind == "rollback":
        if target is None or target.to != release.to:
            raise IntegrityError(f"{name}: the rollback's target does not serve what it returns to")
        right = target.proven
    else:
        # Only a person's reason lets a measured release go on without a pass.
        right = release.kind in MEASURED and (release.proven or not release.reason)
    if release.proven != right:
        raise IntegrityError(f"{name}: proven is {release.proven}, the rules say {right}")
    if release.kind not in MEASURED and release.report is not None:
        raise IntegrityError(f"{name}: a {release.kind} carries a report")


def _check_rolled_back(
    release: Release, parent: Release | None, members: Callable[[int], Collection[Digest]]
) -> None:
    due = set(parent.rolled_back) if parent else set[Digest]()
    is_rollback = release.kind == "rollback"
    if is_rollback and release.from_ is not None:
        due.add(release.from_)
    found = set(release.rolled_back)
    missing = due - {release.to} - found
    # A rollback of a set adds members of the one it leaves as well.
    extra = set[Digest]() if is_rollback else found - due
    if release.to in found or extra or (missing and not missing <= set(members(release.seq))):
        name = f"{release.bundle}/{release.env} release {release.seq}"
        raise IntegrityError(f"{name}: rolled_back does not follow from the parent's")


def kind_of_promotion(baseline: Bundle | None, candidate: Bundle) -> str:
    """Returns `migrate` if the model section differs and at most decoding and context beside it."""
    if baseline is None:
        return "promote"
    old, new = baseline.section_digests(), candidate.section_digests()
    changed = {name for name in new if old[name] != new[name]}
    return "migrate" if "model" in changed and changed <= MIGRATION_SECTIONS else "promote"


def _optional(value: canon.Json) -> Digest | None:
    return None if value is None else digest.parse(value)
