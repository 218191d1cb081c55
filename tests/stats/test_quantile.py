"""The latency test against resampling by hand, its own laws, and what it refuses to say."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.stats import quantile
from llmvc.stats.quantile import quantile_of, quantile_ratio
from llmvc.stats.samples import group

REFERENCE = Path(__file__).parent / "reference" / "quantile_values.json"
ROWS = json.loads(REFERENCE.read_text(encoding="utf-8"))


def alone(n):
    return group([None] * n)


def latencies(rng, n, k, *, slower=1.0):
    """Returns lognormal runs of cases that differ: the arms agree on which cases are slow."""
    level = rng.lognormal(0.0, 0.5, (n, 1))
    return [(times * level * rng.lognormal(0.0, 0.4, (n, k))).tolist() for times in (slower, 1.0)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{len(row['labels'])}-cases-q{row['q']}")
def test_the_interval_is_that_of_a_bootstrap_of_whole_groups_done_by_hand(row):
    groups, q = group(row["labels"]), row["q"]
    result = quantile_ratio(
        row["candidate"], row["baseline"], groups, q=q, limit=1.1, resamples=20_000
    )
    assert result.estimate == pytest.approx(row["estimate"], rel=1e-12)
    assert [result.low, result.high] == pytest.approx(row["ratio"], rel=0.015)
    assert result.p_pass == pytest.approx(row["beyond"], abs=0.015)
    arm = quantile_of(row["candidate"], groups, q=q, resamples=20_000)
    assert arm.candidate == result.candidate == row["seconds"]
    assert [arm.low, arm.high] == pytest.approx(row["alone"], rel=0.015)
    assert (arm.baseline, arm.estimate, arm.p_pass, arm.p_fail) == (None,) * 4


ragged = st.lists(
    st.lists(st.one_of(st.sampled_from([0.5, 1.0, 2.0]), st.floats(0.01, 100)), min_size=1),
    min_size=1,
    max_size=40,
)


@given(ragged, st.sampled_from([0.05, 0.5, 0.9, 0.95, 0.99]), st.data())
def test_every_resample_has_the_quantile_of_the_runs_copied_out(rows, q, data):
    labels = data.draw(
        st.lists(st.sampled_from(["a", "b", None]), min_size=len(rows), max_size=len(rows))
    )
    groups = group(labels)
    runs = quantile._Runs.of(rows, groups)
    drawn = np.random.default_rng(len(rows)).integers(groups.count, size=(3, groups.count))
    weights = np.array([np.bincount(one, minlength=groups.count) for one in drawn], dtype=float)
    copied = [
        np.sort([
            value
            for chosen in one
            for case in np.flatnonzero(groups.index == chosen)
            for value in rows[case]
        ])
        for one in drawn
    ]  # fmt: skip
    expected = [values[int(np.ceil(round(q * len(values), 6))) - 1] for values in copied]
    assert runs.quantile(weights, q).tolist() == expected


@pytest.mark.parametrize("q", [0.05, 0.07, 0.1, 0.29, 0.5, 0.55, 0.57, 0.7, 0.95])
@pytest.mark.parametrize("n", [100, 200, 201])
def test_the_quantile_is_the_smallest_value_that_the_share_does_not_exceed(n, q):
    values = np.random.default_rng(n).permutation(np.arange(1.0, 10 * n + 1))
    result = quantile_of(values.reshape(n, 10).tolist(), alone(n), q=q, resamples=100)
    assert result.candidate == np.ceil(round(q * 10 * n, 6))


@given(
    seed=st.integers(0, 10_000),
    slower=st.floats(0.7, 1.6),
    alpha=st.sampled_from([0.01, 0.025, 0.05, 0.1, 0.3]),
    resamples=st.sampled_from([199, 200, 399]),
    coarse=st.booleans(),
)
def test_the_interval_and_the_p_values_always_agree(seed, slower, alpha, resamples, coarse):
    rng = np.random.default_rng(seed)
    candidate, baseline = latencies(rng, 24, 2, slower=slower)
    if coarse:  # Ties put resamples on the limit itself.
        candidate = [[round(value) + 1.0 for value in runs] for runs in candidate]
        baseline = [[round(value) + 1.0 for value in runs] for runs in baseline]
    for limit in (1.0, 1.2, 1.5, 2.0):
        result = quantile_ratio(
            candidate, baseline, alone(24), limit=limit, alpha=alpha, seed=seed, resamples=resamples
        )
        assert (result.p_pass < alpha) == (result.high < limit)
        assert (result.p_fail < alpha) == (result.low > limit)
        assert result.low <= result.estimate <= result.high
        assert not (result.p_pass < alpha and result.p_fail < alpha)


@pytest.mark.parametrize("side", ["low", "high"])
def test_a_limit_at_the_bound_itself_is_neither_passed_nor_failed(side):
    candidate, baseline = latencies(np.random.default_rng(5), 40, 3)
    bound = getattr(quantile_ratio(candidate, baseline, alone(40)), side)
    at = quantile_ratio(candidate, baseline, alone(40), limit=bound)
    beside = quantile_ratio(candidate, baseline, alone(40), limit=bound * 1.000001)
    within = quantile_ratio(candidate, baseline, alone(40), limit=bound * 0.999999)
    assert min(at.p_pass, at.p_fail) >= 0.05
    assert (beside.p_pass < 0.05) == (side == "high")
    assert (within.p_fail < 0.05) == (side == "low")


@given(st.integers(0, 999), st.sampled_from([0.25, 4.0]))
def test_a_change_of_units_changes_seconds_only(seed, times):
    candidate, baseline = latencies(np.random.default_rng(seed), 20, 2)
    scaled = [[[value * times for value in runs] for runs in arm] for arm in (candidate, baseline)]
    one = quantile_ratio(candidate, baseline, alone(20), limit=1.2, resamples=100)
    other = quantile_ratio(*scaled, alone(20), limit=1.2, resamples=100)
    assert other.candidate == one.candidate * times
    assert (other.estimate, other.low, other.high) == (one.estimate, one.low, one.high)
    assert (other.p_pass, other.p_fail) == (one.p_pass, one.p_fail)


def test_the_seed_decides_the_resamples_and_how_many_fit_in_memory_does_not(monkeypatch):
    candidate, baseline = latencies(np.random.default_rng(3), 60, 4)
    results = [quantile_ratio(candidate, baseline, alone(60), seed=seed) for seed in (7, 7, 8)]
    assert results[0] == results[1] != results[2]
    monkeypatch.setattr(quantile, "_AT_ONCE", 1)
    assert quantile_ratio(candidate, baseline, alone(60), seed=7) == results[0]


def test_cases_of_one_group_are_drawn_together():
    level = np.repeat(np.random.default_rng(1).lognormal(0, 1, 30), 10)
    rows = [[value] for value in level]
    grouped = quantile_of(rows, group([f"g{at // 10}" for at in range(300)]))
    apart = quantile_of(rows, alone(300))
    assert grouped.candidate == apart.candidate
    assert np.log(grouped.high / grouped.low) > 2 * np.log(apart.high / apart.low)


@pytest.mark.parametrize(
    ("n", "q", "reason"),
    [
        (0, 0.5, "0 cases are too few: at least 20 are needed"),
        (1, 0.5, "1 case is too few: at least 20 are needed"),
        (2, 0.5, "2 cases are too few: at least 20 are needed"),
        (19, 0.5, "19 cases are too few: at least 20 are needed"),
        (20, 0.5, None),
        (58, 0.95, "58 cases are too few for quantile 0.95 at a level of 0.05: at least 59 are needed"),
        (59, 0.95, None),
        (59, 0.05, None),
        (58, 0.05, "58 cases are too few for quantile 0.05 at a level of 0.05: at least 59 are needed"),
        (59, 0.99, "590 runs of the candidate are too few for quantile 0.99: at least 1000 are needed"),
    ],
)  # fmt: skip
def test_few_cases_say_nothing_about_latency(n, q, reason):
    candidate, baseline = latencies(np.random.default_rng(n), n, 10)
    for result in (
        quantile_ratio(candidate, baseline, alone(n), q=q, limit=1.2, resamples=100),
        quantile_of(candidate, alone(n), q=q, resamples=100),
    ):
        assert result.reason == reason
        numbers = (result.candidate, result.low, result.high)
        assert all((number is None) == (reason is not None) for number in numbers)


def test_ten_runs_must_lie_beyond_the_quantile_in_each_arm():
    candidate, baseline = latencies(np.random.default_rng(2), 100, 2)
    assert quantile_ratio(candidate, baseline, alone(100), q=0.95).reason is None
    fewer = [baseline[0][:1], *baseline[1:]]
    assert quantile_ratio(candidate, fewer, alone(100), q=0.95).reason == (
        "199 runs of the baseline are too few for quantile 0.95: at least 200 are needed"
    )


def test_groups_count_by_their_effective_number():
    candidate, baseline = latencies(np.random.default_rng(2), 120, 3)
    result = quantile_ratio(
        candidate, baseline, group([f"g{at % 40}" for at in range(120)]), q=0.95
    )
    assert result.reason == (
        "40 effective cases are too few for quantile 0.95 at a level of 0.05: at least 59 are needed"
    )


def test_one_large_group_makes_the_others_count_for_less():
    candidate, baseline = latencies(np.random.default_rng(2), 80, 3)
    groups = group(["big"] * 10 + [None] * 70)
    assert quantile_ratio(candidate, baseline, groups, q=0.95).reason == (
        "38 effective cases are too few for quantile 0.95 at a level of 0.05: at least 59 are needed"
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -0.5, 0.0])
@pytest.mark.parametrize("arm", ["candidate", "baseline"])
def test_a_latency_that_cannot_be_is_undefined_with_a_reason(bad, arm):
    arms = dict(
        zip(("candidate", "baseline"), latencies(np.random.default_rng(0), 30, 3), strict=True)
    )
    arms[arm][4][1] = bad
    result = quantile_ratio(**arms, groups=alone(30), limit=1.2)
    assert result.reason == f"a value of the {arm} is not above 0 or no number"
    assert (result.estimate, result.low, result.p_pass, result.p_fail) == (None,) * 4


@pytest.mark.parametrize("missing", [[], [[1.0]] * 29, [[1.0]] * 29 + [[]]])
def test_an_arm_or_a_case_without_runs_is_undefined_with_a_reason(missing):
    whole = [[1.0, 2.0]] * 30
    assert quantile_ratio(missing, whole, alone(30)).reason == "a case has no run of the candidate"
    assert quantile_ratio(whole, missing, alone(30)).reason == "a case has no run of the baseline"
    assert quantile_of(missing, alone(30)).reason == "a case has no run of the candidate"


def test_a_level_finer_than_the_resamples_is_undefined_with_a_reason():
    candidate, baseline = latencies(np.random.default_rng(0), 30, 3)
    for result in (
        quantile_ratio(candidate, baseline, alone(30), alpha=0.0004),
        quantile_of(candidate, alone(30), alpha=0.0004),
    ):
        assert result.reason == "2000 resamples are too few for a level of 0.0004"
    fine = quantile_ratio(candidate, baseline, alone(30), alpha=0.0006, limit=20.0)
    assert fine.p_pass == 1 / 2001
    assert fine.high < 20.0


def test_latencies_that_are_all_equal_have_a_ratio_of_one():
    result = quantile_ratio([[2.0, 2.0]] * 100, [[2.0]] * 100, alone(100), limit=1.0)
    assert (result.low, result.estimate, result.high) == (1.0, 1.0, 1.0)
    assert (result.p_pass, result.p_fail) == (1.0, 1.0)


def test_without_a_limit_there_is_an_interval_but_no_test():
    result = quantile_ratio(*latencies(np.random.default_rng(0), 30, 3), alone(30))
    assert (result.p_pass, result.p_fail) == (None, None)
    assert result.low < result.estimate < result.high


@pytest.mark.parametrize(
    ("n", "k", "q", "passed"),
    [
        (20, 1, 0.5, (0.09, 0.28)),
        (60, 3, 0.5, (0.79, 0.95)),
        (70, 5, 0.95, (0.52, 0.76)),
        pytest.param(300, 3, 0.95, (0.92, 0.98), marks=pytest.mark.slow),
    ],
)
def test_an_unchanged_candidate_rarely_fails_and_a_slow_one_rarely_passes(n, k, q, passed):
    rng, replications, counts = np.random.default_rng(17), 200, np.zeros(4)
    for at in range(replications):
        candidate, baseline = latencies(rng, n, k)
        options = {"groups": alone(n), "q": q, "limit": 1.2, "seed": at, "resamples": 300}
        same = quantile_ratio(candidate, baseline, **options)
        slow = quantile_ratio([[1.2 * v for v in runs] for runs in candidate], baseline, **options)
        counts += (same.low > 1, same.high < 1.2, slow.high < 1.2, slow.low > 1.2)
    worse, passes, false_pass, false_fail = counts / replications
    # Not above the goal of 6.5%, within two standard errors of so few replications.
    assert max(worse, false_pass, false_fail) <= 0.065 + 0.035
    assert passed[0] <= passes <= passed[1]


def test_many_groups_are_put_together_whole_and_the_spread_stays(monkeypatch):
    rng = np.random.default_rng(3)
    groups = group([f"g{at // 2}" for at in range(4_000)])
    level = rng.lognormal(0, 0.5, 4_000)
    old, new = ([[x * rng.lognormal(0, 0.2)] for x in level] for _ in range(2))
    apart = quantile_ratio(new, old, groups, limit=1.1)
    monkeypatch.setattr(quantile, "_MOST_UNITS", 400)
    merged = quantile._together(groups, 0)
    assert (merged.count, merged.cases, set(merged.sizes)) == (400, 4_000, {10})
    assert (merged.index[::2] == merged.index[1::2]).all()
    found = quantile_ratio(new, old, groups, limit=1.1)
    assert found.estimate == apart.estimate
    assert found.high - found.low == pytest.approx(apart.high - apart.low, rel=0.15)
    assert found == quantile_ratio(new, old, groups, limit=1.1)


def test_few_groups_are_resampled_as_they_are():
    groups = alone(10_000)
    assert quantile._together(groups, 0) is groups
    assert quantile._together(alone(10_001), 0).count == 10_000
