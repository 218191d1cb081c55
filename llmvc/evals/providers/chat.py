"""Requests and answers in the spelling of OpenAI's chat completions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llmvc.core import canon
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer, Call, count, storable

# Decoding members that have the same name in both worlds.
_SAME: Final = (
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


@dataclass(frozen=True, slots=True)
class Shape:
    """How one endpoint wants its requests.

    Attributes:
        max_tokens_field: what it calls the limit of output tokens.
    """

    max_tokens_field: str = "max_tokens"


def body_of(call: Call, shape: Shape) -> dict[str, canon.Json]:
    """Returns the body of a chat completion; what the bundle does not say is not sent."""
    request = call.request
    model = _object(request.get("model"))
    decoding = _object(request.get("decoding"))
    body: dict[str, canon.Json] = {
        "model": model.get("snapshot") or model.get("id"),
        "messages": [_message(message) for message in _list(request.get("messages"))],
    }
    body.update({name: decoding[name] for name in _SAME if name in decoding})
    if "max_output_tokens" in decoding:
        body[shape.max_tokens_field] = decoding["max_output_tokens"]
    if call.seed is not None:
        body["seed"] = call.seed
    reasoning = _object(decoding.get("reasoning"))
    if "effort" in reasoning:
        body["reasoning_effort"] = reasoning["effort"]
    if "tools" in request:
        body["tools"] = [_tool(tool) for tool in _list(request["tools"])]
    if "tool_choice" in request:
        body["tool_choice"] = _tool_choice(request["tool_choice"])
    if "parallel_tool_calls" in request:
        body["parallel_tool_calls"] = request["parallel_tool_calls"]
    response = _response_format(_object(request.get("response")))
    if response is not None:
        body["response_format"] = response
    body.update(_object(decoding.get("extra")))
    return body


def _message(message: canon.Json) -> canon.Json:
    """Returns a message with its tool calls as functions, their arguments as JSON text."""
    if not isinstance(message, Mapping) or "tool_calls" not in message:
        return message
    calls: list[canon.Json] = []
    for call in _list(message["tool_calls"]):
        one = _object(call)
        arguments = one.get("arguments", {})
        text = arguments if isinstance(arguments, str) else canon.encode(arguments).decode()
        function = {"name": one.get("name"), "arguments": text}
        calls.append({"id": one.get("id", ""), "type": "function", "function": function})
    return {**message, "tool_calls": calls}


def _tool(tool: canon.Json) -> canon.Json:
    given = _object(tool)
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


def read_completion(content: bytes, latency_s: float) -> Answer:
    """Reads a chat completion; its first choice is the answer.

    Raises:
        FormatError: it is malformed.
    """
    body = _need(canon.decode(content), "a completion")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise FormatError("it has no choices")
    choice = _need(choices[0], "a choice")
    message = _need(choice.get("message"), "a message")
    output, calls = message.get("content"), message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise FormatError("tool_calls is not a list")
    if output is None:
        # A model that only calls tools, or refuses in the member made for it, did answer.
        output = message.get("refusal") or ("" if calls else None)
    if not isinstance(output, str):
        raise FormatError("the message has no text")
    usage = _need(body.get("usage") or {}, "usage")
    given = _need(usage.get("prompt_tokens_details") or {}, "prompt_tokens_details")
    made = _need(usage.get("completion_tokens_details") or {}, "completion_tokens_details")
    answer = Answer(
        output=output,
        finish_reason=_text(choice, "finish_reason"),
        input_tokens=count(usage.get("prompt_tokens")),
        output_tokens=count(usage.get("completion_tokens")),
        cached_tokens=count(given.get("cached_tokens")),
        reasoning_tokens=count(made.get("reasoning_tokens")),
        latency_s=latency_s,
        model=_text(body, "model"),
        fingerprint=_text(body, "system_fingerprint"),
        tool_calls=tuple(calls),
    )
    return storable(answer)


def _need(value: canon.Json, what: str) -> Mapping[str, canon.Json]:
    if not isinstance(value, Mapping):
        raise FormatError(f"{what} is not an object")
    return value


def _text(value: Mapping[str, canon.Json], name: str) -> str | None:
    found = value.get(name)
    if found is not None and not isinstance(found, str):
        raise FormatError(f"{name} is not text")
    return found


def error_of(content: bytes) -> str:
    """Returns the message of an error body, in whichever of the usual shapes it has."""
    try:
        body: Any = json.loads(content)
        error = body.get("error", body.get("detail", body.get("message")))
        error = error.get("message", error) if isinstance(error, dict) else error
        return error if isinstance(error, str) else json.dumps(error)
    except (ValueError, AttributeError, RecursionError):
        return content[:200].decode("utf-8", "replace")


def _list(value: canon.Json) -> Sequence[canon.Json]:
    return value if isinstance(value, list | tuple) else ()


def _object(value: canon.Json) -> Mapping[str, canon.Json]:
    return value if isinstance(value, Mapping) else {}
