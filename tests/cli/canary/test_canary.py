"""A canary from start to end, and everything that it refuses."""

import json

import pytest

from llmvc.core.bucket import bucket
from tests.cli.conftest import worse
from tests.support.build import FAILING, UNCLEAR
from tests.support.canary import PLAN, WITH_CANARY, judged, kinds

CANARY = "refs/llmvc/env/support/canary"
PROD = "refs/llmvc/env/support/prod"


def test_a_canary_goes_from_start_to_prod_and_the_log_tells_the_story(opened, cli):
    candidate, served = cli.digest("support"), cli.digest("support@prod")
    prod = opened.refs()[PROD]
    started = cli.json("log", "support@canary")["releases"][0]
    assert (started["kind"], started["canary"]["share_ppm"], started["to"]) == (
        "start",
        50_000,
        candidate,
    )
    judged(opened.root)
    cli("canary", "step")
    assert cli.json("canary", "status")["release"]["canary"]["share_ppm"] == 250_000
    assert opened.refs()[PROD] == prod, "prod moves by the promote alone"
    judged(opened.root)
    done = cli.json("canary", "promote")
    assert (done["served"]["release"]["kind"], done["closed"]["release"]["kind"]) == (
        "promote",
        "close",
    )
    assert cli.digest("support@prod") == candidate != served
    assert kinds(cli) == ["start", "step", "close"]
    salts = {item["canary"]["salt"] for item in cli.json("log", "@canary")["releases"][1:]}
    assert len(salts) == 1
    told = cli("log", "support@canary").out
    assert f"step   {candidate[:15]}  5% -> 25%" in told
    assert "analysis b3:" in told
    assert "no canary is open; release 3 promoted the last one" in cli("canary", "status").out
    assert cli.json("fsck")["problems"] == []


def test_the_evidence_of_a_step_lies_in_its_own_commit(opened, cli):
    made = judged(opened.root)
    cli("canary", "step")
    assert opened.git("cat-file", "blob", f"{CANARY}:report.json") == made.to_bytes().decode()


def test_a_start_needs_the_evidence_of_a_promote(ready, cli):
    for code, misses in ((1, FAILING), (3, UNCLEAR)):
        worse(ready, cli, f"miss {misses}")
        assert "no evidence" in cli("canary", "start", "support", code=3).err
        cli("eval", "--env", "prod", code=code)
        cli("canary", "start", "support", code=code)
        assert CANARY not in ready.refs()
    accepted = ("--accept-inconclusive", "--reason", "a share is a small risk")
    cli("canary", "start", "support", *accepted)
    assert "UNPROVEN" in cli("log", "@canary").out
    assert cli.json("fsck")["problems"] == []


def test_what_prod_demands_binds_its_canary_too(ready, cli):
    strict = WITH_CANARY.replace("prod: {}", "prod: {allow_inconclusive: false}")
    worse(ready, cli, f"miss {UNCLEAR}")
    ready.write(".llmvc/config.yaml", strict)
    cli("eval", "--env", "prod", code=3)
    accepted = ("--accept-inconclusive", "--reason", "a share is a small risk")
    refused = cli("canary", "start", "support", *accepted, code=3)
    assert "policy does not accept" in refused.err
    ready.write(
        ".llmvc/config.yaml", WITH_CANARY.replace("prod: {}", "prod: {source_branch: other}")
    )
    assert "other" in cli("canary", "start", "support", *accepted, code=4).err
    assert CANARY not in ready.refs()


def both(told):
    """Demands that both records are shown."""
    assert "support/canary release" in told
    assert "support/prod release" in told


def test_a_canary_over_a_canary_is_refused_with_both_records_shown(opened, cli):
    before = opened.refs()
    refused = cli("canary", "start", "support", code=4)
    assert "a canary is open already" in refused.err
    both(refused.err)
    assert opened.refs() == before


IMPOSSIBLE = [
    (("start", "support@b3:00000000"), 4, "no stored bundle has the digest"),
    (("start", "support@prod"), 4, "serves already"),
    (("start", "support", "prod"), 4, "prod is not configured to hold canaries"),
    (("start", "support", "nowhere"), 4, "environment 'nowhere' is not in"),
    (("start", "support", "--of", "staging"), 4, "no environment is configured"),
    (("step",), 4, "no canary was started yet"),
    (("promote",), 4, "no canary was started yet"),
    (("status", "support@canary"), 4, "no canary of support was started in canary"),
    (("status", "support@prod"), 4, "no canary of support was started in prod"),
    (("status", "support@b3:00000000"), 2, "is no environment"),
    (("abort",), 2, "--reason"),
    (("explain", "u1"), 4, "no canary was started yet"),
    (("plan", "support@b3:00000000", "--traffic", "9"), 2, "is no environment"),
]


def test_what_cannot_be_is_refused_before_anything_moves(ready, cli):
    before = ready.refs()
    for arguments, code, said in IMPOSSIBLE:
        assert said in cli("canary", *arguments, code=code).err
        assert ready.refs() == before


def test_a_version_that_was_never_committed_or_was_rolled_back_does_not_start(ready, cli):
    ready.prompt("Say it thrice.")
    assert "is not a committed version" in cli("canary", "start", "support", code=4).err
    cli("commit", "-m", "thrice")
    cli("override", "support", "prod", "--reason", "try")
    cli("rollback", "prod", "--reason", "no")
    refused = cli("canary", "start", "support", code=4)
    assert "was rolled back from support/prod" in refused.err
    assert CANARY not in ready.refs()


def test_a_canary_of_what_was_never_released_is_refused(started, cli):
    started.write(".llmvc/config.yaml", WITH_CANARY)
    cli("commit", "-m", "first")
    refused = cli("canary", "start", "support", code=4)
    assert "nothing was released in the environment" in refused.err


def test_a_measurement_against_the_canary_itself_is_refused_and_says_against_what(ready, cli):
    refused = cli("eval", "support", "--env", "canary", code=4).err
    assert "canary holds canaries of prod: they are measured against what prod serves" in refused
    assert "-> --env prod" in refused


def test_an_aborted_candidate_is_revoked_and_returns_only_with_a_reason(opened, cli):
    candidate, served = cli.digest("support"), cli.digest("support@prod")
    cli("canary", "abort", "--reason", "odd answers")
    assert kinds(cli) == ["start", "abort"]
    ended = cli.json("log", "@canary")["releases"][0]
    assert (ended["to"], ended["rolled_back"], ended["canary"]) == (served, [candidate], None)
    assert "was rolled back from support/canary" in cli("canary", "start", "support", code=4).err
    cli("canary", "start", "support", "--again", "--reason", "it was the network")
    again = cli.json("log", "@canary")["releases"]
    assert again[0]["rolled_back"] == []
    assert again[0]["canary"]["salt"] != again[2]["canary"]["salt"], "a new rollout, a new draw"
    assert cli.json("fsck")["problems"] == []


def test_a_step_without_an_analysis_is_refused(opened, cli):
    before = opened.refs()
    refused = cli("canary", "step", code=3)
    assert "no look at release 1 of support/canary was taken" in refused.err
    assert "llmvc canary analyze" in refused.err
    assert opened.refs() == before


def test_a_step_on_an_analysis_that_does_not_pass_is_refused(opened, cli):
    env = opened.refs()[CANARY]
    for look, (verdict, code) in enumerate((("inconclusive", 3), ("invalid", 3), ("fail", 1)), 1):
        made = judged(opened.root, verdict, look=look)
        refused = cli("canary", "step", code=code)
        assert made.digest[:15] in refused.err
        assert f"says {verdict}" in refused.err
        assert opened.refs()[CANARY] == env


def test_what_was_shown_to_be_worse_is_not_outvoted_by_a_later_look(opened, cli):
    judged(opened.root, "fail")
    judged(opened.root, "pass", look=2)
    assert "says fail" in cli("canary", "step", code=1).err


def test_a_pass_stands_whatever_a_later_look_cannot_tell_but_not_after_an_invalid_one(opened, cli):
    passed = judged(opened.root, "pass")
    judged(opened.root, "inconclusive", look=2)
    assert f"analysis {passed.digest[:15]}" in cli("canary", "step", "--dry-run").out
    assert "llmvc canary step" in cli("canary", "status").out
    judged(opened.root, "invalid", look=3)
    assert "says invalid" in cli("canary", "step", "--analysis", passed.digest, code=3).err


def test_a_pass_that_somebody_filed_by_hand_lets_no_canary_on(opened, cli):
    made = judged(opened.root, guardrails=())
    judged(opened.root, look=99)
    assert "no look at release 1" in cli("canary", "step", code=3).err
    bundle = cli.digest("support")
    assert "is no analysis" in cli("canary", "step", "--analysis", bundle, code=4).err
    refused = cli("canary", "step", "--analysis", made.digest, code=3)
    assert "its guardrails are not the plan's" in refused.err
    assert cli.json("canary", "status")["analysis"] is None
    assert kinds(cli) == ["start"]


def test_an_analysis_of_the_step_before_says_nothing_about_this_one(opened, cli):
    old = judged(opened.root)
    cli("canary", "step")
    assert "no look at release 2" in cli("canary", "promote", code=3).err
    refused = cli("canary", "promote", "--analysis", old.digest, code=3)
    assert "is about release 1" in refused.err


def test_the_last_step_goes_no_further_and_no_promote_comes_before_it(opened, cli):
    judged(opened.root)
    assert "25% is next" in cli("canary", "promote", code=4).err
    cli("canary", "step")
    judged(opened.root)
    assert "25% is the plan's last step" in cli("canary", "step", code=4).err


def test_a_pause_keeps_the_share_and_a_step_ends_it(opened, cli):
    cli("canary", "pause", "--reason", "lunch")
    assert "PAUSED" in cli("canary", "status").out
    assert cli.json("canary", "pause")["written"] is False
    judged(opened.root)
    cli("canary", "step")
    assert kinds(cli) == ["start", "pause", "step"]
    assert cli.json("fsck")["problems"] == []


@pytest.mark.parametrize(
    ("said", "look", "anew"),
    [
        ("invalid", 1, True),
        ("inconclusive", 3, True),
        ("inconclusive", 2, False),
        ("pass", 3, False),
        (None, 0, False),
    ],
)
def test_a_pause_over_a_pause_begins_a_new_count_where_the_old_one_ended_without_an_answer(
    opened, cli, said, look, anew
):
    cli("canary", "pause")
    if said:
        judged(opened.root, said, look=look)
    again = cli.json("canary", "pause", "--reason", "the collector is mended")
    assert again["written"] is anew
    assert kinds(cli) == ["start", "pause", *["pause"] * anew]
    if not anew:
        return
    assert "no look at release 3" in cli("canary", "step", code=3).err
    judged(opened.root)
    cli("canary", "step")
    assert cli.json("fsck")["problems"] == []


def test_a_pause_takes_nothing_back_that_was_shown_to_be_worse(opened, cli):
    judged(opened.root, "fail")
    cli("canary", "pause")
    judged(opened.root)
    refused = cli("canary", "step", code=1)
    assert "of release 1 of support/canary says fail" in refused.err
    assert "canary abort" in cli.json("canary", "status")["next"]


def test_nor_does_a_pause_over_a_pause(opened, cli):
    cli("canary", "pause")
    judged(opened.root, "fail")
    judged(opened.root, "invalid", look=2)
    cli("canary", "pause")
    judged(opened.root)
    assert "of release 2 of support/canary says fail" in cli("canary", "step", code=1).err


def test_what_failed_at_an_earlier_share_or_in_an_earlier_canary_stands_in_nobodys_way(opened, cli):
    judged(opened.root)
    cli("canary", "step")
    judged(opened.root, "fail")
    cli("canary", "abort", "--reason", "it failed")
    cli("canary", "start", "support", "--again", "--reason", "mended outside of the bundle")
    cli("canary", "pause")
    judged(opened.root)
    cli("canary", "step")


def test_once_prod_has_moved_the_canary_is_void_and_can_only_be_aborted(opened, cli):
    baseline = cli.digest("support@prod")
    judged(opened.root)
    worse(opened, cli, "Another wording.")
    cli("override", "support", "prod", "--reason", "hotfix")
    before = opened.refs()
    for verb in ("step", "promote"):
        refused = cli("canary", verb, code=3)
        assert "the canary is void" in refused.err
        both(refused.err)
    assert "prod has moved since" in cli.json("canary", "status")["void"]
    assert "VOID" in cli("canary", "status").out
    moved = cli.json("log", "@prod")["releases"][0]
    head = cli("canary", "explain", "u1").out.splitlines()[0]
    assert head.endswith(f" until {moved['time']}, then prod  {moved['to'][:15]}")
    assert "VOID: prod has moved since" in cli("status").out
    assert opened.refs() == before
    cli("canary", "abort", "--reason", "void")
    assert cli.digest("support@canary") == baseline
    assert cli.json("canary", "explain", "u1")["digest"] == cli.digest("support@prod")
    assert cli.json("fsck")["problems"] == []


def test_a_promote_that_was_killed_half_way_is_finished_by_the_next(opened, cli, monkeypatch):
    from llmvc.app.canary import moving

    judged(opened.root)
    cli("canary", "step")
    judged(opened.root)
    whole = moving._move
    monkeypatch.setattr(moving, "_move", lambda *_, **__: 1 / 0)
    cli("canary", "promote", code=70)
    assert kinds(cli) == ["start", "step"]
    assert cli.digest("support@prod") == cli.digest("support@canary")
    assert "llmvc canary promote" in cli("canary", "status").out
    assert "serves the candidate already" in cli("canary", "abort", "--reason", "x", code=4).err
    monkeypatch.setattr(moving, "_move", whole)
    prod = opened.refs()[PROD]
    done = cli.json("canary", "promote")
    assert (done["served"]["written"], done["closed"]["written"]) == (False, True)
    assert (kinds(cli), opened.refs()[PROD]) == (["start", "step", "close"], prod)
    assert "no canary is open" in cli("canary", "promote", code=4).err


def test_a_canarys_environment_moves_by_canaries_alone(opened, cli):
    before = opened.refs()
    for command in (
        ("promote", "support", "canary"),
        ("override", "support", "canary", "--reason", "x"),
        ("rollback", "support", "canary"),
    ):
        assert "canar" in cli(*command, code=4).err
        assert opened.refs() == before


def test_an_environment_with_releases_of_its_own_takes_no_canary(ready, cli):
    ready.write(".llmvc/config.yaml", WITH_CANARY.replace(PLAN, "  canary: {}\n"))
    cli("override", "support", "canary", "--reason", "as a stage")
    ready.write(".llmvc/config.yaml", WITH_CANARY)
    refused = cli("canary", "start", "support", code=4)
    assert "has releases of its own" in refused.err


def test_two_canaries_of_one_environment_are_refused(opened, cli):
    second = PLAN.replace("  canary:\n    canary:", "  second:\n    canary:", 1)
    opened.write(".llmvc/config.yaml", WITH_CANARY.replace(PLAN, PLAN + second))
    refused = cli("canary", "start", "support", "second", code=4)
    assert "a canary is open already, in canary" in refused.err
    assert "which environment?" in cli("canary", "start", "support", code=2).err


def test_a_unit_is_explained_for_every_release_from_a_clone(opened, cli, tmp_path):
    judged(opened.root)
    cli("canary", "step")
    cli("canary", "abort", "--reason", "enough")
    salt = cli.json("log", "@canary")["releases"][1]["canary"]["salt"]
    units = [f"u{number}" for number in range(400)]
    inside = next(unit for unit in units if bucket(salt, unit) < 50_000)
    later = next(unit for unit in units if 50_000 <= bucket(salt, unit) < 250_000)
    never = next(unit for unit in units if bucket(salt, unit) >= 250_000)
    candidate, served = cli.digest("support"), cli.digest("support@prod")
    for unit, arms in (
        (inside, ("canary", "canary", "baseline")),
        (later, ("baseline", "canary", "baseline")),
        (never, ("baseline", "baseline", "baseline")),
    ):
        for seq, arm in enumerate(arms, start=1):
            found = cli.json("canary", "explain", unit, "support@canary", "--at", str(seq))
            assert (found["arm"], found["digest"]) == (
                arm,
                candidate if arm == "canary" else served,
            )
            if seq < 3:
                assert (found["bucket"], found["salt"]) == (bucket(salt, unit), salt)
                assert found["beside"]["to"] == served
    worse(opened, cli, "Another wording.")
    cli("override", "support", "prod", "--reason", "after the canary had ended")
    assert cli.json("canary", "explain", inside, "--at", "1")["left"] is None
    assert cli.json("canary", "explain", inside)["digest"] == cli.digest("support@prod")
    told = cli("canary", "explain", inside, "--at", "1").out
    assert "of 1,000,000, < 50,000 (5%)" in told
    assert "not empty" in cli("canary", "explain", "", code=2).err
    assert "none has number 9" in cli("canary", "explain", inside, "--at", "9", code=4).err


def test_status_shows_every_open_canary_beside_what_it_tries(opened, cli):
    assert "start 5% of prod" in cli("status").out
    (found,) = cli.json("status")["bundles"]
    by_env = {item["env"]: item for item in found["environments"]}
    assert (by_env["canary"]["of"], by_env["canary"]["share_ppm"]) == ("prod", 50_000)
    assert by_env["prod"]["share_ppm"] is None


def test_a_dry_run_moves_nothing(ready, cli):
    before = ready.refs()
    assert "dry run" in cli("canary", "start", "support", "--dry-run").out
    assert ready.refs() == before
    cli("canary", "start", "support")
    judged(ready.root)
    before = ready.refs()
    for arguments in (("step",), ("pause",), ("abort", "--reason", "x")):
        cli("canary", *arguments, "--dry-run")
    assert ready.refs() == before


def test_no_canary_verb_but_start_and_promote_reads_the_configuration(opened, cli):
    judged(opened.root)
    opened.write(".llmvc/config.yaml", "llmvc: [")
    cli("canary", "status", "support@canary")
    cli("canary", "step")
    cli("canary", "pause")
    cli("canary", "explain", "u1", "support@canary")
    cli("canary", "abort", "--reason", "bad day")


def test_the_records_follow_the_published_schema(opened, cli):
    from tests.support.cli import validator

    judged(opened.root)
    cli("canary", "step")
    cli("canary", "pause")
    cli("canary", "abort", "--reason", "x")
    for commit in opened.git("rev-list", CANARY).split():
        record = json.loads(opened.git("cat-file", "blob", f"{commit}:release.json"))
        validator("urn:llmvc:schema:release:1").validate(record)
