"""A suite that an unchanged candidate could not pass is refused before any call."""

from dataclasses import replace

import numpy as np
import pytest

from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.core.suite import Case, Looks, Suite
from llmvc.errors import Inconclusive
from llmvc.gate import least
from llmvc.gate.decide import decide
from llmvc.gate.design import effective_number, refuse_hopeless
from llmvc.stats import power, ratio, samples
from llmvc.stats.anytime import STAKES, betting

QUALITY = Metric("quality", "score", ("team",), margin=0.05, floor=0.9)


def cases(n, group=lambda at: None):
    return [Case(str(at), {}, group=group(at)) for at in range(n)]


def check(rows, *metrics, has_baseline=True, pilot=(), **options):
    refuse_hopeless(
        Suite((), (), 3, metrics, **options), rows, has_baseline=has_baseline, pilot=pilot
    )


def refused(rows, *metrics, **options):
    with pytest.raises(Inconclusive) as caught:
        check(rows, *metrics, **options)
    return str(caught.value), caught.value.hint


def pilot(var_case, var_run):
    return (Estimate("quality", "score", var_case=var_case, var_run=var_run),)


def test_thirty_cases_at_a_margin_of_five_points_are_refused_with_what_would_do():
    message, hint = refused(cases(30), QUALITY)
    assert (
        message
        == "metric quality with a margin of 0.05 cannot pass on 30 cases without an improvement"
    )
    assert hint == "it takes 54 cases, or a margin of 0.088 fixed before measuring"


@pytest.mark.parametrize(
    ("n", "margin"), [(27, 0.10), (54, 0.05), (90, 0.03), (135, 0.02), (270, 0.01)]
)
def test_the_least_number_of_cases_is_that_of_the_design(n, margin):
    metric = replace(QUALITY, margin=margin)
    check(cases(n), metric)
    assert f"it takes {n} cases" in refused(cases(n - 1), metric)[1]


@pytest.mark.parametrize(("n", "missing"), [(0, "20 cases"), (1, "19 cases"), (19, "1 case")])
def test_fewer_than_twenty_cases_are_refused(n, missing):
    assert refused(cases(n), replace(QUALITY, margin=0.5))[1] == f"add {missing} to the suite"


def test_few_or_very_unequal_groups_are_refused():
    message, _ = refused(cases(200, lambda at: "big" if at < 100 else None), QUALITY)
    assert message == "the groups of the suite count as 4.0 equal ones: at least 15 are needed"
    check(cases(120, lambda at: f"g{at % 60}"), QUALITY)


def test_groups_count_by_their_effective_number():
    grouped = cases(120, lambda at: f"g{at % 40}")
    message, hint = refused(grouped, QUALITY)
    assert "cannot pass on 120 cases that count as 40 without" in message
    assert hint.startswith("it takes 162 cases, or a margin of 0.06")


def test_the_noise_of_a_pilot_may_leave_a_chance_where_none_is_known():
    assert refused(cases(40), QUALITY)
    assert refused(cases(40), QUALITY, pilot=pilot(None, None))
    check(cases(40), QUALITY, pilot=pilot(0.05, 0.05))


def test_a_quiet_pilot_still_needs_the_unseen_case_ruled_out():
    message, hint = refused(cases(30), QUALITY, pilot=pilot(0.004, 0.005))
    assert "cannot pass on 30 cases more than 1 time in 20 if unchanged" in message
    assert (
        hint == "it takes 66 cases for a chance of 80%, or a margin of 0.101 fixed before measuring"
    )


def test_a_gating_score_without_a_margin_is_refused():
    assert refused(cases(100), replace(QUALITY, margin=None))[1].startswith("give quality a margin")


def test_a_watched_metric_is_not_checked():
    check(cases(30), replace(QUALITY, gate=False), replace(QUALITY, name="other", margin=0.3))


HARM = Metric("harm", "severe", ("team",))


@pytest.mark.parametrize(
    "metrics", [(), (replace(QUALITY, gate=False),), (HARM,), (HARM, replace(QUALITY, gate=False))]
)
@pytest.mark.parametrize("has_baseline", [True, False])
def test_a_suite_in_which_nothing_gates_is_refused_in_the_words_of_the_verdict(
    metrics, has_baseline
):
    verdict = decide((), Suite((), (), 3, metrics), has_baseline=has_baseline)
    assert refused(cases(100), *metrics, has_baseline=has_baseline) == (
        verdict.reason,
        verdict.settle,
    )


def test_planned_looks_need_more_cases():
    check(cases(54), QUALITY)
    assert refused(cases(54), QUALITY, looks=Looks("cases", (0.5, 1.0)))


ANY_TIME = Looks("any-time", (1.0,))


@pytest.mark.parametrize(("margin", "single", "anytime"), [(0.10, 27, 45), (0.05, 54, 92)])
def test_a_suite_that_may_stop_at_any_time_needs_what_the_betting_test_does(
    margin, single, anytime
):
    metric = replace(QUALITY, margin=margin)
    check(cases(single), metric)
    for n in (single - 1, single, anytime - 1):
        assert f"it takes {anytime} cases, or" in refused(cases(n), metric, looks=ANY_TIME)[1]
    check(cases(anytime), metric, looks=ANY_TIME)
    assert betting(np.zeros(anytime), margin=margin).p_pass < 0.05
    assert betting(np.zeros(anytime - 1), margin=margin).p_pass >= 0.05


def test_at_any_time_a_known_noise_is_asked_what_one_look_asks():
    assert refused(cases(30), QUALITY, looks=ANY_TIME, pilot=pilot(0.004, 0.005))
    check(cases(40), QUALITY, looks=ANY_TIME, pilot=pilot(0.05, 0.05))


def test_the_margin_that_would_do_at_any_time_does():
    hint = refused(cases(60), QUALITY, looks=ANY_TIME)[1]
    margin = float(hint.split("margin of ")[1].split()[0])
    check(cases(60), replace(QUALITY, margin=margin + 5e-4), looks=ANY_TIME)
    assert refused(cases(60), replace(QUALITY, margin=margin - 1e-3), looks=ANY_TIME)


@pytest.mark.parametrize(
    "rule", [replace(QUALITY, margin=1e-9), Metric("c", "cost", limit=1 + 1e-9)]
)
def test_a_number_beyond_the_search_is_told_as_such(rule):
    assert "it takes over 100,000,000 cases" in refused(cases(100), rule)[1]


def test_the_numbers_are_cases_of_the_present_kind_where_groups_count():
    grouped = cases(120, lambda at: f"g{at % 60}")
    for metric, message, hint in (
        (
            replace(QUALITY, margin=0.01),
            "on 120 cases that count as 60 w",
            "it takes 540 cases, or",
        ),
        (replace(HARM, budget=0.03), "on 120 cases that count as 60 e", "it takes 198 cases, or"),
        (Metric("cost", "cost", limit=1.05), "120 cases that count as 60 w", "it takes 156 cases"),
    ):
        said = refused(grouped, metric)
        assert message in said[0]
        assert said[1].startswith(hint)


@pytest.mark.parametrize(
    ("n", "floor", "hint"),
    [
        (25, 0.95, "it takes 54 cases, or a floor of at most 0.895 fixed before measuring"),
        (200, 1.0, "a floor of at most 0.987 fixed before measuring"),
    ],
)
def test_a_floor_out_of_reach_of_a_perfect_score_is_refused(n, floor, hint):
    assert refused(cases(n), replace(QUALITY, floor=floor), has_baseline=False)[1] == hint


@pytest.mark.parametrize("floor", [None, 0.5, 0.89])
def test_a_floor_in_reach_or_missing_is_not_refused(floor):
    check(cases(25), replace(QUALITY, floor=floor, margin=0.01), has_baseline=False)


@pytest.mark.parametrize(
    ("n", "limit", "message"),
    [
        (49, 1.10, "metric cost cannot pass on 49 cases: cost needs at least 50"),
        (60, 1.05, "metric cost with a limit of 1.05 cannot pass on 60 cases without a saving"),
    ],
)
def test_a_cost_limit_that_cannot_be_shown_is_refused(n, limit, message):
    assert refused(cases(n), Metric("cost", "cost", limit=limit))[0] == message


def test_a_cost_limit_that_can_be_shown_is_not_refused():
    check(cases(50), Metric("cost", "cost", limit=1.10))
    check(cases(30), Metric("cost", "cost"))
    check(cases(50), Metric("cost", "cost", ceiling_usd=0.01), has_baseline=False)


def test_the_gate_and_the_statistics_agree_on_their_limits():
    assert (least.LEAST_CASES, least.LEAST_COST_UNITS) == (samples.LEAST_CASES, ratio.LEAST_UNITS)
    assert (least.MOST_CASES, list(least.STAKES)) == (power.MOST_CASES, list(STAKES))
    assert (least.LEAST_GROUPS, least.FEW_COST_UNITS) == (samples.LEAST_GROUPS, ratio.FEW_UNITS)


@pytest.mark.parametrize("labels", [[], [None, None], ["a", "a", "b"], ["a"] * 5 + [None] * 3])
def test_the_effective_number_is_that_of_the_statistics(labels):
    assert effective_number(labels) == samples.group(labels).effective
