"""Cost's kin: tokens, the time to the first token, the context used, and quality by it."""

from dataclasses import replace

import numpy as np
import pytest

from llmvc.core import digest
from llmvc.core.metric import Metric, Scorer
from llmvc.core.report import CaseRuns, Run
from llmvc.core.suite import Suite
from llmvc.evals import pilot
from llmvc.evals.summary import summarize
from llmvc.gate.decide import decide

ID = digest.of_bytes(b"run")
TOKENS = Metric("tokens", "tokens", limit=1.2)
CONTEXT = Metric("context", "context", quantile=0.95, ceiling=0.9)
FIRST = Metric("latency", "latency", of="first-token", limit=1.5)


def suite(*metrics):
    return Suite((), (Scorer("team", "equals", {}),), 2, metrics)


def rows(n, candidate, baseline=None, **others):
    """Returns cases whose runs have the members that the functions of their number give."""

    def runs(made):
        return tuple(Run(at, ID, {}, **others, **made) for at in range(2))

    return [
        CaseRuns(f"c{at}", None, runs(candidate(at)), runs(baseline(at)) if baseline else ())
        for at in range(n)
    ]  # fmt: skip


def counted(n, candidate, baseline=None):
    given = np.random.default_rng(1).integers(200, 400, n)

    def made(factor):
        return lambda at: {
            "input_tokens": int(given[at] * factor),
            "output_tokens": 50,
            "cost_usd": (int(given[at] * factor) + 50) / 1e6,
        }

    return rows(n, made(candidate), None if baseline is None else made(baseline))


def used(n, candidate, baseline=None, **others):
    def share(of):
        return lambda at: {"context_share": of(at), "input_tokens": 1, "output_tokens": 1}

    return rows(n, share(candidate), None if baseline is None else share(baseline), **others)


def the(cases, metric):
    (estimate,) = summarize(cases, suite(metric))
    return estimate


@pytest.mark.parametrize("metric", [TOKENS, Metric("cost", "cost", limit=1.2)])
def test_what_a_failed_run_took_is_unknown_and_so_is_the_total(metric):
    cases = counted(30, 1.0, 1.0)
    lost = Run(1, None, {}, error="time-out")
    cases[3] = replace(cases[3], candidate=(cases[3].candidate[0], lost))
    estimate = the(cases, metric)
    assert "is not known for 1 run of the candidate" in estimate.reason
    assert estimate.p_pass is None


def test_tokens_are_tested_exactly_as_a_cost_of_the_same_size():
    cases = counted(120, 1.05, 1.0)
    cost = the(cases, Metric("cost", "cost", limit=1.2))
    found = the(cases, TOKENS)
    for name in ("estimate", "low", "high", "p_pass", "p_fail", "alpha", "n_worse"):
        assert getattr(found, name) == pytest.approx(getattr(cost, name)), name
    assert found.candidate == pytest.approx(cost.candidate * 1e6)
    assert decide([found], suite(TOKENS), has_baseline=True).verdict == "pass"


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "pass"), (1.233, "inconclusive"), (1.5, "fail")]
)
def test_more_tokens_than_the_limit_fail(factor, verdict):
    cases = counted(120, factor, 1.0)
    assert decide([the(cases, TOKENS)], suite(TOKENS), has_baseline=True).verdict == verdict


def test_a_first_release_has_a_ceiling_of_tokens():
    metric = replace(TOKENS, ceiling=400.0)
    found = the(counted(120, 1.0), metric)
    judged = decide([found], suite(metric), has_baseline=False)
    assert judged.verdict == "pass"
    assert "tokens a case" in judged.metrics[0].reason
    assert "under the ceiling of 400 tokens" in judged.metrics[0].reason


def test_tokens_that_nobody_counted_are_undefined_and_never_zero():
    cases = counted(60, 1.0, 1.0)
    silent = replace(cases[0].candidate[0], input_tokens=None)
    cases[0] = replace(cases[0], candidate=(silent, cases[0].candidate[1]))
    found = the(cases, TOKENS)
    assert found.reason == "the number of tokens is not known for 1 run of the candidate"
    assert found.estimate is None
    told = decide([found], suite(TOKENS), has_baseline=True)
    assert (told.verdict, told.settle) == (
        "inconclusive",
        "let the provider state its usage; or watch tokens only, with gate: false",
    )


def test_too_few_cases_for_tokens_say_so_in_their_own_name():
    assert the(counted(30, 1.0, 1.0), TOKENS).reason == (
        "30 cases are too few to judge tokens: at least 50 are needed"
    )


def test_a_pilot_knows_how_tokens_vary():
    cases = counted(60, 1.0, 1.0)
    found = pilot.read_cases(cases, suite(TOKENS, replace(CONTEXT, gate=False)))
    assert set(found.spreads) == {"tokens"}
    assert found.spreads["tokens"].var_case == pytest.approx(0.0)


def test_the_time_to_the_first_token_is_a_latency_of_its_own():
    def timed(first):
        return lambda at: {"latency_s": 9.0, "ttft_s": first + at / 1000}

    cases = rows(60, timed(0.3), timed(0.2))
    found = the(cases, FIRST)
    assert found.candidate == pytest.approx(0.329)
    assert found.details["quantiles"] == {
        "baseline p50": pytest.approx(0.229),
        "baseline p95": pytest.approx(0.256),
        "baseline p99": pytest.approx(0.259),
        "candidate p50": pytest.approx(0.329),
        "candidate p95": pytest.approx(0.356),
        "candidate p99": pytest.approx(0.359),
    }
    assert the(cases, replace(FIRST, of="total")).estimate == 1.0
    silent = the(rows(60, lambda at: {"latency_s": 9.0 + at}), FIRST)
    assert silent.reason == "no time to the first token was measured"
    assert silent.details == {}


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.7, "pass"), (0.899, "inconclusive"), (0.99, "fail")]
)
@pytest.mark.parametrize("has_baseline", [True, False])
def test_the_context_used_is_held_against_its_ceiling_with_a_baseline_or_without(
    share, verdict, has_baseline
):
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.02, 200)
    cases = used(
        200, lambda at: share + noise[at] - 0.03, (lambda _: 0.2) if has_baseline else None
    )
    found = the(cases, CONTEXT)
    assert found.arm_low < found.candidate < found.arm_high
    judged = decide([found], suite(CONTEXT), has_baseline=has_baseline)
    assert judged.verdict == verdict
    assert judged.metrics[0].rule == "ceiling 90.0%"
    assert "of the window [" in judged.metrics[0].reason


def test_a_context_that_grew_within_its_ceiling_passes_whatever_the_baseline_used():
    cases = used(200, lambda at: 0.4 + at / 1000, lambda _: 0.1)
    assert decide([the(cases, CONTEXT)], suite(CONTEXT), has_baseline=True).verdict == "pass"


def test_a_window_that_nobody_knows_is_a_reason_and_no_share():
    cases = rows(200, lambda _: {"input_tokens": 5, "output_tokens": 5})
    found = the(cases, CONTEXT)
    assert (found.candidate, found.reason) == (None, "no context window is known for the candidate")
    judged = decide([found], suite(CONTEXT), has_baseline=False)
    assert judged.verdict == "inconclusive"
    assert "max_input_tokens under prices:" in judged.settle


def test_a_baseline_of_unknown_window_takes_nothing_from_the_candidates_ceiling():
    cases = used(200, lambda at: 0.4 + at / 1000, lambda at: 0.2 if at else None)
    found = the(cases, CONTEXT)
    assert (found.reason, found.baseline, found.estimate) == (None, None, None)
    assert set(found.details["quantiles"]) == {f"candidate p{q}" for q in (50, 95, 99)}
    assert decide([found], suite(CONTEXT), has_baseline=True).verdict == "pass"


def test_the_quantiles_and_the_truncated_runs_of_both_arms_are_told():
    cases = used(200, lambda _: 0.5, lambda _: 0.25, truncated=True)
    cases[0] = replace(cases[0], candidate=cases[0].candidate[:1])
    bare = [replace(run, truncated=False) for run in cases[0].baseline]
    cases[0] = replace(cases[0], baseline=tuple(bare))
    details = the(cases, CONTEXT).details
    assert details["truncated"] == {"candidate": 1.0, "baseline": pytest.approx(398 / 400)}
    assert set(details["quantiles"].values()) == {0.25, 0.5}


# --- quality by the context used


def bucket(low, high):
    name = f"quality/context-{low}-{high}"
    return Metric(name, "score", ("team",), margin=0.1, gate=False, used=(low, high))


BUCKETS = tuple(bucket(low, low + 25) for low in (0, 25, 50, 75))


def scored(n, share, score, baseline_share=None):
    def made(of):
        return lambda at: {"context_share": of(at)}

    cases = rows(n, made(share), made(baseline_share or share))
    return [
        replace(
            case,
            candidate=tuple(replace(run, scores={"team": score(at)}) for run in case.candidate),
            baseline=tuple(replace(run, scores={"team": 1.0}) for run in case.baseline),
        )
        for at, case in enumerate(cases)
    ]


def test_quality_falls_where_the_window_fills_up_and_the_buckets_show_it():
    cases = scored(100, lambda at: at / 100, lambda at: float(at < 75))
    found = summarize(cases, suite(*BUCKETS))
    assert [item.n for item in found] == [25, 25, 25, 25]
    assert [item.estimate for item in found] == [0.0, 0.0, 0.0, -1.0]


def test_a_case_is_in_the_bucket_of_the_larger_arm_so_that_both_arms_have_the_same_cases():
    cases = scored(40, lambda _: 0.1, lambda _: 1.0, baseline_share=lambda _: 0.6)
    assert [item.n for item in summarize(cases, suite(*BUCKETS))] == [0, 0, 40, 0]


@pytest.mark.parametrize(
    ("share", "low"), [(0.0, 0), (0.2499, 0), (0.25, 25), (0.75, 75), (1.0, 75), (1.3, 75)]
)
def test_a_bucket_has_its_lower_end_and_the_last_one_all_beyond(share, low):
    cases = scored(20, lambda _: share, lambda _: 1.0)
    found = {item.metric: item.n for item in summarize(cases, suite(*BUCKETS))}
    assert {name for name, n in found.items() if n} == {f"quality/context-{low}-{low + 25}"}


def test_few_cases_in_a_bucket_and_unknown_shares_say_so():
    cases = scored(30, lambda at: 0.1 if at < 7 else 0.4, lambda _: 1.0)
    first, second, third, _ = summarize(cases, suite(*BUCKETS))
    assert first.reason == "7 cases are too few: at least 20 are needed"
    assert (second.reason, second.estimate) == (None, 0.0)
    assert third.reason == "there are no cases"
    lost = replace(
        cases[0], baseline=tuple(replace(r, context_share=None) for r in cases[0].baseline)
    )
    for item in summarize([lost, *cases[1:]], suite(*BUCKETS)):
        assert item.reason == "the context used is not known for 1 case"
