"""Live arms: published figures, intervals that hold, and what a canary of a given size can show."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from scipy import stats

from llmvc.gate.looks import levels
from llmvc.stats import srm
from llmvc.stats.live import MOST_UNITS, canary_units, detectable, one_look, pairs
from llmvc.stats.mixture import factor
from llmvc.stats.unpaired import Mean, Quantile, Share, difference, ratio
from llmvc.traces.analyze import GROWTH
from tests.stats.simulations import family, live
from tests.stats.simulations.rates import at_least, at_most

both = pytest.mark.parametrize(
    "replications", [25, pytest.param(1000, marks=pytest.mark.slow)], ids=["quick", "full"]
)


@pytest.mark.parametrize(
    ("share", "base", "worse", "units"),
    [
        (0.05, 0.004, 0.006, 9543),
        (0.05, 0.02, 0.03, 1863),
        (0.05, 0.18, 0.20, 2594),
        (0.5, 0.004, 0.006, 15377),
        (0.5, 0.02, 0.03, 3011),
        (0.5, 0.18, 0.20, 4755),
    ],
)
def test_the_units_for_one_look_at_one_sided_five_percent(share, base, worse, units):
    var = worse * (1 - worse), base * (1 - base)
    assert canary_units(worse - base, var, share, one_look(0.05)) == units
    assert detectable(units, var, share, one_look(0.05)) <= worse - base


def test_the_pairs_that_a_shadow_needs():
    assert (pairs(0.02), pairs(0.02, discordant=0.06)) == (1544, 926)


def test_a_gap_that_no_traffic_shows_is_told():
    assert canary_units(1e-9, (0.25, 0.25), 0.05, one_look(0.05)) > MOST_UNITS


def test_the_always_valid_factor_follows_its_formula_and_shrinks_then_grows():
    # Waudby-Smith et al., one-sided, at alpha 0.05, rho^2 = 6.329.. / 1000: worked by hand.
    assert factor(1000, 0.05, tuned=1000) == pytest.approx(2.7791, abs=1e-4)
    assert factor(0, 0.05, tuned=1000) == inf
    found = [factor(n, 0.05, tuned=1000) for n in (100, 1000, 10_000)]
    assert found[0] > found[1] < found[2]


def test_planned_levels_agree_with_published_boundaries():
    # Lan-DeMets O'Brien-Fleming, one-sided 0.025, four equal looks: Jennison and Turnbull (2000),
    # Proschan, Lan and Wittes (2006), table 5.1 by the `ldBounds` program.
    found = [stats.norm.isf(level) for level in levels((0.25, 0.5, 0.75, 1.0), 0.025)]
    assert found == pytest.approx([4.333, 2.963, 2.359, 2.014], abs=2e-3)


def test_a_canary_s_planned_looks_end_with_all_of_the_evidence():
    at = tuple(GROWTH ** (look - 4) for look in range(5))
    assert levels(at, 0.05)[-1] < 0.05
    assert sum(levels(at, 0.05)) > 0.05


def test_a_share_has_jeffreys_interval_and_a_bound_at_nothing():
    found = Share([1.0] * 5 + [0.0] * 95, [1.0] * 100)
    low, high = found.bounds(1.959964)
    assert (low, high) == pytest.approx(stats.beta(5.5, 95.5).ppf([0.025, 0.975]), rel=0.01)
    none = Share([0.0] * 100, [1.0] * 100)
    assert none.bounds(1.64)[0] == 0
    assert 0.005 < none.bounds(1.64)[1] < 0.03


def test_calls_of_a_unit_that_are_alike_count_as_one():
    rng = np.random.default_rng(3)
    bad = (rng.random(500) < 0.2) * 10.0
    clustered, single = Share(bad, [10.0] * 500), Share(bad / 10, [1.0] * 500)
    assert clustered.effect == pytest.approx(10, rel=0.01)
    assert clustered.bounds(2) == pytest.approx(single.bounds(2), rel=0.01)


def test_a_small_arm_takes_over_the_design_effect_of_the_other():
    small, large = (
        Share([0.0] * 99 + [1.0], [1.0] * 100),
        Share([0.0] * 90 + [5.0] * 10, [5.0] * 100),
    )
    before = small.bounds(2)
    assert small.steadied(large).bounds(2)[1] > before[1]


@pytest.mark.parametrize(
    "arm",
    [
        Share([1.0] * 19, [1.0] * 19),
        Mean([1.0] * 19, [1.0] * 19),
        Mean([0.0] * 30, [1.0] * 30),
        Mean([1.0] * 28 + [50.0] * 2, [1.0] * 30),
        Quantile([], [], [], at=0.5, width=1.02),
        Quantile(range(30), [1.0] * 30, [1] * 30, at=0.95, width=1.02),
        Share([], []),
    ],
    ids=range(7),
)
def test_what_cannot_be_told_is_none_with_a_reason(arm):
    good = Mean([1.0, 2.0] * 20, [1.0] * 40)
    found = ratio(arm, good, 2, 2)
    assert found.estimate is None
    assert found.reason.startswith("canary: ")


def test_amounts_that_are_all_the_same_still_have_an_interval():
    same = Mean([2.0] * 50, [1.0] * 50)
    found = ratio(same, same, 2, 2)
    assert found.low < 1 < found.high


def test_room_above_is_left_for_an_arm_s_own_heavy_tail_alone():
    even = Mean([1.0, 2.0] * 20, [1.0] * 40)
    heavy = Mean([1.0] * 37 + [3.0] * 3, [1.0] * 40)
    low, high = even.bounds(2)
    assert high / even.point == pytest.approx(even.point / low)
    wider_low, wider_high = even.steadied(heavy).bounds(2)
    assert wider_high / even.point == pytest.approx(even.point / wider_low)
    low, high = heavy.bounds(2)
    assert high / heavy.point > 1.03 * heavy.point / low


def test_an_infinite_distance_is_no_bound():
    arm = Share([1.0] * 20 + [0.0] * 80, [1.0] * 100)
    found = difference(arm, arm, inf, 2)
    assert found.low is None
    assert found.high > 0


def test_a_quantile_of_bins_is_near_that_of_the_calls():
    rng = np.random.default_rng(5)
    values = rng.lognormal(0, 0.5, 4000)
    bins = np.floor(np.log(values) / np.log(1.02))
    ends = 1.02 ** (bins + 1)
    found = Quantile(list(range(4000)), ends, [1] * 4000, at=0.9, width=1.02)
    assert found.point == pytest.approx(np.quantile(values, 0.9), rel=0.01)
    low, high = found.bounds(1.96)
    assert low < np.exp(0.5 * stats.norm.ppf(0.9)) < high


@pytest.mark.parametrize(("loss", "finds"), [(0.0, False), (0.3, True)])
def test_lost_units_are_found_and_right_shares_are_not_doubted(loss, finds):
    ours = round(2000 * (1 - loss))
    assert (srm.bayes_factor((38_000, ours), (0.95, 0.05)) > 100) is finds
    assert (srm.chi_square((38_000, ours), 0.05) < 0.001) is finds
    assert srm.chi_square((0, 0), 0.05) == 1


def test_a_loss_of_a_whole_arm_is_evidence_that_a_record_can_hold():
    assert 100 < srm.bayes_factor((50_000, 0), (0.5, 0.5)) < 2**53


def test_the_bayes_factor_is_a_martingale_of_mean_one():
    # Summed over all that 12 units can do, its mean under the planned shares is 1.
    mean = sum(
        stats.binom(12, 0.3).pmf(n) * srm.bayes_factor((12 - n, n), (0.7, 0.3)) for n in range(13)
    )
    assert mean == pytest.approx(1, abs=1e-9)


@both
@pytest.mark.parametrize("name", live.CELLS)
def test_an_unchanged_candidate_is_stopped_as_rarely_as_promised(name, replications):
    cell = live.CELLS[name]
    found = live.rates(cell, replications, 11)
    assert found["any fail"] <= at_most(0.05, replications)
    assert found["always held"] >= at_least(0.90, replications)


@both
@pytest.mark.parametrize("name", live.CELLS)
def test_planned_looks_stop_an_unchanged_candidate_as_rarely(name, replications):
    cell = live.CELLS[name]
    planned = replace(cell, **{**live.SPENDING, "first": cell.first * 10})
    assert live.rates(planned, replications, 12)["any fail"] <= at_most(0.06, replications)


@both
@pytest.mark.parametrize("test", ["always-valid", "spending"])
def test_harm_at_the_margin_seldom_passes_and_twice_that_is_stopped(test, replications):
    cell = live.PLAIN if test == "always-valid" else replace(live.PLAIN, **live.SPENDING)
    edge = live.rates(replace(cell, change=0.01), replications, 13)
    assert edge["any pass"] <= at_most(0.06, replications)
    assert live.rates(replace(cell, change=0.02), replications, 14)["fail"] >= 0.9


@both
@pytest.mark.parametrize("test", ["always-valid", "spending"])
def test_three_guardrails_that_belong_together_stop_as_rarely_as_one(test, replications):
    few = {"looks": 5, "first": 1000} if test == "spending" else {}
    of = family.Family(family.NOTHING, test=test, **few)
    assert family.rates(of, replications, 16)["false fail"] <= at_most(0.05, replications)


def test_looking_24_times_at_five_percent_would_be_wrong_far_more_often():
    found = live.rates(live.PLAIN, 60, 15)
    assert found["naive"] > 0.1
