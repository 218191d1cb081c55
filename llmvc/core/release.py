"""Releases: the moves of one environment, and the rules by which they follow each other.

A chain is a line of `release/1` records, oldest first. A record is right only if

- `seq` is its parent's plus one, or 1 at the root; `previous` is the digest of its parent's bytes;
- `bundle` and `env` never change along a chain, and `from` is what the parent served (`to`);
- a rollback names as `target` an earlier release that served the digest it returns to, or nothing
  if it goes to the safe version of its policy;
- promote, migrate and start name their evidence: suite and report, or for a judge its calibration
  as `report`, and no suite (ADR 0018); a step names its analysis; all others keep the suite;
- `proven` is the target's on a rollback, the parent's within a canary, and true of others only with
  evidence;
- `rolled_back` is the parent's set, plus `from` on a rollback or abort, minus what is served now;
  `drain` is the part of it whose conversations may finish;
- a canary's environment follows `core.canary` as well (ADR 0020).

Nothing here reads a clock or Git: callers hand in bytes and get values.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from llmvc.core import canary as canaries
from llmvc.core import canon, digest
from llmvc.core.bundle import Bundle
from llmvc.core.canary import Canary
from llmvc.core.digest import Digest
from llmvc.core.version import Source
from llmvc.errors import FormatError, IntegrityError, NotFoundError

TYPE: Final = "release/1"
KINDS: Final = ("adopt", "promote", "migrate", "rollback", "override", *canaries.KINDS)
MEASURED: Final = ("promote", "migrate")
SUITED: Final = (*MEASURED, "start")
"""Kinds that name the suite they were measured by; all others keep their parent's."""
EVIDENT: Final = (*SUITED, "step")
"""Kinds that must carry evidence."""
LEAVING: Final = ("rollback", "abort")
"""Kinds that put what was served before on `rolled_back`."""
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
    drain: tuple[Digest, ...] = field(default=())
    canary: Canary | None = None

    @property
    def revoked(self) -> frozenset[Digest]:
        """What no conversation may be answered by any more, pinned or not."""
        return frozenset(self.rolled_back) - frozenset(self.drain)

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
                "drain": list(self.drain) or None,
                "canary": self.canary.to_dict() if self.canary else None,
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
        drain = body.get("drain")
        if body.keys() != MEMBERS or not (drain is None or (isinstance(drain, list) and drain)):
            raise FormatError("release record holds members that this version does not know")
        reason, canary = body.get("reason"), body["canary"]
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
            drain=tuple(digest.parse(item) for item in drain or ()),
            canary=None if canary is None else Canary.from_dict(canary),
        )


class Move(NamedTuple):
    """What a person wants an environment to do next.

    Attributes:
        kind: one of `KINDS`.
        to: digest to serve.
        policy: digest of the policy in force.
        suite: digest of the suite measured by; ignored by kinds that keep the parent's.
        report: digest of the evidence, for a judge its calibration, for a step its analysis; None
            for kinds that need none.
        target: the release returned to, for a rollback; None for one to the safe version.
        proven: whether passing evidence stands behind `to`.
        dropped: further digests that leaving a set marks as rolled back.
        members: digests that a set serves beside its own.
        drain: whether conversations pinned to what a rollback leaves may finish.
        canary: what a canary's release carries while it is open.
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
    drain: bool = False
    canary: Canary | None = None


def append(parent: Release | None, move: Move, *, bundle: str, env: str) -> Release:
    """Returns the release that carries out a move on top of `parent`."""
    keeps_suite = move.kind not in SUITED
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
        canary=move.canary,
    )
    left = set[Digest]()
    if parent is not None and move.kind in LEAVING:
        left = {parent.to, *move.dropped}
    served = {move.to, *move.members}
    listed = left.union(parent.rolled_back if parent else ())
    draining = (left if move.drain else set[Digest]()).union(parent.drain if parent else ())
    return replace(
        draft,
        rolled_back=tuple(sorted(listed - served)),
        drain=tuple(sorted(draining - served)),
    )


def rollback_target(chain: Sequence[Release]) -> Release:
    """Returns the release that a rollback without argument goes back to.

    Walks strictly before the tip or, if the tip is itself a rollback to one, before its target;
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
    if tip.kind == "rollback" and tip.target is not None:
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
    wrong = canaries.mistake(release, parent)
    if wrong:
        raise IntegrityError(f"{name}: {wrong}")
    if release.kind in EVIDENT and release.report is None:
        raise IntegrityError(f"{name}: a {release.kind} carries no report")
    if release.suite is None and parent is not None and parent.suite is not None:
        raise IntegrityError(f"{name}: a {release.kind} drops the suite in force")
    if release.kind not in SUITED and release.suite != (parent.suite if parent else None):
        raise IntegrityError(f"{name}: a {release.kind} changes the suite in force")
    if release.kind == "start" and release.suite is None:
        raise IntegrityError(f"{name}: a start names no suite")
    _check_proof(release, parent, before.get(release.target) if release.target else None, name)


def _check_proof(
    release: Release, parent: Release | None, target: Release | None, name: str
) -> None:
    """Checks what a record says to stand behind the version that it serves."""
    if release.kind == "rollback" and release.target is not None:
        if target is None or target.to != release.to:
            raise IntegrityError(f"{name}: the rollback's target does not serve what it returns to")
        right = target.proven
    elif release.kind == "abort":
        right = release.proven  # that of the release it goes back to, which another chain holds
    elif release.kind in canaries.KINDS and release.kind != "start":
        right = parent is not None and parent.proven
    else:
        # Only a person's reason lets a measured release go on without a pass.
        right = release.kind in SUITED and (release.proven or not release.reason)
    if release.proven != right:
        raise IntegrityError(f"{name}: proven is {release.proven}, the rules say {right}")
    if release.kind not in (*SUITED, *canaries.KINDS) and release.report is not None:
        raise IntegrityError(f"{name}: a {release.kind} carries a report")


def _check_rolled_back(
    release: Release, parent: Release | None, members: Callable[[int], Collection[Digest]]
) -> None:
    due = set(parent.rolled_back) if parent else set[Digest]()
    kept = set(parent.drain) if parent else set[Digest]()
    found, drain = set(release.rolled_back), set(release.drain)
    leaves = release.kind in LEAVING
    # Leaving a set adds members of the one that it leaves as well.
    extra = set[Digest]() if leaves else found - due
    added = found - due if release.kind == "rollback" else set[Digest]()
    if leaves and release.from_ is not None:
        due.add(release.from_)
    missing = due - {release.to} - found
    name = f"{release.bundle}/{release.env} release {release.seq}"
    if release.to in found or extra or (missing and not missing <= set(members(release.seq))):
        raise IntegrityError(f"{name}: rolled_back does not follow from the parent's")
    if release.drain != tuple(sorted(drain)) or not kept & found <= drain <= kept & found | added:
        raise IntegrityError(f"{name}: drain does not follow from the parent's")


def told(release: Release) -> str:
    """Names a release with all that tells it from another."""
    share = f" at {canaries.percent(release.canary.share_ppm)}" if release.canary else ""
    way = "to" if release.kind in ("abort", "rollback") else "of"
    return (
        f"{release.bundle}/{release.env} release {release.seq} ({release.kind} {way} "
        f"{digest.short(release.to)}{share} by {release.actor}, {release.time})"
    )


def kind_of_promotion(baseline: Bundle | None, candidate: Bundle) -> str:
    """Returns `migrate` if the model section differs and at most decoding and context beside it."""
    if baseline is None:
        return "promote"
    old, new = baseline.section_digests(), candidate.section_digests()
    changed = {name for name in new if old[name] != new[name]}
    return "migrate" if "model" in changed and changed <= MIGRATION_SECTIONS else "promote"


def _optional(value: canon.Json) -> Digest | None:
    return None if value is None else digest.parse(value)
