"""What becomes of a call when the network, or the service, does not do its part."""

import asyncio
import gzip
from pathlib import Path
from time import perf_counter

import pytest

from llmvc.errors import ProviderError
from llmvc.evals import plan, runner
from llmvc.evals.plan import Arm
from llmvc.evals.providers import connect
from llmvc.evals.providers.http import _asked_s
from tests.unit.evals.wire import HANG_UP, raw, reply, shape, shapes, stream
from tests.unit.evals.world import bundle, cases, completion, measure, serving, suite

OK = reply(completion())
QUICK = {"backoff_s": 0.001, "longest_wait_s": 0.5, "patience_s": 5}
CHARGED = "a request was sent in full and lost its answer: it may have been charged"


def provider(url, **options):
    given = {"base_url": url, **QUICK, **options}
    return connect("fake", "openai", given, mode="chat", folder=Path(), environ={})


def ask(one, times=1, some=None):
    made = plan.make([Arm("candidate", some or bundle(), one)], cases(1), suite(cases(1)))

    async def go():
        try:
            calls = (one.answer(made.cases[0][0].call(run, None)) for run in range(times))
            return await asyncio.gather(*calls)
        finally:
            await one.aclose()

    answers = asyncio.run(go())
    return answers[0] if times == 1 else answers


# --- connections


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(HANG_UP, id="closed without a word"),
        pytest.param([reply(completion(), length=9999), HANG_UP], id="half an answer"),
        pytest.param([b"HTTP/1.1 200 OK\r\nconte", HANG_UP], id="half a header"),
        pytest.param([b"\x00\x01\x02 nonsense\r\n\r\n", HANG_UP], id="not HTTP"),
    ],
)
def test_an_answer_that_is_lost_is_asked_for_again_and_a_note_says_what_it_may_cost(first):
    with raw(first, OK) as server:
        answer = ask(provider(server.url))
        assert server.posts == 2
    assert (answer.output, answer.fault) == ("a0", None)
    assert CHARGED in answer.notes


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again():
    with raw([OK, HANG_UP]) as server:
        one = provider(server.url)
        made = plan.make([Arm("candidate", bundle(), one)], cases(1), suite(cases(1)))

        async def go():
            calls = [made.cases[0][0].call(run, None) for run in range(4)]
            answers = [await one.answer(call) for call in calls]
            await one.aclose()
            return answers

        answers = asyncio.run(go())
    assert [answer.output for answer in answers] == ["a0"] * 4


def test_connections_that_are_lost_between_answers_never_add_up_to_a_server_that_is_down():
    with raw(*[HANG_UP, OK] * 30) as server:
        one = provider(server.url)
        made = plan.make([Arm("candidate", bundle(), one)], cases(1), suite(cases(1)))

        async def go():
            answers = [await one.answer(made.cases[0][0].call(run, None)) for run in range(30)]
            await one.aclose()
            return answers

        answers = asyncio.run(go())
    assert [answer.output for answer in answers] == ["a0"] * 30


def test_as_many_connections_are_opened_as_calls_are_under_way():
    with raw(OK) as server:
        one = provider(server.url)
        made = plan.make([Arm("candidate", bundle(), one)], cases(1), suite(cases(1)))

        async def go():
            calls = iter([made.cases[0][0].call(run, None) for run in range(30)])

            async def work():
                return [await one.answer(call) for call in calls]

            answers = await asyncio.gather(*(work() for _ in range(3)))
            await one.aclose()
            return [answer for each in answers for answer in each]

        answers = asyncio.run(go())
        assert 1 <= server.connections <= 3
    assert [answer.output for answer in answers] == ["a0"] * 30


def test_a_lost_answer_stays_noted_if_the_call_fails_for_good():
    with raw(HANG_UP) as server:
        answer = ask(provider(server.url, tries=2))
    assert (answer.fault, answer.notes) == ("provider", (CHARGED,))
    assert answer.error.endswith("(2 tries)")


def test_nothing_is_noted_of_a_request_that_was_never_sent():
    one = provider("http://127.0.0.1:9/v1", tries=2)
    answer = ask(one)
    assert (answer.fault, answer.notes) == ("provider", ())


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"not gzip at all", ["content-encoding: gzip"]),
        (gzip.compress(b"{}", mtime=0)[:-6], ["content-encoding: gzip"]),
        (b'{"choices": [', []),
    ],
)
def test_an_answer_that_cannot_be_read_is_the_providers_fault_and_not_paid_twice(content, headers):
    with raw(reply(content, headers=headers)) as server:
        answer = ask(provider(server.url))
        assert server.posts == 1
    assert answer.fault == "provider"
    assert answer.error.startswith("malformed answer")


def test_time_outs_on_half_of_the_calls_cost_nothing_but_time(tmp_path):
    ok = (200, {}, completion())
    with serving(None, ok, None, ok, None, ok, ok) as server:
        one = provider(server.url, timeout_s=0.2, self_hosted=True)
        result = measure([Arm("candidate", bundle(), one)], tmp_path, rows=cases(3))
    assert all(run.error is None for row in result.cases for run in row.candidate)
    assert CHARGED in result.providers[0]["notes"]


# --- overload


def busy(status=429, *headers):
    return reply({"error": {"message": "slow down"}}, status, headers)


@pytest.mark.parametrize("status", [429, 503, 529])
def test_an_overloaded_endpoint_is_asked_more_often_than_a_broken_one(status):
    with raw(*[busy(status)] * 9, OK) as server:
        answer = ask(provider(server.url, tries=2))
        assert server.posts == 10
    assert answer.output == "a0"
    assert answer.notes == ()


def test_a_storm_ends_with_every_answer_and_without_hammering(tmp_path):
    storm = (429, {"retry-after-ms": "20"}, {"error": {"message": "slow down"}})
    with serving(*[storm] * 30, (200, {}, completion())) as server:
        one = provider(server.url, self_hosted=True)
        result = measure(
            [Arm("candidate", bundle(), one)],
            tmp_path,
            rows=cases(10),
            limits=runner.Limits(concurrency=16),
        )
        asked = len(server.requests)
    assert all(run.error is None for row in result.cases for run in row.candidate)
    assert asked == 30 + 20


def test_a_storm_that_does_not_end_stops_the_eval_with_finished_runs_kept(tmp_path):
    storm = (429, {"retry-after-ms": "20"}, {"error": {"message": "slow down"}})
    ok = (200, {}, completion())
    with serving(ok, ok, ok, ok, storm) as server:
        arm = Arm("candidate", bundle(), provider(server.url, patience_s=0.3, self_hosted=True))
        with pytest.raises(ProviderError, match=r"answered no call .*HTTP 429: slow") as caught:
            measure([arm], tmp_path, rows=cases(10), limits=runner.Limits(concurrency=1))
        assert len(server.requests) < 30
    assert "finished runs are kept" in caught.value.hint
    with serving(ok) as server:
        arm = Arm("candidate", bundle(), provider(server.url, self_hosted=True))
        again = measure([arm], tmp_path, rows=cases(10))
        assert len(server.requests) == again.called


def test_one_call_that_is_always_put_off_fails_alone():
    with raw(busy(429, "retry-after-ms: 30")) as server:
        one = provider(server.url, patience_s=0.1)
        one._http._clock = lambda: 0.0  # as if others were answered all the time
        answer = ask(one)
    assert (answer.fault, answer.output) == ("provider", None)
    assert answer.error.startswith("HTTP 429: slow down (asked 4 times)")


def test_the_server_has_the_last_word_on_trying_again():
    with raw(busy(500, "x-should-retry: false"), OK) as server:
        answer = ask(provider(server.url))
    assert (answer.fault, answer.error) == ("provider", "HTTP 500: slow down")
    with raw(busy(418, "x-should-retry: true"), OK) as server:
        assert ask(provider(server.url)).output == "a0"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        (
            {
                "retry-after": "Wed, 21 Oct 2026 07:28:10 GMT",
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            10.0,
        ),
        (
            {
                "retry-after": "Wed, 21 Oct 2026 07:27:00 GMT",
                "date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            0.0,
        ),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT"}, None),
        ({"retry-after": "soon", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "\u0661"}, None),
    ],
)
def test_how_long_the_server_asks_to_wait_is_read_from_its_own_clock(headers, seconds):
    assert _asked_s(headers) == seconds


def test_a_broken_server_is_given_time_before_it_is_asked_again():
    with raw(reply({"error": {"message": "oops"}}, 500), OK) as server:
        started = perf_counter()
        assert ask(provider(server.url, backoff_s=0.4)).output == "a0"
    assert perf_counter() - started > 0.2


def test_a_server_that_asks_for_no_time_to_speak_of_is_not_hammered():
    busy = reply({"error": {"message": "wait"}}, 429, ["retry-after-ms: 0.001"])
    with raw(busy) as server:
        # Whether the call or the endpoint runs out of patience first is a matter of load.
        try:
            told = ask(provider(server.url, backoff_s=0.05, patience_s=1.0)).error
        except ProviderError as err:
            told = str(err)
        assert 2 <= server.posts <= 20
    assert "HTTP 429" in told


def test_latency_counts_neither_pauses_nor_lost_tries():
    with raw(busy(429, "retry-after-ms: 300"), OK) as server:
        started = perf_counter()
        answer = ask(provider(server.url))
        took_s = perf_counter() - started
    assert took_s - answer.latency_s > 0.3


# --- refusals


@pytest.mark.parametrize(("named", "status", "error"), shapes("errors.json")["parameter"])
def test_a_parameter_that_is_not_taken_stops_the_eval_and_is_named(named, status, error):
    with raw(reply(error, status)) as server:
        with pytest.raises(ProviderError, match=r"does not take ") as caught:
            ask(provider(server.url))
        assert server.posts == 1
    assert f"does not take {named}" in str(caught.value)


def test_a_parameter_that_is_not_taken_is_told_by_its_name_in_the_bundle():
    (_, status, error) = shapes("errors.json")["parameter"][2]
    with raw(reply(error, status)) as server, pytest.raises(ProviderError) as caught:
        ask(provider(server.url))
    assert "max_tokens, which is decoding.max_output_tokens in the bundle" in str(caught.value)
    assert "max_tokens_field: max_completion_tokens" in caught.value.hint


@pytest.mark.parametrize(("status", "error"), shapes("errors.json")["context"])
def test_a_request_that_does_not_fit_the_context_is_an_outcome_of_the_bundle(status, error):
    with raw(reply(error, status)) as server:
        answer = ask(provider(server.url))
    assert answer.fault == "application"
    assert answer.error.startswith(f"HTTP {status}: too long for the model's context: ")


@pytest.mark.parametrize(("status", "error"), shapes("errors.json")["hopeless"])
def test_what_no_call_can_mend_stops_the_eval(status, error):
    with raw(reply(error, status)) as server:
        with pytest.raises(ProviderError, match=f"HTTP {status}"):
            ask(provider(server.url))
        assert server.posts == 1


@pytest.mark.parametrize(("status", "error"), shapes("errors.json")["outcome"])
def test_any_other_refusal_is_an_outcome_of_the_bundle(status, error):
    with raw(reply(error, status)) as server:
        answer = ask(provider(server.url))
    assert (answer.fault, answer.error[:8]) == ("application", f"HTTP {status}")


# --- streams


def test_a_stream_brings_the_same_answer_and_the_time_of_its_first_token():
    with raw(stream(shape("chat.sse"))) as server:
        answer = ask(provider(server.url, stream=True), some=bundle(decoding={"n": 2}))
        assert b'"stream":true,"stream_options":{"include_usage":true}' in server.asked[0]
    assert (answer.output, answer.choices, answer.finish_reason) == (
        "Paris\u2028",
        ("Lyon",),
        "stop",
    )
    assert (answer.input_tokens, answer.output_tokens, answer.cached_tokens) == (20, 6, 16)
    assert [one["token"] for one in answer.logprobs] == ["Pa", "ris"]
    assert 0 < answer.ttft_s <= answer.latency_s


def test_tool_calls_of_a_stream_are_put_together():
    with raw(stream(shape("chat_tools.sse"))) as server:
        answer = ask(provider(server.url, stream=True))
    assert [call["function"] for call in answer.tool_calls] == [
        {"name": "find", "arguments": '{"id":7}'},
        {"name": "end", "arguments": "{}"},
    ]
    assert (answer.output, answer.finish_reason) == ("", "tool_calls")


def test_a_server_that_does_not_stream_is_read_all_the_same():
    with raw(OK) as server:
        answer = ask(provider(server.url, stream=True))
    assert (answer.output, answer.ttft_s) == ("a0", None)


@pytest.mark.parametrize("end", [True, False])
def test_a_stream_that_ends_too_early_is_asked_for_again(end):
    half = shape("chat.sse")[:900]
    first = stream(half, end=end) + ([] if end else [HANG_UP])
    with raw(first, stream(shape("chat.sse"))) as server:
        answer = ask(provider(server.url, stream=True))
    assert answer.output == "Paris\u2028"
    assert CHARGED in answer.notes


@pytest.mark.parametrize(
    "data", [b"data: {\n\n", b"data: 5\n\n", b'data: {"choices": [1]}\n\n', b"data: \xff\n\n"]
)
def test_a_malformed_event_is_the_providers_fault(data):
    with raw(stream(data)) as server:
        answer = ask(provider(server.url, stream=True))
    assert answer.fault == "provider"
    assert answer.error.startswith("malformed answer")


def test_an_error_within_a_stream_is_tried_again_and_overload_slows_down():
    overloaded = b'data: {"error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n'
    with raw(*[stream(overloaded)] * 4, stream(shape("chat.sse"))) as server:
        answer = ask(provider(server.url, stream=True, tries=2))
    assert answer.output == "Paris\u2028"
    assert CHARGED not in answer.notes
    begun = b'data: {"choices": [{"index": 0, "delta": {"content": "Pa"}}]}\n\n'
    with raw(stream(begun, overloaded), stream(shape("chat.sse"))) as server:
        answer = ask(provider(server.url, stream=True))
    assert CHARGED in answer.notes
    broken = b'data: {"error": {"type": "server_error", "message": "lost it"}}\n\n'
    with raw(stream(broken)) as server:
        answer = ask(provider(server.url, stream=True, tries=2))
    assert (answer.fault, answer.error) == ("provider", "lost it (2 tries)")
