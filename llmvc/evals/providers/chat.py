"""The dialect of OpenAI's chat completions, which most servers speak."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from llmvc.core import canon
from llmvc.core.dialects import chat
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer, Call, count
from llmvc.evals.providers.dialect import format_left_out, left_out
from llmvc.evals.providers.reading import need, need_list, text
from llmvc.evals.providers.streams import ChatWhole

_MEMBERS: Final = MappingProxyType(
    {
        "max_tokens": "decoding.max_output_tokens",
        "max_completion_tokens": "decoding.max_output_tokens",
        "reasoning_effort": "decoding.reasoning.effort",
        "response_format": "response",
        **{name: f"decoding.{name}" for name in (*chat.SAME, "seed")},
    }
)


@dataclass(frozen=True, slots=True)
class Chat:
    """Chat completions.

    Attributes:
        max_tokens_field: what the endpoint calls the limit of output tokens.
    """

    max_tokens_field: str = "max_tokens"

    @property
    def path(self) -> str:
        """What follows the endpoint's address."""
        return "/chat/completions"

    @property
    def members(self) -> Mapping[str, str]:
        """What a bundle calls the parameters that have another name here."""
        return _MEMBERS

    def body(self, call: Call) -> dict[str, canon.Json]:
        """Returns the body of a request."""
        return chat.body(call.request, seed=call.seed, max_tokens_field=self.max_tokens_field)

    def streamed(self) -> dict[str, canon.Json]:
        """Returns what asks for a stream with usage at its end."""
        return {"stream": True, "stream_options": {"include_usage": True}}

    def whole(self) -> ChatWhole:
        """Returns what puts a stream together."""
        return ChatWhole()

    def read(self, body: Mapping[str, canon.Json]) -> Answer:
        """Reads a completion; its first choice is the answer.

        Raises:
            FormatError: it is malformed.
        """
        choices = body.get("choices")
        if not isinstance(choices, list | tuple) or not choices:
            raise FormatError("it has no choices")
        first, *others = [need(choice, "a choice") for choice in choices]
        message = need(first.get("message"), "a message")
        calls = need_list(message.get("tool_calls"), "tool_calls")
        reason = text(first, "finish_reason")
        if text(message, "refusal"):
            reason = "refusal"
        usage = need(body.get("usage") or {}, "usage")
        given = need(usage.get("prompt_tokens_details") or {}, "prompt_tokens_details")
        made = need(usage.get("completion_tokens_details") or {}, "completion_tokens_details")
        told = need(first.get("logprobs") or {}, "logprobs")
        reasoned = count(made.get("reasoning_tokens"))
        return Answer(
            output=_output(message, reason, answered=bool(calls)),
            finish_reason=reason,
            input_tokens=count(usage.get("prompt_tokens")),
            output_tokens=_completed(usage, reasoned),
            cached_tokens=count(given.get("cached_tokens")),
            cache_write_tokens=count(given.get("cache_write_tokens")),
            reasoning_tokens=reasoned,
            model=text(body, "model"),
            fingerprint=text(body, "system_fingerprint"),
            logprobs=tuple(need_list(told.get("content"), "logprobs")),
            choices=tuple(_choice(choice) for choice in others),
            tool_calls=tuple(calls),
        )

    def unsupported(self, body: Mapping[str, canon.Json]) -> tuple[str, ...]:
        """Returns the members of a bundle that have no place in a chat completion."""
        found = left_out(
            body,
            decoding=(*chat.SAME, "max_output_tokens", "seed"),
            reasoning=("effort",),
            tool=("name", "description", "input_schema", "strict"),
            message=("name", "tool_call_id", "tool_calls", "cache_control"),
            written=chat.settings(body, self.max_tokens_field),
        )
        return (*found, *format_left_out(body.get("response")))


def _completed(usage: Mapping[str, canon.Json], reasoned: int | None) -> int | None:
    """Returns the output tokens, reasoning included, which xAI counts apart from the completion."""
    parts = (count(usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total"))
    given, made, total = parts
    if given is None or made is None or not reasoned or total != given + made + reasoned:
        return made
    return made + reasoned


def _output(message: Mapping[str, canon.Json], reason: str | None, *, answered: bool) -> str:
    """Returns the text of a message.

    A model that only calls tools, refuses in the member made for it, or was cut off before its
    first word, did answer.
    """
    content = message.get("content")
    output = content or message.get("refusal") or content
    if output is None and (answered or reason in ("length", "content_filter")):
        output = ""
    if not isinstance(output, str):
        raise FormatError("the message has no text")
    return output


def _choice(choice: Mapping[str, canon.Json]) -> str:
    message = need(choice.get("message"), "a message")
    return _output(message, text(choice, "finish_reason"), answered=True)
