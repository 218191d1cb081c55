"""Version records and the keys under which the store files what is said about an object."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from llmvc.core import canon, digest
from llmvc.core.digest import Digest

TYPE: Final = "version/1"
REPORT: Final = "report/1"
LABELS: Final = "labels/1"
_NAMED: Final[Mapping[str, tuple[str, ...]]] = {
    TYPE: ("bundle",),
    "calibration/1": ("judge",),
    "check/1": ("judge",),
    "tombstone/1": ("of",),
    "shift/1": ("old", "new"),
    "migration/1": ("to", "report"),
    "analysis/1": ("release",),
}
"""Types that are filed under the digests that they name -> the members that name them."""


class Source(NamedTuple):
    """Where in the user's history something was made.

    Attributes:
        commit: the Git commit of HEAD; None if there is none yet.
        dirty: whether the bundle's files differed from that commit.
    """

    commit: str | None
    dirty: bool

    def to_dict(self) -> dict[str, canon.Json]:
        """Returns the JSON form."""
        return {"commit": self.commit, "dirty": self.dirty}

    @classmethod
    def from_dict(cls, value: canon.Json) -> "Source":
        """Reads the JSON form."""
        values = value if isinstance(value, Mapping) else {}
        commit = values.get("commit")
        return cls(str(commit) if commit is not None else None, bool(values.get("dirty")))


class Version(NamedTuple):
    """One commit of a bundle.

    Attributes:
        name: the bundle's name.
        bundle: the bundle's digest.
        parents: digests of the version records before this one, sorted.
        message: why it was made.
        author: `Name <email>`.
        time: RFC 3339, UTC; information only, order is the parent link.
        source: where in the user's history it was made.
    """

    name: str
    bundle: Digest
    parents: tuple[Digest, ...]
    message: str
    author: str
    time: str
    source: Source

    def to_bytes(self) -> bytes:
        """Returns the canonical `version/1` bytes."""
        return canon.encode(
            {
                "llmvc": TYPE,
                "name": self.name,
                "bundle": self.bundle,
                "parents": list(self.parents),
                "message": self.message,
                "author": self.author,
                "time": self.time,
                "source": self.source.to_dict(),
            }
        )

    @property
    def digest(self) -> Digest:
        """The record's identity."""
        return digest.of_bytes(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> "Version":
        """Reads a stored record.

        Raises:
            FormatError: the bytes are not a version.
        """
        body = canon.decode_object(data, TYPE)
        parents = body.get("parents")
        return cls(
            name=str(body.get("name")),
            bundle=digest.parse(body.get("bundle")),
            parents=tuple(digest.parse(item) for item in parents)
            if isinstance(parents, list)
            else (),
            message=str(body.get("message")),
            author=str(body.get("author")),
            time=str(body.get("time")),
            source=Source.from_dict(body.get("source")),
        )


def question_key(candidate: Digest, baseline: Digest | None, suite: Digest) -> Digest:
    """Returns K1: what reports on one candidate, baseline and suite are filed under."""
    return digest.of_value(
        {"llmvc": "question/1", "candidate": candidate, "baseline": baseline, "suite": suite}
    )


def contest_key(baseline: Digest | None, suite: Digest) -> Digest:
    """Returns K2: what all reports against one baseline and suite are filed under."""
    return digest.of_value({"llmvc": "contest/1", "baseline": baseline, "suite": suite})


def keys_of(body: Mapping[str, canon.Json]) -> frozenset[Digest] | None:
    """Returns the keys under which the store files an object; None for types not known here.

    Args:
        body: the decoded object.

    Raises:
        FormatError: it does not say what it is about.
    """
    kind = str(body.get("llmvc"))
    if kind in _NAMED:
        return frozenset(digest.parse(body.get(member)) for member in _NAMED[kind])
    if kind not in (REPORT, LABELS):
        return None
    served = body.get("baseline")
    baseline = None if served is None else digest.parse(served)
    suite = digest.parse(body.get("suite"))
    question = question_key(digest.parse(body.get("candidate")), baseline, suite)
    return frozenset((question,) if kind == LABELS else (question, contest_key(baseline, suite)))
