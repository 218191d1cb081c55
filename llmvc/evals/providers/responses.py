"""The dialect of OpenAI's responses.

- Calls of tools are read into the shape that chat completions have, so that one scorer serves both.
- Nothing is stored at the provider, unless the bundle's `extra` says `store: true`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from llmvc.core import canon
from llmvc.core.canon import listed, mapped
from llmvc.core.dialects import responses
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer, Call, count
from llmvc.evals.providers.dialect import format_left_out, left_out
from llmvc.evals.providers.reading import need, need_list, text
from llmvc.evals.providers.streams import ResponsesWhole

_MEMBERS: Final = MappingProxyType(
    {
        "reasoning.effort": "decoding.reasoning.effort",
        "text.verbosity": "decoding.verbosity",
        "text.format": "response",
        "include": "decoding.logprobs",
        **{name: f"decoding.{name}" for name in responses.SAME},
    }
)
_REASONS: Final = MappingProxyType({"max_output_tokens": "length"})


class Responses:
    """Responses."""

    path = "/responses"
    members = _MEMBERS

    def body(self, call: Call) -> dict[str, canon.Json]:
        """Returns the body of a request."""
        return responses.body(call.request)

    def streamed(self) -> dict[str, canon.Json]:
        """Returns what asks for a stream; its last event has the usage."""
        return {"stream": True}

    def whole(self) -> ResponsesWhole:
        """Returns what puts a stream together."""
        return ResponsesWhole()

    def read(self, body: Mapping[str, canon.Json]) -> Answer:
        """Reads a response.

        Raises:
            FormatError: it is malformed, or failed at the provider.
        """
        if body.get("status") not in ("completed", "incomplete", None):
            told = mapped(body.get("error")).get("message")
            raise FormatError(f"its status is {body.get('status')!r}{f': {told}' if told else ''}")
        items = [need(item, "an item") for item in need_list(body.get("output"), "output")]
        parts = [part for item in items if item.get("type") == "message" for part in _parts(item)]
        calls = [_call(item) for item in items if item.get("type") == "function_call"]
        texts = [text(part, "text") or "" for part in parts if part.get("type") == "output_text"]
        refusals = [text(part, "refusal") or "" for part in parts if part.get("type") == "refusal"]
        reason = _reason(body, refused=bool(refusals), called=bool(calls))
        if not (texts or refusals or calls or body.get("status") == "incomplete"):
            raise FormatError("it has no output")
        usage = need(body.get("usage") or {}, "usage")
        given = need(usage.get("input_tokens_details") or {}, "input_tokens_details")
        made = need(usage.get("output_tokens_details") or {}, "output_tokens_details")
        return Answer(
            output="".join(texts or refusals),
            finish_reason=reason,
            input_tokens=count(usage.get("input_tokens")),
            output_tokens=count(usage.get("output_tokens")),
            cached_tokens=count(given.get("cached_tokens")),
            cache_write_tokens=count(given.get("cache_write_tokens")),
            reasoning_tokens=count(made.get("reasoning_tokens")),
            model=text(body, "model"),
            logprobs=tuple(one for part in parts for one in listed(part.get("logprobs"))),
            tool_calls=tuple(calls),
        )

    def unsupported(self, body: Mapping[str, canon.Json]) -> tuple[str, ...]:
        """Returns the members of a bundle that have no place in a request for a response."""
        found = left_out(
            body,
            decoding=(*responses.SAME, "logprobs", "verbosity"),
            reasoning=("effort",),
            tool=("name", "description", "input_schema", "strict"),
            message=("tool_call_id", "tool_calls"),
            written=responses.settings(body),
        )
        return (*found, *format_left_out(body.get("response")))


def _parts(item: Mapping[str, canon.Json]) -> list[Mapping[str, canon.Json]]:
    return [need(part, "a part") for part in need_list(item.get("content"), "content")]


def _call(item: Mapping[str, canon.Json]) -> canon.Json:
    function = {"name": text(item, "name"), "arguments": text(item, "arguments") or ""}
    return {"id": text(item, "call_id") or "", "type": "function", "function": function}


def _reason(body: Mapping[str, canon.Json], *, refused: bool, called: bool) -> str | None:
    """Returns why the model stopped, in the words of chat completions."""
    if refused:
        return "refusal"
    if body.get("status") == "incomplete":
        told = text(need(body.get("incomplete_details") or {}, "incomplete_details"), "reason")
        return _REASONS.get(told or "", told)
    return "tool_calls" if called else "stop"
