"""The judged scorers of a suite: whom they ask about which outputs, and what the rows get."""

import asyncio
from pathlib import Path

import pytest

from llmvc.core.metric import Metric, Scorer
from llmvc.errors import ConfigError, FormatError, ProviderError
from llmvc.evals.budget import Limits
from llmvc.evals.judging.calls import Forecast
from llmvc.evals.judging.grading import Grading, Output
from llmvc.evals.judging.judge import Judge
from llmvc.evals.prices import Prices
from llmvc.evals.progress import RunResult, Votes
from llmvc.evals.providers.base import Answer, failed
from llmvc.evals.runs import RunCache
from tests.unit.evals.judges import judge, judge_bundle, kind, longer, speaking
from tests.unit.evals.world import Clock, Fake, arms, cases, measure, suite

CASES = cases(3)


class KilledError(Exception):
    """Stands for the end of the process."""


PRICED = Prices({"fake/j-1": {"input_cost_per_token": 0.01, "output_cost_per_token": 0.0}}, "")


def scorer(some: Judge, name: str = "tone", **changes: object) -> Scorer:
    return Scorer(name, "judge", {"judge": some.bundle.digest}, **changes)


def output(text: str | Answer, arm: str = "candidate", at: int = 0, run: int = 0) -> Output:
    return Output(arm, CASES[at], run, text if isinstance(text, Answer) else Answer(output=text))


def grading(
    store: Path, *judges: Judge, limits: Limits | None = None, **options: object
) -> Grading:
    scorers = options.pop("scorers", None) or tuple(
        scorer(some, f"s{at}") for at, some in enumerate(judges)
    )
    return Grading(
        suite(CASES, scorers=(*scorers, Scorer("right", "equals", {}))),
        {some.bundle.digest: some for some in judges},
        RunCache(store / "runs"),
        prices=options.pop("prices", None) or Prices.load(),
        now=options.pop("now", None) or Clock(),
        limits=limits or Limits(concurrency=2),
        **options,
    )


def run(made: Grading, *outputs: Output) -> dict[tuple[str, int], dict[str, float | None]]:
    graded = asyncio.run(made.grade(outputs))
    return {(place[0], place[2]): dict(one.scores) for place, one in graded.items()}


def test_only_judged_scorers_are_graded(tmp_path):
    made = grading(tmp_path, judge())
    assert made.names == {"s0"}
    assert run(made, output("kind"), output("rude", "baseline")) == {
        ("candidate", 0): {"s0": 1.0},
        ("baseline", 0): {"s0": 0.0},
    }


def test_two_judges_grade_apart_and_a_negated_scorer_is_turned_round(tmp_path):
    first, second = judge(), judge(lambda *_: "good", rubric="Is it there?")
    made = grading(
        tmp_path,
        first,
        second,
        scorers=(scorer(first, "a"), scorer(second, "b"), scorer(first, "not a", negate=True)),
    )
    assert run(made, output("rude")) == {("candidate", 0): {"a": 0.0, "b": 1.0, "not a": 1.0}}
    assert len(first.provider.asked) == 1


def test_a_judge_sees_the_variables_and_what_is_expected(tmp_path):
    seen: list[str] = []

    def say(_texts: list[str], call: object) -> str:
        seen.append(call.request["messages"][-1]["content"].partition("<<<")[0])
        return "good"

    run(
        grading(tmp_path, judge(say, text="{{question}} {{expected}} {{output}} {{rubric}}")),
        output("x"),
    )
    assert seen == ["q0 a0 "]


def test_a_failed_application_scores_0_and_a_failed_provider_nothing_without_a_call(tmp_path):
    some = judge()
    graded = asyncio.run(
        grading(tmp_path, some).grade(
            [output(failed("x", "application")), output(failed("x", "provider"), run=1)]
        )
    )
    assert [one.scores["s0"] for one in graded.values()] == [0.0, None]
    assert [one.error for one in graded.values()] == [None, None]
    assert some.provider.asked == []


def test_a_failing_judge_leaves_a_score_out_and_says_why(tmp_path):
    made = grading(tmp_path, judge(lambda *_: failed("timed out", "provider")))
    graded = asyncio.run(made.grade([output("x")]))
    (one,) = graded.values()
    assert (one.scores, one.error) == ({"s0": None}, "scorer s0: judge tone: timed out")
    assert made.stopped is None


def pairwise(say=longer, **section: object) -> Judge:
    return judge(say, protocol="pairwise-swap", **section)


def test_a_comparison_gives_both_arms_scores_that_add_up_to_1(tmp_path):
    made = grading(tmp_path, pairwise())
    found = run(made, output("long one"), output("short", "baseline"))
    assert found == {("candidate", 0): {"s0": 1.0}, ("baseline", 0): {"s0": 0.0}}
    assert made.facts()[pairwise().bundle.digest]["flips"] == 0


def test_each_run_is_compared_with_the_baselines_run_of_that_number(tmp_path):
    outputs = [
        output("long one"),
        output("x", run=1),
        output("longer", "baseline", run=1),
        output("short", "baseline"),
    ]
    found = run(grading(tmp_path, pairwise()), *outputs)
    assert [found["candidate", number]["s0"] for number in (0, 1)] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("candidate", "baseline", "scores"),
    [
        ("same", "same", (0.5, 0.5)),
        (failed("x", "application"), "text", (0.0, 1.0)),
        ("text", failed("x", "application"), (1.0, 0.0)),
        (failed("x", "application"), failed("x", "application"), (0.0, 0.0)),
        (failed("x", "provider"), "text", (None, None)),
        ("text", failed("x", "provider"), (None, None)),
    ],
)
def test_what_needs_no_comparison_costs_no_call(candidate, baseline, scores, tmp_path):
    some = pairwise()
    found = run(grading(tmp_path, some), output(candidate), output(baseline, "baseline"))
    assert (found["candidate", 0]["s0"], found["baseline", 0]["s0"]) == scores
    assert some.provider.asked == []


def test_without_a_baseline_nothing_is_compared(tmp_path):
    graded = asyncio.run(grading(tmp_path, pairwise()).grade([output("x")]))
    (one,) = graded.values()
    assert one.scores == {"s0": None}
    assert one.error == "scorer s0: judge tone compares two outputs, and there is no baseline"


def test_the_budget_of_judges_is_their_own_and_says_why_grades_are_missing(tmp_path):
    def reply(*_: object) -> Answer:
        return Answer(output="good", model="j-1", input_tokens=100, output_tokens=1)

    provider = speaking(reply)
    provider.self_hosted = False
    some = Judge(judge_bundle(), "tone", provider)
    limits = Limits(concurrency=1, max_usd=0.0, max_judge_usd=4.0)
    made = grading(tmp_path, some, limits=limits, prices=PRICED)
    outputs = [output(f"o{at}", run=at) for at in range(6)]
    graded = asyncio.run(made.grade(outputs))
    missing = [one.error for one in graded.values() if one.scores["s0"] is None]
    assert 0 < len(missing) < 6
    assert missing[0] == f"scorer s0: not judged: {made.stopped}"
    assert made.spent_usd == pytest.approx(6 - len(missing))
    # What was paid for is not paid for again.
    made = grading(tmp_path, some, prices=PRICED)
    asyncio.run(made.grade(outputs))
    assert made.spent_usd == pytest.approx(len(missing))
    assert made.facts()[some.bundle.digest]["usd"] == pytest.approx(6.0)


def test_what_judging_costs_is_estimated_for_all_outputs(tmp_path):
    provider = speaking(kind)
    provider.self_hosted = False
    some = Judge(judge_bundle(votes=3), "tone", provider)
    both = Judge(judge_bundle(protocol="pairwise-swap"), "pairs", provider)
    made = grading(tmp_path, some, both, prices=PRICED)
    found = made.estimate((), CASES, 12, paired=True)
    assert (found.calls, found.to_come) == (12 * 3 + 6 * 2,) * 2
    assert found.usd is not None
    assert 48 * 5 < found.usd < 48 * 15
    assert made.estimate((), CASES, 12, paired=False).calls == 36
    free = grading(tmp_path, judge())
    assert free.estimate((), CASES, 12, paired=False) == Forecast(12, 12, 0, 0.0)
    provider.kind = "openai"
    with pytest.raises(ProviderError, match="no price is known"):
        grading(tmp_path, some, prices=Prices({}, ""))
    unpriced = grading(tmp_path, some, prices=Prices({}, ""), limits=Limits(allow_unpriced=True))
    assert unpriced.estimate((), CASES, 12, paired=False) == Forecast(36, 36, 0, None)


def test_of_outputs_that_are_there_the_calls_are_known_exactly(tmp_path):
    one, both = judge(votes=3), judge(longer, protocol="pairwise-swap")
    known = [
        output("kind"),
        output("rude!", "baseline"),
        output("kind", run=1),
        output("kind", "baseline", run=1),
        output(failed("KeyError", "application"), at=1),
        output("fine", "baseline", at=1),
        output("alone", at=2),
    ]
    made = grading(tmp_path, one, both)
    # Pointwise: kind, rude!, fine, alone. Pairwise: kind beside rude!. One output is to come.
    assert made.estimate(known, CASES, 8, paired=True) == Forecast(4 * 3 + 3 + 2 + 2, 3 + 2, 0, 0.0)
    run(grading(tmp_path, one, both), *known[:2])
    told = made.estimate(known, CASES, 8, paired=True)
    assert told == Forecast(2 * 3 + 3 + 2, 3 + 2, 2 * 3 + 2, 0.0)
    run(made, *known)
    asked = len(one.provider.asked) + len(both.provider.asked)
    assert asked == 4 * 3 + 2
    assert made.estimate(known, CASES, len(known), paired=False) == Forecast(0, 0, asked, 0.0)
    assert grading(tmp_path, one, fresh=True).estimate(known, CASES, 7, paired=True).calls == 12


def test_how_far_judges_are_is_told_in_votes(tmp_path):
    one, both = judge(votes=3), judge(longer, protocol="pairwise-swap")
    pair = output("kind"), output("rude!", "baseline")
    run(grading(tmp_path, one), pair[0])
    made, seen = grading(tmp_path, one, both, limits=Limits(concurrency=1)), []
    asyncio.run(made.grade(pair, lambda: seen.append(made.votes)))
    assert seen == [Votes(0, 8), Votes(3, 8, 3), Votes(6, 8, 3), Votes(8, 8, 3)]


def test_facts_count_different_outputs_and_survive_a_second_eval(tmp_path):
    def say(texts: list[str], _call: object) -> str:
        return "hm" if texts == ["odd"] else kind(texts, _call)

    some = judge(say, votes=3)
    outputs = [
        output("kind"),
        output("kind", run=1),
        output("odd", at=1),
        output("Grade: bad", at=2),
    ]
    told = []
    for _ in range(2):
        made = grading(tmp_path, some)
        run(made, *outputs)
        told.append(made.facts()[some.bundle.digest])
    assert (
        told[0]
        == told[1]
        == {
            "identities": [["j-1", None]],
            "graded": 2,
            "flips": None,
            "flagged": 1,
            "calls": 3 + 9 + 3,
            "usd": 0.0,
        }
    )
    assert len(some.provider.asked) == 15


def test_flips_of_a_judge_are_counted(tmp_path):
    some = pairwise(lambda *_: "A")
    made = grading(tmp_path, some)
    run(
        made,
        output("a"),
        output("b", "baseline"),
        output("c", run=1),
        output("d", "baseline", run=1),
    )
    assert made.facts()[some.bundle.digest]["flips"] == 2


def test_votes_older_than_the_suite_allows_are_asked_for_again(tmp_path):
    clock, some = Clock(), judge()
    run(grading(tmp_path, some, now=clock), output("x"))
    clock.pass_(hours=23)
    run(grading(tmp_path, some, now=clock), output("x"))
    assert len(some.provider.asked) == 1
    clock.pass_(hours=2)
    run(grading(tmp_path, some, now=clock), output("x"))
    assert len(some.provider.asked) == 2


def test_a_judge_that_is_not_at_hand_is_never_replaced_by_another(tmp_path):
    some, other = judge(), judge(rubric="?")
    with pytest.raises(ConfigError, match=r"^scorer tone is judged by b3:.*, which is not at hand"):
        grading(tmp_path, other, scorers=(scorer(some),))


def test_prompts_are_tried_on_every_case_before_the_first_call(tmp_path):
    some = judge(text="{{question}} {{tone}} {{output}} {{rubric}}")
    with pytest.raises(FormatError, match=r"^judge tone, case c000: template variable 'tone' has"):
        grading(tmp_path, some).check(CASES)
    grading(tmp_path, judge(), pairwise()).check(CASES)


def test_providers_are_closed_once(tmp_path):
    provider = speaking(kind)
    judges = [Judge(judge_bundle(rubric=text), "tone", provider) for text in ("a", "b")]
    asyncio.run(grading(tmp_path, *judges).aclose())
    assert provider.closed == 1


def test_a_suite_without_judges_grades_nothing(tmp_path):
    made = grading(tmp_path)
    assert (made.names, made.facts(), made.stopped) == (frozenset(), {}, None)
    assert run(made, output("x")) == {("candidate", 0): {}}


# in an eval


def whole(store: Path, *judges: Judge, **options: object) -> RunResult:
    scorers = tuple(scorer(some, f"s{at}") for at, some in enumerate(judges))
    by = suite(
        CASES,
        scorers=(*scorers, Scorer("right", "equals", {})),
        metrics=(Metric("quality", "score", ("s0",), margin=0.05, floor=0.5),),
        judges=tuple(sorted(some.bundle.digest for some in judges)),
    )
    named = {some.bundle.digest: some for some in judges}
    return measure(arms(Fake(), baseline=True), store, rows=CASES, by=by, judges=named, **options)


def test_an_eval_in_which_half_of_the_judges_calls_time_out_ends_and_says_so(tmp_path):
    calls = 0

    def say(*_: object) -> str | Answer:
        nonlocal calls
        calls += 1
        return failed("timed out", "provider") if calls % 2 else "good"

    # The runs of a case have the same output, so that there is one grade for each case.
    result = whole(tmp_path, judge(say))
    rows = [run for case in result.cases for run in (*case.candidate, *case.baseline)]
    missing = [row.error for row in rows if row.scores["s0"] is None]
    assert result.stopped is None
    assert set(missing) == {"scorer s0: judge tone: timed out"}
    assert len(rows) == 12
    assert len(missing) == 8
    assert {row.scores["right"] for row in rows} == {1.0}


def test_a_judged_eval_that_goes_on_is_the_same_as_one_that_was_never_interrupted(tmp_path):
    left = [7]

    def say(texts: list[str], _call: object) -> str:
        left[0] -= 1
        if left[0] == 0:
            raise KilledError
        return "good" if texts[0] < texts[-1] else "tie" if len(texts) > 1 else "bad"

    some, pairs = judge(say, votes=3), pairwise(longer)
    with pytest.raises(KilledError):
        whole(tmp_path / "a", some, pairs)
    first = whole(tmp_path / "a", some, pairs)
    asked = len(some.provider.asked)
    assert asked == 3 * 3 + 1
    again = whole(tmp_path / "b", judge(say, votes=3), pairs)
    assert (first.cases, first.judges) == (again.cases, again.judges)
