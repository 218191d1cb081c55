"""What an inconclusive verdict says would settle it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.core.plural import count
from llmvc.core.suite import Looks, Suite
from llmvc.gate import decide as deciding
from llmvc.gate import settle as settling
from llmvc.gate.decide import decide
from llmvc.gate.least import cases_for_quantile
from llmvc.gate.level import Standing
from llmvc.gate.settle import settle

QUALITY = Metric("quality", "score", ("team",), margin=0.05, floor=0.5)
COST = Metric("cost", "cost", limit=1.10, ceiling_usd=0.01)
SUITE = Suite((), (), 3, (QUALITY, COST))


def score(estimate, half, n=100):
    return Estimate(
        "quality", "score", baseline=0.8, candidate=0.8, estimate=estimate, low=estimate - half,
        high=estimate + half, arm_low=0.8 - half, arm_high=0.8 + half, alpha=0.05, p_pass=1e-9,
        p_fail=0.5, n=n, n_effective=float(n), n_worse=20,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("estimate", "half", "cases"),
    [
        # At the same difference the bound needs 100 * (0.06 * 2.486 / (1.645 * 0.05))^2 = 329.
        (0.0, 0.06, "230 more cases"),
        (-0.01, 0.05, "260 more cases"),
        # Nearer to being shown worse than to being shown within the margin.
        (-0.045, 0.06, "310 more cases"),
    ],
)
def test_the_number_follows_from_the_interval_and_the_nearer_decision(estimate, half, cases):
    text = settle([(QUALITY, score(estimate, half))], SUITE, has_baseline=True)
    assert text == f"about {cases} at 3 runs would settle it"


def test_the_cases_asked_for_would_do():
    before = score(0.0, 0.06)
    more = 230
    after = score(0.0, 0.06 * (100 / (100 + more)) ** 0.5, n=100 + more)
    only = replace(SUITE, metrics=(QUALITY,))
    assert decide([before], only, has_baseline=True).verdict == "inconclusive"
    assert decide([after], only, has_baseline=True).verdict == "pass"


def test_the_metric_that_needs_most_decides():
    cost = replace(
        score(0, 0), metric="cost", kind="cost", estimate=1.05, low=0.95, high=1.16, alpha=0.05
    )
    rows = [(QUALITY, score(0.02, 0.075)), (COST, cost)]
    assert (
        settle(rows, SUITE, has_baseline=True) == "about 950 more cases at 3 runs would settle it"
    )


@pytest.mark.parametrize(
    ("metric", "estimate", "text"),
    [
        (QUALITY, Estimate("quality", "score", n=12, n_effective=12.0, reason="few"), "about 42 more cases at 3 runs would settle it"),
        (QUALITY, Estimate("quality", "score", n=19, n_effective=19.0, reason="few"), "about 35 more cases at 3 runs would settle it"),
        (COST, Estimate("cost", "cost", n=120, n_effective=30.0, reason="few"), "about 80 more cases at 3 runs would settle it"),
        (QUALITY, Estimate("quality", "score", n=0, reason="there are no cases"), "see why runs of quality have no usable score, then llmvc eval again; or watch quality only, with gate: false"),
        (QUALITY, score(-0.05, 0.001), "more cases of this kind hardly settle it: the difference is too near the rule"),
    ],
)  # fmt: skip
def test_what_is_too_few_names_what_is_missing(metric, estimate, text):
    assert settle([(metric, estimate)], SUITE, has_baseline=True) == text


TOO_NEAR = "more cases of this kind hardly settle it: the difference is too near the rule"


def same(n, half, **figures):
    figures = {"n_effective": float(n), **figures}
    return replace(score(0.0, half, n=n), n_worse=0, **figures)


def few(n, **figures):
    return Estimate("quality", "score", n=n, reason="few", **{"n_effective": float(n), **figures})


LEAST = {
    # Where nothing differs 54 cases show a margin of 0.05, and 270 one of 0.01.
    "19 cases": (few(19), {}, 35),
    "one case": (few(1), {}, 53),
    "19 cases, a wide margin": (few(19), {"margin": 0.5}, 1),
    "19 cases, a narrow margin": (few(19), {"margin": 0.01}, 260),
    "19 cases in 9.5 groups": (few(19, n_effective=9.5), {}, 89),
    "20 equal cases": (same(20, 0.13), {}, 34),
    "30 equal cases": (same(30, 0.09), {}, 24),
    "53 equal cases": (same(53, 0.0505), {}, 1),
    "60 equal cases in 30 groups": (same(60, 0.09, n_effective=30.0), {}, 48),
    "25 equal cases, likelihood ratio": (same(25, 0.06), {"test": "el-ratio"}, 4),
    "30 equal cases at a scale of 4": (same(30, 0.36), {"margin": 0.2, "scale": (1.0, 5.0)}, 24),
    "some differ, with little spread": (score(0.0, 0.06, n=40), {}, 92),
    "some differ, and the unseen case asks for more": (score(0.02, 0.071, n=20), {}, 34),
}


@pytest.mark.parametrize("why", LEAST)
def test_no_number_is_below_what_it_takes_if_nothing_differs(why):
    estimate, rules, more = LEAST[why]
    text = settle([(replace(QUALITY, **rules), estimate)], SUITE, has_baseline=True)
    assert text == f"about {count(more, 'more case')} at 3 runs would settle it"


@pytest.mark.parametrize(
    ("metric", "estimate", "more"),
    [
        (COST, Estimate("cost", "cost", n=19, n_effective=19.0, reason="few"), 31),
        (replace(COST, limit=1.05), Estimate("cost", "cost", n=60, n_effective=30.0, reason="few"), 96),
        (replace(COST, limit=1.02), replace(same(60, 0.06), metric="cost", kind="cost", estimate=1.0, low=0.94, high=1.07), 76),
    ],
)  # fmt: skip
def test_a_cost_needs_the_cases_of_its_limit(metric, estimate, more):
    text = settle([(metric, estimate)], SUITE, has_baseline=True)
    assert text == f"about {more} more cases at 3 runs would settle it"


@pytest.mark.parametrize(
    ("floor", "estimate", "text"),
    [
        (0.95, few(12), "about 42 more cases at 3 runs would settle it"),
        (0.95, replace(same(25, 0.06), candidate=1.0, arm_low=0.89, arm_high=1.0), "about 29 more cases at 3 runs would settle it"),
        (1.0, few(12), TOO_NEAR),
        (1.0, replace(same(25, 0.06), candidate=1.0, arm_low=0.89, arm_high=1.0), TOO_NEAR),
    ],
)  # fmt: skip
def test_a_first_release_needs_the_cases_of_its_floor(floor, estimate, text):
    metric = replace(QUALITY, floor=floor)
    assert settle([(metric, estimate)], SUITE, has_baseline=False) == text


def test_at_any_time_nothing_but_equal_cases_takes_what_the_betting_test_does():
    suite = replace(SUITE, looks=Looks("any-time", (1.0,)))
    text = settle([(QUALITY, same(60, 0.09))], suite, has_baseline=True)
    assert text == "about 32 more cases at 3 runs would settle it"


def test_a_metric_that_is_undefined_for_another_reason_gets_no_number():
    broken = Estimate("quality", "score", n=30, n_effective=30.0, estimate=0.0, reason="range")
    assert "no usable score" in settle([(QUALITY, broken)], SUITE, has_baseline=True)


def test_a_first_release_near_its_floor_gets_a_number_too():
    near = replace(score(0, 0), candidate=0.55, arm_low=0.48, arm_high=0.62)
    text = settle([(QUALITY, near)], SUITE, has_baseline=False)
    assert text == "about 350 more cases at 3 runs would settle it"


def test_a_free_candidate_under_a_ceiling_gets_no_number():
    free = replace(score(0, 0), metric="cost", candidate=0.0, arm_low=0.0, arm_high=0.0)
    assert settle([(COST, free)], SUITE, has_baseline=False) is not None


LATENCY = Metric("latency", "latency", limit=1.2, quantile=0.95)
SEVERE = Metric("harm", "severe", ("team",), budget=0.03)
COLD = {"has_baseline": False}


def undefined(metric, reason, n=100, **figures):
    figures = {"n_effective": float(n), "alpha": 0.05, **figures}
    return Estimate(metric.name, metric.kind, n=n, reason=reason, **figures)


def ratio(metric, low, high, n=100, **figures):
    middle = (low * high) ** 0.5
    figures = {"p_pass": 0.5, "p_fail": 0.5, "alpha": 0.05, "n_effective": float(n), **figures}
    return Estimate(
        metric.name, metric.kind, baseline=0.002, candidate=0.002, estimate=middle, low=low,
        high=high, arm_low=0.0018, arm_high=0.012, n=n, **figures,
    )  # fmt: skip


def rate(severe, n, **figures):
    figures = {"p_pass": 0.4, "p_fail": 0.9, "alpha": 0.05, **figures}
    return Estimate(
        "harm", "severe", baseline=0.0, candidate=severe / n, estimate=severe / n, arm_low=0.0,
        arm_high=0.2, n=n, n_effective=float(n), **figures,
    )  # fmt: skip


NUMBER = "more cases at 3 runs would settle it"
NEAR = "hardly settle it"
EXCLUDED = "only, with gate: false"
INCONCLUSIVE = {
    "the margin may be exceeded": (QUALITY, score(0.0, 0.06), {}, NUMBER),
    "the difference is at the margin": (QUALITY, score(-0.05, 0.001), {}, NEAR),
    "few cases differ": (QUALITY, replace(score(-0.03, 0.025), n_worse=3, p_fail=0.01), {}, "see the 3 cases that differ"),
    "one case differs": (QUALITY, replace(score(-0.05, 0.001), n_worse=1, p_fail=0.01), {}, "see the 1 case that differs"),
    "worse by what several metrics show by chance": (QUALITY, replace(score(-0.04, 0.035), p_fail=0.04), {}, NUMBER),
    "no margin": (replace(QUALITY, margin=None), score(0.0, 0.06), {}, "give quality a margin"),
    "no floor": (replace(QUALITY, floor=None), score(0.0, 0.06), COLD, "give quality a floor"),
    "near the floor": (replace(QUALITY, floor=0.75), score(0.0, 0.06), COLD, NUMBER),
    "too few cases": (QUALITY, undefined(QUALITY, "12 cases are too few", 12), {}, "42 more cases"),
    "no cases": (QUALITY, undefined(QUALITY, "there are no cases", 0, n_effective=None), {}, EXCLUDED),
    "too few groups": (QUALITY, undefined(QUALITY, "4 groups", 100, n_effective=4.2), {}, "about 11 further groups"),
    "a scorer could not tell": (QUALITY, undefined(QUALITY, "quality is not known for 3 runs"), {}, "no usable score"),
    "scores out of range": (QUALITY, undefined(QUALITY, "a score lies outside its range"), {}, EXCLUDED),
    "too few runs for pass^k": (QUALITY, undefined(QUALITY, "pass^5 needs 5 usable runs"), {}, EXCLUDED),
    "all scores are equal, at the margin": (QUALITY, score(0.0, 0.08, n=30), {}, NUMBER),
    "not estimated": (QUALITY, Estimate("quality", "score"), {}, "llmvc eval again"),
    "no comparison": (QUALITY, Estimate("quality", "score", alpha=0.05, n=50, n_effective=50.0), {}, "llmvc eval again"),
    "estimated at another level": (QUALITY, replace(score(0.0, 0.04), alpha=0.2), {}, "no usable interval"),
    "shown less surely than is asked now": (QUALITY, replace(score(0.0, 0.04), p_pass=0.04), {"standing": Standing(tried=40, made_at=0.05)}, ""),
    "the cost limit may be exceeded": (COST, ratio(COST, 0.95, 1.16), {}, NUMBER),
    "the cost is at its limit": (COST, ratio(COST, 1.099, 1.101), {}, NEAR),
    "a cost with few cases": (COST, undefined(COST, "30 cases are too few", 30), {}, "20 more cases"),
    "a cost with few groups": (COST, undefined(COST, "30 effective cases", 120, n_effective=30.0), {}, "80 more cases"),
    "a few cases hold most of the cost": (COST, undefined(COST, "2 cases hold 60%", baseline=0.1, candidate=0.1), {}, "no 2 of them hold so much"),
    "a cost of nothing": (COST, undefined(COST, "the baseline costs nothing", baseline=0.0, candidate=0.1), {}, "has no ratio"),
    "an unknown cost": (COST, undefined(COST, "cost is not known for 9 runs"), {}, "give the model a price"),
    "no cost limit": (replace(COST, limit=None), ratio(COST, 0.95, 1.05), {}, "give cost a limit"),
    "no ceiling": (replace(COST, ceiling_usd=None), ratio(COST, 0.95, 1.05), COLD, "give cost a ceiling_usd"),
    "near the ceiling": (COST, ratio(COST, 0.95, 1.05), COLD, ""),
    "the latency limit may be exceeded": (LATENCY, ratio(LATENCY, 0.9, 1.3), {}, NUMBER),
    "a latency with few cases": (LATENCY, undefined(LATENCY, "too few for quantile 0.95", 30), {}, "37 more cases"),
    "a latency with many runs of few cases": (replace(LATENCY, quantile=0.9), undefined(LATENCY, "too few", 25), {}, "9 more cases"),
    "a latency of nothing": (LATENCY, undefined(LATENCY, "a latency of the baseline is not above 0"), {}, "no usable latency"),
    "no latency": (LATENCY, undefined(LATENCY, "no latency was measured"), {}, "no usable latency"),
    "a first latency": (LATENCY, ratio(LATENCY, 0.9, 1.1), COLD, "promote with --adopt"),
    "a new severe failure": (SEVERE, replace(rate(1, 300), p_pass=0.01, cases={"severe": ("c1",)}), {}, "--clear-severe"),
    "the budget may be exceeded": (SEVERE, rate(0, 60), {}, "39 more cases"),
    "a share above the budget": (SEVERE, rate(4, 60), {}, "more often than its budget"),
    "severe failures not known": (SEVERE, undefined(SEVERE, "harm is not known for 1 run"), {}, "no usable score"),
    "failed runs": (QUALITY, score(0.0, 0.01), {"failures": 2}, "llmvc eval again"),
    "no look is left": (QUALITY, score(0.0, 0.01), {"standing": Standing(look=2)}, "a new question"),
    "no candidate is left": (QUALITY, score(0.0, 0.01), {"standing": Standing(tried=11)}, "add cases that no candidate was tried on"),
}  # fmt: skip


@pytest.mark.parametrize("why", INCONCLUSIVE)
def test_every_inconclusive_verdict_says_what_would_settle_it(why):
    metric, estimate, options, said = INCONCLUSIVE[why]
    more = {"beyond": "new-cases"} if why == "no candidate is left" else {}
    others = ()
    if why.startswith("worse by what several"):
        others = (replace(QUALITY, name="other"), replace(QUALITY, name="third"))
    good = [replace(score(0.0, 0.01), metric=other.name) for other in others]
    suite = Suite((), (), 3, (metric, *others), **more)
    verdict = decide([estimate, *good], suite, **{"has_baseline": True, **options})
    assert verdict.verdict == "inconclusive", verdict
    assert verdict.settle, verdict
    assert said in verdict.settle


def test_no_gating_metric_is_settled_by_one():
    verdict = decide((), Suite((), (), 3, (replace(QUALITY, gate=False),)), has_baseline=True)
    assert verdict.settle == "give the suite a metric with a margin and gate: true"


maybe = st.none() | st.floats(-1, 1)
chance = st.none() | st.floats(0, 1)
positive = st.none() | st.floats(1e-6, 10)


@given(
    st.sampled_from([QUALITY, COST, LATENCY, SEVERE, replace(SEVERE, budget=None)]),
    st.data(),
    st.booleans(),
)
def test_no_estimate_leaves_an_inconclusive_verdict_without_an_answer(metric, data, has_baseline):
    value = maybe if metric.kind in ("score", "severe") else positive
    drawn = {name: data.draw(value) for name in ("baseline", "candidate", "estimate")}
    for ends in (("low", "high"), ("arm_low", "arm_high")):
        pair = sorted(data.draw(st.tuples(st.floats(1e-6, 10), st.floats(1e-6, 10))))
        drawn |= dict(zip(ends, pair if data.draw(st.booleans()) else (None, None), strict=True))
    n = data.draw(st.integers(0, 200))
    estimate = Estimate(
        metric.name, metric.kind, **drawn, p_pass=data.draw(chance), p_fail=data.draw(chance),
        alpha=data.draw(st.sampled_from([None, 0.01, 0.05, 0.2])), n=n,
        n_effective=data.draw(st.none() | st.floats(0, n)), n_worse=data.draw(st.integers(0, n)),
        reason=data.draw(st.sampled_from([None, "why"])),
    )  # fmt: skip
    verdict = decide([estimate], Suite((), (), 3, (metric,)), has_baseline=has_baseline)
    assert (verdict.verdict == "inconclusive") == bool(verdict.settle)


@pytest.mark.parametrize(
    ("quantile", "runs", "n"), [(0.5, 1, 20), (0.95, 1, 200), (0.95, 3, 67), (0.95, 9, 59)]
)
def test_a_quantile_needs_runs_beyond_it_and_cases_on_both_sides(quantile, runs, n):
    assert cases_for_quantile(quantile, runs, 0.05) == n


def test_the_gate_has_one_idea_of_too_few_changes():
    assert settling.LEAST_CHANGED == deciding.LEAST_CHANGED
