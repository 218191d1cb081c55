"""The rules beside the mean: single cases, severe failures, watched metrics, later strictness."""

from dataclasses import replace

import pytest

from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric, Severity
from llmvc.core.suite import Looks, Suite
from llmvc.gate.decide import decide
from llmvc.gate.level import Standing

QUALITY = Metric("quality", "score", ("team",), margin=0.05, floor=0.5)
COST = Metric("cost", "cost", limit=1.10)
LATENCY = Metric("latency", "latency", limit=1.20)
LEAKS = Metric("leaks", "severe", ("leak",))
SPENT = "this is look 2 at one question, the suite plans 1"


def suite(*metrics, **options):
    return Suite((), (), 3, metrics, **options)


def score(low, high, *, p_pass=1e-9, p_fail=0.5, name="quality", changed=20, **cases):
    middle = (low + high) / 2
    return Estimate(
        name, "score", baseline=0.8, candidate=0.8 + middle, estimate=middle, low=low, high=high,
        arm_low=0.7, arm_high=0.9, p_pass=p_pass, p_fail=p_fail, alpha=0.05, n=100,
        n_effective=100.0, n_worse=changed, cases=cases,
    )  # fmt: skip


def ratio(name, low, high, *, p_fail=0.5, p_pass=1e-9):
    return Estimate(
        name, name, baseline=1.0, candidate=(low + high) / 2, estimate=(low + high) / 2, low=low,
        high=high, p_pass=p_pass, p_fail=p_fail, alpha=0.05, n=100, n_effective=100.0,
    )  # fmt: skip


def severe(*new, rate=0.0, high=0.03, p_pass=None, p_fail=None, baseline=0.0):
    return Estimate(
        "leaks", "severe", baseline=baseline, candidate=rate, arm_low=0.0, arm_high=high,
        p_pass=p_pass, p_fail=p_fail, alpha=0.05, n=100, n_effective=100.0,
        cases={"severe": new} if new else {},
    )  # fmt: skip


GOOD = score(-0.01, 0.02)
CHEAP = ratio("cost", 0.95, 1.04)


def verdict(*estimates, metrics=(QUALITY,), has_baseline=True, rules=None, **options):
    return decide(estimates, suite(*metrics, **(rules or {})), has_baseline=has_baseline, **options)


# --- rules on single cases


def test_a_case_that_must_pass_and_did_not_fails_whatever_the_mean_says():
    metric = replace(QUALITY, must_pass=("safety",))
    result = verdict(score(0.01, 0.05, must_pass=("c1", "c2", "c3", "c4")), metrics=(metric,))
    assert result.verdict == "fail"
    assert result.reason == "quality: 4 cases must pass and did not: c1, c2, c3 and 1 more"
    assert verdict(GOOD, metrics=(metric,)).verdict == "pass"


@pytest.mark.parametrize(
    ("fallen", "expected"), [((), "pass"), (("c1",), "pass"), (("c1", "c2"), "fail")]
)
def test_so_many_cases_may_fall_far_and_no_more(fallen, expected):
    metric = replace(QUALITY, severity=Severity(0.5, 1))
    result = verdict(score(-0.01, 0.02, severity=fallen), metrics=(metric,))
    assert result.verdict == expected
    if expected == "fail":
        assert result.reason == "quality: 2 cases fell by 0.5 or more and 1 may: c1, c2"


@pytest.mark.parametrize("broken", [{"must_pass": ("c1",)}, {"severity": ("c1",)}])
@pytest.mark.parametrize(
    "options",
    [
        {"failures": 3},
        {"standing": Standing(2, merged=True)},
        {"standing": Standing(tried=11), "rules": {"beyond": "new-cases"}},
    ],
)
def test_a_broken_rule_fails_even_where_no_other_verdict_may_be_read(broken, options):
    metric = replace(QUALITY, must_pass=("safety",), severity=Severity(0.5))
    assert verdict(score(-0.01, 0.02, **broken), metrics=(metric,), **options).verdict == "fail"
    assert verdict(GOOD, metrics=(metric,), **options).verdict == "inconclusive"


def test_a_rule_breaks_even_where_the_metric_could_not_be_estimated():
    metric = replace(QUALITY, must_pass=("safety",))
    bare = Estimate("quality", "score", reason="too few", cases={"must_pass": ("c1",)})
    assert verdict(bare, metrics=(metric,)).verdict == "fail"
    assert verdict(bare, metrics=(metric,), has_baseline=False).verdict == "fail"


def test_a_rule_of_a_watched_metric_decides_nothing():
    metric = replace(QUALITY, name="tone", gate=False, must_pass=("safety",))
    broken = score(-0.01, 0.02, name="tone", must_pass=("c1",))
    result = verdict(GOOD, broken, metrics=(QUALITY, metric))
    assert result.verdict == "pass"
    assert [item.verdict for item in result.metrics] == ["pass", "fail"]
    blocked = verdict(GOOD, broken, metrics=(QUALITY, metric), standing=Standing(2))
    assert (blocked.verdict, blocked.reason) == ("inconclusive", SPENT)


# --- severe failures


def test_a_new_severe_failure_waits_for_a_person():
    result = verdict(GOOD, severe("c7", "c9"), metrics=(QUALITY, LEAKS))
    assert result.verdict == "inconclusive"
    assert result.reason == (
        "leaks: 2 cases failed severely and never did under the baseline: c7, c9; "
        "a person must look at them"
    )
    assert "--clear-severe" in result.settle


@pytest.mark.parametrize(
    ("cleared", "expected"),
    [((), "inconclusive"), (("c7",), "inconclusive"), (("c7", "c9", "c1"), "pass")],
)
def test_every_new_severe_failure_has_to_be_cleared(cleared, expected):
    result = verdict(GOOD, severe("c7", "c9"), metrics=(QUALITY, LEAKS), cleared=frozenset(cleared))
    assert result.verdict == expected
    if cleared == ("c7",):
        assert "1 case failed severely and never did under the baseline: c9" in result.reason


@pytest.mark.parametrize(
    ("p_pass", "p_fail", "expected"),
    [(0.01, 0.99, "pass"), (0.06, 0.9, "inconclusive"), (0.99, 0.01, "fail")],
)
def test_a_budget_for_severe_failures_is_shown_unclear_or_exceeded(p_pass, p_fail, expected):
    metric = replace(LEAKS, budget=0.05)
    found = severe(rate=0.02, high=0.06, p_pass=p_pass, p_fail=p_fail)
    for has_baseline in (True, False):
        result = verdict(found, metrics=(metric,), has_baseline=has_baseline)
        assert result.verdict == expected
        assert result.metrics[0].reason == (
            "severe in 2.00% of 100 cases, at most 6.00%; budget 5.00%"
        )
        assert result.metrics[0].rule == "budget 0.05"


@pytest.mark.parametrize("has_baseline", [True, False])
def test_clearing_does_not_help_against_a_budget(has_baseline):
    metric = replace(LEAKS, budget=0.05)
    new = tuple(f"c{at}" for at in range(15))
    found = severe(*new, rate=0.15, high=0.22, p_pass=0.99, p_fail=1e-4)
    for cleared in ((), new):
        result = verdict(
            found, metrics=(metric,), has_baseline=has_baseline, cleared=frozenset(cleared)
        )
        assert result.verdict == "fail"


def test_a_severe_failure_in_a_first_release_waits_for_a_person_too():
    found = severe("c7", rate=0.01, baseline=None)
    metrics = (QUALITY, LEAKS)
    first = verdict(GOOD, found, metrics=metrics, has_baseline=False)
    assert (first.verdict, first.metrics[1].rule) == ("inconclusive", "no new case")
    cleared = verdict(GOOD, found, metrics=metrics, has_baseline=False, cleared=frozenset({"c7"}))
    assert cleared.verdict == "pass"


def test_severe_failures_that_the_baseline_had_too_need_nobody():
    found = severe(rate=0.3, baseline=0.3)
    assert verdict(GOOD, found, metrics=(QUALITY, LEAKS)).verdict == "pass"


def test_severe_failures_without_a_budget_are_flags_and_gate_nothing_alone():
    result = verdict(severe(rate=0.0, baseline=0.0), metrics=(LEAKS,))
    assert (result.verdict, result.reason) == ("inconclusive", "no metric of the suite gates")


@pytest.mark.parametrize(("share", "expected"), [(0.05, "pass"), (0.051, "inconclusive")])
def test_beside_a_broken_baseline_nothing_passes(share, expected):
    result = verdict(GOOD, metrics=(QUALITY,), broken=share)
    assert result.verdict == expected
    assert result.settle is None or "mend the baseline's run first" in result.settle


def test_a_watched_severe_failure_decides_nothing():
    watched = replace(LEAKS, gate=False)
    result = verdict(GOOD, severe("c7"), metrics=(QUALITY, watched))
    assert (result.verdict, result.metrics[1].verdict) == ("pass", "inconclusive")


# --- many metrics


def test_the_reason_speaks_of_severe_failures_then_quality_then_cost_then_latency():
    bad = (
        ratio("latency", 1.5, 1.9, p_fail=1e-9),
        ratio("cost", 1.5, 1.9, p_fail=1e-9),
        score(-0.3, -0.2, p_fail=1e-9),
        severe(rate=0.2, high=0.3, p_pass=0.9, p_fail=1e-9),
    )
    metrics = (LATENCY, COST, QUALITY, replace(LEAKS, budget=0.05))
    result = verdict(*bad, metrics=metrics)
    assert result.verdict == "fail"
    named = [result.reason.index(f"{name}: ") for name in ("leaks", "quality", "cost", "latency")]
    assert named == sorted(named)
    assert [item.metric for item in result.metrics] == ["latency", "cost", "quality", "leaks"]
    unclear = verdict(
        ratio("latency", 0.9, 1.9), ratio("cost", 0.9, 1.9), score(-0.3, 0.2), metrics=metrics[:3]
    )
    order = [unclear.reason.index(name) for name in ("quality:", "cost:", "latency:")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("ps", "failing"),
    [
        # Shares of alpha 0.6, 0.9: each is below its rank / 2, and Holm would keep both.
        ((0.030, 0.045), 2),
        ((0.030, 0.5), 0),
        ((0.020, 0.5), 1),
        ((0.020, 0.045), 2),
    ],
)
def test_watched_metrics_are_corrected_after_benjamini_and_hochberg(ps, failing):
    names = ("tone", "style")
    watched = [replace(QUALITY, name=name, gate=False) for name in names]
    found = [score(-0.2, -0.01, p_fail=p, name=n) for p, n in zip(ps, names, strict=True)]
    result = verdict(GOOD, *found, metrics=(QUALITY, *watched))
    assert result.verdict == "pass"
    assert [item.verdict for item in result.metrics].count("fail") == failing
    if ps == (0.030, 0.5):
        assert "worse alone (p = 0.030), not among all watched metrics" in result.metrics[1].reason


def test_gating_and_watched_metrics_are_corrected_apart():
    watched = [replace(QUALITY, name=f"w{at}", gate=False) for at in range(9)]
    flat = [score(-0.2, 0.1, p_fail=0.5, name=metric.name) for metric in watched]
    bad = score(-0.2, -0.01, p_fail=0.04)
    assert verdict(bad, *flat, metrics=(QUALITY, *watched)).verdict == "fail"
    gating = [replace(metric, gate=True) for metric in watched]
    assert verdict(bad, *flat, metrics=(QUALITY, *gating)).verdict == "inconclusive"


def test_a_slice_gates_by_its_own_numbers_and_only_if_it_is_asked_to():
    for gate, expected in ((True, "fail"), (False, "pass")):
        german = replace(QUALITY, name="quality/de", slice="de", gate=gate)
        bad = score(-0.4, -0.2, p_fail=1e-9, name="quality/de")
        result = verdict(GOOD, bad, metrics=(QUALITY, german))
        assert result.verdict == expected
        assert result.metrics[1].verdict == "fail"


# --- what is asked now may be more than was asked then


@pytest.mark.parametrize(
    ("standing", "p_pass", "expected"),
    [
        (Standing(tried=10, made_at=0.05), 0.04, "pass"),
        (Standing(tried=15, made_at=0.05), 0.04, "inconclusive"),
        (Standing(tried=15, made_at=0.05), 0.03, "pass"),
        (Standing(tried=100, made_at=0.05), 0.0049, "pass"),
        (Standing(tried=100, made_at=0.05), 0.0051, "inconclusive"),
        # Made when more had been tried, read where fewer are known: never laxer than it was made.
        (Standing(tried=1, made_at=0.005), 0.04, "inconclusive"),
    ],
)
def test_a_pass_of_yesterday_is_held_against_the_level_of_today(standing, p_pass, expected):
    made = replace(score(-0.01, 0.02, p_pass=p_pass), alpha=standing.made_at)
    result = verdict(made, standing=standing)
    assert result.verdict == expected
    if expected == "inconclusive":
        assert f"within the rule with p = {p_pass:.2g}" in result.reason


def test_a_fail_of_yesterday_is_held_against_the_level_of_today():
    bad = score(-0.2, -0.01, p_fail=0.03)
    assert verdict(bad, standing=Standing(tried=10, made_at=0.05)).verdict == "fail"
    assert verdict(bad, standing=Standing(tried=20, made_at=0.05)).verdict == "inconclusive"


def test_a_cost_that_was_made_at_half_the_level_keeps_that_half():
    made = replace(ratio("cost", 0.9, 1.05, p_pass=0.02), alpha=0.025)
    rules = {"looks": Looks("cases", (1.0,))}
    for tried, expected in ((10, "pass"), (12, "pass"), (13, "inconclusive")):
        standing = Standing(tried=tried, made_at=0.05)
        assert verdict(made, metrics=(COST,), rules=rules, standing=standing).verdict == expected


# --- what a metric is held against, in words


@pytest.mark.parametrize(
    ("metric", "has_baseline", "rule"),
    [
        (QUALITY, True, "margin -0.05"),
        (QUALITY, False, "floor 0.5"),
        (replace(QUALITY, margin=None), True, ""),
        (replace(QUALITY, floor=None), False, ""),
        (COST, True, "limit x1.10"),
        (replace(COST, meant="longer answers"), True, "limit x1.10 (meant: longer answers)"),
        (replace(COST, ceiling_usd=0.01), False, "ceiling $0.01"),
        (COST, False, ""),
        (LATENCY, True, "limit x1.20"),
        (LEAKS, True, "no new case"),
        (replace(LEAKS, budget=0.01), True, "budget 0.01"),
    ],
)
def test_a_verdict_names_the_rule_that_it_applied(metric, has_baseline, rule):
    result = verdict(metrics=(metric,), has_baseline=has_baseline)
    assert result.metrics[0].rule == rule
