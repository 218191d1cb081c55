"""The dialect of Anthropic's messages.

- System and developer messages at the beginning become `system`; the API knows no other place.
- Calls of tools are kept as the API has them: `{"type": "tool_use", "id", "name", "input"}`.
- Input tokens count those read from the cache and written to it, which the API counts apart.
- The API knows no null: a member that is null is not sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, takewhile
from types import MappingProxyType
from typing import Final

from llmvc.core import canon
from llmvc.errors import ConfigError, FormatError
from llmvc.evals.providers.base import Answer, Call, count, usage_of
from llmvc.evals.providers.dialect import extra_of, format_left_out, left_out, model_of
from llmvc.evals.providers.reading import listed, mapped, need, need_list, text
from llmvc.evals.providers.streams import MessagesWhole

_SAME: Final = ("temperature", "top_p", "top_k", "service_tier")
_RENAMED: Final = MappingProxyType({"max_output_tokens": "max_tokens", "stop": "stop_sequences"})
_SYSTEM: Final = ("system", "developer")
_MEMBERS: Final = MappingProxyType(
    {
        "thinking": "decoding.reasoning.budget",
        "output_config.effort": "decoding.reasoning.effort",
        "output_config.format": "response",
        **{wire: f"decoding.{name}" for name, wire in _RENAMED.items()},
        **{name: f"decoding.{name}" for name in _SAME},
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
        request = call.request
        messages = [mapped(message) for message in listed(request.get("messages"))]
        first = list(takewhile(_is_system, messages))
        body: dict[str, canon.Json] = {
            "model": model_of(request),
            "messages": _merged(_message(message) for message in messages[len(first) :]),
        }
        if first:
            body["system"] = _system(first)
        return {**body, **_settings(request), **extra_of(request)}

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
            decoding=(*_SAME, *_RENAMED),
            reasoning=("effort", "budget"),
            tool=("name", "description", "input_schema", "strict", "cache_control"),
            message=("tool_call_id", "tool_calls"),
            written=_settings(body),
        )
        return (*found, *_misplaced(body), *_format_left_out(mapped(body.get("response"))))


def _settings(request: Mapping[str, canon.Json]) -> dict[str, canon.Json]:
    """Returns the parameters beside model, messages and system; a bundle has them, too."""
    decoding = mapped(request.get("decoding"))
    settings = {_RENAMED.get(n, n): decoding.get(n) for n in (*_SAME, *_RENAMED)}
    reasoning, response = mapped(decoding.get("reasoning")), mapped(request.get("response"))
    budget = reasoning.get("budget")
    if budget is not None:
        on: dict[str, canon.Json] = {"type": "enabled", "budget_tokens": budget}
        settings["thinking"] = on if budget else {"type": "disabled"}
    output: dict[str, canon.Json] = {}
    if reasoning.get("effort") is not None:
        output["effort"] = reasoning["effort"]
    if response.get("format") == "json_schema":
        output["format"] = {"type": "json_schema", "schema": response.get("schema")}
    settings["output_config"] = output or None
    if "tools" in request:
        settings["tools"] = [_tool(mapped(tool)) for tool in listed(request["tools"])]
    settings["tool_choice"] = _tool_choice(request)
    return {name: value for name, value in settings.items() if value is not None}


def _tool(tool: Mapping[str, canon.Json]) -> canon.Json:
    told = {name: value for name, value in tool.items() if value is not None}
    return {"input_schema": {"type": "object"}, **told}


def _tool_choice(request: Mapping[str, canon.Json]) -> canon.Json:
    """Returns the choice of tools, which also says whether several may be called at once."""
    choice, parallel = request.get("tool_choice"), request.get("parallel_tool_calls")
    if choice is None and parallel is None:
        return None
    name = mapped(choice).get("name")
    kind = "tool" if name is not None else "any" if choice == "required" else choice or "auto"
    told: dict[str, canon.Json] = {"type": kind}
    if name is not None:
        told["name"] = name
    if parallel is not None and kind != "none":
        told["disable_parallel_tool_use"] = not parallel
    return told


def _is_system(message: Mapping[str, canon.Json]) -> bool:
    return message.get("role") in _SYSTEM


def _system(messages: Sequence[Mapping[str, canon.Json]]) -> canon.Json:
    """Returns one plain text as it is, and anything else as blocks."""
    only = messages[0].get("content")
    if len(messages) == 1 and isinstance(only, str):
        return only
    return [block for message in messages for block in _blocks(message)]


def _merged(messages: Iterable[Mapping[str, canon.Json]]) -> list[canon.Json]:
    """Returns messages, the results of one turn's calls in one: so the API wants them."""
    made: list[canon.Json] = []
    for results, run in groupby(messages, _has_result):
        parts = list(run)
        if results:
            blocks = [block for part in parts for block in listed(part["content"])]
            made.append({"role": "user", "content": blocks})
        else:
            made += parts
    return made


def _has_result(message: Mapping[str, canon.Json]) -> bool:
    first = next(iter(listed(message.get("content"))), None)
    return message.get("role") == "user" and mapped(first).get("type") == "tool_result"


def _message(message: Mapping[str, canon.Json]) -> Mapping[str, canon.Json]:
    """Returns a message: results of tools come from the user, calls of them are blocks."""
    content, calls = message.get("content"), listed(message.get("tool_calls"))
    if message.get("role") == "tool":
        result: dict[str, canon.Json] = {"type": "tool_result"}
        result["tool_use_id"] = message.get("tool_call_id")
        if content is not None:
            result["content"] = content
        return {"role": "user", "content": [result]}
    if isinstance(content, str) and not calls:
        return {"role": message.get("role"), "content": content}
    blocks = [*_blocks(message), *(_call(mapped(call)) for call in calls)]
    return {"role": message.get("role"), "content": blocks}


def _blocks(message: Mapping[str, canon.Json]) -> Sequence[canon.Json]:
    """Returns a message's content as blocks."""
    content = message.get("content")
    if isinstance(content, str):  # an empty text is refused; beside calls there often is one
        return [{"type": "text", "text": content}] if content else ()
    return listed(content)


def _call(call: Mapping[str, canon.Json]) -> canon.Json:
    given = _input(call)
    told = {"id": call.get("id", ""), "name": call.get("name")}
    return {"type": "tool_use", **told, "input": {} if given is None else given}


def _input(call: Mapping[str, canon.Json]) -> Mapping[str, canon.Json] | None:
    """Returns the arguments of a call; None if they are no object."""
    arguments = call.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = canon.decode(arguments.encode("utf-8", "replace"))
        except FormatError:
            return None
    return arguments if isinstance(arguments, Mapping) else None


def _misplaced(body: Mapping[str, canon.Json]) -> list[str]:
    """Returns what the API would take in another place, or in another form, only."""
    messages = [mapped(message) for message in need_list(body.get("messages"), "messages")]
    first = sum(1 for _ in takewhile(_is_system, messages))
    found = ["messages.role system"] if any(map(_is_system, messages[first:])) else []
    calls = [mapped(call) for message in messages for call in listed(message.get("tool_calls"))]
    if any(_input(call) is None for call in calls):
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
