"""Judges corrected by human labels, and judges that have changed."""

import json
from math import comb, isfinite, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.stats.agreement import self_noise
from llmvc.stats.judges import corrected, effective_votes, flip_test
from llmvc.stats.paired import el_score, student_quantile

PPI = json.loads((Path(__file__).parent / "reference" / "ppi.json").read_text(encoding="utf-8"))


def case_by_case(labels, judged):
    return [*labels, *[None] * (len(judged) - len(labels))]


@pytest.mark.parametrize(
    "row", PPI, ids=lambda row: f"{len(row['labels'])}-of-{len(row['judged'])}"
)
def test_the_estimate_is_that_of_the_authors_package(row):
    judged = np.array(row["judged"])
    result = corrected(case_by_case(row["labels"], judged), judged, margin=0.05)
    assert result.test.estimate == pytest.approx(row["estimate"], abs=1e-11)
    assert 0 < result.weight < 1
    assert result.judged == pytest.approx(judged.mean())
    assert result.test.n == len(row["labels"])


def draw(rng, n, drop, lean):
    """Returns human and judged differences of two arms: the judge accepts wrong answers too."""
    right = rng.random(n) < 0.8
    other = right & (rng.random(n) >= drop / 0.8)
    accepts = rng.random((2, n))
    judged = [
        accepts[arm] < np.where(answers, 0.92, 0.25 + lean * arm)
        for arm, answers in enumerate((right, other))
    ]
    return other.astype(float) - right, judged[1].astype(float) - judged[0]


@pytest.mark.parametrize(
    "replications", [150, pytest.param(1500, marks=pytest.mark.slow)], ids=["quick", "full"]
)
@pytest.mark.parametrize("drop", [0.0, 0.05, 0.10])
def test_a_judge_that_is_lenient_with_the_candidate_is_corrected(drop, replications):
    rng, covered, naive = np.random.default_rng(12), 0, 0
    for _ in range(replications):
        human, judged = draw(rng, 400, drop, lean=0.30)
        test = corrected([*human[:100], *[None] * 300], judged, margin=0.05).test
        covered += test.low <= -drop <= test.high
        plain = el_score(judged)
        naive += plain.low <= -drop <= plain.high
    assert covered / replications >= 0.88 - 3.5 * sqrt(0.88 * 0.12 / replications)
    assert naive / replications < 0.5


@pytest.mark.parametrize(
    "replications", [150, pytest.param(1500, marks=pytest.mark.slow)], ids=["quick", "full"]
)
@pytest.mark.parametrize(("labels", "margin"), [(100, 0.05), (100, 0.03), (200, 0.02)])
def test_few_disagreements_among_the_labels_are_no_certainty(labels, margin, replications):
    # Harm falls on few cases and the judge sees none of it: labels without a disagreement would
    # have a standard error of 0 by the textbook's formula, which passes 9 to 30% of these.
    rng, wrong = np.random.default_rng(13), 0
    for _ in range(replications):
        human = -(rng.random(1000) < margin).astype(float)
        judged = np.where(rng.random(1000) < 0.02, rng.choice([-1.0, 1.0], 1000), 0.0)
        test = corrected(case_by_case(human[:labels], judged), judged, margin=margin).test
        wrong += test.p_pass < 0.05
    assert wrong / replications <= 0.065 + 3.5 * sqrt(0.065 * 0.935 / replications)


def test_a_good_judge_makes_the_interval_narrower_than_the_labels_alone():
    human, judged = draw(np.random.default_rng(14), 8000, 0.05, lean=0.0)
    alone = el_score(human[:800])
    good = corrected(case_by_case(human[:800], human), human).test
    poor = corrected(case_by_case(human[:800], judged), judged).test
    assert good.high - good.low < 0.75 * (alone.high - alone.low)
    assert poor.high - poor.low < 1.01 * (alone.high - alone.low)


@pytest.mark.parametrize("labels", [20, 50, 99])
def test_below_a_hundred_labels_the_human_labels_are_tested_alone(labels):
    human, judged = draw(np.random.default_rng(15), 400, 0.05, lean=0.3)
    result = corrected(case_by_case(human[:labels], judged), judged, margin=0.05)
    assert result.weight is None
    assert result.test == el_score(human[:labels], margin=0.05)
    assert result.judged == pytest.approx(judged.mean())


@pytest.mark.parametrize("others", [0, 1])
def test_without_other_cases_the_human_labels_are_tested_alone(others):
    human, judged = draw(np.random.default_rng(15), 150 + others, 0.05, lean=0.3)
    result = corrected(case_by_case(human[:150], judged), judged, margin=0.05)
    assert result.weight is None
    assert result.test == el_score(human[:150], margin=0.05)


def test_a_judge_that_says_nothing_has_no_weight():
    human, _ = draw(np.random.default_rng(16), 150, 0.05, lean=0.0)
    result = corrected(case_by_case(human, np.zeros(400)), np.zeros(400), margin=0.05)
    alone = el_score(human, margin=0.05)
    assert result.weight == 0.0
    assert result.test.t_pass == pytest.approx(alone.t_pass)
    assert (result.test.low, result.test.high) == pytest.approx((alone.low, alone.high), abs=1e-8)


@pytest.mark.parametrize(
    ("human", "judged", "reason"),
    [
        ([], np.zeros(0), "0 labelled cases are too few: at least 20 are needed"),
        ([0.0] * 19, np.zeros(30), "19 labelled cases are too few: at least 20 are needed"),
        ([0.0] * 119 + [2.0], np.zeros(300), "1 values are outside [-1, 1] or no numbers"),
        ([0.0] * 120, np.full(300, np.nan), "300 values are outside [-1, 1] or no numbers"),
    ],
)
def test_what_cannot_be_tested_is_undefined_with_a_reason(human, judged, reason):
    result = corrected(case_by_case(human, judged), judged, margin=0.05)
    assert result.test.reason == reason
    assert (result.test.estimate, result.judged, result.weight) == (None, None, None)


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_no_spread_at_all_leaves_finite_numbers(value):
    judged = np.full(300, value)
    test = corrected(case_by_case([value] * 100, judged), judged, margin=0.05).test
    assert test.estimate == pytest.approx(value)
    assert test.high - test.low > 0.01
    assert all(isfinite(item) for item in (test.t_pass, test.t_fail))


marks = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])


@given(
    st.lists(st.tuples(marks, marks), min_size=100, max_size=110),
    st.lists(marks, min_size=2, max_size=60),
    st.floats(0.01, 0.6),
)
def test_the_interval_and_the_verdict_always_agree(labelled, others, margin):
    human, seen = zip(*labelled, strict=True)
    judged = np.array([*seen, *others])
    test = corrected(case_by_case(human, judged), judged, margin=margin).test
    critical = student_quantile(0.95, len(human) - 1)
    assert (test.t_pass > critical) == (test.low > -margin)
    assert (test.t_fail < -critical) == (test.high < 0)
    assert test.low <= test.estimate <= test.high


@pytest.mark.parametrize(
    ("noise", "n", "alarm"), [(0.02, 60, 4), (0.05, 100, 10), (0.10, 150, 22), (0.02, 20, 3)]
)
def test_so_many_flips_are_too_many(noise, n, alarm):
    assert flip_test(0, n, noise).alarm == alarm
    assert flip_test(alarm, n, noise).p <= 0.05 < flip_test(alarm - 1, n, noise).p


def test_a_judge_replaced_by_its_successor_is_noticed_on_60_anchors():
    # ChatGPT between two versions on LLMBar: 71 of 419 verdicts flipped, 53 of them for the worse.
    found = flip_test(round(60 * 71 / 419), 60, 0.02)
    assert found.flips >= 2 * found.alarm
    assert found.p < 1e-6


@pytest.mark.parametrize(
    ("noise", "n", "flipping", "power"),
    [(0.02, 60, 0.12, 0.94), (0.05, 100, 0.15, 0.94), (0.10, 150, 0.20, 0.96)],
)
def test_a_judge_that_flips_more_is_found(noise, n, flipping, power):
    alarm = flip_test(0, n, noise).alarm
    found = np.random.default_rng(8).binomial(n, flipping, 200_000) >= alarm
    assert found.mean() == pytest.approx(power, abs=0.015)


@pytest.mark.parametrize(
    ("flips", "n", "noise", "p"),
    [
        (0, 0, 0.0, 1.0),
        (0, 60, 0.0, 1.0),
        (60, 60, 0.0, 0.02**60),
        (1, 1, 0.5, 0.5),
        (2500, 5000, 0.5, 0.5 + comb(5000, 2500) / 2**5001),
    ],
)
def test_the_chance_of_flips_is_exact_for_few_and_many(flips, n, noise, p):
    found = flip_test(flips, n, noise)
    assert found.p == pytest.approx(p, rel=1e-9)
    assert 0 < found.alarm <= n + 1


@pytest.mark.parametrize(
    "replications", [200, pytest.param(4000, marks=pytest.mark.slow)], ids=["quick", "full"]
)
@pytest.mark.parametrize(("noise", "alarms"), [(0.0, 0.0), (0.02, 0.035), (0.1, 0.11)])
def test_a_judge_whose_noise_was_measured_in_two_repeats_is_rarely_suspected(
    noise, alarms, replications
):
    # The noise is an estimate: a judge that is not steady is suspected more often than 1 in 20.
    rng, suspected = np.random.default_rng(10), 0
    for _ in range(replications):
        first, second, new = rng.random((3, 100)) < noise
        known = self_noise(np.array([first, second]).T.tolist()).value
        settled = first == second
        flips = int((new != first)[settled].sum())
        found = flip_test(flips, int(settled.sum()), known)
        suspected += found.flips >= found.alarm
    assert suspected / replications <= alarms + 3.5 * sqrt(alarms * (1 - alarms) / replications)


def test_judges_that_err_together_are_one_vote_and_others_are_as_many_as_they_are():
    rng = np.random.default_rng(9)
    alike = np.repeat(rng.random((1, 4000)) < 0.3, 5, axis=0).astype(float)
    apart = (rng.random((5, 4000)) < 0.3).astype(float)
    assert effective_votes(alike) == pytest.approx(1.0)
    assert effective_votes(apart) == pytest.approx(5.0, abs=0.4)


@pytest.mark.parametrize(
    "errors", [np.zeros((0, 5)), np.zeros((3, 0)), np.ones((3, 5)), np.eye(3)[:1]]
)
def test_a_panel_of_whose_errors_nothing_is_known_has_no_number_of_votes(errors):
    assert effective_votes(errors) is None
