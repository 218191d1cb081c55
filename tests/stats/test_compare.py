"""The gate on arrays: its verdicts, its refusals, and that it is the gate."""

import json
import sys
from dataclasses import FrozenInstanceError
from math import isnan, isqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmvc.stats
from llmvc.core.metric import Metric, Scorer
from llmvc.core.report import CaseRuns, Run
from llmvc.core.suite import Suite
from llmvc.evals.summary import summarize
from llmvc.gate.decide import decide
from llmvc.stats import compare

NAN = float("nan")


def binary(n, k, rate, seed):
    return (np.random.default_rng(seed).random((n, k)) < rate).astype(float)


def test_compare_is_the_function_that_the_package_offers():
    assert llmvc.stats.compare is compare
    assert callable(compare)
    assert sys.modules[compare.__module__].__name__ == "llmvc.stats.comparing"


def test_the_result_is_frozen():
    found = compare(np.ones(60), np.ones(60), margin=0.1)
    with pytest.raises(FrozenInstanceError):
        found.verdict = "pass"


def test_the_three_verdicts_on_scores():
    old = binary(400, 3, 0.8, 1)
    assert compare(old, old, margin=0.05).verdict == "pass"
    worse = compare(old, binary(400, 3, 0.6, 2), margin=0.05)
    assert (worse.verdict, worse.high < -0.05) == ("fail", True)
    assert compare(np.ones(40), np.ones(40), margin=0.05).verdict == "inconclusive"


@pytest.mark.parametrize("kind", ["cost", "latency"])
def test_a_cost_or_a_latency_fails_only_beyond_the_limit(kind):
    old = 1.0 + np.random.default_rng(4).random((200, 3))
    noisy = old * (1.0 + 0.01 * np.random.default_rng(5).random((200, 3)))
    assert compare(old, noisy * 1.02, margin=0.2, kind=kind).verdict == "pass"
    assert compare(old, noisy * 1.5, margin=0.2, kind=kind).verdict == "fail"
    assert compare(old, noisy * 1.2, margin=0.2, kind=kind).verdict != "pass"
    assert compare(old, noisy * 1.5, margin=0.2, kind=kind).estimate == pytest.approx(1.5, rel=0.02)


TANGO = [
    row
    for row in json.loads((Path(__file__).parent / "reference" / "tango.json").read_text())
    if row["mean"].startswith("-") and 20 <= row["n"] <= 1000
]


@pytest.mark.parametrize("row", TANGO, ids=lambda row: f"{row['n']}-{row['better']}-{row['worse']}")
def test_one_run_of_pass_or_fail_is_tangos_test(row):
    n, better, worse = row["n"], row["better"], row["worse"]
    old, new = np.ones(n), np.ones(n)
    old[:better], new[better : better + worse] = 0, 0
    found = compare(old, new, margin=-float(row["mean"]))
    assert found.score_pass == pytest.approx(float(row["statistic"]), abs=1e-9)
    assert abs(found.t_pass) <= abs(found.score_pass) + 1e-9


def test_a_run_is_never_an_independent_observation():
    old, new = binary(60, 1, 0.8, 8), binary(60, 1, 0.8, 9)
    once, repeated = (
        compare(a, b, margin=0.1) for a, b in ((old, new), (old.repeat(50, 1), new.repeat(50, 1)))
    )
    assert (once.low, once.high) == pytest.approx((repeated.low, repeated.high))


def test_the_variance_is_split_into_cases_and_runs():
    found = compare(binary(300, 4, 0.7, 1), binary(300, 4, 0.7, 2), margin=0.1)
    assert found.var_run == pytest.approx(2 * 0.7 * 0.3 / 4, rel=0.15)
    assert found.var_case < found.var_run
    assert compare(np.ones(60), np.ones(60), margin=0.1).var_run is None


@pytest.mark.parametrize("n", [0, 1, 2, 19])
@pytest.mark.parametrize("kind", ["score", "cost", "latency"])
def test_too_few_cases_say_nothing(n, kind):
    found = compare(np.ones((n, 3)), np.ones((n, 3)), margin=0.5, kind=kind)
    assert (found.verdict, found.estimate) == ("inconclusive", None)
    assert ("1 case is too few" if n == 1 else f"{n} cases are too few") in found.reason


def test_twenty_equal_cases_pass_only_a_margin_that_they_can_show():
    ones = np.ones(20)
    assert compare(ones, ones, margin=0.1).verdict == "inconclusive"
    assert compare(ones, ones, margin=0.2).verdict == "pass"


@pytest.mark.parametrize("value", [0.0, 0.37, 1.0])
def test_a_constant_column_is_judged_by_the_number_of_cases(value):
    few, many = (compare([value] * n, [value] * n, margin=0.05) for n in (30, 60))
    assert (few.verdict, many.verdict) == ("inconclusive", "pass")
    assert few.low < -0.05 < many.low < 0 < many.high


def test_few_changed_cases_never_fail():
    new = np.ones(200)
    new[:4] = 0
    found = compare(np.ones(200), new, margin=0.01)
    assert found.verdict == "inconclusive"
    assert "only 4 cases differ" in found.reason
    new[4] = 0
    assert compare(np.ones(200), new, margin=0.01).verdict == "fail"


@pytest.mark.parametrize("worse", range(10, 40, 2))
def test_the_verdict_on_scores_is_read_off_the_interval(worse):
    old, new = np.ones(150), np.ones(150)
    old[:8], new[8 : 8 + worse] = 0, 0
    found = compare(old, new, margin=0.1)
    passes, fails = found.low > -0.1, found.high < 0
    assert found.verdict == ("pass" if passes else "fail" if fails else "inconclusive")


@pytest.mark.parametrize("n", [60, 200])
@pytest.mark.parametrize("factor", np.linspace(1.0, 1.2, 41))
def test_the_verdict_on_costs_is_read_off_the_interval(n, factor):
    old = 1.0 + np.random.default_rng(n).random((n, 2))
    new = factor * (1.0 + np.random.default_rng(n + 1).random((n, 2)))
    found = compare(old, new, margin=0.1, kind="cost")
    passes, fails = found.high < 1.1, found.low > 1.1
    assert found.verdict == ("pass" if passes else "fail" if fails else "inconclusive")


def test_a_pass_that_is_worse_says_so():
    old = binary(2000, 5, 0.9, 1)
    found = compare(old, np.minimum(old, binary(2000, 5, 0.98, 2)), margin=0.05)
    assert found.verdict == "pass"
    assert "though worse" in found.reason


def test_groups_are_the_units():
    old, new = binary(60, 3, 0.9, 1), binary(60, 3, 0.9, 2)
    alone = compare(old, new, margin=0.2)
    grouped = compare(old, new, margin=0.2, groups=[at // 3 for at in range(60)])
    assert "over 20 groups" in grouped.method
    assert (alone.estimate, grouped.n_cases) == (pytest.approx(grouped.estimate), 60)
    few = compare(old, new, margin=0.2, groups=[f"g{at % 5}" for at in range(60)])
    assert few.verdict == "inconclusive"
    assert "5 groups" in few.reason


def test_a_group_that_is_missing_stands_for_a_case_alone():
    labels = [None, NAN] * 30
    old, new = binary(60, 3, 0.9, 1), binary(60, 3, 0.9, 2)
    assert compare(old, new, margin=0.2, groups=labels) == compare(old, new, margin=0.2)


def test_cases_may_be_run_unequally_often():
    old, new = binary(60, 3, 0.9, 1), binary(60, 2, 0.9, 2)
    nested = [row[: 2 + at % 2] for at, row in enumerate(old.tolist())]
    found = compare(nested, new, margin=0.2)
    assert (found.verdict, found.n_cases) == ("pass", 60)
    means = np.mean([np.mean(b) - np.mean(a) for a, b in zip(nested, new, strict=True)])
    assert found.estimate == pytest.approx(means)
    nested[5] = []
    found = compare(nested, new, margin=0.2)
    assert (found.verdict, found.reason) == ("inconclusive", "1 case has no run of the baseline")


@pytest.mark.parametrize("kind", ["score", "cost", "latency"])
@pytest.mark.parametrize("gap", [NAN, None])
def test_a_run_without_a_number_is_never_dropped(kind, gap):
    """It may be one that went wrong: two wrong runs of three, written as NaN, would pass."""
    old = np.ones((200, 3))
    new = [[1.0, gap, gap] for _ in range(200)]
    found = compare(old, new, margin=0.1, kind=kind)
    assert (found.verdict, found.estimate, found.n_cases) == ("inconclusive", None, 0)
    assert found.reason == f"400 runs of the candidate have no {kind}"
    one = old.tolist()
    one[7] = [1.0, gap]
    found = compare(one, old, margin=0.1, kind=kind)
    assert (found.reason, found.n_cases) == (f"1 run of the baseline has no {kind}", 199)


def test_a_masked_value_has_no_number():
    masked = np.ma.masked_array(np.ones((60, 2)), mask=np.eye(60, 2, dtype=bool))
    found = compare(np.ones((60, 2)), masked, margin=0.1)
    assert found.reason == "2 runs of the candidate have no score"


def test_costs_that_cannot_be_judged_are_inconclusive():
    ones = np.ones((40, 2))
    assert "at least 50" in compare(ones, ones, margin=0.1, kind="cost").reason
    zero = np.zeros((60, 2))
    assert "costs nothing" in compare(zero, np.ones((60, 2)), margin=0.1, kind="cost").reason
    runaway = np.ones((60, 1))
    runaway[0] = 100
    assert "2 cases hold" in compare(runaway, runaway, margin=0.1, kind="cost").reason


FIT = np.full((30, 2), 0.5)
REFUSED = {
    "margin of 0": ({"margin": 0}, "margin"),
    "margin of 1": ({"margin": 1}, "margin"),
    "negative margin": ({"margin": -0.05}, "margin"),
    "margin that is no number": ({"margin": NAN}, "margin"),
    "alpha of 0": ({"alpha": 0.0}, "alpha"),
    "alpha of one half": ({"alpha": 0.5}, "alpha"),
    "unknown kind": ({"kind": "speed"}, "kind must be one of"),
    "score above 1": ({"candidate": FIT * 3}, "candidate holds 1.5: a score must be in"),
    "score below 0": ({"baseline": -FIT}, "baseline holds -0.5"),
    "infinite score": ({"candidate": FIT * np.inf}, "infinite"),
    "negative cost": ({"candidate": -FIT, "kind": "cost"}, "at least 0"),
    "negative latency": ({"baseline": -FIT, "kind": "latency"}, "at least 0"),
    "infinite cost": ({"candidate": FIT * np.inf, "kind": "cost"}, "infinite"),
    "unequal cases": ({"candidate": FIT[1:]}, "baseline has 30 cases, candidate has 29"),
    "three dimensions": ({"baseline": np.ones((30, 2, 2))}, "shape"),
    "one number": ({"baseline": 0.5}, "shape"),
    "too few labels": ({"groups": ["a"] * 29}, "30 cases and 29 group labels"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_arguments_that_make_no_sense_are_value_errors(change, message):
    arguments = {"baseline": FIT, "candidate": FIT, "margin": 0.1, **change}
    with pytest.raises(ValueError, match=message):
        compare(**arguments)


NO_NUMBERS = {
    "margin as text": ({"margin": "0.1"}, "margin must be a number such as 0.05, not '0.1'"),
    "no margin": ({"margin": None}, "margin must be a number such as 0.05, not None"),
    "alpha as text": ({"alpha": "0.05"}, "alpha must be a number"),
    "text": ({"baseline": [["good"]] * 30}, "baseline holds str"),
    "numbers as text": ({"candidate": FIT.astype(str)}, "candidate holds str"),
    "numbers as text beside None": ({"candidate": [["1", None]] * 30}, "candidate holds '1'"),
    "complex numbers": ({"baseline": FIT + 0j}, "baseline holds complex128 values"),
    "complex numbers in rows": ({"baseline": [[1j], *FIT[1:].tolist()]}, "baseline holds complex"),
    "times": ({"baseline": FIT.astype("timedelta64[s]")}, "baseline holds timedelta64"),
}


@pytest.mark.parametrize(("change", "message"), NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_is_no_number_is_a_type_error(change, message):
    arguments = {"baseline": FIT, "candidate": FIT, "margin": 0.1, **change}
    with pytest.raises(TypeError, match=message):
        compare(**arguments)


def gate(old, new, labels, kind, margin):
    """What the gate says of the same numbers in a suite of one metric."""

    def runs(rows):
        field = {"cost": "cost_usd", "latency": "latency_s"}.get(kind)
        values = [None if isnan(x) else x for x in rows]
        return tuple(
            Run(at, None, {}, **{field: x}) if field else Run(at, None, {"quality": x})
            for at, x in enumerate(values)
        )

    cases = [
        CaseRuns(f"{at:03}", label, runs(b), runs(a))
        for at, (a, b, label) in enumerate(zip(old, new, labels, strict=True))
    ]
    rule = {"margin": margin} if kind == "score" else {"limit": 1.0 + margin}
    metric = Metric("m", kind, ("quality",) if kind == "score" else (), **rule)
    suite = Suite((), (Scorer("quality", "equals", {}),), 1, (metric,))
    estimates = summarize(cases, suite)
    return decide(estimates, suite, has_baseline=True), estimates[0]


@st.composite
def arms(draw):
    n = draw(st.sampled_from([19, 20, 21, 40, 60, 300]))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    values = draw(st.sampled_from([[0.0, 1.0], [0.0, 0.25, 0.5, 0.75, 1.0], [1.0]]))
    ease = draw(st.sampled_from([0.0, 0.5, 0.9]))
    drop = draw(st.sampled_from([0.0, 0.05, 0.3]))
    old = rng.choice(values, (n, draw(st.integers(1, 3))))
    old = np.where(rng.random(old.shape) < ease, values[-1], old)
    new = np.resize(old.T, (draw(st.integers(1, 3)), n)).T
    new = np.where(rng.random(new.shape) < drop, values[0], new)
    new = np.where(rng.random(new.shape) < draw(st.sampled_from([0.0, 0.0, 0.003])), NAN, new)
    fewer = draw(st.sampled_from([0, 0, 5]))
    new = [
        row[:-1] if fewer and len(row) > 1 and at % fewer == 0 else row
        for at, row in enumerate(new.tolist())
    ]
    group = draw(st.sampled_from([lambda at: None, lambda at: at // 4, isqrt]))
    groups = [None if group(at) is None else f"g{group(2 * at)}" for at in range(n)]
    return old, new, groups


@settings(deadline=None, max_examples=100)
@given(arms(), st.sampled_from(["score", "cost", "latency"]), st.sampled_from([0.02, 0.1, 0.4]))
def test_compare_says_what_the_gate_says(data, kind, margin):
    old, new, groups = data
    if kind != "score":
        old, new = 1.0 + old, [[1.0 + x for x in row] for row in new]
    found = compare(old, new, margin=margin, groups=groups, kind=kind)
    verdict, estimate = gate(old, new, groups, kind, margin)
    assert found.verdict == verdict.verdict, (found, verdict)
    if found.low is not None:
        numbers = (estimate.estimate, estimate.low, estimate.high)
        assert (found.estimate, found.low, found.high) == pytest.approx(numbers, abs=1e-9)
        assert (found.t_pass, found.t_fail) == pytest.approx((estimate.t_pass, estimate.t_fail))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["score", "cost"])
def test_a_million_cases_are_judged(kind):
    rng = np.random.default_rng(1)
    old = rng.random((1_000_000, 3))
    found = compare(old, 0.999 * old, margin=0.01, kind=kind)
    assert (found.verdict, found.n_cases) == ("pass", 1_000_000)
