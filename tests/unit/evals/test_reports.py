"""Reports: assembled from a run, united by run_id whatever the order."""

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvc.app import evidence
from llmvc.core import digest
from llmvc.core.metric import Metric
from llmvc.core.report import CaseRuns, Report, Run, looks
from llmvc.core.suite import Looks
from llmvc.errors import FormatError
from llmvc.evals import reports
from llmvc.evals.providers.base import failed
from llmvc.gate.level import Standing
from tests.unit.evals.world import Fake, arms, bundle, cases, measure, right, suite

ROWS = cases(30)
WIDE = Metric("quality", "score", ("right",), margin=0.3, floor=0.5)
SUITE = suite(ROWS, looks=Looks("cases", (0.5, 1.0)), metrics=(WIDE,))
TIME = "2026-11-20T12:0{}:00.000Z"


def assembled(result, by=SUITE, **changes):
    fields = {
        "bundle": "support",
        "candidate": bundle("new"),
        "baseline": bundle("old"),
        "actor": "Ada <ada@example.org>",
        "tool": "llmvc 0.1.0",
        "data": ({"dataset": by.datasets[0], "path": "cases.jsonl"},),
        **changes,
    }
    return reports.assemble(result, by, **fields)


def test_a_report_names_what_it_rests_on_and_reads_back_equal(tmp_path):
    result = measure(arms(Fake(), baseline=True), tmp_path, rows=ROWS, by=SUITE)
    report = assembled(result)
    assert (report.candidate, report.baseline) == (bundle("new").digest, bundle("old").digest)
    assert (report.suite, report.seed, report.merges) == (SUITE.digest, result.seed, ())
    assert [estimate.metric for estimate in report.estimates] == ["quality"]
    assert len(report.cases) == 30
    again = Report.from_bytes(report.data_bytes)
    assert again.digest == report.digest
    assert again.cases == report.cases


def test_evals_of_the_same_runs_give_the_same_scores_and_estimates(tmp_path):
    first, second = (
        assembled(measure(arms(Fake(), baseline=True), tmp_path, rows=ROWS, by=SUITE)) for _ in "ab"
    )
    assert first.cases == second.cases
    assert first.estimates == second.estimates


def test_a_worse_candidate_fails_and_an_equal_one_passes(tmp_path):
    rows = cases(120)
    by = suite(rows)

    def worse(call):
        answer = right(call)
        bad = call.bundle.digest == bundle("new").digest and int(call.case.id[1:]) % 2
        return replace(answer, output="wrong") if bad else answer

    verdicts = []
    for at, reply in enumerate((worse, right)):
        result = measure(arms(Fake(reply), baseline=True), tmp_path / str(at), rows=rows, by=by)
        verdicts.append(assembled(result, by).verdict.verdict)
    assert verdicts == ["fail", "pass"]


def test_a_provider_failure_that_is_left_makes_the_verdict_inconclusive(tmp_path):
    rows = cases(120)
    by = suite(rows)
    result = measure(
        arms(
            Fake(lambda call: failed("x", "provider") if call.case.id == "c007" else right(call)),
            baseline=True,
        ),
        tmp_path,
        rows=rows,
        by=by,
    )
    report = assembled(result, by)
    assert report.verdict.verdict == "inconclusive"
    assert report.failures("candidate") == report.failures("baseline") == 2


def test_applications_that_crash_count_as_zero_not_as_failures_of_the_provider(tmp_path):
    rows = cases(120)
    by = suite(rows)

    def crashing(call):
        bad = call.bundle.digest == bundle("new").digest
        return failed("KeyError", "application") if bad else right(call)

    report = assembled(measure(arms(Fake(crashing), baseline=True), tmp_path, rows=rows, by=by), by)
    assert report.verdict.verdict == "fail"
    assert report.failures("candidate") == 0


def test_without_a_baseline_the_floor_decides(tmp_path):
    report = assembled(measure(arms(Fake()), tmp_path, rows=ROWS, by=SUITE), baseline=None)
    assert report.baseline is None
    assert report.verdict.verdict == "pass"
    assert all(case.baseline == () for case in report.cases)


# --- merging


def run(number, name, score):
    made = digest.of_bytes(name.encode()) if name else None
    error = None if name else "provider: x"
    return Run(number, made, {"right": score if name else None}, error, cost_usd=0.25)


@cache
def leaf(number, *, names="ab", minute=0, application=None, tool="llmvc 0.1.0"):
    """A report whose runs are named by `names`; "-" stands for one that failed."""
    rows = tuple(
        CaseRuns(
            case.id,
            None,
            *(
                tuple(
                    run(at, name.strip("-") and f"{arm}/{case.id}/{name}", float(len(case.id) > at))
                    for at, name in enumerate(names)
                )
                for arm in ("candidate", "baseline")
            ),
        )
        for case in ROWS
    )
    judged = reports.judge_runs(
        rows, SUITE, Standing(1), has_baseline=True, seed=5, planned={"cases": 30}
    )
    return Report(
        bundle="support",
        candidate=bundle("new").digest,
        baseline=bundle("old").digest,
        suite=SUITE.digest,
        seed=5,
        cases=rows,
        estimates=judged.estimates,
        verdict=judged.verdict,
        alpha=judged.alpha,
        started=TIME.format(minute),
        finished=TIME.format(minute + 1),
        actor=f"actor {number}",
        tool=tool,
        prices={"digest": digest.of_bytes(bytes([number])), "date": f"2026-01-0{number + 1}"},
        data=({"dataset": SUITE.datasets[0], "path": f"{number % 2}.jsonl"},),
        providers=(
            {
                "arm": "candidate",
                "provider": "p",
                "kind": "openai",
                "model": "m",
                "fingerprint": None,
                "calls": number + 5,
            },
        ),
        application=application,
    )


LEAVES = (
    leaf(0),
    leaf(1, names="ac", minute=2),
    leaf(2, names="de", minute=4, tool="llmvc 0.2.0"),
    leaf(3, names="a-", minute=5),
    leaf(4, names="f", minute=6),
)


@settings(max_examples=25)
@given(st.lists(st.sampled_from(LEAVES), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_the_same_leaves_in_any_order_give_the_same_bytes(some, random):
    shuffled = [*some, random.choice(some)]
    random.shuffle(shuffled)
    assert reports.merge(some, SUITE).data_bytes == reports.merge(shuffled, SUITE).data_bytes


@settings(max_examples=25)
@given(st.lists(st.sampled_from(LEAVES), min_size=2, max_size=4))
def test_merging_again_with_the_merged_report_changes_nothing(some):
    merged = reports.merge(some, SUITE)
    assert reports.merge([*some, merged], SUITE) == merged


def ids(report, arm="candidate"):
    return {run.run_id for case in report.cases for run in getattr(case, arm)} - {None}


@settings(max_examples=25)
@given(st.lists(st.sampled_from(LEAVES), min_size=2, max_size=4))
def test_a_merged_report_has_every_run_once_and_no_other(some):
    merged = reports.merge(some, SUITE)
    for arm in ("candidate", "baseline"):
        assert ids(merged, arm) == set().union(*(ids(one, arm) for one in some))
        for case in merged.cases:
            made = [run.run_id for run in getattr(case, arm) if run.run_id]
            assert len(made) == len(set(made))


def test_a_merged_report_says_of_its_leaves_what_can_be_said():
    merged = reports.merge([LEAVES[2], LEAVES[0], LEAVES[1]], SUITE)
    assert merged.merges == tuple(sorted(one.digest for one in LEAVES[:3]))
    assert (merged.started, merged.finished, merged.actor) == (TIME.format(0), TIME.format(5), None)
    assert merged.tool == "llmvc 0.1.0, llmvc 0.2.0"
    assert merged.prices == LEAVES[2].prices
    assert {entry["path"] for entry in merged.data} == {"0.jsonl", "1.jsonl"}
    assert [seen["calls"] for seen in merged.providers] == [7]
    assert [run.run for run in merged.cases[0].candidate] == [0, 0, 1, 1, 1]
    assert merged.estimates[0].n == 30


def test_notes_of_the_leaves_are_united_under_one_identity():
    def noted(one, *notes):
        return replace(
            one, providers=tuple({**seen, "notes": list(notes)} for seen in one.providers)
        )

    merged = reports.merge([noted(LEAVES[0], "b", "a"), noted(LEAVES[1], "b"), LEAVES[2]], SUITE)
    assert [(seen["calls"], seen["notes"]) for seen in merged.providers] == [(7, ["a", "b"])]


def test_a_failed_run_stays_only_while_no_other_report_has_it():
    broken, whole = LEAVES[3], LEAVES[0]
    assert reports.merge([broken, whole], SUITE).failures("candidate") == 0
    still = reports.merge([broken, LEAVES[4]], SUITE)
    assert still.failures("candidate") == 30
    assert still.verdict.verdict == "inconclusive"


def test_looks_beyond_those_of_the_suite_are_inconclusive():
    two = reports.merge([LEAVES[0], LEAVES[2]], SUITE)
    three = reports.merge([LEAVES[0], LEAVES[2], LEAVES[1]], SUITE)
    assert two.verdict.verdict != "inconclusive"
    assert three.verdict.verdict == "inconclusive"
    assert "look" in three.verdict.reason
    inside = reports.merge([LEAVES[0], LEAVES[2], LEAVES[3]], SUITE)
    assert inside.verdict == two.verdict


def test_an_incomplete_measurement_is_a_look_unless_its_candidate_stands_in_a_complete_one():
    broken, whole, other = LEAVES[3], LEAVES[0], LEAVES[2]
    assert looks([broken, whole]) == (1,)
    assert looks([broken, other]) == (1, 1)
    aged = tuple(
        replace(case, baseline=tuple(run(0, f"old/{case.id}", 1.0) for _ in "x"))
        for case in broken.cases
    )
    assert looks([replace(broken, cases=aged), whole]) == (1,)


def test_one_leaf_is_returned_as_it_is():
    assert reports.merge([LEAVES[0], LEAVES[0]], SUITE) is LEAVES[0]


def test_reports_on_different_revisions_of_the_application_prove_nothing_together():
    one, other = ({"commit": name * 40, "dirty": False} for name in "ab")
    same = reports.merge(
        [replace(LEAVES[0], application=one), replace(LEAVES[2], application=one)], SUITE
    )
    assert same.application == one
    assert same.verdict.verdict != "inconclusive"
    for second in (other, None):
        mixed = reports.merge(
            [replace(LEAVES[0], application=one), replace(LEAVES[2], application=second)], SUITE
        )
        assert mixed.application is None
        assert mixed.verdict.verdict == "inconclusive"
        assert "2 revisions of the application" in mixed.estimates[0].reason


@pytest.mark.parametrize(
    ("some", "complaint"),
    [
        ([], "no report to merge"),
        ([LEAVES[0], replace(LEAVES[1], candidate=LEAVES[1].suite)], "not about one"),
        ([replace(LEAVES[0], merges=(LEAVES[1].digest,)), LEAVES[0]], "unites .* not here"),
        ([replace(LEAVES[0], merges=(LEAVES[1].digest,))], "no report to merge"),
    ],
)
def test_reports_that_do_not_belong_together_are_refused(some, complaint):
    with pytest.raises(FormatError, match=complaint):
        reports.merge(some, SUITE)


def test_reports_of_another_suite_are_refused():
    with pytest.raises(FormatError, match="made by suite"):
        reports.merge(LEAVES[:2], suite(ROWS))


def test_a_measurement_that_is_not_at_hand_was_a_look_all_the_same():
    merged = reports.merge([LEAVES[0], LEAVES[2]], SUITE)
    known = evidence.standing(merged, (merged, LEAVES[0], LEAVES[2]))
    assert known == Standing(2, merged=True, made_at=merged.alpha)
    assert evidence.standing(merged, (merged, LEAVES[2])) == known
    assert evidence.standing(replace(merged, look=0), (merged,)) == known
    assert evidence.standing(LEAVES[0], ()) == Standing(1, made_at=LEAVES[0].alpha)
    # A measurement that was gone on with is no look of its own.
    inside = reports.merge([LEAVES[0], LEAVES[3]], SUITE)
    whole = evidence.standing(inside, (inside, LEAVES[0], LEAVES[3]))
    assert whole == Standing(1, made_at=inside.alpha)
