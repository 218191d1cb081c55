"""Evals with judges: graded look by look, capped apart, stopped and gone on with."""

from pathlib import Path

from llmvc.core.metric import Metric, Scorer
from llmvc.core.suite import Looks
from llmvc.evals import runner
from llmvc.evals.judging.judge import Judge
from llmvc.evals.prices import Prices
from llmvc.evals.progress import Progress, RunResult, Votes
from llmvc.evals.providers.base import Answer, failed
from tests.unit.evals.judges import judge, speaking
from tests.unit.evals.world import Fake, arms, cases, measure, right, suite

ROWS = cases(12)
PRICED = Prices({"fake/j-1": {"input_cost_per_token": 0.01, "output_cost_per_token": 0.0}}, "")


def good(*_: object) -> Answer:
    return Answer(output="good", model="j-1", input_tokens=150, output_tokens=1)


def judged(store: Path, some: Judge, fake: Fake | None = None, **options: object) -> RunResult:
    by = suite(
        ROWS,
        runs=1,
        scorers=(
            Scorer("tone", "judge", {"judge": some.bundle.digest}),
            Scorer("right", "equals", {}),
        ),
        metrics=(Metric("quality", "score", ("tone",), margin=0.05, floor=0.5),),
        judges=(some.bundle.digest,),
        looks=options.pop("looks", Looks()),
    )
    return measure(
        arms(fake or Fake()), store, rows=ROWS, by=by, judges={some.bundle.digest: some}, **options
    )  # fmt: skip


def runs_of(result: RunResult):
    return [run for case in result.cases for run in case.candidate]


def test_each_look_is_graded_before_it_is_decided_and_no_output_twice(tmp_path):
    some, seen = judge(good), []

    def decided(rows, look):
        seen.append((look, [run.scores["tone"] for case in rows for run in case.candidate]))
        return False

    result = judged(tmp_path, some, looks=Looks("cases", (0.5, 1.0)), decided=decided)
    assert seen == [(1, [1.0] * 6)]
    assert [run.scores for run in runs_of(result)] == [{"tone": 1.0, "right": 1.0}] * 12
    assert len(some.provider.asked) == 12
    assert result.judges[some.bundle.digest]["calls"] == 12


def test_a_failed_application_scores_0_with_a_judge_too(tmp_path):
    def reply(call):
        return failed("KeyError", "application") if call.case.id == "c003" else right(call)

    rows = runs_of(judged(tmp_path, judge(good), Fake(reply)))
    assert [run.scores["tone"] for run in rows] == [0.0 if at == 3 else 1.0 for at in range(12)]


def paid(some: Judge) -> Judge:
    some.provider.self_hosted = False
    return some


def test_money_for_judges_stops_the_eval_and_it_goes_on_without_paying_twice(tmp_path):
    limits = runner.Limits(concurrency=1, max_usd=0.0, max_judge_usd=8.0)
    first = paid(judge(good))
    fake = Fake()
    stopped = judged(tmp_path, first, fake, limits=limits, prices=PRICED)
    assert "of $8.00 are spent" in stopped.stopped
    asked = len(first.provider.asked)
    assert 0 < asked < 12
    assert (stopped.called, stopped.cost_usd) == (12, 0.0)
    assert abs(stopped.judge_usd - 1.5 * asked) < 1e-9
    second = paid(judge(good))
    rest = judged(
        tmp_path, second, fake, limits=runner.Limits(concurrency=1), prices=PRICED
    )  # fmt: skip
    assert (rest.stopped, rest.called, rest.reused) == (None, 0, 12)
    assert len(first.provider.asked) + len(second.provider.asked) == 12
    assert len(fake.asked) == 12
    alone = judged(tmp_path / "alone", paid(judge(good)), prices=PRICED)
    assert rest.cases == alone.cases


def test_progress_tells_when_judges_are_at_work_and_what_they_cost(tmp_path):
    seen: list[Progress] = []
    # One at a time: of several, one may be paid and wait its turn when another is told of.
    limits = runner.Limits(concurrency=1)
    judged(tmp_path, paid(judge(good)), prices=PRICED, progress=seen.append, limits=limits)
    assert [one.done for one in seen if not one.judging] == list(range(1, 13))
    told = [one for one in seen if one.judging]
    assert [one.judging.done for one in told] == [*range(13), 12]
    assert told[-1].judging == Votes(12, 12, 0)
    assert [round(one.judge_usd, 9) for one in told] == [1.5 * one.judging.done for one in told]
    assert told[-1].judge_usd > 0


def test_a_judge_whose_key_is_refused_ends_the_eval_and_the_runs_are_kept(tmp_path):
    import pytest

    from llmvc.errors import ProviderError

    def refused(*_):
        raise ProviderError("HTTP 401")

    with pytest.raises(ProviderError, match="HTTP 401"):
        judged(tmp_path, Judge(judge(good).bundle, "tone", speaking(refused)))
    assert judged(tmp_path, judge(good)).reused == 12
