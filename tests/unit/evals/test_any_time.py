"""Verdicts that may be read at any time: which test, on which units, and what has none."""

from dataclasses import replace

import pytest

from llmvc.core.metric import Metric
from llmvc.core.suite import Looks
from llmvc.evals import plan, reports
from llmvc.evals.estimates import Design
from llmvc.gate.level import Standing
from llmvc.stats import paired as paired_test
from llmvc.stats import quantile, repeats
from llmvc.stats.anytime import betting
from tests.unit.evals import world
from tests.unit.evals.test_kinds import ANY_TIME, QUALITY, case, drawn, paired, the


def test_any_time_is_the_betting_test_on_cases_that_stand_alone():
    cases = drawn(60, drop=0.1)
    found, wanted = the(cases, looks=ANY_TIME), betting(paired(cases), margin=0.05)
    assert (found.p_pass, found.p_fail) == (wanted.p_pass, wanted.p_fail)
    assert (found.low, found.high) == (wanted.low, wanted.high)
    assert found.method == "betting e-process, valid at any stop"
    assert found.t_pass is None


def test_any_time_bets_on_groups_as_large_as_the_suite_says_from_the_first_look_on():
    cases = drawn(100, drop=0.3, group=lambda at: f"g{at}" if at < 40 else f"g{40 + at // 4}")
    planned = {"cases": 100, "groups": 55, "largest": 4}
    early = [item for item in cases if item.id < "c040"]
    found = the(early, looks=ANY_TIME, design=Design(0.05, planned=planned))
    # One case a group so far; the bet counts on groups of four all the same.
    wanted = betting(paired(early) * 0.55, margin=0.05, bound=2.2)
    assert (found.p_pass, found.p_fail) == (wanted.p_pass, wanted.p_fail)
    whole = the(cases, looks=ANY_TIME, design=Design(0.05, planned=planned))
    assert whole.low <= whole.estimate <= whole.high


def test_any_time_sees_the_whole_drop_of_a_slice_of_groups():
    # Groups of five, of which two cases are of the slice: every one of those falls by a fifth.
    def scores(at):
        return (0.6, 1.0) if at % 5 < 2 else (1.0, 1.0)

    cases = [
        case(at, scores(at), (1.0, 1.0), f"g{at // 5}", ("de",) if at % 5 < 2 else ())
        for at in range(400)
    ]
    planned = {"cases": 400, "groups": 80, "largest": 5}
    german = replace(QUALITY, slice="de", margin=0.15)
    found = the(cases, german, looks=ANY_TIME, design=Design(0.05, planned=planned))
    assert found.estimate == pytest.approx(-0.2)
    assert found.low <= -0.2 <= found.high
    assert found.p_fail < 0.05 < found.p_pass
    early = the(cases[:200], german, looks=ANY_TIME, design=Design(0.05, planned=planned))
    assert early.reason == "the groups of a slice count once all cases are measured"
    assert early.p_pass is None


def test_a_first_release_has_no_test_for_any_stop_and_is_measured_whole(tmp_path):
    rows = world.cases(60)
    metric = replace(world.suite().metrics[0], margin=0.3, floor=0.1)
    for looks, has_baseline, ended in (
        (Looks("any-time"), False, 6),
        (Looks("any-time"), True, 2),
        (Looks("cases", (0.5, 1.0)), False, 1),
    ):
        by = world.suite(rows, runs=1, looks=looks, metrics=(metric,))
        some = world.arms(world.Fake(), baseline=has_baseline)
        made = plan.make(some, rows, by)

        def decided(found, look, *, by=by, made=made, has_baseline=has_baseline):
            return reports.decided(found, by, look, has_baseline=has_baseline, plan=made, tried=1)

        store = tmp_path / f"{looks.by}-{has_baseline}"
        result = world.measure(some, store, rows=rows, by=by, planned=made, decided=decided)
        assert result.look == ended


def test_what_decides_nothing_is_not_worked_out_at_a_look(tmp_path, monkeypatch):
    rows = world.cases(60)
    gating = replace(world.suite().metrics[0], margin=0.3)
    watched = Metric("latency", "latency", gate=False)
    by = world.suite(rows, runs=1, looks=Looks("any-time"), metrics=(gating, watched))
    some = world.arms(world.Fake(), baseline=True)
    made = plan.make(some, rows, by)
    whole = world.measure(some, tmp_path, rows=rows, by=by, planned=made).cases

    def never(*_args, **_options):
        raise AssertionError("a look asked for it")

    for module, name in (
        (quantile, "quantile_ratio"),
        (repeats, "changed"),
        (paired_test, "el_mean"),
    ):
        monkeypatch.setattr(module, name, never)
    assert reports.decided(whole, by, 1, has_baseline=True, plan=made, tried=1)
    with pytest.raises(AssertionError, match="a look asked for it"):
        reports.judge_runs(whole, by, Standing(1), has_baseline=True, seed=1, planned=made.size)
