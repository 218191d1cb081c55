"""The bodies of Anthropic's messages.

- System and developer messages at the beginning become `system`; the API knows no other place.
- The API knows no null: a member that is null is not sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, takewhile
from types import MappingProxyType
from typing import Final

from llmvc.core import canon
from llmvc.core.canon import listed, mapped
from llmvc.core.dialects.shared import extra_of, model_of
from llmvc.errors import FormatError

SAME: Final = ("temperature", "top_p", "top_k", "service_tier")
RENAMED: Final = MappingProxyType({"max_output_tokens": "max_tokens", "stop": "stop_sequences"})
_SYSTEM: Final = ("system", "developer")


def body(request: Mapping[str, canon.Json]) -> dict[str, canon.Json]:
    """Returns the body of a request.

    Args:
        request: the `request/1` object.
    """
    messages = [mapped(message) for message in listed(request.get("messages"))]
    first = list(takewhile(is_system, messages))
    told: dict[str, canon.Json] = {
        "model": model_of(request),
        "messages": _merged(_message(message) for message in messages[len(first) :]),
    }
    if first:
        told["system"] = _system(first)
    return {**told, **settings(request), **extra_of(request)}


def settings(request: Mapping[str, canon.Json]) -> dict[str, canon.Json]:
    """Returns the parameters beside model, messages and system; a bundle has them, too."""
    decoding = mapped(request.get("decoding"))
    told = {RENAMED.get(n, n): decoding.get(n) for n in (*SAME, *RENAMED)}
    reasoning, response = mapped(decoding.get("reasoning")), mapped(request.get("response"))
    budget = reasoning.get("budget")
    if budget is not None:
        on: dict[str, canon.Json] = {"type": "enabled", "budget_tokens": budget}
        told["thinking"] = on if budget else {"type": "disabled"}
    output: dict[str, canon.Json] = {}
    if reasoning.get("effort") is not None:
        output["effort"] = reasoning["effort"]
    if response.get("format") == "json_schema":
        output["format"] = {"type": "json_schema", "schema": response.get("schema")}
    told["output_config"] = output or None
    if "tools" in request:
        told["tools"] = [_tool(mapped(tool)) for tool in listed(request["tools"])]
    told["tool_choice"] = _tool_choice(request)
    return {name: value for name, value in told.items() if value is not None}


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


def is_system(message: Mapping[str, canon.Json]) -> bool:
    """Says whether a message is one of the instructions that stand apart."""
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
    given = input_of(call)
    told = {"id": call.get("id", ""), "name": call.get("name")}
    return {"type": "tool_use", **told, "input": {} if given is None else given}


def input_of(call: Mapping[str, canon.Json]) -> Mapping[str, canon.Json] | None:
    """Returns the arguments of a call; None if they are no object."""
    arguments = call.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = canon.decode(arguments.encode("utf-8", "replace"))
        except FormatError:
            return None
    return arguments if isinstance(arguments, Mapping) else None
