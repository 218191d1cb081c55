"""The run cache: every finished run, kept under the digest of everything that shaped it.

- Only runs with an output are kept. One that failed is made again, though its entry has a digest:
  an application's failure is evidence, and reports name it.
- A ledger is an append-only JSONL file for one bundle on one connection; a line is the canonical
  bytes of an `entry/1` object beside their digest, `run_id`.
- A line is written with one write to a file opened for appending, so that processes may share a
  ledger. One that is torn or changed is passed over, and told of; the newest of a key counts.
  That finds damage, not forgery: whoever can write a line can write its digest.
- Beside a ledger may lie a folder of its name with segments that others made, which are never
  changed; see `shared`. Of a key the newest entry counts, wherever it lies.
- Outputs are private: files are readable by their owner alone, and Git never sees them.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.plural import count
from llmvc.errors import FormatError, StoreError
from llmvc.evals.providers.base import Answer

if TYPE_CHECKING:
    from llmvc.evals.shared import Shared

TYPE: Final = "entry/1"
KEY: Final = "run/1"
# A line of a ledger, and where the digest and the entry stand in it.
_LINE: Final = b'{"digest":"%b","entry":%b}'
_DIGEST: Final = slice(11, 78)
_ENTRY: Final = slice(88, -1)

_TEXTS: Final = ("error", "finish_reason", "model", "fingerprint", "time")
_NUMBERS: Final = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cache_write_tokens",
    "latency_s",
    "ttft_s",
    "cost_usd",
)
_LISTS: Final = ("logprobs", "choices", "notes", "tool_calls", "steps", "calls")
_FIELDS: Final = ("output", *_TEXTS, *_NUMBERS, *_LISTS)
# The members of an entry without any value, in the order of their names.
_BLANK: Final = {
    name: b'"%b":%b' % (name.encode("ascii"), b"[]" if name in _LISTS else b"null")
    for name in sorted(("llmvc", "key", *_FIELDS))
} | {"llmvc": b'"llmvc":%b' % canon.encode(TYPE)}


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished run as the ledger holds it.

    Attributes:
        key: what was asked; see `keys`.
        run_id: digest of the entry's canonical bytes.
        answer: what came back; its `time` is never None.
    """

    key: Digest
    run_id: Digest
    answer: Answer


class Keys:
    """The keys of the runs on one connection, whose identity is encoded once.

    Args:
        connection: what tells it from others.
    """

    def __init__(self, connection: Mapping[str, canon.Json]) -> None:
        self._connection = canon.encode(connection)

    def of(self, request: Digest, case: Digest, runs: int) -> tuple[Digest, ...]:
        """Returns the keys of the runs 0 to `runs` - 1 of one request on one case.

        They are digests of canonical bytes: the members stand in the order of their names.
        """
        stem = b'{"case":"%b","connection":%b,"llmvc":"%b","request":"%b","run":' % (
            case.encode("ascii"),
            self._connection,
            KEY.encode("ascii"),
            request.encode("ascii"),
        )
        return tuple(digest.of_bytes(b"%b%d}" % (stem, run)) for run in range(runs))


def keys(
    request: Digest, case: Digest, connection: Mapping[str, canon.Json], runs: int
) -> tuple[Digest, ...]:
    """Returns the keys of the runs 0 to `runs` - 1 of one request on one case."""
    return Keys(connection).of(request, case, runs)


def encode(key: Digest, answer: Answer) -> bytes:
    """Returns the canonical bytes of an entry.

    Its members are always the same and most are null, so the object is put together here, in the
    order of their names, and only what has a value is encoded: an eval makes thousands of them.
    """
    parts = dict(_BLANK)
    parts["key"] = b'"key":"%b"' % key.encode("ascii")
    for name in _FIELDS:
        value = getattr(answer, name)
        if value is not None and value != ():
            parts[name] = b'"%b":%b' % (name.encode("ascii"), canon.encode(value))
    return b"{%b}" % b",".join(parts.values())


def decode(data: bytes, *, failed: bool = False) -> Entry | None:
    """Reads the canonical bytes of an entry; None if they are none.

    Args:
        data: the bytes.
        failed: whether it is the run of a shard that brought no output, which no ledger holds.
    """
    try:
        body: Any = json.loads(data)
        finished = isinstance(body["time"], str) and body["output"] is not None
        if body["llmvc"] != TYPE or finished is failed:
            return None
        # An older entry lacks the members that came later.
        fields: dict[str, Any] = {name: body.get(name) for name in ("output", *_TEXTS, *_NUMBERS)}
        fields |= {name: tuple(body.get(name) or ()) for name in _LISTS}
        return Entry(digest.parse(body["key"]), digest.of_bytes(data), Answer(**fields))
    except (FormatError, ValueError, KeyError, TypeError, RecursionError):
        return None


def line_of(run_id: Digest, data: bytes) -> bytes:
    """Returns the line of a ledger that keeps an entry, without line feed: canonical JSON too."""
    return _LINE % (run_id.encode("ascii"), data)


def read(line: bytes) -> Entry | None:
    """Reads a line of a ledger, without line feed; None if it is not as it was written."""
    data = line[_ENTRY]
    entry = decode(data)
    return entry if entry is not None and line == line_of(entry.run_id, data) else None


def folder(common: Path) -> Path:
    """Returns where the ledgers of a repository lie, beside its objects."""
    return common / "llmvc" / "runs"


def search(folder: Path, wanted: Callable[[Digest], bool]) -> dict[Digest, Entry]:
    """Returns the entries whose `run_id` is wanted, from every ledger in a folder.

    Args:
        folder: the cache; one that is not there holds nothing.
        wanted: tells whether a run is.

    Raises:
        StoreError: a ledger cannot be read.
    """
    found: dict[Digest, Entry] = {}
    for path in sorted((*folder.glob("*.jsonl"), *folder.glob(f"{'?' * 64}/*.jsonl"))):
        try:
            with path.open("rb") as lines:
                for line in lines:
                    named = Digest(line[_DIGEST].decode("ascii", "replace"))
                    if wanted(named) and (entry := read(line.rstrip(b"\n"))) is not None:
                        found[entry.run_id] = entry
        except OSError as err:
            raise StoreError(f"cannot read run cache {path}: {err.strerror}") from err
    return found


class Ledger:
    """One file of the cache: the runs of one bundle on one connection.

    Attributes:
        name: its 64 hex characters.
        damaged: how many lines were passed over when it was read.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.damaged = 0
        self._path = path
        self._file: int | None = None
        self._entries: dict[Digest, Entry] = {}
        self._loaded: frozenset[Digest] = frozenset()

    def load(self, wanted: frozenset[Digest]) -> None:
        """Reads the entries of the wanted keys, if they were not read before.

        Raises:
            StoreError: the file is there but cannot be read.
        """
        if wanted <= self._loaded:
            return
        self._loaded = wanted
        self.damaged = 0
        for path in (*sorted(self._path.with_suffix("").glob("*.jsonl")), self._path):
            try:
                with path.open("rb") as lines:
                    for line in lines:
                        entry = read(line.rstrip(b"\n"))
                        if entry is None:
                            self.damaged += 1
                        elif entry.key in wanted:
                            self._remember(entry)
            except FileNotFoundError:
                continue
            except OSError as err:
                raise StoreError(f"cannot read run cache {path}: {err.strerror}") from err

    def find(self, key: Digest) -> Entry | None:
        """Returns the newest entry under a key, of those loaded or added here."""
        return self._entries.get(key)

    def held(self) -> Iterator[Entry]:
        """Yields the entries that were loaded or added here."""
        yield from self._entries.values()

    def take(self, entry: Entry, data: bytes) -> None:
        """Keeps an entry that was made elsewhere, if it is not among those loaded.

        Args:
            entry: what the bytes hold.
            data: its canonical bytes.

        Raises:
            StoreError: the disk refused it.
        """
        known = self._entries.get(entry.key)
        if known is None or known.run_id != entry.run_id:
            self._append(line_of(entry.run_id, data) + b"\n")
            self._remember(entry)

    def add(self, key: Digest, answer: Answer) -> Entry:
        """Keeps a finished run if it has an output; the very same entry is not written twice.

        Raises:
            StoreError: the disk refused it.
        """
        data = encode(key, answer)
        entry = Entry(key, digest.of_bytes(data), answer)
        known = self._entries.get(key)
        if answer.output is not None and (known is None or known.run_id != entry.run_id):
            self._append(line_of(entry.run_id, data) + b"\n")
            self._entries[key] = entry
        return entry

    def close(self) -> None:
        """Closes the file, if it was opened."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _remember(self, entry: Entry) -> None:
        known = self._entries.get(entry.key)
        if known is None or (known.answer.time or "") <= (entry.answer.time or ""):
            self._entries[entry.key] = entry

    def _append(self, line: bytes) -> None:
        try:
            if self._file is None:
                self._file = self._open()
            written = os.write(self._file, line)
        except OSError as err:
            raise self._refused(err.strerror or "error") from err
        if written != len(line):
            raise self._refused("no space left for a whole line")

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            # Somebody was killed within a write; what is left of the line must not spoil ours.
            os.write(file, b"\n")
        return file

    def _refused(self, why: str) -> StoreError:
        return StoreError(
            f"cannot write run cache {self._path}: {why}",
            hint="runs written before are kept; make room and run the eval again",
        )


class RunCache:
    """All ledgers in one folder; a context manager that closes them.

    Args:
        folder: where they lie.
        shared: what others' runs come from, and these go to; None for this folder alone.
    """

    def __init__(self, folder: Path, shared: "Shared | None" = None) -> None:
        self._folder = folder
        self._shared = shared
        self._ledgers: dict[Path, Ledger] = {}
        self._damaged = 0

    def ledger(self, bundle: Digest, connection: Mapping[str, canon.Json]) -> Ledger:
        """Returns the ledger of a bundle on a connection."""
        name = digest.of_value({"llmvc": "ledger/1", "bundle": bundle, "connection": connection})
        return self.named(digest.hex_of(name))

    def named(self, name: str) -> Ledger:
        """Returns a ledger by its 64 hex characters."""
        path = self._folder / f"{name}.jsonl"
        if path not in self._ledgers:
            if self._shared is not None:
                self._shared.pull(path)
            self._ledgers[path] = Ledger(path)
        return self._ledgers[path]

    def open(self) -> Mapping[str, Ledger]:
        """Returns the ledgers that were asked for so far, by their names."""
        return {path.stem: ledger for path, ledger in self._ledgers.items()}

    def close(self) -> None:
        """Closes every ledger and shares what is new; the cache can be used again after it."""
        for path, ledger in self._ledgers.items():
            ledger.close()
            self._damaged += ledger.damaged
            if self._shared is not None:
                self._shared.push(path)
        self._ledgers.clear()

    def notes(self) -> tuple[str, ...]:
        """Returns what went wrong, for people, up to where the cache was closed."""
        passed = f"run cache: {count(self._damaged, 'damaged line')} passed over; "
        own = (f"{passed}what is missing is called again",) if self._damaged else ()
        return (*own, *(self._shared.notes if self._shared is not None else ()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
