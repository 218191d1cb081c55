"""Runs in a report become one estimate a metric, or the reason why there is none."""

import json
import subprocess
import sys
from dataclasses import fields, replace
from math import isfinite

import numpy as np
import pytest

from llmvc.core import digest
from llmvc.core.metric import Metric, Scorer
from llmvc.core.report import CaseRuns, Run
from llmvc.core.suite import Suite
from llmvc.evals.estimates import Design
from llmvc.evals.summary import summarize
from llmvc.gate.decide import decide
from llmvc.stats.paired import el_score

ID = digest.of_bytes(b"run")
QUALITY = Metric("quality", "score", ("team",), margin=0.05, floor=0.5)
COST = Metric("cost", "cost", limit=1.10)
LATENCY = Metric("latency", "latency", gate=False)
TEAM = Scorer("team", "equals", {})


def suite(*metrics, scorers=(TEAM,), **options):
    return Suite((), scorers, 3, metrics or (QUALITY,), **options)


def run(at, value, **others):
    return Run(at, ID, {"team": value}, **others)


def failed(at):
    return Run(at, None, {"team": None}, error="time-out")


def case(at, candidate, baseline=(), group=None, **others):
    return CaseRuns(
        f"c{at}",
        group,
        tuple(run(number, value, **others) for number, value in enumerate(candidate)),
        tuple(run(number, value, **others) for number, value in enumerate(baseline)),
    )


def drawn(n, seed=0, drop=0.0, runs=3, group=lambda at: None):
    rng = np.random.default_rng(seed)
    level = rng.beta(0.8, 0.2, n)
    hit = np.where(rng.random(n) < drop / 0.8, 0.0, level)
    return [
        case(at, rng.binomial(1, hit[at], runs).astype(float), rng.binomial(1, level[at], runs).astype(float), group(at))
        for at in range(n)
    ]  # fmt: skip


def the(cases, *metrics, **options):
    (estimate,) = summarize(cases, suite(*metrics, **options))
    return estimate


def test_a_score_is_the_test_on_the_differences_of_case_means():
    cases = drawn(60, drop=0.1)
    d = np.array([
        np.mean([run.scores["team"] for run in item.candidate])
        - np.mean([run.scores["team"] for run in item.baseline])
        for item in cases
    ])  # fmt: skip
    expected, found = el_score(d, margin=0.05), the(cases)
    assert found.estimate == pytest.approx(d.mean())
    assert found.estimate == pytest.approx(found.candidate - found.baseline)
    assert found.low == pytest.approx(expected.low)
    assert found.high == pytest.approx(expected.high)
    assert (found.t_pass, found.p_fail) == pytest.approx((expected.t_pass, expected.p_fail))
    assert (found.n, found.n_effective, found.alpha) == (60, 60.0, 0.05)
    assert found.n_changed == np.count_nonzero(np.abs(d) > 1e-9)
    assert found.method == "paired EL-score, t(59)"
    assert found.var_case + found.var_run == pytest.approx(d.var(ddof=1))
    assert found.reason is None


def test_scorers_are_weighted_within_a_run():
    scorers = (Scorer("a", "equals", {}, weight=3.0), Scorer("b", "equals", {}))
    metric = replace(QUALITY, scorers=("a", "b"))
    cases = [
        CaseRuns(str(at), None, (Run(0, ID, {"a": 1.0, "b": 0.0}),), (Run(0, ID, {"a": 0.0, "b": 1.0}),))
        for at in range(20)
    ]  # fmt: skip
    found = the(cases, metric, scorers=scorers)
    assert (found.candidate, found.baseline, found.estimate) == (0.75, 0.25, 0.5)


def test_equal_arms_have_no_changed_cases_however_they_round():
    cases = [case(at, (0.1, 0.2, 0.3), (0.3, 0.2, 0.1)) for at in range(60)]
    found = the(cases)
    assert (found.estimate, found.n_changed, found.p_fail) == (0.0, 0, 0.5)


@pytest.mark.parametrize(
    ("n", "reason"),
    [
        (0, "there are no cases"),
        (1, "1 case is too few: at least 20 are needed"),
        (2, "2 cases are too few: at least 20 are needed"),
        (19, "19 cases are too few: at least 20 are needed"),
        (20, None),
    ],
)
@pytest.mark.parametrize("paired", [True, False])
def test_few_cases_have_a_mean_but_no_interval(n, reason, paired):
    found = the([case(at, (1.0, 0.0), (1.0, 1.0) if paired else ()) for at in range(n)])
    assert found.reason == reason
    assert found.n == n
    assert (found.arm_low is None) == (reason is not None)
    assert found.candidate == (None if n == 0 else 0.5)
    assert found.p_pass is None or reason is None


@pytest.mark.parametrize(("candidate", "baseline"), [(1.0, 1.0), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])  # fmt: skip
def test_cases_that_are_all_equal_keep_an_interval_with_a_width(candidate, baseline):
    found = the([case(at, (candidate,) * 3, (baseline,) * 3) for at in range(100)])
    assert found.reason is None
    assert found.low <= found.estimate <= found.high
    assert found.high - found.low > 0.02
    assert found.arm_low <= candidate <= found.arm_high
    assert found.var_run == 0.0


def test_unequal_repeats_count_as_one_case_each():
    cases = drawn(40)
    shorter = [replace(cases[0], baseline=cases[0].baseline[:1]), *cases[1:]]
    found = the(shorter)
    assert (found.reason, found.n) == (None, 40)
    assert found.var_run is not None


def test_a_single_run_leaves_the_variance_unsplit():
    found = the(drawn(40, runs=1))
    assert (found.var_case, found.var_run) == (None, None)
    assert found.low is not None


def test_a_failed_run_is_left_out_of_its_case():
    cases = drawn(40)
    first = replace(cases[0], candidate=(run(0, 1.0), failed(1), run(2, 0.0)))
    found = the([first, *cases[1:]])
    assert found.reason is None
    assert found.candidate == pytest.approx(
        np.mean([0.5, *(np.mean([r.scores["team"] for r in c.candidate]) for c in cases[1:])])
    )


@pytest.mark.parametrize("arm", ["candidate", "baseline"])
def test_a_case_without_a_usable_run_makes_the_metric_undefined(arm):
    cases = drawn(40)
    broken = [replace(cases[0], **{arm: (failed(0), failed(1))}), replace(cases[1], **{arm: ()})]
    found = the([*broken, *cases[2:]])
    assert found.reason == f"2 of 40 cases have no usable run of the {arm}"
    assert (found.candidate, found.estimate, found.low) == (None, None, None)
    assert found.n == 38


def test_an_output_that_could_not_be_scored_makes_the_metric_undefined():
    cases = drawn(40)
    first = replace(cases[0], candidate=(run(0, 1.0), run(1, None)))
    assert the([first, *cases[1:]]).reason == "quality is not known for 1 run of the candidate"


def test_a_metric_of_unknown_scorers_is_undefined():
    assert the(drawn(20), replace(QUALITY, scorers=("nobody",))).reason is not None
    assert the(drawn(20), replace(QUALITY, scorers=())).reason is not None


@pytest.mark.parametrize("value", [1.5, -0.5])
def test_a_score_out_of_range_makes_the_metric_undefined(value):
    cases = drawn(40)
    first = replace(cases[0], candidate=(run(0, value),))
    found = the([first, *cases[1:]])
    assert (found.reason, found.low) == ("a score lies outside its range", None)


def test_groups_are_the_units():
    cases = drawn(120, group=lambda at: f"g{at % 30}")
    found = the(cases)
    assert found.method == "paired EL-score over 30 groups, t(29)"
    assert (found.n, found.n_effective) == (120, 30.0)
    alone = the([replace(item, group=None) for item in cases])
    assert found.estimate == pytest.approx(alone.estimate)
    few = the([replace(item, group=f"g{at % 14}") for at, item in enumerate(cases)])
    assert few.reason == "14 groups count as 14.0 equal ones: at least 15 are needed"


def test_what_changed_is_counted_in_groups():
    def pair(at, worse):
        return replace(case(at, (0.0,) if worse else (1.0,), (1.0,)), group=f"g{at // 2}")

    found = the([pair(at, worse=at < 6) for at in range(80)])
    assert (found.n, found.n_worse, found.n_better, found.n_changed) == (80, 3, 0, 3)
    assert decide([found], suite(), has_baseline=True).verdict == "inconclusive"


def test_copies_of_cases_in_groups_do_not_narrow_the_interval():
    cases = drawn(30, drop=0.1)
    copies = [
        replace(item, id=f"{item.id}-{copy}", group=item.id) for item in cases for copy in range(5)
    ]
    once, often = the(cases), the(copies)
    assert often.low == pytest.approx(once.low)
    assert often.high == pytest.approx(once.high)
    assert (often.arm_low, often.arm_high) == pytest.approx((once.arm_low, once.arm_high))


def test_unequal_groups_of_perfect_answers_are_still_perfect():
    cases = [
        case(at, (1.0, 1.0), group=f"g{at % 40}" if at < 80 else f"g{at}") for at in range(100)
    ]
    found = the(cases)
    assert found.candidate == 1.0
    assert 0.85 < found.arm_low < 1.0
    assert found.arm_high == 1.0


def test_without_a_baseline_there_is_the_candidates_interval_alone():
    cases = [replace(item, baseline=()) for item in drawn(100)]
    found = the(cases)
    assert (found.baseline, found.estimate, found.low) == (None,) * 3
    assert found.p_pass < found.alpha < found.p_fail
    assert found.arm_low < found.candidate < found.arm_high
    assert (found.method, found.reason) == ("EL-score of one arm, t(99)", None)
    assert decide([found], suite(), has_baseline=False).verdict == "pass"


def with_cost(n, ratio=1.0, seed=0, **others):
    rng = np.random.default_rng(seed)
    costs = rng.lognormal(-6, 0.3, n)
    return [
        CaseRuns(
            str(at), None,
            tuple(run(number, 1.0, cost_usd=float(costs[at] * ratio * rng.lognormal(0, 0.1)), **others) for number in range(3)),
            tuple(run(number, 1.0, cost_usd=float(costs[at] * rng.lognormal(0, 0.1)), **others) for number in range(3)),
        )
        for at in range(n)
    ]  # fmt: skip


def test_cost_is_the_ratio_of_totals_with_an_interval():
    found = the(with_cost(120, 1.02), COST)
    assert found.estimate == pytest.approx(found.candidate / found.baseline)
    assert found.low < 1.02 < found.high < 1.1
    assert (found.alpha, found.kind) == (0.05, "cost")
    assert found.arm_low < found.candidate < found.arm_high
    assert found.method == "log ratio of totals, delta method, t(119)"
    assert the(with_cost(100), COST).alpha == 0.025


def test_an_unknown_cost_makes_the_metric_undefined():
    cases = with_cost(60)
    runs = cases[0].candidate
    first = replace(cases[0], candidate=(replace(runs[0], cost_usd=None), *runs[1:]))
    found = the([first, *cases[1:]], COST)
    assert found.reason == "cost is not known for 1 run of the candidate"
    assert found.estimate is None


@pytest.mark.parametrize("n", [0, 1, 19])
def test_hardly_any_cases_have_no_cost_interval_either(n):
    found = the(with_cost(n), COST)
    assert "at least 20 are needed" in found.reason or found.reason == "there are no cases"
    assert (found.low, found.arm_low, found.p_fail) == (None, None, None)


def test_the_cost_of_a_first_release_has_an_interval_alone():
    found = the([replace(item, baseline=()) for item in with_cost(60)], COST)
    assert (found.estimate, found.low, found.reason) == (None,) * 3
    assert 0 < found.arm_low < found.candidate < found.arm_high
    assert found.method == "log of the mean, delta method, t(59)"


@pytest.mark.parametrize("n", [30, 49])
def test_few_cases_have_a_cost_but_no_interval(n):
    found = the(with_cost(n), COST)
    assert found.reason == f"{n} cases are too few to judge cost: at least 50 are needed"
    assert found.estimate is not None
    assert (found.low, found.p_pass) == (None, None)


def test_a_baseline_that_costs_nothing_leaves_no_ratio():
    free = [
        replace(item, baseline=tuple(replace(run, cost_usd=0.0) for run in item.baseline))
        for item in with_cost(60)
    ]
    found = the(free, COST)
    assert found.reason == "the baseline costs nothing, so that there is no ratio"
    assert found.estimate is None


def with_latency(n, ratio=1.0, runs=3, seed=0):
    rng = np.random.default_rng(seed)
    level = rng.lognormal(0, 0.3, n)

    def times(at, factor):
        drawn = level[at] * factor * rng.lognormal(0, 0.3, runs)
        return tuple(run(number, 1.0, latency_s=float(s)) for number, s in enumerate(drawn))

    return [CaseRuns(str(at), None, times(at, ratio), times(at, 1.0)) for at in range(n)]


def test_latency_is_the_ratio_of_a_quantile_with_an_interval():
    found = the(with_latency(120, 1.5), LATENCY)
    assert found.estimate == pytest.approx(found.candidate / found.baseline)
    assert found.low < 1.5 < found.high
    assert found.arm_low <= found.candidate <= found.arm_high
    assert found.method == "p50 over all runs, bootstrap of whole cases"
    slow = replace(LATENCY, gate=True, limit=1.2)
    verdict = decide([the(with_latency(120, 1.5), slow)], suite(slow), has_baseline=True)
    assert verdict.verdict == "fail"
    assert decide([the(with_latency(120), slow)], suite(slow), has_baseline=True).verdict == "pass"


def test_a_tail_of_few_runs_has_a_latency_but_no_interval():
    found = the(with_latency(60), replace(LATENCY, quantile=0.95))
    assert (found.low, found.p_pass) == (None, None)
    assert found.estimate is not None
    assert "p95" in found.reason or "0.95" in found.reason
    assert the(with_latency(70), replace(LATENCY, quantile=0.95)).low is not None


def test_a_latency_that_is_missing_somewhere_is_undefined():
    cases = with_latency(60)
    first = replace(cases[0], candidate=(run(0, 1.0, latency_s=None), *cases[0].candidate[1:]))
    found = the([first, *cases[1:]], LATENCY)
    assert found.reason == "latency is not known for 1 run of the candidate"
    assert the(drawn(30), LATENCY).reason == "no latency was measured"


def test_a_stricter_level_widens_the_interval():
    cases = drawn(60)
    (strict,) = summarize(cases, suite(), Design(0.01))
    assert (strict.alpha, the(cases).alpha) == (0.01, 0.05)
    assert strict.low < the(cases).low


def test_estimates_come_in_the_suites_order_and_hold_no_odd_numbers():
    cases = with_cost(60, latency_s=0.5)
    found = summarize(cases, suite(COST, LATENCY, QUALITY))
    assert [item.metric for item in found] == ["cost", "latency", "quality"]
    values = [
        getattr(item, field.name)
        for item in found
        for field in fields(item)
        if field.name not in ("checks", "cases", "details")
    ]
    assert all(isfinite(value) for value in values if isinstance(value, float))
    assert all(type(value) in {float, int, str, type(None)} for value in values)


def test_the_same_runs_give_the_same_estimates():
    assert the(drawn(80, seed=3)) == the(drawn(80, seed=3))


@pytest.mark.parametrize(
    ("drop", "verdict"), [(-0.0, "pass"), (0.3, "fail")], ids=["unchanged", "much worse"]
)
def test_summary_and_gate_together_tell_a_regression_from_none(drop, verdict):
    metric = replace(QUALITY, margin=0.1)
    estimates = summarize(drawn(240, seed=1, drop=drop), suite(metric))
    assert decide(estimates, suite(metric), has_baseline=True).verdict == verdict


def test_deciding_loads_no_numpy_and_summarizing_no_scipy_stats():
    code = (
        "import sys, json, llmvc.gate.decide, llmvc.gate.design; before = 'numpy' in sys.modules; "
        "import llmvc.evals.summary; print(json.dumps([before, 'scipy.stats' in sys.modules, "
        "'scipy.optimize' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert json.loads(done.stdout) == [False, False, False]
