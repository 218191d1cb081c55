"""Means by spelling and their spread, from the runs of a report."""

import pytest

from llmvc.core.metric import Metric
from llmvc.core.report import CaseRuns, Run
from llmvc.evals.estimates import Design
from llmvc.evals.summary import summarize
from llmvc.render import spellings as words
from tests.unit.evals.world import cases as rows_of
from tests.unit.evals.world import suite

VARIANTS = ("separators", "spacing")


def runs(*scores):
    return tuple(
        Run(run=at, run_id="b3:" + "0" * 64 if score is not None else None, scores={"right": score})
        if score is not None
        else Run(run=at, run_id=None, scores={"right": None}, error="provider: away")
        for at, score in enumerate(scores)
    )


def measured(candidate, baseline=None, count=40):
    """Cases in which the spellings score as told: a function of (case, run)."""
    made = []
    for case in range(count):
        arms = [
            runs(*(one(case, run) for run in range(3))) if one else ()
            for one in (candidate, baseline)
        ]
        made.append(CaseRuns(f"c{case:03}", None, *arms))
    return made


def estimate(cases, **changes):
    rows = rows_of(len(cases))
    by = suite(rows, **{"runs": 3, "variants": VARIANTS, **changes})
    return summarize(cases, by, Design(0.05))[0]


def worse_with_separators(case, run):
    return 0.0 if run == 1 and case % 4 == 0 else 1.0


def test_the_mean_under_each_spelling_and_their_spread_are_told_for_both_arms():
    found = estimate(measured(worse_with_separators, lambda _case, _run: 1.0))
    told = found.details["variants"]
    assert (told["written"], told["separators"], told["spacing"]) == (1.0, 0.75, 1.0)
    assert 0 < told["spread_low"] < told["spread"] < told["spread_high"]
    assert told["margin"] == 0.05
    other = found.details["variants_baseline"]
    assert (other["written"], other["separators"], other["spread"]) == (1.0, 1.0, 0.0)
    assert "margin" not in other
    assert found.candidate == pytest.approx((1 + 0.75 + 1) / 3)


def test_a_spread_above_the_margin_is_warned_of_and_changes_no_estimate():
    cases = measured(worse_with_separators, lambda _case, _run: 1.0)
    (said,) = words.warnings([estimate(cases)])
    assert said.startswith("the form of the prompt alone moves quality by 0.2")
    assert said.endswith("more than the margin of 0.05")
    assert [name for name, _ in words.told(estimate(cases))] == [
        "variants",
        "baseline's",
        "warning",
    ]
    plain, spelt = estimate(cases, variants=()), estimate(cases)
    assert not plain.details
    assert (plain.low, plain.high, plain.p_pass) == (spelt.low, spelt.high, spelt.p_pass)


def test_a_spread_within_the_margin_or_of_chance_alone_is_not_warned_of():
    wide = Metric("quality", "score", ("right",), margin=0.5)
    assert not words.warnings([estimate(measured(worse_with_separators), metrics=(wide,))])
    assert not words.warnings([estimate(measured(lambda case, run: float((case + run) % 3 > 0)))])


def test_figures_are_in_the_scale_of_the_metric():
    rubric = Metric("quality", "score", ("right",), margin=0.2, scale=(1.0, 5.0))
    told = estimate(measured(worse_with_separators), metrics=(rubric,)).details["variants"]
    assert (told["written"], told["separators"]) == (5.0, 4.0)
    assert told["spread"] == pytest.approx(
        4 * estimate(measured(worse_with_separators)).details["variants"]["spread"]
    )


def test_a_spelling_without_a_usable_run_of_every_case_has_no_mean_and_no_spread():
    found = estimate(measured(lambda case, run: None if (case, run) == (3, 1) else 1.0))
    told = found.details["variants"]
    assert told["separators"] is None
    assert told["written"] == 1.0
    assert (told["spread"], told["spread_low"], told["spread_high"]) == (None, None, None)
    ((_, line),) = words.told(found)
    assert line.endswith("not known with separators, 1.000 with spacing; spread not known")


def test_few_cases_have_means_and_no_interval():
    told = estimate(measured(worse_with_separators, count=8)).details["variants"]
    assert told["separators"] == 0.75
    assert told["spread"] is None
