"""The other faces of a client: asyncio, OpenFeature and flagd."""

import asyncio
import re
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import pytest

from llmvc import runtime
from llmvc.errors import NotFoundError, StoreError
from llmvc.runtime import Assignment, Client, Health, aio, bucket, flagd
from tests.support.snapshots import NEARLY_ALL, SALT, simple

Open = Callable[..., Client]


def test_asyncio_waits_for_a_release(tmp_path: Path) -> None:
    world, old, new = simple()
    world.write(tmp_path)

    async def go() -> str:
        async with aio.open(tmp_path, every_s=0.01) as client:
            assert client.resolve("support").digest == old
            world.release("support", "prod", new)
            world.write(tmp_path)
            await client.wait_for(2, "support", timeout_s=10)
            assert (await client.refresh()).ok
            assert client.health.seqs == {"support/prod": 2}
            return client.resolve("support", unit="u").digest

    assert asyncio.run(go()) == new


def test_asyncio_gives_up_in_time_and_says_where_it_is(tmp_path: Path) -> None:
    simple()[0].write(tmp_path)

    async def go() -> None:
        async with aio.open(tmp_path) as client:
            await client.wait_for(2, "support", timeout_s=0.05)

    with pytest.raises(StoreError, match="support/prod is at release 1, not 2"):
        asyncio.run(go())


def _flag(client: Client) -> dict:
    return flagd.export(client.snapshot, "support")["flags"]["support/prod"]


def _ruled(rule: object, context: dict) -> object:
    """Computes the few operations of JsonLogic that a flag uses, null as JavaScript has it."""
    if not isinstance(rule, dict):
        return rule
    ((name, args),) = rule.items()
    if name == "var":
        return context.get(args)
    values = [_ruled(one, context) for one in args]
    if name == "if":
        return values[1] if values[0] else values[2]
    if name == "and":
        return all(values)
    if name == "!==":
        return values[0] is not values[1]
    assert name == "<"
    return (values[0] or 0) < values[1]


def test_a_flag_of_an_environment_without_a_canary_has_no_rule(opened: Open) -> None:
    world, old, _ = simple()
    flag = _flag(opened(world))
    assert flag["variants"] == {"baseline": old}
    assert flag["defaultVariant"] == "baseline"
    assert "targeting" not in flag


def test_a_flag_decides_as_resolve_does(opened: Open) -> None:
    world, old, new = simple()
    world.canary("support", new, share_ppm=250_000)
    client = opened(world)
    flag = _flag(client)
    assert flag["variants"] == {"baseline": old, "canary": new}
    for at in range(200):
        unit = f"unit-{at}"
        drawn = {"llmvc_bucket": bucket(flag["metadata"]["salt"], unit)}
        assert _ruled(flag["targeting"], drawn) == client.resolve("support", unit=unit).arm
    assert flag["metadata"]["salt"] == SALT
    assert _ruled(flag["targeting"], {}) == "baseline"
    with pytest.raises(NotFoundError):
        flagd.export(client.snapshot, "support", "staging")


def test_every_public_name_stands_in_its_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "runtime.md").read_text("utf-8")
    public = page.split("## What is public")[1]
    members = [name for name in vars(Client) if not name.startswith("_")]
    fields = [*Assignment._fields, *Health._fields]
    members += [name for name in vars(aio.AsyncClient) if not name.startswith("_")]
    asked = [*signature(runtime.open).parameters, *signature(Client.resolve).parameters]
    for name in (*runtime.__all__, *aio.__all__, *members, *asked, *fields):
        assert name == "self" or re.search(rf"\b{name}\b", public), name
    assert all(f"`{name}`" in page for name in fields)


def test_open_feature_answers_from_the_client(opened: Open) -> None:
    pytest.importorskip("openfeature")
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.exception import ErrorCode
    from openfeature.flag_evaluation import Reason

    from llmvc.runtime.openfeature import Provider

    world, old, new = simple()
    world.canary("support", new, share_ppm=NEARLY_ALL)
    client = opened(world)
    provider = Provider(client)
    context = EvaluationContext("u")
    text = provider.resolve_string_details("support/prod", "none", context)
    assert (text.value, text.variant, text.reason) == (new, "canary", Reason.SPLIT)
    assert (
        provider.resolve_boolean_details(
            "support", default_value=False, evaluation_context=context
        ).value
        is True
    )
    assert provider.resolve_integer_details("support", 0, context).value == 1
    told = provider.resolve_object_details("support", {}, context).value
    assert told["pin"] == text.flag_metadata["pin"] == f"p1:canary:1:{new}"
    pinned = EvaluationContext("u", {"llmvc_pin": f"p1:prod:1:{old}"})
    assert provider.resolve_string_details("support", "none", pinned).variant == "pinned"
    nobody = provider.resolve_boolean_details("support", default_value=True)
    assert (nobody.value, nobody.reason) == (False, Reason.STATIC)
    lost = provider.resolve_string_details("other", "none", context)
    assert (lost.value, lost.error_code) == ("none", ErrorCode.FLAG_NOT_FOUND)
    assert provider.resolve_float_details("support", 0.5).error_code == ErrorCode.TYPE_MISMATCH
    assert provider.get_metadata().name == "llmvc"
    refusing = Provider(opened(world, on_no_unit="raise"))
    for resolve, default in (
        (refusing.resolve_string_details, "x"),
        (refusing.resolve_integer_details, 3),
        (refusing.resolve_object_details, {}),
        (refusing.resolve_boolean_details, False),
    ):
        found = resolve("support", default)
        assert (found.value, found.error_code) == (default, ErrorCode.TARGETING_KEY_MISSING)
