"""A judge's life on the command line: calibrated, watched, moved, retired."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmvc.cli import progress
from llmvc.cli.commands.judge import COMMANDS, command
from llmvc.core.digest import Digest, of_bytes
from llmvc.errors import IntegrityError
from tests.support.build import RepoBuilder, remote_at
from tests.support.cli import Cli, validator
from tests.support.judges import ANCHORS, CASES, JUDGE, SUITE, better, calibrate, swap


def test_an_unlabelled_rubric_gives_numbers_and_no_verdict_until_it_is_calibrated(fresh, cli):
    cli("commit", "replies", "-m", "first")
    told = cli("eval", "replies", code=3)
    assert "UNCALIBRATED" in told.err
    assert "llmvc judge calibrate helpful-judge --anchors FILE" in told.err
    assert "inconclusive" in told.out
    cli("promote", "replies", "prod", code=3)
    done = calibrate(cli)
    assert done["calibration"]["admitted"]
    assert done["calibration"]["raters"] == 2
    again = cli.json("eval", "replies")
    assert again["verdict"]["verdict"] == "pass"
    assert again["calls"] is None
    cli("promote", "replies", "prod")
    assert cli.json("fsck")["problems"] == []


def test_a_measurement_stores_the_judge_that_its_suite_names(fresh, cli):
    cli("commit", "replies", "-m", "first")
    report = cli.json("eval", "replies", code=3)["report"]["digest"]
    judges = cli.json("show", report)["value"]["judges"]
    (judge,) = judges
    assert cli.json("show", judge)["kind"] == "bundle/1"
    assert judges[judge]["state"] == "UNCALIBRATED"
    assert judges[judge]["graded"] > 0


def test_the_doctor_asks_no_suite_of_a_judge_and_says_where_it_stands(fresh, cli):
    def told() -> tuple[str, str]:
        found = cli.json("doctor")["findings"]
        (judge,) = [one for one in found if one["what"].startswith("judge helpful-judge: ")]
        return judge["state"], judge["mend"]

    remedy = "calibrate it: llmvc judge calibrate helpful-judge --anchors FILE"
    assert told() == ("hint", remedy)
    calibrate(cli)
    assert told() == ("hint", "check it: llmvc judge check helpful-judge")
    cli("judge", "check", "helpful-judge")
    assert told() == ("ok", "")


def test_a_judge_no_better_than_a_rule_that_never_reads_is_not_admitted(fresh, cli):
    rows = [json.loads(line) for line in (fresh.root / ANCHORS).read_text().splitlines()]
    for row in rows:
        grades = ("good", "poor")
        row["labels"] = {"ann": grades[len(row["output"]) % 2]}
    fresh.write(ANCHORS, "".join(json.dumps(row) + "\n" for row in rows))
    done = calibrate(cli, code=3)
    assert not done["calibration"]["admitted"]
    assert done["calibration"]["why"]
    assert any("one rater" in note for note in done["notes"])
    assert "UNCALIBRATED" in cli("judge", "check", "helpful-judge", code=3).out


def test_what_makes_anchors_worth_less_is_said(fresh, cli):
    rows = [json.loads(line) for line in (fresh.root / ANCHORS).read_text().splitlines()]
    (case, *_) = (fresh.root / "evals/replies/cases.jsonl").read_text().splitlines()
    kept = [row for row in rows[:40] if row.get("kind") is None]
    kept[0]["vars"] = json.loads(case)["vars"]
    fresh.write("few.jsonl", "".join(json.dumps(row) + "\n" for row in kept))
    done = cli.json("judge", "calibrate", "helpful-judge", "--anchors", "few.jsonl", code=None)
    said = "\n".join(done["notes"])
    assert "40 anchors" in said
    assert "no adversarial anchor" in said
    assert "1 case is in a dataset" in said


def test_a_judge_that_changed_behind_its_name_is_suspect_and_nothing_passes_on_it(measured, cli):
    better(measured, cli)
    report = cli.json("eval", "replies")["report"]["digest"]
    measured.write("stand_ins/snapshot", "2\n")
    done = cli.json("judge", "check", "helpful-judge", code=3)
    assert done["state"] == "SUSPECT"
    assert done["check"]["flips"] >= done["check"]["alarm"]
    for words in (("gate", report), ("eval", "replies"), ("promote", "replies", "prod")):
        found = cli(*words, code=3)
        assert "SUSPECT" in found.out + found.err, words
    measured.write("stand_ins/snapshot", "1\n")
    assert cli.json("judge", "check", "helpful-judge", code=3)["state"] == "SUSPECT"
    calibrate(cli)
    assert cli.json("judge", "check", "helpful-judge")["state"] == "TRUSTED"
    cli("promote", "replies", "prod")


def calibrated_under_a_name_of_its_own(repo: RepoBuilder, cli: Cli) -> None:
    """Lets a file say what the judge's provider calls its model, and calibrates it so."""
    said = '"model": (Path(__file__).parent / "name").read_text()'
    swap(repo, "stand_ins/judge.py", '"model": model', said)
    repo.write("stand_ins/name", "one-model")
    calibrate(cli)


def test_another_model_that_answers_for_a_judge_is_noticed(repo, cli):
    calibrated_under_a_name_of_its_own(repo, cli)
    repo.write("stand_ins/name", "somebody-else")
    done = cli.json("judge", "check", "helpful-judge", code=3)
    assert done["state"] == "SUSPECT"
    assert "somebody-else" in " ".join(done["why"])


def test_another_model_that_answers_in_a_measurement_is_noticed_too(repo, cli):
    calibrated_under_a_name_of_its_own(repo, cli)
    better(repo, cli)
    cli("judge", "check", "helpful-judge")
    repo.write("stand_ins/name", "somebody-else")
    assert "somebody-else" in cli("eval", "replies", code=3).out


def test_a_judge_that_is_asked_through_another_connection_is_uncalibrated_there(measured, cli):
    better(measured, cli)
    report = cli.json("eval", "replies")["report"]["digest"]
    swap(measured, "stand_ins/judge.py", "Grades replies", "Grades all replies")
    told = cli("judge", "check", "helpful-judge", code=3)
    assert "calibrated through another connection" in told.err
    measured.write("prompts/replies/system.md", "Reply, and name the next step in any case.\n")
    cli("commit", "replies", "-m", "better still")
    told = cli("eval", "replies", code=3)
    assert "UNCALIBRATED: it was calibrated through another connection" in told.err
    assert "llmvc judge calibrate helpful-judge --anchors FILE" in told.err
    cli("promote", "replies", "prod", code=3)
    # What was measured through the connection of the calibration stands.
    assert cli.json("gate", report)["verdict"]["verdict"] == "pass"
    # A calibration there makes grades count that came from there, and none from elsewhere.
    assert calibrate(cli)["calibration"]["attempt"] == 2
    assert cli.json("eval", "replies")["verdict"]["verdict"] == "pass"
    swap(measured, "stand_ins/judge.py", "Grades all replies", "Grades replies")
    assert cli.json("judge", "check", "helpful-judge")["state"] == "TRUSTED"


def test_grades_of_an_uncalibrated_connection_do_not_count_by_a_calibration_elsewhere(repo, cli):
    better(repo, cli)
    swap(repo, "stand_ins/judge.py", "Grades replies", "Grades all replies")
    cli("eval", "replies", code=3)
    swap(repo, "stand_ins/judge.py", "Grades all replies", "Grades replies")
    calibrate(cli)
    assert "another connection" in cli("eval", "replies", code=3).out


def test_asking_again_until_a_judge_is_admitted_is_seen_and_of_no_use(fresh, cli):
    fresh.write("stand_ins/snapshot", "2\n")
    assert calibrate(cli, code=3)["calibration"]["attempt"] == 1
    # What answers is better now, but calls itself by the same name: it looks like more luck.
    fresh.write("stand_ins/snapshot", "1\n")
    again = calibrate(cli, code=3)["calibration"]
    assert (again["attempt"], again["figures"]["balanced_accuracy"]["low"] > 0.55) == (2, True)
    assert "was refused on these anchors" in again["why"][0]
    assert "no. 2 on these anchors" in cli("judge", "show", "helpful-judge").out
    rows = (fresh.root / ANCHORS).read_text().splitlines()
    fresh.write(ANCHORS, "\n".join(rows[1:]) + "\n")
    other = calibrate(cli)["calibration"]
    assert (other["attempt"], other["admitted"]) == (1, True)


def test_a_calibration_that_ran_out_passes_nothing(repo, cli, later):
    calibrate(cli, "--expires", "2d")
    better(repo, cli)
    cli("eval", "replies")
    later(3)
    for words in (("eval", "replies"), ("promote", "replies", "prod")):
        found = cli(*words, code=3)
        assert "ran out" in found.out + found.err
    assert cli.json("judge", "show", "helpful-judge")["state"] == "SUSPECT"


def test_a_check_that_is_too_old_is_made_again_before_the_calls(repo, cli, later, monkeypatch):
    better(repo, cli)
    before = cli.json("judge", "show", "helpful-judge")["check"]
    later(2)
    assert "checked against its 86 anchors first" in cli("eval", "replies", "--dry-run").err
    assert cli.json("judge", "show", "helpful-judge")["check"] == before
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    said = cli("eval", "replies").err
    steps = ("checking judge helpful-judge", "86/86 votes", "against prod")
    told = [said.index(text) for text in steps]
    assert told == sorted(told)
    after = cli.json("judge", "show", "helpful-judge")["check"]
    assert before["made"] < after["made"]


def test_without_its_anchors_a_judge_is_not_checked_and_not_believed(repo, cli, later):
    better(repo, cli)
    (repo.root / ANCHORS).rename(repo.root / "elsewhere.jsonl")
    later(2)
    told = cli("eval", "replies", code=3)
    assert "llmvc judge check helpful-judge" in told.err
    cli("judge", "check", "helpful-judge", code=4)
    cli("judge", "check", "helpful-judge", "--anchors", "elsewhere.jsonl")
    assert cli.json("eval", "replies")["verdict"]["verdict"] == "pass"


def test_other_anchors_than_those_of_the_calibration_are_refused(repo, cli):
    text = (repo.root / ANCHORS).read_text()
    repo.write(ANCHORS, text.replace('"ben": "good"', '"ben": "poor"', 1))
    assert ANCHORS in cli("judge", "check", "helpful-judge", "--anchors", ANCHORS, code=4).err
    cli("judge", "check", "helpful-judge", code=4)


def test_a_retired_judge_passes_nothing_any_more(measured, cli):
    better(measured, cli)
    report = cli.json("eval", "replies")["report"]["digest"]
    done = cli.json("judge", "retire", "helpful-judge", "--reason", "the model ends")
    assert (done["state"], done["tombstone"]["reason"]) == ("RETIRED", "the model ends")
    for words in (("gate", report), ("eval", "replies"), ("promote", "replies", "prod")):
        found = cli(*words, code=3)
        assert "the model ends" in found.out + found.err, words
    calibrate(cli)
    assert cli.json("judge", "show", "helpful-judge")["state"] == "RETIRED"
    cli("rollback", "helpful-judge", "prod", "--reason", "x", code=4)  # there is none before it


def test_a_judge_moves_only_when_it_is_trusted_and_what_that_changes_is_known(repo, cli):
    old = cli.digest("helpful-judge@prod")
    swap(repo, JUDGE, "stand-in-judge-1", "stand-in-judge-2")
    cli("commit", "helpful-judge", "-m", "next")
    assert "judge calibrate" in cli("promote", "helpful-judge", "prod", code=3).err
    calibrate(cli)
    assert "judge check" in cli("promote", "helpful-judge", "prod", code=3).err
    cli("judge", "check", "helpful-judge")
    assert "judge shift helpful-judge prod" in cli("promote", "helpful-judge", "prod", code=3).err
    done = cli.json("judge", "shift", "helpful-judge", "prod")
    assert (done["shift"]["old"], done["missing"]) == (old, 0)
    assert done["shift"]["n"] == CASES
    moved = cli.json("promote", "helpful-judge", "prod")
    assert moved["release"]["kind"] == "migrate"
    assert moved["release"]["suite"] is None
    log = cli.json("log", "helpful-judge@prod")
    assert log["shifts"]["2"]["flips"] == done["shift"]["flips"]
    assert "got another verdict" in cli("log", "helpful-judge@prod").out
    cli("rollback", "helpful-judge", "prod", "--reason", "stricter than we like")
    assert cli.digest("helpful-judge@prod") == old
    assert cli.json("fsck")["problems"] == []
    for oid in repo.git("rev-list", "refs/llmvc/env/helpful-judge/prod").split():
        record = json.loads(repo.git("cat-file", "blob", f"{oid}:release.json"))
        validator("urn:llmvc:schema:release:1").validate(record)


def test_a_judges_chain_is_pushed_and_fetched_like_any_other(repo, cli, tmp_path, monkeypatch):
    remote = remote_at(tmp_path / "remote.git")
    repo.git("remote", "add", "origin", str(remote))
    repo.git("push", "-q", "origin", "main")
    cli("push")
    clone = RepoBuilder(tmp_path / "clone").clone(remote)
    monkeypatch.chdir(clone.root)
    cli("fetch")
    assert cli.json("judge", "show", "helpful-judge@prod")["state"] == "TRUSTED"
    assert cli.json("fsck")["problems"] == []


def test_a_suite_may_name_the_judge_that_an_environment_serves_or_a_digest(repo, cli):
    better(repo, cli)
    before = cli.json("eval", "replies")["report"]["suite"]
    judge = cli.digest("helpful-judge@prod")
    for name in ("helpful-judge@prod", f"helpful-judge@{judge[:15]}", judge):
        swap(repo, SUITE, "judge: helpful-judge ", f'judge: "{name}" ')
        assert cli.json("eval", "replies")["report"]["suite"] == before
        repo.git("checkout", "-q", SUITE)
    swap(repo, SUITE, "judge: helpful-judge ", "judge: nobody ")
    assert f"{SUITE}:8" in cli("eval", "replies", code=4).err
    swap(repo, SUITE, "judge: nobody ", "judge: replies@prod ")
    cli("eval", "replies", code=4)


def test_only_a_judge_can_be_calibrated_and_only_what_is_there(fresh, cli):
    assert "no judge" in cli("judge", "show", "replies", code=4).err
    cli("judge", "show", "nobody", code=4)
    assert "not calibrated" in cli("judge", "check", "helpful-judge", code=3).err
    cli("judge", "calibrate", "helpful-judge", "--anchors", "nowhere.jsonl", code=4)
    for words in (("--repeats", "1"), ("--expires", "a while"), ("--expires", "0d")):
        cli("judge", "calibrate", "helpful-judge", "--anchors", ANCHORS, *words, code=2)
    cli("judge", "shift", "helpful-judge", "prod", code=4)
    cli("judge", "label", code=2)
    cli("judge", "label", "replies", "--read", "x.jsonl", code=2)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_judge_command_has_json_an_example_and_its_options_in_the_reference(name):
    found = command.get_command(None, name)
    assert found is not None
    assert "Example:" in (found.help or "")
    text = (Path(__file__).parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
    section = text.split("### `judge`\n")[1].split("\n### ")[0]
    options = [flag for one in found.params for flag in one.opts if flag.startswith("--")]
    assert "--json" in options
    assert [flag for flag in options if flag not in section] == []


def test_a_release_without_a_suite_must_carry_the_calibration_of_a_judge(repo, cli):
    """A chain's records alone cannot tell a judge: a hand-made release must not dodge its gate."""
    from llmvc.core.release import Move, append
    from llmvc.core.version import Source
    from llmvc.store.repository import Repository

    with Repository.open(repo.root) as opened:
        judge, app = (opened.chain(name, "prod") for name in ("helpful-judge", "replies"))
        calibration = judge.blob("calibration.json") or b""
        policy = app.blob("policy.json") or b""
        better(repo, cli)
        wanted = cli.digest("replies")
        served = opened.versions.read(Digest(wanted)) or b""
        chain = opened.chain("replies", "staging")
        move = Move(
            "promote",
            Digest(wanted),
            of_bytes(policy),
            Source(None, dirty=False),
            "2026-11-20T12:00:00Z",
            "Mallory <m@example.org>",
            report=of_bytes(calibration),
            proven=True,
        )
        made = append(None, move, bundle="replies", env="staging")
        blobs = {"bundle.json": served, "policy.json": policy, "calibration.json": calibration}
        chain.append(None, made, blobs, author=move.actor, time=datetime(2026, 11, 20, tzinfo=UTC))
        with pytest.raises(IntegrityError, match="does not admit the judge"):
            chain.verify(chain.tip().oid)
    said = [item["what"] for item in cli.json("fsck", code=4)["problems"]]
    assert any("does not admit the judge" in what for what in said)
