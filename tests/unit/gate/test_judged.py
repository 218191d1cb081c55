"""Judges that may be believed, judges that may not, and what that does to a verdict."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import digest
from llmvc.core.estimate import Estimate
from llmvc.core.judging import (
    RETIRED,
    STATES,
    SUSPECT,
    TRUSTED,
    UNCALIBRATED,
    Calibration,
    Check,
    Evidence,
    Figure,
    Tombstone,
)
from llmvc.core.metric import Metric, Scorer, Severity
from llmvc.core.suite import Suite
from llmvc.gate.decide import decide
from llmvc.gate.judged import Prompted, distrusted, lint, standing_check, state_of, upheld

JUDGE, OTHER = digest.of_bytes(b"judge"), digest.of_bytes(b"other")
HERE, THERE = digest.of_bytes(b"connection"), digest.of_bytes(b"another connection")
DAY = "2026-11-{:02}T08:00:00Z"
CALIBRATION = Calibration(
    judge=JUDGE,
    anchors=OTHER,
    connection=HERE,
    attempt=1,
    family="gpt-4o",
    protocol="pairwise-swap",
    n=100,
    raters=2,
    figures={"position_flips": Figure(0.05, 0.02, 0.1)},
    families={},
    reference={},
    human={},
    admitted=True,
    why=(),
    identities=(("gpt-4o", "fp"),),
    made=DAY.format(1),
    expires=DAY.format(29),
    actor="me",
    tool="llmvc 1",
)
CHECK = Check(
    judge=JUDGE,
    calibration=CALIBRATION.digest,
    connection=HERE,
    n=100,
    flips=0,
    alarm=6,
    p=1.0,
    injected=0,
    identities=(("gpt-4o", "fp"),),
    state=TRUSTED,
    why=(),
    made=DAY.format(20),
    expires=DAY.format(21),
)
FOOLED = replace(CALIBRATION, figures={"injection": Figure(0.2, 0.05, 0.4)})
BAD = replace(CHECK, state=SUSPECT, why=("9 of 100 anchors got another verdict",))
GONE = Tombstone(JUDGE, "too lenient", DAY.format(2), "me")
NOW = "2026-11-20T20:00:00.123Z"
SEEN = (("gpt-4o", "fp"),)


def state(calibration=CALIBRATION, check=CHECK, retired=None, seen=SEEN, now=NOW, **pairs):
    return state_of(calibration, check, retired, seen, now, **pairs)


@pytest.mark.parametrize(
    ("said", "expected", "why"),
    [
        ({}, TRUSTED, ""),
        ({"seen": ()}, TRUSTED, ""),
        ({"flips": 12, "graded": 100}, TRUSTED, ""),
        ({"retired": GONE}, RETIRED, "too lenient"),
        ({"calibration": None, "retired": GONE}, RETIRED, "too lenient"),
        ({"calibration": None}, UNCALIBRATED, "never held against labels"),
        (
            {"calibration": replace(CALIBRATION, admitted=False, why=("a coin",))},
            UNCALIBRATED,
            "a coin",
        ),
        ({"connection": HERE}, TRUSTED, ""),
        ({"connection": THERE}, UNCALIBRATED, "through another connection"),
        ({"connection": THERE, "check": BAD}, UNCALIBRATED, "through another connection"),
        ({"check": None}, UNCALIBRATED, "not checked"),
        ({"check": replace(CHECK, calibration=OTHER)}, UNCALIBRATED, "not checked"),
        ({"check": replace(CHECK, state=UNCALIBRATED, why=("dumb",))}, UNCALIBRATED, "dumb"),
        ({"now": DAY.format(21)}, UNCALIBRATED, "last checked"),
        ({"now": DAY.format(29)}, SUSPECT, "ran out on 2026-11-29"),
        ({"check": BAD}, SUSPECT, "another verdict"),
        ({"seen": (("gpt-4o", "fp2"),)}, SUSPECT, "gpt-4o fp2 answered"),
        ({"seen": (*SEEN, (None, None))}, SUSPECT, "? answered"),
        ({"flips": 25, "graded": 100}, SUSPECT, "25 of 100 pairs"),
        ({"flagged": 9}, TRUSTED, ""),
        ({"calibration": FOOLED, "check": replace(CHECK, calibration=FOOLED.digest)}, TRUSTED, ""),
        (
            {
                "calibration": FOOLED,
                "check": replace(CHECK, calibration=FOOLED.digest),
                "flagged": 9,
            },
            SUSPECT,
            "9 answers aimed at it, and at calibration 20% of such ones fooled it",
        ),
        ({"check": BAD, "retired": GONE}, RETIRED, "too lenient"),
    ],
)
def test_a_judge_is_trusted_only_while_all_that_is_known_speaks_for_it(said, expected, why):
    found, reasons = state(**said)
    assert found == expected
    assert why in "; ".join(reasons)
    assert bool(reasons) == (found != TRUSTED)


@pytest.mark.parametrize(
    "said", [{"check": BAD}, {"seen": (("x", None),)}, {"flips": 90, "graded": 100}, {}]
)
@pytest.mark.parametrize("missing", ["calibration", "check"])
def test_a_judge_of_which_less_is_known_is_never_trusted_more(said, missing):
    assert state(**{**said, missing: None})[0] != TRUSTED


def test_a_suspect_check_holds_until_a_new_calibration():
    later = replace(CHECK, made=DAY.format(25))
    assert standing_check(CALIBRATION, [CHECK, BAD, later]) == BAD
    assert standing_check(CALIBRATION, [later, CHECK]) == later
    again = replace(CALIBRATION, made=DAY.format(24))
    assert standing_check(again, [CHECK, BAD, later]) is None
    fresh = replace(later, calibration=again.digest)
    assert standing_check(again, [BAD, fresh]) == fresh
    assert standing_check(again, [replace(fresh, connection=THERE)]) is None


SAID = Evidence(
    "helpful-judge",
    family="gpt-4o",
    protocol="pairwise-swap",
    state=TRUSTED,
    calibration=CALIBRATION.digest,
    calibrated=CALIBRATION.made,
    check=CHECK.digest,
    connection=HERE,
    identities=SEEN,
)
LATER = replace(CALIBRATION, made=DAY.format(25), expires="2026-12-25T08:00:00Z")
AFTER = replace(BAD, made=DAY.format(22))


def upheld_state(said, calibrations=(CALIBRATION,), checks=(CHECK,), retired=None, now=NOW):
    found = upheld(said, calibrations, checks, retired, at=NOW, now=now)
    assert replace(found, state=said.state, why=said.why) == said
    return found.state, "; ".join(found.why)


@pytest.mark.parametrize(
    ("said", "stored", "state_", "why"),
    [
        ({}, {}, TRUSTED, ""),
        ({}, {"now": DAY.format(28)}, TRUSTED, ""),
        ({}, {"calibrations": ()}, UNCALIBRATED, "is not among what is stored of it"),
        ({"calibration": None}, {}, UNCALIBRATED, "is not among what is stored of it"),
        ({"calibration": OTHER}, {}, UNCALIBRATED, "is not among what is stored of it"),
        ({"connection": THERE}, {}, UNCALIBRATED, "through another connection"),
        ({"connection": None}, {}, UNCALIBRATED, "through another connection"),
        (
            {},
            {"calibrations": (CALIBRATION, replace(LATER, admitted=False, connection=THERE))},
            TRUSTED,
            "",
        ),
        ({}, {"checks": ()}, UNCALIBRATED, "not checked"),
        ({}, {"checks": (replace(CHECK, calibration=OTHER),)}, UNCALIBRATED, "not checked"),
        ({}, {"checks": (CHECK, BAD)}, SUSPECT, "another verdict"),
        ({"check": BAD.digest}, {"checks": (BAD,)}, SUSPECT, "another verdict"),
        ({"identities": (("else", None),)}, {}, SUSPECT, "else answered"),
        ({"flips": 40, "graded": 100}, {}, SUSPECT, "40 of 100 pairs"),
        ({}, {"retired": GONE}, RETIRED, "too lenient"),
        ({}, {"now": DAY.format(30)}, SUSPECT, "ran out"),
        ({}, {"checks": (CHECK, AFTER), "now": DAY.format(23)}, SUSPECT, "another verdict"),
        (
            {},
            {"checks": (CHECK, AFTER), "calibrations": (CALIBRATION, LATER)},
            TRUSTED,
            "",
        ),
        (
            {},
            {"calibrations": (CALIBRATION, replace(LATER, admitted=False, why=("a coin",)))},
            UNCALIBRATED,
            "a coin",
        ),
        ({"state": SUSPECT, "why": ("flips",)}, {}, SUSPECT, "flips"),
        ({"state": UNCALIBRATED, "calibration": None}, {}, UNCALIBRATED, ""),
    ],
)
def test_what_a_report_says_of_a_judge_holds_only_as_far_as_stored_records_do(
    said, stored, state_, why
):
    found, reasons = upheld_state(replace(SAID, **said), **stored)
    assert found == state_
    assert why in reasons


def test_a_check_after_the_grading_speaks_for_it_only_if_the_report_names_it():
    made = replace(CHECK, made=DAY.format(24), expires=DAY.format(25))
    now = DAY.format(26)
    assert upheld_state(SAID, checks=(made,), now=now)[0] == UNCALIBRATED
    named = replace(SAID, check=made.digest)
    assert upheld_state(named, checks=(made,), now=now)[0] == TRUSTED


TEXT = "say whether the answer helps the customer with what they asked and nothing else besides"


@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        ({"kin": True, "migrating": True}, ("judge-family-migrating",)),
        ({"kin": True}, ("judge-family",)),
        ({"panel": ("gpt-4o",)}, ("one-judge",)),
        ({"panel": ("gpt-4o", "gpt-4o")}, ("one-family",)),
        ({"prompts": [f"You help. {TEXT.upper()}"]}, ("shares-prompt-text",)),
        ({"prompts": [TEXT[: len(TEXT) // 2], ""]}, ()),
        ({"writers": ["gpt-4o"]}, ("cases-by-judge-family",)),
        ({"writers": ["claude-3", "gpt-4o-mini-2024-07-18"]}, ("cases-by-judge-family",)),
        ({"writers": ["claude-3"]}, ()),
        ({"votes": 1.2}, ("panel-n-eff",)),
        ({"votes": 1.8}, ()),
        ({}, ()),
    ],
)
def test_what_is_odd_about_a_judge_has_a_code(facts, codes):
    families = facts.get("panel", ("gpt-4o", "claude-3"))
    facts = {name: value for name, value in facts.items() if name != "panel"}
    panel = [Prompted(family, TEXT) for family in families]
    assert lint(panel[0], panel, **{"kin": False, **facts}) == codes


HELPFUL = Scorer("helpful", "judge", {"judge": JUDGE})
EXACT = Scorer("exact", "equals", {})
JUDGED = Metric("helpful", "score", ("helpful",), margin=0.05)
MIXED = Metric("mixed", "score", ("exact", "helpful"), margin=0.05)
PLAIN = Metric("exact", "score", ("exact",), margin=0.05)
GOOD = {"estimate": 0.1, "low": 0.05, "high": 0.15, "p_pass": 0.0, "p_fail": 1.0}
WORSE = {"estimate": -0.2, "low": -0.3, "high": -0.1, "p_pass": 1.0, "p_fail": 0.0}
TRUSTWORTHY = Evidence("helpful-judge", ("helpful",), "gpt-4o", state=TRUSTED)
AGAIN = "llmvc judge calibrate helpful-judge --anchors FILE"


def estimate(metric, figures, **others):
    known = {"alpha": 0.05, "n": 100, "n_effective": 100.0, "n_worse": 30, "n_better": 5}
    return Estimate(metric.name, metric.kind, **{**known, **figures, **others})


def verdict(figures, evidence, *metrics, **others):
    """Returns the verdict on metrics that all have these figures."""
    rules = metrics or (JUDGED,)
    suite = Suite((), (HELPFUL, EXACT), 1, rules)
    judges = {} if evidence is None else {JUDGE: evidence.to_dict()}
    return decide(
        [estimate(metric, figures, **others) for metric in rules],
        suite,
        has_baseline=True,
        judges=judges,
    )


def test_a_trusted_judge_is_believed():
    assert verdict(GOOD, TRUSTWORTHY).verdict == "pass"
    assert verdict(WORSE, TRUSTWORTHY).verdict == "fail"


@pytest.mark.parametrize(
    ("state_", "settle"),
    [
        (SUSPECT, f"find out what changed, then {AGAIN}"),
        (UNCALIBRATED, f"llmvc judge check helpful-judge, or {AGAIN}"),
        (RETIRED, "name another judge in the suite"),
    ],
)
@pytest.mark.parametrize("figures", [GOOD, WORSE])
def test_a_judge_that_is_not_trusted_decides_nothing_and_says_what_would_mend_it(
    figures, state_, settle
):
    evidence = replace(TRUSTWORTHY, state=state_, why=("because",))
    found = verdict(figures, evidence)
    assert found.verdict == "inconclusive"
    assert found.reason == f"helpful: judge helpful-judge is {state_}: because"
    assert found.settle == settle


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("state_", [SUSPECT, UNCALIBRATED, RETIRED, None])
def test_one_judge_of_a_panel_that_is_not_trusted_is_enough_to_decide_nothing(state_, at):
    panel = (HELPFUL, Scorer("kind", "judge", {"judge": OTHER}))
    metric = replace(JUDGED, scorers=("helpful", "kind"))
    judges = {one: TRUSTWORTHY.to_dict() for one in (JUDGE, OTHER)}
    suite = Suite((), panel, 1, (metric,))

    def said(known):
        return decide([estimate(metric, GOOD)], suite, has_baseline=True, judges=known).verdict

    assert said(judges) == "pass"
    del judges[(JUDGE, OTHER)[at]]
    if state_ is not None:
        judges[(JUDGE, OTHER)[at]] = replace(TRUSTWORTHY, state=state_).to_dict()
    assert said(judges) == "inconclusive"


@pytest.mark.parametrize("said", [None, {"name": "helpful-judge"}, 7])
def test_a_report_that_says_nothing_readable_of_its_judge_decides_nothing(said):
    suite = Suite((), (HELPFUL,), 1, (JUDGED,))
    judges = {} if said is None else {JUDGE: said}
    found = decide([estimate(JUDGED, GOOD)], suite, has_baseline=True, judges=judges)
    assert found.verdict == "inconclusive"
    assert found.settle == "measure again: llmvc eval"


def test_what_needs_no_judge_fails_beside_a_suspect_one_and_does_not_pass_alone():
    suspect = replace(TRUSTWORTHY, state=SUSPECT, why=("flips",))
    assert verdict(WORSE, suspect, JUDGED, PLAIN).verdict == "fail"
    assert verdict(GOOD, suspect, JUDGED, PLAIN).verdict == "inconclusive"
    watched = replace(JUDGED, gate=False)
    assert verdict(GOOD, suspect, watched, PLAIN).verdict == "pass"
    assert verdict(GOOD, suspect, MIXED).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("metric", "cases"),
    [
        (replace(JUDGED, must_pass=("safety",)), {"must_pass": ("c1",)}),
        (replace(JUDGED, severity=Severity(0.5)), {"severity": ("c1",)}),
        (Metric("severe", "severe", ("helpful",), budget=0.1), {"severe": ("c1",)}),
    ],
)
def test_rules_on_single_cases_do_not_fail_by_the_word_of_a_suspect_judge(metric, cases):
    suspect = replace(TRUSTWORTHY, state=SUSPECT, why=("flips",))
    found = verdict(WORSE, suspect, metric, cases=cases)
    assert found.verdict == "inconclusive"
    assert "SUSPECT" in found.reason


KIN = replace(TRUSTWORTHY, same_family=True, migration=True)
LABELS = {"helpful": {f"c{at}": (1.0, 1.0) for at in range(100)}}
CORRECTED = {"judge": {"labels": 100.0}}


def test_a_judge_of_the_candidates_family_needs_labels_for_a_migration():
    found = verdict(GOOD, KIN)
    assert found.verdict == "inconclusive"
    assert "llmvc judge label REPORT" in found.settle
    assert verdict(GOOD, replace(KIN, migration=False)).verdict == "pass"
    labelled = replace(KIN, labels=LABELS)
    assert verdict(GOOD, labelled, details=CORRECTED).verdict == "pass"
    assert verdict(GOOD, labelled).verdict == "inconclusive"
    assert verdict(GOOD, KIN, details=CORRECTED).verdict == "inconclusive"


def test_a_labelled_metric_that_cannot_tell_asks_for_labels_not_for_cases():
    unclear = {"estimate": 0.0, "low": -0.1, "high": 0.1, "p_pass": 0.3, "p_fail": 0.5}
    evidence = replace(TRUSTWORTHY, labels=LABELS)
    found = verdict(unclear, evidence, details=CORRECTED)
    assert found.settle == "label more answers of both arms: llmvc judge label REPORT"
    both = verdict(unclear, replace(evidence, state=SUSPECT), JUDGED, PLAIN, details=CORRECTED)
    assert AGAIN in both.settle
    assert "llmvc judge label" in both.settle


figures = st.fixed_dictionaries(
    {
        "estimate": st.floats(-1, 1),
        "low": st.floats(-1, 1),
        "high": st.floats(-1, 1),
        "p_pass": st.floats(0, 1),
        "p_fail": st.floats(0, 1),
    }
)
evidences = st.builds(
    Evidence,
    st.just("helpful-judge"),
    family=st.just("gpt-4o"),
    state=st.sampled_from(STATES),
    migration=st.booleans(),
    same_family=st.booleans(),
    labels=st.sampled_from([{}, LABELS]),
)


@given(figures, evidences, st.booleans(), st.sampled_from([JUDGED, MIXED]))
def test_no_scores_let_a_judge_pass_that_is_not_trusted(numbers, evidence, corrected, metric):
    details = CORRECTED if corrected else {}
    found = verdict(numbers, evidence, metric, details=details).verdict
    if evidence.state != TRUSTED:
        assert found == "inconclusive"
    if evidence.migration and evidence.same_family and not (corrected and evidence.labels):
        assert found == "inconclusive"


@given(figures, evidences, st.booleans())
def test_a_verdict_never_becomes_a_pass_by_taking_evidence_away(numbers, evidence, corrected):
    details = CORRECTED if corrected else {}
    less = [
        None,
        replace(evidence, labels={}),
        replace(evidence, state=UNCALIBRATED, calibration=None, check=None),
    ]
    before = verdict(numbers, evidence, details=details).verdict
    for one in less:
        assert before == "pass" or verdict(numbers, one, details=details).verdict != "pass"


def test_metrics_without_a_judge_are_never_distrusted():
    suite = Suite((), (HELPFUL, EXACT), 1, (JUDGED, MIXED, PLAIN))
    assert set(distrusted(suite, {})) == {"helpful", "mixed"}
    assert distrusted(suite, {JUDGE: TRUSTWORTHY.to_dict()}) == {}
