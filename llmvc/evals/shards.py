"""Shards: parts of one plan that several machines measure, and the files that carry their runs.

- A part has whole cases, or whole groups, with both arms and all runs, so that the arms alternate
  in it as they do in the whole.
- A shard file is JSON lines: a header that names questions and plans, then one line a run, with
  the digest of its entry and the ledger that it belongs to. Judges' votes are in it like runs.
- A failed call is a line too: a cache keeps none, but an application's failure is an outcome.
- A file counts as a whole or not at all.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.errors import FormatError, StoreError, UsageError
from llmvc.evals import runs
from llmvc.evals.plan import Plan, unit
from llmvc.evals.providers.base import Answer, Fault
from llmvc.evals.runs import Entry
from llmvc.places import put

TYPE: Final = "shard/1"


@dataclass(frozen=True, slots=True)
class Header:
    """What a shard file is a part of.

    Attributes:
        bundle: the candidate's name.
        candidate: its digest.
        env: the environment compared with.
        plans: question -> digest of its whole plan.
        at: which part it is, from 1.
        of: how many there are.
        lines: how many lines follow.
    """

    bundle: str
    candidate: Digest
    env: str
    plans: Mapping[Digest, Digest]
    at: int
    of: int
    lines: int = 0

    def to_bytes(self) -> bytes:
        """Returns the file's first line, without line feed."""
        body: dict[str, canon.Json] = {name: getattr(self, name) for name in self.__slots__}
        return canon.encode({"llmvc": TYPE, **body, "plans": dict(self.plans.items())})

    def difference(self, other: "Header") -> str | None:
        """Says what this is a part of that another is not; None if both are of one measurement."""
        if self.plans.keys() != other.plans.keys():
            return "another question: candidate, baseline or suite differ"
        if self.plans != other.plans:
            return "another plan: the dataset, a bundle or a provider changed in between"
        if (self.bundle, self.candidate, self.env) != (other.bundle, other.candidate, other.env):
            return f"another comparison: {self.bundle} with {self.env}"
        if self.of != other.of:
            return f"another cut: {self.at}/{self.of} beside {other.at}/{other.of}"
        return None


@dataclass(frozen=True, slots=True)
class Line:
    """One run.

    Attributes:
        ledger: name of the ledger that it belongs to.
        entry: the run; its answer has a `fault` if it failed.
        data: the entry's canonical bytes.
    """

    ledger: str
    entry: Entry
    data: bytes

    @classmethod
    def of(cls, ledger: str, key: Digest, answer: Answer) -> "Line":
        """Returns the line of an answer."""
        data = runs.encode(key, answer)
        return cls(ledger, Entry(key, digest.of_bytes(data), answer), data)

    def to_bytes(self) -> bytes:
        """Returns the line of the file, without line feed: canonical JSON too."""
        fault = canon.encode(self.entry.answer.fault)
        head = f'{{"digest":"{self.entry.run_id}","entry":'.encode("ascii")
        return b'%b%b,"fault":%b,"ledger":"%b"}' % (
            head,
            self.data,
            fault,
            self.ledger.encode("ascii"),
        )


@dataclass(frozen=True, slots=True)
class ShardFile:
    """A shard file that was read."""

    path: Path
    header: Header
    lines: tuple[Line, ...]


def parse(text: str) -> tuple[int, int]:
    """Reads `i/n`.

    Raises:
        UsageError: it is not that.
    """
    at, _, of = text.partition("/")
    if not (at.isdecimal() and of.isdecimal() and 1 <= int(at) <= int(of) <= 10_000):
        raise UsageError(f"--shard {text} is no part of a whole", hint="for one: --shard 2/4")
    return int(at), int(of)


def part(whole: Plan, at: int, of: int) -> Plan:
    """Returns the `at`-th of `of` parts of a plan, in one stage.

    Raises:
        UsageError: there are more parts than cases or groups.
    """
    numbers: dict[str, int] = {}
    for arms in whole.cases:
        numbers.setdefault(unit(arms[0].case), len(numbers))
    if of > len(numbers):
        raise UsageError(
            f"{of} shards are more than the suite has cases or groups, {len(numbers)}",
            hint=f"--shard {min(at, len(numbers))}/{len(numbers)}",
        )
    mine = tuple(a for a in whole.cases if numbers[unit(a[0].case)] % of == at - 1)
    return replace(whole, cases=mine, stages=((len(mine), whole.runs),))


def plan_digest(whole: Plan) -> Digest:
    """Returns what tells a plan from others: the keys of all its runs, in their order."""
    keys = (key for arms in whole.cases for one in arms for key in one.keys)
    return digest.of_bytes("\n".join(keys).encode("ascii"))


def write(path: Path, header: Header, lines: Iterable[Line]) -> None:
    """Writes a shard file; nobody ever sees a part of it.

    Raises:
        StoreError: the disk refused it.
    """
    rows = sorted({line.to_bytes() for line in lines})
    data = b"\n".join((replace(header, lines=len(rows)).to_bytes(), *rows, b""))
    try:
        put(path, data, private=True)
    except OSError as err:
        raise StoreError(
            f"cannot write shard {path}: {err.strerror}",
            hint="finished runs are in the run cache: make room, or name another file with --out, "
            "and run it again: it pays nothing",
        ) from err


def read(path: Path) -> ShardFile:
    """Reads a shard file.

    Raises:
        StoreError: it cannot be read.
        FormatError: it is no shard file, half of one, or a line is not what its digest says.
    """
    try:
        rows = path.read_bytes().split(b"\n")
    except OSError as err:
        raise StoreError(f"cannot read shard {path}: {err.strerror}") from err
    header = _header(path, rows[0])
    if rows[-1] != b"" or len(rows) - 2 != header.lines:
        raise FormatError(
            f"{path} is half-written: it ends after {len(rows) - 2} of {header.lines} runs",
            hint="copy it again, or make that shard again: finished runs cost nothing",
        )
    lines = tuple(_line(f"{path}:{at}", row) for at, row in enumerate(rows[1:-1], 2))
    return ShardFile(path, header, lines)


def _header(path: Path, row: bytes) -> Header:
    try:
        body: Any = canon.decode_object(row, TYPE)
        plans = {digest.parse(k): digest.parse(v) for k, v in body["plans"].items()}
        numbers = (int(body["at"]), int(body["of"]), int(body["lines"]))
        candidate = digest.parse(body["candidate"])
        return Header(str(body["bundle"]), candidate, str(body["env"]), plans, *numbers)
    except (FormatError, KeyError, TypeError, ValueError, AttributeError) as err:
        raise FormatError(
            f"{path}:1: not the header of a shard",
            hint="shard files are written by llmvc eval --shard i/n",
        ) from err


def _line(where: str, row: bytes) -> Line:
    try:
        body: Any = json.loads(row)
        data = canon.encode(body["entry"])
        fault = cast("Fault | None", body["fault"])
        entry = runs.decode(data, failed=fault is not None)
        ledger = digest.hex_of(digest.parse(f"b3:{body['ledger']}"))
    except (FormatError, KeyError, TypeError, ValueError, RecursionError) as err:
        raise _poisoned(where, "it is no run") from err
    if entry is None or fault not in (None, "provider", "application"):
        raise _poisoned(where, "it is no run")
    if entry.run_id != body["digest"]:
        raise _poisoned(where, "it is not what its digest says")
    return Line(ledger, replace(entry, answer=replace(entry.answer, fault=fault)), data)


def _poisoned(where: str, why: str) -> FormatError:
    return FormatError(
        f"{where}: {why}",
        hint="somebody changed the file: make that shard again, finished runs cost nothing",
    )


def check_one_whole(files: Sequence[ShardFile]) -> None:
    """Checks that files are all the parts of one measurement.

    Raises:
        FormatError: they are of different ones, or shards are missing.
    """
    first = files[0]
    for file in files[1:]:
        if (what := file.header.difference(first.header)) is not None:
            raise FormatError(
                f"{file.path} is a shard of {what}; compared with {first.path}",
                hint="make all shards from one commit, against one baseline and in one cut; "
                "finished runs that still fit cost nothing",
            )
    of = first.header.of
    missing = sorted(set(range(1, of + 1)) - {file.header.at for file in files})
    if missing:
        named = ", ".join(f"{at}/{of}" for at in missing)
        raise FormatError(
            f"missing: shard{'s' * (len(missing) > 1)} {named}",
            hint="name all files at once: llmvc eval merge shard-*.jsonl",
        )


def failures(files: Sequence[ShardFile]) -> Iterator[tuple[ShardFile, Line]]:
    """Yields the runs without output, and where each was tried."""
    return ((file, line) for file in files for line in file.lines if line.entry.answer.fault)
