"""Laws of serving, over worlds that chance makes up."""

from hypothesis import given
from hypothesis import strategies as st

from llmvc.runtime import Client, bucket
from llmvc.runtime.pins import Pin
from llmvc.runtime.refresh import Refresher
from llmvc.runtime.routes import counting
from llmvc.runtime.snapshot import load
from tests.support.snapshots import PLAN, World

UNITS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
PINS = st.none() | st.integers(0, 5) | st.text(max_size=30)


def _clock() -> float:
    return 0.0


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A bundle with a prod and perhaps a staging that moved back and forth, and perhaps canaries."""
    world = World()
    versions = [world.bundle(f"version {at}") for at in range(4)]
    for env in draw(st.sampled_from([("prod",), ("prod", "staging")])):
        world.release("support", env, versions[0])
        for _ in range(draw(st.integers(0, 4))):
            to = draw(st.sampled_from(versions))
            if draw(st.booleans()):
                world.rollback("support", to, env, drain=draw(st.booleans()))
            else:
                world.release("support", env, to)
    for at in range(draw(st.integers(0, 2))):
        world.canary(
            "support",
            draw(st.sampled_from(versions)),
            share_ppm=draw(st.sampled_from(PLAN.steps)),
            env=f"canary-{at}",
            of=draw(st.sampled_from(sorted(env for _, env in world.chains))),
            salt=draw(st.text("0123456789abcdef", min_size=16, max_size=16)),
        )
    return world


def _pin(world: World, drawn: object) -> str | None:
    if isinstance(drawn, int):
        chain = [one for listed in world.chains.values() for one in listed]
        release = chain[drawn % len(chain)]
        return str(Pin(release.env, release.seq, release.to))
    return drawn if isinstance(drawn, str) else None


@given(worlds(), UNITS, PINS)
def test_two_processes_decide_alike_and_twice_alike(world: World, unit: str, drawn: object) -> None:
    clients = [Client(Refresher(world, every_s=1, clock=_clock), clock=_clock) for _ in range(2)]
    pin = _pin(world, drawn)
    first, *others = [client.resolve("support", "prod", unit, pin) for client in 2 * clients]
    assert all(one == first for one in others)
    assert len({first, *others}) == 1


@given(worlds(), UNITS, PINS)
def test_what_is_served_was_released_and_no_pin_outlives_its_revocation(
    world: World, unit: str, drawn: object
) -> None:
    client = Client(Refresher(world, every_s=1, clock=_clock), clock=_clock)
    found = client.resolve("support", "prod", unit, _pin(world, drawn))
    tips = {env: chain[-1] for (_, env), chain in world.chains.items()}
    if found.pinned:
        assert found.digest not in tips["prod"].revoked
        assert found.digest not in tips[found.pin.split(":")[1]].revoked
    elif found.rollout:
        assert found.digest in {one.to for one in tips.values()}
    else:
        assert found.digest == tips["prod"].to


@given(worlds(), UNITS)
def test_the_pin_that_was_given_gives_the_same_bundle(world: World, unit: str) -> None:
    client = Client(Refresher(world, every_s=1, clock=_clock), clock=_clock)
    first = client.resolve("support", "prod", unit)
    again = client.resolve("support", "prod", unit, first.pin)
    assert again.digest == first.digest


@given(worlds(), UNITS)
def test_a_canary_that_counts_decides_by_the_published_bucket(world: World, unit: str) -> None:
    taken = load(world.data(), world.object)
    counts = counting(taken).get(("support", "prod"))
    found = Client(Refresher(world, every_s=1, clock=_clock), clock=_clock).resolve(
        "support", "prod", unit
    )
    assert (found.rollout is not None) == (counts is not None)
    if counts is not None:
        _, canary = counts
        inside = bucket(canary.salt, unit) < canary.share_ppm
        assert found.arm == ("canary" if inside else "baseline")


@given(worlds())
def test_a_snapshot_read_after_another_is_the_one_read_at_once(world: World) -> None:
    first = load(world.data(), world.object)
    world.release("support", "prod", world.bundle("last"))
    assert load(world.data(), world.object, last=first) == load(world.data(), world.object)
