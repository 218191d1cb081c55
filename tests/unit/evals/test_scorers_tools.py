"""Scorers of tool calls and of what a run took, by table."""

import json

import pytest

from llmvc.core.metric import Scorer
from llmvc.core.suite import Case
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers import Scoring, score
from llmvc.evals.scorers.toolcalls import ToolCall, calls_of

SEARCH = {"name": "search", "arguments": {"q": "llm", "k": 3}}
READ = {"name": "read", "arguments": {"page": 1}}
TOOLS = [
    {
        "name": "search",
        "input_schema": {
            "type": "object",
            "properties": {"q": {"type": "string"}, "k": {"type": "integer"}},
            "required": ["q"],
            "additionalProperties": False,
        },
    },
    {"name": "read"},
]


def chat(name, arguments):
    return {
        "id": "1",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


def steps(*calls, results=True):
    found = []
    for name, arguments in calls:
        found.append({"type": "tool_call", "name": name, "arguments": arguments})
        found += [{"type": "tool_result", "content": "ok"}] if results else []
    return Answer(output="done", steps=tuple(found))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(
            output="", tool_calls=(chat("search", {"q": "llm", "k": 3}), chat("read", {"page": 1}))
        ),
        Answer(output="", tool_calls=(SEARCH, READ)),
        Answer(
            output="",
            tool_calls=(
                {"type": "function_call", "name": "search", "arguments": '{"q": "llm", "k": 3}'},
                {"type": "function_call", "name": "read", "arguments": '{"page": 1}'},
            ),
        ),
        Answer(
            output="",
            tool_calls=(
                {"type": "tool_use", "id": "t", "name": "search", "input": {"q": "llm", "k": 3}},
                {"type": "tool_use", "id": "u", "name": "read", "input": {"page": 1}},
            ),
        ),
        Answer(
            output="x",
            steps=(
                {"role": "user", "content": "find it"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "I look."},
                        {"type": "tool_use", "name": "search", "input": {"q": "llm", "k": 3}},
                        {"type": "tool_use", "name": "read", "input": {"page": 1}},
                    ],
                },
            ),
        ),
        Answer(
            output="x",
            steps=(
                {
                    "role": "assistant",
                    "tool_calls": [chat("search", {"q": "llm", "k": 3}), chat("read", {"page": 1})],
                },
            ),
        ),
        Answer(
            output="x",
            steps=(
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "1", "function": "search", "arguments": {"q": "llm", "k": 3}},
                        {"id": "2", "function": "read", "arguments": {"page": 1}},
                    ],
                },
            ),
        ),
        Answer(output="x", steps=({"tool_call": SEARCH}, {"tool": "read", "args": {"page": 1}})),
        Answer(
            output="x",
            calls=(
                {
                    "model": "m",
                    "usage": {},
                    "output": [
                        {
                            "type": "function_call",
                            "name": "search",
                            "arguments": '{"q": "llm", "k": 3}',
                        },
                        {"type": "function_call", "name": "read", "arguments": '{"page": 1}'},
                    ],
                },
            ),
        ),
        Answer(
            output=json.dumps([chat("search", {"q": "llm", "k": 3}), chat("read", {"page": 1})])
        ),
        Answer(output=json.dumps({"tool_calls": [SEARCH, READ]})),
        # The same calls, recorded three times over, are still two.
        Answer(
            output=json.dumps({"tool_calls": [SEARCH, READ]}),
            tool_calls=(SEARCH, READ),
            steps=({"type": "tool_call", **SEARCH}, {"type": "tool_call", **READ}),
        ),
    ],
)
def test_every_recording_is_read_as_the_same_calls_of_one_turn(answer):
    assert calls_of(answer) == (
        ToolCall("search", {"q": "llm", "k": 3}, 0),
        ToolCall("read", {"page": 1}, 0),
    )


@pytest.mark.parametrize(
    "recorded",
    [
        (
            {"type": "tool_call", **SEARCH},
            {"type": "tool_result", "content": "x"},
            {"type": "tool_call", **READ},
        ),
        (
            {"type": "tool_call", **SEARCH, "result": "x"},
            {"type": "tool_call", **READ, "result": "y"},
        ),
        (
            {"role": "assistant", "tool_calls": [chat(**SEARCH)]},
            {"role": "tool", "tool_call_id": "1", "content": "x"},
            {"role": "assistant", "tool_calls": [chat(**READ)]},
        ),
        (
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "name": "search", "input": SEARCH["arguments"]}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}],
            },
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "name": "read", "input": READ["arguments"]}],
            },
        ),
        (
            {"type": "function_call", "name": "search", "arguments": '{"q": "llm", "k": 3}'},
            {"type": "function_call_output", "call_id": "1", "output": "x"},
            {"type": "function_call", "name": "read", "arguments": '{"page": 1}'},
        ),
    ],
)
def test_a_result_or_a_message_ends_a_turn(recorded):
    found = calls_of(Answer(output="x", steps=recorded))
    assert [(call.name, call.turn) for call in found] == [("search", 0), ("read", 1)]


@pytest.mark.parametrize(
    "output",
    ['{"name": "Ada"}', '[{"name": "Ada", "arguments": "none"}]', "[]", '{"type": "tool"}', "["],
)
def test_json_of_an_answer_is_no_tool_call(output):
    assert calls_of(Answer(output=output)) == ()


def test_a_nest_without_end_is_left_alone():
    deep: dict = {"tool_calls": []}
    for _ in range(2000):
        deep = {"content": [deep]}
    assert calls_of(Answer(output="x", steps=(deep,))) == ()


TWO = steps(("search", {"q": "llm", "k": 3}), ("read", {"page": 1.0}))
NONE = Answer(output="no tool")


@pytest.mark.parametrize(
    ("kind", "options", "answer", "wanted"),
    [
        ("tool-calls-valid", {}, TWO, 1),
        ("tool-calls-valid", {}, NONE, 0),
        ("tool-calls-valid", {"optional": True}, NONE, 1),
        ("tool-calls-valid", {}, steps(("search", {"k": 3})), 0),
        ("tool-calls-valid", {}, steps(("search", {"q": "x", "more": 1})), 0),
        ("tool-calls-valid", {}, steps(("delete", {})), 0),
        ("tool-calls-valid", {}, steps(("search", "not json")), 0),
        ("tool-calls-valid", {}, steps(("search", "[1]")), 0),
        ("tool-calls-valid", {}, steps(("read", "")), 1),
        ("tool-calls-valid", {"turn": 1}, steps(("bad", {}), ("read", {})), 1),
        (
            "tool-calls-valid",
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "f", "parameters": {"required": ["a"]}},
                    }
                ]
            },
            steps(("f", {"a": 1})),
            1,
        ),
        ("tool-used", {"value": "search"}, TWO, 1),
        ("tool-used", {"value": "search, read"}, TWO, 1),
        ("tool-used", {"value": ["re*"]}, TWO, 1),
        ("tool-used", {"value": {"name": "read", "max": 0}}, TWO, 0),
        ("tool-used", {"value": {"pattern": "s*", "min": 2}}, TWO, 0),
        ("tool-used", {"value": {"name": "delete", "min": 0, "max": 0}}, TWO, 1),
        ("tool-call-f1", {"value": ["search", "read"]}, TWO, 1),
        ("tool-call-f1", {"value": "search, read, write"}, TWO, 0.8),
        ("tool-call-f1", {"value": [{"name": "search"}]}, TWO, 2 / 3),
        ("tool-call-f1", {"value": ["search"], "threshold": 1}, TWO, 0),
        ("tool-call-f1", {"value": []}, NONE, 1),
        ("tool-call-f1", {"value": []}, TWO, 0),
        ("tool-call-f1", {"value": ["search"]}, NONE, 0),
        ("tool-args-match", {"value": {"name": "search", "args": {"q": "llm"}}}, TWO, 1),
        (
            "tool-args-match",
            {"value": {"name": "search", "args": {"q": "llm"}}, "mode": "exact"},
            TWO,
            0,
        ),
        (
            "tool-args-match",
            {"value": {"name": "search", "args": {"q": "llm"}, "mode": "exact", "ignore": ["k"]}},
            TWO,
            1,
        ),
        (
            "tool-args-match",
            {
                "value": {"name": "search", "args": {"q": "llm"}, "mode": "exact"},
                "defaults": {"k": 3},
            },
            TWO,
            1,
        ),
        ("tool-args-match", {"value": {"name": "read", "arguments": {"page": 1}}}, TWO, 1),
        (
            "tool-args-match",
            {"value": {"name": "read", "args": {"page": 2}}, "tolerance": 1},
            TWO,
            1,
        ),
        ("tool-args-match", {"value": {"name": "read", "args": {"page": True}}}, TWO, 0),
        ("tool-args-match", {"value": [SEARCH, READ]}, TWO, 1),
        ("tool-args-match", {"value": [SEARCH, {"name": "read", "args": {"page": 9}}]}, TWO, 0.5),
        # Each expected call needs a call of its own, whichever order they are matched in.
        ("tool-args-match", {"value": [{"name": "*", "args": {}}, SEARCH]}, TWO, 1),
        ("tool-args-match", {"value": [SEARCH, SEARCH]}, TWO, 0.5),
        ("tool-args-match", {"value": SEARCH}, steps(("search", "not json")), 0),
        ("tool-sequence", {"value": ["search", "read"]}, TWO, 1),
        ("tool-sequence", {"value": ["read", "search"]}, TWO, 0),
        ("tool-sequence", {"value": ["read"]}, TWO, 1),
        ("tool-sequence", {"value": ["read"], "mode": "exact"}, TWO, 0),
        ("tool-sequence", {"value": {"mode": "exact", "steps": ["search", "read"]}}, TWO, 1),
        ("tool-sequence", {"value": {"mode": "in_order", "steps": [SEARCH]}}, TWO, 1),
        ("tool-sequence", {"value": ["read", "s*"], "mode": "any-order"}, TWO, 1),
        ("tool-sequence", {"value": ["read", "read"], "mode": "any-order"}, TWO, 0),
        ("tool-sequence", {"value": ["read"], "turn": -1, "mode": "exact"}, TWO, 1),
        ("step-count", {"max": 4}, TWO, 1),
        ("step-count", {"max": 3}, TWO, 0),
        ("step-count", {"of": "tool", "value": 2}, TWO, 1),
        ("step-count", {"value": {"type": "tool", "min": 3}}, TWO, 0),
        ("step-count", {"of": "tool_result", "value": 2}, TWO, 1),
        ("finish-reason", {"value": "stop"}, Answer(output="x", finish_reason="end_turn"), 1),
        ("finish-reason", {"value": "STOP"}, Answer(output="x", finish_reason="stop"), 1),
        (
            "finish-reason",
            {"value": ["tool_use", "stop"]},
            Answer(output="x", finish_reason="tool_calls"),
            1,
        ),
        ("finish-reason", {"value": "stop"}, Answer(output="x", finish_reason="max_tokens"), 0),
        ("latency", {"max_s": 2}, Answer(output="x", latency_s=2.0), 1),
        ("latency", {"threshold": 2000}, Answer(output="x", latency_s=2.001), 0),
        ("cost", {"threshold": 0.01}, Answer(output="x", cost_usd=0.01), 1),
        ("cost", {"threshold": 0.001}, Answer(output="x", cost_usd=0.01), 0),
        ("tokens", {"max": 10}, Answer(output="x", input_tokens=7, output_tokens=3), 1),
        ("tokens", {"max": 9}, Answer(output="x", input_tokens=7, output_tokens=3), 0),
        ("tokens", {"of": "output", "max": 3}, Answer(output="x", output_tokens=3), 1),
        ("tokens", {"of": "input", "value": {"min": 8}}, Answer(output="x", input_tokens=7), 0),
        ("context-fit", {}, Answer(output="x", finish_reason="stop"), 1),
        ("context-fit", {}, Answer(output="x", finish_reason="length"), 0),
        ("context-fit", {"max": 0.5}, Answer(output="x", input_tokens=40, output_tokens=10), 1),
        ("context-fit", {"max": 0.5}, Answer(output="x", input_tokens=41, output_tokens=10), 0),
        ("perplexity", {"threshold": 2}, Answer(output="x", logprobs=({"logprob": -0.5},)), 1),
        ("perplexity", {"threshold": 1.5}, Answer(output="x", logprobs=({"logprob": -0.5},)), 0),
        ("perplexity", {}, Answer(output="x", logprobs=({"logprob": 0.0}, {"logprob": 0})), 1),
    ],
)
def test_scorer(kind, options, answer, wanted):
    for negate in (False, True):
        scoring = Scoring((Scorer("s", kind, options, negate=negate),))
        scored = scoring.score(Case("c", {}), answer, tools=TOOLS, window=100)
        assert scored.error is None
        assert scored.scores["s"] == pytest.approx(1 - wanted if negate else wanted)


@pytest.mark.parametrize(
    ("kind", "options", "untold"),
    [
        ("tool-calls-valid", {}, "the tools of the bundle are not known"),
        ("finish-reason", {"value": "stop"}, "does not say why the model stopped"),
        ("latency", {"max_s": 1}, "does not say how long it took"),
        ("cost", {"threshold": 1}, "does not say what it cost"),
        ("tokens", {"max": 1}, "does not say its tokens"),
        ("context-fit", {}, "does not say why the model stopped"),
        ("context-fit", {"max": 0.5}, "how large the model's window is"),
        ("perplexity", {}, "no logprobs"),
    ],
)
@pytest.mark.parametrize("negate", [False, True])
def test_what_nobody_told_is_neither_a_pass_nor_a_failure(kind, options, untold, negate):
    scoring = Scoring((Scorer("s", kind, options, negate=negate),))
    case = Case("c", {})
    scoring.check((case,))
    scored = scoring.score(case, Answer(output="x"))
    assert scored.scores == {"s": None}
    assert untold in scored.error


@pytest.mark.parametrize(
    ("kind", "options", "complaint"),
    [
        ("tool-calls-valid", {"tools": "search"}, "not a list of tools"),
        ("tool-calls-valid", {"tools": [{}]}, "a tool has no name"),
        ("tool-calls-valid", {"turn": "last"}, "turn is 'last'"),
        ("tool-used", {}, "nothing to compare with"),
        ("tool-used", {"value": []}, "no tool is named"),
        ("tool-used", {"value": 5}, "not a list of names"),
        ("tool-used", {"value": {"min": 1}}, "names no tool"),
        ("tool-used", {"value": {"name": "read", "maximum": 1}}, "has a member 'maximum'"),
        ("tool-args-match", {"value": {**SEARCH, "modus": "exact"}}, "has a member 'modus'"),
        ("tool-args-match", {"value": [{**SEARCH, "mode": "exact"}]}, "mode cannot be set"),
        ("tool-args-match", {"value": SEARCH, "tolerance": -1}, "tolerance is -1, below 0"),
        ("tool-sequence", {"value": {"steps": ["a"], "modus": "exact"}}, "a member 'modus'"),
        ("step-count", {"value": {"max": 3, "pattern": "s*"}}, "has a member 'pattern'"),
        ("tokens", {"value": {"max": 3, "source": "trace"}}, "has a member 'source'"),
        ("tool-call-f1", {"value": [5]}, "5 names no tool"),
        ("tool-args-match", {"value": {"name": "search"}}, "no arguments to compare with"),
        ("tool-args-match", {"value": SEARCH, "mode": "loose"}, "not one of partial, exact"),
        ("tool-sequence", {"value": []}, "no sequence of tools"),
        ("tool-sequence", {"value": ["a"], "mode": "loose"}, "not one of in-order"),
        ("step-count", {}, "no bound is set"),
        ("finish-reason", {}, "no finish reason"),
        ("latency", {}, "no max_s, in seconds"),
        ("cost", {}, "no threshold, in USD"),
        ("tokens", {}, "no bound is set"),
        ("tokens", {"of": "all", "max": 1}, "not one of total, input, output"),
        ("context-fit", {"max": 2}, "not a share of the window"),
        ("perplexity", {"threshold": "low"}, "not a number"),
    ],
)
def test_bad_options_are_found_before_any_call(kind, options, complaint):
    with pytest.raises(FormatError, match=f"scorer s, case c: .*{complaint}"):
        Scoring((Scorer("s", kind, options),)).check((Case("c", {}),))


@pytest.mark.parametrize(
    ("value", "used", "unused"),
    [
        (["search", "read"], 1, 0),
        (["search", "delete"], 0, 0),
        ("delete, drop", 0, 1),
        ({"name": "delete"}, 0, 1),
    ],
)
def test_a_list_of_tools_asks_for_all_of_them_and_negated_forbids_each(value, used, unused):
    case, checks = Case("c", {}), ("tool-used", "not-trajectory:tool-used")
    for negate, kind, wanted in ((False, checks[0], used), (True, checks[1], unused)):
        assert score(Scorer("s", "tool-used", {"value": value}, negate=negate), case, TWO) == wanted
        of_row = Case("c", {}, checks=({"type": kind, "value": value},))
        assert score(Scorer("s", "checks", {}), of_row, TWO) == wanted


def test_the_computed_cost_comes_before_the_stated_one():
    scorer, case = Scorer("s", "cost", {"threshold": 0.5}), Case("c", {})
    answer = Answer(output="x", cost_usd=1.0)
    assert Scoring((scorer,)).score(case, answer, cost_usd=0.1).scores == {"s": 1.0}
    assert score(scorer, case, answer) == 0.0


def test_what_a_case_expects_is_the_value():
    answer = steps(("search", {"q": "llm"}))
    case = Case("c", {}, [{"name": "search", "args": {"q": "llm"}}])
    assert score(Scorer("s", "tool-args-match", {}), case, answer) == 1
    assert score(Scorer("s", "tool-call-f1", {}), case, answer) == 1
    assert score(Scorer("s", "tool-sequence", {}), case, answer) == 1
