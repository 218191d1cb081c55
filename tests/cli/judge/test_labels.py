"""People's labels on the command line, and judges that compare or are of the family they grade."""

import json
from pathlib import Path

import pytest

from tests.support.judges import ANCHORS, JUDGE, better, calibrate, filled, save, sheet, swap


def test_labels_are_one_more_report_and_correct_the_estimate(measured, cli):
    better(measured, cli)
    alone = cli.json("eval", "replies")["report"]["estimates"][0]
    filled(sheet(cli, "--n", "50"))
    done = cli.json("judge", "label", "--read", "labels.jsonl", "--rater", "ann")
    assert (done["labelled"], done["empty"], done["half"]) == (50, 0, 0)
    (corrected,) = done["measured"]["report"]["estimates"]
    assert done["judged"][0]["estimate"] == alone["estimate"]
    assert corrected["estimate"] != alone["estimate"]
    assert done["measured"]["report"]["look"] == 1
    again = cli.json("judge", "label", "--read", "labels.jsonl", "--rater", "ann")
    assert again["judged"][0]["estimate"] == alone["estimate"]
    cli("gate", done["measured"]["report"]["digest"], "--recompute")
    cli("promote", "replies", "prod")
    assert cli.json("fsck")["problems"] == []


def test_a_sheet_is_never_written_over_one_with_grades(measured, cli):
    better(measured, cli)
    rows = sheet(cli, "--n", "5")
    filled(rows)
    before = Path("labels.jsonl").read_bytes()
    refused = cli("judge", "label", "replies", "--out", "labels.jsonl", code=4)
    assert "there already" in refused.err
    assert Path("labels.jsonl").read_bytes() == before


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_a_report_for_reading_says_who_graded_and_what_labels_changed(measured, cli, form):
    better(measured, cli)
    filled(sheet(cli, "--n", "50"))
    cli("judge", "label", "--read", "labels.jsonl")
    shown = " ".join(cli("report", "replies", "--format", form).out.split())
    shown = shown.replace("\\", "")
    assert "TRUSTED then, for helpful" in shown
    assert "people labelled 50 cases; warnings: one-judge" in shown
    assert "60 cases, 50 of them labelled" in shown
    assert "without the labels" in shown


def test_a_sheet_does_not_tell_which_version_is_which_and_is_drawn_from_its_seed(measured, cli):
    better(measured, cli)
    first, again, other = (
        sheet(cli, "--n", n, *more) for n, *more in (("20",), ("40",), ("20", "--seed", "7"))
    )
    assert first[1:] == again[1:21]
    assert [row["id"] for row in first[1:]] != [row["id"] for row in other[1:]]
    changed = [row for row in again[1:] if row["A"]["output"] != row["B"]["output"]]
    step = [any(word in row["A"]["output"] for word in ("tap", "Reply", "days")) for row in changed]
    assert 0 < sum(step) < len(step)
    assert (Path("labels.jsonl").stat().st_mode & 0o077) == 0


def test_a_half_filled_sheet_is_read_and_counted(measured, cli):
    better(measured, cli)
    rows = sheet(cli, "--n", "40")
    filled(rows)
    for row in rows[31:]:
        row["A"]["grade"] = row["B"]["grade"] = None
    rows[30]["A"]["grade"] = None
    save(rows)
    done = cli.json("judge", "label", "--read", "labels.jsonl", code=None)
    assert (done["labelled"], done["empty"], done["half"]) == (29, 10, 1)


SPOILED = {
    "an answer": (lambda rows: rows[2]["A"].update(output="Better."), 3, "not those that were"),
    "another id": (lambda rows: rows[1].update(id="nobody"), 2, "not in the report"),
    "a grade": (lambda rows: rows[3]["B"].update(grade="great"), 4, "no grade of this judge"),
    "a row twice": (lambda rows: rows.append(rows[1]), 12, "line 2"),
    "no row": (lambda rows: rows.insert(1, {"id": "c"}), 2, "not a row"),
    "another scorer": (lambda rows: rows[0].update(scorer="tone"), 1, "another judge"),
    "no head": (lambda rows: rows.pop(0), 1, "first line"),
    "other grades": (lambda rows: rows[0].update(grades=["bad"]), 1, "not the grades"),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_sheet_that_was_spoiled_is_refused_with_its_line(measured, cli, spoil):
    change, line, why = spoil
    better(measured, cli)
    rows = sheet(cli, "--n", "10")
    change(rows)
    save(rows)
    refused = cli("judge", "label", "--read", "labels.jsonl", code=4)
    assert f"labels.jsonl:{line}: " in refused.err
    assert why in refused.err


def test_a_migration_to_the_judges_own_family_needs_labels(repo, cli):
    swap(repo, JUDGE, "family: stand-in ", "family: writer ")
    calibrate(cli)
    cli("override", "replies", "staging", "--reason", "runs there")
    swap(repo, "prompts/replies/bundle.yaml", "writer-1", "writer-2")
    cli("commit", "replies", "-m", "the next model")
    told = cli("eval", "replies", "--env", "staging", code=3)
    assert "judge-family-migrating" in told.err
    assert "no labels by people correct it" in told.out
    report = cli.json("eval", "replies", "--env", "staging", code=3)["report"]["digest"]
    cli("judge", "label", report, "--n", "60", "--out", "labels.jsonl")
    filled([json.loads(line) for line in Path("labels.jsonl").read_text().splitlines()])
    done = cli("judge", "label", "--read", "labels.jsonl", code=None)
    assert "no labels by people" not in done.out


COMPARING = '''\
"""Compares two replies; where both help or neither does it prefers the first it sees, now and then."""

import re

SHOWN = re.compile(r"<<<output ([AB]) (\\w+)>>>\\n(.*?)\\n<<<end of output", re.DOTALL)
STEP = re.compile("tap|number|days|Friday|tomorrow|night")


def answer(request):
    helps = {name: bool(STEP.search(text)) for name, _, text in SHOWN.findall(request["messages"][-1]["content"])}
    if helps["A"] == helps["B"]:
        grade = "A" if "order" in request["messages"][-1]["content"] else "tie"
    else:
        grade = "A" if helps["A"] else "B"
    return {"output": "I compared both.\\n" + grade, "model": request["model"]["id"]}
'''


def test_a_judge_that_compares_is_calibrated_labelled_and_moved_too(repo, cli):
    repo.write("stand_ins/judge.py", COMPARING)
    swap(repo, JUDGE, "protocol: pointwise ", "protocol: pairwise-swap ")
    swap(repo, JUDGE, "grades: [poor, good] ", "grades: [A, B, tie] ")
    user = "prompts/helpful-judge/user.md"
    swap(repo, user, "{{output}}", "{{output_a}}\n{{output_b}}")
    rows = [
        {
            "vars": {"ticket": f"Ticket {at}"},
            "output": f"Reply {at}: " + "so, " * (at % 7) + ("tap it." if at % 3 else "well."),
            "other": "Ah, " * (at % 5) + ("We hear you." if at % 2 else "Done by Friday."),
        }
        for at in range(90)
    ]
    for at, row in enumerate(rows):
        helps = (bool(at % 3), at % 2 == 0)
        row["labels"] = {"ann": "tie" if helps[0] == helps[1] else "A" if helps[0] else "B"}
    repo.write(ANCHORS, "".join(json.dumps(row) + "\n" for row in rows))
    done = calibrate(cli)
    assert done["calibration"]["protocol"] == "pairwise-swap"
    assert done["calibration"]["figures"]["position_flips"]["value"] is not None
    better(repo, cli)
    measured = cli.json("eval", "replies", code=None)
    (judge,) = cli.json("show", measured["report"]["digest"])["value"]["judges"].values()
    assert (judge["state"], judge["protocol"]) == ("TRUSTED", "pairwise-swap")
    rows = sheet(cli, "--n", "40")
    assert rows[0]["compared"]
    for row in rows[1:]:
        helps = [
            any(
                word in row[side]["output"]
                for word in ("tap", "number", "days", "Friday", "tomorrow", "night")
            )
            for side in "AB"
        ]
        row["grade"] = "tie" if helps[0] == helps[1] else "A" if helps[0] else "B"
    save(rows)
    done = cli.json("judge", "label", "--read", "labels.jsonl", code=None)
    for baseline, candidate in done["labels"]["cases"].values():
        assert candidate >= 0.5
        assert baseline == 1 - candidate
    assert done["measured"]["report"]["estimates"][0]["estimate"] > 0
    cli("commit", "helpful-judge", "-m", "compare")
    assert "the other compares" in cli("judge", "shift", "helpful-judge", "prod", code=2).err
