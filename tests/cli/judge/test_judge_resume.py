"""Commands that ask a judge, killed or stopped half-way: what is paid for is not paid for again."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.build import RepoBuilder, environ
from tests.support.cli import Cli
from tests.support.judges import ANCHORS, JUDGE, calibrate, swap

AT_ONCE = 2
"""Votes under way at once: so many are lost by a kill."""
SLOW = '''"""A judge that takes its time, and notes each vote that it is asked for."""

import os
import time
from pathlib import Path

HERE = Path(__file__).parent


def answer(request: dict) -> dict:
    """Returns a grade at the price of a real one."""
    with (HERE / "asked").open("a") as notes:
        notes.write(".")
    time.sleep(float((HERE / "pause").read_text()))
    good = "tomorrow" in request["messages"][-1]["content"]
    usage = {"input_tokens": 300, "output_tokens": 20}
    return {"output": "good" if good else "poor", "model": "slow", "usage": usage}
'''
COST = {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05}
PRICES = {"judge/stand-in-judge-1": COST, "judge/stand-in-judge-2": COST}
PRICE = 300 * 2.5e-06 + 20 * 1e-05


@pytest.fixture
def slow(repo: RepoBuilder) -> RepoBuilder:
    """A released judge that costs money and time from now on."""
    repo.write("stand_ins/judge.py", SLOW)
    repo.write("stand_ins/pause", "0")
    repo.write("prices.json", json.dumps(PRICES))
    swap(repo, ".llmvc/config.yaml", 'judge.py:answer", self_hosted: true', 'judge.py:answer"')
    swap(repo, ".llmvc/config.yaml", "providers:\n", "prices: prices.json\nproviders:\n")
    return repo


def asked(repo: RepoBuilder) -> int:
    """Returns how many votes were asked for so far."""
    notes = repo.root / "stand_ins/asked"
    return len(notes.read_text()) if notes.exists() else 0


def killed(repo: RepoBuilder, after: int, *words: str) -> None:
    """Runs a command as a process of its own and kills it once it asked for more votes."""
    repo.write("stand_ins/pause", "0.02")
    start = asked(repo)
    env = environ(PYTHONPATH=":".join(filter(None, sys.path)))
    command = [sys.executable, "-m", "llmvc", *words, "--concurrency", str(AT_ONCE)]
    with subprocess.Popen(
        command, cwd=repo.root, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        while asked(repo) < start + after:
            assert child.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        os.kill(child.pid, signal.SIGKILL)
    repo.write("stand_ins/pause", "0")


def test_a_killed_calibration_or_check_pays_no_vote_twice(slow, cli):
    anchors = len((slow.root / ANCHORS).read_text().splitlines())
    words = ("judge", "calibrate", "helpful-judge", "--anchors", ANCHORS)
    killed(slow, anchors + 20, *words)
    calibrate(cli, code=None)
    assert 2 * anchors <= asked(slow) <= 2 * anchors + AT_ONCE
    # Nothing of the calibration counts for a check: it asks whether the judge is still the same.
    before = asked(slow)
    killed(slow, 30, "judge", "check", "helpful-judge")
    found = cli.json("judge", "check", "helpful-judge", code=None)
    assert found["check"]["flips"] == 0
    assert anchors <= asked(slow) - before <= anchors + AT_ONCE
    # What ended is no interruption: the next check asks anew.
    before = asked(slow)
    cli("judge", "check", "helpful-judge", code=None)
    assert asked(slow) - before == anchors


def test_a_killed_shift_pays_no_vote_twice(slow, cli):
    swap(slow, JUDGE, "stand-in-judge-1", "stand-in-judge-2")
    cli("commit", "helpful-judge", "-m", "next")
    killed(slow, 40, "judge", "shift", "helpful-judge", "prod")
    done = cli.json("judge", "shift", "helpful-judge", "prod")
    outputs = done["shift"]["n"]
    assert asked(slow) <= 2 * outputs + AT_ONCE
    before = asked(slow)
    assert cli.json("judge", "shift", "helpful-judge", "prod")["usd"] == 0.0
    assert asked(slow) == before


def test_a_vote_that_was_changed_in_the_cache_is_asked_for_again_with_a_word(slow, cli):
    words = ("judge", "calibrate", "helpful-judge", "--anchors", ANCHORS)
    spent(cli, *words, "--max-judge-usd", "0.05")
    first = asked(slow)
    ledgers = [(one.stat().st_mtime_ns, one) for one in slow.root.glob(".git/llmvc/runs/*.jsonl")]
    newest = max(ledgers)[1]
    newest.write_bytes(newest.read_bytes().replace(b'"output":"', b'"output":"x', 1))
    told = spent(cli, *words, "--max-judge-usd", "0.05")
    assert "run cache: 1 damaged line passed over; what is missing is called again" in told
    assert f"{first - 1} reused" in told


def test_a_limit_in_usd_that_could_not_hold_is_refused(slow, cli):
    slow.write("prices.json", "{}")
    words = ("judge", "calibrate", "helpful-judge", "--anchors", ANCHORS, "--allow-unpriced")
    told = cli(*words, "--max-judge-usd", "1", "--concurrency", "1", code=2).err
    assert "--max-judge-usd cannot hold: no price is known for the calls of judge" in told
    assert "or leave out --max-judge-usd" in told
    assert asked(slow) == 1


def spent(cli: Cli, *words: str) -> str:
    """Returns what a command says that stopped at its limit."""
    return cli(*words, "--concurrency", "1", code=4).err


def test_a_limit_in_usd_stops_before_it_and_goes_on_from_there(slow, cli):
    anchors = len((slow.root / ANCHORS).read_text().splitlines())
    words = ("judge", "calibrate", "helpful-judge", "--anchors", ANCHORS)
    told = spent(cli, *words, "--max-judge-usd", "0.05")
    assert f"asking judge helpful-judge: {2 * anchors} new votes, 0 reused, about $" in told
    assert "are spent; votes are kept" in told
    first = asked(slow)
    assert 0 < first * PRICE <= 0.05
    told = spent(cli, *words, "--max-judge-usd", "0.05")
    assert f"{2 * anchors - first} new votes, {first} reused" in told
    assert (asked(slow) - first) * PRICE <= 0.05
    before = asked(slow)
    done = calibrate(cli, code=None)
    assert asked(slow) == 2 * anchors
    assert done["usd"] == pytest.approx((2 * anchors - before) * PRICE)
