"""The bodies of OpenAI's responses.

Nothing is stored at the provider, unless the bundle's `extra` says `store: true`.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from llmvc.core import canon
from llmvc.core.canon import listed, mapped
from llmvc.core.dialects.shared import arguments_of, extra_of, model_of

SAME: Final = ("temperature", "top_p", "max_output_tokens", "top_logprobs", "service_tier")
_FORMAT: Final = ("description", "schema", "strict")


def body(request: Mapping[str, canon.Json]) -> dict[str, canon.Json]:
    """Returns the body of a request.

    Args:
        request: the `request/1` object.
    """
    items = [item for one in listed(request.get("messages")) for item in _items(mapped(one))]
    told: dict[str, canon.Json] = {"model": model_of(request), "input": items, "store": False}
    return {**told, **settings(request), **extra_of(request)}


def settings(request: Mapping[str, canon.Json]) -> dict[str, canon.Json]:
    """Returns the parameters beside model and input; a bundle has them, too."""
    decoding = mapped(request.get("decoding"))
    told: dict[str, canon.Json] = {name: decoding[name] for name in SAME if name in decoding}
    logprobs = decoding.get("logprobs")
    if logprobs is not None:
        told["include"] = ["message.output_text.logprobs"] if logprobs else []
    reasoning = mapped(decoding.get("reasoning"))
    if "effort" in reasoning:
        told["reasoning"] = {"effort": reasoning["effort"]}
    written: dict[str, canon.Json] = {}
    if "verbosity" in decoding:
        written["verbosity"] = decoding["verbosity"]
    response = mapped(request.get("response"))
    if response:
        written["format"] = _format(response)
    if written:
        told["text"] = written
    if "tools" in request:
        told["tools"] = [_tool(mapped(tool)) for tool in listed(request["tools"])]
    choice = request.get("tool_choice")
    if choice is not None:
        name = mapped(choice).get("name")
        told["tool_choice"] = choice if name is None else {"type": "function", "name": name}
    if "parallel_tool_calls" in request:
        told["parallel_tool_calls"] = request["parallel_tool_calls"]
    return told


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
