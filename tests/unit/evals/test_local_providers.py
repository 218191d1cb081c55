"""The providers that run the user's own code, and the one that replays."""

import asyncio
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from llmvc.core import digest
from llmvc.core.request import call_seed
from llmvc.errors import ConfigError, FormatError, ProviderError
from llmvc.evals import plan, runner
from llmvc.evals.plan import Arm
from llmvc.evals.providers import connect
from llmvc.evals.providers.base import Answer, read_answer
from llmvc.evals.providers.recorded import record_line
from tests.unit.evals.world import Fake, arms, bundle, cases, measure, suite

TIME = "2026-11-19T08:00:00Z"
SOME = digest.of_bytes(b"")


def make(kind, folder, options, *, mode="chat", environ=None):
    return connect(
        "fake", kind, options, mode=mode, folder=folder, environ=environ or dict(os.environ)
    )


def ask(one, *, mode_folder=None, times=1, some=None):
    made = plan.make([Arm("candidate", some or bundle(), one)], cases(1), suite(cases(1)))

    async def go():
        try:
            return [
                await one.answer(made.cases[0][0].call(run, mode_folder)) for run in range(times)
            ]
        finally:
            await one.aclose()

    answers = asyncio.run(go())
    return answers[0] if times == 1 else answers


def script(folder: Path, source: str) -> list[str]:
    (folder / "app.py").write_text(source)
    return [sys.executable, "app.py"]


# --- command


def test_a_command_gets_the_request_and_its_text_is_the_output(tmp_path):
    echo = "import sys; data = sys.stdin.read(); print(data)"
    answer = ask(make("command", tmp_path, {"command": script(tmp_path, echo)}))
    told = json.loads(answer.output)
    assert told["llmvc"] == "call/1"
    assert told["request"]["messages"][1]["content"] == "q0"
    assert (told["mode"], told["case"], told["run"], told["seed"]) == (
        "chat",
        "c000",
        0,
        call_seed(7, "c000", 0),
    )
    assert told["snapshot"] is told["vars"] is None
    assert answer.latency_s > 0


def test_a_command_may_say_more_than_text(tmp_path):
    full = {
        "output": {"team": "x"},
        "usage": {"input_tokens": 3, "output_tokens": 1, "cost_usd": 0.5},
        "model": "m",
    }
    argv = script(tmp_path, f"print({json.dumps(full)!r})")
    answer = ask(make("command", tmp_path, {"command": argv}))
    assert (answer.output, answer.input_tokens, answer.cost_usd, answer.model) == (
        '{"team":"x"}',
        3,
        0.5,
        "m",
    )


def test_an_answer_may_tell_what_a_provider_of_ones_own_knows():
    answer = read_answer(
        {
            "output": "x",
            "usage": {"input_tokens": 5, "cache_write_tokens": 2},
            "ttft_s": 0.5,
            "logprobs": [{"token": "x", "logprob": -1}],
            "choices": ["y"],
            "notes": ["two\nlines", 5],
        }
    )
    assert (answer.cache_write_tokens, answer.ttft_s) == (2, 0.5)
    assert (answer.logprobs, answer.choices) == (({"token": "x", "logprob": -1},), ("y",))
    assert answer.notes == ("two lines",)
    with pytest.raises(FormatError, match="not a span of time"):
        read_answer({"output": "x", "ttft_s": -1})
    assert read_answer({"output": "x", "usage": {"input_tokens": 2**53}}).input_tokens is None


@pytest.mark.parametrize(
    "text", ['{"team": "x"}', '{"output": "x", "team": "y"}', "[1]", "5", "a\n\nb"]
)
def test_json_that_is_not_an_answer_is_the_models_own(tmp_path, text):
    answer = ask(make("command", tmp_path, {"command": script(tmp_path, f"print({text!r})")}))
    assert answer.output == text


def test_the_application_gets_the_snapshot_and_the_variables(tmp_path):
    source = """
import json, sys
call = json.load(sys.stdin)
bundle = json.load(open(call["snapshot"] + "/bundle.json"))
usage = {"input_tokens": 5, "output_tokens": 2}
print(json.dumps({"output": call["vars"]["question"] + bundle["llmvc"], "steps": ["s"], "calls": [{"model": "m", "usage": usage}] * 2}))
"""
    one = make("command", tmp_path, {"command": script(tmp_path, source)}, mode="app")
    (tmp_path / "bundle.json").write_bytes(bundle().data)
    answer = ask(one, mode_folder=tmp_path)
    assert answer.output == "q0bundle/1"
    assert (answer.input_tokens, answer.output_tokens, answer.steps) == (10, 4, ("s",))
    assert len(answer.calls) == 2


@pytest.mark.parametrize(
    ("source", "mode", "complaint"),
    [
        (
            "import sys; print('a', file=sys.stderr); sys.exit('last words')",
            "chat",
            "exit status 1: last words",
        ),
        ("raise SystemExit(3)", "chat", "exit status 3"),
        ("import os; os.kill(os.getpid(), 9)", "chat", "ended by signal 9"),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", "chat", "not UTF-8"),
        ("print('text')", "app", "did not write one JSON object"),
        ("print('{\"steps\": []}')", "app", "neither output nor error"),
        ('print(\'{"error": "no tool"}\')', "app", "no tool"),
        ('print(\'{"output": 1, "usage": {"cost_usd": -1}}\')', "app", "not an amount of money"),
        ("import time; time.sleep(60)", "chat", "did not answer within 0.3 s"),
    ],
)
def test_a_command_that_fails_is_the_applications_failure(tmp_path, source, mode, complaint):
    options = {"command": script(tmp_path, source), "timeout_s": 0.3 if "sleep" in source else 30}
    answer = ask(make("command", tmp_path, options, mode=mode), mode_folder=tmp_path)
    assert (answer.output, answer.fault) == (None, "application")
    assert complaint in answer.error


def test_what_a_command_started_ends_with_it(tmp_path):
    source = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("pid", "w").write(str(child.pid))
time.sleep(60)
"""
    answer = ask(make("command", tmp_path, {"command": script(tmp_path, source), "timeout_s": 1.5}))
    assert answer.fault == "application"
    state = Path(f"/proc/{(tmp_path / 'pid').read_text()}/stat")
    deadline = time.monotonic() + 10
    while state.exists() and state.read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_a_command_that_is_not_there_stops_the_run(tmp_path):
    with pytest.raises(ProviderError, match="cannot run no-such-program: No such file"):
        ask(make("command", tmp_path, {"command": "no-such-program --flag"}))


def test_a_command_line_is_split_like_a_shell_would_but_no_shell_runs(tmp_path):
    one = make("command", tmp_path, {"command": "printf '%s' '$HOME; echo x'"})
    assert one.identity()["argv"] == ["printf", "%s", "$HOME; echo x"]
    assert ask(one).output == "$HOME; echo x"


@pytest.mark.parametrize("command", [None, "", [], [""], ["a", 5], "'open", {"a": 1}, ["a\0b"]])
def test_a_command_must_be_words(tmp_path, command):
    with pytest.raises(ConfigError, match="command"):
        make("command", tmp_path, {} if command is None else {"command": command})


# --- python


def test_an_edit_of_the_same_second_and_size_is_what_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for word in ("one", "two"):
        (tmp_path / "mine.py").write_text(f"def f(request): return '{word}'")
        os.utime(tmp_path / "mine.py", (1_700_000_000, 1_700_000_000))
        assert ask(make("python", tmp_path, {"function": "mine.py:f"})).output == word


def test_loading_code_leaves_no_bytecode_in_the_working_tree(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "helper_beside_mine.py").write_text("WORD = 'x'")
    source = "import helper_beside_mine as h\ndef f(request): return h.WORD"
    assert ask(python(tmp_path, source)).output == "x"
    assert {path.name for path in tmp_path.iterdir()} == {"mine.py", "helper_beside_mine.py"}


def python(folder, source, *, mode="chat", **options):
    (folder / "mine.py").write_text(source)
    return make("python", folder, {"function": "mine.py:f", **options}, mode=mode)


@pytest.mark.parametrize("word", ["def", "async def"])
def test_a_function_answers_the_request(tmp_path, word):
    one = python(tmp_path, f"{word} f(request): return request['messages'][1]['content'].upper()")
    assert [answer.output for answer in ask(one, times=3)] == ["Q0"] * 3


def test_a_function_may_be_the_application(tmp_path):
    source = "def f(snapshot, variables): return {'output': f'{snapshot.name} {variables}', 'usage': {'input_tokens': 1}}"
    answer = ask(python(tmp_path, source, mode="app"), mode_folder=tmp_path)
    assert answer.output == f"{tmp_path.name} {{'question': 'q0'}}"
    assert (answer.input_tokens, answer.output_tokens) == (1, None)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("return None", "answered NoneType"),
        ("return 5", "answered int"),
        ("return {}", "neither output nor error"),
        ("return {'output': float('nan')}", "no canonical form"),
        ("return {'output': 'x', 'steps': [object()]}", "no canonical form"),
        ("return '\\ud800'", "no canonical form"),
        ("return {'error': 'tool\\nbroke'}", "tool broke"),
        ("raise SystemError('a' * 1000)", "SystemError: aaa"),
    ],
)
def test_a_function_that_fails_is_the_applications_failure(tmp_path, body, complaint):
    for answer in ask(python(tmp_path, f"def f(request): {body}"), times=2):
        assert (answer.output, answer.fault) == (None, "application")
        assert complaint in answer.error
        assert len(answer.error) <= 300


def test_slow_functions_run_beside_each_other_and_may_time_out(tmp_path):
    one = python(tmp_path, "import time\ndef f(request):\n    time.sleep(0.4)\n    return 'x'")
    started = time.monotonic()
    measure(
        [Arm("candidate", bundle(), one)],
        tmp_path,
        rows=cases(8),
        limits=runner.Limits(concurrency=16, allow_unpriced=True),
    )
    assert time.monotonic() - started < 16 * 0.4
    late = ask(python(tmp_path, "import time\ndef f(request): time.sleep(0.3)", timeout_s=0.05))
    assert (late.fault, late.error) == ("application", "no answer within 0.05 s")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_function_may_run_an_event_loop_of_its_own(tmp_path):
    source = "import asyncio\nasync def g(): return 'x'\ndef f(request): return asyncio.run(g())"
    assert [answer.output for answer in ask(python(tmp_path, source), times=5)] == ["x"] * 5


def test_a_function_may_change_what_it_is_given(tmp_path):
    source = "def f(request):\n    request['messages'].append(1)\n    return str(len(request['messages']))"
    assert [answer.output for answer in ask(python(tmp_path, source), times=3)] == ["3"] * 3


def test_a_function_may_import_its_neighbours(tmp_path):
    (tmp_path / "neighbour_of_mine.py").write_text("WORD = 'hi'")
    assert (
        ask(python(tmp_path, "import neighbour_of_mine as n\ndef f(request): return n.WORD")).output
        == "hi"
    )


def test_the_identity_of_a_function_is_its_code(tmp_path):
    first = python(tmp_path, "def f(request): return 'a'").identity()
    assert first == python(tmp_path, "def f(request): return 'a'").identity()
    assert first != python(tmp_path, "def f(request): return 'b'").identity()


@pytest.mark.parametrize(
    ("function", "error", "complaint"),
    [
        (None, ConfigError, "lacks function"),
        ("mine.py", ConfigError, "function is 'mine.py'"),
        ("mine.py:", ConfigError, "function is"),
        ("gone.py:f", ProviderError, "cannot read"),
        ("mine.py:g", ProviderError, "has no function 'g'"),
    ],
)
def test_a_function_that_cannot_be_had_is_named(tmp_path, function, error, complaint):
    (tmp_path / "mine.py").write_text("def f(request): return 'x'")
    with pytest.raises(error, match=complaint):
        make("python", tmp_path, {} if function is None else {"function": function})


# --- recorded


def record(folder, some=None, rows=None, runs=2):
    made = plan.make(some or arms(Fake()), rows or cases(), suite(rows or cases(), runs=runs))
    lines = []
    for one, run in made.calls():
        answer = Answer(
            output=f"{one.case.expected}/{run}",
            input_tokens=9,
            output_tokens=1,
            latency_s=0.75,
            model="real",
            fingerprint="fp",
        )
        lines.append(record_line(one.request_digest, run, answer, time=TIME))
    (folder / "tape.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return make("recorded", folder, {"file": "tape.jsonl", "self_hosted": True})


def test_recordings_replay_with_their_time_and_latency(tmp_path):
    answers = ask(record(tmp_path), times=2, some=bundle("new"))
    assert [answer.output for answer in answers] == ["a0/0", "a0/1"]
    first = answers[0]
    assert (first.time, first.latency_s, first.model, first.fingerprint, first.input_tokens) == (
        TIME,
        0.75,
        "real",
        "fp",
        9,
    )


def test_replaying_twice_gives_the_same_run_ids_and_writes_nothing_anew(tmp_path):
    tape = record(tmp_path, arms(Fake(), baseline=True))
    some = arms(tape, baseline=True)
    first = measure(some, tmp_path)
    size = sum(path.stat().st_size for path in (tmp_path / "runs").iterdir())
    assert {seen["kind"] for seen in first.providers} == {"recorded"}
    again = measure(some, tmp_path)
    # Recordings are old, so both arms are replayed side by side.
    assert (again.called, again.cases) == (12, first.cases)
    assert measure(some, tmp_path, fresh=True).cases == first.cases
    assert sum(path.stat().st_size for path in (tmp_path / "runs").iterdir()) == 2 * size


@pytest.mark.parametrize("change", [{"text": "another prompt"}, {"decoding": {"seed": 8}}])
def test_what_was_not_recorded_is_an_error_and_never_an_invention(tmp_path, change):
    tape = record(tmp_path)
    with pytest.raises(
        ProviderError, match=r"no recording of case c00\d run \d: .*tape\.jsonl has no request b3:"
    ):
        measure([Arm("candidate", bundle(**change), tape)], tmp_path)


def test_a_run_beyond_the_recorded_ones_is_an_error(tmp_path):
    with pytest.raises(ProviderError, match=r"no recording of case .* run 2"):
        measure(arms(record(tmp_path)), tmp_path, by=suite(runs=3))


def test_a_recording_holds_all_that_an_answer_told_and_no_more(tmp_path):
    full = Answer(
        output="x",
        input_tokens=9,
        cache_write_tokens=4,
        latency_s=0.75,
        ttft_s=0.25,
        logprobs=({"token": "x", "logprob": -0.5},),
        choices=("y",),
        notes=("the endpoint did something odd",),
    )
    made = plan.make([Arm("candidate", bundle(), Fake())], cases(1), suite(cases(1)))
    wanted = made.cases[0][0].request_digest
    (tmp_path / "tape.jsonl").write_bytes(record_line(wanted, 0, full, time=TIME))
    again = ask(make("recorded", tmp_path, {"file": "tape.jsonl"}))
    assert again == replace(full, time=TIME)
    plain = json.loads(record_line(wanted, 0, Answer(output="x"), time=TIME))
    assert set(plain) == {
        *("request", "run", "output", "finish_reason", "usage", "model", "fingerprint"),
        *("tool_calls", "latency_s", "time"),
    }


def test_failures_are_not_recorded():
    with pytest.raises(FormatError, match="no output to record"):
        record_line(digest.of_bytes(b""), 0, Answer(error="x", fault="provider"), time=TIME)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{}", r"tape\.jsonl:1: .*needs run and output"),
        ("[]", r"tape\.jsonl:1: .*not an object"),
        ('\n{"request": "b3:12", "run": 0, "output": "x"}', r"tape\.jsonl:2: not a digest"),
        ("not json", r"tape\.jsonl:1: not JSON"),
        (f'{{"request": "{SOME}", "run": -1, "output": "x"}}', "needs run and output"),
        (
            f'{{"request": "{SOME}", "run": 0, "output": "x"}}\n' * 2,
            r"tape\.jsonl:2: run 0 .* twice",
        ),
    ],
)
def test_a_bad_recording_is_named_by_file_and_line(tmp_path, content, complaint):
    (tmp_path / "tape.jsonl").write_text(content)
    with pytest.raises(FormatError, match=complaint):
        make("recorded", tmp_path, {"file": "tape.jsonl"})


def test_a_recording_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read recording .*gone\.jsonl"):
        make("recorded", tmp_path, {"file": "gone.jsonl"})


# --- connections


@pytest.mark.parametrize(
    ("kind", "mode", "complaint"),
    [
        ("magic", "chat", "unknown kind 'magic'"),
        ("python", "batch", "unknown mode 'batch'"),
        ("openai", "app", "cannot be the application itself"),
        ("recorded", "app", "cannot be the application itself"),
    ],
)
def test_a_connection_of_unknown_kind_or_mode_is_refused(tmp_path, kind, mode, complaint):
    with pytest.raises(ConfigError, match=complaint):
        make(kind, tmp_path, {}, mode=mode)


def test_usage_is_summed_over_calls_only_where_every_call_tells_it():
    calls = [{"usage": {"input_tokens": 1, "output_tokens": 2}}, {"usage": {"input_tokens": 3}}]
    answer = read_answer({"output": "x", "calls": calls})
    assert (answer.input_tokens, answer.output_tokens) == (4, None)


def test_an_edited_script_is_another_connection(tmp_path):
    (tmp_path / "answer.py").write_text("print('a')")
    made = make("command", tmp_path, {"command": [sys.executable, "answer.py"]})
    before = made.identity()
    (tmp_path / "answer.py").write_text("print('b')")
    assert made.identity() != before
