"""The rules for what is counted: tokens as cost, and the context used, which has a ceiling alone."""

from dataclasses import replace

import pytest

from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.core.suite import Case, Suite
from llmvc.errors import Inconclusive
from llmvc.gate.decide import decide
from llmvc.gate.design import refuse_hopeless
from llmvc.gate.settle import settle

TOKENS = Metric("tokens", "tokens", limit=1.2)
CONTEXT = Metric("context", "context", quantile=0.95, ceiling=0.9)
QUALITY = Metric("quality", "score", ("team",), margin=0.05)


def suite(*metrics, runs=3):
    return Suite((), (), runs, metrics)


def tokens(low, high, *, p_pass=1e-9, p_fail=0.5, n=100):
    return Estimate(
        "tokens", "tokens", baseline=1000.0, candidate=1000.0 * (low + high) / 2,
        estimate=(low + high) / 2, low=low, high=high, arm_low=900.0, arm_high=1100.0,
        p_pass=p_pass, p_fail=p_fail, alpha=0.05, n=n, n_effective=float(n), n_worse=20,
    )  # fmt: skip


def context(low, high, *, p_pass=1e-9, p_fail=0.5, n=100):
    return Estimate(
        "context", "context", baseline=0.2, candidate=(low + high) / 2,
        estimate=(low + high) / 0.4, arm_low=low, arm_high=high, p_pass=p_pass, p_fail=p_fail,
        alpha=0.05, n=n, n_effective=float(n),
    )  # fmt: skip


def score(p_fail):
    return Estimate(
        "quality", "score", baseline=0.8, candidate=0.8, estimate=-0.02, low=-0.06, high=-0.001,
        p_pass=0.2, p_fail=p_fail, alpha=0.05, n=100, n_effective=100.0, n_worse=20,
    )  # fmt: skip


def verdict(estimate, metric, *, has_baseline=True):
    return decide([estimate], suite(metric), has_baseline=has_baseline)


@pytest.mark.parametrize(
    ("estimate", "result", "says"),
    [
        (tokens(0.7, 0.9), "pass", "x0.80 [0.70, 0.90], lower than the baseline"),
        (tokens(1.02, 1.1), "pass", "x1.06 [1.02, 1.10], higher, yet x1.10, within the limit"),
        (
            tokens(1.1, 1.3, p_pass=0.4),
            "inconclusive",
            "x1.20 [1.10, 1.30], which may be beyond the limit of x1.20",
        ),
        (
            tokens(1.3, 1.5, p_pass=0.99, p_fail=1e-6),
            "fail",
            "x1.40 [1.30, 1.50]: beyond the limit of x1.20",
        ),
    ],
)
def test_tokens_are_held_against_their_limit(estimate, result, says):
    judged = verdict(estimate, TOKENS).metrics[0]
    assert (judged.verdict, judged.rule) == (result, "limit x1.20")
    assert judged.reason.startswith(says)


@pytest.mark.parametrize("has_baseline", [True, False])
@pytest.mark.parametrize(
    ("estimate", "result", "says"),
    [
        (context(0.5, 0.6), "pass", "p95 55.0% of the window [50.0%, 60.0%] is under"),
        (context(0.8, 0.95, p_pass=0.3), "inconclusive", "p95 87.5% of the window [80.0%, 95.0%] may"),
        (
            context(0.92, 0.98, p_pass=1.0, p_fail=1e-4),
            "fail",
            "p95 95.0% of the window [92.0%, 98.0%] is above",
        ),
    ],
)  # fmt: skip
def test_the_context_has_its_ceiling_with_a_baseline_or_without(
    estimate, result, says, has_baseline
):
    judged = verdict(estimate, CONTEXT, has_baseline=has_baseline).metrics[0]
    assert (judged.verdict, judged.rule) == (result, "ceiling 90.0%")
    assert judged.reason.startswith(says)
    assert judged.reason.endswith("the ceiling of 90.0%")


def test_beside_other_metrics_a_context_over_its_ceiling_shares_their_error_rate():
    over = context(0.91, 0.98, p_pass=1.0, p_fail=0.04)
    found = decide([score(0.04), over], suite(QUALITY, CONTEXT), has_baseline=True)
    assert found.verdict == "inconclusive"
    assert "worse alone (p = 0.040), not among all gating metrics" in found.metrics[1].reason


def test_a_worse_estimate_of_the_context_never_turns_into_a_pass():
    order = ["pass", "inconclusive", "fail"]
    found = [
        order.index(verdict(context(at, at + 0.06, p_pass=p, p_fail=1 - p), CONTEXT).verdict)
        for at, p in ((0.5, 0.001), (0.83, 0.04), (0.85, 0.2), (0.88, 0.6), (0.91, 0.999))
    ]
    assert found == sorted(found)
    assert {0, 1, 2} == set(found)


def test_a_context_without_a_ceiling_is_only_watched():
    bare = replace(CONTEXT, ceiling=None, gate=False)
    assert (
        verdict(context(0.2, 0.3), bare).metrics[0].reason == "20.0% -> 25.0%, x1.25, watched only"
    )
    assert verdict(context(0.2, 0.3), replace(CONTEXT, gate=False)).metrics[0].verdict == "pass"


@pytest.mark.parametrize(
    ("metric", "estimate", "has_baseline", "says"),
    [
        (TOKENS, tokens(1.0, 1.3, n=60, p_pass=0.3), True, "more cases at 3 runs would settle it"),
        (TOKENS, replace(tokens(1, 1.3), estimate=None, reason="x", candidate=None), True, "usage"),
        (TOKENS, tokens(1.0, 1.3), False, "give tokens a ceiling in the suite, or promote with"),
        (CONTEXT, context(0.8, 0.91, p_pass=0.1), True, "more cases at 3 runs would settle it"),
        (CONTEXT, context(0.8, 0.91, n=10), True, "about 57 more cases at 3 runs would settle it"),
        (replace(CONTEXT, ceiling=None), context(0.8, 0.9), True, "give context a ceiling in"),
        (
            CONTEXT,
            replace(context(0.8, 0.9), reason="no context window is known", arm_low=None),
            True,
            "write context.window in the bundle, or give the model max_input_tokens",
        ),
    ],
)
def test_what_would_settle_it_is_told(metric, estimate, has_baseline, says):
    told = settle([(metric, estimate)], suite(metric), has_baseline=has_baseline)
    assert says in told


def cases(n):
    return tuple(Case(f"c{at}", {}) for at in range(n))


@pytest.mark.parametrize(
    ("metric", "n", "has_baseline", "says"),
    [
        (TOKENS, 40, True, "tokens cannot pass on 40 cases: tokens need at least 50"),
        (replace(TOKENS, limit=1.01), 60, True, "a limit of 1.01 cannot pass on 60 cases"),
        (replace(TOKENS, ceiling=900.0), 40, False, "tokens need at least 50"),
        (CONTEXT, 30, True, "context cannot tell p95 from 30 cases x 3 runs"),
        (CONTEXT, 30, False, "context cannot tell p95 from 30 cases x 3 runs"),
    ],
)
def test_a_suite_that_could_not_pass_is_refused_before_any_call(metric, n, has_baseline, says):
    with pytest.raises(Inconclusive, match=says):
        refuse_hopeless(suite(metric), cases(n), has_baseline=has_baseline)
    refuse_hopeless(suite(metric), cases(3000), has_baseline=has_baseline)
