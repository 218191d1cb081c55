"""Every kind of metric and rule, from runs to an estimate, at sizes where things go wrong."""

from dataclasses import fields, replace
from math import comb, isfinite

import numpy as np
import pytest

from llmvc.core import digest
from llmvc.core.metric import Metric, Scorer, Severity
from llmvc.core.report import CaseRuns, Report, Run
from llmvc.core.suite import Looks, Suite
from llmvc.evals import reports
from llmvc.evals.estimates import Design
from llmvc.evals.summary import summarize
from llmvc.gate.level import Standing
from llmvc.stats.paired import el_ratio, el_score

ID = digest.of_bytes(b"run")
QUALITY = Metric("quality", "score", ("team",), margin=0.05, floor=0.5)
LEAKS = Metric("leaks", "severe", ("team",))
COST = Metric("cost", "cost", limit=1.10)
LATENCY = Metric("latency", "latency", limit=1.2)
ANY_TIME = Looks("any-time")
ALL_KINDS = (
    LEAKS,
    replace(LEAKS, name="budgeted", budget=0.1),
    QUALITY,
    replace(QUALITY, name="stars", margin=0.2, floor=3.0, scale=(1.0, 5.0)),
    replace(QUALITY, name="ratio", test="el-ratio"),
    replace(QUALITY, name="always", pass_k=2),
    replace(QUALITY, name="german", slice="de", gate=False),
    replace(QUALITY, name="ruled", must_pass=("safety",), severity=Severity(0.5)),
    COST,
    LATENCY,
    replace(LATENCY, name="tail", quantile=0.95),
)


def suite(*metrics, **options):
    return Suite((), (Scorer("team", "equals", {}),), 2, metrics, **options)


def run(at, value, **others):
    numbers = {"cost_usd": 0.001 * (1 + at), "latency_s": 0.5 + 0.1 * at, **others}
    return Run(at, ID, {"team": value}, **numbers)


def failed(at):
    return Run(at, None, {"team": None}, error="provider: time-out")


def case(at, candidate, baseline=(), group=None, tags=()):
    arms = (
        tuple(run(number, value) for number, value in enumerate(values))
        for values in (candidate, baseline)
    )
    return CaseRuns(f"c{at:03}", group, *arms, tags=tags)


def the(cases, metric=QUALITY, design=None, **options):
    (found,) = summarize(cases, suite(metric, **options), design)
    return found


def drawn(n, *, runs=2, group=lambda _: None, drop=0.0, tags=lambda _: ()):
    rng = np.random.default_rng(n)
    level = rng.beta(4, 1, n)
    return [
        case(
            at,
            rng.binomial(1, max(0.0, level[at] - drop), runs).astype(float),
            rng.binomial(1, level[at], runs).astype(float),
            group(at),
            tags(at),
        )
        for at in range(n)
    ]


def paired(cases):
    return np.array([
        np.mean([one.scores["team"] for one in item.candidate])
        - np.mean([one.scores["team"] for one in item.baseline])
        for item in cases
    ])  # fmt: skip


# --- severe failures


def test_a_case_with_one_severe_run_is_severe():
    cases = [
        case(at, (1.0, 0.0) if at < 3 else (1.0, 1.0), (0.4, 1.0) if at in {0, 50} else (1.0, 0.5))
        for at in range(60)
    ]
    found = the(cases, replace(LEAKS, budget=0.2))
    assert (found.candidate, found.baseline) == pytest.approx((3 / 60, 2 / 60))
    assert found.estimate == pytest.approx(1 / 60)
    assert found.cases == {"severe": ("c001", "c002")}
    assert found.arm_low < 0.05 < found.arm_high < 0.2
    # The binomial tail itself: 3 or fewer of 60 at a rate of 0.2.
    tail = sum(comb(60, k) * 0.2**k * 0.8 ** (60 - k) for k in range(4))
    assert found.p_pass == pytest.approx(tail)
    assert found.method == "Clopper-Pearson on the share of cases"


def test_no_severe_case_of_thirty_shows_no_more_than_the_exact_bound():
    found = the([case(at, (1.0,), (1.0,)) for at in range(30)], LEAKS)
    assert found.arm_high == pytest.approx(1 - 0.05 ** (1 / 30))
    assert (found.candidate, found.arm_low, found.p_pass, found.cases) == (0.0, 0.0, None, {})


def test_a_severe_failure_of_several_scorers_is_one_of_any():
    metric = replace(LEAKS, scorers=("team", "other"))
    cases = [
        CaseRuns(f"c{at}", None, (Run(0, ID, {"team": 1.0, "other": float(at > 0)}),), ())
        for at in range(20)
    ]
    assert the(cases, metric).cases == {"severe": ("c0",)}
    unknown = (Run(0, ID, {"team": 1.0, "other": None}),)
    assert the([replace(cases[0], candidate=unknown), *cases[1:]], metric).reason == (
        "leaks is not known for 1 run of the candidate"
    )


def test_severe_cases_of_one_group_count_once():
    cases = [case(at, (float(at >= 4),), (1.0,), group=f"g{at // 4}") for at in range(120)]
    found = the(cases, LEAKS)
    assert (found.candidate, found.n, found.n_effective) == (1 / 30, 120, 30.0)
    assert found.cases["severe"] == ("c000", "c001", "c002", "c003")
    assert found.method == "Clopper-Pearson on the share of cases over 30 effective groups"
    # Exactly what one severe case of 30 says.
    alone = the([case(at, (float(at > 0),), (1.0,)) for at in range(30)], LEAKS)
    assert (found.arm_low, found.arm_high) == pytest.approx((alone.arm_low, alone.arm_high))


def test_one_big_group_that_fails_severely_cannot_hide_among_cases_that_stand_alone():
    cases = [
        case(at, (float(at >= 150),), (float(at >= 150),), group="big" if at < 150 else None)
        for at in range(300)
    ]
    found = the(cases, replace(LEAKS, budget=0.05))
    assert found.p_pass is None
    assert "groups count as" in found.reason


def test_in_a_first_release_every_severe_case_is_new():
    found = the([case(at, (float(at > 1),)) for at in range(20)], LEAKS)
    assert found.cases == {"severe": ("c000", "c001")}
    assert (found.baseline, found.estimate, found.reason) == (None, None, None)


# --- rules on single cases


def test_a_case_that_must_pass_is_broken_by_any_run_of_the_candidate():
    metric = replace(QUALITY, must_pass=("safety", "law"))
    rows = {0: (1.0, 0.0), 1: (1.0, 1.0), 2: (0.0, 0.0), 3: (0.99, 1.0)}
    tags = {0: ("safety",), 1: ("safety",), 2: ("other",), 3: ("law", "other")}
    cases = [
        case(at, rows.get(at, (0.0, 1.0)), (1.0, 1.0), tags=tags.get(at, ())) for at in range(30)
    ]
    assert the(cases, metric).cases == {"must_pass": ("c000", "c003")}
    sliced = replace(metric, slice="other")
    assert the(cases, sliced).cases == {"must_pass": ("c003",)}
    # A run that failed breaks no rule: it makes the verdict inconclusive instead.
    hung = replace(cases[1], candidate=(failed(0), run(1, 1.0)))
    assert the([cases[0], hung, *cases[2:]], metric).cases == {"must_pass": ("c000", "c003")}


def test_a_case_falls_far_by_the_drop_of_its_mean_in_the_metrics_scale():
    metric = replace(QUALITY, scale=(1.0, 5.0), margin=0.4, floor=None, severity=Severity(2.0))
    falls = {0: ((0.5, 0.5), (1.0, 1.0)), 1: ((0.6, 0.6), (1.0, 1.0)), 2: ((0.2, 0.2), (0.7, 0.7))}
    cases = [case(at, *falls.get(at, ((1.0, 1.0), (0.0, 1.0)))) for at in range(25)]
    assert the(cases, metric).cases == {"severity": ("c000", "c002")}
    first = [replace(item, baseline=()) for item in cases]
    assert the(first, metric).cases == {}


def test_rules_are_read_off_even_where_nothing_can_be_estimated():
    metric = replace(QUALITY, must_pass=("safety",), severity=Severity(0.5))
    cases = [case(at, (0.0,), (1.0,), tags=("safety",)) for at in range(3)]
    found = the(cases, metric)
    assert found.reason.startswith("3 cases are too few")
    assert found.cases == dict.fromkeys(("must_pass", "severity"), ("c000", "c001", "c002"))


# --- scores of other shapes


def test_all_of_several_runs_passing_is_estimated_without_bias():
    cases = drawn(40, runs=4)
    found = the(cases, replace(QUALITY, pass_k=3))

    def chance(runs):
        passed = sum(one.scores["team"] == 1.0 for one in runs)
        return comb(passed, 3) / comb(4, 3)

    assert found.candidate == pytest.approx(np.mean([chance(item.candidate) for item in cases]))
    assert found.baseline == pytest.approx(np.mean([chance(item.baseline) for item in cases]))
    assert (found.var_run, found.fixed_low, found.checks) == (None, None, {})
    short = [replace(cases[0], baseline=cases[0].baseline[:2]), *cases[1:]]
    assert (
        the(short, replace(QUALITY, pass_k=3)).reason == "pass^3 needs 3 usable runs of every case"
    )


def test_a_slice_is_estimated_from_its_own_cases_alone():
    cases = drawn(90, tags=lambda at: ("de",) if at % 3 == 0 else ("en", "fr"))
    german = replace(QUALITY, slice="de")
    assert replace(the(cases, german), method="") == replace(the(cases[::3]), method="")
    assert the(cases, german).n == 30
    assert the(cases, replace(QUALITY, slice="it")).reason == "there are no cases"
    unhurt = replace(cases[1], candidate=(failed(0), failed(1)))
    assert the([cases[0], unhurt, *cases[2:]], german).reason is None


def test_a_scale_changes_the_units_and_no_verdict():
    cases, scale = drawn(60, drop=0.1), (1.0, 5.0)
    plain = the(cases)
    told = the(cases, replace(QUALITY, scale=scale, margin=0.2, floor=3.0))
    assert told.candidate == pytest.approx(1 + 4 * plain.candidate)
    assert (told.low, told.high) == pytest.approx((4 * plain.low, 4 * plain.high))
    assert (told.arm_low, told.arm_high) == pytest.approx(
        (1 + 4 * plain.arm_low, 1 + 4 * plain.arm_high)
    )
    assert (told.p_pass, told.p_fail) == (plain.p_pass, plain.p_fail)
    assert told.var_run == pytest.approx(16 * plain.var_run)
    assert "wilcoxon" in told.checks
    assert "wilcoxon" not in plain.checks
    bare = [replace(item, baseline=()) for item in cases]
    assert the(bare, replace(QUALITY, scale=scale, floor=3.0)).p_pass == the(bare).p_pass


def test_the_test_that_the_suite_names_is_the_one_made():
    cases = drawn(60, drop=0.1)
    d = paired(cases)
    for name, expected in (("el-score", el_score), ("el-ratio", el_ratio)):
        found, wanted = the(cases, replace(QUALITY, test=name)), expected(d, margin=0.05)
        assert (found.low, found.t_pass) == pytest.approx((wanted.low, wanted.t_pass))
        assert found.method == f"paired EL-{name[3:]}, t(59)"
    assert the(cases).t_pass != the(cases, replace(QUALITY, test="el-ratio")).t_pass


@pytest.mark.parametrize("runs", [1, 2])
def test_an_interval_for_exactly_these_cases_needs_repeated_runs(runs):
    found = the(drawn(60, runs=runs))
    if runs == 1:
        assert (found.fixed_low, found.fixed_high) == (None, None)
    else:
        assert found.low < found.fixed_low < found.estimate < found.fixed_high < found.high


def test_checks_describe_what_they_fit_and_decide_nothing():
    single = the(drawn(60, runs=1))
    assert set(single.checks) == {"mcnemar", "mcnemar_mid_p"}
    assert set(the(drawn(60, runs=2)).checks) == {"changed"}
    several = the(drawn(60, runs=1), replace(QUALITY, scale=(1.0, 5.0)))
    assert set(several.checks) == {"mcnemar", "mcnemar_mid_p", "wilcoxon"}
    quiet = the(drawn(60), design=Design(0.05, describe=False))
    assert quiet.checks == {}
    assert (quiet.low, quiet.p_pass) == (the(drawn(60)).low, the(drawn(60)).p_pass)


# --- sizes and shapes at the edges


def everything(cases):
    return summarize(cases, suite(*ALL_KINDS))


def numbers(estimate):
    found = [getattr(estimate, field.name) for field in fields(estimate)]
    return [*(value for value in found if isinstance(value, float)), *estimate.checks.values()]


@pytest.mark.parametrize("n", [0, 1, 2, 19, 20, 60])
@pytest.mark.parametrize("has_baseline", [True, False])
@pytest.mark.parametrize(
    "scores",
    [
        pytest.param(lambda _: ((1.0, 1.0), (1.0, 1.0)), id="all pass"),
        pytest.param(lambda _: ((0.0, 0.0), (0.0, 0.0)), id="all fail"),
        pytest.param(lambda _: ((0.0, 0.0), (1.0, 1.0)), id="all worse"),
        pytest.param(lambda _: ((0.5, 0.5), (0.5, 0.5)), id="all equal"),
        pytest.param(lambda at: ((at % 2, 1.0), (1.0, at % 3 > 0)), id="mixed"),
        pytest.param(lambda at: ((1.0,) * (1 + at % 3), (0.0,) * (1 + at % 2)), id="unequal runs"),
    ],
)
def test_every_estimate_has_finite_numbers_or_a_reason(n, has_baseline, scores):
    cases = []
    for at in range(n):
        candidate, baseline = scores(at)
        tags = ("de", "safety") if at % 2 else ()
        cases.append(case(at, candidate, baseline if has_baseline else (), tags=tags))
    for looks in (Looks(), ANY_TIME):
        for found in summarize(cases, suite(*ALL_KINDS, looks=looks)):
            assert all(isfinite(value) for value in numbers(found)), found
            assert found.p_pass is None or 0.0 <= found.p_pass <= 1.0
            for low, high in ((found.low, found.high), (found.arm_low, found.arm_high)):
                assert (low is None) == (high is None)
                assert low is None or low <= high
            if found.reason is not None:
                assert (found.p_pass, found.p_fail, found.low) == (None, None, None)
            if n < 20 and found.kind != "severe":
                assert found.reason


def test_an_arm_of_failures_makes_every_metric_undefined():
    cases = [
        replace(item, candidate=(failed(0), failed(1)))
        for item in drawn(30, tags=lambda _: ("de",))
    ]
    for found in everything(cases):
        assert found.reason is not None
        assert (found.candidate, found.p_pass, found.low, found.arm_low) == (None,) * 4


def test_an_output_that_a_scorer_cannot_read_is_never_left_out():
    cases = drawn(40)
    odd = Run(1, ID, {"team": None}, error="scorer team: ValueError: hm")
    first = replace(cases[0], candidate=(run(0, 1.0), odd))
    found = the([first, *cases[1:]])
    assert found.reason == "quality is not known for 1 run of the candidate"
    assert (found.candidate, found.p_pass) == (None, None)
    leaks = the([first, *cases[1:]], LEAKS)
    assert leaks.reason == "leaks is not known for 1 run of the candidate"


@pytest.mark.parametrize(("odd", "even"), [(1.5, 0.0), (-0.5, 1.0)])
@pytest.mark.parametrize("arm", ["candidate", "baseline"])
@pytest.mark.parametrize("metric", [QUALITY, replace(QUALITY, pass_k=2)])
def test_a_score_outside_its_range_is_seen_though_the_mean_of_its_case_is_inside(
    odd, even, arm, metric
):
    cases = drawn(40)
    first = replace(cases[0], **{arm: (run(0, odd), run(1, even))})
    found = the([first, *cases[1:]], metric)
    assert (found.reason, found.p_pass) == ("a score lies outside its range", None)


@pytest.mark.parametrize("has_baseline", [True, False])
@pytest.mark.parametrize("n", [0, 3, 60])
def test_a_report_with_every_kind_reads_back_as_it_was_written(n, has_baseline):
    cases = drawn(n, tags=lambda at: ("de", "safety") if at % 2 else ())
    if not has_baseline:
        cases = [replace(item, baseline=()) for item in cases]
    rules = suite(*ALL_KINDS)
    judged = reports.judge_runs(
        cases, rules, Standing(1), has_baseline=has_baseline, seed=3, planned={"cases": n}
    )
    report = Report(
        bundle="b", candidate=ID, baseline=ID if has_baseline else None, suite=rules.digest,
        seed=3, cases=tuple(cases), estimates=judged.estimates, verdict=judged.verdict,
        started="2026-11-20T12:00:00Z", finished="2026-11-20T12:00:00Z", actor=None, tool="t",
        planned={"cases": n}, tried=4, alpha=judged.alpha,
    )  # fmt: skip
    again = Report.from_bytes(report.data_bytes)
    assert again.estimates == report.estimates
    assert again.verdict == report.verdict
    assert again.cases == report.cases
    assert replace(again).data_bytes == report.data_bytes
    assert Suite.from_bytes(rules.to_bytes()) == rules


def test_rules_on_single_cases_hold_across_revisions_of_the_application():
    cases = [case(at, (float(at > 0),), (1.0,), tags=("safety",)) for at in range(30)]
    both = []
    for metric in (replace(QUALITY, must_pass=("safety",)), LEAKS):
        judged = reports.judge_runs(
            cases,
            suite(metric),
            Standing(1),
            has_baseline=True,
            seed=1,
            planned={},
            applications=2,
        )
        assert "2 revisions of the application" in judged.estimates[0].reason
        assert list(judged.estimates[0].cases.values()) == [("c000",)]
        both.append(judged.verdict.verdict)
    assert both == ["fail", "inconclusive"]
