"""`canary run`: one tick, again and again, and two at once."""

import json
import subprocess
import sys

import pytest

from llmvc.app.canary import analysing
from llmvc.store.repository import Repository
from tests.cli.conftest import worse
from tests.support.build import environ
from tests.support.canary import PLAN, WITH_CANARY, analysis, judged, kinds, store

LOGS = ("--logs", "events-*.jsonl")


@pytest.fixture
def says(monkeypatch):
    """Lets every analysis that a tick asks for say what is wanted."""

    def let(*verdicts):
        rest = list(verdicts)

        def analyze(ws, where, **_):
            release = where.place.tip.release
            known = len(ws.repo.versions.about(release.digest))
            found = analysis(release, rest.pop(0), look=known + 1)
            store(ws.repo, found)
            return found

        monkeypatch.setattr(analysing, "analyze", analyze)

    return let


def test_ticks_take_a_canary_to_its_last_step_and_promote_only_if_told_to(opened, cli, says):
    says("pass", "pass", "pass")
    first = cli.json("canary", "run", *LOGS)
    assert (first["act"], [item["release"]["kind"] for item in first["moved"]]) == (
        "step",
        ["step"],
    )
    held = cli.json("canary", "run", *LOGS)
    assert (held["act"], held["moved"]) == ("hold", [])
    assert "llmvc canary promote" in held["why"]
    done = cli.json("canary", "run", *LOGS, "--promote")
    assert [item["release"]["kind"] for item in done["moved"]] == ["promote", "close"]
    assert cli.json("canary", "run", *LOGS)["act"] == "none"
    assert kinds(cli) == ["start", "step", "close"]
    assert cli.json("fsck")["problems"] == []


ANSWERS = {"fail": (1, "abort"), "invalid": (3, "pause")}


@pytest.mark.parametrize("verdict", ANSWERS)
def test_a_tick_ends_or_pauses_what_went_wrong_and_says_why(opened, cli, says, verdict):
    says(verdict)
    code, kind = ANSWERS[verdict]
    done = cli.json("canary", "run", *LOGS, code=code)
    assert done["act"] == kind
    newest = cli.json("log", "@canary")["releases"][0]
    assert newest["kind"] == kind
    assert f"it says {verdict}" in newest["reason"]
    assert newest["report"] == done["analysis"]["digest"]
    assert cli.json("fsck")["problems"] == []


def test_a_tick_without_enough_data_holds_until_the_looks_are_used_up(opened, cli, says):
    says(*["inconclusive"] * 4)
    for _ in range(4):
        assert cli.json("canary", "run", *LOGS)["act"] == "hold"
    assert kinds(cli) == ["start"]


def test_a_broken_measurement_uses_up_no_look(ready, cli, says):
    strict = PLAN.replace("looks: 3", "looks: 2, on_invalid: hold, on_inconclusive: abort")
    strict = strict.replace(", on", "\n      on")
    ready.write(".llmvc/config.yaml", WITH_CANARY.replace(PLAN, strict))
    cli("canary", "start", "support")
    says("invalid", "inconclusive", "inconclusive")
    acts = [cli.json("canary", "run", *LOGS, code=code)["act"] for code in (3, 0, 3)]
    assert acts == ["hold", "hold", "abort"]


def test_a_tick_that_holds_names_no_way_on_that_is_barred(opened, cli, says):
    judged(opened.root, "fail")
    cli("canary", "pause")
    says("pass")
    held = cli.json("canary", "run", *LOGS)
    assert held["act"] == "hold"
    assert "of release 1 of support/canary says fail" in held["why"]


def test_a_paused_canary_waits_for_a_person_and_is_still_aborted_on_a_fail(opened, cli, says):
    cli("canary", "pause")
    says("pass", "fail")
    held = cli.json("canary", "run", *LOGS)
    assert (held["act"], held["why"]) == ("hold", "paused: llmvc canary step goes on")
    assert cli.json("canary", "run", *LOGS, code=1)["act"] == "abort"
    assert kinds(cli) == ["start", "pause", "abort"]


def test_a_tick_that_holds_on_a_broken_measurement_does_not_end_as_if_all_were_well(
    opened, cli, says
):
    cli("canary", "pause")
    says("invalid", "inconclusive")
    assert cli.json("canary", "run", *LOGS, code=3)["act"] == "hold"
    cli("canary", "run", *LOGS)


def test_a_tick_of_a_void_canary_analyses_nothing(opened, cli, says):
    says()
    worse(opened, cli, "Another wording.")
    cli("override", "support", "prod", "--reason", "hotfix")
    before = opened.refs()
    assert cli.json("canary", "run", *LOGS, code=3)["act"] == "void"
    assert opened.refs() == before


def test_a_tick_finishes_a_promote_that_was_killed(opened, cli, says, monkeypatch):
    from llmvc.app.canary import moving

    says("pass", "pass")
    cli("canary", "run", *LOGS)
    with monkeypatch.context() as killed:
        killed.setattr(moving, "_move", lambda *_, **__: 1 / 0)
        cli("canary", "run", *LOGS, "--promote", code=70)
    assert cli.json("canary", "run", *LOGS)["act"] == "hold"
    assert cli.json("canary", "run", *LOGS, "--promote")["act"] == "promote"
    assert kinds(cli) == ["start", "step", "close"]


def test_a_tick_whose_canary_was_moved_meanwhile_does_nothing(opened, cli, monkeypatch):
    def analyze(ws, where, **_):
        found = analysis(where.place.tip.release)
        store(ws.repo, found)
        cli("canary", "abort", "--reason", "by somebody else")
        return found

    monkeypatch.setattr(analysing, "analyze", analyze)
    refused = cli("canary", "run", *LOGS, code=5)
    assert "moved meanwhile" in refused.err
    assert "release 2, abort to b3:" in refused.err
    assert "the step to b3:" in refused.err
    assert kinds(cli) == ["start", "abort"]


def test_no_log_is_no_pass(opened, cli):
    refused = cli("canary", "run", "--logs", "nothing-*.jsonl", code=4)
    assert "nothing-" in refused.err
    assert kinds(cli) == ["start"]


# Loads everything first, so that the operators start each round together.
OPERATOR = """
import contextlib, io, json, sys
from llmvc.cli.main import run
import llmvc.cli.commands.canary.step, llmvc.cli.commands.canary.abort, llmvc.store.packs
print("ready", flush=True)
for line in sys.stdin:
    told = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
        code = run(json.loads(line))
    print(json.dumps([code, told.getvalue()]), flush=True)
"""


@pytest.fixture
def operators():
    made = [
        subprocess.Popen(
            [sys.executable, "-c", OPERATOR],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ(PYTHONPATH=":".join(filter(None, sys.path))),
        )
        for _ in range(2)
    ]
    for one in made:
        assert one.stdout.readline() == "ready\n"
    yield made
    for one in made:
        one.stdin.close()
        one.wait(timeout=30)
        one.stdout.close()


def at_once(root, operators, *commands):
    for one, command in zip(operators, commands, strict=True):
        one.stdin.write(json.dumps(["-C", str(root), "canary", *command]) + "\n")
    for one in operators:
        one.stdin.flush()
    return [json.loads(one.stdout.readline()) for one in operators]


@pytest.mark.race
@pytest.mark.parametrize(
    "second", [("step", "--actor", "Ben"), ("abort", "--reason", "odd", "--actor", "Ben")]
)
def test_of_two_operators_at_once_one_wins_and_the_other_is_told_who(ready, cli, operators, second):
    many = PLAN.replace("[5%, 25%]", "[1%, 2%, 3%, 4%, 5%, 6%, 7%, 8%]")
    ready.write(".llmvc/config.yaml", WITH_CANARY.replace(PLAN, many))
    cli("canary", "start", "support")
    for _ in range(4):
        before = kinds(cli)
        judged(ready.root)
        ended = at_once(ready.root, operators, ("step", "--actor", "Ada"), second)
        after = kinds(cli)
        lost = [told for code, told in ended if code]
        for code, told in ended:
            # Who comes late finds the next release, which has no evidence, or no open canary.
            assert code in (0, 3, 4, 5), told
            assert code != 5 or "was moved meanwhile" in told or "lock" in told
        assert len(after) - len(before) == 2 - len(lost)
        if after[-1] == "abort":
            cli("canary", "start", "support", "--again", "--reason", "once more")
    assert cli.json("fsck")["problems"] == []
    with Repository.open(ready.root) as repo:
        repo.chain("support", "canary").releases()
