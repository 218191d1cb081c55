"""The runner: rows, reuse, failures, limits, and being interrupted."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from llmvc.core.metric import Scorer
from llmvc.core.suite import Case
from llmvc.errors import FormatError, ProviderError
from llmvc.evals import runner
from llmvc.evals.plan import Arm
from llmvc.evals.providers.base import Answer, failed
from tests.unit.evals.world import Clock, Fake, arms, bundle, cases, measure, right, suite


def runs_of(result, arm="candidate"):
    return [run for case in result.cases for run in getattr(case, arm)]


def test_every_case_has_its_runs_on_both_arms_in_order(tmp_path):
    fake = Fake()
    rows = (*cases(3)[::-1], Case("zz", {"question": "?"}, "yes", group="g"))
    result = measure(arms(fake, baseline=True), tmp_path, rows=rows)
    assert [case.id for case in result.cases] == ["c000", "c001", "c002", "zz"]
    assert [case.group for case in result.cases] == [None, None, None, "g"]
    for case in result.cases:
        assert [run.run for run in case.candidate] == [run.run for run in case.baseline] == [0, 1]
        assert {run.scores["right"] for run in (*case.candidate, *case.baseline)} == {1.0}
    assert (result.called, result.reused, result.stopped, result.cost_usd) == (16, 0, None, 0.0)
    assert len(set(fake.asked)) == len(fake.asked) == 16
    assert fake.closed == 1
    run = runs_of(result)[0]
    assert (run.latency_s, run.input_tokens, run.output_tokens, run.cost_usd) == (0.5, 10, 2, 0.0)


def test_a_second_eval_makes_no_call_and_gives_the_same_rows(tmp_path):
    fake = Fake()
    first = measure(arms(fake, baseline=True), tmp_path)
    again = measure(arms(fake, baseline=True), tmp_path)
    assert (again.called, again.reused) == (0, 12)
    assert len(fake.asked) == 12
    assert again.cases == first.cases
    assert again.providers == first.providers


def test_fresh_makes_every_call_again_and_the_new_runs_count_from_then_on(tmp_path):
    clock = Clock()
    first = measure(arms(Fake()), tmp_path, now=clock)
    clock.pass_(seconds=1)
    second = measure(arms(Fake()), tmp_path, now=clock, fresh=True)
    assert (second.called, second.reused) == (6, 0)
    ids = {run.run_id for run in runs_of(first)}
    assert ids.isdisjoint(run.run_id for run in runs_of(second))
    assert measure(arms(Fake()), tmp_path, now=clock).cases == second.cases


def test_a_baseline_older_than_the_suite_allows_is_measured_again_beside_the_candidate(tmp_path):
    clock, fake = Clock(), Fake()
    some = arms(fake, baseline=True)
    measure(some, tmp_path, now=clock)
    clock.pass_(hours=24)
    assert measure(some, tmp_path, now=clock).called == 0
    clock.pass_(seconds=1)
    late = measure(some, tmp_path, now=clock)
    assert (late.called, late.reused) == (12, 0)
    assert fake.by_bundle == {some[0].bundle.digest: 12, some[1].bundle.digest: 12}


def test_old_runs_of_the_candidate_count_beside_a_baseline_that_is_as_old_as_allowed(tmp_path):
    clock, fake = Clock(), Fake()
    some = arms(fake, baseline=True)
    measure(some[:1], tmp_path, now=clock)
    clock.pass_(hours=20)
    measure(some, tmp_path, now=clock)
    clock.pass_(hours=20)
    assert measure(some, tmp_path, now=clock).called == 0


def test_a_baseline_of_another_fingerprint_than_the_candidates_now_is_measured_again(tmp_path):
    def reply(fingerprint):
        return lambda call: replace(right(call), fingerprint=fingerprint)

    measure([Arm("candidate", bundle("old"), Fake(reply("fp_1")))], tmp_path)
    same = measure(arms(Fake(reply("fp_1")), baseline=True), tmp_path / "." / "")
    assert (same.called, same.reused) == (6, 6)
    fresh = [Arm("candidate", bundle("newer"), Fake(reply("fp_2")))]
    both = [*fresh, Arm("baseline", bundle("old"), fresh[0].provider)]
    moved = measure(both, tmp_path)
    assert (moved.called, moved.reused) == (12, 0)
    assert {(seen["arm"], seen["fingerprint"]) for seen in moved.providers} == {
        ("candidate", "fp_2"),
        ("baseline", "fp_2"),
    }


def test_a_baseline_of_another_fingerprint_than_the_candidates_cached_runs_is_measured_again(
    tmp_path,
):
    measure(
        [Arm("candidate", bundle("old"), Fake(lambda c: replace(right(c), fingerprint="fp_1")))],
        tmp_path,
    )
    new = Fake(lambda c: replace(right(c), fingerprint="fp_2"))
    measure([Arm("candidate", bundle("new"), new)], tmp_path)
    assert measure(arms(new, baseline=True), tmp_path).called == 6


def test_a_baseline_on_another_connection_is_judged_by_its_age_alone(tmp_path):
    old = Fake(lambda c: replace(right(c), model="other"), name="elsewhere")
    measure([Arm("candidate", bundle("old"), old)], tmp_path)
    both = [Arm("candidate", bundle("new"), Fake()), Arm("baseline", bundle("old"), old)]
    assert measure(both, tmp_path).reused == 6


def test_a_failing_probe_drops_nothing(tmp_path):
    measure([Arm("candidate", bundle("old"), Fake())], tmp_path)
    broken = Fake(lambda _: failed("HTTP 500", "provider"))
    result = measure(arms(broken, baseline=True), tmp_path)
    assert (result.reused, result.called) == (6, 6)


def test_an_application_with_loose_edits_is_never_reused(tmp_path):
    provider = Fake()
    provider.mode = "app"
    for dirty, called in ((True, 6), (True, 6), (False, 6), (False, 0)):
        application = {"commit": "a" * 40, "dirty": dirty}
        result = measure([Arm("candidate", bundle(), provider, application=application)], tmp_path)
        assert (result.called, result.application) == (called, application)


def test_the_application_finds_the_bundle_and_its_texts_in_its_snapshot(tmp_path):
    def reply(call):
        texts = {
            path.name: path.read_bytes() for path in call.snapshot.rglob("*") if path.is_file()
        }
        assert texts == {"bundle.json": call.bundle.data, "faq.md": b"ask"}
        assert call.request == {}
        return right(call)

    provider = Fake(reply)
    provider.mode = "app"
    result = measure(
        [Arm("candidate", bundle(), provider, assets={"docs/faq.md": "ask"})], tmp_path
    )
    assert result.called == 6


def test_a_provider_failure_is_a_row_without_score_that_the_next_eval_tries_again(tmp_path):
    broken = [True]

    def reply(call):
        if broken[0] and call.case.id == "c001":
            return failed("HTTP 503:\n  over\tloaded", "provider", 0.1)
        return right(call)

    first = measure(arms(Fake(reply)), tmp_path)
    rows = {case.id: case.candidate for case in first.cases}
    assert [run.error for run in rows["c001"]] == ["provider: HTTP 503: over loaded"] * 2
    assert [run.run_id for run in rows["c001"]] == [None, None]
    assert rows["c001"][0].scores == {"right": None}
    broken[0] = False
    second = measure(arms(Fake(reply)), tmp_path)
    assert (second.called, second.reused) == (2, 4)
    assert all(run.run_id for run in runs_of(second))


def test_an_application_failure_is_an_outcome_that_scores_0_and_is_not_cached(tmp_path):
    def reply(call):
        return failed("KeyError: 'x'", "application") if call.run == 1 else right(call)

    first = measure(arms(Fake(reply)), tmp_path)
    crashed = [run for run in runs_of(first) if run.run == 1]
    assert {run.error for run in crashed} == {"application: KeyError: 'x'"}
    assert all(run.run_id and run.scores == {"right": 0.0} for run in crashed)
    again = measure(arms(Fake()), tmp_path)
    assert (again.called, again.reused) == (3, 3)


@pytest.mark.parametrize("fault", ["provider", "application"])
def test_a_bundle_that_never_works_ends_the_eval(tmp_path, fault):
    fake = Fake(lambda _: failed("HTTP 400: unknown field", fault))
    with pytest.raises(
        ProviderError, match="20 calls of the candidate in a row failed, the last one: HTTP 400"
    ):
        measure(arms(fake), tmp_path, rows=cases(100))
    assert len(fake.asked) < 30


def test_a_candidate_that_works_does_not_hide_a_baseline_that_never_does(tmp_path):
    old = bundle("old").digest
    fake = Fake(lambda c: failed("KeyError", "application") if c.bundle.digest == old else right(c))
    with pytest.raises(ProviderError, match="20 calls of the baseline in a row failed"):
        measure(arms(fake, baseline=True), tmp_path, rows=cases(100))


def test_a_candidate_that_never_works_beside_a_baseline_that_does_is_measured(tmp_path):
    old = bundle("old").digest
    fake = Fake(lambda c: right(c) if c.bundle.digest == old else failed("KeyError", "application"))
    result = measure(arms(fake, baseline=True), tmp_path, rows=cases(30))
    assert {run.scores["right"] for case in result.cases for run in case.candidate} == {0.0}


def test_a_scorer_that_cannot_tell_leaves_a_run_with_an_id_and_a_reason(tmp_path):
    (tmp_path / "mine.py").write_text("def score(output, case, answer): raise ValueError('hm')\n")
    rows = cases()
    by = suite(rows, scorers=(Scorer("mine", "python", {"path": "mine.py"}),))
    result = measure(arms(Fake()), tmp_path, rows=rows, by=by, folder=tmp_path)
    run = runs_of(result)[0]
    assert run.scores == {"mine": None}
    assert run.error == "scorer mine: ValueError: hm"
    assert run.run_id is not None


def test_bad_scorer_options_cost_no_call(tmp_path):
    fake = Fake()
    with pytest.raises(FormatError, match="scorer right, case c000"):
        measure(arms(fake), tmp_path, rows=(Case("c000", {"question": "?"}),))
    assert fake.asked == []


def test_what_no_call_can_mend_stops_the_eval_and_keeps_finished_runs(tmp_path):
    def reply(call):
        if len(fake.asked) == 4:
            raise ProviderError("HTTP 401")
        return right(call)

    fake = Fake(reply)
    with pytest.raises(ProviderError, match="HTTP 401"):
        measure(arms(fake), tmp_path, limits=runner.Limits(concurrency=1))
    assert fake.closed == 1
    assert measure(arms(Fake()), tmp_path).reused == 3


def test_an_application_may_fail_often_once_it_has_worked(tmp_path):
    fake = Fake(lambda call: failed("x", "application") if len(fake.asked) > 5 else right(call))
    assert measure(arms(fake), tmp_path, rows=cases(50)).called == 100


@pytest.mark.parametrize(
    ("expect", "fine"),
    [
        ({"system_fingerprint": "fp_1"}, True),
        ({"model": "m-2"}, False),
        ({"model": None}, True),
        ({}, True),
    ],
)
def test_a_bundle_may_expect_who_answers(tmp_path, expect, fine):
    model = {"provider": "fake", "id": "m", "expect": expect}
    some = [
        Arm("candidate", bundle(model=model), Fake(lambda c: replace(right(c), fingerprint="fp_1")))
    ]
    if fine:
        assert measure(some, tmp_path).called == 6
    else:
        with pytest.raises(
            ProviderError, match="answered by model 'm-1', its bundle expects 'm-2'"
        ):
            measure(some, tmp_path)


def test_progress_counts_every_run_once(tmp_path):
    seen = []
    measure(arms(Fake()), tmp_path, rows=cases()[:1], by=suite())
    measure(arms(Fake(lambda _: failed("x", "provider"))), tmp_path, progress=seen.append)
    assert [step.done for step in seen] == list(range(1, 7))
    assert {step.total for step in seen} == {6}
    assert seen[-1].reused == 2
    assert seen[-1].failed == 4


class Waiting(Fake):
    """Takes its time, and knows how many calls were under way at once."""

    def __init__(self, seconds=0.0):
        super().__init__()
        self.seconds, self.now, self.most = seconds, 0, 0

    async def answer(self, call):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds)
        self.now -= 1
        return await super().answer(call)


def test_the_end_of_an_eval_does_not_spell_out_its_rows(tmp_path):
    # asyncio takes the repr of a finished task, with that of its result.
    result = measure(arms(Fake()), tmp_path)
    assert "c000" not in repr(result)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_concurrency_is_bounded(tmp_path, concurrency):
    waiting = Waiting()
    measure(arms(waiting), tmp_path, rows=cases(10), limits=runner.Limits(concurrency=concurrency))
    assert waiting.most == concurrency


def test_the_time_allowed_ends_calls_under_way(tmp_path):
    waiting = Waiting(30)
    result = measure(arms(waiting), tmp_path, limits=runner.Limits(max_seconds=0.05))
    assert result.stopped == "the 0.05 seconds allowed are over"
    assert {run.error for run in runs_of(result)} == {"not run: the 0.05 seconds allowed are over"}
    assert waiting.closed == 1


def test_the_time_allowed_also_ends_calls_that_never_wait(tmp_path):
    def slow(call):
        time.sleep(0.001)
        return right(call)

    rows = cases(400)
    result = measure(arms(Fake(slow)), tmp_path, rows=rows, limits=runner.Limits(max_seconds=0.2))
    assert result.stopped
    assert 0 < result.called < 800
    assert len(runs_of(result)) == 800


def test_what_users_code_prints_does_not_reach_standard_output(tmp_path, capsys):
    def noisy(call):
        print("debug")
        return right(call)

    measure(arms(Fake(noisy)), tmp_path)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("debug") == 6


CHILD = """
import sys, time
from pathlib import Path
from tests.unit.evals.world import Fake, arms, cases, measure, right
from llmvc.evals import runner

def reply(call):
    if len(fake.asked) > 30:
        print("ready", flush=True)
        time.sleep(0.02)
    return right(call)

fake = Fake(reply)
try:
    measure(arms(fake), Path(sys.argv[1]), rows=cases(100), limits=runner.Limits(concurrency=1))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_eval_that_is_interrupted_goes_on_where_it_stopped(tmp_path, how):
    root = Path(__file__).parents[3]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert child.stderr.readline() == b"ready\n"
    child.send_signal(how)
    child.stderr.read()
    child.stderr.close()
    assert child.wait(30) == (130 if how == signal.SIGINT else -signal.SIGKILL)
    result = measure(arms(Fake()), tmp_path, rows=cases(100))
    assert 29 <= result.reused < 200
    assert result.called == 200 - result.reused
    assert all(run.scores == {"right": 1.0} for run in runs_of(result))


def test_a_result_lists_who_answered_which_arm(tmp_path):
    result = measure(arms(Fake(), baseline=True), tmp_path)
    assert json.loads(json.dumps(result.providers)) == [
        {
            "arm": arm,
            "provider": "fake",
            "kind": "python",
            "model": "m-1",
            "fingerprint": None,
            "calls": 6,
        }
        for arm in ("baseline", "candidate")
    ]


def test_an_answer_without_model_is_listed_under_the_model_that_was_asked_for(tmp_path):
    silent = Fake(lambda call: Answer(output=str(call.case.expected)))
    assert measure(arms(silent), tmp_path).providers[0]["model"] == "m-1"
