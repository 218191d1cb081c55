"""A migration to the family of the judge: told in the plan, inconclusive without labels."""

import json
from pathlib import Path

from llmvc.core.migration import Migration
from tests.support.judges import JUDGE, calibrate, filled, swap


def test_a_judge_of_the_targets_family_is_told_and_labels_settle_it(repo, cli):
    swap(repo, JUDGE, "family: stand-in ", "family: writer ")
    calibrate(cli)
    cli("override", "replies", "staging", "--reason", "runs there")
    command = ("migrate", "replies", "--model", "writer/writer-2", "--env", "staging")
    planned = cli.json(*command, "--plan")
    (judge,) = planned["record"]["judges"]
    assert (judge["kin"], judge["state"]) == (True, None)
    assert "judge-family-migrating" in judge["warnings"]
    told = [one["says"] for one in planned["record"]["findings"] if one["part"] == "judges"]
    assert any("inconclusive" in says and "llmvc judge label" in says for says in told)
    assert planned["calls"]["judge_calls"] > 0
    done = cli.json(*command, code=3)
    assert done["record"]["verdict"] == "inconclusive"
    assert done["record"]["judges"][0]["state"] == "TRUSTED"
    cli("judge", "label", done["record"]["report"], "--n", "60", "--out", "labels.jsonl")
    filled([json.loads(line) for line in Path("labels.jsonl").read_text().splitlines()])
    read = cli.json("judge", "label", "--read", "labels.jsonl", code=None)
    assert read["measured"]["verdict"]["verdict"] in ("pass", "inconclusive")
    accept = ("--accept-inconclusive", "--reason", "labels say the same")
    released = cli.json("promote", "replies", "staging", *accept)["release"]
    data = repo.git("cat-file", "blob", "refs/llmvc/env/replies/staging:migration.json")
    record = Migration.from_bytes(data.encode())
    assert record.about(released["from"], released["to"], released["report"])
    assert record.report == read["measured"]["report"]["digest"] != done["record"]["report"]
    assert cli.json("fsck")["problems"] == []


def test_a_judge_is_moved_by_its_anchors_and_not_by_a_suite(repo, cli):
    before = repo.state()
    refused = cli("migrate", "helpful-judge", "--model", "judge/judge-2", code=2)
    assert "llmvc judge calibrate helpful-judge" in refused.err
    assert repo.state() == before
