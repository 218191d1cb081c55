"""The gate tested on itself: on runs whose true rates are known, and with a gate that is broken."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import bdtr, gammaln, xlog1py, xlogy

from llmvc.core import digest
from llmvc.core.estimate import MetricVerdict, Verdict
from llmvc.core.metric import Metric, Scorer, Severity
from llmvc.core.report import CaseRuns, Run
from llmvc.core.suite import Looks, Suite
from llmvc.errors import Inconclusive
from llmvc.evals.aa import judged, self_test
from llmvc.evals.halves import Halves
from llmvc.stats.paired import el_score

ID = digest.of_bytes(b"run")
TEAM = Scorer("team", "equals", {})
QUALITY = Metric("quality", "score", ("team",), margin=0.1)
COST = Metric("cost", "cost", limit=1.2)


def suite(*metrics, scorers=(TEAM,), **options):
    return Suite((), scorers, 2, metrics or (QUALITY,), **options)


def case(at, scores, group=None, **others):
    runs = tuple(Run(n, ID, {"team": score}, **others) for n, score in enumerate(scores))
    return CaseRuns(f"c{at:03}", group, runs)


def noisy(n, k=2, seed=3, group=lambda at: None):
    rng = np.random.default_rng(seed)
    level = rng.beta(0.8, 0.2, n)
    return [case(at, rng.binomial(1, level[at], k).astype(float), group(at)) for at in range(n)]


def chances(n, p):
    """The binomial probabilities of 0 to n."""
    at = np.arange(n + 1)
    ways = gammaln(n + 1) - gammaln(at + 1) - gammaln(n - at + 1)
    return np.exp(ways + xlogy(at, p) + xlog1py(n - at, -p))


def blind(cases, rules):
    """A gate that lets everything pass."""
    passed = tuple(MetricVerdict(one.name, "pass", one.gate, "") for one in rules.metrics)
    return Verdict("pass", "", passed)


def check(rate, true):
    """Demands a count that a binomial draw of that chance gives but once in 10,000 tries."""
    assert bdtr(rate.count, rate.times, true) > 5e-5, (rate, true)
    assert 1 - bdtr(rate.count - 1, rate.times, true) > 5e-5 if rate.count else True, (rate, true)
    assert rate.low <= rate.rate <= rate.high
    assert rate.rate == rate.count / rate.times


def test_runs_that_agree_pass_always_and_false_passes_are_as_often_as_the_binomial_says():
    n = 60
    found = self_test([case(at, (1.0, 1.0)) for at in range(n)], suite(), "candidate", times=150)
    assert (found.failed.count, found.passed.rate, found.naive.count) == (0, 1.0, 0)
    d = [np.where(np.arange(n) < worse, -1.0, 0.0) for worse in range(n + 1)]
    passes = np.array([el_score(one, margin=0.1).p_pass < 0.05 for one in d])
    (quality,) = found.at_rule
    check(quality.passed, float(chances(n, 0.1)[passes].sum()))
    check(quality.naive, float(chances(n, 0.1)[: n // 10 + 1].sum()))
    assert found.as_promised


def test_runs_that_never_agree_are_blocked_as_often_as_the_sign_of_each_case_says():
    n = 60
    found = self_test([case(at, (1.0, 0.0)) for at in range(n)], suite(), "candidate", times=150)
    d = [np.where(np.arange(n) < worse, -1.0, 1.0) for worse in range(n + 1)]
    tests = [el_score(one, margin=0.1) for one in d]
    fails = np.array([one.p_fail < 0.05 and one.p_pass >= 0.05 for one in tests])
    passes = np.array([one.p_pass < 0.05 for one in tests])
    chance = chances(n, 0.5)
    check(found.failed, float(chance[fails].sum()))
    check(found.passed, float(chance[passes].sum()))
    check(found.naive, float(chance[np.arange(n + 1) > n * 0.55].sum()))
    assert found.failed.count + found.passed.count + found.inconclusive.count == 150


def test_cost_at_its_limit_hardly_ever_passes():
    rng = np.random.default_rng(5)
    cases = [
        CaseRuns(str(at), None, tuple(Run(n, ID, {}, cost_usd=float(usd)) for n, usd in enumerate(row)))
        for at, row in enumerate(rng.lognormal(size=(120, 4), sigma=0.4))
    ]  # fmt: skip
    found = self_test(cases, suite(COST), "candidate", times=150)
    (cost,) = found.at_rule
    assert (cost.kind, cost.rule) == ("cost", 1.2)
    assert bdtr(cost.passed.count - 1, 150, 0.075) < 1 - 1e-4
    assert 0.3 < cost.naive.rate < 0.7
    assert found.failed.rate < 0.05
    assert found.passed.rate > 0.9
    assert found.as_promised


def test_a_gate_that_errs_more_often_is_caught():
    def lax(cases, rules):
        return judged(cases, replace(rules, alpha=0.45))

    cases = noisy(80)
    for gate in (lax, blind):
        found = self_test(cases, suite(), "candidate", times=40, gate=gate)
        assert not found.as_promised
        assert found.above(found.at_rule[0].passed)
    assert found.failed.count == 0
    assert found.promise == pytest.approx(0.065)
    assert self_test(cases, suite(), "candidate", times=40).as_promised


def dropped(cases, rules, metric, value, *, times=150):
    """Returns by how much the candidate falls in each draw, unharmed and harmed."""
    drops = []

    def gate(drawn, asked):
        drops.append(np.mean([value(item.baseline) - value(item.candidate) for item in drawn]))
        return blind(drawn, asked)

    found = self_test(cases, rules, "candidate", times=times, gate=gate)
    assert (found.at_rule[0].naive is None) == (metric.pass_k is not None)
    return np.array(drops[0::2]), np.array(drops[1::2])


def mean(name):
    return lambda runs: np.mean([run.scores[name] for run in runs])


def all_pass(runs):
    passed = sum(run.scores["team"] == 1 for run in runs)
    return passed * (passed - 1) / (len(runs) * (len(runs) - 1))


@pytest.mark.parametrize(
    ("metric", "cases", "value", "drop"),
    [
        (QUALITY, noisy(60), mean("team"), 0.1),
        (QUALITY, noisy(60, k=5), mean("team"), 0.1),
        (QUALITY, noisy(60, group=lambda at: str(at // 3)), mean("team"), 0.1),
        (replace(QUALITY, margin=0.4, scale=(1.0, 5.0)), noisy(60), mean("team"), 0.1),
        (replace(QUALITY, pass_k=2), noisy(60, k=5), all_pass, 0.1),
    ],
    ids=["pass or fail", "odd runs", "groups", "rubric", "pass^k"],
)
def test_the_candidate_falls_by_the_margin_on_average(metric, cases, value, drop):
    same, worse = dropped(cases, suite(metric), metric, value)
    for found, expected in ((same, 0.0), (worse, drop)):
        assert abs(found.mean() - expected) < 4.5 * found.std() / np.sqrt(len(found))


def test_what_a_metric_weighs_of_several_scorers_falls_as_a_whole():
    scorers = (Scorer("a", "equals", {}, weight=3.0), Scorer("b", "equals", {}))
    cases = [
        CaseRuns(str(at), None, tuple(Run(n, ID, {"a": 1.0, "b": 0.5}) for n in range(2)))
        for at in range(60)
    ]
    metric = replace(QUALITY, scorers=("a", "b"))

    def value(runs):
        return np.mean([(3 * run.scores["a"] + run.scores["b"]) / 4 for run in runs])

    rules = suite(metric, scorers=scorers)
    same, worse = dropped(cases, rules, metric, value)
    assert not same.any()
    assert abs(worse.mean() - 0.1) < 4.5 * worse.std() / np.sqrt(len(worse))


def test_halves_share_no_run_and_groups_stay_whole():
    cases = [
        *(case(at, range(2 + at % 4), group=str(at // 3)) for at in range(30)),
        *(case(at, range(3)) for at in range(30, 36)),
    ]
    halves, rng = Halves.of(cases), np.random.default_rng(1)
    assert len(halves.members) == 16
    left = Counter()
    for _ in range(300):
        drawn = halves.draw(rng).cases(cases)
        groups = {}
        for item in drawn:
            known = next(one for one in cases if one.id == item.id)
            first, second = ({run.run for run in runs} for runs in (item.baseline, item.candidate))
            assert len(first) == len(second) == len(known.candidate) // 2
            assert not first & second
            assert (item.group is None) == (known.group is None)
            if item.group is not None:
                groups.setdefault(item.group, []).append(item.id)
            elif len(known.candidate) == 3:
                left[({0, 1, 2} - first - second).pop()] += 1
        whole = {tuple(cases[at].id for at in members) for members in halves.members}
        assert {tuple(ids) for ids in groups.values()} <= whole
    assert max(left.values()) < 1.25 * min(left.values())


def test_cases_are_drawn_with_replacement():
    cases = noisy(100)
    halves, rng = Halves.of(cases), np.random.default_rng(1)
    drawn = [halves.draw(rng).cases(cases) for _ in range(50)]
    assert all(len(one) == 100 for one in drawn)
    distinct = np.mean([len({item.id for item in one}) for one in drawn])
    assert distinct == pytest.approx(100 * (1 - 0.99**100), abs=3)


def test_the_seed_decides_everything():
    def run(seed):
        return self_test(noisy(40), suite(), "candidate", times=5, seed=seed)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_the_baseline_s_runs_can_be_tested_instead():
    cases = [replace(item, candidate=(), baseline=item.candidate) for item in noisy(40)]
    found = self_test(cases, suite(), "baseline", times=10)
    assert (found.arm, found.cases, found.half) == ("baseline", 40, (1, 1))
    with pytest.raises(Inconclusive, match="the candidate ran no case twice"):
        self_test(cases, suite(), "candidate", times=10)


def test_runs_that_failed_are_no_runs_and_cases_with_one_run_are_left_out():
    failed = Run(9, None, {"team": None}, error="time-out")
    cases = noisy(40, k=4)
    cases[0] = replace(cases[0], candidate=(*cases[0].candidate[:1], failed))
    cases[1] = replace(cases[1], candidate=(*cases[1].candidate[:2], failed))
    found = self_test(cases, suite(), "candidate", times=10)
    assert (found.cases, found.left_out, found.half) == (39, 1, (1, 2))
    assert found.passed.count > 0 or found.inconclusive.count > 0


def test_only_what_has_an_error_rate_is_tested():
    wild = replace(QUALITY, must_pass=("core",), severity=Severity(0.5))
    others = (
        Metric("harm", "severe", ("team",), budget=0.01),
        Metric("latency", "latency", limit=1.2),
        replace(QUALITY, name="watched", gate=False),
        replace(QUALITY, name="loose", margin=None),
    )
    cases = [replace(item, tags=("core",)) for item in noisy(60)]
    rules = suite(wild, *others, looks=Looks("cases", (0.5, 1.0)))
    found = self_test(cases, rules, "candidate", times=12)
    assert found.untested == ("harm", "latency", "watched", "loose")
    assert [item.metric for item in found.at_rule] == ["quality"]
    assert replace(found, untested=()) == self_test(cases, suite(), "candidate", times=12)


def test_a_metric_that_cannot_be_tried_says_why_beside_one_that_can():
    low = replace(QUALITY, name="low", margin=0.99)
    often = replace(QUALITY, name="often", pass_k=2)
    found = self_test(noisy(40), suite(QUALITY, COST, low, often), "candidate", times=10)
    reasons = {item.metric: item.reason for item in found.at_rule}
    assert reasons["quality"] is None
    assert reasons["cost"] == "cost is not known for 80 runs of the candidate"
    assert reasons["low"].startswith("the mean of 0.")
    assert reasons["often"] == "pass^2 needs 4 runs of every case"
    assert all((item.passed is None) == (item.reason is not None) for item in found.at_rule)
    assert found.passed.count == 0


@pytest.mark.parametrize(
    ("cases", "metrics", "reason"),
    [
        ([], (QUALITY,), "ran no case twice"),
        (noisy(60, k=1), (QUALITY,), "ran no case twice"),
        (noisy(19), (QUALITY,), "19 cases are too few"),
        (noisy(40, group=lambda at: str(at % 4)), (QUALITY,), "4 groups count as 4.0 equal ones"),
        (noisy(60), (replace(QUALITY, margin=None),), "no gating metric"),
        (noisy(60), (replace(QUALITY, gate=False),), "no gating metric"),
        (noisy(60), (Metric("latency", "latency", limit=1.2),), "no gating metric"),
        (noisy(60), (COST,), "cost: cost is not known"),
        ([case(at, (0.0, 0.0)) for at in range(60)], (QUALITY,), "cannot fall by the margin"),
        ([case(at, (None, None)) for at in range(60)], (QUALITY,), "quality is not known"),
        ([case(at, (7.0, 7.0)) for at in range(60)], (QUALITY,), "outside its range"),
    ],
)
def test_what_allows_no_test_is_refused(cases, metrics, reason):
    with pytest.raises(Inconclusive, match=reason) as caught:
        self_test(cases, suite(*metrics), "candidate", times=5)
    assert caught.value.hint
