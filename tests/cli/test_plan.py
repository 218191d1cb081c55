"""`llmvc plan`: what a suite can show before any call, and `new`, which chooses its margin by it."""

import json
import re

import pytest

from tests.support.build import FAILING


@pytest.fixture
def no_calls(monkeypatch, tmp_path):
    """A file that every call of the model adds a line to."""
    log = tmp_path / "calls"
    monkeypatch.setenv("FAKE_CALLS", str(log))
    return log


def margin(repo, value):
    path = repo.root / "evals/support/suite.yaml"
    text = path.read_text()
    path.write_text(re.sub(r"margin: [0-9.]+", f"margin: {value}", text))


def test_the_first_line_is_the_answer_and_nobody_is_called(started, cli, no_calls):
    cli("init")
    done = cli("plan")
    first = done.out.splitlines()[0]
    assert first.startswith("quality  margin 0.25 at 24 cases x 1 run: an unchanged bundle passes ")
    assert "would be shown 80% of the time" in first
    assert "as suites typically vary" in done.out
    assert "even without any noise" in done.out
    assert "there is no pilot yet: measure once with llmvc eval support" in done.err
    assert not no_calls.exists()


def test_a_hopeless_margin_is_refused_by_plan_and_by_eval_before_any_call(repo, cli, no_calls):
    repo.cases(30)
    margin(repo, 0.05)
    repo.prompt("Say the number again.")
    planned, measured = cli("plan", code=3), cli("eval", code=3)
    for said in (
        "metric quality with a margin of 0.05 cannot pass on 30 cases",
        "it takes 54 cases, or a margin of 0.0",
    ):
        assert said in planned.out
        assert said in measured.err
    assert cli.json("plan", code=3)["refused"]["message"].startswith("metric quality")
    assert not no_calls.exists()
    assert "refused" not in cli("plan", "--cases", "400").out


@pytest.mark.parametrize("cases", [19, 30, 60])
@pytest.mark.parametrize("value", [0.01, 0.05, 0.08, 0.088, 0.09, 0.25])
def test_plan_and_eval_refuse_the_same_with_the_same_words(repo, cli, no_calls, cases, value):
    repo.cases(cases)
    margin(repo, value)
    repo.prompt("Say the number again.")
    planned = cli("plan", code=None)
    found = cli.json("plan", code=None)
    measured = cli("eval", "--dry-run", code=None)
    assert planned.code == measured.code == (3 if found["refused"] else 0)
    if found["refused"]:
        assert found["refused"]["message"] in measured.err
        assert found["refused"]["hint"] in measured.err
    assert not no_calls.exists()


def test_plan_and_eval_agree_about_a_contest_with_reports(ready, cli, no_calls):
    ready.prompt("Say it a third time.")
    assert cli("eval", "--dry-run").code == cli("plan").code == 0
    # Another margin is another suite, of which eval knows no report.
    margin(ready, 0.05)
    said = cli.json("plan", code=3)["refused"]
    assert said["hint"] in cli("eval", code=3).err
    margin(ready, 0.25)
    assert cli.json("plan", "--margin", "0.05", code=3)["refused"] == said
    assert not no_calls.exists()


def test_before_the_first_release_the_first_comparison_is_planned_too(started, cli):
    started.cases(30)
    margin(started, 0.05)
    cli("init")
    said = cli.json("plan", code=3)["refused"]["message"]
    assert said.startswith("once there is a baseline: metric quality with a margin of 0.05 cannot")
    text = (started.root / "evals/support/suite.yaml").read_text()
    floor = re.sub(r"floor: [0-9.]+", "floor: 0.99", text)
    (started.root / "evals/support/suite.yaml").write_text(floor)
    said = cli.json("plan", code=3)["refused"]
    assert said["message"].startswith("metric quality cannot show its floor of 0.99")
    assert said["hint"] in cli("eval", code=3).err


def test_a_suite_in_which_nothing_gates_is_refused_before_any_call(repo, cli, no_calls):
    path = repo.root / "evals/support/suite.yaml"
    path.write_text(re.sub(r"(margin: [0-9.]+)", r"\1, gate: false", path.read_text()))
    repo.prompt("Say the number again.")
    for command in ("plan", "eval"):
        said = cli(command, code=3).err
        assert "no metric of the suite gates" in said
        assert "give the suite a metric with a margin and gate: true" in said
    assert not no_calls.exists()


FIRST_LINES = {
    "hopeless": (("--cases", "5"), 3, "an unchanged bundle cannot pass; too few for 80%: "),
    "too few": (
        ("--cases", "60", "--margin", "0.05"),
        0,
        "of the time; too few for 80%: 437 cases",
    ),
    "luck": (("--cases", "54", "--margin", "0.05", "--power", "0.9"), 0, "too few for 90%: "),
    "enough": (("--cases", "600", "--margin", "0.05"), 0, "of the time; a drop of "),
    "endless": (
        ("--cases", "600", "--margin", "0.00003"),
        3,
        "80%: it takes over 100,000,000 cases",
    ),
}


@pytest.mark.parametrize("what", FIRST_LINES)
def test_the_first_line_says_whether_the_cases_are_too_few(started, cli, what):
    options, code, said = FIRST_LINES[what]
    cli("init")
    assert said in cli("plan", *options, code=code).out.splitlines()[0]


def test_a_number_beyond_the_search_is_no_answer(started, cli):
    cli("init")
    out = cli("plan", "--margin", "0.00003", code=3).out
    assert "over 100,000,000" in out
    assert "134,217,728" not in out
    (quality,) = cli.json("plan", "--margin", "0.00003", code=3)["metrics"]
    assert [step["cases"] for step in quality["steps"]] == [None] * 3


def test_without_a_pilot_thirty_cases_at_five_points_are_refused(started, cli, no_calls):
    started.cases(30)
    margin(started, 0.05)
    cli("init")
    assert cli.json("plan", code=3)["refused"]["hint"].startswith("it takes 54 cases")
    assert not no_calls.exists()


def test_the_pilot_is_the_newest_report_and_tells_the_variance(ready, cli):
    measured = cli.json("eval")["report"]["digest"]
    found = cli.json("plan")
    assert found["pilot"] == measured
    assert found["metrics"][0]["source"] == "report"
    assert found["metrics"][0]["var_case"] == 0
    assert found["usd"] == 0
    said = cli("plan")
    assert "(measured)" in said.out
    assert f"the pilot is report {measured[:15]}" in said.err


def test_a_report_that_says_fail_is_no_pilot_unless_it_is_named(repo, cli):
    repo.prompt(f"miss {FAILING}")
    cli("commit")
    failed = cli.json("eval", code=1)["report"]["digest"]
    assert cli.json("plan")["pilot"] != failed
    named = cli.json("plan", "--from", failed[:15])
    assert named["pilot"] == failed
    assert named["metrics"][0]["var_case"] > 0.1


def test_a_changed_margin_still_learns_from_the_release(ready, cli):
    released = cli.json("promote", "prod")["release"]["report"]
    margin(ready, 0.3)
    found = cli.json("plan")
    assert found["pilot"] == released
    assert (found["metrics"][0]["rule"], found["metrics"][0]["source"]) == (0.3, "report")


def test_eval_reads_the_variance_of_the_last_report_on_the_same_contest(ready, cli, monkeypatch):
    from llmvc.gate import design

    seen = []
    asked = design.refuse_hopeless

    def refuse(*args, **options):
        seen.append(options)
        asked(*args, **options)

    monkeypatch.setattr(design, "refuse_hopeless", refuse)
    ready.prompt("Say it once more.")
    cli("eval")
    (options,) = seen
    assert [item.metric for item in options["pilot"]] == ["quality"]
    assert options["tried"] == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--margin", "1.5"), "a margin of 1.5 does not fit metric quality"),
        (("--margin", "0"), "--margin"),
        (("--runs", "0"), "--runs"),
        (("--cases", "0"), "--cases"),
        (("--power", "1"), "--power"),
        (("--case-usd", "-1"), "--case-usd"),
        *(
            ((option, value), f"'{value}' is no finite number")
            for option in ("--margin", "--case-usd")
            for value in ("nan", "inf")
        ),
        (("--power", "nan"), "'nan' is no finite number"),
        (("--power", "inf"), "--power"),
        (("--from", "xyz"), "is not a digest"),
    ],
)
def test_what_cannot_be_planned_is_wrong_usage(repo, cli, options, said):
    assert said in cli("plan", *options, code=2).err


def test_what_is_not_there_is_said(repo, cli):
    assert "nothing stored has the digest" in cli("plan", "--from", "b3:" + "0" * 8, code=4).err
    assert "is not a report" in cli("plan", "--from", cli.digest(), code=4).err
    assert "no bundle named" in cli("plan", "other", code=4).err


def test_a_report_of_one_run_without_a_baseline_is_no_pilot(repo, cli):
    report = cli.json("log", "@prod")["releases"][0]["report"]
    said = cli("plan", "--from", report, code=4).err
    assert "says nothing about the metrics of this suite" in said


def write_results(path, miss, usd=0.002):
    rows = (
        {
            "case": f"c{case}",
            "run": run,
            "scores": {"quality": float((case + run) % 9 >= miss)},
            "cost_usd": usd,
        }
        for case in range(45)
        for run in range(3)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_two_result_files_of_any_harness_are_a_pilot_too(repo, cli, tmp_path):
    files = [write_results(tmp_path / f"{name}.jsonl", miss) for name, miss in (("a", 1), ("b", 2))]
    found = cli.json("plan", "--runs", "3", "--pilot", *files)
    (quality,) = found["metrics"]
    assert (found["pilot"], quality["source"]) == (None, "report")
    assert quality["var_one_run"] > 0
    assert found["usd"] == pytest.approx(24 * 3 * 0.004)
    assert "the two files are the pilot" in cli("plan", "--pilot", *files).err
    assert "one pilot" in cli("plan", "--pilot", *files, "--from", "b3:12345678", code=2).err
    assert "is not there" in cli("plan", "--pilot", files[0], "nowhere.jsonl", code=4).err


def test_options_change_the_plan_and_not_the_suite(repo, cli):
    before = repo.state()
    found = cli.json("plan", "--margin", "0.1", "--cases", "300", "--runs", "4", "--power", "0.9")
    assert (found["cases"], found["runs"], found["power"]) == (300, 4, 0.9)
    assert found["metrics"][0]["rule"] == 0.1
    assert [step["runs"] for step in found["metrics"][0]["steps"]] == [1, 3, 4, 5]
    assert repo.state() == before


def test_a_suite_and_an_environment_can_be_named(repo, cli):
    found = cli.json("plan", "support", "--suite", "evals/support/suite.yaml", "--env", "staging")
    assert (found["bundle"], found["env"], found["suite"]) == (
        "support",
        "staging",
        "evals/support/suite.yaml",
    )


def test_what_a_new_case_costs_decides_between_cases_and_runs(repo, cli, tmp_path):
    def split(*options):
        (line,) = [one for one in cli("plan", *options).out.splitlines() if "best split" in one]
        return line.strip()

    assert split() == (
        "best split: 1 run a case and more cases; runs pay only where cases cost (--case-usd)"
    )
    assert split("--case-usd", "2") == (
        "best split: cannot be told: what a run costs is not known: it takes a pilot with costs"
    )
    same = write_results(tmp_path / "a.jsonl", 1)
    other = write_results(tmp_path / "b.jsonl", 5)
    free = write_results(tmp_path / "free.jsonl", 2, usd=0.0)
    assert "a run of the pilot costs nothing" in split("--case-usd", "2", "--pilot", free, free)
    assert "do not differ but by chance" in split("--case-usd", "2", "--pilot", same, same)
    assert re.search(
        r"runs? a case, [0-9,]+ cases$", split("--case-usd", "2", "--pilot", same, other)
    )
    found = cli.json("plan", "--case-usd", "2", "--pilot", free, free)
    assert (found["case_usd"], found["metrics"][0]["best_runs"]) == (2, None)
    assert found["metrics"][0]["no_split"].startswith("a run of the pilot costs nothing")


def test_after_a_rollback_the_pilot_is_the_report_of_what_is_served_again(ready, cli):
    cli("promote", "prod")
    first = cli.json("log", "@prod")["releases"]
    ready.prompt("Say it a third time.")
    cli("commit", "-m", "third")
    cli("eval")
    cli("promote", "prod")
    newest = cli.json("plan")["pilot"]
    cli("rollback", "prod", "--reason", "tone")
    served = next(item for item in first if item["seq"] == 2)["report"]
    assert cli.json("plan")["pilot"] == served != newest


def test_new_writes_the_smallest_margin_and_says_what_it_could_miss(started, cli):
    done = cli("new", "orders")
    text = (started.root / "evals/orders/suite.yaml").read_text()
    found = float(re.search(r"margin: ([0-9.]+)", text)[1])
    assert f"30 cases x 3 runs allow a margin of {found:g}" in done.err
    assert "it could miss a drop of less than 0.12" in done.err
    assert "takes 144 more cases" in done.err
    told = " ".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("#"))
    assert done.err.splitlines()[0] in told
    plan = cli.json("plan", "orders")
    assert plan["chance"] >= 0.8
    assert plan["metrics"][0]["rule"] == found
    assert plan["refused"] is None


def test_new_prints_the_margin_as_json(started, cli):
    found = cli.json("new", "orders")
    assert found["fitting"]["margin"] == 0.14
    assert 0.11 < found["fitting"]["missed"] < 0.13
    assert json.dumps(found["note"]).isascii()
