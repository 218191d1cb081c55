"""The verdict on stored estimates: each rule, and the laws that hold over all of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.core.suite import Looks, Suite
from llmvc.gate.decide import decide
from llmvc.gate.level import Standing
from llmvc.gate.looks import levels
from llmvc.gate.multiple import holm

QUALITY = Metric("quality", "score", ("team",), margin=0.05, floor=0.5)
COST = Metric("cost", "cost", limit=1.10, ceiling_usd=0.01)
LATENCY = Metric("latency", "latency", gate=False)


def suite(*metrics, alpha=0.05, **rules):
    return Suite((), (), 3, metrics, alpha=alpha, **rules)


def score(low, high, *, p_fail=0.5, name="quality", n=100, changed=20, alpha=0.05):
    return Estimate(
        name, "score", baseline=0.8, candidate=0.8 + (low + high) / 2, estimate=(low + high) / 2,
        low=low, high=high, arm_low=0.7, arm_high=0.86, p_pass=1e-9, p_fail=p_fail, t_pass=0.0,
        t_fail=0.0, alpha=alpha, n=n, n_effective=float(n), n_worse=changed,
    )  # fmt: skip


def cost(low, high, *, p_fail=0.5, alpha=0.025, n=100):
    return Estimate(
        "cost", "cost", baseline=0.002, candidate=0.002, estimate=(low + high) / 2, low=low,
        high=high, arm_low=0.0018, arm_high=0.0022, p_pass=1e-9, p_fail=p_fail, alpha=alpha, n=n,
        n_effective=float(n),
    )  # fmt: skip


def verdict(*estimates, metrics=(QUALITY,), has_baseline=True, **options):
    return decide(estimates, suite(*metrics), has_baseline=has_baseline, **options)


@pytest.mark.parametrize(
    ("low", "high", "p_fail", "expected", "reason"),
    [
        (-0.02, 0.03, 0.4, "pass", "+0.005 [-0.020, +0.030], at worst -0.020, within the margin of -0.05"),
        (-0.05, 0.03, 0.4, "inconclusive", "-0.010 [-0.050, +0.030], which may be beyond the margin of -0.05"),
        (-0.11, -0.05, 0.001, "fail", "-0.080 [-0.110, -0.050]: worse than the baseline; margin -0.05"),
        (-0.04, -0.01, 0.001, "pass", "-0.025 [-0.040, -0.010], worse, yet -0.040, within the margin of -0.05"),
    ],
)  # fmt: skip
def test_a_score_is_judged_by_its_interval_and_its_p_value(low, high, p_fail, expected, reason):
    result = verdict(score(low, high, p_fail=p_fail))
    assert result.verdict == expected
    assert result.metrics[0].reason == reason


def test_worse_within_the_margin_passes_and_is_flagged():
    result = verdict(score(-0.04, -0.01, p_fail=0.001))
    assert (result.verdict, result.metrics[0].degraded) == ("pass", True)
    assert result.reason == "the gating metric passes; worse within the margin: quality"


@pytest.mark.parametrize(
    ("low", "high", "p_fail", "expected"),
    [
        (0.98, 1.05, 0.9, "pass"),
        (1.02, 1.09, 0.9, "pass"),
        (1.05, 1.10, 0.6, "inconclusive"),
        (1.08, 1.30, 0.04, "inconclusive"),
        (1.15, 1.30, 0.001, "fail"),
    ],
)
def test_cost_fails_only_beyond_its_limit(low, high, p_fail, expected):
    assert verdict(cost(low, high, p_fail=p_fail), metrics=(COST,)).verdict == expected


def test_every_gating_metric_must_pass():
    good, unclear = score(-0.01, 0.02), cost(0.9, 1.3)
    result = verdict(good, unclear, metrics=(QUALITY, COST))
    assert result.verdict == "inconclusive"
    assert result.reason.startswith("cost: x1.10 [0.90, 1.30], which may be beyond the limit")
    assert (
        verdict(good, cost(0.9, 1.05), metrics=(QUALITY, COST)).reason == "all gating metrics pass"
    )


def test_one_failing_metric_fails_the_candidate_even_if_another_is_undefined():
    broken = replace(cost(1, 1), low=None, high=None, p_fail=None, reason="cost is not known")
    result = verdict(score(-0.2, -0.1, p_fail=1e-6), broken, metrics=(QUALITY, COST))
    assert result.verdict == "fail"
    assert result.reason.startswith("quality: -0.150")


@pytest.mark.parametrize("changed", [0, 3, 4])
def test_a_drop_on_fewer_than_five_cases_is_inconclusive(changed):
    result = verdict(score(-0.07, -0.01, p_fail=0.01, changed=changed))
    assert result.verdict == "inconclusive"
    cases = "cases differ" if changed != 1 else "case differs"
    assert f"only {changed} {cases} between the arms" in result.reason
    assert verdict(score(-0.07, -0.01, p_fail=0.01, changed=5)).verdict == "fail"


def test_a_watched_metric_decides_nothing_but_is_judged():
    watched = replace(QUALITY, name="tone", gate=False)
    estimates = score(-0.01, 0.01), score(-0.2, -0.1, p_fail=1e-6, name="tone")
    result = verdict(*estimates, metrics=(QUALITY, watched))
    assert result.verdict == "pass"
    assert [item.verdict for item in result.metrics] == ["pass", "fail"]


def test_latency_is_described_and_never_judged():
    seen = Estimate("latency", "latency", baseline=1.0, candidate=1.5, estimate=1.5, n=100)
    result = verdict(score(-0.01, 0.01), seen, metrics=(QUALITY, LATENCY))
    assert result.verdict == "pass"
    assert result.metrics[1].reason == "1 s -> 1.5 s, x1.50, watched only"
    gating = replace(LATENCY, gate=True)
    assert verdict(score(-0.01, 0.01), seen, metrics=(QUALITY, gating)).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"failures": 1}, "1 run failed and has no output"),
        ({"failures": 1200}, "1,200 runs failed and have no output"),
        ({"standing": Standing(look=2)}, "this is look 2 at one question, the suite plans 1"),
    ],
)
@pytest.mark.parametrize("low", [-0.01, -0.3])
def test_failed_runs_and_unplanned_looks_are_inconclusive_whatever_the_estimates(
    options, reason, low
):
    result = verdict(score(low, low + 0.02, p_fail=0.5 if low > -0.05 else 1e-6), **options)
    assert (result.verdict, result.reason) == ("inconclusive", reason)
    assert result.settle


def test_a_suite_without_a_gating_metric_is_inconclusive():
    result = verdict(score(-0.01, 0.01), metrics=(replace(QUALITY, gate=False),))
    assert (result.verdict, result.reason) == ("inconclusive", "no metric of the suite gates")


@pytest.mark.parametrize(
    ("estimate", "reason"),
    [
        (None, "it was not estimated"),
        (Estimate("quality", "score", reason="there are no cases"), "there are no cases"),
        (score(-0.01, 0.01, alpha=0.2), "it was estimated at error rate 0.2, the report says 0.05"),
        (replace(score(0, 0), low=None, high=None, p_fail=None), "there is no comparison with a baseline"),
    ],
)  # fmt: skip
def test_missing_or_foreign_evidence_never_passes(estimate, reason):
    result = verdict(*([] if estimate is None else [estimate]))
    assert (result.verdict, result.metrics[0].reason) == ("inconclusive", reason)


def test_looks_share_the_error_rate():
    planned = suite(QUALITY, looks=Looks("cases", (0.5, 1.0)))
    first, last = levels((0.5, 1.0), 0.05)
    p = replace(score(-0.01, 0.01), p_pass=(first + last) / 2)
    at = {
        look: decide([p], planned, has_baseline=True, standing=Standing(look, made_at=0.05))
        for look in (1, 2)
    }
    assert (at[1].verdict, at[2].verdict) == ("inconclusive", "pass")
    assert "and 0.0056 is asked" in at[1].reason


@pytest.mark.parametrize(("metric", "what"), [(replace(QUALITY, margin=None), "margin"), (replace(COST, limit=None), "limit")])  # fmt: skip
def test_a_gating_metric_without_a_rule_is_inconclusive_and_says_which_to_set(metric, what):
    result = verdict(score(0.1, 0.2), cost(0.5, 0.6), metrics=(metric,))
    assert result.verdict == "inconclusive"
    assert result.settle == f"give {metric.name} a {what} in the suite"


@pytest.mark.parametrize(
    ("low", "high", "expected", "verb"),
    [
        (0.5, 0.7, "pass", "reaches"),
        (0.49, 0.7, "inconclusive", "may be below"),
        (0.3, 0.49, "fail", "is below"),
        (0.3, 0.5, "inconclusive", "may be below"),
    ],
)
def test_a_first_release_is_judged_by_its_floor(low, high, expected, verb):
    estimate = replace(score(0, 0, p_fail=1e-9), candidate=0.6, arm_low=low, arm_high=high)
    result = verdict(estimate, has_baseline=False)
    assert result.verdict == expected
    assert result.metrics[0].reason == f"0.600 [{low:.3f}, {high:.3f}] {verb} the floor of 0.5"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.001, 0.009, "pass"), (0.001, 0.01, "inconclusive"), (0.02, 0.03, "fail")],
)
def test_a_first_release_is_judged_by_its_cost_ceiling(low, high, expected):
    estimate = replace(cost(1, 1, p_fail=1e-9), arm_low=low, arm_high=high)
    assert verdict(estimate, metrics=(COST,), has_baseline=False).verdict == expected


def test_a_first_release_without_a_floor_is_inconclusive():
    bare = replace(QUALITY, floor=None)
    result = verdict(score(0.1, 0.2), metrics=(bare,), has_baseline=False)
    assert result.verdict == "inconclusive"
    assert result.reason == "quality: there is no baseline, and the suite sets no floor"
    assert result.settle == "give quality a floor in the suite, or promote with --adopt --reason"


def test_a_first_release_that_could_not_be_measured_is_inconclusive():
    broken = replace(score(0, 0), reason="2 of 40 cases have no usable run of the candidate")
    result = verdict(broken, has_baseline=False)
    assert result.verdict == "inconclusive"
    assert result.metrics[0].reason == broken.reason


def test_latency_of_a_first_release_is_described():
    seen = Estimate("latency", "latency", candidate=1.5, n=100)
    result = verdict(score(0, 0), seen, metrics=(QUALITY, LATENCY), has_baseline=False)
    assert result.metrics[1].reason == "1.5 s, watched only"
    unseen = Estimate("latency", "latency", n=100)
    result = verdict(score(0, 0), unseen, metrics=(QUALITY, LATENCY), has_baseline=False)
    assert result.metrics[1].reason == "no latency was measured"


def test_a_cost_without_a_comparison_is_inconclusive():
    bare = replace(cost(1, 1), low=None, high=None, p_fail=None)
    result = verdict(bare, metrics=(COST,))
    assert result.metrics[0].reason == "there is no comparison with a baseline"


def test_a_first_release_without_an_interval_is_inconclusive():
    bare = replace(score(0, 0), arm_low=None, arm_high=None)
    assert verdict(bare, has_baseline=False).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("shares", "rejected"),
    [
        ({}, set()),
        ({"a": 0.99}, {"a"}),
        ({"a": 1.0}, set()),
        ({"a": 0.49, "b": 0.99}, {"a", "b"}),
        ({"a": 0.5, "b": 0.6}, set()),
        ({"a": 0.3, "b": 0.5, "c": 0.9}, {"a"}),
    ],
)
def test_holm_steps_down(shares, rejected):
    assert holm(shares) == rejected


def test_several_gating_metrics_fail_only_after_holm():
    metrics = tuple(replace(QUALITY, name=name) for name in "abc")
    estimates = [score(-0.08, -0.001, p_fail=0.04, name=name) for name in "abc"]
    result = verdict(*estimates, metrics=metrics)
    assert result.verdict == "inconclusive"
    assert "worse alone (p = 0.040), not among all gating metrics" in result.reason
    strong = [score(-0.2, -0.1, p_fail=0.01, name="a"), *estimates[1:]]
    assert verdict(*strong, metrics=metrics).metrics[0].verdict == "fail"


def test_a_metric_degraded_within_its_margin_does_not_count_in_holm():
    metrics = (QUALITY, replace(QUALITY, name="tone"))
    degraded = score(-0.04, -0.01, p_fail=0.001)
    result = verdict(degraded, score(-0.09, -0.01, p_fail=0.04, name="tone"), metrics=metrics)
    assert [item.verdict for item in result.metrics] == ["pass", "fail"]


numbers = st.floats(-0.4, 0.4)
estimates = st.builds(
    lambda ends, p, changed, name: score(
        min(ends), max(ends), p_fail=p, changed=changed, name=name
    ),
    st.tuples(numbers, numbers),
    st.floats(0, 1),
    st.integers(0, 12),
    st.sampled_from(["a", "b"]),
)
worsening = st.tuples(st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0, 1), st.booleans())


@given(estimates, estimates, worsening, st.booleans())
def test_a_worse_estimate_never_turns_another_verdict_into_a_pass(one, two, worse, has_baseline):
    rules = suite(*(replace(QUALITY, name=name) for name in "ab"))
    one, two = replace(one, metric="a"), replace(two, metric="b")
    down_low, down_high, factor, drop_arm = worse
    arm = 0.3 * drop_arm
    low, high = one.low - down_low, max(one.low - down_low, one.high - down_high)
    after = replace(
        one, low=low, high=high, p_fail=one.p_fail * factor, arm_low=one.arm_low - arm,
        arm_high=one.arm_high - arm,
    )  # fmt: skip
    before = decide([one, two], rules, has_baseline=has_baseline)
    if before.verdict != "pass":
        assert decide([after, two], rules, has_baseline=has_baseline).verdict != "pass"


@given(estimates, st.floats(0.001, 0.4), st.floats(0.01, 1))
def test_a_smaller_margin_never_helps(estimate, margin, factor):
    wide, tight = (replace(QUALITY, margin=value) for value in (margin, margin * factor))
    estimate = replace(estimate, metric="quality")
    if verdict(estimate, metrics=(tight,)).verdict == "pass":
        assert verdict(estimate, metrics=(wide,)).verdict == "pass"


@given(st.permutations(["a", "b", "cost"]), estimates, estimates)
def test_the_order_of_the_estimates_does_not_matter(order, one, two):
    rules = suite(replace(QUALITY, name="a"), replace(QUALITY, name="b"), COST)
    known = {"a": replace(one, metric="a"), "b": replace(two, metric="b"), "cost": cost(0.9, 1.2)}
    expected = decide(list(known.values()), rules, has_baseline=True)
    assert decide([known[name] for name in order], rules, has_baseline=True) == expected
