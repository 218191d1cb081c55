"""Eight processes at one environment: one winner a round, no fork, no lost release."""

import json
import subprocess
import sys

import pytest

from tests.support.build import environ
from tests.support.canary import WITH_CANARY, judged

RACERS = 8

# Loads everything first, so that the racers start each round together.
RACER = """
import contextlib, io, json, sys
from llmvc.cli.main import run
import llmvc.app.measuring, llmvc.cli.commands.override, llmvc.cli.commands.promote
import llmvc.files.manifest, llmvc.files.suite, llmvc.store.packs
print("ready", flush=True)
for line in sys.stdin:
    told = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
        code = run(json.loads(line))
    print(json.dumps([code, told.getvalue()]), flush=True)
"""


@pytest.fixture(scope="module")
def garage():
    """Holds the racers between tests and ends them after the last."""
    started = []
    yield started
    for racer in started:
        racer.stdin.close()
        racer.wait(timeout=30)
        racer.stdout.close()


@pytest.fixture
def racers(garage):
    """Eight warm processes, started by the first test that needs them, in its environment."""
    if not garage:
        garage += [
            subprocess.Popen(
                [sys.executable, "-c", RACER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environ(PYTHONPATH=":".join(filter(None, sys.path))),
            )
            for _ in range(RACERS)
        ]
        for racer in garage:
            assert racer.stdout.readline() == "ready\n"
    return garage


def race(repo, racers, commands):
    """Runs one command in each racer at once; returns exit codes and what was said."""
    for racer, command in zip(racers, commands, strict=True):
        racer.stdin.write(json.dumps(["-C", str(repo.root), *command]) + "\n")
    for racer in racers:
        racer.stdin.flush()
    return [json.loads(racer.stdout.readline()) for racer in racers]


def seqs(cli):
    return [item["seq"] for item in cli.json("log", "@prod")["releases"]]


def check_losers(ended):
    """Demands that everybody else was told who won, and what to do."""
    for code, told in ended:
        if code == 5:
            assert "support/prod was moved meanwhile" in told or "lock" in told
            assert "->" in told


def versions(repo, cli, *, measured):
    """Commits one version a racer and returns their digests."""
    made = []
    for number in range(RACERS):
        repo.prompt(f"Wording number {chr(ord('a') + number)}.")
        made.append(cli.json("commit", "-m", f"racer {number}")["digest"])
        if measured:
            cli("eval")
    return made


@pytest.mark.race
def test_of_eight_candidates_that_passed_one_is_promoted(repo, cli, racers):
    wanted = versions(repo, cli, measured=True)
    commands = [["promote", f"support@{digest}", "prod"] for digest in wanted]
    ended = race(repo, racers, commands)
    check_losers(ended)
    # Who comes late finds evidence against what is no longer served, which counts for nothing.
    assert {code for code, _ in ended} <= {0, 3, 5}, ended
    served = [digest for (code, _), digest in zip(ended, wanted, strict=True) if code == 0]
    assert served == [cli.digest("support@prod")]
    assert seqs(cli) == [2, 1]
    late = race(repo, racers, commands)
    assert sorted(code for code, _ in late) == [0] + [3] * (RACERS - 1)
    assert served == [cli.digest("support@prod")]
    assert cli.json("fsck")["problems"] == []


@pytest.mark.race
def test_round_after_round_no_release_is_lost_and_the_chain_has_no_fork(repo, cli, racers):
    wanted = versions(repo, cli, measured=False)
    for _ in range(4):
        before, served = seqs(cli), cli.digest("support@prod")
        commands = [["override", f"support@{to}", "prod", "--reason", "race"] for to in wanted]
        ended = race(repo, racers, commands)
        check_losers(ended)
        assert {code for code, _ in ended} <= {0, 5}, ended
        won = {to for (code, _), to in zip(ended, wanted, strict=True) if code == 0} - {served}
        made = len(seqs(cli)) - len(before)
        assert made >= 1
        newest = cli.json("log", "@prod", "-n", str(made))["releases"]
        assert {item["to"] for item in newest} - {served} <= won
        assert seqs(cli) == [*range(before[0] + made, before[0], -1), *before]
    assert cli.json("fsck")["problems"] == []


@pytest.mark.race
def test_eight_processes_racing_one_promote_write_one_release(ready, cli, racers):
    ended = race(ready, racers, [["promote", "support", "prod"]] * RACERS)
    check_losers(ended)
    assert {code for code, _ in ended} <= {0, 5}
    assert seqs(cli) == [2, 1]
    assert cli.digest("support@prod") == cli.digest()


@pytest.mark.race
def test_eight_commits_at_once_are_all_kept(repo, cli, racers):
    repo.prompt("Say the number again.")
    commands = [["commit", "-m", f"{n}", "--actor", f"R{n} <r@x>"] for n in range(RACERS)]
    ended = race(repo, racers, commands)
    assert {code for code, _ in ended} == {0}, ended
    made = {item["author"] for item in cli.json("log")["versions"]} - {"Ada <ada@example.org>"}
    said = [told for _, told in ended]
    assert len(made) == sum("nothing changed" not in told for told in said)
    assert cli.json("fsck")["problems"] == []


@pytest.mark.race
def test_of_eight_rollbacks_at_once_nobody_goes_forward_and_who_lost_is_told(repo, cli, racers):
    for wording in "abcd":
        repo.prompt(f"Wording {wording}.")
        cli("commit", "-m", wording)
        cli("override", "support", "prod", "--reason", "race")
    before = [item["to"] for item in cli.json("log", "@prod")["releases"]]
    ended = race(repo, racers, [["rollback", "prod", "--actor", f"R{n}"] for n in range(RACERS)])
    check_losers(ended)
    # Who looks after the winner goes further back, and has nothing left to go to at last.
    assert {code for code, _ in ended} <= {0, 4, 5}, ended
    made = [item for item in cli.json("log", "@prod")["releases"] if item["kind"] == "rollback"]
    assert len(made) == [code for code, _ in ended].count(0) >= 1
    assert [item["to"] for item in reversed(made)] == before[1 : len(made) + 1]
    assert cli.json("fsck")["problems"] == []


@pytest.mark.race
def test_a_rollback_against_the_promote_of_a_canary_leaves_one_story(ready, cli, racers):
    good, candidate = cli.digest("support@prod"), cli.digest()
    ready.write(".llmvc/config.yaml", WITH_CANARY)
    ready.prompt("Worse.")
    cli("commit", "-m", "worse")
    for to in (cli.digest(), good):
        cli("override", f"support@{to}", "prod", "--reason", "race")
    cli("canary", "start", f"support@{candidate}", "canary")
    judged(ready.root)
    cli("canary", "step")
    judged(ready.root)
    commands = [["canary", "promote"], ["rollback", "support", "prod"]]
    ended = race(ready, racers[:2], commands)
    assert ended[0][0] in (0, 3, 5), ended
    assert ended[1][0] in (0, 5), ended
    assert [code for code, _ in ended].count(0) >= 1
    served = [item["kind"] for item in cli.json("log", "@prod")["releases"]]
    closed = cli.json("log", "@canary")["releases"][0]["kind"] == "close"
    assert ("promote" in served[:-1]) == closed == (ended[0][0] == 0)
    assert ("rollback" in served) == (ended[1][0] == 0)
    assert cli.json("fsck")["problems"] == []
    if not closed:
        cli("canary", "abort", "--reason", "prod moved")
