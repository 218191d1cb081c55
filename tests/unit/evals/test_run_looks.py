"""Evals that may end early: which calls are made, kept and counted, and who ends them."""

import asyncio
from dataclasses import replace

import pytest

from llmvc.core.metric import Metric, Scorer
from llmvc.core.suite import Looks
from llmvc.errors import ProviderError
from llmvc.evals import plan, reports, runner
from llmvc.evals.plan import Arm
from llmvc.gate.level import Standing
from tests.unit.evals.world import Fake, arms, bundle, cases, measure, right, suite

GATED = Metric("quality", "score", ("right",), margin=0.1)
HALVES = Looks("cases", (0.5, 1.0))
ROUNDS = Looks("runs", (0.25, 0.5, 1.0))


def looked(store, looks, *, stop=None, fake=None, n=12, runs=2, baseline=True, **options):
    """Measures by planned looks and ends at the look given; returns the result and what was asked."""
    seen: list[tuple[int, int, int]] = []

    def decided(rows, look):
        seen.append((look, len(rows), len(rows[0].candidate)))
        return look == stop

    rows = cases(n)
    by = suite(rows, runs=runs, looks=looks)
    found = measure(
        arms(fake or Fake(), baseline=baseline), store, rows=rows, by=by, decided=decided, **options
    )
    return found, seen


@pytest.mark.parametrize(
    ("looks", "stop", "asked", "reached"),
    [
        (HALVES, 1, [(1, 6, 2)], (6, 2)),
        (HALVES, None, [(1, 6, 2)], (12, 2)),
        (ROUNDS, 1, [(1, 12, 1)], (12, 1)),
        (ROUNDS, 2, [(1, 12, 1), (2, 12, 2)], (12, 2)),
        (ROUNDS, None, [(1, 12, 1), (2, 12, 2)], (12, 4)),
        (Looks("any-time"), 1, [(1, 10, 2)], (10, 2)),
        (Looks(), None, [], (12, 2)),
    ],
)
def test_calls_are_made_only_for_the_looks_that_are_taken(tmp_path, looks, stop, asked, reached):
    runs = 4 if looks == ROUNDS else 2
    fake, calls = Fake(), 2 * reached[0] * reached[1]
    found, seen = looked(tmp_path, looks, stop=stop, fake=fake, runs=runs)
    assert seen == asked
    assert found.called == len(fake.asked) == len(set(fake.asked)) == calls
    assert found.saved == 12 * 2 * runs - calls
    assert (len(found.cases), len(found.cases[0].candidate)) == reached
    assert {len(arm) for case in found.cases for arm in (case.candidate, case.baseline)} == {
        reached[1]
    }
    assert found.look == (stop or found.looks)
    assert found.planned == {"cases": 12, "groups": 12, "largest": 1}
    assert found.stopped is None


@pytest.mark.parametrize("looks", [HALVES, ROUNDS], ids=["cases", "runs"])
def test_an_early_end_and_then_the_whole_pay_no_call_twice(tmp_path, looks):
    first = Fake()
    early, _ = looked(tmp_path, looks, stop=1, fake=first, runs=4)
    rest = Fake()
    whole, _ = looked(tmp_path, looks, fake=rest, runs=4)
    assert set(first.asked).isdisjoint(rest.asked)
    assert len(first.asked) + len(rest.asked) == 12 * 2 * 4
    assert (whole.reused, whole.called, whole.saved) == (len(first.asked), len(rest.asked), 0)
    by_id = {case.id: case for case in whole.cases}
    for case in early.cases:
        assert by_id[case.id].candidate[: len(case.candidate)] == case.candidate


@pytest.mark.parametrize("looks", [HALVES, ROUNDS, Looks("any-time")])
def test_runs_in_the_cache_beyond_the_look_are_not_used(tmp_path, looks):
    looked(tmp_path / "whole", looks, runs=4)
    fake = Fake()
    again, seen = looked(tmp_path / "whole", looks, stop=1, fake=fake, runs=4)
    alone, _ = looked(tmp_path / "alone", looks, stop=1, runs=4)
    assert fake.asked == []
    assert seen == [(1, len(alone.cases), len(alone.cases[0].candidate))]
    assert [case.id for case in again.cases] == [case.id for case in alone.cases]
    assert again.saved == alone.saved
    assert again.reused == alone.called
    (counted,) = {seen["calls"] for seen in again.providers}
    assert counted == again.reused // 2


def test_an_eval_that_was_interrupted_inside_a_look_goes_on_there(tmp_path):
    def reply(call):
        if len(broken.asked) == 31:
            raise ProviderError("HTTP 401")
        return right(call)

    broken = Fake(reply)
    with pytest.raises(ProviderError, match="HTTP 401"):
        looked(tmp_path, HALVES, fake=broken, limits=runner.Limits(concurrency=1))
    # 24 calls of the first look, 6 of the second, and the one that broke.
    rest = Fake()
    found, seen = looked(tmp_path, HALVES, fake=rest, limits=runner.Limits(concurrency=1))
    assert (found.reused, found.called, found.saved) == (30, 18, 0)
    assert broken.asked[30] in rest.asked
    assert set(broken.asked[:30]).isdisjoint(rest.asked)
    assert seen == [(1, 6, 2)]


def test_a_look_that_is_complete_in_the_cache_is_decided_without_a_call(tmp_path):
    looked(tmp_path, HALVES, stop=1)
    fake = Fake()
    found, _ = looked(tmp_path, HALVES, stop=1, fake=fake)
    assert fake.asked == []
    assert (found.called, found.reused, found.saved) == (0, 24, 24)


def test_who_answers_is_asked_again_at_each_look_that_needs_a_call(tmp_path):
    def reply(fingerprint):
        return lambda call: replace(right(call), fingerprint=fingerprint)

    looked(tmp_path, HALVES, fake=Fake(reply("fp_1")), baseline=False)
    # The baseline of the next candidate is known whole, and so is the first look of that candidate.
    rows = cases(12)
    by = suite(rows, looks=HALVES)

    def next_one(fingerprint, stop):
        fake = Fake(reply(fingerprint))
        some = [Arm("candidate", bundle("newest"), fake), Arm("baseline", bundle("new"), fake)]
        return measure(some, tmp_path, rows=rows, by=by, decided=lambda _, look: look == stop)

    early = next_one("fp_1", 1)
    assert (early.called, early.reused) == (12, 12)
    late = next_one("fp_2", None)
    # Look 1 stands on fp_1 in both arms; look 2 is made anew in both.
    assert (late.called, late.reused) == (24, 24)
    assert {(seen["arm"], seen["fingerprint"], seen["calls"]) for seen in late.providers} == {
        (arm, fingerprint, 12)
        for arm in ("candidate", "baseline")
        for fingerprint in ("fp_1", "fp_2")
    }


def test_time_that_is_over_inside_a_look_decides_nothing(tmp_path):
    class Slow(Fake):
        async def answer(self, call):
            if len(self.asked) >= 30:
                await asyncio.sleep(60)
            return await super().answer(call)

    fake = Slow()
    found, seen = looked(
        tmp_path, HALVES, fake=fake, limits=runner.Limits(concurrency=1, max_seconds=0.3)
    )
    assert seen == [(1, 6, 2)]
    assert found.stopped == "the 0.3 seconds allowed are over"
    assert found.look == 2
    assert len(found.cases) == 12


def wrong_from(number):
    """Answers for the new bundle wrongly from a case on."""

    def reply(call):
        bad = call.bundle.digest == bundle("new").digest and int(call.case.id[1:]) >= number
        return replace(right(call), output="wrong") if bad else right(call)

    return reply


def by_the_gate(store, rows, by, fake, **options):
    some = arms(fake, baseline=True)
    made = plan.make(some, rows, by)

    def decided(found, look):
        return reports.decided(found, by, look, has_baseline=True, plan=made, tried=1)

    return measure(some, store, rows=rows, by=by, planned=made, decided=decided, **options)


@pytest.mark.parametrize(("first_wrong", "look"), [(0, 1), (200, 1), (190, 2)])
def test_the_gate_ends_an_eval_that_is_clear_and_goes_on_with_one_that_is_not(
    tmp_path, first_wrong, look
):
    rows = cases(200)
    by = suite(rows, runs=1, looks=HALVES, metrics=(GATED,))
    found = by_the_gate(tmp_path, rows, by, Fake(wrong_from(first_wrong)))
    assert found.look == look


def test_no_pass_comes_before_every_case_that_must_pass_was_asked(tmp_path):
    metric = replace(GATED, margin=0.3, must_pass=("safety",))
    tagged = tuple(
        replace(case, tags=("safety",)) if case.id < "c040" else case for case in cases(200)
    )
    few = suite(tagged, runs=1, looks=HALVES, metrics=(metric,))
    assert by_the_gate(tmp_path / "all", tagged, few, Fake()).look == 2
    # A watched rule holds nothing up, and neither do looks by runs, which ask every case.
    watched = suite(tagged, runs=1, looks=HALVES, metrics=(
        replace(metric, must_pass=()), replace(metric, name="tone", gate=False)))  # fmt: skip
    assert by_the_gate(tmp_path / "watched", tagged, watched, Fake()).look == 1
    rounds = suite(tagged, runs=4, looks=Looks("runs", (0.5, 1.0)), metrics=(metric,))
    assert by_the_gate(tmp_path / "rounds", tagged, rounds, Fake()).look == 2
    # A break is a fail at once.
    assert by_the_gate(tmp_path / "broken", tagged, few, Fake(wrong_from(0))).look == 1


def test_an_output_that_a_scorer_cannot_read_is_not_left_out_of_the_verdict(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def score(output, case, answer):\n    return {'wrong': None}.get(output, 1.0)\n"
    )
    rows = cases(120)
    mine = Scorer("right", "python", {"path": "mine.py"})
    by = suite(rows, scorers=(mine,), metrics=(replace(GATED, margin=0.3),))

    def reply(call):
        return replace(wrong_from(0)(call), output="ok") if call.run else wrong_from(0)(call)

    found = by_the_gate(tmp_path, rows, by, Fake(reply), folder=tmp_path)
    judged = reports.judge_runs(
        found.cases, by, Standing(1), has_baseline=True, seed=1, planned=found.planned
    )
    assert judged.verdict.verdict == "inconclusive"
    assert "quality is not known for 120 runs of the candidate" in judged.verdict.reason


def test_a_pass_waits_for_the_last_look_where_a_cost_gates():
    rows = cases(60)
    quality = Metric("quality", "score", ("right",), margin=0.3)
    cost = Metric("cost", "cost", limit=1.1)
    for gate, waits in ((True, True), (False, False)):
        by = suite(rows, looks=HALVES, metrics=(quality, replace(cost, gate=gate)))
        made = plan.make(arms(Fake(), baseline=True), rows, by)
        assert reports._rules_left(by, 1, made) == waits
