"""The body that a service renders is the one that an eval sends, byte for byte."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import canon, digest, request
from llmvc.core.bundle import Bundle
from llmvc.core.suite import Case
from llmvc.errors import LlmvcError
from llmvc.evals import plan
from llmvc.evals.plan import Arm
from llmvc.evals.providers import connect
from llmvc.evals.providers.base import Call
from llmvc.evals.providers.chat import Chat
from llmvc.evals.providers.messages import Messages
from llmvc.evals.providers.responses import Responses
from llmvc.files.manifest import load_manifest
from llmvc.runtime.render import Served
from tests.support.strategies import json_values
from tests.unit.evals.wire import raw, reply
from tests.unit.evals.world import suite
from tests.unit.files.memory import MemoryFiles

EXAMPLES = Path(__file__).parents[3] / "examples"
DIALECTS = {"chat": Chat(), "responses": Responses(), "messages": Messages()}
WIRES = {"chat": "openai", "responses": "openai", "messages": "anthropic"}


def _examples() -> Iterator[tuple[str, Bundle]]:
    for path in sorted(EXAMPLES.rglob("bundle.yaml")):
        files = {
            f"prompts/x/{one.relative_to(path.parent)}": one.read_text("utf-8").replace("NAME", "x")
            for one in path.parent.rglob("*")
            if one.is_file()
        }
        found = load_manifest(MemoryFiles(files), "prompts/x/bundle.yaml").bundle
        yield str(path.parent.relative_to(EXAMPLES)), found


BUNDLES = dict(_examples())


def test_there_are_bundles_in_the_examples() -> None:
    assert {"new", "support/prompts/support", "judge/prompts/helpful-judge"} <= BUNDLES.keys()


def _case(bundle: Bundle) -> Case:
    """Returns a case with a value for each variable that a bundle's templates name."""
    named = re.findall(r"\{\{ *([a-z_]+) *\}\}", bundle.data.decode())
    return Case("c000", {name: f'{name}: "é" {{{{x}}}}' for name in named}, "a0")


def _asked(bundle: Bundle, api: str) -> Bundle:
    """Returns a bundle for an API, without what evals refuse to send there."""
    body = {key: value for key, value in bundle.body.items() if key not in ("llmvc", "kind")}
    body["model"] = {**canon.mapped(body["model"]), "api": api}
    if api == "messages" and "response" in body:
        told = canon.mapped(body["response"]).items()
        body["response"] = {key: value for key, value in told if key != "name"}
    decoding = {"max_output_tokens": 16, **canon.mapped(body.get("decoding"))}
    decoding.pop("seed", None)  # an eval draws one for each call
    return Bundle.of("app", {**body, "decoding": decoding})


@pytest.mark.parametrize("api", WIRES)
@pytest.mark.parametrize("name", BUNDLES)
def test_an_eval_of_an_example_sends_what_a_service_renders(name: str, api: str) -> None:
    bundle = _asked(BUNDLES[name], api)
    case = _case(bundle)
    with raw(reply({})) as server:
        options = {"base_url": server.url, "backoff_s": 0.001}
        one = connect("fake", WIRES[api], options, mode="chat", folder=Path(), environ={})
        made = plan.make([Arm("candidate", bundle, one)], [case], suite([case]))

        async def go() -> None:
            try:
                await one.answer(made.cases[0][0].call(0, None))
            finally:
                await one.aclose()

        asyncio.run(go())
    rendered = Served.of(bundle, {}).render(case.vars, api=api)
    assert server.asked[0] == canon.encode(rendered)


TEXT = st.text(st.characters(codec="utf-8"), max_size=8) | st.just("{{message}}")
PARTS = TEXT | st.lists(st.builds(lambda text: {"type": "text", "text": text}, TEXT), max_size=2)
CALLS = st.lists(
    st.fixed_dictionaries(
        {"id": TEXT, "name": TEXT}, optional={"arguments": st.dictionaries(TEXT, json_values)}
    ),
    max_size=2,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "developer", "user"]), "content": PARTS}
    )
    | st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": st.none() | PARTS}, optional={"tool_calls": CALLS}
    )
    | st.fixed_dictionaries({"role": st.just("tool"), "content": PARTS, "tool_call_id": TEXT}),
    min_size=1,
    max_size=5,
)
BODIES = st.fixed_dictionaries(
    {"messages": MESSAGES, "model": st.just({"provider": "vllm", "id": "m"})},
    optional={
        "decoding": st.fixed_dictionaries(
            {},
            optional={
                "seed": st.integers(0, 2**31),
                "max_output_tokens": st.integers(1, 99),
                "temperature": st.floats(0, 2),
                "stop": st.lists(TEXT, max_size=2),
                "logprobs": st.booleans() | st.none(),
                "reasoning": st.dictionaries(st.sampled_from(["effort", "budget"]), json_values),
                "extra": st.dictionaries(TEXT, json_values, max_size=2),
            },
        ),
        "tools": st.lists(
            st.fixed_dictionaries(
                {"name": TEXT}, optional={"input_schema": json_values, "strict": st.booleans()}
            ),
            max_size=2,
        ),
        "tool_choice": st.sampled_from(["auto", "none", "required"]) | st.just({"name": "find"}),
        "parallel_tool_calls": st.booleans() | st.none(),
        "response": st.fixed_dictionaries(
            {"format": st.sampled_from(["text", "json_object", "json_schema"])},
            optional={"schema": json_values, "name": TEXT, "strict": st.booleans()},
        ),
        "few_shot": st.just({"examples": [{"vars": {"message": "1"}, "output": "one"}] * 2}),
        "context": st.just(
            {"history": {}, "max_input_tokens": 60, "truncation": {"policy": "drop_oldest"}}
        ),
    },
)
TURNS = [
    {"role": "user", "content": "Where is it? " * 5},
    {"role": "assistant", "content": "There"},
]


def _bytes(made: object) -> bytes | str:
    try:
        return canon.encode(made())
    except LlmvcError as err:
        return str(err)


@given(BODIES, st.sampled_from(sorted(DIALECTS)), json_values)
def test_an_eval_of_any_bundle_sends_what_a_service_renders(
    body: dict, api: str, message: canon.Json
) -> None:
    bundle = Bundle.of("app", body)
    variables = {"message": message, "history": TURNS}

    def sent() -> canon.Json:
        built = request.make(bundle, variables).request
        seed = canon.mapped(body.get("decoding")).get("seed")
        case = Case("c", variables, None)
        return DIALECTS[api].body(Call(built, digest.of_value(built), case, 0, seed, bundle))

    assert _bytes(lambda: Served.of(bundle, {}).render(variables, api=api)) == _bytes(sent)
