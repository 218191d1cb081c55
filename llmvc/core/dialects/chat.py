"""The bodies of OpenAI's chat completions, which most servers speak."""

from collections.abc import Mapping
from typing import Final

from llmvc.core import canon
from llmvc.core.canon import listed, mapped
from llmvc.core.dialects.shared import arguments_of, extra_of, model_of

# Decoding members that have the same name in both worlds.
SAME: Final = (
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "n",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "verbosity",
    "service_tier",
)

AT_HOME: Final = "max_completion_tokens"
"""What OpenAI itself calls the limit of output tokens."""
ELSEWHERE: Final = "max_tokens"
"""What other servers call it."""


def body(
    request: Mapping[str, canon.Json], *, seed: canon.Json = None, max_tokens_field: str
) -> dict[str, canon.Json]:
    """Returns the body of a request.

    Args:
        request: the `request/1` object.
        seed: what is sent as `seed`; None for none.
        max_tokens_field: what the endpoint calls the limit of output tokens.
    """
    told: dict[str, canon.Json] = {
        "model": model_of(request),
        "messages": [_message(message) for message in listed(request.get("messages"))],
        **settings(request, max_tokens_field),
    }
    if seed is not None:
        told["seed"] = seed
    return told | dict(extra_of(request))


def settings(request: Mapping[str, canon.Json], max_tokens_field: str) -> dict[str, canon.Json]:
    """Returns the parameters beside model, messages and seed; a bundle has them, too."""
    decoding = mapped(request.get("decoding"))
    told = {name: decoding[name] for name in SAME if name in decoding}
    if "max_output_tokens" in decoding:
        told[max_tokens_field] = decoding["max_output_tokens"]
    reasoning = mapped(decoding.get("reasoning"))
    if "effort" in reasoning:
        told["reasoning_effort"] = reasoning["effort"]
    if "tools" in request:
        told["tools"] = [_tool(tool) for tool in listed(request["tools"])]
    if "tool_choice" in request:
        told["tool_choice"] = _tool_choice(request["tool_choice"])
    if "parallel_tool_calls" in request:
        told["parallel_tool_calls"] = request["parallel_tool_calls"]
    response = _response_format(mapped(request.get("response")))
    return told if response is None else {**told, "response_format": response}


def _message(message: canon.Json) -> canon.Json:
    """Returns a message with its tool calls as functions, their arguments as JSON text."""
    if not isinstance(message, Mapping) or "tool_calls" not in message:
        return message
    calls = [
        {
            "id": one.get("id", ""),
            "type": "function",
            "function": {"name": one.get("name"), "arguments": arguments_of(one)},
        }
        for one in map(mapped, listed(message["tool_calls"]))
    ]
    return {**message, "tool_calls": calls}


def _tool(tool: canon.Json) -> canon.Json:
    given = mapped(tool)
    function = {name: given[name] for name in ("name", "description", "strict") if name in given}
    if "input_schema" in given:
        function["parameters"] = given["input_schema"]
    return {"type": "function", "function": function}


def _tool_choice(choice: canon.Json) -> canon.Json:
    if isinstance(choice, Mapping) and isinstance(choice.get("name"), str):
        return {"type": "function", "function": {"name": choice["name"]}}
    return choice


def _response_format(response: Mapping[str, canon.Json]) -> canon.Json:
    kind = response.get("format")
    if kind != "json_schema":
        return {"type": kind} if kind else None
    inner: dict[str, canon.Json] = {"name": response.get("name", "response")}
    told = ("description", "schema", "strict")
    inner.update({name: response[name] for name in told if name in response})
    return {"type": "json_schema", "json_schema": inner}
