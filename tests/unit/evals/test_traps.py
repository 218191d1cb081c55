"""What endpoints silently do otherwise than asked, and that somebody gets to see it."""

import asyncio
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmvc.evals import plan
from llmvc.evals.plan import Arm
from llmvc.evals.providers import connect
from llmvc.evals.providers.base import Answer
from llmvc.evals.providers.chat import Chat
from llmvc.evals.providers.traps import notes, same_model
from tests.unit.evals.world import Fake, bundle, cases, completion, measure, suite

TOOL = {"name": "find"}


def asked(**members):
    return {"model": {"provider": "p", "id": "m-1"}, **members}


def answered(**changes):
    return Answer(**{"output": "a", "model": "m-1", **changes})


TEXT = "a fairly long answer of more than a few words"


@pytest.mark.parametrize(
    ("request_", "answer", "note"),
    [
        (asked(tools=[TOOL], tool_choice="required"), answered(), "ignore tools"),
        (asked(tools=[TOOL], tool_choice={"name": "find"}), answered(), "ignore tools"),
        (asked(decoding={"n": 3}), answered(choices=("b",)), "3 choices were asked for and 2 came"),
        (
            asked(decoding={"n": 3}),
            answered(output=TEXT, choices=(TEXT, TEXT), output_tokens=10),
            "fewer tokens than the choices hold",
        ),
        (
            asked(decoding={"n": 2, "logprobs": True}),
            answered(choices=("b",), output_tokens=4, logprobs=({},) * 4),
            "fewer tokens than the choices hold",
        ),
        (
            asked(decoding={"n": 2, "max_output_tokens": 20}),
            answered(finish_reason="length", choices=("b",), output_tokens=20),
            "fewer tokens than the choices hold",
        ),
        (asked(decoding={"logprobs": True}), answered(), "logprobs were asked for"),
        (asked(), answered(model="other"), "model m-1 was asked for and other answered"),
        (asked(), answered(fingerprint="b0-unknown"), "does not tell which build"),
    ],
)
def test_a_trap_is_named(request_, answer, note):
    (found,) = notes(request_, answer)
    assert note in found


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (asked(), answered()),
        (asked(), answered(model=None)),
        (asked(tools=[TOOL], tool_choice="auto"), answered()),
        (asked(tools=[TOOL], tool_choice="required"), answered(tool_calls=({},))),
        (asked(decoding={"n": 3}), answered(choices=("b", "c"), output_tokens=6)),
        (asked(decoding={"n": 3}), answered(output=TEXT, choices=(TEXT,) * 2, output_tokens=30)),
        (asked(decoding={"n": 2}), answered(choices=("b",))),
        (asked(decoding={"logprobs": True}), answered(logprobs=({},))),
    ],
)
def test_nothing_is_said_of_an_answer_as_it_should_be(request_, answer):
    assert list(notes(request_, answer)) == []


@pytest.mark.parametrize(
    ("wanted", "told", "same"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06", True),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", True),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", True),
        ("claude-opus-4@20250514", "claude-opus-4@20250514", True),
        ("openai/gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o", "gpt-4o-mini-2024-07-18", False),
        ("gpt-4o-mini", "gpt-4o", False),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06", False),
        ("m", "M", True),
        ("smollm2", "/models/SmolLM2-135M-Instruct-Q4_1.gguf", False),
    ],
)
def test_a_dated_snapshot_is_the_model_asked_for_and_another_model_is_not(wanted, told, same):
    assert same_model(wanted, told) is same


@contextmanager
def local_server(pages):
    """A server that answers chat completions, and has pages."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            got.append(self.path)
            self.say(200 if self.path in pages else 404, pages.get(self.path, {}))

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.say(200, completion(model="m-1", system_fingerprint="b0-unknown"))

        def say(self, status, body):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def connected(url):
    options = {"base_url": url, "self_hosted": True}
    return connect("local", "openai", options, mode="chat", folder=Path(), environ={})


def ask(url, some, times=1):
    one = connected(url)
    made = plan.make([Arm("candidate", some, one)], cases(1), suite(cases(1)))

    async def go():
        try:
            return [await one.answer(made.cases[0][0].call(run, None)) for run in range(times)]
        finally:
            await one.aclose()

    return asyncio.run(go())


def test_a_local_server_is_asked_once_what_it_serves_and_whether_it_knows_tools():
    pages = {
        "/v1/models": {"data": [{"id": "other"}]},
        "/props": {"chat_template_caps": {"supports_tools": False}},
    }
    with local_server(pages) as (url, got):
        first, second = ask(url, bundle(tools=[TOOL]), times=2)
    assert got == ["/v1/models", "/props"]
    assert first.notes == second.notes
    assert [note.partition(":")[0] for note in first.notes] == [
        "fingerprint b0-unknown does not tell which build or weights answered",
        "the server does not list model m-1",
        "the server says that it does not support tools",
    ]


@pytest.mark.parametrize(
    "pages",
    [
        {},
        {"/v1/models": {"data": [{"id": "m-1"}]}, "/props": {"supports_tools": True}},
        {"/v1/models": b"<html>", "/props": b"["},
        {"/v1/models": {"data": 5}, "/props": [1]},
        {"/v1/models": {"data": []}},
    ],
)
def test_a_local_server_that_says_nothing_odd_is_not_noted(pages):
    with local_server(pages) as (url, _):
        (answer,) = ask(url, bundle(tools=[TOOL]))
    assert len(answer.notes) == 1
    assert "b0-unknown" in answer.notes[0]


def test_notes_are_seen_in_the_report_also_those_of_cached_runs(tmp_path):
    with local_server({}) as (url, _):
        arm = Arm("candidate", bundle(), connected(url))
        first = measure([arm], tmp_path, rows=cases(2))
        again = measure([arm], tmp_path, rows=cases(2))
    note = "fingerprint b0-unknown does not tell which build or weights answered"
    assert [seen["notes"] for seen in first.providers] == [[note]]
    assert again.called == 0
    assert again.providers == first.providers


def test_an_eval_without_notes_says_nothing_of_them(tmp_path):
    (seen,) = measure([Arm("candidate", bundle(), Fake())], tmp_path).providers
    assert "notes" not in seen


@pytest.mark.parametrize("content", [None, ""])
def test_a_chat_completion_that_refuses_says_so_whatever_its_finish_reason(content):
    message = {"content": content, "refusal": "I won't."}
    answer = Chat().read({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert (answer.output, answer.finish_reason) == ("I won't.", "refusal")


@pytest.mark.parametrize(
    ("total", "made"),
    [(150, 150 - 100), (143, 43), (None, 43)],
    ids=["reasoning apart, as at xAI", "reasoning within", "no total"],
)
def test_output_tokens_count_reasoning_wherever_the_server_counts_it(total, made):
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 43,
        "total_tokens": total,
        "completion_tokens_details": {"reasoning_tokens": 7},
    }
    choice = {"message": {"content": "x"}, "finish_reason": "stop"}
    answer = Chat().read({"choices": [choice], "usage": usage})
    assert (answer.output_tokens, answer.reasoning_tokens) == (made, 7)
