"""What is served: the published rules, one by one."""

from collections.abc import Callable

import pytest

from llmvc.core.bucket import last_in
from llmvc.errors import NotFoundError, StoreError, UsageError
from llmvc.runtime import Client, bucket
from llmvc.runtime.refresh import Refresher
from tests.support.snapshots import NEARLY_ALL, SALT, World, simple

Open = Callable[..., Client]


def _unit(*, inside: bool, share_ppm: int, salt: str = SALT) -> str:
    names = (f"unit-{at}" for at in range(10_000))
    return next(name for name in names if (bucket(salt, name) < share_ppm) == inside)


IN, OUT = (_unit(inside=inside, share_ppm=50_000) for inside in (True, False))


def test_without_a_canary_the_environment_is_served(opened: Open) -> None:
    world, old, _ = simple()
    found = opened(world).resolve("support", unit="u")
    tip = world.chains["support", "prod"][-1]
    assert (found.name, found.env, found.arm, found.digest) == ("support", "prod", "baseline", old)
    assert (found.release, found.seq, found.rollout) == (tip.digest, 1, None)
    assert (found.pin, found.pinned, found.unit) == (f"p1:prod:1:{old}", False, "u")
    assert found.bundle.digest == old


@pytest.mark.parametrize(
    ("bundle", "env"), [("support", "staging"), ("other", "prod"), ("", ""), ("support", "../prod")]
)
def test_what_has_no_release_is_not_found(opened: Open, bundle: str, env: str) -> None:
    with pytest.raises(NotFoundError, match="no release"):
        opened(simple()[0]).resolve(bundle, env)


@pytest.mark.parametrize("unit", ["", 5, b"u", "\ud800"], ids=repr)
@pytest.mark.parametrize("share_ppm", [0, 50_000], ids=["no canary", "canary"])
def test_a_unit_that_no_canary_could_take_is_refused_before_one_is_open(
    opened: Open, share_ppm: int, unit: object
) -> None:
    world, _, new = simple()
    if share_ppm:
        world.canary("support", new, share_ppm=share_ppm)
    with pytest.raises(UsageError, match="unit"):
        opened(world).resolve("support", unit=unit)


def test_a_canary_takes_the_units_below_its_share(opened: Open) -> None:
    world, old, new = simple()
    start = world.canary("support", new, share_ppm=50_000)
    client = opened(world)
    for unit, arm, to in ((IN, "canary", new), (OUT, "baseline", old)):
        found = client.resolve("support", unit=unit)
        assert (found.arm, found.digest, found.env) == (arm, to, "prod")
        # The canary's release decided for both arms, so that events name the step they belong to.
        assert (found.release, found.seq, found.rollout) == (start.digest, 1, SALT)
        assert found.pin == f"p1:canary:1:{to}"


def test_a_step_widens_and_keeps_those_that_were_in(opened: Open) -> None:
    world, _, new = simple()
    world.canary("support", new, share_ppm=50_000)
    client = opened(world)
    units = [f"unit-{at}" for at in range(500)]
    before = {one for one in units if client.resolve("support", unit=one).arm == "canary"}
    world.canary("support", new, share_ppm=250_000, kind="step")
    client.refresh()
    after = {one for one in units if client.resolve("support", unit=one).arm == "canary"}
    assert before < after


def test_without_a_unit_nobody_is_put_into_a_canary(opened: Open) -> None:
    world, old, new = simple()
    world.canary("support", new, share_ppm=NEARLY_ALL)
    found = opened(world).resolve("support")
    assert (found.arm, found.digest, found.rollout) == ("baseline", old, None)


def test_without_a_unit_a_client_may_refuse(opened: Open) -> None:
    world, old, new = simple()
    client = opened(world, on_no_unit="raise")
    assert client.resolve("support").digest == old
    world.canary("support", new, share_ppm=50_000)
    client.refresh()
    with pytest.raises(UsageError, match="there is no unit"):
        client.resolve("support")


def _prod_moves(world: World) -> None:
    world.release("support", "prod", world.bundle("third"))


def _second_canary(world: World) -> None:
    new = world.bundle("fourth")
    world.canary("support", new, share_ppm=NEARLY_ALL, env="canary-2")


def _prod_ahead(world: World) -> None:
    tip = world.chains["support", "canary"][-1]
    world.canary(
        "support", tip.to, share_ppm=NEARLY_ALL, kind="pause", baseline=tip.digest, salt=SALT
    )


def _of_another(world: World) -> None:
    tip = world.chains["support", "canary"][-1]
    world.chains["support", "canary"].clear()
    world.canary(
        "support", tip.to, share_ppm=NEARLY_ALL, of="staging", baseline=tip.canary.baseline
    )


@pytest.mark.parametrize(
    "event", [_prod_moves, _second_canary, _prod_ahead, _of_another], ids=lambda one: one.__name__
)
def test_a_void_canary_takes_nobody(opened: Open, event: Callable[[World], None]) -> None:
    world, _, new = simple()
    world.canary("support", new, share_ppm=NEARLY_ALL)
    event(world)
    found = opened(world).resolve("support", unit=IN)
    tip = world.chains["support", "prod"][-1]
    assert (found.arm, found.digest, found.rollout) == ("baseline", tip.to, None)


def test_a_canary_of_another_bundle_changes_nothing(opened: Open) -> None:
    world, old, new = simple()
    world.release("orders", "prod", old)
    world.canary("orders", new, share_ppm=NEARLY_ALL)
    client = opened(world)
    assert client.resolve("support", unit=IN).arm == "baseline"
    assert client.resolve("orders", unit=IN).arm == "canary"


def test_the_environment_of_a_canary_can_be_asked_for_itself(opened: Open) -> None:
    world, _, new = simple()
    world.canary("support", new, share_ppm=50_000)
    found = opened(world).resolve("support", "canary", unit=OUT)
    assert (found.arm, found.digest, found.env) == ("baseline", new, "canary")


def test_a_pin_keeps_a_conversation_on_its_bundle(opened: Open) -> None:
    world, old, new = simple()
    client = opened(world)
    pin = client.resolve("support", unit="u").pin
    world.release("support", "prod", new)
    client.refresh()
    found = client.resolve("support", unit="u", pin=pin)
    assert (found.arm, found.digest, found.pinned) == ("pinned", old, True)
    assert (found.pin, found.seq, found.release) == (pin, 1, None)
    assert client.resolve("support", unit="u").digest == new


def test_a_pin_that_is_handed_out_now_is_honoured_as_one_of_any_age(opened: Open) -> None:
    world, _, new = simple()
    world.canary("support", new, share_ppm=50_000)
    route = opened(world)._refresher.state.routes["support", "prod"]
    assert len(route.pins) == 3
    assert all(route.worked_out(text) == found for text, found in route.pins.items())


def test_a_rollback_revokes_pins(opened: Open) -> None:
    world, old, new = simple()
    world.release("support", "prod", new)
    client = opened(world)
    pin = client.resolve("support", unit="u").pin
    world.rollback("support", old)
    client.refresh()
    found = client.resolve("support", unit="u", pin=pin)
    assert (found.digest, found.pinned, found.arm) == (old, False, "baseline")
    assert found.pin == f"p1:prod:3:{old}"


def test_a_draining_rollback_lets_conversations_finish(opened: Open) -> None:
    world, old, new = simple()
    world.release("support", "prod", new)
    client = opened(world)
    pin = client.resolve("support", unit="u").pin
    world.rollback("support", old, drain=True)
    client.refresh()
    assert client.resolve("support", unit="u", pin=pin).digest == new
    assert client.resolve("support", unit="u").digest == old


def test_an_abort_revokes_the_candidates_pins_and_leaves_the_baselines(opened: Open) -> None:
    world, old, new = simple()
    world.canary("support", new, share_ppm=50_000)
    client = opened(world)
    inside, outside = (client.resolve("support", unit=unit).pin for unit in (IN, OUT))
    world.release("support", "canary", old, "abort", rolled_back=(new,))
    world.pinnable["support"].add(new)  # a writer that forgot to leave it out
    client.refresh()
    assert client.resolve("support", unit=IN, pin=inside).pinned is False
    assert client.resolve("support", unit=OUT, pin=outside).pinned is True


def test_a_pin_falls_where_the_environment_asked_for_or_its_own_has_revoked_it(
    opened: Open,
) -> None:
    world, old, new = simple()
    world.release("support", "staging", new)
    world.release("support", "prod", new)
    world.rollback("support", old)
    world.pinnable["support"].add(new)  # for staging serves it on
    client = opened(world)
    of_prod, of_staging = f"p1:prod:2:{new}", f"p1:staging:1:{new}"
    assert [
        (client.resolve("support", env, pin=pin).pinned, client.resolve("support", env).digest)
        for env, pin in (("prod", of_staging), ("prod", of_prod), ("staging", of_prod))
    ] == [(False, old), (False, old), (False, new)]
    assert client.resolve("support", "staging", pin=of_staging).pinned


def test_the_last_hash_of_a_share_is_in_and_the_next_one_is_not(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, old, new = simple()
    world.canary("support", new, share_ppm=50_000)
    client = opened(world)
    last = int.from_bytes(last_in(50_000), "big")
    for hashed, to in ((last, new), (last + 1, old)):
        drawn = hashed.to_bytes(8, "big")
        monkeypatch.setattr("llmvc.runtime.client.drawn", lambda _, drawn=drawn: drawn)
        assert client.resolve("support", unit="u").digest == to


def test_a_pin_of_a_canary_stands_after_the_candidate_is_promoted(opened: Open) -> None:
    world, _, new = simple()
    world.canary("support", new, share_ppm=50_000)
    client = opened(world)
    pin = client.resolve("support", unit=IN).pin
    world.release("support", "prod", new)
    world.release("support", "canary", new, "close")
    client.refresh()
    assert client.resolve("support", unit=IN, pin=pin).digest == new
    assert client.resolve("support", unit=IN, pin=pin).pinned


@pytest.mark.parametrize(
    "pin",
    ["", "p1", "p2:prod:1:{old}", "p1:prod:0:{old}", "p1:PROD:1:{old}", "p1:prod:1:{old} ",
     "p1:prod:1:b3:00", "p1:prod:1:{unknown}", "p1:prod:\u0661:{old}", "p1:prod:1:{old}\n", 7],
    ids=repr,
)  # fmt: skip
def test_a_pin_that_says_nothing_here_is_as_good_as_none(opened: Open, pin: object) -> None:
    world, old, _ = simple()
    unknown = "b3:" + "0" * 64
    text = pin.format(old=old, unknown=unknown) if isinstance(pin, str) else pin
    found = opened(world).resolve("support", pin=text)
    assert (found.digest, found.pinned) == (old, False)


def test_a_pin_of_another_bundle_does_not_stand(opened: Open) -> None:
    world, _, new = simple()
    world.release("orders", "prod", new)
    client = opened(world)
    pin = client.resolve("orders").pin
    assert client.resolve("support", pin=pin).pinned is False


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _client(world: World, clock: _Clock, **options: object) -> Client:
    refresher = Refresher(world, every_s=3600, clock=clock, wall=lambda: 1_000.0)
    return Client(refresher, clock=clock, **options)


@pytest.mark.parametrize(
    ("on_stale", "arm"), [(None, "baseline"), ("baseline_only", "baseline"), ("serve", "canary")]
)
def test_a_stale_client_does_what_its_owner_chose(on_stale: str | None, arm: str) -> None:
    world, _, new = simple()
    world.canary("support", new, share_ppm=NEARLY_ALL)
    clock = _Clock()
    client = _client(world, clock, max_age_s=30, on_stale=on_stale)
    clock.now += 30
    assert client.resolve("support", unit=IN).arm == "canary"
    assert client.resolve("support", unit=IN).stale_s == 30
    clock.now += 1
    assert client.resolve("support", unit=IN).arm == arm


def test_a_stale_client_may_refuse_all_but_pins() -> None:
    world, old, _ = simple()
    clock = _Clock()
    client = _client(world, clock, max_age_s=30, on_stale="raise")
    pin = client.resolve("support").pin
    clock.now += 31
    with pytest.raises(StoreError, match="31 s ago"):
        client.resolve("support")
    assert client.resolve("support", pin=pin).digest == old


def test_the_age_counts_from_when_the_feeder_last_looked() -> None:
    world, _, _ = simple()
    world.told = 940.0  # a minute before the wall clock's now
    assert _client(world, _Clock()).resolve("support").stale_s == 60


def test_a_wall_clock_that_is_set_ages_nothing_and_freshens_nothing() -> None:
    world, _, _ = simple()
    world.told = 940.0
    wall, clock = [1_000.0], _Clock()
    refresher = Refresher(world, every_s=3600, clock=clock, wall=lambda: wall[0])
    client = Client(refresher, clock=clock)
    for wall[0], passed in ((1_000_000.0, 5), (0.0, 10), (940.0, 20)):
        clock.now += passed  # the feeder is dead: it tells the same time again and again
        client.refresh()
    assert client.resolve("support").stale_s == 60 + 35
    world.told = 941.0
    client.refresh()
    assert client.resolve("support").stale_s == 0  # told a time to come: it looked just now
    wall[0], world.told = 2_000.0, 1_990.0
    client.refresh()
    assert client.resolve("support").stale_s == 10


@pytest.mark.parametrize(
    "options", [{"on_stale": "panic"}, {"on_no_unit": "random"}, {"every_s": 0}, {"every_s": -1}, {"every_s": float("inf")}, {"every_s": 10**10},
     {"every_s": float("nan")}, {"max_age_s": -1}, {"max_age_s": float("nan")}],
    ids=repr,
)  # fmt: skip
def test_an_option_that_is_not_known_is_refused(opened: Open, options: dict) -> None:
    with pytest.raises(UsageError):
        opened(simple()[0], **options)


def test_a_log_is_told_of_each_assignment(opened: Open) -> None:
    told: list[object] = []

    class Log:
        def assign(self, of: object) -> None:
            told.append(of)

    client = opened(simple()[0], log=Log())
    assert client.resolve("support", unit="u") is told[0]


def test_a_set_resolves_as_one(opened: Open) -> None:
    world, old, new = simple()
    both = world.add(_set(first=old, second=new))
    world.release("team", "prod", both)
    found = opened(world).resolve("team")
    assert found.digest == both
    assert found.member("first").digest == old
    assert found.member("second").render({"message": "hi"})["messages"][0]["content"] == "new"
    with pytest.raises(NotFoundError, match="no member"):
        found.member("third")
    with pytest.raises(UsageError, match="has no members"):
        found.member("first").member("x")


def _set(**members: str) -> bytes:
    from llmvc.core.bundle import Bundle

    return Bundle.of("set", {"members": members}).data
