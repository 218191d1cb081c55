"""Reading Git objects through one long-lived `git cat-file` child.

- The size is known before the content is read; what is larger than the limit is never read.
- Where a ref stands is asked of `refs`: here git would also try branches and tags of that name.
- Partial clones, alternates, quarantine and SHA-256 are git's business and just work.
"""

import subprocess
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from llmvc.errors import IntegrityError, LlmvcError, StoreError
from llmvc.store.git import Git, reason, too_large, trouble

LIMIT: Final = 64 * 2**20
_AT_ONCE: Final = 100  # requests in flight; few enough to fit any pipe's buffer


class Info(NamedTuple):
    """What an object is: its id, its kind and its size in bytes."""

    oid: str
    kind: str
    size: int


class Object(NamedTuple):
    """An object as it was read."""

    oid: str
    kind: str
    data: bytes


class Reader:
    """Answers from one `git cat-file --batch-command`, started at the first question."""

    def __init__(self, git: Git, *, limit: int = LIMIT) -> None:
        self._git = git
        self._limit = limit
        self._child: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """Ends the child; the next question starts a new one."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def info(self, spec: str) -> Info | None:
        """Returns what an object is, without reading it; None if it is not there."""
        self._ask("info", (spec,))
        return self._header(spec)

    def get(self, spec: str) -> Object | None:
        """Returns one object; None if it is not there.

        Args:
            spec: an object id, or an id and a path in its tree: `<id>:<path>`.

        Raises:
            FormatError: it is larger than the limit.
            StoreError: git cannot read it.
        """
        return next(self.many((spec,)))

    def many(self, specs: Iterable[str]) -> Iterator[Object | None]:
        """Yields the objects in the order asked for; None for one that is not there."""
        rest = iter(specs)
        while chunk := tuple(islice(rest, _AT_ONCE)):
            self._ask("contents", chunk)
            # Read all answers before handing out the first: the caller may ask in between.
            yield from [self._answer(spec) for spec in chunk]

    def blob(self, spec: str) -> bytes | None:
        """Returns a blob's content; None if there is nothing.

        Raises:
            IntegrityError: something else than a blob is there.
        """
        found = self.get(spec)
        if found is not None and found.kind != "blob":
            raise IntegrityError(f"{spec} is a {found.kind}, not a blob")
        return found.data if found else None

    def _ask(self, verb: str, specs: tuple[str, ...]) -> None:
        if self._child is None:
            self._child = self._git.start(
                "-c",
                f"core.bigFileThreshold={self._limit}",  # larger blobs are streamed, not loaded
                "cat-file",
                "--batch-command",
                stderr=subprocess.DEVNULL,  # nobody would drain it; `_died` asks again
            )
        assert self._child.stdin is not None  # noqa: S101 (Popen was asked for the pipe)
        lines = [f"{verb} {spec}\n".encode("utf-8", "surrogateescape") for spec in specs]
        if any(b"\n" in line[:-1] or b"\0" in line for line in lines):
            raise StoreError(f"not an object's name: {specs!r}")
        try:
            self._child.stdin.write(b"".join(lines))
            self._child.stdin.flush()
        except BrokenPipeError as err:
            raise self._died(specs[0]) from err

    def _header(self, spec: str) -> Info | None:
        assert self._child is not None  # noqa: S101 (_ask started it)
        assert self._child.stdout is not None  # noqa: S101
        line = self._child.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._died(spec)
        words = line[:-1].decode("utf-8", "surrogateescape").rsplit(" ", 2)
        if len(words) == 3 and words[2].isdigit():
            return Info(words[0], words[1], int(words[2]))
        if words[-1] == "missing":
            return None
        self.close()
        raise StoreError(f"git cannot name {spec}: {words[-1]}")

    def _answer(self, spec: str) -> Object | None:
        info = self._header(spec)
        if info is None:
            return None
        if info.size > self._limit:
            self.close()
            raise too_large(f"git object {spec}", self._limit, info.size)
        assert self._child is not None  # noqa: S101 (_header talked to it)
        assert self._child.stdout is not None  # noqa: S101
        data = self._child.stdout.read(info.size + 1)
        if len(data) != info.size + 1:
            raise self._died(spec)
        return Object(info.oid, info.kind, data[:-1])

    def _died(self, spec: str) -> LlmvcError:
        """Ends the child and finds out why it stopped answering; a broken object does that."""
        self.close()
        result = self._git.call("cat-file", "--batch-command", stdin=f"contents {spec}\n".encode())
        said = reason(result.err)
        if any(word in said for word in ("corrupt", "loose object", "unpack", "inflate", "stream")):
            return IntegrityError(f"git object {spec} is damaged: {said}")
        if b"promisor remote" in result.err:
            return StoreError(
                f"{spec} is not in this partial clone, and its remote does not hand it out: {said}",
                hint="mend the way to the remote, or work in a whole clone",
            )
        return trouble("git cat-file", result)
