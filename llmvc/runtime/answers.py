"""The agent's answers over HTTP: the snapshot, resolve, render and heartbeats, for any language.

- Only names that match exactly are ever turned into paths.
- What is asked is read strictly: UTF-8, and nothing twice. Else two units could share a bucket.
- Every answer but the snapshot's own files is one JSON object; a refusal is `{"error": …}`.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from llmvc import runtime
from llmvc.core import canon, digest
from llmvc.core.pointer import CHECKED, OBJECTS, POINTER
from llmvc.errors import FormatError, LlmvcError, NotFoundError, StoreError, UsageError
from llmvc.places import put
from llmvc.runtime import heart
from llmvc.runtime.client import Client
from llmvc.runtime.fleet import files
from llmvc.runtime.heart import Beat, file_of

JSON: Final = "application/json"
MOST_HEARTBEATS: Final = 10_000
MOST_FIELDS: Final = 16
FRESH: Final = "no-cache"
"""For what changes: it may be kept, and is asked for again each time."""
FOREVER: Final = "public, max-age=31536000, immutable"
"""For objects, whose name is their digest."""
_OBJECT: Final = re.compile(r"/objects/(?P<name>[0-9a-f]{64})\Z")
_STATUS: Final[tuple[tuple[type[LlmvcError], int], ...]] = (
    (NotFoundError, 404),
    (UsageError, 400),
    (FormatError, 400),
)
_RENDER: Final = ("bundle", "env", "unit", "pin", "variables", "api", "member")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back.

    Attributes:
        status: of HTTP.
        body: the bytes.
        kind: their content type.
        etag: their BLAKE3, where they may be asked for again; else empty.
        cache: for how long they may be kept, as HTTP's `Cache-Control`.
    """

    status: int
    body: bytes
    kind: str = JSON
    etag: str = ""
    cache: str = FRESH


class Answers:
    """Answers requests about one folder; knows nothing of sockets.

    Args:
        folder: where the snapshot lies.
        trouble: says what is wrong with what feeds it; None if nothing is.
    """

    def __init__(self, folder: Path, trouble: Callable[[], str | None] = lambda: None) -> None:
        self._folder = folder
        self._trouble = trouble
        self._client: Client | None = None
        self._opening = threading.Lock()

    def to(self, method: str, target: str, body: bytes = b"") -> Answer:
        """Returns the answer to one request; whatever is wrong is an answer, too.

        Args:
            method: GET, POST or DELETE.
            target: path and query.
            body: of a POST.
        """
        try:
            return self._answer(method, target, body)
        except LlmvcError as err:
            status = next((code for kind, code in _STATUS if isinstance(err, kind)), 503)
            return refusal(status, err.code, str(err), err.hint)
        except Exception as err:  # noqa: BLE001 (who asked must learn of a bug, in JSON as well)
            return refusal(500, "bug", f"{type(err).__name__}: {err}")

    def close(self) -> None:
        """Stops reading the folder."""
        if self._client is not None:
            self._client.close()

    def _answer(self, method: str, target: str, body: bytes) -> Answer:
        path, _, query = target.partition("?")
        asked = _arguments(query)
        found = _OBJECT.match(path)
        if method == "GET" and (found or path in (f"/{POINTER}", f"/{CHECKED}")):
            return self._file(f"{OBJECTS}/{found['name']}" if found else path[1:])
        if method == "DELETE" and path.startswith("/v1/heartbeat/"):
            self._heartbeat(path.removeprefix("/v1/heartbeat/")).unlink(missing_ok=True)
            return _json({"ok": True})
        known: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/v1/resolve"): lambda: _json(_told(self._resolve(asked))),
            ("GET", "/v1/fleet"): self._fleet,
            ("GET", "/healthz"): self._health,
            ("POST", "/v1/render"): lambda: self._render(body),
            ("POST", "/v1/heartbeat"): lambda: self._beat(body),
        }
        act = known.get((method, path))
        if act is None:
            raise NotFoundError(f"there is no {method} {path[:80]}", hint="see docs/fleet.md")
        return act()

    @property
    def client(self) -> Client:
        """What resolves; opened when the folder holds a snapshot for the first time."""
        with self._opening:
            if self._client is None:
                try:
                    self._client = runtime.open(self._folder)
                except NotFoundError as err:
                    raise StoreError(str(err), hint="the agent has not seen a snapshot") from err
            return self._client

    def _file(self, path: str) -> Answer:
        try:
            data = (self._folder / path).read_bytes()
        except FileNotFoundError as err:
            raise NotFoundError(f"there is no {path}") from err
        except OSError as err:
            raise StoreError(f"{path} cannot be read: {err.strerror}") from err
        kind = "text/plain" if path == CHECKED else "application/octet-stream"
        kind = JSON if path == POINTER else kind
        etag = "" if path == CHECKED else digest.hex_of(digest.of_bytes(data))
        cache = FOREVER if path.startswith(OBJECTS) else FRESH
        return Answer(200, data, kind, etag, cache)

    def _resolve(self, asked: Mapping[str, Any]) -> runtime.Assignment:
        _check_known(asked, _RENDER[:4])
        for name, value in asked.items():
            if not isinstance(value, str):
                raise UsageError(f"{name} is no text")
        if not asked.get("bundle"):
            raise UsageError("which bundle?", hint="bundle=NAME")
        return self.client.resolve(
            asked["bundle"], asked.get("env", "prod"), asked.get("unit"), asked.get("pin")
        )

    def _render(self, body: bytes) -> Answer:
        asked = _object(body)
        asked = {name: value for name, value in asked.items() if value is not None}
        _check_known(asked, _RENDER)
        variables, api, member = (asked.pop(name, None) for name in _RENDER[4:])
        if not isinstance(variables, dict | None):
            raise UsageError("variables is no object")
        if not isinstance(member, str | None):
            raise UsageError("member is no text")
        given = self._resolve(asked)
        served = given.bundle if member is None else given.member(member)
        request = served.render(variables or {}, api=api)
        return _json({"assignment": _told(given), "request": request})

    def _beat(self, body: bytes) -> Answer:
        beat = Beat.from_bytes(body)
        data, path = beat.to_bytes(), self._heartbeat(beat.process)
        if len(data) > heart.LIMIT:  # spelt in ASCII it is longer, and nobody would read it
            raise FormatError(f"the heartbeat has more than {heart.LIMIT} bytes in ASCII")
        known = path.exists() or not path.parent.exists()
        if not known and sum(1 for _ in path.parent.iterdir()) >= MOST_HEARTBEATS:
            raise StoreError(
                f"{MOST_HEARTBEATS} processes are known already", hint="llmvc fleet --prune"
            )
        try:
            put(path, data)
        except OSError as err:
            raise StoreError(f"{path} cannot be written: {err.strerror}") from err
        return _json({"ok": True})

    def _heartbeat(self, process: str) -> Path:
        return self._folder / heart.FOLDER / file_of(process)

    def _fleet(self) -> Answer:
        found: list[Any] = []
        for name, data, heard in files(self._folder / heart.FOLDER):
            try:
                found.append(_object(data) | {"heard": heard})
            except FormatError as err:
                found.append({"file": name, "unread": str(err)})
        return _json({"heartbeats": found})

    def _health(self) -> Answer:
        health = self.client.health
        problem = self._trouble() or health.problem
        told = {
            "ok": problem is None,
            "problem": problem,
            "older": health.older,
            "stale_s": health.stale_s,
            "seqs": health.seqs,
            "snapshot": health.snapshot,
        }
        return _json(told, 200 if problem is None else 503)


def refusal(status: int, code: str, message: str, hint: str = "") -> Answer:
    """Returns the answer to a request that is refused."""
    error = {"code": code, "message": message, "hint": hint or None}
    return _json({"error": error}, status)


def _json(value: Mapping[str, Any], status: int = 200) -> Answer:
    return Answer(status, json.dumps(value, ensure_ascii=False, sort_keys=True).encode() + b"\n")


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = canon.decode(body)
    except FormatError as err:
        raise FormatError(f"what was sent cannot be read: {err}") from err
    if not isinstance(value, dict):
        raise FormatError("what was sent is no object")
    return value


def _arguments(query: str) -> dict[str, str]:
    """Returns what a query says.

    Raises:
        UsageError: it says something twice, is too long, or holds what is not UTF-8.
    """
    try:
        query.encode("ascii")
        pairs = parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except UnicodeError as err:
        raise UsageError(
            "the query is not UTF-8 in percent-encoding", hint="unit=J%C3%BCrgen"
        ) from err
    except ValueError as err:
        raise UsageError(f"the query has more than {MOST_FIELDS} arguments") from err
    name, times = max(
        Counter(name for name, _ in pairs).items(), key=lambda one: one[1], default=("", 0)
    )
    if times > 1:
        raise UsageError(f"{name[:40]!r} is there {times} times")
    return dict(pairs)


def _check_known(asked: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(asked.keys() - set(known))
    if unknown:
        raise UsageError(f"{unknown[0][:40]!r} is not known here", hint=", ".join(known))


def _told(given: runtime.Assignment) -> dict[str, Any]:
    """Returns an assignment's JSON form, the bundle apart."""
    return {name: value for name, value in given._asdict().items() if name != "bundle"}
