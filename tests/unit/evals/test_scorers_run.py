"""Scorers within an eval: they know the bundle's tools, what a run cost, and the model's window."""

import pytest

from llmvc.core.metric import Metric, Scorer
from llmvc.evals.plan import Arm
from llmvc.evals.providers.base import Answer
from tests.unit.evals import world

TOOL = {"name": "search", "input_schema": {"type": "object", "required": ["q"]}}
SCORERS = (
    Scorer("valid", "tool-calls-valid", {}),
    Scorer("cheap", "cost", {"threshold": 0.5}),
    Scorer("fits", "context-fit", {"max": 0.5}),
)


def reply(arguments: str):
    call = {"type": "function", "function": {"name": "search", "arguments": arguments}}
    return lambda _: Answer(
        output="", tool_calls=(call,), input_tokens=40, output_tokens=10, latency_s=0.1
    )


@pytest.mark.parametrize(
    ("members", "arguments", "wanted"),
    [
        ({"tools": [TOOL], "context": {"window": 100}}, '{"q": "x"}', [1, 1, 1]),
        ({"tools": [TOOL], "context": {"window": 99}}, '{"k": 1}', [0, 1, 0]),
        ({"context": {"window": 100}}, '{"q": "x"}', [0, 1, 1]),
        ({"tools": [TOOL]}, '{"q": "x"}', [1, 1, None]),
    ],
)
def test_scorers_know_tools_cost_and_window(tmp_path, members, arguments, wanted):
    rows = world.cases(1)
    metric = Metric("quality", "score", ("valid",), margin=0.05, floor=0.5)
    suite = world.suite(rows, scorers=SCORERS, metrics=(metric,), runs=1)
    arm = Arm("candidate", world.bundle(**members), world.Fake(reply(arguments)))
    result = world.measure([arm], tmp_path, rows=rows, by=suite)
    (run,) = result.cases[0].candidate
    assert [run.scores[scorer.name] for scorer in SCORERS] == wanted
    assert (run.error is None) == (None not in wanted)
