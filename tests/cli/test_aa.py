"""`llmvc aa`: which runs it takes, what it says, and what it exits with."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TWICE = """\
llmvc: 1
bundle: support
dataset: cases.jsonl
runs: 2
scorers:
  - {name: exact, type: equals}
metrics:
  quality: {scorers: [exact], margin: 0.25, floor: 0.5}
  latency: {gate: false}
"""
FEW = ("--times", "20")


@pytest.fixture
def twice(started, cli):
    """A bundle that prod serves, measured with two runs a case."""
    started.write("evals/support/suite.yaml", TWICE)
    started.save("two runs")
    cli("commit", "-m", "first")
    cli("eval")
    cli("promote", "prod")
    return started


def digest_of(cli, *args):
    return cli.json("aa", *args, *FEW)["report"]


def results(path, *, n=60, k=2, rate=0.8, **members):
    """A result file of cases that pass at a rate."""
    passed = np.random.default_rng(1).random((n, k)) < rate
    rows = [
        {"case": f"c{at}", "run": run, "scores": {"quality": bool(passed[at, run])}} | members
        for at in range(n)
        for run in range(k)
    ]
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_each_rate_stands_beside_what_is_promised_and_what_one_run_would_have_done(twice, cli):
    done = cli("aa", *FEW)
    head, nothing, block, naive, passed, unclear, harmed, false_pass, _ = done.out.splitlines()
    assert head.startswith("support report b3:")
    assert head.endswith(": runs of the candidate on 24 cases, 1 run against 1 run, drawn 20 times")
    assert nothing == "nothing changed"
    # The model behind the bundle answers alike every time.
    assert block == "  false block   0.0% [0.0, 16.8]: as promised (at most about 6.5%)"
    assert naive == "  one run against one run would block 0.0% [0.0, 16.8]"
    assert passed == "  pass          100.0% [83.2, 100.0]"
    assert unclear == "  inconclusive  0.0% [0.0, 16.8]"
    assert harmed == "quality worse by exactly its margin of 0.25"
    assert false_pass.startswith("  false pass  ")
    assert "not tested: latency" in done.err
    assert "nothing about other cases" in done.err


def test_json_has_every_figure(twice, cli):
    found = cli.json("aa", *FEW, "--seed", "5")
    assert found["as_promised"] is True
    assert (found["cases"], found["half"], found["times"], found["seed"]) == (24, [1, 1], 20, 5)
    assert found["untested"] == ["latency"]
    (quality,) = found["at_rule"]
    assert quality["rule"] == 0.25
    assert found == cli.json("aa", *FEW, "--seed", "5")


def test_it_takes_the_report_on_the_working_tree_else_the_one_that_is_served(twice, cli):
    first = cli.json("show", "@prod")["release"]["report"]
    assert digest_of(cli) == first
    twice.prompt("miss 2, please")
    assert digest_of(cli) == first
    second = cli.json("eval", code=None)["report"]["digest"]
    assert digest_of(cli) == second != first
    assert digest_of(cli, "support@prod") == first
    assert digest_of(cli, first[:11]) == first
    found = cli.json("aa", second, "--arm", "baseline", *FEW)
    assert (found["report"], found["arm"]) == (second, "baseline")


def test_without_any_report_it_says_how_to_get_one(started, cli):
    done = cli("aa", code=3)
    assert "no report on support" in done.err
    assert "llmvc eval" in done.err


def test_one_run_a_case_allows_no_test(repo, cli):
    found = cli.json("aa", code=3)
    assert "ran no case twice" in found["message"]
    assert "runs: 2 or more" in found["hint"]


def test_what_is_no_report_is_not_found(twice, cli):
    suite = cli.json("eval", "--fresh", "@prod", code=None)
    assert suite["report"] is None
    cli("aa", cli.digest("@prod"), code=4)
    cli("aa", "b3:00000000", code=4)
    cli("aa", "nobody@prod", code=4)


def test_a_file_of_any_harness_needs_no_repository(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    path = results("r.jsonl", k=3)
    found = cli.json("aa", "--file", path, "--margin", "0.2", *FEW)
    assert (found["name"], found["report"], found["cases"]) == ("r.jsonl", None, 60)
    assert found["at_rule"][0]["metric"] == "quality"
    wide = results("wide.jsonl")
    text = Path(wide).read_text().replace("true", "5").replace("false", "1")
    Path(wide).write_text(text)
    again = cli.json("aa", "--file", wide, "--margin", "0.8", "--scale", "1:5", *FEW)
    assert again["at_rule"][0]["rule"] == 0.8
    assert "--scale" in cli("aa", "--file", wide, "--margin", "0.2", code=4).err


def test_an_error_rate_above_the_promise_exits_1(tmp_path, cli, monkeypatch):
    path = results(tmp_path / "r.jsonl")
    args = ("aa", "--file", path, "--margin", "0.1", "--times", "30")
    assert "above what is promised" not in cli(*args).out
    monkeypatch.setattr("llmvc.evals.aa.EXCESS", 0.0)
    monkeypatch.setattr("llmvc.evals.aa.decide", lenient)
    done = cli(*args, code=1)
    assert (
        "  false pass    100.0% [88.4, 100.0]: above what is promised (at most about 0%)"
        in done.out
    )
    assert cli.json(*args, code=1)["as_promised"] is False


def lenient(estimates, suite, **_):
    """A gate that lets everything pass."""
    from llmvc.core.estimate import MetricVerdict, Verdict

    metrics = tuple(MetricVerdict(one.metric, "pass", suite.runs > 0, "") for one in estimates)
    return Verdict("pass", "", metrics)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with a file that can be tested and two that cannot."""
    monkeypatch.chdir(tmp_path)
    results("r.jsonl")
    results("once.jsonl", k=1)
    results("few.jsonl", n=19)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--margin", "0.1"), 2, "--margin is for --file"),
        (("--metric", "quality"), 2, "--metric is for --file"),
        (("--group-by", "document"), 2, "--group-by is for --file"),
        (("--file", "r.jsonl"), 2, "--margin is missing"),
        (("--file", "r.jsonl", "--margin", "2"), 2, "--margin 2 is outside"),
        (("--file", "r.jsonl", "--margin", "0.1", "--metric", "taste"), 2, "no score taste"),
        (("--file", "r.jsonl", "--margin", "0.1", "--scale", "five"), 2, "--scale five"),
        (("--file", "r.jsonl", "--margin", "0.1", "--scale", "1:inf"), 2, "--scale 1:inf"),
        (("--file", "r.jsonl", "--margin", "0.1", "--arm", "baseline"), 2, "--arm"),
        (("support", "--file", "r.jsonl", "--margin", "0.1"), 2, "do not go together"),
        (("--times", "0"), 2, "--times"),
        (("--seed", "-1"), 2, "--seed"),
        (("--file", "gone.jsonl", "--margin", "0.1"), 4, "gone.jsonl is not there"),
        (("--file", "once.jsonl", "--margin", "0.1"), 3, "two runs or more"),
        (("--file", "few.jsonl", "--margin", "0.1"), 3, "19 cases are too few"),
    ],
)
def test_bad_input_says_what_to_do(files, cli, args, code, said):
    done = cli("aa", *args, code=code)
    assert said in done.err
    assert done.out == ""


def test_help_says_what_is_not_tested_and_bad_input_is_told_before_numpy_loads(cli):
    assert "a judge that drifts" in " ".join(cli("aa", "--help").out.split())
    code = "import sys, llmvc.cli.commands.aa; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
