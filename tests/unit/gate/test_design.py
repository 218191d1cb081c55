"""A suite that an unchanged candidate could not pass is refused before any call."""

from dataclasses import replace

import pytest

from llmvc.core.metric import Metric
from llmvc.core.report import Estimate
from llmvc.core.suite import Case, Looks, Suite
from llmvc.errors import Inconclusive
from llmvc.gate import design, settle
from llmvc.gate.design import effective_number, refuse_hopeless
from llmvc.stats import ratio, samples

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
    assert "cannot pass on 40 cases" in refused(grouped, QUALITY)[0]


def test_the_noise_of_a_pilot_may_leave_a_chance_where_none_is_known():
    assert refused(cases(40), QUALITY)
    assert refused(cases(40), QUALITY, pilot=pilot(None, None))
    check(cases(40), QUALITY, pilot=pilot(0.05, 0.05))


def test_a_quiet_pilot_still_needs_the_unseen_case_ruled_out():
    message, hint = refused(cases(30), QUALITY, pilot=pilot(0.004, 0.005))
    assert "cannot pass on 30 cases more than 1 time in 20 if unchanged" in message
    assert hint == "it takes 66 cases, or a margin of 0.101 fixed before measuring"


def test_a_gating_score_without_a_margin_is_refused():
    assert refused(cases(100), replace(QUALITY, margin=None))[1].startswith("give quality a margin")


def test_a_watched_metric_is_not_checked():
    check(cases(30), replace(QUALITY, gate=False))


def test_planned_looks_need_more_cases():
    check(cases(54), QUALITY)
    assert refused(cases(54), QUALITY, looks=Looks("cases", (0.5, 1.0)))


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
    assert (settle.LEAST_CASES, settle.LEAST_COST_UNITS) == (samples.LEAST_CASES, ratio.LEAST_UNITS)
    assert (design.LEAST_GROUPS, design.FEW_COST_UNITS) == (samples.LEAST_GROUPS, ratio.FEW_UNITS)


@pytest.mark.parametrize("labels", [[], [None, None], ["a", "a", "b"], ["a"] * 5 + [None] * 3])
def test_the_effective_number_is_that_of_the_statistics(labels):
    assert effective_number(labels) == samples.group(labels).effective
