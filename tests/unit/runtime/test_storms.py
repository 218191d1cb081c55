"""Many threads, many swaps, and folders that change under a reader."""

import gc
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmvc import runtime
from llmvc.core import digest
from llmvc.core.bundle import Bundle
from llmvc.errors import LlmvcError
from llmvc.runtime import Client, snapshot
from llmvc.runtime.snapshot import Snapshot
from tests.support.snapshots import World, simple

Open = Callable[..., Client]


@pytest.fixture
def eager() -> Iterator[None]:
    """Lets threads take turns as often as can be."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("threads", "swaps"), [(8, 300), pytest.param(64, 10_000, marks=pytest.mark.slow)]
)
def test_each_assignment_is_wholly_of_one_snapshot_and_nothing_is_left_over(
    opened: Open, threads: int, swaps: int
) -> None:
    world, old, new = simple()
    served = {1: (world.chains["support", "prod"][0].digest, old)}
    client = opened(world)
    done, wrong, asked = threading.Event(), list[object](), [0] * threads

    def ask(at: int) -> None:
        seq = 0
        while not done.is_set():
            found = client.resolve("support", unit="u")
            release, to = served[found.seq]
            whole = (found.release, found.digest, found.bundle.digest, found.pin)
            if whole != (release, to, to, f"p1:prod:{found.seq}:{to}") or found.seq < seq:
                wrong.append(found)
            seq = found.seq
            asked[at] += 1
            done.wait(0.001)  # else those who only ask would keep the swaps waiting

    before = threading.active_count()
    asking = [threading.Thread(target=ask, args=(at,)) for at in range(threads)]
    for one in asking:
        one.start()
    chain = world.chains["support", "prod"]
    for swap in range(swaps):
        tip = world.release("support", "prod", old if swap % 2 else new)
        served[tip.seq] = (tip.digest, tip.to)
        if len(chain) > 2:
            del world.objects[digest.hex_of(chain.pop(0).digest)]
        assert client.refresh().ok
    done.set()
    for one in asking:
        one.join()
    assert not wrong
    assert min(asked) > 0
    assert client.resolve("support").seq == swaps + 1
    assert threading.active_count() == before
    gc.collect()
    held = [one for one in gc.get_objects() if type(one) is Snapshot]
    assert sum(one.pointer == client.snapshot.pointer for one in held) == 1
    assert len(client.snapshot.objects) <= 5  # two bundles, and records; not all that ever was


def _rich() -> tuple[World, dict[str, digest.Digest]]:
    """Returns a world with an object of every kind, and the digests of these."""
    world = World()
    asset, other = world.add(b"{{ name }}"), world.add(b"Hello")
    member = world.bundle("member", assets={"greeting": asset})
    plain = world.bundle("plain", assets={"other": other})
    whole = world.add(Bundle.of("set", {"members": {"first": member}}).data)
    listed = world.bundle("was served lately")
    world.release("support", "prod", listed)
    world.release("support", "prod", plain)
    world.release("team", "prod", whole)
    candidate = world.bundle("candidate")
    canary = world.canary("support", candidate, share_ppm=50_000)
    tip = world.chains["support", "prod"][-1].digest
    kinds = {
        "release": tip,
        "canary": canary.digest,
        "candidate": candidate,
        "bundle": plain,
        "asset": other,
        "set": whole,
        "member": member,
        "member's asset": asset,
        "pinnable": listed,
    }
    return world, kinds


@pytest.mark.parametrize("how", ["missing", "corrupt", "cut", "empty"])
@pytest.mark.parametrize("kind", _rich()[1])
def test_one_object_of_any_kind_that_is_wrong_refuses_all(
    tmp_path: Path, kind: str, how: str
) -> None:
    world, kinds = _rich()
    path = world.write(tmp_path) / "objects" / digest.hex_of(kinds[kind])
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes({"corrupt": data[:-1] + b"?", "cut": data[:-1], "empty": b""}[how])
    with pytest.raises(LlmvcError, match=r"missing|not what its name says"):
        runtime.open(tmp_path)
    path.write_bytes(data)
    with runtime.open(tmp_path, every_s=3600) as client:
        assert client.health.ok


def test_an_earlier_record_that_is_wrong_refuses_what_follows() -> None:
    world, old, new = simple()
    last = snapshot.load(world.data(), world.object)
    between = world.release("support", "prod", new)
    world.release("support", "prod", old)
    world.objects[digest.hex_of(between.digest)] = b"{}"
    with pytest.raises(LlmvcError, match="not what its name says"):
        snapshot.load(world.data(), world.object, last=last)


def test_reading_writes_nothing(tmp_path: Path) -> None:
    simple()[0].write(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path, *tmp_path.rglob("*"))}
    with runtime.open(tmp_path, every_s=3600) as client:
        client.resolve("support").render({"message": "hi"})
        assert client.refresh().ok
    assert {path: path.stat().st_mtime_ns for path in (tmp_path, *tmp_path.rglob("*"))} == before


def test_a_folder_that_is_swapped_is_followed_and_a_stranger_is_refused(tmp_path: Path) -> None:
    world, _, new = simple()
    stranger = World()
    stranger.release("support", "prod", stranger.bundle("another history"))
    serve = world.write(tmp_path / "serve")
    with runtime.open(serve, every_s=3600) as client:
        world.release("support", "prod", new)
        for put, ok, seq in ((stranger, False, 1), (world, True, 2), (None, False, 2)):
            shutil.rmtree(serve)
            if put is not None:
                put.write(tmp_path / "next").rename(serve)
            health = client.refresh()
            assert (health.ok, health.seqs) == (ok, {"support/prod": seq})
            assert client.resolve("support").seq == seq
        assert "holds no snapshot" in str(client.health.problem)
