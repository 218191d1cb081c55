"""Moves of an environment: promote, adopt, rollback, override and ship."""

import pytest

from tests.cli.conftest import worse
from tests.support.build import FAILING, UNCLEAR


def test_promote_refuses_what_failed_what_is_unclear_and_what_was_never_measured(repo, cli):
    for code, misses in ((1, FAILING), (3, UNCLEAR)):
        worse(repo, cli, f"miss {misses}")
        before = repo.refs()
        unmeasured = cli("promote", "prod", code=3)
        assert "no evidence" in unmeasured.err
        assert "llmvc eval" in unmeasured.err
        cli("eval", code=code)
        assert "report b3:" in cli("promote", "prod", code=code).err
        env = "refs/llmvc/env/support/prod"
        assert repo.refs()[env] == before[env]


def test_promote_refuses_a_working_tree_that_is_no_version(repo, cli):
    repo.prompt("Say it again.")
    refused = cli("promote", "prod", code=4)
    assert "is not a committed version" in refused.err
    assert "llmvc commit support" in refused.err


def test_promoting_what_is_served_writes_nothing(repo, cli):
    refs = repo.refs()
    assert "nothing to do" in cli("promote", "prod").out
    assert cli.json("promote", "prod")["written"] is False
    assert repo.refs() == refs


@pytest.mark.parametrize(
    "command",
    [
        ("promote", "support", "prod", "--dry-run"),
        ("override", "support", "prod", "--reason", "old model shut down", "--dry-run"),
        ("ship", "support", "prod", "--dry-run"),
    ],
)
def test_a_dry_run_prints_both_digests_and_writes_nothing(ready, cli, command):
    before = ready.state()
    done = cli(*command)
    assert cli.digest("support@prod")[:15] in done.out
    assert cli.digest("support")[:15] in done.out
    cli.json(*command)
    assert ready.state() == before


def test_a_dry_run_of_rollback_and_of_the_first_release_writes_nothing(ready, cli):
    old = cli.digest("support@prod")
    cli("promote", "prod")
    before = ready.state()
    done = cli("rollback", "prod", "--dry-run")
    assert old[:15] in done.out
    assert "dry run" in done.out
    first = cli.json("promote", "staging", "--adopt", "--reason", "runs there", "--dry-run")
    assert (first["written"], first["release"]["kind"]) == (False, "adopt")
    assert ready.state() == before


def test_the_first_release_may_be_adopted_with_a_reason(started, cli):
    cli("commit")
    assert "--reason" in cli("promote", "prod", "--adopt", code=2).err
    done = cli("promote", "prod", "--adopt", "--reason", "serves since May")
    assert "UNPROVEN" in done.out
    assert "adopt" in cli("log", "support@prod").out
    again = cli("promote", "prod", "--adopt", "--reason", "again", code=2)
    assert "override" in again.err


def test_an_inconclusive_report_needs_a_reason_and_is_shown_as_unproven(repo, cli):
    worse(repo, cli, f"miss {UNCLEAR}")
    cli("eval", code=3)
    cli("promote", "prod", "--accept-inconclusive", code=2)
    done = cli("promote", "prod", "--accept-inconclusive", "--reason", "fixes a legal issue")
    assert "UNPROVEN" in done.out
    assert "UNPROVEN" in cli("log", "support@prod").out
    assert "UNPROVEN" in cli("status").out


def test_a_fail_cannot_be_accepted_as_inconclusive(repo, cli):
    worse(repo, cli)
    cli("eval", code=1)
    cli("promote", "prod", "--accept-inconclusive", "--reason", "please", code=1)


def test_a_suite_with_more_cases_is_accepted_and_shown(ready, cli):
    ready.cases(26)
    cli("eval")
    assert "suite +2" in cli("promote", "prod").out


def test_a_loosened_suite_must_be_accepted_by_its_digest(ready, cli):
    path = ready.root / "evals/support/suite.yaml"
    path.write_text(path.read_text().replace("margin: 0.25", "margin: 0.3"))
    suite = cli.json("eval")["report"]["suite"]
    refused = cli("promote", "prod", code=4)
    assert suite[:15] in refused.err
    cli("promote", "prod", "--accept-suite", "b3:00000000", code=4)
    assert "suite replaced" in cli("promote", "prod", "--accept-suite", suite[:15]).out
    assert cli.json("log", "support@prod")["releases"][0]["suite"] == suite


def test_what_was_rolled_back_returns_only_again_and_with_a_reason(ready, cli):
    cli("promote", "prod")
    cli("rollback", "prod", "--reason", "refund tone")
    refused = cli("promote", "prod", code=4)
    assert "was rolled back" in refused.err
    assert "llmvc promote support prod --again" in refused.err
    cli("promote", "prod", "--again", code=2)
    cli("promote", "prod", "--again", "--reason", "it was the cache")
    assert cli.json("log", "@prod")["releases"][0]["rolled_back"] == []


def three_releases(repo, cli):
    """Promotes two more versions; returns the digests served, oldest first."""
    served = [cli.digest("support@prod")]
    for text in ("Second.", "Third."):
        repo.prompt(text)
        cli("commit", "-m", text)
        cli("eval")
        cli("promote", "prod")
        served.append(cli.digest("support@prod"))
    return served


def test_rolling_back_twice_goes_further_back_and_then_says_so(repo, cli):
    first, second, _ = three_releases(repo, cli)
    cli("rollback", "prod")
    assert cli.digest("support@prod") == second
    cli("rollback", "prod", "--reason", "still bad")
    assert cli.digest("support@prod") == first
    refs = repo.refs()
    end = cli("rollback", "prod", code=4)
    assert "llmvc override" in end.err
    assert repo.refs() == refs
    assert cli.json("log", "@prod")["releases"][0]["proven"] is True


def test_rollback_goes_to_a_named_version_if_it_was_released(repo, cli):
    first, second, _ = three_releases(repo, cli)
    cli("rollback", "support@prod~2", "prod")
    assert cli.digest("support@prod") == first
    cli("rollback", f"support@{second[:15]}", "prod")
    assert cli.digest("support@prod") == second
    assert cli.json("rollback", f"support@{second[:15]}", "prod")["written"] is False
    repo.prompt("Never released.")
    cli("commit")
    never = cli("rollback", f"support@{cli.digest()[:15]}", "prod", code=4)
    assert "was never released in support/prod" in never.err


def test_rollback_needs_no_config_and_no_store(ready, cli):
    old = cli.digest("support@prod")
    cli("promote", "prod")
    (ready.root / ".llmvc/config.yaml").write_text("{{{")
    ready.git("update-ref", "-d", "refs/llmvc/store")
    cli("rollback", "prod")
    assert cli.digest("support@prod") == old
    cli("log", "support@prod")


def test_override_serves_without_evidence_and_says_so(repo, cli):
    worse(repo, cli)
    assert "--reason" in cli("override", "support", "prod", code=2).err
    done = cli("override", "support", "prod", "--reason", "provider shut the old model down")
    assert "UNPROVEN" in done.out
    assert "provider shut the old model down" in cli("log", "@prod").out


def test_ship_stops_where_it_does_not_pass_and_goes_on_where_it_stopped(
    repo, cli, tmp_path, monkeypatch
):
    calls = tmp_path / "calls"
    monkeypatch.setenv("FAKE_CALLS", str(calls))
    served = cli.digest("support@prod")
    repo.prompt(f"miss {FAILING}")
    assert cli.json("ship", "prod", code=1)["moved"] is None
    assert cli.digest("support@prod") == served
    repo.prompt("Say it again.")
    done = cli.json("ship", "prod", "-m", "reword")
    assert done["committed"]["created"] is True
    assert done["moved"]["written"] is True
    made = calls.read_text().count("call")
    again = cli.json("ship", "prod", "-m", "reword")
    assert again["committed"]["created"] is False
    assert again["moved"]["written"] is False
    assert calls.read_text().count("call") == made
