"""The reader in TypeScript computes what Python computes, and follows what llmvc writes."""

import json
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmvc.core import canon
from llmvc.errors import LlmvcError
from llmvc.places import Folder
from llmvc.runtime import Client
from llmvc.runtime.agent import Agent
from llmvc.runtime.refresh import Refresher
from llmvc.runtime.server import serve
from tests.laws.test_runtime_laws import PINS, UNITS, worlds
from tests.support.build import RepoBuilder
from tests.support.cli import Cli
from tests.support.snapshots import World, simple
from tests.support.strategies import json_values

VECTORS = Path(__file__).parent.parent / "vectors"


# The lengths of the official vectors, whose input is 0, 1, … 250 again and again.
@pytest.mark.parametrize(
    "length",
    [
        *(0, 1, 2, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 2048, 2049, 3072, 3073),
        *(4096, 4097, 5120, 5121, 6144, 7169, 8192, 8193, 16384, 31744, 102400),
    ],
)
def test_blake3_is_blake3(told, length: int) -> None:
    data = bytes(at % 251 for at in range(length))
    assert told("blake3", data.hex()) == blake3(data).hexdigest()


def test_units_fall_into_the_published_buckets(told) -> None:
    listed = json.loads((VECTORS / "assign.json").read_text())["buckets"]
    assert listed
    for one in listed:
        assert told("bucket", one["salt"], one["unit"]) == one["bucket"], one


def test_the_published_scenarios_are_answered_alike(told) -> None:
    vectors = json.loads((VECTORS / "resolve.json").read_text())
    assert vectors["scenarios"]
    for one in vectors["scenarios"]:
        found = told("scenario", {**one, "objects": vectors["objects"]})
        expected = one["refused"] or [call["expect"] for call in one["calls"]]
        assert found == expected, one["about"]


def test_the_published_requests_are_made_alike_or_refused(told) -> None:
    rows = json.loads((VECTORS / "render.json").read_text())["rows"]
    made = 0
    for row in rows:
        found = told("render", json.loads(row["bundle"]), row["variables"], row["api"])
        if found == "usage" and "body" in row:
            # The bodies of the other two APIs.
            assert json.loads(row["body"]).keys() & {"system", "input"}, row["about"]
            continue
        made += "body" in row
        expected = json.loads(row["body"]) if "body" in row else row["error"]
        assert found == expected, row["about"]
    assert made >= 8


def _answer(world: World, *asked: object) -> object:
    """Returns what Python's reader says, in the form of the other."""
    client = Client(Refresher(world, every_s=1, clock=lambda: 0.0), clock=lambda: 0.0)
    try:
        found = client.resolve(*asked)._asdict()
    except LlmvcError as err:
        return err.code
    return {name: value for name, value in found.items() if name not in ("bundle", "stale_s")}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    worlds(),
    st.tuples(
        st.sampled_from(("prod", "staging", "canary-0")), st.none() | st.just("") | UNITS, PINS
    ),
)
def test_both_readers_decide_alike(told, tmp_path_factory, world: World, asked: tuple) -> None:
    env, unit, drawn = asked
    releases = [one for chain in world.chains.values() for one in chain]
    pin = drawn
    if isinstance(drawn, int):
        one = releases[drawn % len(releases)]
        pin = f"p1:{one.env}:{one.seq}:{one.to}"
    place = world.write(tmp_path_factory.mktemp("world"))
    found = told("resolve", str(place), "support", {"env": env, "unit": unit, "pin": pin})
    assert found == _answer(world, "support", env, unit, pin)


TEXTS = ("Be {{ tone }}.", "\\{{x}} {{message}}{{message}}", "{{", "{{tone", "{{a.b}}", "{{other}}")
TOOL = {"name": "find", "description": "Finds.", "input_schema": {"type": "object"}}
ANSWER = {"format": "json_schema", "schema": {"type": "object"}, "strict": True}
CALL = {"id": "c1", "name": "find", "arguments": {"b": 1.5, "a": [1e-7, 2.5e8]}}
ASKS = {"role": "user", "content": "{{message}}"}
MORE = (
    {},
    {
        "decoding": {
            "max_output_tokens": 9,
            "stop": ["a"],
            "seed": 7,
            "reasoning": {"effort": "low"},
        }
    },
    {"decoding": {"extra": {"min_p": 0.1, "seed": 1}, "seed": None}},
    {
        "model": {"provider": "local", "id": "m", "snapshot": "m-1"},
        "decoding": {"max_output_tokens": 9},
    },
    {
        "model": {"provider": "canned"},
        "messages": [{"role": "assistant", "content": "{{message}}"}],
    },
    {"model": {"provider": "canned"}},
    {
        "tools": [TOOL, {"name": "bare"}],
        "tool_choice": {"name": "find"},
        "parallel_tool_calls": False,
    },
    {"tools": [TOOL], "tool_choice": "auto", "response": ANSWER},
    {"response": {**ANSWER, "name": "n", "description": "d"}},
    {"response": {"format": "json_object"}},
    {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "{{tone}}"}, {"type": "x"}]}
        ]
    },
    {
        "messages": [
            {"role": "assistant", "content": None, "tool_calls": [CALL, {"name": "bare"}]},
            ASKS,
        ]
    },
    {"messages": [{"role": "system", "content": "{{none}}", "engine": "none"}]},
    {"messages": []},
    {"few_shot": {"examples": [{"vars": {"message": "2"}, "output": "two"}, {"output": "x"}]}},
    {"few_shot": {"examples": [{"output": str(at)} for at in range(4)], "selector": {"k": 2}}},
    {
        "few_shot": {
            "examples": [{"output": "a"}, {"output": "b"}],
            "selector": {"order": "reversed"},
        }
    },
    {"few_shot": {"examples": []}, "messages": [{"role": "system", "content": "x"}]},
    {"variables": {"properties": {"tone": {"default": {"é": 1, "a": None}}, "other": {}}}},
    {"context": {"history": {"turns": 2}, "window": 100}},
)


def _both(told, body: dict, variables: dict) -> None:
    world = World()
    data = canon.encode({"llmvc": "bundle/1", "kind": "app", **body})
    world.release("support", "prod", world.add(data))
    client = Client(Refresher(world, every_s=1))
    try:
        expected: object = client.resolve("support").render(variables)
    except LlmvcError as err:
        expected = err.code
    assert told("render", json.loads(data), variables) == expected


@pytest.mark.parametrize("more", MORE, ids=range(len(MORE)))
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_both_readers_make_the_same_request(told, text: str, more: dict) -> None:
    body = {
        "messages": [{"role": "system", "content": text}, ASKS],
        "model": {"provider": "openai", "id": "gpt-5-mini"},
        **more,
    }
    _both(told, body, {"message": "hi {{tone}} $& $1", "tone": 1.0})


CALLS = [{"id": "c", "function": {"name": "find", "arguments": "{}"}}]
TURNS = st.lists(
    st.sampled_from(
        (
            {"role": "user", "content": "And where is it?"},
            {"role": "user", "content": [{"type": "tool_result", "content": "é"}]},
            {"role": "assistant", "content": "There."},
            {"role": "assistant", "content": "", "tool_calls": CALLS},
            {"role": "assistant", "content": "x", "tool_calls": []},
            {"role": "assistant", "content": None, "tool_calls": [{"name": "f", "arguments": {}}]},
            {"role": "tool", "content": "found", "tool_call_id": "c"},
        )
    ),
    max_size=6,
)
WINDOWS = st.fixed_dictionaries(
    {
        "history": st.fixed_dictionaries({}, optional={"turns": st.integers(0, 4)}),
        "max_input_tokens": st.integers(10, 150),
        "truncation": st.fixed_dictionaries(
            {"policy": st.just("drop_oldest")},
            optional={"order": st.permutations(["history", "few_shot"])},
        ),
    },
    optional={"window": st.integers(30, 150), "reserve_output": st.integers(0, 20)},
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WINDOWS, TURNS, st.sampled_from(({}, {"tools": [TOOL]}, {"response": ANSWER})))
def test_both_readers_leave_out_the_same(told, context: dict, turns: list, more: dict) -> None:
    body = {
        "messages": [{"role": "system", "content": "Be kind."}, ASKS],
        "few_shot": {"examples": [{"vars": {"message": "1"}, "output": "one"}] * 2},
        "model": {"provider": "openai", "id": "m"},
        "decoding": {"max_output_tokens": 8},
        "context": context,
        **more,
    }
    _both(told, body, {"message": "Hi", "history": turns})


@pytest.mark.parametrize(
    ("given", "context"),
    [
        ("no list", {}),
        ([{"role": "system", "content": "x"}], {}),
        (["x"], {}),
        ([{"role": "assistant", "tool_calls": [{"id": "no name"}]}], {}),
        ([{"role": "user", "content": "x"}], {"truncation": {"policy": "error"}, "window": 1}),
        (None, {}),
    ],
    ids=range(6),
)
def test_both_readers_take_the_same_histories(told, given: object, context: dict) -> None:
    body = {"messages": [ASKS], "model": {"id": "m"}, "context": {"history": {}, **context}}
    _both(told, body, {"message": "Hi", "history": given})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(json_values)
def test_both_readers_spell_a_value_alike(told, value: canon.Json) -> None:
    _both(told, {"messages": [ASKS], "model": {"id": "m"}}, {"message": value})


@pytest.mark.parametrize(
    ("more", "given"),
    [
        ({"messages": [{"role": "user", "content": "x", "engine": "jinja2"}]}, {}),
        ({"model": {"provider": "anthropic", "id": "m"}}, {}),
        ({"model": {"provider": "openai", "id": "m", "api": "responses"}}, {}),
        ({"context": {"tokenizer": "t", "truncation": {"policy": "drop_oldest"}}}, {}),
    ],
    ids=["jinja2", "messages", "responses", "tokenizer"],
)
def test_what_it_does_not_know_is_refused_not_left_out(told, more: dict, given: dict) -> None:
    body = {"messages": [{"role": "user", "content": "x"}], "model": {"id": "m"}, **more}
    assert told("render", body, given) == "usage"


def _forked(world: World) -> None:
    world.chains["support", "prod"].pop()
    world.release("support", "prod", world.bundle("forked"))
    world.release("support", "prod", world.bundle("on"))


def _newer(world: World) -> None:
    world.chains["support", "canary"] = []
    world.release("support", "canary", world.bundle("x"), "hurry")


@pytest.mark.parametrize(
    ("event", "problem"),
    [(_forked, "fork"), (_newer, "does not know")],
    ids=["forked", "newer"],
)
def test_what_may_not_follow_is_refused_and_what_was_good_is_served_on(
    tmp_path: Path, following, event, problem: str
) -> None:
    world, old, new = simple()
    world.release("support", "staging", old)
    world.release("support", "prod", new)
    talk = following(world.write(tmp_path))
    asked = {"bundle": "support"}
    before = talk(asked)
    assert (before["assignment"]["digest"], before["problem"]) == (new, None)
    event(world)
    world.write(tmp_path)
    after = talk(asked)
    assert after["assignment"] == before["assignment"]
    assert problem in after["problem"]


@pytest.mark.parametrize("what", ["went back", "is gone"])
def test_an_older_pointer_is_let_be_for_a_minute(told, tmp_path: Path, what: str) -> None:
    world, _, new = simple()
    before = world.write(tmp_path / "before")
    env = "prod" if what == "went back" else "staging"
    world.release("support", env, new)
    seq = world.chains["support", "prod"][-1].seq
    first, second, third = told("patience", str(world.write(tmp_path / "now")), str(before))
    assert (first, second, third[0]) == ([seq, None], [seq, None], seq)
    assert what in third[1]


@pytest.mark.parametrize("how", ["missing", "changed", "no JSON"])
def test_a_snapshot_is_taken_whole_or_not_at_all(tmp_path: Path, following, how: str) -> None:
    world, old, new = simple()
    talk = following(world.write(tmp_path))
    assert talk({"bundle": "support"})["problem"] is None
    world.release("support", "prod", new)
    world.write(tmp_path)
    path = tmp_path / "objects" / new[3:]
    if how == "missing":
        path.unlink()
    elif how == "changed":
        path.write_bytes(path.read_bytes().replace(b"new", b"NEW"))
    else:
        (tmp_path / "snapshot.json").write_bytes(b"{")
    found = talk({"bundle": "support"})
    assert found["assignment"]["digest"] == old
    assert found["problem"]


def test_it_follows_what_llmvc_writes_and_a_rollback_of_it(
    tmp_path: Path, monkeypatch, capsys, following
) -> None:
    repo = RepoBuilder(tmp_path / "repo").start()
    monkeypatch.chdir(repo.root)
    llmvc = Cli(capsys)
    for text in ("Repeat it.", "Say it again."):
        repo.prompt(text)
        llmvc("commit", "support", "-m", text)
        llmvc("override", "support", "prod", "--reason", "test")
    llmvc("snapshot", "--to", str(tmp_path / "serve"))
    talk = following(tmp_path / "serve")
    asked = {"bundle": "support", "unit": "u", "variables": {"message": "number 7"}}
    first = talk(asked)
    assert first["request"]["messages"][0]["content"] == "Say it again.\n"
    asked["pin"] = first["assignment"]["pin"]
    assert talk(asked)["assignment"]["arm"] == "pinned"
    llmvc("rollback", "support", "prod", "--no-push")
    llmvc("snapshot", "--to", str(tmp_path / "serve"))
    back = talk(asked)
    assert back["request"]["messages"][0]["content"] == "Repeat it.\n"
    assert (back["assignment"]["seq"], back["assignment"]["pinned"]) == (3, False)


def test_it_follows_an_agent_over_http(tmp_path: Path, following) -> None:
    world, old, new = simple()
    agent = Agent(world, Folder(tmp_path), "a world")
    agent.look()
    with serve(agent, "127.0.0.1:0") as url:
        talk = following(url)
        assert talk({"bundle": "support"})["assignment"]["digest"] == old
        world.release("support", "prod", new)
        agent.look()
        found = talk({"bundle": "support"})
        assert (found["assignment"]["digest"], found["problem"]) == (new, None)
        _forked(world)
        agent.look()
        assert agent.trouble is not None
        assert talk({"bundle": "support"})["assignment"]["digest"] == new
