"""What an eval shows of itself on the way: how far it is, and an interval that decides nothing."""

from dataclasses import replace

import pytest

from llmvc.cli.progress import Watch, text
from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.evals import reports, session  # noqa: F401 (the interval waits until reports are loaded)
from llmvc.evals.progress import Progress, Votes
from llmvc.evals.running import FirstScore
from tests.unit.evals.world import Fake, arms, cases, measure, suite

BARE = Progress(40, 100, 10, 0, 0.0123)
DELTA = Estimate("quality", "score", candidate=0.9, estimate=-0.012, low=-0.03, high=0.006)
ALONE = Estimate("quality", "score", candidate=0.9, arm_low=0.85, arm_high=0.95)


@pytest.mark.parametrize(
    ("now", "elapsed", "said"),
    [
        (BARE, 10.0, "40/100  3.0 calls/s  $0.0123  20 s left"),
        (BARE, 0.0, "40/100  0.0 calls/s  $0.0123"),
        (replace(BARE, done=10), 10.0, "10/100  $0.0123"),
        (replace(BARE, total=40_000), 10.0, "40/40,000  3.0 calls/s  $0.0123  3 h 42 min left"),
        (replace(BARE, failed=3), 0.03, "40/100  1,000 calls/s  $0.0123  3 failed  0 s left"),
        (replace(BARE, judging=Votes(0, 400)), 0.0,
         "0/400 votes  $0.0123 + $0.0000 judges"),
        (replace(BARE, judging=Votes(250, 400, 200), judge_usd=0.5), 10.0,
         "250/400 votes  5.0 votes/s  $0.0123 + $0.5000 judges  30 s left"),
        (replace(BARE, judge_usd=0.5), 10.0,
         "40/100  3.0 calls/s  $0.0123 + $0.5000 judges  20 s left"),
        (replace(BARE, running=DELTA), 10.0,
         "40/100  3.0 calls/s  $0.0123  20 s left  quality -0.012 [-0.030, +0.006] so far, no verdict"),
        (replace(BARE, running=ALONE), 10.0,
         "40/100  3.0 calls/s  $0.0123  20 s left  quality 0.900 [0.850, 0.950] so far, no verdict"),
        (replace(BARE, running=Estimate("quality", "score")), 10.0,
         "40/100  3.0 calls/s  $0.0123  20 s left"),
    ],
)  # fmt: skip
def test_progress_says(now, elapsed, said):
    assert text(now, elapsed) == said


def test_a_watch_speaks_no_more_often_than_it_was_told_to():
    moments = iter([0.0, 10.0, 29.0, 31.0, 45.0, 60.0, 62.0])
    shown = []
    watch = Watch(30.0, lambda text, now: shown.append(now.done), lambda: next(moments))
    for done in (1, 2, 3, 4, 5, 6):
        watch(replace(BARE, done=done))
    assert shown == [3, 6]


def test_the_rate_of_votes_is_counted_from_when_judges_began():
    moments = iter([0.0, 0.0, 10.0, 20.0, 30.0, 40.0])
    shown = []
    watch = Watch(0.0, lambda text, _: shown.append(text.split("  ")[1]), lambda: next(moments))
    for judging in (None, Votes(0, 9), Votes(6, 9, 2), None, Votes(0, 9)):
        watch(replace(BARE, judging=judging))
    assert shown[2] == "0.4 votes/s"
    assert shown[-1].startswith("$")


def test_a_check_of_a_judge_before_the_first_call_does_not_slow_the_rate_of_calls():
    moments = iter([0.0, 0.0, 90.0, 100.0, 110.0])
    shown = []
    watch = Watch(0.0, lambda text, _: shown.append(text.split("  ")[1]), lambda: next(moments))
    for done, judging in ((0, Votes(1, 9)), (0, Votes(9, 9)), (0, None), (20, None)):
        watch(replace(BARE, done=done, reused=0, judging=judging))
    assert shown[1] == "0.1 votes/s"
    assert shown[3] == "2.0 calls/s"


def test_the_running_interval_is_that_of_the_first_gating_score(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "_RUNNING_S", 0.0)
    monkeypatch.setattr(session, "_RUNNING_SHARE", 1e9)
    seen = []
    rows = cases(30)
    metrics = (
        Metric("watched", "score", ("right",), margin=0.05, gate=False),
        Metric("quality", "score", ("right",), margin=0.05),
    )
    by = suite(rows, runs=1, metrics=metrics)
    measure(arms(Fake(), baseline=True), tmp_path, rows=rows, by=by, progress=seen.append)
    told = [one.running for one in seen if one.running is not None]
    assert {one.metric for one in told} == {"quality"}
    assert [one.n for one in told] == sorted(one.n for one in told)
    assert told[0].n >= 10
    assert told[-1].n >= 29


def test_a_suite_without_a_gating_score_has_no_running_interval():
    by = suite(metrics=(Metric("cost", "cost", limit=1.1),))
    assert FirstScore(by)(()) is None
