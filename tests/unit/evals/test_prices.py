"""Prices and budgets: what a run cost, and what must not be started."""

import asyncio
import json
from dataclasses import replace

import pytest

from llmvc.core import canon
from llmvc.errors import ConfigError, FormatError, ProviderError, UsageError
from llmvc.evals import budget, plan, runner
from llmvc.evals.budget import Budget
from llmvc.evals.plan import Arm
from llmvc.evals.prices import SHIPPED, Prices
from llmvc.evals.providers.base import Answer
from llmvc.evals.runs import RunCache
from tests.unit.evals.world import Clock, Fake, bundle, cases, measure, suite

USAGE = Answer(output="a0", input_tokens=1000, output_tokens=100, cached_tokens=400)
MINE = {
    "cheap": {
        "litellm_provider": "fake",
        "input_cost_per_token": 1e-3,
        "output_cost_per_token": 1e-2,
    },
    "fake/cached": {
        "input_cost_per_token": 1e-3,
        "output_cost_per_token": 1e-2,
        "cache_read_input_token_cost": 1e-4,
    },
    "fake/zero": {"input_cost_per_token": 0, "output_cost_per_token": 0},
    "fake/own": {"input_cost_per_token": 0, "output_cost_per_token": 0, "self_hosted": True},
    "sample_spec": {"input_cost_per_token": 0.0, "mode": "one of: chat, embedding"},
}


@pytest.fixture
def prices(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(MINE))
    return Prices.load(path)


def test_the_shipped_table_is_dated_and_free_only_where_it_says_self_hosted():
    table = json.loads(SHIPPED.read_text())
    prices = Prices.load()
    assert prices.date == table["date"]
    assert len(prices.models) >= 12
    for name, entry in table["models"].items():
        assert entry["source_date"] <= table["date"]
        found = prices.find(*name.split("/", 1))
        assert found.free == bool(entry.get("self_hosted")), name
    assert prices.find("local", "smollm2-135m-instruct-q4_1").of(1000, 1000) == 0


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [("fake", "cheap", 2.0), ("fake", "cached", 0.6 + 0.04 + 1.0), ("fake", "own", 0.0)],
)
def test_cost_of_a_usage(prices, provider, model, usd):
    assert prices.find(provider, model).cost(USAGE) == pytest.approx(usd)


@pytest.mark.parametrize(
    ("provider", "model"),
    [("fake", "nothing"), ("other", "cheap"), ("fake", "zero"), ("fake", "sample_spec"), ("", "")],
)
def test_a_price_that_is_not_known_is_none_and_never_zero(prices, provider, model):
    assert prices.find(provider, model) is None


def test_a_model_tells_its_names_with_a_date():
    listed = Prices.load()
    assert listed.dated("openai", "gpt-4o") == (
        "gpt-4o-2024-05-13", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20",
    )  # fmt: skip
    assert listed.dated("anthropic", "claude-opus-5-5") == ()
    assert listed.dated("openai", "gpt-9") is None
    bare = {"own": {"litellm_provider": "us"}, "own-20270101": {"litellm_provider": "us"}}
    assert Prices(bare, "").dated("us", "own") == ("own-20270101",)
    assert Prices(bare, "").dated("them", "own") is None


def test_the_most_exact_name_counts_first(prices):
    assert prices.find("fake", "cached", "cheap") == prices.find("fake", "cached")
    assert prices.find("fake", "gone", "cheap") == prices.find("fake", "cheap")


WRITES = {
    "input_cost_per_token": 1e-3,
    "output_cost_per_token": 1e-2,
    "cache_read_input_token_cost": 1e-4,
    "cache_creation_input_token_cost": 2e-3,
}


@pytest.mark.parametrize(
    ("tokens", "usd"),
    [
        ((1000, 100), 1.0 + 1.0),
        ((1000, 100, 400), 0.6 + 0.04 + 1.0),
        ((1000, 100, 0, 500), 0.5 + 1.0 + 1.0),
        ((1000, 100, 400, 500), 0.1 + 0.04 + 1.0 + 1.0),
        ((1000, 0, 900, 500), 0.09 + 0.2),
        ((1000, 0, 4000, 500), 0.1),
    ],
)
def test_what_the_cache_gave_and_took_has_prices_of_its_own(tokens, usd):
    price = Prices({"fake/writes": WRITES}, "").find("fake", "writes")
    assert price.of(*tokens) == pytest.approx(usd)
    names = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens")
    answer = Answer(output="x", **dict(zip(names, tokens, strict=False)))
    assert price.cost(answer) == pytest.approx(usd)


def test_reasoning_is_part_of_the_output_and_is_not_paid_twice(prices):
    thought = Answer(output="x", input_tokens=0, output_tokens=100, reasoning_tokens=90)
    assert prices.find("fake", "cheap").cost(thought) == pytest.approx(1.0)


def test_cache_tokens_cost_as_much_as_others_where_the_table_lists_no_price(prices):
    assert prices.find("fake", "cheap").of(1000, 0, 400, 500) == pytest.approx(1.0)


def test_the_calls_of_an_application_pay_for_the_cache_too():
    call = {"input_tokens": 1000, "output_tokens": 0, "cached_tokens": 400}
    used = {**call, "cache_write_tokens": 500}
    answer = Answer(output="x", calls=({"model": "writes", "usage": used},))
    assert Prices({"fake/writes": WRITES}, "").of_calls("fake", answer) == pytest.approx(1.14)


def test_anthropics_own_usage_counts_the_cache_apart_from_the_input():
    usage = {
        "input_tokens": 100,
        "output_tokens": 0,
        "cache_read_input_tokens": 400,
        "cache_creation_input_tokens": 500,
    }
    answer = Answer(output="x", calls=({"model": "writes", "usage": usage},))
    assert Prices({"fake/writes": WRITES}, "").of_calls("fake", answer) == pytest.approx(1.14)


def test_the_table_knows_windows_too():
    prices = Prices.load()
    assert prices.window("openai", "gpt-4o") == 128_000
    assert prices.window("openai", "gone", "gpt-4o") == 128_000
    for entry in ({}, {"max_input_tokens": 0}, {"max_input_tokens": "8k"}):
        assert Prices({"fake/m": entry}, "").window("fake", "m") is None
    assert prices.window("openai", "no-such-model") is None


def test_usage_that_was_not_reported_has_no_cost(prices):
    assert prices.find("fake", "cheap").cost(Answer(output="x", input_tokens=3)) is None


def test_own_prices_replace_shipped_ones_and_change_the_digest(tmp_path):
    path = tmp_path / "p.json"
    entry = {"input_cost_per_token": 1, "output_cost_per_token": 1}
    path.write_text(json.dumps({"date": "2099-01-01", "models": {"openai/gpt-4o": entry}}))
    own = Prices.load(path)
    assert own.find("openai", "gpt-4o").of(1, 1) == 2
    assert own.find("openai", "gpt-4o-mini") == Prices.load().find("openai", "gpt-4o-mini")
    assert own.describe()["date"] == "2099-01-01"
    assert own.digest != Prices.load().digest == Prices.load().digest


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('{"models": []}', "models is not an object"),
        ('{"m": {"input_cost_per_token": "1e-6"}}', "m has input_cost_per_token"),
        ('{"m": {"output_cost_per_token": -1}}', "m has output_cost_per_token"),
        ('{"m": {"cache_read_input_token_cost": -1}}', "m has cache_read_input_token_cost"),
        ('{"m": {"cache_creation_input_token_cost": "x"}}', "m has cache_creation"),
        ('{"m": {"output_cost_per_token": NaN}}', "not JSON|NaN"),
    ],
)
def test_a_bad_price_table_is_refused(tmp_path, content, complaint):
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(FormatError, match=complaint):
        Prices.load(path)


def test_a_price_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.json"):
        Prices.load(tmp_path / "gone.json")


def paid(model, reply=None, kind="openai", **changes):
    provider = Fake(reply or (lambda _: USAGE))
    provider.kind, provider.self_hosted = kind, False
    members = {
        "model": {"provider": "fake", "id": model},
        "decoding": {"max_output_tokens": 100},
        **changes,
    }
    return [Arm("candidate", bundle(**members), provider)]


def test_an_unknown_price_is_an_error_before_the_first_call(tmp_path, prices):
    some = paid("nothing")
    with pytest.raises(
        ProviderError, match="no price is known for the calls of candidate, fake/nothing"
    ):
        measure(some, tmp_path, prices=prices)
    assert some[0].provider.asked == []
    result = measure(some, tmp_path, prices=prices, limits=runner.Limits(allow_unpriced=True))
    assert {run.cost_usd for case in result.cases for run in case.candidate} == {None}
    assert result.prices is None


@pytest.mark.parametrize(("kind", "asked"), [("openai", 0), ("command", 1)])
def test_a_limit_that_could_not_hold_is_refused(tmp_path, prices, kind, asked):
    some = paid("nothing", kind=kind)
    limits = runner.Limits(concurrency=1, allow_unpriced=True, max_usd=1.0)
    with pytest.raises(UsageError, match="--max-usd cannot hold: no price is known") as caught:
        measure(some, tmp_path, prices=prices, limits=limits)
    assert caught.value.hint.endswith("or leave out --max-usd")
    assert len(some[0].provider.asked) == asked
    told = paid("nothing", lambda _: replace(USAGE, cost_usd=0.01), kind="command")
    assert measure(told, tmp_path / "told", prices=prices, limits=limits).stopped is None


def test_several_choices_cannot_be_priced_because_servers_count_one(tmp_path, prices):
    with pytest.raises(ProviderError, match="no price is known"):
        measure(paid("cheap", decoding={"n": 2}), tmp_path, prices=prices)
    assert measure(paid("own", decoding={"n": 2}), tmp_path, prices=prices).cost_usd == 0


def test_a_commands_usage_of_unknown_price_stops_at_the_first_answer(tmp_path, prices):
    with pytest.raises(ProviderError, match="no price is known"):
        measure(paid("nothing", kind="command"), tmp_path, prices=prices)
    silent = paid("nothing", lambda _: Answer(output="x"), kind="command")
    assert measure(silent, tmp_path / "2", prices=prices).cases[0].candidate[0].cost_usd is None


@pytest.mark.parametrize(
    ("answer", "usd"),
    [
        (Answer(output="x", cost_usd=0.5, input_tokens=1, output_tokens=1), 0.5),
        (
            Answer(
                output="x",
                calls=({"model": "cheap", "usage": {"input_tokens": 10, "output_tokens": 1}},) * 2,
            ),
            0.04,
        ),
        (
            Answer(output="x", calls=({"model": "cheap", "input_tokens": 10, "output_tokens": 1},)),
            0.02,
        ),
        (
            Answer(output="x", calls=({"model": "gone", "input_tokens": 10, "output_tokens": 1},)),
            None,
        ),
        (Answer(output="x", calls=({"model": "cheap", "input_tokens": 10},)), None),
        (Answer(output="x", calls=("text",)), None),
    ],
)
def test_an_application_says_its_cost_itself_or_by_its_calls(prices, answer, usd):
    (arm,) = paid("cheap", kind="python")
    found = budget.cost_of(arm, answer, budget.price_of(arm, prices), prices)
    assert found == (usd if usd is None else pytest.approx(usd))


def test_the_report_names_the_table_only_if_a_cost_rests_on_it(tmp_path, prices):
    assert measure(paid("cheap"), tmp_path, prices=prices).prices == prices.describe()
    stated = paid("cheap", lambda _: Answer(output="x", cost_usd=0.1))
    assert measure(stated, tmp_path / "2", prices=prices).prices is None


def estimated(some, folder, prices, **limits):
    with RunCache(folder / "runs") as cache:
        whole = plan.make(some, cases(), suite())
        most = runner.Limits(**limits)
        return runner.prepare(whole, suite(), cache, most, prices=prices, now=Clock()).expected


def test_the_estimate_counts_calls_and_bounds_their_cost(tmp_path, prices):
    some = paid("cheap")
    before = estimated(some, tmp_path, prices)
    assert (before.total, before.cached, before.calls) == (6, 0, 6)
    size = len(
        str([{"role": "system", "content": "Which team?"}, {"role": "user", "content": "q0"}])
    )
    assert before.usd == pytest.approx(6 * (-(-size // 3) * 1e-3 + 100 * 1e-2), rel=0.01)
    assert some[0].provider.asked == []
    measure(some, tmp_path, prices=prices, rows=cases()[:2], by=suite())
    after = estimated(some, tmp_path, prices)
    assert (after.cached, after.calls) == (4, 2)
    assert after.usd == pytest.approx(2 * 2.0)


def test_an_estimate_over_the_limit_is_refused_before_the_first_call(tmp_path, prices):
    some = paid("cheap")
    with pytest.raises(
        ConfigError, match=r"6 calls would cost about \$6\.\d\d, over the limit of \$1\.00"
    ):
        measure(some, tmp_path, prices=prices, limits=runner.Limits(max_usd=1))
    assert some[0].provider.asked == []


def test_spending_more_than_estimated_stops_the_eval_and_keeps_every_row(tmp_path, prices):
    some = paid("cheap", decoding={"max_output_tokens": 1})
    limits = runner.Limits(concurrency=1, max_usd=4.5)
    result = measure(some, tmp_path, prices=prices, limits=limits)
    assert result.stopped == "$4.00 of $4.50 are spent"
    assert (result.called, result.cost_usd) == (2, 4.0)
    rows = [run for case in result.cases for run in case.candidate]
    assert len(rows) == 6
    missing = [run for run in rows if run.run_id is None]
    assert len(missing) == 6 - result.called > 0
    assert {run.error for run in missing} == {f"not run: {result.stopped}"}
    assert {run.scores["right"] for run in missing} == {None}
    rest = measure(some, tmp_path, prices=prices)
    assert (rest.reused, rest.called, rest.stopped) == (result.called, 6 - result.called, None)


def test_calls_under_way_that_were_promised_too_little_count_at_what_calls_cost(tmp_path, prices):
    class Waits(Fake):
        async def answer(self, call):
            await asyncio.sleep(0)
            return await super().answer(call)

    (arm,) = paid("cheap", decoding={"max_output_tokens": 1})
    arm.provider.__class__ = Waits
    rows = cases(20)
    limits = runner.Limits(concurrency=4, max_usd=13.0)  # a call costs $2.00
    result = measure([arm], tmp_path, prices=prices, limits=limits, rows=rows, by=suite(rows))
    assert (result.called, result.cost_usd) == (6, 12.0)


def test_a_budget_sets_aside_what_is_under_way():
    money = Budget(1.0)
    assert money.admit(0.6) is None
    assert money.admit(0.6) == "$0.00 of $1.00 are spent, 1 call under way"
    money.settle(0.6, 0.1)
    assert money.admit(0.6) is None
    assert money.share(0.05) == pytest.approx(0.1)
    money.settle(0.6, None)
    assert money.spent == pytest.approx(0.7)
    assert Budget(None).admit(1e9) is None


def test_a_budget_counts_the_calls_that_start_together():
    money = Budget(10.0)
    assert money.admit(0.3, calls=3) is None
    money.settle(0.1, 2.0)
    assert money.admit(2.0, calls=1) is None  # 2 are spent, 2 calls are under way: 4 more
    assert money.admit(3.0) == "$2.00 of $10.00 are spent, 3 calls under way"


def test_prices_have_a_canonical_form():
    assert canon.encode(dict(Prices.load().models))
