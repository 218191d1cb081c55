"""What may become a snapshot, and what is refused whole."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import digest, pointer
from llmvc.core.bundle import Bundle
from llmvc.core.canon import encode
from llmvc.errors import FormatError, IntegrityError, LlmvcError, NotFoundError
from llmvc.runtime import snapshot
from tests.support.snapshots import World, simple


def _load(world: World, last: snapshot.Snapshot | None = None) -> snapshot.Snapshot:
    return snapshot.load(world.data(), world.object, last=last)


def test_a_snapshot_holds_what_every_environment_serves() -> None:
    world, old, new = simple()
    world.release("orders", "staging", new)
    found = _load(world)
    assert found.seqs == {("support", "prod"): 1, ("orders", "staging"): 1}
    assert found.pinnable == {"support": {old}, "orders": {new}}
    assert found.digest == digest.of_bytes(world.data())


def test_what_the_last_snapshot_held_is_not_read_again() -> None:
    world, _, new = simple()
    first = _load(world)
    world.reads.clear()
    tip = world.release("support", "prod", new)
    second = _load(world, first)
    assert sorted(world.reads) == sorted(map(digest.hex_of, (tip.digest, new)))
    world.reads.clear()
    assert _load(world, second).pointer == second.pointer
    assert not world.reads


def _changed(**members: object) -> Callable[[dict], object]:
    return lambda value: value | members


def _tip(**members: object) -> Callable[[dict], object]:
    def change(value: dict) -> object:
        value["environments"]["support"]["prod"] |= members
        return value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_changed(more=1), "does not know"),
        (lambda value: {"llmvc": value["llmvc"], "environments": {}}, "lacks a member"),
        (_changed(llmvc="snapshot/2"), "not a snapshot/1"),
        (_changed(environments=[]), "no object"),
        (_changed(bundles=[]), "no object"),
        (_changed(bundles={}), "do not name the same"),
        (_changed(bundles={"support": "b3"}), "no list"),
        (_changed(bundles={"support": ["../../etc/passwd"]}), "not a digest"),
        (_changed(environments={"../x": {}}), "no environments"),
        (_changed(environments={"support": {}}), "no environments"),
        (_changed(environments={"support": {"../prod": {"seq": 1, "release": "x"}}}), "no seq"),
        (_changed(environments={"support": {"prod": 7}}), "no seq"),
        (_tip(seq=0), "no seq"),
        (_tip(seq=True), "no seq"),
        (_tip(seq="1"), "no seq"),
        (_tip(seq=1.5), "no seq"),
        (_tip(release=None), "not a digest"),
        (_tip(release="b3:" + "../" * 21 + "a"), "not a digest"),
        (_tip(more=1), "no seq"),
        (lambda _: [], "not a snapshot/1"),
    ],
)
def test_a_pointer_of_another_form_is_refused(
    change: Callable[[dict], object], message: str
) -> None:
    value = change(json.loads(simple()[0].data()))
    with pytest.raises(FormatError, match=message):
        pointer.read(encode(value))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"{}" * 9, b'{"llmvc":"a","llmvc":"b"}'])
def test_bytes_that_are_no_pointer_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        pointer.read(data)


def test_a_huge_pointer_is_refused_before_it_is_read() -> None:
    with pytest.raises(FormatError, match="more than"):
        pointer.read(b" " * (pointer.MOST + 1))


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_what_is_meant(data: bytes) -> None:
    with pytest.raises(LlmvcError):
        snapshot.load(data, World().object)


@pytest.mark.parametrize("which", ["release", "bundle"])
def test_a_missing_object_refuses_the_snapshot(which: str) -> None:
    world, old, _ = simple()
    lost = old if which == "bundle" else world.chains["support", "prod"][-1].digest
    del world.objects[digest.hex_of(lost)]
    with pytest.raises(NotFoundError, match="missing"):
        _load(world)


@pytest.mark.parametrize("which", ["release", "bundle"])
def test_a_changed_object_refuses_the_snapshot(which: str) -> None:
    world, old, _ = simple()
    changed = digest.hex_of(
        old if which == "bundle" else world.chains["support", "prod"][-1].digest
    )
    world.objects[changed] = world.objects[changed].replace(b"o", b"0", 1)
    with pytest.raises(IntegrityError, match="not what its name says"):
        _load(world)


def test_an_asset_of_a_member_of_a_set_is_needed_and_checked() -> None:
    world = World()
    asset = world.add(b"{{ name }}")
    member = world.bundle("m", assets={"greeting": asset})
    both = world.add(Bundle.of("set", {"members": {"first": member}}).data)
    world.release("team", "prod", both)
    assert _load(world).served[both].member("first").texts == {"greeting": "{{ name }}"}
    world.objects[digest.hex_of(asset)] = b"other"
    with pytest.raises(IntegrityError):
        _load(world)


def test_an_object_that_is_no_bundle_is_refused() -> None:
    world = World()
    world.release("support", "prod", world.add(b'{"llmvc":"suite/1"}'))
    with pytest.raises(FormatError, match="not a bundle/1"):
        _load(world)


def test_a_record_of_another_name_is_refused() -> None:
    world, _, new = simple()
    world.release("orders", "prod", new)
    value = json.loads(world.data())
    value["environments"]["support"]["prod"] = value["environments"]["orders"]["prod"]
    with pytest.raises(IntegrityError, match="support/prod release 1 is in truth orders/prod"):
        snapshot.load(encode(value), world.object)


def test_a_lower_seq_is_refused() -> None:
    world, old, new = simple()
    older = world.data()
    world.release("support", "prod", new)
    with pytest.raises(IntegrityError, match="went back from release 2 to 1"):
        snapshot.load(older, world.object, last=_load(world))
    assert old


def test_a_lost_environment_is_refused() -> None:
    world, _, new = simple()
    world.release("support", "staging", new)
    last = _load(world)
    del world.chains["support", "staging"]
    with pytest.raises(IntegrityError, match="support/staging is gone"):
        _load(world, last)


def _fork(at: int, length: int) -> tuple[World, snapshot.Snapshot]:
    """Returns a world that was rewound to release `at` and then went on, and what it was before."""
    world, old, new = simple()
    for turn in range(4):
        world.release("support", "prod", new if turn % 2 else old)
    last = _load(world)
    chain = world.chains["support", "prod"]
    del chain[at:]
    for _ in range(length):
        world.release("support", "prod", new, reason="other")
    return world, last


@pytest.mark.parametrize(("at", "length"), [(4, 1), (4, 3), (1, 4), (2, 30), (4, 32)])
def test_a_fork_is_refused_however_far_it_has_gone(at: int, length: int) -> None:
    world, last = _fork(at, length)
    with pytest.raises(IntegrityError, match=r"support/prod is forked.*release 5"):
        _load(world, last)


def test_a_chain_that_went_on_further_than_a_snapshot_holds_is_taken() -> None:
    world, last = _fork(4, 40)
    assert _load(world, last).seqs["support", "prod"] == 44


def test_a_record_that_does_not_follow_its_previous_one_is_refused() -> None:
    world, _, new = simple()
    last = _load(world)
    world.release("support", "prod", new)
    world.release("support", "prod", new, seq=5)
    with pytest.raises(IntegrityError, match="does not follow"):
        _load(world, last)


def test_history_brings_the_records_before() -> None:
    world, old, new = simple()
    for turn in range(40):
        world.release("support", "prod", old if turn % 2 else new)
    found = snapshot.load(world.data(), world.object, history=True)
    records = {digest.of_bytes(item.to_bytes()) for item in world.chains["support", "prod"][-32:]}
    assert records <= set(found.objects)
    assert len(found.objects) == len(records) + 2
