"""Tool calls in one form, whoever recorded them.

- Read are OpenAI's chat and responses, Anthropic's content blocks, Inspect's messages, and steps of
  an application such as `{"type": "tool_call", "name": ..., "arguments": ...}`.
- A run's calls are those of its steps; without any, those of the application's own model calls;
  without any, those of the answer; without any, those in an output that is nothing but calls.
  One call is never counted twice, though several of these may hold it, or a later request of the
  application says it again: calls of one id, name and arguments are one.
- Calls made together share a turn. A turn ends with a message, or with a tool's result.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from llmvc.core import canon
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers.structure import parse

# Not sets: what is looked up in them may be a list or an object.
_CALLS: Final = ("tool_call", "tool_use", "function_call", "function", "tool")
_RESULTS: Final = ("tool_result", "function_call_output", "tool_output")
_ARGUMENTS: Final = ("arguments", "input", "args", "parameters")
_INNER: Final = ("tool_calls", "content", "output", "message", "messages", "choices", "response")
# Members of a whole message, and of a step that tells what came back.
_ENDS: Final = frozenset({"role", "usage", "result", "tool_result"})
# How deep a recorded call may hide; what is nested deeper is data, not a recording.
_DEEPEST: Final = 6


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool.

    Attributes:
        name: the tool's.
        arguments: what it was called with; None if that is no JSON object.
        turn: which turn it belongs to, from 0.
    """

    name: str
    arguments: Mapping[str, canon.Json] | None
    turn: int = 0


def calls_of(answer: Answer) -> tuple[ToolCall, ...]:
    """Returns a run's tool calls in their order."""
    for recorded in (answer.steps, answer.calls, answer.tool_calls):
        if recorded and (found := read_calls(recorded)):
            return found
    text = (answer.output or "").strip()
    if text[:1] in ("{", "["):
        value, valid = parse(text)
        if valid and _only_calls(value):
            return read_calls(value if isinstance(value, list) else (value,))
    return ()


def read_calls(recorded: Sequence[canon.Json]) -> tuple[ToolCall, ...]:
    """Returns the tool calls among recorded messages, items, blocks or steps."""
    found: list[ToolCall] = []
    seen: set[tuple[str, str, str]] = set()
    turn, over = 0, False
    for event in _events(recorded):
        if event is None:
            over = bool(found)
            continue
        name, arguments, known = event
        mark = (known, name, repr(arguments))
        if known and mark in seen:
            continue
        seen.add(mark)
        if over:
            turn, over = turn + 1, False
        found.append(ToolCall(name, arguments, turn))
    return tuple(found)


_Event = tuple[str, Mapping[str, canon.Json] | None, str] | None
"""A call's name, arguments and id, which may be empty; None where a turn may end."""


def _events(value: canon.Json, depth: int = 0) -> Iterator[_Event]:
    """Yields the calls in a recorded value, and where turns end."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list | tuple):
        for item in value:
            yield from _events(item, depth + 1)
    elif isinstance(value, Mapping):
        call = _call(value)
        if call is not None:
            yield call
        elif not _is_result(value):
            yield from _inner(value, depth)
        if not _ENDS.isdisjoint(value) or _is_result(value):
            yield None


def _inner(value: Mapping[str, canon.Json], depth: int) -> Iterator[_Event]:
    for name in ("tool_call", "function_call", "functionCall"):
        inner = value.get(name)
        if isinstance(inner, Mapping) and (found := _call(inner) or _named(inner)):
            yield found
    for name in _INNER:
        if isinstance(value.get(name), list | tuple | Mapping):
            yield from _events(value[name], depth + 1)


def _call(value: Mapping[str, canon.Json]) -> _Event:
    """Returns the call that an object is; None if it is none."""
    function, kind = value.get("function"), value.get("type")
    if isinstance(function, Mapping):
        return _named(function, _id(value))
    if isinstance(function, str) and "arguments" in value:  # Inspect
        return function, _arguments(value), _id(value)
    if kind in _CALLS:
        return _named(value)
    if isinstance(value.get("tool"), str) and "role" not in value and kind not in _RESULTS:
        return str(value["tool"]), _arguments(value), _id(value)
    if kind is None and isinstance(value.get("name"), str) and "arguments" in value:
        return _named(value)
    return None


def _named(value: Mapping[str, canon.Json], known: str = "") -> _Event:
    name = value.get("name", value.get("tool"))
    return (name, _arguments(value), known or _id(value)) if isinstance(name, str) else None


def _id(value: Mapping[str, canon.Json]) -> str:
    given = value.get("call_id", value.get("id"))
    return given if isinstance(given, str) else ""


def _arguments(value: Mapping[str, canon.Json]) -> Mapping[str, canon.Json] | None:
    given = next((value[name] for name in _ARGUMENTS if value.get(name) is not None), None)
    if given is None or given == "":
        return {}
    if isinstance(given, str):
        given, _ = parse(given)
    return given if isinstance(given, Mapping) else None


def _is_result(value: Mapping[str, canon.Json]) -> bool:
    return (
        value.get("type") in _RESULTS
        or value.get("role") in ("tool", "function")
        or ("tool_result" in value and "tool_call" not in value)
    )


def _only_calls(value: canon.Json) -> bool:
    """Tells whether JSON in an output is calls and nothing else; `name` alone is mere data."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, Mapping) and _only_calls(one) for one in value)
    if not isinstance(value, Mapping):
        return False
    if isinstance(value.get("tool_calls"), list):
        return True
    typed = value.get("type") in _CALLS or isinstance(value.get("function"), Mapping)
    return typed and _call(value) is not None
