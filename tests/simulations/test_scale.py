"""The simulation behind docs/scale.md, held against what can be worked out on paper."""

import math

import pytest

from benchmarks.scale import (
    WAYS,
    Ages,
    Copy,
    Edge,
    Latency,
    Origin,
    Poll,
    follow,
    herd,
    simulate,
)

AT_ONCE = Latency(0.0, 0.0)
PERIOD_S = 2.0
STEADY = Poll(PERIOD_S, jitter=0, back_off=False)


def _alone(poll: Poll = STEADY, *, nodes: int = 50, seed: int = 1, **more: object):
    """Returns what was seen of nodes that ask a forge which answers at once."""
    forge = Origin()
    given = {"window_s": 60, "latency": AT_ONCE, **more}
    return simulate(forge.ask, poll, nodes=nodes, seed=seed, **given), forge


@pytest.mark.parametrize("nodes", [1, 5, 50])
def test_the_last_of_n_steady_nodes_comes_as_the_maximum_of_n_uniform_times(nodes: int) -> None:
    # A fleet keeps its phases, so each seed is one draw of the maximum.
    last = [
        _alone(nodes=nodes, seed=seed, releases=1, window_s=8)[0].last_s[0] for seed in range(400)
    ]
    mean = PERIOD_S * nodes / (nodes + 1)
    spread = PERIOD_S * math.sqrt(nodes / (nodes + 1) ** 2 / (nodes + 2))
    assert sum(last) / 400 == pytest.approx(mean, abs=4 * spread / 20)
    assert max(last) <= PERIOD_S


def test_the_age_of_a_steady_node_is_uniform_over_its_period() -> None:
    watch, _ = _alone(nodes=200)
    for share in (0.05, 0.5, 0.99):
        assert watch.ages.quantile_s(share) == pytest.approx(PERIOD_S * share, abs=0.02)
    assert watch.ages.longest_s == pytest.approx(PERIOD_S)


def test_a_latency_adds_itself_to_every_age_and_every_cycle() -> None:
    watch, forge = _alone(nodes=200, latency=Latency(0.5, 0.5))
    assert watch.ages.quantile_s(0.0) == pytest.approx(0.5, abs=0.02)
    assert watch.ages.longest_s == pytest.approx(PERIOD_S + 2 * 0.5)
    assert watch.rates(forge.asked)[0] == pytest.approx(200 / (PERIOD_S + 0.5), rel=0.02)


def test_jitter_makes_the_mean_age_that_of_a_renewal_process() -> None:
    watch, _ = _alone(Poll(PERIOD_S), nodes=400)
    # E[J**2] / (2 E[J]) for pauses J, uniform on 2 s +- 10%; the mean is taken from quantiles.
    wanted = PERIOD_S / 2 * (1 + 0.1**2 / 3)
    grid = [watch.ages.quantile_s((at + 0.5) / 200) for at in range(200)]
    assert sum(grid) / 200 == pytest.approx(wanted, rel=0.01)
    assert watch.ages.longest_s <= 1.1 * PERIOD_S + 1e-9


def test_the_busiest_seconds_are_those_of_independent_phases() -> None:
    watch, forge = _alone(nodes=1000)
    mean, p99, most = watch.rates(forge.asked)
    sd = math.sqrt(1000 / PERIOD_S * (1 - 1 / PERIOD_S))
    assert mean == pytest.approx(500, rel=0.01)
    assert mean <= p99 <= most <= mean + 5 * sd


def test_a_forge_with_a_limit_never_gives_more_than_that() -> None:
    forge = Origin(rate=10)
    simulate(forge.ask, STEADY, nodes=100, seed=1, window_s=60, latency=AT_ONCE)
    given = [forge.asked[second] - forge.refused[second] for second in range(10, 60)]
    assert sum(given) == pytest.approx(500, abs=10)
    assert max(given) <= 20  # a second's worth may have been saved up


def test_pauses_after_failures_are_those_of_the_agent() -> None:
    poll = Poll(PERIOD_S)
    assert [poll.pause_s(at, 0.5) for at in (0, 1, 2, 9)] == [2.0, 4.0, 8.0, 10.0]
    assert (poll.pause_s(0, 0.0), poll.pause_s(9, 0.0)) == pytest.approx((1.8, 5.0))
    assert [Poll(every).pause_s(9, 0.5) for every in (5.0, 20.0, 45.0)] == [25.0, 30.0, 45.0]
    assert STEADY.pause_s(9, 0.9) == PERIOD_S


def test_no_node_learns_of_a_release_while_the_forge_is_down() -> None:
    forge = Origin(outages=((20.0, 40.0),))
    watch = simulate(
        forge.ask, Poll(PERIOD_S), nodes=50, seed=1, window_s=60, latency=AT_ONCE, releases=[21.0]
    )
    (last,) = watch.last_s
    # Pauses grow to at most 10 s, times 1.5, beside the 5 s that a look hangs.
    assert 19.0 <= last <= 19.0 + 5 + 1.5 * 10
    assert watch.ages.longest_s >= 20.0


def test_who_hangs_until_an_outage_ends_comes_back_at_once_unless_pauses_are_spread() -> None:
    outage = {"rate": None, "outage_s": 100, "hang_s": 30, "seed": 1}
    fixed = herd(500, Poll(30, jitter=0, back_off=False), **outage)
    jitter = herd(500, Poll(30, back_off=False), **outage)
    agent = herd(500, Poll(30), **outage)
    assert fixed.most > 4 * jitter.most
    assert jitter.most > 2 * agent.most
    assert agent.last_s is not None


def test_nodes_behind_caches_are_as_old_as_writer_cache_and_poll_together() -> None:
    forge, copy = Origin(), Copy()
    edge = Edge(copy, ttl_s=3.0, places=4)
    watch = simulate(
        edge.ask, STEADY, nodes=200, seed=1, window_s=120, latency=AT_ONCE, writer=(forge.ask, copy)
    )
    assert 3.0 < watch.ages.longest_s <= PERIOD_S + (3.0 + PERIOD_S) + PERIOD_S
    assert watch.rates(forge.asked)[0] == pytest.approx(1 / PERIOD_S, rel=0.05)
    # A cache asks its writer with the first look after its time: each has 50 nodes, so soon.
    assert sum(edge.missed[second] for second in range(9, 129)) == pytest.approx(4 * 40, rel=0.1)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_seed_gives_the_same_run_and_all_nodes_arrive(way: str) -> None:
    seen = []
    for seed in (1, 1, 2):
        watch, forge, asked = follow(way, 20, PERIOD_S, seed=seed, window_s=20)
        assert None not in watch.last_s
        seen.append((watch.last_s, forge, asked))
    assert seen[0] == seen[1] != seen[2]


def test_ages_are_weighed_by_the_time_that_they_lasted() -> None:
    ages = Ages()
    ages.add(0.0, 1.0)
    ages.add(0.0, 3.0)
    found = [ages.quantile_s(share) for share in (0.25, 0.5, 0.75)]
    assert found == pytest.approx([0.5, 1.0, 2.0])
    assert ages.longest_s == 3.0
