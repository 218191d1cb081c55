"""One environment's releases: a line of commits on `refs/llmvc/env/<bundle>/<env>`.

- Linear, one parent, fast-forward only; what may follow what is `core.release`'s business.
- A commit's tree carries all that its release needs, so that this ref alone can be served.
- Whatever is read is hashed and must be what the release says.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from llmvc.core import canary as canaries
from llmvc.core import digest
from llmvc.core import release as rules
from llmvc.core.bundle import Bundle, Parts, parts
from llmvc.core.digest import Digest
from llmvc.core.names import env_ref
from llmvc.core.policy import Policy
from llmvc.core.release import Release
from llmvc.errors import FormatError, IntegrityError, StoreError
from llmvc.store.backend import Backend
from llmvc.store.content import analysed, carried, governed, vouched
from llmvc.store.objects import Stamp, message
from llmvc.store.refs import Change

RECORD: Final = "release.json"
REPORT: Final = "report.json"
CALIBRATION: Final = "calibration.json"
"""The evidence of a judge's release, in the place of suite and report."""
MIGRATION: Final = "migration.json"
"""What a release to another model says of it, beside its report; no record names it."""
_SAYS: Final[Mapping[str, Callable[[Release, Release | None, bytes], str | None]]] = {
    "policy.json": governed,
    REPORT: analysed,
    CALIBRATION: vouched,
    MIGRATION: carried,
}


class Tip(NamedTuple):
    """The newest release and the commit that holds it."""

    oid: str
    release: Release


class EnvChain:
    """Reads and extends one environment, or a tracking copy of it."""

    def __init__(self, backend: Backend, bundle: str, env: str, *, ref: str | None = None) -> None:
        self._backend = backend
        self.bundle = bundle
        self.env = env
        self.ref = ref or env_ref(bundle, env)

    def tip(self) -> Tip | None:
        """Returns the newest release; None if nothing was released.

        Raises:
            IntegrityError: the commit holds no release of this environment.
        """
        oid = self._backend.refs.read(self.ref)
        return self.at(oid) if oid else None

    def at(self, oid: str) -> Tip:
        """Returns the release that a commit of this chain holds.

        Raises:
            IntegrityError: it holds none.
        """
        data = self._backend.reader.blob(f"{oid}:{RECORD}")
        if data is None:
            raise IntegrityError(f"{self.ref} names {oid}, which holds no {RECORD}")
        return Tip(oid, self._own(data))

    def releases(self, tip: str | None = None) -> tuple[Release, ...]:
        """Returns all releases, oldest first, after checking every rule of the chain.

        Args:
            tip: the commit to end with; by default where the ref stands now.

        Raises:
            IntegrityError: the chain is forked or breaks a rule.
            StoreError: a shallow fetch has cut it off.
        """
        return tuple(item.release for item in self.tips(tip))

    def tips(self, tip: str | None = None) -> tuple[Tip, ...]:
        """Returns all releases with their commits; see `releases`."""
        oids = self._line(tip)
        self._check_whole(oids)

        def members(seq: int) -> frozenset[Digest]:
            return self.parts(self.at(oids[seq - 1])).members

        try:
            found = rules.check(self._records(oids), members)
        except FormatError as err:
            raise IntegrityError(f"{self.ref}: {err}") from err
        if found:
            self._check_name(found[-1])
        return tuple(map(Tip, oids, found))

    def newest(self, count: int, tip: str | None = None) -> tuple[Tip, ...]:
        """Returns the last few releases, oldest first, after checking that they follow each other.

        Raises:
            IntegrityError: they do not.
        """
        oids = self._nearest(count, tip)
        records = self._records(oids)
        found = tuple(self._own(data) for data in records)
        for before, after, data in zip(found, found[1:], records, strict=False):
            if (after.seq, after.previous) != (before.seq + 1, digest.of_bytes(data)):
                raise IntegrityError(f"{self.ref}: release {after.seq} does not follow its parent")
        return tuple(map(Tip, oids, found))

    def since(self, base: str, tip: str) -> tuple[Release, ...]:
        """Returns the releases of one commit's chain that another's lacks, oldest first."""
        out = self._backend.git.run("rev-list", "--reverse", tip, f"^{base}", "--")
        return tuple(self._own(data) for data in self._records(out.decode().split()))

    def verify(self, tip: str) -> tuple[Release, ...]:
        """Returns all releases up to a commit, after checking its files as well; see `releases`.

        Raises:
            IntegrityError: the chain breaks a rule, or a file is not what the record names.
        """
        found, end = self.releases(tip), self.at(tip)
        parent = found[-2] if len(found) > 1 else None
        for name in files_of(end.release):
            if self.blob(name, end) is None:
                raise IntegrityError(f"{self.ref} release {end.release.seq} lacks its {name}")
        self.parts(end)
        policy = self.policy(end)
        if policy.safe is not None and self.blob(object_name(policy.safe), end) is None:
            raise IntegrityError(f"{self.ref} release {end.release.seq} lacks its safe version")
        for name in _SAYS:
            data = self.blob(name, end)
            what = data and wrong(end.release, parent, name, data)
            if what:
                raise IntegrityError(f"{self.ref} release {end.release.seq}: {what}")
        return found

    def policy(self, tip: Tip) -> Policy:
        """Returns the policy that a release was made under.

        Raises:
            IntegrityError: the ref does not hold it.
        """
        data = self.blob("policy.json", tip)
        if data is None:
            raise IntegrityError(f"{self.ref} release {tip.release.seq} holds no policy.json")
        try:
            return Policy.from_bytes(data)
        except FormatError as err:
            raise IntegrityError(f"{self.ref} release {tip.release.seq}: {err}") from err

    def blob(self, name: str, at: Tip | None = None) -> bytes | None:
        """Returns a file of the newest release's tree; None if it has none of that name.

        Args:
            name: `release.json`, `bundle.json`, `policy.json`, `suite.json`, `report.json`,
                `calibration.json`, `migration.json` or `o/` and 64 hex characters.
            at: the release to look into instead of the newest.

        Raises:
            IntegrityError: the bytes are not those that the release names.
        """
        tip = at or self.tip()
        data = self._backend.reader.blob(f"{tip.oid}:{name}") if tip else None
        if tip is None or data is None:
            return None
        right = named(tip.release, name)
        if right is not None and digest.of_bytes(data) != right:
            raise IntegrityError(
                f"{self.ref} release {tip.release.seq}: {name} is not {right}, as its record says"
            )
        return data

    def parts(self, tip: Tip) -> Parts:
        """Returns what a release's bundle needs beside itself, as its own tree holds it.

        Raises:
            IntegrityError: the tree lacks something, or holds other bytes.
        """

        def read(name: str) -> bytes:
            data = self.blob(name, tip)
            if data is None:
                raise IntegrityError(f"{self.ref} release {tip.release.seq} lacks its {name}")
            return data

        try:
            bundle = Bundle.from_bytes(read("bundle.json"))
            return parts(bundle, lambda of: read(object_name(of)))
        except FormatError as err:
            raise IntegrityError(f"{self.ref} release {tip.release.seq}: {err}") from err

    def append(
        self,
        tip: Tip | None,
        release: Release,
        blobs: Mapping[str, bytes],
        *,
        author: str,
        time: datetime,
    ) -> str:
        """Appends a release, if the ref still stands where `tip` says.

        Args:
            tip: what the release was made upon; None for the first.
            release: what to append.
            blobs: files of the commit's tree beside the record; see `blob`.
            author: `Name <email>`.
            time: when, aware.

        Returns:
            The new commit's id.

        Raises:
            RefMoved: the ref moved meanwhile, or its lock stays taken.
            IntegrityError: the release does not follow `tip`, or a file is not what it names.
            StoreError: git or the disk refused.
        """
        self._check_append(tip, release, blobs)
        pack = self._backend.new_pack()
        files = {name: pack.blob(data) for name, data in blobs.items()}
        files[RECORD] = pack.blob(release.to_bytes())
        tree = self._backend.trees.plant(pack, None, files)
        what = f"{self.bundle}/{self.env} {release.seq}: {release.kind}"
        served = f"{digest.short(release.from_)} -> {digest.short(release.to)}"
        text = message(f"{what} {served}", dict(line.split(": ", 1) for line in trailers(release)))
        old = tip.oid if tip else None
        commit = pack.commit(tree, (old,) if old else (), Stamp.of(author, time), text)
        self._backend.land(pack, Change(self.ref, old, commit), f"llmvc: {what}")
        return commit

    def _check_append(self, tip: Tip | None, release: Release, blobs: Mapping[str, bytes]) -> None:
        self._check_name(release)
        parent = tip.release if tip else None
        follows = (parent.seq + 1, parent.digest, parent.to) if parent else (1, None, None)
        if (release.seq, release.previous, release.from_) != follows:
            raise IntegrityError(f"{self.ref}: release {release.seq} does not follow its parent")
        for name in {*files_of(release), *blobs} - {MIGRATION}:
            right = named(release, name)
            if right is None or name not in blobs or digest.of_bytes(blobs[name]) != right:
                raise IntegrityError(f"{self.ref}: {name} is not what release {release.seq} names")
        known = [name for name in ("policy.json", REPORT, MIGRATION) if name in blobs]
        said = (wrong(release, parent, name, blobs[name]) for name in known)
        what = canaries.mistake(release, parent) or next(filter(None, said), None)
        if what:
            raise IntegrityError(f"{self.ref} release {release.seq}: {what}")

    def _own(self, data: bytes) -> Release:
        try:
            found = Release.from_bytes(data)
        except FormatError as err:
            raise IntegrityError(f"{self.ref}: {err}") from err
        self._check_name(found)
        if found.to_bytes() != data:
            # The next record would name the digest of other bytes than those stored.
            raise IntegrityError(f"{self.ref} release {found.seq} is not in canonical form")
        return found

    def _check_name(self, release: Release) -> None:
        if (release.bundle, release.env) != (self.bundle, self.env):
            raise IntegrityError(f"{self.ref} holds a release of {release.bundle}/{release.env}")

    def _line(self, tip: str | None) -> Sequence[str]:
        """Returns the chain's commits, oldest first."""
        end = tip or self._backend.refs.read(self.ref)
        if end is None:
            return ()
        out = self._backend.git.run("rev-list", "--parents", end, "--")
        lines = [line.split() for line in reversed(out.decode().splitlines())]
        for oid, *parents in lines:
            self._check_linear(oid, parents)
        return tuple(line[0] for line in lines)

    def _nearest(self, count: int, tip: str | None) -> Sequence[str]:
        """Returns the last few commits, oldest first, without a process of their own."""
        found: list[str] = []
        oid = tip or self._backend.refs.read(self.ref)
        while oid and len(found) < count and (commit := self._backend.reader.get(oid)):
            head = commit.data.partition(b"\n\n")[0].decode("ascii", "replace").splitlines()
            parents = [line.removeprefix("parent ") for line in head if line.startswith("parent ")]
            self._check_linear(oid, parents)
            found.append(oid)
            oid = next(iter(parents), None)
        return found[::-1]

    def _check_linear(self, oid: str, parents: Sequence[str]) -> None:
        if len(parents) > 1:
            raise IntegrityError(f"{self.ref}: commit {oid} has {len(parents)} parents")

    def _check_whole(self, oids: Sequence[str]) -> None:
        shallow = self._backend.common_dir / "shallow"
        if oids and shallow.is_file() and oids[0] in shallow.read_text().split():
            raise StoreError(
                f"{self.ref} was cut off by a shallow fetch at {oids[0]}",
                hint="git fetch --unshallow, or fetch it without --depth",
            )

    def _records(self, oids: Sequence[str]) -> list[bytes]:
        found = self._backend.reader.many(f"{oid}:{RECORD}" for oid in oids)
        records: list[bytes] = []
        for oid, item in zip(oids, found, strict=True):
            if item is None or item.kind != "blob":
                raise IntegrityError(f"{self.ref}: commit {oid} holds no {RECORD}")
            records.append(item.data)
        return records


def trailers(release: Release) -> tuple[str, ...]:
    """Returns the lines of a release's commit that repeat its record, for `git log`."""
    return (
        f"Llmvc-Kind: {release.kind}",
        f"Llmvc-Seq: {release.seq}",
        f"Llmvc-From: {release.from_ or '-'}",
        f"Llmvc-To: {release.to}",
    )


def files_of(release: Release) -> tuple[str, ...]:
    """Returns the files that a release's tree must have beside its record."""
    return (
        "bundle.json",
        "policy.json",
        *(("suite.json",) if release.suite else ()),
        *((evidence_of(release),) if release.report else ()),
    )


def evidence_of(release: Release) -> str:
    """Returns the file that holds a release's evidence: one without a suite is a judge's."""
    return REPORT if release.suite else CALIBRATION


def wrong(release: Release, parent: Release | None, name: str, data: bytes) -> str | None:
    """Returns what is wrong with what a file of a release says; None if nothing is."""
    check = _SAYS.get(name)
    try:
        return check(release, parent, data) if check else None
    except FormatError as err:
        return f"its {name}: {err}"


def object_name(of: Digest) -> str:
    """Returns the file of a release's tree that holds an object beside its bundle."""
    return f"o/{digest.hex_of(of)}"


def named(release: Release, name: str) -> Digest | None:
    """Returns the digest that a release demands of a file; None if it demands none."""
    if name.startswith("o/"):
        return digest.parse(f"b3:{name[2:]}")
    return {
        "bundle.json": release.to,
        "policy.json": release.policy,
        "suite.json": release.suite,
        evidence_of(release): release.report,
    }.get(name)
