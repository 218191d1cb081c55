"""Scores that a judge gave: told as the judge's, corrected by labels, or turned round by length."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import canon, digest
from llmvc.core.estimate import Estimate, Verdict
from llmvc.core.judging import (
    RETIRED,
    STATES,
    SUSPECT,
    TRUSTED,
    UNCALIBRATED,
    Evidence,
)
from llmvc.core.metric import Metric, Scorer
from llmvc.core.report import CaseRuns, Report, Run
from llmvc.core.suite import Looks, Suite
from llmvc.evals import reports
from llmvc.evals.estimates import Design
from llmvc.evals.summary import summarize
from llmvc.evals.trust import uniting
from llmvc.stats.events import mcnemar, wilcoxon
from llmvc.stats.judges import corrected
from llmvc.stats.paired import el_score

JUDGE, OTHER = digest.of_bytes(b"judge"), digest.of_bytes(b"other")
HELPFUL = Scorer("helpful", "judge", {"judge": JUDGE})
EXACT = Scorer("exact", "equals", {})
KIND = Scorer("kind", "judge", {"judge": OTHER})
METRIC = Metric("quality", "score", ("helpful",), margin=0.05)
TRUSTWORTHY = Evidence("helpful-judge", ("helpful",), "gpt-4o", state=TRUSTED, usd=1.0)
RNG_SEED = 11


def drawn(n=300, *, lean=0.4, drop=0.05):
    """Returns what people see of each case's answers, and what the judge sees of them."""
    rng = np.random.default_rng(RNG_SEED)
    old = rng.random(n) < 0.8
    new = old & (rng.random(n) >= drop / 0.8)
    judged = [
        rng.random(n) < np.where(right, 0.92, 0.25 + more)
        for right, more in ((old, 0.0), (new, lean))
    ]
    return (old.astype(float), new.astype(float)), tuple(one.astype(float) for one in judged)


def rows(judged, *, group=lambda _: None, tokens=lambda *_: None, runs=1):
    old, new = judged

    def made(arm, at, score):
        return tuple(
            Run(run, JUDGE, {"helpful": float(score), "exact": 1.0, "kind": 0.5},
                output_tokens=tokens(arm, at, run))
            for run in range(runs)
        )  # fmt: skip

    return tuple(
        CaseRuns(f"c{at:03}", group(at), made("candidate", at, new[at]), made("baseline", at, old[at]))
        for at in range(len(new))
    )  # fmt: skip


def labels(people, n):
    return {f"c{at:03}": (float(people[0][at]), float(people[1][at])) for at in range(n)}


def the(
    cases, known=None, *, metric=METRIC, evidence=TRUSTWORTHY, scorers=(HELPFUL, EXACT), **options
):
    evidence = replace(evidence, labels={"helpful": known} if known else {})
    suite = Suite((), scorers, 1, (metric,), judges=(JUDGE,), **options)
    design = Design(0.05, judges={JUDGE: evidence.to_dict()})
    (estimate,) = summarize(cases, suite, design)
    return estimate


PEOPLE, JUDGED = drawn()
ROWS = rows(JUDGED)


def test_without_labels_a_judged_score_is_told_as_the_judges():
    found = the(ROWS)
    plain = el_score(JUDGED[1] - JUDGED[0], margin=0.05)
    assert (found.estimate, found.low) == pytest.approx((plain.estimate, plain.low))
    assert found.method == "paired EL-score, t(299), judge-measured"
    assert found.details["judge"]["reported"] == found.estimate
    assert found.details["judge"]["labels"] == 0.0


def test_labels_of_enough_cases_correct_the_score():
    found, human = the(ROWS, labels(PEOPLE, 120)), (PEOPLE[1] - PEOPLE[0])[:120]
    expected = corrected([*human, *[None] * 180], JUDGED[1] - JUDGED[0], margin=0.05)
    assert (found.low, found.high) == pytest.approx((expected.test.low, expected.test.high))
    assert (found.p_pass, found.t_fail) == (expected.test.p_pass, expected.test.t_fail)
    told = found.details["judge"]
    assert told["weight"] == expected.weight
    assert (told["reported"], told["labels"]) == (the(ROWS).estimate, 120.0)
    assert (told["reported_low"], told["reported_high"]) == (the(ROWS).low, the(ROWS).high)
    assert found.estimate < 0 < told["reported"]
    assert found.method == "PPI++ with labels of 120 cases, t(119)"
    assert found.n_worse == np.count_nonzero(human < 0)
    assert (found.n, found.fixed_low) == (300, None)


@pytest.mark.parametrize("n", [50, 120])
def test_what_describes_a_corrected_score_is_of_peoples_labels_alone(n):
    human = (PEOPLE[1] - PEOPLE[0])[:n]
    worse, better = int((human < 0).sum()), int((human > 0).sum())
    found, plain = the(ROWS, labels(PEOPLE, n)), the(ROWS)
    assert plain.checks["mcnemar"] != found.checks["mcnemar"]
    assert found.checks == dict(
        zip(("mcnemar", "mcnemar_mid_p"), mcnemar(worse, better), strict=True)
    )
    stars = the(ROWS, labels(PEOPLE, n), metric=replace(METRIC, scale=(1.0, 5.0)))
    assert stars.checks["wilcoxon"] == wilcoxon(human)


def test_what_differs_among_grouped_labels_is_counted_in_groups():
    found = the(rows(JUDGED, group=lambda at: f"g{at % 60}"), labels(PEOPLE, 120))
    by_group = (PEOPLE[1] - PEOPLE[0])[:120].reshape(2, 60).sum(axis=0)
    assert (found.n_worse, found.n_better) == ((by_group < 0).sum(), (by_group > 0).sum())
    assert found.checks["mcnemar"] == mcnemar(found.n_worse, found.n_better)[0]


@pytest.mark.parametrize("n", [20, 99, 120, 299])
@pytest.mark.parametrize(
    ("cases", "options"),
    [
        (ROWS, {}),
        (rows(JUDGED, group=lambda at: f"g{at % 60}"), {}),
        (ROWS, {"looks": Looks("any-time")}),
        (ROWS, {"metric": replace(METRIC, scale=(1.0, 5.0))}),
        (ROWS, {"scorers": (replace(HELPFUL, negate=True), EXACT)}),
    ],
    ids=["alone", "groups", "any-time", "stars", "negated"],
)
def test_the_arms_of_a_corrected_score_differ_by_its_estimate(cases, options, n):
    found, plain = the(cases, labels(PEOPLE, n), **options), the(cases, **options)
    assert found.candidate - found.baseline == pytest.approx(found.estimate)
    assert (found.arm_low, found.arm_high) == (None, None)
    told = found.details["judge"]
    assert (told["reported_baseline"], told["reported_candidate"]) == (
        plain.baseline,
        plain.candidate,
    )


def test_the_arms_of_people_alone_are_their_means():
    found = the(ROWS, labels(PEOPLE, 50))
    assert found.baseline == pytest.approx(PEOPLE[0][:50].mean())
    assert found.candidate == pytest.approx(PEOPLE[1][:50].mean())


def test_corrected_arms_do_not_leave_the_scale():
    good = np.ones(300)
    judge = (np.r_[np.zeros(60), np.ones(240)], np.r_[np.zeros(30), np.ones(270)])
    people = (np.r_[np.zeros(60), good[60:]], np.r_[np.zeros(30), good[30:]])
    found = the(rows(judge), {f"c{at:03}": (people[0][at], people[1][at]) for at in range(290)})
    assert 0.0 <= found.baseline <= found.candidate <= 1.0
    assert found.candidate - found.baseline == pytest.approx(found.estimate)


@pytest.mark.parametrize("n", [20, 99])
def test_below_a_hundred_labels_people_decide_alone(n):
    found, human = the(ROWS, labels(PEOPLE, n)), (PEOPLE[1] - PEOPLE[0])[:n]
    alone = el_score(human, margin=0.05)
    assert (found.low, found.p_pass) == pytest.approx((alone.low, alone.p_pass))
    assert found.details["judge"]["weight"] is None
    assert found.method == f"EL-score on labels of {n} cases, t({n - 1})"


@pytest.mark.parametrize(
    "known",
    [
        labels(PEOPLE, 19),
        {f"else{at}": (1.0, 1.0) for at in range(200)},
        {name: (None, new) for name, (_, new) in labels(PEOPLE, 200).items()},
    ],
    ids=["few", "other cases", "one arm"],
)
def test_labels_that_are_too_few_correct_nothing(known):
    found, plain = the(ROWS, known), the(ROWS)
    assert replace(found, method="", details={}) == replace(plain, method="", details={})
    assert "judge-measured" in found.method
    assert found.details["judge"]["labels"] == 0.0


@pytest.mark.parametrize(
    ("metric", "marked"),
    [
        (replace(METRIC, scorers=("helpful", "exact")), "judge-measured in part"),
        (replace(METRIC, pass_k=1), "judge-measured"),
        (replace(METRIC, scorers=("helpful", "kind")), "judge-measured by 2 judges"),
    ],
)
def test_a_metric_of_more_than_the_judged_answer_is_not_corrected_and_says_so(metric, marked):
    scorers = (HELPFUL, EXACT, KIND)
    found = the(ROWS, labels(PEOPLE, 150), metric=metric, scorers=scorers)
    assert found == the(ROWS, metric=metric, scorers=scorers)
    assert found.method.endswith(marked)


def test_a_metric_that_no_judge_scored_knows_nothing_of_judges():
    found = the(ROWS, labels(PEOPLE, 150), metric=replace(METRIC, scorers=("exact",)))
    assert found.details == {}
    assert "judge" not in found.method


def test_a_negated_scorer_turns_labels_round_as_it_turns_scores():
    turned = rows(tuple(1 - arm for arm in JUDGED))
    plain = the(ROWS, labels(PEOPLE, 120))
    found = the(turned, labels(PEOPLE, 120), scorers=(replace(HELPFUL, negate=True), EXACT))
    assert found.estimate == pytest.approx(-plain.estimate)
    assert (found.low, found.high) == pytest.approx((-plain.high, -plain.low))


def test_a_scale_holds_for_what_the_judge_says_too():
    stars = replace(METRIC, scale=(1.0, 5.0), margin=0.2)
    plain, found = the(ROWS, labels(PEOPLE, 120)), the(ROWS, labels(PEOPLE, 120), metric=stars)
    assert found.low == pytest.approx(4 * plain.low)
    told = (found.details["judge"]["reported_low"], plain.details["judge"]["reported_low"])
    assert told[0] == pytest.approx(4 * told[1])


def test_labels_of_grouped_cases_are_counted_by_group():
    cases = rows(JUDGED, group=lambda at: f"g{at % 60}")
    found = the(cases, labels(PEOPLE, 120))
    human = (PEOPLE[1] - PEOPLE[0])[:120]
    by_group = np.array([human[at::60].mean() for at in range(60)])
    alone = el_score(by_group, margin=0.05)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))
    in_few = {name: pair for name, pair in labels(PEOPLE, 300).items() if int(name[1:]) % 60 < 5}
    few = the(cases, in_few)
    assert few.reason == "labels: 5 groups count as 5.0 equal ones: at least 15 are needed"


def test_a_suite_that_may_stop_at_any_time_tests_labels_by_a_bet():
    found = the(ROWS, labels(PEOPLE, 120), looks=Looks("any-time"))
    assert found.method == "betting e-process on labels of 120 cases, valid at any stop"
    assert found.low <= found.estimate <= found.high
    grouped = rows(JUDGED, group=lambda at: f"g{at % 60}")
    tied = the(grouped, labels(PEOPLE, 120), looks=Looks("any-time"))
    assert tied.reason == "labels of grouped cases cannot be tested at any time"


def test_a_first_release_is_told_as_the_judges():
    first = tuple(replace(case, baseline=()) for case in ROWS)
    found = the(first, labels(PEOPLE, 120), metric=replace(METRIC, floor=0.5))
    assert found.method.endswith("judge-measured")
    assert found.arm_low is not None


PAIRWISE = replace(TRUSTWORTHY, protocol="pairwise-swap")


def compared(n, at_equal, per_length, longer=40.0, *, seed=3):
    """Returns rows of a pairwise judge that likes length."""
    rng = np.random.default_rng(seed)
    gap = rng.normal(longer, 60.0, n).round()
    logit = at_equal + per_length * np.tanh(gap / gap.std())
    won = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    return rows(
        (1 - won, won), tokens=lambda arm, at, _: 500 + (int(gap[at]) if arm == "candidate" else 0)
    )


def test_a_preference_that_is_length_alone_is_shown_beside_what_it_is_at_equal_lengths():
    found = the(compared(400, 0.0, 2.0), evidence=PAIRWISE)
    told = found.details["judge"]
    assert found.low > 0
    assert told["length_low"] < 0 < told["length_high"]
    assert told["length_low"] < told["length_controlled"] < told["length_high"]


@pytest.mark.parametrize(
    ("at_equal", "per_length", "longer"), [(-0.9, 3.0, 60.0), (0.9, 3.0, -60.0), (-0.6, 1.6, 40.0)]
)
def test_a_preference_that_turns_round_at_equal_lengths_decides_nothing(
    at_equal, per_length, longer
):
    cases = compared(600, at_equal, per_length, longer)
    found = the(cases, evidence=PAIRWISE)
    assert found.reason == "the judge's preference turns round at equal lengths"
    assert the(cases, evidence=TRUSTWORTHY).reason is None
    assert the(cases, evidence=replace(PAIRWISE, length_control=False)).reason is None
    assert the(cases, labels(PEOPLE, 120), evidence=PAIRWISE).reason is None


def test_a_loss_that_stays_one_at_equal_lengths_is_a_loss():
    found = the(compared(400, -0.8, 0.5), evidence=PAIRWISE)
    assert found.reason is None
    assert found.high < 0


def test_answers_of_unknown_length_are_not_controlled_and_the_report_says_so():
    found = the(rows(JUDGED), evidence=PAIRWISE)
    assert "not at equal lengths: the lengths of some answers are not known" in found.method
    assert found.details["judge"]["length_controlled"] is None
    assert found.reason is None


def leaf(made, evidence, *, at=0):
    return Report(
        bundle="support",
        candidate=OTHER,
        baseline=JUDGE,
        suite=SUITE.digest,
        seed=1,
        cases=made,
        estimates=(),
        verdict=Verdict("inconclusive", "x"),
        started=f"2026-11-20T0{at}:00:00Z",
        finished=f"2026-11-20T0{at}:30:00Z",
        actor="me",
        tool="llmvc 1",
        judges={JUDGE: evidence.to_dict()},
    )


SUITE = Suite((), (HELPFUL,), 1, (METRIC,), judges=(JUDGE,))
DISTINCT = tuple(
    replace(
        case,
        candidate=(replace(case.candidate[0], run_id=digest.of_bytes(f"c{case.id}".encode())),),
        baseline=(replace(case.baseline[0], run_id=digest.of_bytes(f"b{case.id}".encode())),),
    )
    for case in ROWS
)


def test_labels_reach_the_verdict_by_one_more_report_on_the_same_runs():
    first = leaf(DISTINCT, TRUSTWORTHY)
    known = replace(TRUSTWORTHY, labels={"helpful": labels(PEOPLE, 120)})
    second = leaf(DISTINCT, known, at=1)
    united = reports.merge([first, second], SUITE)
    assert united.look == 1
    assert united.estimates[0].details["judge"]["labels"] == 120.0
    assert united.estimates[0].low == pytest.approx(the(ROWS, labels(PEOPLE, 120)).low)
    again = reports.merge([second, first], SUITE)
    assert again.data_bytes == united.data_bytes
    assert isinstance(united.estimates[0], Estimate)


@pytest.mark.parametrize(
    ("one", "other", "state"),
    [
        ((TRUSTED, "2026-11-01"), (SUSPECT, "2026-11-01"), SUSPECT),
        ((TRUSTED, "2026-11-01"), (UNCALIBRATED, None), TRUSTED),
        ((TRUSTED, "2026-11-09"), (SUSPECT, "2026-11-01"), TRUSTED),
        ((SUSPECT, "2026-11-09"), (TRUSTED, "2026-11-01"), SUSPECT),
        ((TRUSTED, "2026-11-09"), (RETIRED, "2026-11-01"), RETIRED),
        ((UNCALIBRATED, None), (UNCALIBRATED, None), UNCALIBRATED),
    ],
)
def test_the_newest_calibration_counts_and_under_one_the_worse_state(one, other, state):
    said = [
        {JUDGE: replace(TRUSTWORTHY, state=name, calibrated=time, why=(name,)).to_dict()}
        for name, time in (one, other)
    ]
    for order in (said, said[::-1]):
        found = Evidence.from_dict(uniting.judges(order)[JUDGE])
        assert found.state == state
        assert found.why == (state,)


@pytest.mark.parametrize(
    ("answered", "state"), [((("a", None),), TRUSTED), ((("a", None), ("b", None)), SUSPECT)]
)
def test_grades_by_somebody_else_stay_suspect_beside_those_of_a_new_calibration(answered, state):
    old = replace(TRUSTWORTHY, state=SUSPECT, calibrated="2026-11-01", identities=answered)
    new = replace(TRUSTWORTHY, calibrated="2026-11-09", identities=(("a", None),))
    said = [{JUDGE: replace(old, why=("b answered",)).to_dict()}, {JUDGE: new.to_dict()}]
    for order in (said, said[::-1]):
        found = Evidence.from_dict(uniting.judges(order)[JUDGE])
        assert found.state == state
        assert found.why == (("b answered",) if state == SUSPECT else ())


def test_what_leaves_saw_of_a_judge_adds_up():
    one = replace(
        TRUSTWORTHY,
        identities=(("a", None),),
        flips=2,
        graded=10,
        flagged=4,
        migration=True,
        length_control=False,
    )
    two = replace(
        TRUSTWORTHY, identities=(("b", None),), flips=1, graded=30, usd=3.0, warnings=("one-judge",)
    )
    found = Evidence.from_dict(
        uniting.judges([{JUDGE: one.to_dict()}, {JUDGE: two.to_dict()}])[JUDGE]
    )
    assert found.identities == (("a", None), ("b", None))
    assert (found.flips, found.graded, found.flagged, found.usd) == (1, 30, 4, 3.0)
    assert found.length_control
    assert (found.migration, found.same_family, found.warnings) == (True, False, ("one-judge",))


def test_a_case_that_was_labelled_twice_has_the_mean_of_what_differs():
    said = [
        {JUDGE: replace(TRUSTWORTHY, labels={"helpful": cases}).to_dict()}
        for cases in (
            {"c1": (1.0, 0.0), "c2": (1.0, 1.0)},
            {"c1": (1.0, 1.0), "c3": (None, 1.0)},
            {"c1": (1.0, 1.0), "c2": (None, 0.0)},
        )
    ]
    found = Evidence.from_dict(uniting.judges(said)[JUDGE]).labels["helpful"]
    assert found == {"c1": (1.0, 0.5), "c2": (1.0, 0.5), "c3": (None, 1.0)}


def test_what_cannot_be_read_is_kept_for_the_gate_to_refuse():
    said = [{JUDGE: TRUSTWORTHY.to_dict()}, {JUDGE: {"state": "FINE"}}]
    assert uniting.judges(said)[JUDGE] == {"state": "FINE"}


evidences = st.builds(
    Evidence,
    st.just("helpful-judge"),
    state=st.sampled_from(STATES),
    calibrated=st.sampled_from([None, "2026-11-01", "2026-11-02"]),
    graded=st.integers(0, 3),
    labels=st.dictionaries(
        st.just("helpful"),
        st.dictionaries(
            st.sampled_from(["c1", "c2"]),
            st.tuples(st.sampled_from([None, 0.0, 1.0]), st.sampled_from([0.0, 0.25, 1.0])),
        ),
    ),
)


@given(st.lists(evidences, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_reports_does_not_matter_and_one_more_of_the_same_neither(listed, random):
    said = [{JUDGE: one.to_dict()} for one in listed]
    united = canon.encode(uniting.judges(said))
    turned = [*said, said[0]]
    random.shuffle(turned)
    assert canon.encode(uniting.judges(turned)) == united
