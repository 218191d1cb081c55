"""The dialect of OpenAI's responses.

- Calls of tools are read into the shape that chat completions have, so that one scorer serves both.
- Nothing is stored at the provider, unless the bundle's `extra` says `store: true`.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from llmvc.core import canon
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer, Call, count
from llmvc.evals.providers.chat import arguments_of
from llmvc.evals.providers.dialect import extra_of, format_left_out, left_out, model_of
from llmvc.evals.providers.reading import listed, mapped, need, need_list, text
from llmvc.evals.providers.streams import ResponsesWhole

_SAME: Final = ("temperature", "top_p", "max_output_tokens", "top_logprobs", "service_tier")
_FORMAT: Final = ("description", "schema", "strict")
_MEMBERS: Final = MappingProxyType(
    {
        "reasoning.effort": "decoding.reasoning.effort",
        "text.verbosity": "decoding.verbosity",
        "text.format": "response",
        "include": "decoding.logprobs",
        **{name: f"decoding.{name}" for name in _SAME},
    }
)
_REASONS: Final = MappingProxyType({"max_output_tokens": "length"})


class Responses:
    """Responses."""

    path = "/responses"
    members = _MEMBERS

    def body(self, call: Call) -> dict[str, canon.Json]:
        """Returns the body of a request."""
        request = call.request
        items = [item for one in listed(request.get("messages")) for item in _items(mapped(one))]
        body: dict[str, canon.Json] = {"model": model_of(request), "input": items, "store": False}
        return {**body, **_settings(request), **extra_of(request)}

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
            decoding=(*_SAME, "logprobs", "verbosity"),
            reasoning=("effort",),
            tool=("name", "description", "input_schema", "strict"),
            message=("tool_call_id", "tool_calls"),
            written=_settings(body),
        )
        return (*found, *format_left_out(body.get("response")))


def _settings(request: Mapping[str, canon.Json]) -> dict[str, canon.Json]:
    """Returns the parameters beside model and input; a bundle has them, too."""
    decoding = mapped(request.get("decoding"))
    settings: dict[str, canon.Json] = {name: decoding[name] for name in _SAME if name in decoding}
    logprobs = decoding.get("logprobs")
    if logprobs is not None:
        settings["include"] = ["message.output_text.logprobs"] if logprobs else []
    reasoning = mapped(decoding.get("reasoning"))
    if "effort" in reasoning:
        settings["reasoning"] = {"effort": reasoning["effort"]}
    written: dict[str, canon.Json] = {}
    if "verbosity" in decoding:
        written["verbosity"] = decoding["verbosity"]
    response = mapped(request.get("response"))
    if response:
        written["format"] = _format(response)
    if written:
        settings["text"] = written
    if "tools" in request:
        settings["tools"] = [_tool(mapped(tool)) for tool in listed(request["tools"])]
    choice = request.get("tool_choice")
    if choice is not None:
        name = mapped(choice).get("name")
        settings["tool_choice"] = choice if name is None else {"type": "function", "name": name}
    if "parallel_tool_calls" in request:
        settings["parallel_tool_calls"] = request["parallel_tool_calls"]
    return settings


def _format(response: Mapping[str, canon.Json]) -> canon.Json:
    kind = response.get("format")
    if kind != "json_schema":
        return {"type": kind}
    told = {name: response[name] for name in _FORMAT if name in response}
    return {"type": kind, "name": response.get("name", "response"), **told}


def _tool(tool: Mapping[str, canon.Json]) -> canon.Json:
    """Returns a tool; `strict` is true by default here, so what the bundle leaves open is null."""
    told = {name: tool[name] for name in ("name", "description") if name in tool}
    schema, strict = tool.get("input_schema"), tool.get("strict")
    return {"type": "function", **told, "parameters": schema, "strict": strict}


def _items(message: Mapping[str, canon.Json]) -> Iterator[canon.Json]:
    """Yields the items of one message: its text, then its calls of tools."""
    role, content = message.get("role"), message.get("content")
    if role == "tool":
        called = message.get("tool_call_id")
        yield {"type": "function_call_output", "call_id": called, "output": _content(content, role)}
        return
    if content is not None:
        yield {"role": role, "content": _content(content, role)}
    for call in map(mapped, listed(message.get("tool_calls"))):
        yield {
            "type": "function_call",
            "call_id": call.get("id", ""),
            "name": call.get("name"),
            "arguments": arguments_of(call),
        }


def _content(content: canon.Json, role: canon.Json) -> canon.Json:
    """Returns content with its texts as input or, from the assistant, as output."""
    kind = "output_text" if role == "assistant" else "input_text"
    return (
        content
        if isinstance(content, str)
        else [
            {**part, "type": kind} if part.get("type") == "text" else part
            for part in map(mapped, listed(content))
        ]
    )


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
