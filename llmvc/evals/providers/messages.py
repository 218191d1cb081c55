"""The dialect of Anthropic's messages.

- System and developer messages at the beginning become `system`; the API knows no other place.
- Calls of tools are kept as the API has them: `{"type": "tool_use", "id", "name", "input"}`.
- Input tokens count those read from the cache and written to it, which the API counts apart.
- The API knows no null: a member that is null is not sent.
"""

from collections.abc import Mapping
from itertools import takewhile
from types import MappingProxyType
from typing import Final

from llmvc.core import canon
from llmvc.core.canon import listed, mapped
from llmvc.core.dialects import messages
from llmvc.errors import ConfigError, FormatError
from llmvc.evals.providers.base import Answer, Call, count, usage_of
from llmvc.evals.providers.dialect import format_left_out, left_out
from llmvc.evals.providers.reading import need, need_list, text
from llmvc.evals.providers.streams import MessagesWhole

_MEMBERS: Final = MappingProxyType(
    {
        "thinking": "decoding.reasoning.budget",
        "output_config.effort": "decoding.reasoning.effort",
        "output_config.format": "response",
        **{wire: f"decoding.{name}" for name, wire in messages.RENAMED.items()},
        **{name: f"decoding.{name}" for name in messages.SAME},
    }
)
_REASONS: Final = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
    }
)


class Messages:
    """Messages."""

    path = "/messages"
    members = _MEMBERS

    def body(self, call: Call) -> dict[str, canon.Json]:
        """Returns the body of a request."""
        return messages.body(call.request)

    def streamed(self) -> dict[str, canon.Json]:
        """Returns what asks for a stream; its events have the usage."""
        return {"stream": True}

    def whole(self) -> MessagesWhole:
        """Returns what puts a stream together."""
        return MessagesWhole()

    def read(self, body: Mapping[str, canon.Json]) -> Answer:
        """Reads a message.

        Raises:
            FormatError: it is malformed.
        """
        content = body.get("content")
        if not isinstance(content, list | tuple):
            raise FormatError("it has no content")
        blocks = [need(block, "a block") for block in content]
        texts = [text(block, "text") or "" for block in blocks if block.get("type") == "text"]
        usage = need(body.get("usage") or {}, "usage")
        made = need(usage.get("output_tokens_details") or {}, "output_tokens_details")
        used = usage_of(usage)
        reason = text(body, "stop_reason")
        return Answer(
            output="".join(texts),
            finish_reason=_REASONS.get(reason or "", reason),
            input_tokens=used["input_tokens"],
            output_tokens=used["output_tokens"],
            cached_tokens=used["cached_tokens"],
            cache_write_tokens=used["cache_write_tokens"],
            reasoning_tokens=count(made.get("thinking_tokens")),
            model=text(body, "model"),
            tool_calls=tuple(block for block in blocks if block.get("type") == "tool_use"),
        )

    def unsupported(self, body: Mapping[str, canon.Json]) -> tuple[str, ...]:
        """Returns the members of a bundle that have no place in a request for a message.

        Raises:
            ConfigError: the bundle does not limit its output, which the API needs.
        """
        if mapped(body.get("decoding")).get("max_output_tokens") is None:
            raise ConfigError(
                "the messages API needs decoding.max_output_tokens, which the bundle does not have",
                hint="add it to the manifest",
            )
        found = left_out(
            body,
            decoding=(*messages.SAME, *messages.RENAMED),
            reasoning=("effort", "budget"),
            tool=("name", "description", "input_schema", "strict", "cache_control"),
            message=("tool_call_id", "tool_calls"),
            written=messages.settings(body),
        )
        return (*found, *_misplaced(body), *_format_left_out(mapped(body.get("response"))))


def _misplaced(body: Mapping[str, canon.Json]) -> list[str]:
    """Returns what the API would take in another place, or in another form, only."""
    said = [mapped(message) for message in need_list(body.get("messages"), "messages")]
    first = sum(1 for _ in takewhile(messages.is_system, said))
    found = ["messages.role system"] if any(map(messages.is_system, said[first:])) else []
    calls = [mapped(call) for message in said for call in listed(message.get("tool_calls"))]
    if any(messages.input_of(call) is None for call in calls):
        found.append("messages.tool_calls.arguments")
    if body.get("tool_choice") == "none" and body.get("parallel_tool_calls") is not None:
        found.append("parallel_tool_calls")
    return found


def _format_left_out(response: Mapping[str, canon.Json]) -> list[str]:
    """Returns what the API cannot say of an answer's form: it has schemas, always strict."""
    if response.get("format") == "json_object":
        return ["response.format", *format_left_out(response)]
    found = format_left_out(response)
    if response.get("format") == "json_schema":
        found += [f"response.{n}" for n in ("name", "description") if response.get(n) is not None]
        found += ["response.strict"] if response.get("strict") is False else []
    return found
