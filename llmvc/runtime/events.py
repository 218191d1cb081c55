"""Events: what a service did with the bundles that it was served, one JSON object a line.

- One `write` to a file opened for appending is one event, so that many processes share a file.
- The id of a unit never enters the file: a keyed BLAKE3 hash of it does. Prompts and outputs stay
  out unless asked for.
- Nothing here ever raises into the service. An event that cannot be written is dropped and counted,
  and the next heartbeat tells how many were attempted, so that losses show.

docs/events.md describes the format; schemas/event.schema.json is its schema.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from json import JSONEncoder
from json.encoder import encode_basestring as _quoted
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from blake3 import blake3

from llmvc.errors import UsageError
from llmvc.runtime.about import MOST, About, head, parsed
from llmvc.runtime.appending import Appended

if TYPE_CHECKING:
    from llmvc.runtime.assign import Assignment

UNIT_HEX: Final = 32
"""Characters of a unit's hash: 128 bits."""
LEAST_KEY: Final = 16
MOST_BYTES: Final = 64 << 20
EVERY_S: Final = 60.0
"""A client that writes to a log lets it write a heartbeat this often."""
_CONTEXT: Final = "llmvc events: unit hash, version 1"
_KEY_CONTEXT: Final = "llmvc events: name of the key, version 1"
_ENCODE: Final = JSONEncoder(
    separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
).encode

Value = str | float | bool | list[str] | Mapping[str, object] | None
Fields = dict[str, Value]


class Log:
    """Writes the events of one process to a file that other processes may share.

    Args:
        path: the file; it is made, with its folder, when the first event comes.
        key: secret of at least 16 bytes that units are hashed with; the same in all processes.
        process: what tells this process from others; by default host, process id and start.
        most_bytes: from this size on the file is renamed to `PATH.<nanoseconds>` and begun anew.
        text: whether `Call.text` may write prompts and outputs.
        clock: seconds since 1970.

    Raises:
        UsageError: the key is too short to keep units secret.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        key: bytes,
        process: str | None = None,
        most_bytes: int = MOST_BYTES,
        text: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if len(key) < LEAST_KEY:
            raise UsageError(
                f"the key of an event log has {len(key)} bytes",
                hint=f"use at least {LEAST_KEY} random ones, the same in every process",
            )
        self.path = os.fspath(path)
        self.text = text
        self.clock = clock
        self._key = blake3(key, derive_key_context=_CONTEXT).digest()
        self._key_id = blake3(key, derive_key_context=_KEY_CONTEXT).hexdigest(8)
        self._most = most_bytes
        self._named = process
        self._begin()
        _OPEN.add(self)

    def _begin(self) -> None:
        """Starts counting for the process at hand; a forked child is a process of its own."""
        start = f"{time.time_ns() // 1_000_000:x}"
        name = self._named or os.uname().nodename
        self.process = f"{name}:{os.getpid()}:{start}"
        self._name = _quoted(self.process)
        self.dropped = 0
        self._beaten = float("-inf")
        self._seqs: Mapping[str, int] = {}
        self._counts: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        self._file = Appended(self.path, self._most)
        self._last: tuple[Assignment | str | None, About | None] = (None, None)

    def unit_hash(self, unit: str) -> str:
        """Returns what stands for a unit in events: 32 hex characters of its keyed BLAKE3."""
        return blake3(unit.encode("utf-8", "surrogatepass"), key=self._key).hexdigest(UNIT_HEX // 2)

    def assignment_id(self, of: "Assignment") -> str:
        """Returns an assignment's id, which `feedback` takes as well; see docs/events.md."""
        return self._made(of).id

    def assign(self, of: "Assignment") -> str | None:
        """Writes that a unit was assigned; returns the assignment's id, None if it has none."""
        about = self._about(of)
        if about is None:
            return None
        self._write("assign", about, {"llmvc.stale_s": round(of.stale_s, 3)}, count=0)
        return about.id

    def call(
        self, of: "Assignment", *, provider: str | None = None, model: str | None = None
    ) -> "Call":
        """Returns a context that writes one call of a model when it ends.

        Args:
            of: what the call was made for.
            provider: the provider's name; by default the bundle's.
            model: the model that was asked for; by default the bundle's.
        """
        return Call(self, of, provider, model)

    def feedback(
        self,
        of: "Assignment | str | None",
        *,
        negative: bool | None = None,
        name: str | None = None,
        score: float | None = None,
        judge: str | None = None,
    ) -> None:
        """Writes what somebody thought of an answer, at any time after it.

        Args:
            of: the assignment, or its id.
            negative: whether it was disliked; it feeds the guardrail `negative`.
            name: what was judged, such as `thumbs` or `helpful`.
            score: on whatever scale `name` has.
            judge: digest of the judge if a model judged; None for people.
        """
        about = self._about(of)
        if about is not None:
            told: Fields = {
                "llmvc.feedback.negative": negative,
                "gen_ai.evaluation.name": name,
                "gen_ai.evaluation.score.value": score,
                "llmvc.judge.digest": judge,
            }
            self._write("feedback", about, told)

    def heartbeat(self, seqs: Mapping[str, int], stale_s: float = 0.0) -> None:
        """Writes what this process serves, and how many events it has tried to write.

        Args:
            seqs: `BUNDLE/ENV` -> number of the release that this process goes by.
            stale_s: seconds since it was last known to be current.
        """
        with self._lock:
            counts = {key: list(made) for key, made in self._counts.items()}
        told: Fields = {
            "llmvc.release.seqs": dict(seqs),
            "llmvc.stale_s": stale_s,
            "llmvc.counts": counts,
            "llmvc.dropped": self.dropped,
            "llmvc.key": self._key_id,
        }
        self._write("heartbeat", None, told)

    def beat(self, releases: Mapping[str, tuple[int, str]], stale_s: float | None = None) -> None:
        """Writes a heartbeat if other releases are served or the last one was long ago.

        A client calls this after each look at its source, so that a service need not.

        Args:
            releases: `BUNDLE/ENV` -> number and digest of the release that this process goes by.
            stale_s: seconds since that was last known to be current.
        """
        now, seqs = self.clock(), {name: seq for name, (seq, _) in releases.items()}
        # A clock that was set back must not silence a process.
        if seqs != self._seqs or abs(now - self._beaten) >= EVERY_S:
            self._seqs, self._beaten = seqs, now
            self.heartbeat(seqs, stale_s or 0.0)

    def stop(self) -> None:
        """Writes a last heartbeat for a client that was closed."""
        self.heartbeat(self._seqs)

    def close(self) -> None:
        """Closes the file; the next event opens it again."""
        with self._lock:
            self._file.close()

    def call_ended(self, of: "Assignment", told: Fields) -> None:
        """Writes what `Call` was told."""
        about = self._about(of)
        if about is not None:
            self._write("call", about, told, count=1)

    def _about(self, of: "Assignment | str | None") -> "About | None":
        """Returns what events on an assignment, or on its id, say of it; None if it is none."""
        last, known = self._last
        if of is last and known is not None:
            return known
        if of is None:
            self.dropped += 1
            return None
        try:
            found = parsed(of) if isinstance(of, str) else self._made(of)
        except Exception:  # noqa: BLE001 (telemetry must not break the service)
            self.dropped += 1
            return None
        # A call mostly follows its assignment: one attribute, so that threads see both or neither.
        self._last = of, found
        return found

    def _made(self, of: "Assignment") -> "About":
        common = head(of.name, of.env, of.arm, of.digest, of.seq, of.rollout)
        return common.about("-" if of.unit is None else self.unit_hash(of.unit))

    def _write(
        self, kind: str, about: "About | None", told: Fields, *, count: int | None = None
    ) -> None:
        """Writes one event, or drops and counts it.

        Args:
            kind: assign, call, feedback or heartbeat.
            about: the assignment; None for a heartbeat.
            told: further members; those that are None are left out.
            count: 0 for an assignment and 1 for a call, which heartbeats count; None for others.
        """
        line = b""
        try:
            known = {name: value for name, value in told.items() if value is not None}
            rest = f",{_ENCODE(known)[1:]}" if known else "}"
            line = (
                f'{{"llmvc":"event/1","event":"{kind}","time":{self.clock():.3f},"llmvc.process":{self._name}'
                f"{about.members if about else ''}{rest}\n"
            ).encode("utf-8", "replace")
        except (TypeError, ValueError, RecursionError):
            self.dropped += 1  # an odd value must not break the service
        try:
            with self._lock:
                if count is not None and about is not None:
                    self._counted(about.counted)[count] += 1
                if line:
                    self._file.append(line)
        except (OSError, ValueError):
            self.dropped += 1  # nor must a full disk, or a path that is none

    def _counted(self, version: str) -> list[int]:
        found = self._counts.get(version)
        if found is None:
            if len(self._counts) >= MOST:  # the oldest goes, whose losses nobody looks for now
                del self._counts[next(iter(self._counts))]
            found = self._counts[version] = [0, 0]
        return found

    def forked(self) -> None:
        """Goes on in the child, whose one thread finds a lock that nobody is left to let go of."""
        self._begin()


class Call:
    """One call of a model, timed from `with` to its end.

        with log.call(assignment, provider="openai", model="gpt-5") as call:
            response = client.chat(...)
            call.usage(input_tokens=120, output_tokens=30)

    Whatever is not told stays unknown. An exception that leaves the block makes it an error, and
    goes on to the caller.
    """

    __slots__ = ("_first", "_log", "_of", "_start", "_told", "fields")

    def __init__(self, log: Log, of: "Assignment", provider: str | None, model: str | None) -> None:
        self._log = log
        self._of = of
        self._told = False
        self._first: float | None = None
        self._start = time.perf_counter()
        asked = _asked(of)
        self.fields: Fields = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider or asked.get("provider"),
            "gen_ai.request.model": model or asked.get("id"),
        }

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        """Tells the tokens as the provider counted them."""
        self.fields |= {
            "gen_ai.usage.input_tokens": input_tokens,
            "gen_ai.usage.output_tokens": output_tokens,
            "gen_ai.usage.cache_read.input_tokens": cached_tokens,
            "gen_ai.usage.cache_creation.input_tokens": cache_write_tokens,
            "gen_ai.usage.reasoning.output_tokens": reasoning_tokens,
        }

    def answered(
        self,
        *,
        model: str | None = None,
        finish_reasons: tuple[str, ...] = (),
        refused: bool | None = None,
    ) -> None:
        """Tells which model answered, why it ended, and whether it refused."""
        self.fields |= {
            "gen_ai.response.model": model,
            "gen_ai.response.finish_reasons": list(finish_reasons),
            "llmvc.refused": refused,
        }

    def first_chunk(self) -> None:
        """Tells that the first part of a streamed answer has come."""
        if self._first is None:
            self._first = time.perf_counter() - self._start

    def cost(self, usd: float, price_table: str | None = None) -> None:
        """Tells what the call cost, and the digest of the price table that says so."""
        self.fields |= {"llmvc.cost.usd": usd, "llmvc.cost.price_table": price_table}

    def context(
        self, *, used_tokens: int, limit_tokens: int, truncated: bool | None = None
    ) -> None:
        """Tells how full the context window was, and whether messages were left out."""
        ratio = round(used_tokens / limit_tokens, 4) if limit_tokens else None
        self.fields |= {
            "llmvc.context.limit_tokens": limit_tokens,
            "llmvc.context.used_ratio": ratio,
            "llmvc.truncated": truncated,
        }

    def failed(self, kind: str) -> None:
        """Tells that the call failed, where the service caught the exception itself."""
        self.fields["error.type"] = kind

    def text(self, *, prompt: str | None = None, output: str | None = None) -> None:
        """Adds texts, if the log was opened with `text=True`; else does nothing."""
        if self._log.text:
            self.fields |= {"llmvc.text.prompt": prompt, "llmvc.text.output": output}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is not None:
            self.failed(kind.__name__)
        self.end()

    def end(self) -> None:
        """Writes the call; the second time does nothing."""
        if self._told:
            return
        self._told = True
        self.fields["llmvc.call.duration_s"] = round(time.perf_counter() - self._start, 6)
        if self._first is not None:
            self.fields["gen_ai.response.time_to_first_chunk"] = round(self._first, 6)
        self._log.call_ended(self._of, self.fields)


def _asked(of: "Assignment") -> Mapping[str, Value]:
    """Returns the model section of the bundle that was assigned; empty where there is none."""
    body = getattr(getattr(of, "bundle", None), "body", None)
    found = body.get("model") if isinstance(body, Mapping) else None
    return found if isinstance(found, Mapping) else {}


_OPEN: Final[weakref.WeakSet[Log]] = weakref.WeakSet()


def _forked() -> None:
    for one in list(_OPEN):
        one.forked()


os.register_at_fork(after_in_child=_forked)
