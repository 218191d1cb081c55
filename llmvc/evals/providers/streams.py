"""Streams: server-sent events, and the answers that they bring piece by piece.

- `Events` cuts bytes into events by the WHATWG's rules; lines end with LF, CR or CRLF and nothing
  else, since JSON may hold U+2028 and its like.
- The rest put an answer together into the object that the same API returns in one piece, so that
  one reader serves both.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from llmvc.core import canon
from llmvc.core.canon import listed, mapped
from llmvc.errors import FormatError
from llmvc.evals.providers.reading import need, text

END: Final = b"[DONE]"
_LINE: Final = re.compile(rb"\r\n|\n|\r(?!\Z)")
_OUTPUT: Final = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.function_call_arguments.delta",
    }
)


class Events:
    """Cuts a stream into the data of its events."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yields the data of every event that a further piece of the stream completes.

        A line that ends with the piece's last CR waits for the next: an LF may belong to it.
        """
        *lines, self._rest = _LINE.split(self._rest + chunk)
        for line in lines:
            if line:
                name, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
                if name == b"data":
                    self._data.append(value.removeprefix(b" "))
            elif self._data:
                yield b"\n".join(self._data)
                self._data = []


class ChatWhole:
    """A chat completion from its chunks."""

    def __init__(self) -> None:
        self._top: dict[str, canon.Json] = {}
        self._choices: dict[int, _Choice] = {}
        self._finished = False

    @property
    def done(self) -> bool:
        """Whether every choice has its end, or the stream says so."""
        ended = [choice.reason is not None for choice in self._choices.values()]
        return self._finished or (bool(ended) and all(ended))

    def finish(self) -> None:
        """Takes note of `[DONE]`."""
        self._finished = True

    def add(self, event: Mapping[str, canon.Json]) -> bool:
        """Takes a chunk, and returns whether it brought some of the output."""
        for name in ("model", "system_fingerprint", "usage"):
            if event.get(name) is not None:
                self._top[name] = event[name]
        brought = False
        for chunk in listed(event.get("choices")):
            one = need(chunk, "a choice")
            at = one.get("index", 0)
            if not isinstance(at, int):
                raise FormatError("a choice's index is not a number")
            brought |= self._choices.setdefault(at, _Choice()).add(one)
        return brought

    def body(self) -> Mapping[str, canon.Json]:
        """Returns the completion."""
        return {**self._top, "choices": [one.body() for _, one in sorted(self._choices.items())]}


class _Choice:
    def __init__(self) -> None:
        self.reason: str | None = None
        self._texts: dict[str, list[str]] = {}
        self._calls: list[tuple[int, dict[str, str]]] = []
        self._logprobs: list[canon.Json] = []

    def add(self, chunk: Mapping[str, canon.Json]) -> bool:
        self.reason = text(chunk, "finish_reason") or self.reason
        self._logprobs += listed(mapped(chunk.get("logprobs")).get("content"))
        delta = need(chunk.get("delta") or {}, "a delta")
        brought = False
        for name in ("content", "refusal"):
            piece = text(delta, name)
            if piece is not None:
                self._texts.setdefault(name, []).append(piece)
                brought |= bool(piece)
        for place, call in enumerate(listed(delta.get("tool_calls"))):
            brought = True
            self._add_call(need(call, "a tool call"), place)
        return brought

    def _add_call(self, call: Mapping[str, canon.Json], place: int) -> None:
        """Takes a piece of a call.

        Some servers give all calls of a message the same index, or none: another id is another
        call. Some tell id and name with every piece.
        """
        at = place if call.get("index") is None else call["index"]
        if not isinstance(at, int):
            raise FormatError("a tool call's index is not a number")
        function = need(call.get("function") or {}, "a function")
        told, name = text(call, "id") or "", text(function, "name") or ""
        known = next((one for where, one in reversed(self._calls) if where == at), None)
        if known is None or (told and known["id"] not in ("", told)):
            known = {"id": "", "name": "", "arguments": ""}
            self._calls.append((at, known))
        known["id"] = told or known["id"]
        known["name"] += "" if name == known["name"] else name
        known["arguments"] += text(function, "arguments") or ""

    def body(self) -> Mapping[str, canon.Json]:
        message: dict[str, canon.Json] = {n: "".join(parts) for n, parts in self._texts.items()}
        if self._calls:
            message["tool_calls"] = [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": call["arguments"]},
                }
                for _, call in sorted(self._calls, key=lambda one: one[0])
            ]
        return {
            "message": message,
            "finish_reason": self.reason,
            "logprobs": {"content": self._logprobs},
        }


class ResponsesWhole:
    """An answer of the responses API, whose last event holds all of it."""

    def __init__(self) -> None:
        self._response: canon.Json = None

    @property
    def done(self) -> bool:
        """Whether the last event came."""
        return self._response is not None

    def finish(self) -> None:
        """Is of no meaning here."""

    def add(self, event: Mapping[str, canon.Json]) -> bool:
        """Takes an event, and returns whether it brought some of the output."""
        if event.get("type") in ("response.completed", "response.incomplete"):
            self._response = event.get("response")
        return event.get("type") in _OUTPUT

    def body(self) -> Mapping[str, canon.Json]:
        """Returns the answer."""
        return need(self._response, "the response")


class MessagesWhole:
    """A message of the messages API from its events."""

    def __init__(self) -> None:
        self._message: dict[str, canon.Json] = {}
        self._usage: dict[str, canon.Json] = {}
        self._blocks: dict[int, dict[str, canon.Json]] = {}
        self._texts: dict[tuple[int, str], list[str]] = {}

    @property
    def done(self) -> bool:
        """Whether it is known why the model stopped: nothing of the message comes after that."""
        return self._message.get("stop_reason") is not None

    def finish(self) -> None:
        """Is of no meaning here."""

    def add(self, event: Mapping[str, canon.Json]) -> bool:
        """Takes an event, and returns whether it brought some of the output."""
        kind = event.get("type")
        if kind == "message_start":
            self._message = dict(need(event.get("message"), "the message"))
            self._count(self._message.get("usage"))
        elif kind == "content_block_start":
            self._blocks[_index(event)] = dict(need(event.get("content_block"), "a block"))
        elif kind == "content_block_delta":
            return self._add_delta(_index(event), need(event.get("delta"), "a delta"))
        elif kind == "message_delta":
            self._message |= need(event.get("delta") or {}, "a delta")
            self._count(event.get("usage"))
        return False

    def _count(self, usage: canon.Json) -> None:
        """Takes counts, each of which stands for all tokens so far."""
        self._usage |= {name: n for name, n in mapped(usage).items() if n is not None}

    def _add_delta(self, at: int, delta: Mapping[str, canon.Json]) -> bool:
        brought = False
        for name in ("text", "partial_json"):
            piece = text(delta, name)
            if piece is not None:
                self._texts.setdefault((at, name), []).append(piece)
                brought |= bool(piece)
        return brought

    def body(self) -> Mapping[str, canon.Json]:
        """Returns the message; a tool's input that is no JSON, as when cut off, stays text."""
        blocks: list[canon.Json] = []
        for at, block in sorted(self._blocks.items()):
            said = "".join(self._texts.get((at, "text"), ()))
            given = "".join(self._texts.get((at, "partial_json"), ()))
            more: dict[str, canon.Json] = {}
            if block.get("type") == "text":
                more["text"] = (text(block, "text") or "") + said
            elif given:
                try:
                    more["input"] = canon.decode(given.encode("utf-8", "replace"))
                except FormatError:
                    more["input"] = given
            blocks.append({**block, **more})
        return {**self._message, "content": blocks, "usage": self._usage}


def _index(event: Mapping[str, canon.Json]) -> int:
    at = event.get("index")
    if not isinstance(at, int):
        raise FormatError("a block's index is not a number")
    return at
