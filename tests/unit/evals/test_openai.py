"""The provider `openai` against a tiny server on the loopback."""

import asyncio
import socket
from pathlib import Path

import pytest

from llmvc.core.request import call_seed
from llmvc.errors import ConfigError, ProviderError
from llmvc.evals import plan, runner
from llmvc.evals.plan import Arm
from llmvc.evals.providers import connect
from tests.unit.evals.world import bundle, cases, completion, measure, serving, suite

OK = (200, {}, completion())
QUICK = {"backoff_s": 0.001, "longest_wait_s": 0.5}


def provider(url=None, environ=None, **options):
    given = {"base_url": url, **QUICK, **options} if url else options
    return connect("fake", "openai", given, mode="chat", folder=Path(), environ=environ or {})


def ask(one, some=None, run=0):
    made = plan.make([Arm("candidate", some or bundle(), one)], cases(1), suite(cases(1)))

    async def go():
        try:
            return await one.answer(made.cases[0][0].call(run, None))
        finally:
            await one.aclose()

    return asyncio.run(go())


def test_an_answer_carries_all_that_the_endpoint_told():
    with serving(OK) as server:
        answer = ask(provider(server.url))
    assert answer.output == "a0"
    assert (answer.input_tokens, answer.output_tokens) == (100, 20)
    assert (answer.cached_tokens, answer.reasoning_tokens) == (60, 5)
    assert (answer.model, answer.fingerprint, answer.finish_reason) == ("m-1-2026", "fp_1", "stop")
    assert answer.latency_s > 0
    assert answer.fault is None


def body_of(some, url_options=None, run=0):
    with serving(OK) as server:
        ask(provider(server.url, **(url_options or {})), some, run)
        ((_, body),) = server.requests
    return body


def test_only_what_the_bundle_says_is_sent():
    assert body_of(bundle(decoding={})) == {
        "model": "m-1",
        "messages": [
            {"role": "system", "content": "Which team?"},
            {"role": "user", "content": "q0"},
        ],
    }


def test_decoding_is_spelt_as_the_endpoint_wants_it():
    decoding = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": None,
        "max_output_tokens": 20,
        "stop": ["\n"],
        "seed": 7,
        "n": 2,
        "presence_penalty": 0.1,
        "logit_bias": {"50256": -100},
        "reasoning": {"effort": "low", "budget": None},
        "logprobs": True,
        "verbosity": "low",
        "service_tier": "flex",
        "extra": {"min_p": 0.05},
    }
    body = body_of(bundle(decoding=decoding), run=2)
    assert {name: body[name] for name in body if name not in ("model", "messages")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": None,
        "max_tokens": 20,
        "stop": ["\n"],
        "seed": call_seed(7, "c000", 2),
        "n": 2,
        "presence_penalty": 0.1,
        "logit_bias": {"50256": -100},
        "logprobs": True,
        "reasoning_effort": "low",
        "verbosity": "low",
        "service_tier": "flex",
        "min_p": 0.05,
    }
    renamed = body_of(
        bundle(decoding={"max_output_tokens": 5}), {"max_tokens_field": "max_completion_tokens"}
    )
    assert renamed["max_completion_tokens"] == 5
    assert "max_tokens" not in renamed


def test_tools_response_format_and_tool_calls_of_messages_are_sent_as_functions():
    schema = {"type": "object", "properties": {"id": {"type": "string"}}}
    some = bundle(
        tools=[
            {"name": "find", "description": "finds", "input_schema": schema, "strict": True},
            {"name": "end"},
        ],
        tool_choice={"name": "find"},
        parallel_tool_calls=False,
        response={"format": "json_schema", "name": "team", "schema": schema, "strict": True},
        messages=[
            {"role": "user", "content": "{{question}}"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "name": "find", "arguments": {"id": "7"}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "found"},
        ],
    )
    body = body_of(some)
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "find",
                "description": "finds",
                "strict": True,
                "parameters": schema,
            },
        },
        {"type": "function", "function": {"name": "end"}},
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "find"}}
    assert body["parallel_tool_calls"] is False
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "team", "schema": schema, "strict": True},
    }
    assert body["messages"][1]["tool_calls"] == [
        {"id": "1", "type": "function", "function": {"name": "find", "arguments": '{"id":"7"}'}}
    ]
    assert body_of(bundle(tool_choice="required", response={"format": "json_object"}))[
        "response_format"
    ] == {"type": "json_object"}


def test_the_snapshot_is_asked_for_where_the_bundle_pins_one():
    model = {"provider": "fake", "id": "m", "snapshot": "m-2026-01-01"}
    assert body_of(bundle(model=model))["model"] == "m-2026-01-01"
    assert body_of(bundle(model={**model, "snapshot": None}))["model"] == "m"


def test_tool_calls_are_an_answer_even_without_text():
    call = {"id": "x", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    with serving(
        (200, {}, completion(choices=[{"finish_reason": "tool_calls", "message": message}]))
    ) as server:
        answer = ask(provider(server.url))
    assert (answer.output, answer.tool_calls, answer.finish_reason) == ("", (call,), "tool_calls")


def test_of_several_choices_the_first_is_the_output_and_usage_is_as_told():
    choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in ("one", "two")]
    with serving((200, {}, completion(choices=choices))) as server:
        answer = ask(provider(server.url), bundle(decoding={"n": 2}))
    assert (answer.output, answer.output_tokens) == ("one", 20)


def test_usage_that_is_missing_is_none():
    with serving((200, {}, {"choices": [{"message": {"content": "x"}}]})) as server:
        answer = ask(provider(server.url))
    assert (answer.output, answer.input_tokens, answer.model) == ("x", None, None)


@pytest.mark.parametrize(
    "first",
    [
        (429, {"Retry-After": "0.01"}, {"error": {"message": "slow down"}}),
        (500, {}, b"oops"),
        (503, {"Retry-After": "Wed, 21 Oct 2020 07:28:00 GMT"}, b""),
        (408, {}, b""),
    ],
)
def test_what_may_succeed_later_is_tried_again(first):
    with serving(first, first, OK) as server:
        answer = ask(provider(server.url))
        assert len(server.requests) == 3
    assert answer.output == "a0"


def test_tries_are_bounded_and_the_last_complaint_is_told():
    with serving((500, {}, {"error": {"message": "no\nroom"}})) as server:
        answer = ask(provider(server.url, tries=3))
        assert len(server.requests) == 3
    assert (answer.fault, answer.error) == ("provider", "HTTP 500: no room (3 tries)")


def test_a_wait_longer_than_allowed_is_not_waited_for():
    with serving((429, {"Retry-After": "3600"}, {"error": "later"})) as server:
        answer = ask(provider(server.url))
        assert len(server.requests) == 1
    assert (answer.fault, answer.error) == ("provider", "HTTP 429: later; asked to wait 3600 s")


def test_silence_is_a_timeout_that_is_tried_again():
    with serving(None, OK) as server:
        answer = ask(provider(server.url, timeout_s=0.2))
        assert len(server.requests) == 2
    assert answer.output == "a0"


def test_an_endpoint_that_stays_silent_is_the_providers_fault():
    with serving(None) as server:
        answer = ask(provider(server.url, timeout_s=0.05, tries=2))
    assert answer.fault == "provider"
    assert answer.error.startswith("no answer within 0.05 s")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_the_bundles_failure_with_the_servers_words(status):
    with serving((status, {}, {"error": {"message": "no such role"}})) as server:
        answer = ask(provider(server.url))
        assert len(server.requests) == 1
    assert (answer.fault, answer.error) == ("application", f"HTTP {status}: no such role")


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        (
            (401, {}, {"error": {"message": "bad key sk-secret"}}),
            r"refused the key \(HTTP 401; key from MY_KEY\)$",
        ),
        (
            (403, {}, {"detail": "not you, sk-secret"}),
            r"forbids it \(HTTP 403; key from MY_KEY\): not you, \*\*\*$",
        ),
        (
            (404, {}, {"error": {"message": "model `m-1` not found"}}),
            "no such model or path .*`m-1` not found",
        ),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), "answers with a redirect"),
        (
            (429, {}, {"error": {"code": "insufficient_quota", "message": "pay"}}),
            "no quota left .*: pay",
        ),
    ],
)
def test_what_no_call_can_mend_stops_the_run_and_never_shows_the_key(reply, complaint):
    with serving(reply) as server:
        one = provider(server.url, {"MY_KEY": "sk-secret"}, api_key_env="MY_KEY")
        with pytest.raises(ProviderError, match=complaint) as caught:
            ask(one)
        assert len(server.requests) == 1
        assert server.requests[0][0]["authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in str(caught.value) + caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"message": {"content": 5}}]},
        {"choices": [{"message": {"content": None}}]},
        {"choices": [{"message": None}]},
        {"choices": {"0": 1}},
        completion(usage=[1]),
        completion(usage={"prompt_tokens_details": 3}),
        completion(model={"a": 1}),
        completion(system_fingerprint=7),
        b'{"choices":[{"message":{"content":"x","tool_calls":5}}]}',
        b'{"choices":[{"message":{"content":"\\ud800"}}]}',
        b"[" * 100_000,
    ],
)
def test_a_malformed_answer_is_the_providers_fault(content):
    with serving((200, {}, content)) as server:
        answer = ask(provider(server.url))
    assert answer.output is None
    assert answer.fault == "provider"
    assert answer.error.startswith("malformed answer")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_an_endpoint_that_is_not_there_stops_the_eval_after_a_few_tries(tmp_path):
    url = f"http://127.0.0.1:{free_port()}/v1"
    arm = Arm("candidate", bundle(), provider(url, self_hosted=True))
    with pytest.raises(ProviderError, match=f"no answer from {url}: ") as caught:
        measure([arm], tmp_path, rows=cases(50), limits=runner.Limits(concurrency=4))
    assert "start the server" in caught.value.hint


def test_a_whole_eval_over_http_reuses_connections_and_its_runs(tmp_path):
    with serving(OK) as server:
        arm = Arm("candidate", bundle(), provider(server.url, self_hosted=True))
        first = measure([arm], tmp_path, rows=cases(4))
        again = measure([arm], tmp_path, rows=cases(4))
        assert len(server.requests) == 8
    assert (first.called, again.called, again.reused) == (8, 0, 8)
    assert first.cost_usd == 0
    assert first.providers == (
        {
            "arm": "candidate",
            "provider": "fake",
            "kind": "openai",
            "model": "m-1-2026",
            "fingerprint": "fp_1",
            "calls": 8,
        },
    )


@pytest.mark.parametrize(
    ("options", "environ", "complaint"),
    [
        ({}, {}, "needs a key: OPENAI_API_KEY is not set"),
        ({}, {"OPENAI_API_KEY": ""}, "needs a key"),
        ({"api_key_env": "MINE"}, {"OPENAI_API_KEY": "x"}, "needs a key: MINE is not set"),
        (
            {"base_url": "http://127.0.0.1:1/v1", "api_key_env": "MINE"},
            {},
            "needs a key: MINE is not set",
        ),
        (
            {"base_url": "https://models.example/v1"},
            {"OPENAI_API_KEY": "x"},
            "names no api_key_env for https://models.example/v1",
        ),
    ],
)
def test_a_key_that_is_not_there_is_named_before_any_call(options, environ, complaint):
    with pytest.raises(ProviderError, match=complaint) as caught:
        provider(environ=environ, **options)
    named = options.get("api_key_env", "OPENAI_API_KEY" if not options else "api_key_env under")
    assert named in caught.value.hint


def test_the_default_key_is_not_sent_to_a_server_that_did_not_ask_for_it():
    with serving(OK) as server:
        ask(provider(server.url, {"OPENAI_API_KEY": "sk-secret"}))
        assert "authorization" not in server.requests[0][0]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"base_url": "ftp://x"}, "base_url is 'ftp://x'"),
        ({"base_url": "http://user:pass@x/v1"}, "base_url"),
        ({"base_url": "http://x/v1?key=1"}, "base_url"),
        ({"base_url": "http://x:port/v1"}, "base_url"),
        ({"base_url": 5}, "base_url is 5"),
        ({"api_key": "sk-1"}, "unknown option 'api_key'"),
        ({"timeout_s": -1}, "timeout_s is -1"),
        ({"headers": {"Authorization": "x"}}, "header Authorization cannot be set"),
        ({"headers": {"x": "a\nb"}}, "headers is"),
        ({"headers": {"x": "é"}}, "headers is"),
        ({"headers": {"x y": "a"}}, "headers is"),
        ({"headers": {"X-Api-Key": "a"}}, "header X-Api-Key cannot be set"),
        ({"requests_per_minute": 0}, "requests_per_minute is 0"),
        ({"stream": 1}, "stream is 1"),
        ({"self_hosted": "yes"}, "self_hosted is 'yes'"),
    ],
)
def test_a_bad_option_is_refused(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        provider(environ={"OPENAI_API_KEY": "x"}, **options)


def test_the_identity_has_no_secret_and_names_the_endpoint():
    environ = {"OPENAI_API_KEY": "sk-secret"}
    assert provider(environ=environ).identity() == {
        "kind": "openai",
        "base_url": "https://api.openai.com/v1",
        "max_tokens_field": "max_completion_tokens",
    }
    assert "sk-secret" not in repr(provider(environ=environ).identity())


def test_headers_of_your_own_tell_connections_apart_without_being_told():
    environ = {"OPENAI_API_KEY": "sk-secret"}
    told = [
        provider(environ=environ, headers={name: value}).identity()
        for name, value in (("X-Beta", "long-context"), ("X-Beta", "off"), ("x-beta", "off"))
    ]
    assert told[0] != told[1] == told[2]
    assert "long-context" not in repr(told)


def test_a_key_with_a_line_break_is_trimmed_and_one_that_no_header_can_hold_is_not_told():
    with serving(OK) as server:
        ask(provider(server.url, {"K": " sk-secret\n"}, api_key_env="K"))
        assert server.requests[0][0]["authorization"] == "Bearer sk-secret"
        with pytest.raises(ProviderError, match="K holds characters") as caught:
            provider(server.url, {"K": "sk-\u00e9secret"}, api_key_env="K")
    assert "secret" not in str(caught.value)


def test_caches_on_the_way_are_asked_for_a_new_answer_unless_the_user_says_otherwise():
    with serving(OK) as server:
        ask(provider(server.url))
        ask(provider(server.url, headers={"Cache-Control": "max-age=60"}))
        assert [headers["cache-control"] for headers, _ in server.requests] == [
            "no-cache",
            "max-age=60",
        ]


def test_extra_headers_are_sent():
    with serving(OK) as server:
        ask(provider(server.url, headers={"X-Team": "support"}))
        assert server.requests[0][0]["x-team"] == "support"
