"""Rules on single cases, slices and declared increases, from the suite file to promote."""

import json

from tests.cli.test_looks import EARLY, candidate, served, written

RECORD = "refs/llmvc/env/support/prod:release.json"
SAFE = "  - {name: safe, type: not-contains, value: wrong}\n"


def test_a_new_severe_failure_is_cleared_by_a_person_and_by_nothing_else(started, cli):
    severe = "  leaks: {kind: severe, scorers: [safe]}\n"
    served(started, cli, metrics=severe, scorers=SAFE, cases=60)
    wanted = candidate(started, cli, "miss 2")
    done = cli.json("eval", code=3)
    assert done["report"]["estimates"][1]["cases"] == {"severe": ["c000", "c001"]}
    assert [item["verdict"] for item in done["verdict"]["metrics"]] == ["pass", "inconclusive"]
    assert done["verdict"]["reason"].startswith("leaks: 2 cases failed severely")
    assert "c000, c001" in cli("promote", "prod", code=3).err
    please = ("--reason", "looked at them")
    refused = cli("promote", "prod", "--accept-inconclusive", *please, code=3)
    assert "case c000 failed severely" in refused.err
    assert cli("promote", "prod", "--clear-severe", "c000,c001", code=2).code == 2
    cli("promote", "prod", "--clear-severe", "c000", *please, code=3)
    cli("promote", "prod", "--clear-severe", "c000", "--accept-inconclusive", *please, code=3)
    assert cli.digest("support@prod") != wanted
    moved = cli.json("promote", "prod", "--clear-severe", "c000,c001", *please)
    assert moved["release"]["reason"] == "looked at them (severe failures cleared: c000, c001)"
    assert moved["release"]["proven"] is True
    assert (
        json.loads(started.git("cat-file", "blob", RECORD))["reason"]
        == (moved["release"]["reason"])
    )
    # What is served fails there too now: it is not new any more.
    candidate(started, cli, "miss 2 again")
    assert cli.json("eval")["verdict"]["verdict"] == "pass"


def test_a_case_that_must_pass_fails_the_candidate(started, cli):
    tags = {0: ["safety"], 7: ["safety"]}
    served(started, cli, metric=", must_pass: [safety]", tags=tags)
    candidate(started, cli, "miss 1")
    done = cli.json("eval", code=1)
    assert done["verdict"]["reason"] == "quality: 1 case must pass and did not: c000"
    assert done["report"]["estimates"][0]["cases"] == {"must_pass": ["c000"]}
    assert "must pass and did not" in cli("promote", "prod", code=1).err
    cli("promote", "prod", "--accept-inconclusive", "--reason", "please", code=1)


def test_an_eval_does_not_end_before_every_case_that_must_pass_was_asked(started, cli):
    # The case that breaks the rule may come last: no early look may pass without it.
    tags = {n: ["safety"] for n in range(0, 40, 2)}
    more = EARLY
    served(started, cli, more, metric=", must_pass: [safety]", tags=tags)
    candidate(started, cli, "Say the number again.")
    done = cli("eval")
    assert "calls saved" not in done.err
    assert cli.json("eval")["report"]["cases"] == 40


def test_slices_are_watched_and_shown_and_gate_when_they_are_told_to(started, cli):
    tags = {n: ["de"] if n < 20 else ["en"] for n in range(60)}
    served(started, cli, metric=", slices: [de, en]", tags=tags, cases=60)
    candidate(started, cli, "miss 9")
    watched = cli.json("eval", code=None)
    names = {item["metric"]: item for item in watched["verdict"]["metrics"]}
    assert list(names) == ["quality", "quality/de", "quality/en"]
    assert [item["gate"] for item in names.values()] == [True, False, False]
    assert (names["quality/de"]["verdict"], names["quality/en"]["verdict"]) == ("fail", "pass")
    shown = cli("eval", code=None).out
    assert "quality/de" in shown
    assert "0.550" in shown
    gating = ", slices: {de: {gate: true}, en: {}}"
    written(started, metric=gating, tags=tags, cases=60)
    done = cli.json("eval", code=1)
    assert "quality/de: " in done["verdict"]["reason"]
    assert "quality: " not in done["verdict"]["reason"]


def test_an_increase_that_is_meant_stands_beside_its_limit(started, cli):
    cost = '  cost: {limit: 1.5, meant: "longer answers", gate: false}\n'
    served(started, cli, metrics=cost, cases=60)
    candidate(started, cli, "Say the number again.")
    done = cli.json("eval")
    rules = [item["rule"] for item in done["verdict"]["metrics"]]
    assert rules == ["margin -0.25", "limit x1.50 (meant: longer answers)"]
    assert "meant: longer answers" in cli("eval").out
