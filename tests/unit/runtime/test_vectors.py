"""The published vectors of serving hold, read as another program would read them."""

import json
from collections.abc import Callable, Iterable

import pytest

from llmvc.core import canon
from llmvc.core.bundle import Bundle
from llmvc.errors import LlmvcError, NotFoundError
from llmvc.runtime import Assignment, Client
from llmvc.runtime.refresh import Refresher
from llmvc.runtime.render import Served
from llmvc.runtime.snapshot import load
from tests.vectors import serving

RESOLVE, RENDER = (
    json.loads((serving.HERE / f"{name}.json").read_text("utf-8")) for name in ("resolve", "render")
)


def test_the_vectors_are_what_their_worlds_make() -> None:
    assert serving.resolving() == RESOLVE
    assert serving.rendering() == RENDER


class _Files:
    """A scenario as a source."""

    def __init__(self, pointer: str) -> None:
        self._pointer = pointer.encode()

    def pointer(self, _: str | None) -> tuple[bytes, str]:
        return self._pointer, "tag"

    def object(self, name: str) -> bytes:
        if name not in RESOLVE["objects"]:
            raise NotFoundError(name)
        return RESOLVE["objects"][name].encode()

    def checked(self) -> None:
        """Says nothing."""

    def close(self) -> None:
        """Holds nothing."""


def _said(resolve: Callable[[], Assignment], wanted: Iterable[str]) -> dict:
    try:
        found = resolve()
    except LlmvcError as err:
        return {"error": err.code}
    return {name: getattr(found, name) for name in wanted}


@pytest.mark.parametrize("scenario", RESOLVE["scenarios"], ids=lambda one: one["about"][:40])
def test_a_scenario_is_served_as_published(scenario: dict) -> None:
    source = _Files(scenario["pointer"])
    before = scenario["before"]
    last = load(before.encode(), source.object) if before else None
    if scenario["refused"]:
        with pytest.raises(LlmvcError) as refused:
            load(scenario["pointer"].encode(), source.object, last=last)
        assert refused.value.code == scenario["refused"]
        return
    now = [0.0]
    for call in scenario["calls"]:
        now[0] = 0.0
        client = Client(
            Refresher(source, every_s=1, clock=lambda: now[0]),
            max_age_s=call["max_age_s"],
            on_stale=call["on_stale"],
            on_no_unit=call["on_no_unit"] or "baseline",
            clock=lambda: now[0],
        )
        now[0] = call["age_s"] or 0.0
        arguments = (call["bundle"], call["env"], call["unit"], call["pin"])
        assert _said(lambda: client.resolve(*arguments), call["expect"]) == call["expect"]  # noqa: B023 (called at once)


@pytest.mark.parametrize("arm", ["baseline", "canary", "pinned"])
def test_every_arm_and_every_share_stands_in_the_vectors(arm: str) -> None:
    calls = [call for scenario in RESOLVE["scenarios"] for call in scenario["calls"]]
    assert any(call["expect"].get("arm") == arm for call in calls)
    for scenario in RESOLVE["scenarios"][1:3]:
        assert {"baseline", "canary"} <= {call["expect"].get("arm") for call in scenario["calls"]}


@pytest.mark.parametrize("row", RENDER["rows"], ids=lambda one: f"{one['about'][:40]} {one['api']}")
def test_a_body_is_the_published_one(row: dict) -> None:
    served = Served.of(Bundle.from_bytes(row["bundle"].encode()), {})
    try:
        found = {"body": canon.encode(served.render(row["variables"], api=row["api"])).decode()}
    except LlmvcError as err:
        found = {"error": err.code}
    assert {name: row[name] for name in ("body", "error") if name in row} == found
