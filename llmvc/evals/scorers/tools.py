"""Scorers of the tools that a run called, with which arguments, and in which order.

- Names may be patterns with `*` and `?`. `turn` looks at the calls of one turn alone, from 0, or
  from the end with a negative number.
- Arguments match as JSON: `partial` wants the expected members to be there, `exact` no others;
  numbers may differ by `tolerance`.
- Arguments that are no JSON object match nothing and are valid for nothing.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from llmvc.core import canon
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers.options import Options, Rule, UntoldError, as_text
from llmvc.evals.scorers.structure import accepts, same, validator_of
from llmvc.evals.scorers.toolcalls import ToolCall, calls_of

_NAME: Final = ("name", "pattern", "tool")
_GIVEN: Final = ("args", "arguments", "input")
_CALL: Final = (*_NAME, *_GIVEN, "type", "id")
"""What an expected call may have; one that was copied from a recording has the last two."""

_Named = tuple[str, canon.Json]
"""A pattern for a tool's name, and the arguments it must have; None for any."""


def tool_calls_valid(options: Options, answer: Answer) -> float:
    """Scores 1 if every call names a declared tool and its arguments fit the tool's schema.

    A run without a call scores 0, unless the scorer is `optional`.
    """
    declared = _declared(options)
    calls, optional = _calls(options, answer), options.flag("optional")
    if declared is None:
        raise UntoldError("the tools of the bundle are not known")
    return float(bool(calls or optional) and all(_fits(call, declared) for call in calls))


def _declared(options: Options) -> Mapping[str, canon.Json] | None:
    """Returns each declared tool's schema; in the spelling of the bundle, OpenAI or Anthropic."""
    listed = options.raw("tools")
    listed = options.setting.tools if listed is None else listed
    if listed is None:
        return None
    if not isinstance(listed, list | tuple):
        raise FormatError("tools is not a list of tools")
    schemas: dict[str, canon.Json] = {}
    for tool in listed:
        inner = tool.get("function", tool) if isinstance(tool, Mapping) else None
        if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
            raise FormatError("a tool has no name")
        schemas[str(inner["name"])] = inner.get("input_schema", inner.get("parameters"))
    return schemas


def _fits(call: ToolCall, declared: Mapping[str, canon.Json]) -> bool:
    if call.name not in declared or call.arguments is None:
        return False
    schema = declared[call.name]
    return schema is None or accepts(validator_of(schema), call.arguments)


def tool_used(options: Options, answer: Answer) -> float:
    """Scores 1 if all of the tools were called; with `min` and `max`, one so often."""
    calls, value = _calls(options, answer), options.value()
    if not isinstance(value, Mapping):
        names = _patterns(value)
        if not names:
            raise FormatError("no tool is named")
        used = [any(_is(call, name) for call in calls) for name in names]
        # `not-tool-used` forbids each of them, as promptfoo has it.
        return float(any(used) if options.negated else all(used))
    inner = options.over(value, (*_NAME, "min", "max"))
    name = _matcher(value)[0]
    often = sum(_is(call, name) for call in calls)
    least, most = inner.number("min"), inner.number("max")
    return float(often >= (1 if least is None else least) and (most is None or often <= most))


def tool_call_f1(options: Options, answer: Answer) -> float:
    """Scores the harmonic mean of precision and recall of the called tools, each counted once.

    Nothing expected and nothing called is 1.
    """
    wanted = set(_patterns(options.value()))
    called = {call.name for call in _calls(options, answer)}
    if not wanted and not called:
        return 1.0
    return 2 * len(wanted & called) / (len(wanted) + len(called))


def tool_args_match(options: Options, answer: Answer) -> float:
    """Scores the share of the expected calls that were made, each matched by a call of its own."""
    value = options.value()
    listed = value if isinstance(value, list | tuple) else [value]
    shared = options.over(value, (*_CALL, "mode", "tolerance", "ignore", "defaults"))
    wanted = [_matcher(item, alone=item is value) for item in listed]
    if not wanted or any(arguments is None for _, arguments in wanted):
        raise FormatError("there are no arguments to compare with", hint="write {name, args}")
    exact = shared.one_of("mode", ("partial", "exact")) == "exact"
    tolerance = shared.amount("tolerance")
    ignored, defaults = shared.get("ignore"), shared.get("defaults")
    skip = _patterns(ignored) if ignored is not None else ()
    calls = [
        (call.name, _stripped(call.arguments, skip, defaults))
        for call in _calls(options, answer)
        if call.arguments is not None
    ]
    made = [
        [
            fnmatchcase(called, name)
            and _match(given, _stripped(arguments, skip, None), exact=exact, tolerance=tolerance)
            for called, given in calls
        ]
        for name, arguments in wanted
    ]
    return _paired(made) / len(wanted)


def tool_sequence(options: Options, answer: Answer) -> float:
    """Scores 1 if the tools were called in this order.

    `mode` is `in-order` (others may stand between), `exact` (no others), or `any-order` (exactly
    these, in whichever order).
    """
    value = options.value()
    steps = value.get("steps") if isinstance(value, Mapping) else value
    if not isinstance(steps, list | tuple) or not steps:
        raise FormatError("there is no sequence of tools", hint="write value: [search, answer]")
    wanted = [_matcher(item) for item in steps]
    shared = options.over(value, ("steps", "mode"))
    mode = shared.one_of("mode", ("in-order", "exact", "any-order"))
    calls = _calls(options, answer)
    if mode == "in-order":
        rest = iter(calls)
        return float(all(any(_meets(call, one) for call in rest) for one in wanted))
    if len(calls) != len(wanted):
        return 0.0
    if mode == "exact":
        return float(all(map(_meets, calls, wanted)))
    return float(_paired([[_meets(call, one) for call in calls] for one in wanted]) == len(wanted))


def step_count(options: Options, answer: Answer) -> float:
    """Scores 1 if the number of the application's steps is within the bounds.

    `of: tool` counts tool calls, another name the steps of that type.
    """
    value = options.get("value")
    kind = options.get("of", value.get("type") if isinstance(value, Mapping) else None)
    if kind in ("tool", "tool_call"):
        return options.within(len(_calls(options, answer)), ("type",))
    steps = (step.get("type") if isinstance(step, Mapping) else None for step in answer.steps)
    return options.within(sum(kind in (None, step) for step in steps), ("type",))


def _calls(options: Options, answer: Answer) -> Sequence[ToolCall]:
    calls, turn = calls_of(answer), options.get("turn")
    if turn is None:
        return calls
    if not isinstance(turn, int) or isinstance(turn, bool):
        raise FormatError(f"turn is {turn!r}, not a whole number")
    wanted = turn if turn >= 0 or not calls else calls[-1].turn + 1 + turn
    return [call for call in calls if call.turn == wanted]


def _patterns(value: canon.Json) -> tuple[str, ...]:
    """Returns names: of a list, of text with commas, or of calls with a name."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if not isinstance(value, list | tuple):
        raise FormatError("value is not a list of names")
    return tuple(_matcher(item)[0] for item in value)


def _matcher(value: canon.Json, *, alone: bool = True) -> _Named:
    """Returns what a name or a call asks for.

    Args:
        value: as it is written.
        alone: whether rules for all calls may stand beside it; in a list they would be passed over.

    Raises:
        FormatError: it names no tool.
    """
    if isinstance(value, str) and value.strip():
        return value.strip(), None
    if isinstance(value, Mapping):
        beside = [] if alone else sorted(set(value).difference(_CALL))
        if beside:
            raise FormatError(f"{beside[0]} cannot be set for one call", hint="set it beside value")
        name = next((value[key] for key in _NAME if key in value), None)
        given = next((value[key] for key in _GIVEN if key in value), None)
        if isinstance(name, str) and name:
            return name, given
    raise FormatError(f"{as_text(value)} names no tool")


def _is(call: ToolCall, pattern: str) -> bool:
    return fnmatchcase(call.name, pattern)


def _meets(call: ToolCall, wanted: _Named) -> bool:
    name, arguments = wanted
    if not _is(call, name):
        return False
    return arguments is None or _match(call.arguments, arguments, exact=False, tolerance=0.0)


def _stripped(value: canon.Json, ignored: Sequence[str], defaults: canon.Json) -> canon.Json:
    """Returns arguments without those to be ignored, and those that only say the default."""
    if not isinstance(value, Mapping) or not (ignored or defaults):
        return value
    usual = defaults if isinstance(defaults, Mapping) else {}
    return {
        name: item
        for name, item in value.items()
        if not any(fnmatchcase(name, pattern) for pattern in ignored)
        and not (name in usual and same(usual[name], item))
    }


def _match(found: canon.Json, wanted: canon.Json, *, exact: bool, tolerance: float) -> bool:
    if exact:
        return same(found, wanted, tolerance)
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            name in found and _match(found[name], item, exact=False, tolerance=tolerance)
            for name, item in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(found) == len(wanted)
            and all(
                _match(one, other, exact=False, tolerance=tolerance)
                for one, other in zip(found, wanted, strict=True)
            )
        )
    return same(found, wanted, tolerance)


def _paired(fits: Sequence[Sequence[bool]]) -> int:
    """Returns how many rows find a column of their own (Kuhn's augmenting paths)."""
    taken: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in seen:
                seen.add(column)
                if column not in taken or place(taken[column], seen):
                    taken[column] = row
                    return True
        return False

    return sum(place(row, set()) for row in range(len(fits)))


RULES: Final[Mapping[str, Rule]] = {
    "tool-calls-valid": tool_calls_valid,
    "tool-used": tool_used,
    "tool-call-f1": tool_call_f1,
    "tool-args-match": tool_args_match,
    "tool-sequence": tool_sequence,
    "step-count": step_count,
}
