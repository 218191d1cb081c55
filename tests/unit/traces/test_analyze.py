"""The verdict on a canary's step: what passes, what fails, what cannot be told, what is broken."""

import json
from dataclasses import replace

import pytest

from llmvc.core.analysis import Analysis
from llmvc.core.canary import Budget, Guardrail
from llmvc.runtime.events import Log
from llmvc.traces.analyze import Asked, analyze, waits
from tests.support.traffic import BASELINE, START, Traffic, release

LATENCY = Guardrail("latency", limit=1.2, at=0.9)
COST = Guardrail("cost", limit=1.2)


@pytest.fixture
def traffic(tmp_path):
    return Traffic(tmp_path / "events.jsonl")


def judge(traffic, of=None, look=1, **asked):
    of = of or release()
    return analyze(
        traffic.sums(of), of, BASELINE, Asked(look, "2026-11-20T13:00:00Z", "ada", "t", **asked)
    )


def broken(found):
    return [name for name, one in found.checks.items() if one.broken]


def test_an_unchanged_candidate_passes_with_enough_units(traffic):
    found = judge(traffic.units(1600, errors=0.02))
    assert (found.verdict, found.invalid) == ("pass", ())
    (errors,) = found.guardrails
    assert errors.high < 0.05
    assert Analysis.from_bytes(found.to_bytes()) == found


def test_a_candidate_with_more_errors_fails(traffic):
    found = judge(traffic.units(1600, errors={"baseline": 0.02, "canary": 0.2}))
    assert found.verdict == "fail"
    assert found.guardrails[0].low > 0
    assert found.reason.startswith("errors: ")


def test_few_units_cannot_tell_and_say_how_many_would(traffic):
    found = judge(traffic.units(500, errors=0.08))
    assert found.verdict == "inconclusive"
    assert "more units in the canary" in found.settle


def test_no_data_is_inconclusive(traffic):
    traffic.log().heartbeat({})
    found = judge(traffic)
    assert (found.verdict, found.first) == ("inconclusive", None)
    assert "0 units in the canary" in found.reason


def test_events_of_earlier_releases_are_said_not_to_count(traffic):
    traffic.units(20)
    found = judge(traffic, replace(release(), seq=2, time="2026-11-20T12:59:00Z"))
    assert found.verdict == "inconclusive"
    assert "0 units in the canary and 0 in the baseline: 50 each are needed" in found.reason
    assert "none of 60 lines is an event of release 2, and earlier ones do not" in found.reason


def test_a_step_is_not_passed_before_its_time_and_fails_before_it(traffic):
    long = release(min_seconds=3600)
    assert judge(traffic.units(1600, errors=0.02), long).verdict == "inconclusive"
    traffic.units(1600, errors={"baseline": 0.0, "canary": 0.5}, name="late")
    assert judge(traffic, long).verdict == "fail"


def test_a_clock_that_is_ahead_makes_no_step_last_longer(traffic):
    long = release(min_seconds=7200)
    traffic.units(1600, errors=0.02)
    traffic.now = START + 1_000_000
    traffic.units(1, name="ahead")
    found = judge(traffic, long)
    assert found.verdict == "inconclusive"
    assert "cover 3,600 s" in found.reason


def test_a_look_beyond_the_plan_is_inconclusive(traffic):
    found = judge(traffic.units(1600, errors=0.02), release(looks=3), look=4)
    assert found.verdict == "inconclusive"
    assert "3 looks" in found.reason


def test_a_look_is_due_by_units_and_time_alone(traffic):
    of, sums = release(looks=4, min_seconds=1200), traffic.units(400).sums()
    asked = Asked(2, "2026-11-20T13:00:00Z", "", "", units=80)
    assert waits(of.canary, sums, 99, asked) == "100 units in the canary, 99 are there"
    assert waits(of.canary, sums, 100, asked) is None
    assert waits(of.canary, sums, 100, replace(asked, look=3)).startswith("900 s of events")
    assert waits(of.canary, sums, 1, replace(asked, units=None)) is None


def test_what_is_not_due_is_not_acted_on(traffic):
    bad = traffic.units(1600, errors={"baseline": 0.0, "canary": 0.5})
    found = judge(bad, units=10_000)
    assert found.verdict == "inconclusive"
    assert "not due" in found.reason


def test_early_planned_looks_need_much_stronger_evidence(traffic):
    traffic.units(1600, errors={"baseline": 0.02, "canary": 0.06})
    widths = [
        judge(traffic, release(test="spending", looks=5), look=look).guardrails[0]
        for look in (1, 3, 5)
    ]
    assert widths[0].low is None or widths[0].low < widths[1].low
    assert widths[1].low < widths[2].low


def test_all_guardrails_must_pass_and_one_fails_the_canary(traffic):
    traffic.units(1600, errors={"baseline": 0.02, "canary": 0.2})
    found = judge(traffic, release(Guardrail("errors", margin=0.05), COST, LATENCY))
    verdicts = {one.name: one.verdict for one in found.guardrails}
    assert verdicts["errors"] == "fail"
    assert verdicts["cost"] == "pass"
    assert found.verdict == "fail"


def test_a_metric_that_nobody_logged_is_inconclusive_with_its_reason(traffic):
    found = judge(traffic.units(1600), release(Guardrail("negative", margin=0.1)))
    assert found.verdict == "inconclusive"
    assert "0 of the 20 units needed" in found.guardrails[0].reason


def test_a_budget_that_is_overspent_fails(traffic):
    of = release()
    of = replace(of, canary=replace(of.canary, budget=Budget(max_usd_per_unit=0.0001)))
    found = judge(traffic.units(800), of)
    assert found.verdict == "fail"
    assert "its budget is $0.0001" in found.reason


def _lose(traffic, keep):
    lines = traffic.path.read_text("utf-8").splitlines()
    kept = [line for line in lines if keep(json.loads(line))]
    traffic.path.write_text("".join(f"{line}\n" for line in kept))


def _ratio(traffic):
    traffic.units(1600)
    _lose(traffic, lambda one: one["llmvc.arm"] != "canary" or one["llmvc.unit_hash"] < "8")


def _exposure(traffic):
    traffic.units(1600)
    traffic.units(40, name="ghost", assigned=False)


def _answers(traffic):
    traffic.units(1600)
    _lose(
        traffic,
        lambda one: (
            one["event"] != "call" or one["llmvc.arm"] != "canary" or one["llmvc.unit_hash"] < "c"
        ),
    )


def _lost(traffic):
    traffic.units(800)
    traffic.log().heartbeat({"support/canary": 1})
    _lose(traffic, lambda one: one["event"] != "call" or one["llmvc.unit_hash"] < "f")


def _keys(traffic):
    traffic.units(800)
    traffic.logs["w2"] = Log(traffic.path, key=b"z" * 16, clock=lambda: traffic.now)
    traffic.units(800, process="w2")
    for log in traffic.logs.values():
        log.heartbeat({"support/canary": 1})


def _mixed(traffic):
    traffic.units(800)
    for number in range(20):
        of = traffic.assignment(f"user-{number}")
        other = "baseline" if of.arm == "canary" else "canary"
        traffic.log().assign(traffic.assignment(f"user-{number}", other, pinned=True))


def _stale(traffic):
    traffic.units(800)
    traffic.salt, traffic.seq, traffic.now = None, 4, START + 500
    for number in range(20):
        traffic.log("old").assign(traffic.assignment(f"user-{number}", "baseline"))


def _unknown(traffic):
    traffic.units(800)
    traffic.versions = (BASELINE, "b3:" + "9" * 64)
    traffic.log().assign(traffic.assignment("u", "canary"))


def _broken(traffic):
    traffic.units(200)
    with traffic.path.open("a") as log:
        log.write("no event\n" * 20)


def _prices(traffic):
    traffic.units(800)
    traffic.units(800, name="later", table="b3:" + "2" * 64)


def _judge(traffic):
    for number in range(200):
        told = traffic.log().assign(traffic.assignment(f"u{number}"))
        traffic.log().feedback(told, negative=False, judge="b3:" + "12"[number % 2] * 64)


def _models(traffic):
    traffic.units(800, seconds=7200)
    traffic.units(800, name="later", seconds=7200, model="gpt-5-2")


BROKEN = {
    "sample_ratio": _ratio,
    "exposure": _exposure,
    "answers": _answers,
    "lost": _lost,
    "keys": _keys,
    "mixed": _mixed,
    "stale": _stale,
    "unknown": _unknown,
    "broken": _broken,
    "prices": _prices,
    "judge": _judge,
    "models": _models,
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_measurement_is_invalid_and_says_why(traffic, what):
    BROKEN[what](traffic)
    found = judge(traffic, release(COST, Guardrail("negative", margin=0.1)))
    assert what in broken(found)
    assert found.verdict == "invalid"
    assert found.checks[what].says in found.reason


def test_invalid_beats_a_fail(traffic):
    traffic.units(1600, errors={"baseline": 0.0, "canary": 0.5})
    assert judge(traffic).verdict == "fail"
    traffic.units(40, name="ghost", assigned=False)
    assert judge(traffic).verdict == "invalid"


def test_the_chi_square_test_watches_the_ratio_at_planned_looks(traffic):
    _ratio(traffic)
    found = judge(traffic, release(test="spending"))
    assert "sample_ratio" in broken(found)
    assert found.checks["sample_ratio"].value < 0.001


def test_sound_traffic_breaks_no_check(traffic):
    traffic.units(1200, errors=0.02, process="w1")
    traffic.units(400, errors=0.02, name="more", process="w2")
    for log in traffic.logs.values():
        log.heartbeat({"support/canary": 1})
    found = judge(traffic, release(COST, Guardrail("errors", margin=0.05)))
    assert broken(found) == []
    assert (found.checks["lost"].value, found.checks["keys"].value) == (0, 1)
