"""`canary analyze` and `canary plan`: from logs to a stored verdict, and what to expect before."""

import json

import pytest

from llmvc.core.times import milliseconds
from llmvc.store.repository import Repository
from tests.support.cli import validator
from tests.support.traffic import Traffic

PLAN = """\
      steps: [25%, 50%]
      min_units: 50
      min_duration: 0s
      looks: 3
      guardrails: [{metric: errors, margin: 0.05}, {metric: tokens, limit: 1.5}]
"""


@pytest.fixture
def traffic(ready, cli):
    """A log for the canary that is open in the repository."""
    config = (ready.root / ".llmvc/config.yaml").read_text("utf-8")
    head, _, rest = config.partition("      steps:")
    ready.write(".llmvc/config.yaml", head + PLAN + "providers:" + rest.partition("providers:")[2])
    ready.save("another plan")
    cli("canary", "start", "support", "canary")
    return _of(ready)


def _of(ready):
    with Repository.open(ready.root) as repo:
        release = repo.chain("support", "canary").tip().release
        served = repo.chain("support", "prod").tip().release
    return Traffic(
        ready.root.parent / "events.jsonl",
        now=milliseconds(release.time) / 1000 + 1,
        salt=release.canary.salt,
        seq=release.seq,
        versions=(served.to, release.to),
        share_ppm=release.canary.share_ppm,
    )


def analyze(cli, traffic, *options, code=0):
    return cli.json("canary", "analyze", "--logs", f"{traffic.path}*", *options, code=code)


def test_a_pass_is_stored_and_lets_the_canary_step(traffic, cli):
    traffic.units(1600, errors=0.02)
    found = analyze(cli, traffic)
    assert (found["verdict"], found["look"]) == ("pass", 1)
    stored = cli.json("show", found["digest"])["value"]
    assert {**found, "llmvc": "analysis/1"} == {**stored, "digest": found["digest"]}
    assert cli.json("fsck")["problems"] == []
    stepped = cli.json("canary", "step")
    assert stepped["release"]["report"] == found["digest"]
    assert analyze(cli, traffic, code=3)["arms"]["canary"]["units"] == 0


def test_the_same_data_are_one_look_and_new_data_the_next_once_it_is_due(traffic, cli):
    traffic.units(400, errors=0.2)
    first = analyze(cli, traffic, code=3)
    assert analyze(cli, traffic, code=3) == first
    traffic.units(40, name="few", errors=0.2)
    early = analyze(cli, traffic, code=3)
    assert "not due" in early["reason"]
    traffic.units(400, name="many", errors=0.2)
    assert analyze(cli, traffic, code=None)["look"] == 2
    cli("canary", "analyze", "--logs", str(traffic.path), "--look", "1", code=2)


def test_a_fail_exits_one_and_stops_the_step(traffic, cli):
    traffic.units(1600, errors={"baseline": 0.0, "canary": 0.4})
    done = cli("canary", "analyze", "--logs", str(traffic.path), code=1)
    assert "fail: errors: 0.00% -> 4" in done.out
    cli("canary", "step", code=1)
    assert cli.json("canary", "run", "--logs", str(traffic.path), code=1)["act"] == "abort"


def test_a_broken_measurement_is_stored_once_and_is_no_look(traffic, cli):
    traffic.units(800)
    traffic.units(100, name="ghost", assigned=False)
    first = analyze(cli, traffic, code=3)
    assert (first["verdict"], first["checks"]["exposure"]["broken"]) == ("invalid", True)
    traffic.units(300, name="more")
    again = cli("canary", "analyze", "--logs", str(traffic.path), code=3)
    assert "not stored, and nothing may rest on it: so was the last one" in again.err
    assert analyze(cli, traffic, code=3)["arms"] != first["arms"]


def test_sums_of_two_nodes_are_judged_as_their_logs_would_be(traffic, cli, tmp_path):
    traffic.units(800, errors=0.02)
    other = Traffic(**{**vars(traffic), "path": tmp_path / "other.jsonl", "logs": {}})
    other.units(800, name="other", errors=0.02)
    sums = str(tmp_path / "sums.json")
    cli("canary", "analyze", "--logs", str(other.path), "--sum-to", sums)
    apart = analyze(cli, traffic, "--sums", sums)
    assert apart == analyze(cli, traffic, "--logs", str(other.path))


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 2, "there is nothing to analyse"),
        (("--logs", "none*.jsonl"), 4, "no event log matches"),
        (("--sums", "none.json"), 4, "cannot read none.json"),
        (("--sums", ".llmvc/config.yaml"), 4, "not a sums/1"),
        (("--logs", "x", "--sum-to", "y", "--look", "1"), 2, "--sum-to judges nothing"),
    ],
    ids=range(5),
)
def test_what_cannot_be_analysed_is_refused(traffic, cli, options, code, message):
    assert message in cli("canary", "analyze", *options, code=code).err


def test_nothing_is_analysed_where_no_canary_is_open(ready, cli):
    assert "no canary" in cli("canary", "analyze", "--logs", "x", code=4).err


def test_every_check_is_shown_to_whoever_asks(traffic, cli):
    traffic.units(400)
    done = cli("-v", "canary", "analyze", "--logs", str(traffic.path), code=None)
    assert "Bayes factor" in done.err
    assert "broken        0 of 1,200 lines are no events" in done.err


def test_a_plan_tells_units_days_and_what_only_a_shadow_answers(traffic, cli):
    rate = ("--baseline-rate", "errors=0.02", "--baseline-rate", "tokens=0.5")
    found = cli.json("canary", "plan", "--traffic", "20000", *rate)
    step = found["steps"][0]
    assert (step["share_ppm"], step["too_long"]) == (250_000, False)
    errors = step["rows"][0]
    assert errors["days"] == pytest.approx(errors["units"] / 5000)
    assert errors["shown"] < 0.06
    slow = cli("canary", "plan", "--traffic", "10", *rate, code=3)
    assert "only a shadow can answer in time" in slow.out


def test_a_plan_says_what_it_does_not_know(traffic, cli):
    refused = cli("canary", "plan", "--traffic", "1000", code=3)
    assert "nothing is known of what support@prod does: errors, tokens" in refused.err
    assert (refused.out, "--baseline-rate 'errors=…'" in refused.err) == ("", True)
    done = cli("canary", "plan", "--traffic", "1000", "--baseline-rate", "errors=0.02", code=3)
    assert "nothing is known of tokens" in done.err
    assert "cannot be told" in done.out


def test_a_plan_that_no_number_of_units_carries_out_is_left_to_a_shadow(traffic, cli):
    config = traffic.path.parent / "repo/.llmvc/config.yaml"
    config.write_text(config.read_text("utf-8").replace("margin: 0.05", "margin: 0.000001"))
    rates = ("--baseline-rate", "errors=0.5", "--baseline-rate", "tokens=0.5")
    done = cli("canary", "plan", "--traffic", "1000", *rates, code=3)
    assert "over 10,000,000,000" in done.out
    assert "only a shadow can answer in time: 25%, 50%" in done.out


def test_a_plan_reads_rates_out_of_logs_of_what_prod_serves(traffic, cli):
    traffic.salt, traffic.seq, traffic.share_ppm = None, 1, 0
    traffic.units(400, errors=0.1)
    found = cli.json("canary", "plan", "--traffic", "1000", "--logs", str(traffic.path))
    assert found["missing"] == []
    assert found["rates"]["errors"] == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize(
    "rate", ["errors", "errors=x", "errors=nan", "errors=1.5", "cost=1", "tokens=-1"]
)
def test_a_rate_that_is_none_is_refused(traffic, cli, rate):
    assert (
        "--baseline-rate"
        in cli("canary", "plan", "--traffic", "9", "--baseline-rate", rate, code=2).err
    )


def test_logs_are_checked_line_by_line_and_by_what_was_released(traffic, cli):
    traffic.units(5)
    good = cli.json("logs", "validate", str(traffic.path))
    assert (good["broken"], good["unknown"]) == (0, {})
    traffic.versions = ("b3:" + "9" * 64, "b3:" + "9" * 64)
    traffic.log().assign(traffic.assignment("u"))
    with traffic.path.open("a") as log:
        log.write('{"llmvc": "event/1"}\nno json\n[]\n{"half')
    done = cli("logs", "validate", str(traffic.path), code=4)
    assert f"{traffic.path}:17: event is missing" in done.out
    assert f"{traffic.path}:18: no JSON object\n" in done.out
    assert "support b3:999999999999: 1 event of a version that was never released here" in done.out
    assert f"{traffic.path}:20: half-written" in done.err
    found = cli.json("logs", "validate", str(traffic.path), code=4)
    assert found["broken"] == 3


def test_a_log_that_is_there_twice_is_told(traffic, cli, tmp_path):
    traffic.units(2)
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(traffic.path.read_bytes())
    done = cli("logs", "validate", str(copy), str(traffic.path), code=4)
    assert done.out == f"{traffic.path}:1: a copy of {copy} begins\n"


def test_what_an_analysis_does_not_take_is_told(traffic, cli):
    traffic.now *= 1000
    traffic.log().assign(traffic.assignment("u"))
    assert "time must be at most" in cli("logs", "validate", str(traffic.path), code=4).out


def test_logs_are_checked_outside_of_a_repository_too(tmp_path, monkeypatch, cli):
    Traffic(tmp_path / "e.jsonl").units(3)
    monkeypatch.chdir(tmp_path)
    found = cli.json("logs", "validate", "e.jsonl")
    assert (found["unknown"], found["events"]) == (None, {"assign": 3, "call": 6})
    for line in (tmp_path / "e.jsonl").read_text("utf-8").splitlines():
        validator("urn:llmvc:schema:event:1").validate(json.loads(line))
