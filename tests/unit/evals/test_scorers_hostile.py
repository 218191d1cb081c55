"""Outputs that are written, or happen, to break what reads them: each costs a score and no more."""

import subprocess
import sys

import pytest

from llmvc.core.metric import Scorer
from llmvc.core.suite import Case
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers import RULES, Scoring, score
from llmvc.evals.scorers.toolcalls import calls_of
from tests.unit.evals.test_scorers_laws import ANY, TOLD

HUGE = "1" + "0" * 400
OUTPUTS = {
    "a whole number too large for a float": f'{{"a": {HUGE}}}',
    "and alone": HUGE,
    "an infinite number": '{"a": 1e999}',
    "more digits than Python reads": '{"a": ' + "9" * 5000 + "}",
    "a type that is a list": '{"type": ["string", "null"]}',
    "a type that is an object": '[{"type": {"a": 1}, "role": [1]}]',
    "a nest of lists": "[" * 800 + "]" * 800,
    "a nest of objects": '{"tool_calls": [' * 400 + "]}" * 400,
    "an encoding that nobody knows": '<?xml version="1.0" encoding="foo"?><a/>',
    "an encoding of several bytes": '<?xml version="1.0" encoding="shift_jis"?><a/>',
    "half a character": "<a>\ud800</a>",
    "a null": "<a>\0</a>",
}
MORE = {
    "json-schema": {"schema": {"multipleOf": 0.01, "properties": {"a": {"multipleOf": 0.01}}}},
    "json-field": {"field": "a", "value": 5.5, "tolerance": 0.5},
    "numeric": {"value": 5, "field": "a", "tolerance": 1},
    "tool-sequence": {"value": ["a"]},
}


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
@pytest.mark.parametrize("kind", sorted(set(RULES) - {"similar"}))
def test_no_output_ends_an_eval(kind, output):
    options = MORE.get(kind) or ANY.get(kind, {"value": "5"})
    scoring = Scoring((Scorer("s", kind, options),))
    scored = scoring.score(Case("c", {}), Answer(output=output, **TOLD), tools=[], window=9)
    assert scored.error is None
    assert 0 <= scored.scores["s"] <= 1


@pytest.mark.parametrize("kind", ["is-html", "contains-html", "contains-xml"])
def test_a_tag_that_never_ends_takes_no_time_to_speak_of(kind):
    code = (
        "from llmvc.evals.scorers import RULES; from llmvc.evals.providers.base import Answer; "
        "from llmvc.evals.scorers.options import Options; from llmvc.core.suite import Case; "
        f"print(RULES[{kind!r}](Options({{}}, Case('c', {{}})), Answer(output='<' + 'a' * 300_000)))"
    )
    # Tried in every way, it would take an hour; a minute is for a busy machine.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stdout.strip() == b"0.0"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "shift_jis", "foo"])
def test_text_is_xml_whatever_encoding_it_once_had(encoding):
    output = f'<?xml version="1.0" encoding="{encoding}"?><a>ü</a>'
    assert score(Scorer("s", "is-xml", {}), Case("c", {}), Answer(output=output)) == 1


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(
            ({"tool": "find", "args": {}}, {"type": "tool_result", "tool": "find", "output": "x"}),
            id="a result that names its tool",
        ),
        pytest.param(
            (
                {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "find"}}]},
                {"type": "tool_call", "id": "c1", "name": "find"},
            ),
            id="a message and its step",
        ),
    ],
)
def test_one_call_is_one_call(steps):
    assert [call.name for call in calls_of(Answer(output="x", steps=steps))] == ["find"]


def test_a_request_that_says_former_calls_again_counts_only_new_ones():
    def said(known, name):
        call = {"id": known, "type": "function", "function": {"name": name, "arguments": "{}"}}
        return {"role": "assistant", "tool_calls": [call]}

    first, second = said("c1", "find"), said("c2", "find")
    result = {"role": "tool", "tool_call_id": "c1", "content": "x"}
    recorded = (
        {"model": "m", "messages": [{"role": "user"}], "choices": [{"message": first}]},
        {"model": "m", "messages": [{"role": "user"}, first, result], "message": second},
    )
    found = calls_of(Answer(output="x", calls=recorded))
    assert [(call.name, call.turn) for call in found] == [("find", 0), ("find", 1)]


def test_the_steps_of_a_run_come_before_its_last_answer():
    steps = ({"type": "tool_call", "name": "find"}, {"type": "tool_call", "name": "read"})
    answer = Answer(output="x", steps=steps, tool_calls=({"type": "tool_call", "name": "read"},))
    assert [call.name for call in calls_of(answer)] == ["find", "read"]


def test_calls_without_an_id_are_calls_of_their_own():
    call = {"type": "tool_call", "name": "find", "arguments": {}}
    assert len(calls_of(Answer(output="x", steps=(call, call)))) == 2
