"""The whole path as one person walks it: version, measure, promote, roll back."""

import json

import pytest

from tests.support.build import FAILING, UNCLEAR


def worse(repo, cli, text=f"miss {FAILING}"):
    """Commits a worse prompt and returns its digest."""
    repo.prompt(text)
    repo.save(text)
    cli("commit", "-m", text)
    return cli.digest()


def test_a_new_bundle_passes_and_is_served_by_six_commands(tmp_path, monkeypatch, cli):
    from tests.support.build import RepoBuilder

    repo = RepoBuilder(tmp_path)
    repo.git("init", "-q", "-b", "main")
    monkeypatch.chdir(tmp_path)
    assert cli.json("init")["done"]
    assert cli.json("init")["done"] == ["everything was set up already"]
    assert "prompts/orders/bundle.yaml" in cli.json("new", "orders")["written"]
    repo.save()
    cli("commit", "-m", "first")
    assert "verdict: pass" in cli("eval").out
    cli("promote", "prod")
    assert cli.digest("orders@prod") == cli.digest("orders")
    again = cli.json("new", "orders", code=4)
    assert "prompts/orders/bundle.yaml" in again["message"]


def test_committing_twice_makes_one_version(started, cli):
    first = cli.json("commit", "-m", "first")
    refs = started.refs()
    second = cli.json("commit", "-m", "again")
    assert (first["created"], second["created"]) == (True, False)
    assert first["version"] == second["version"]
    assert started.refs() == refs
    assert len(cli.json("log", "support")["versions"]) == 1


def test_committing_touches_neither_branch_nor_index_nor_files(started, cli):
    before = (started.git("rev-parse", "HEAD"), started.git("status", "--porcelain"))
    files = started.state()[1]
    cli("commit", "-m", "first")
    assert (started.git("rev-parse", "HEAD"), started.git("status", "--porcelain")) == before
    assert started.state()[1] == files


def test_commit_says_which_section_changed_and_what_is_served(repo, cli):
    repo.prompt("Say it again.")
    done = cli("commit", "-m", "reword")
    assert "messages ~" in done.out
    assert "model =" in done.out
    assert f"(prod is {cli.digest('support@prod')[:15]})" in done.out


def test_status_shows_what_is_committed_and_what_is_served(repo, cli):
    assert "= working tree" in cli("status").out
    repo.prompt("Say it again.")
    assert "not committed" in cli("status").out
    state = cli.json("status")["bundles"][0]
    assert state["committed"] is False
    assert state["environments"][0]["to"] != state["digest"]


def test_status_goes_on_over_a_manifest_that_cannot_be_read(repo, cli):
    repo.write("prompts/support/bundle.yaml", "llmvc: 1\nkind: app\nname: support\nmodel: [\n")
    found = cli("status")
    assert "cannot be read" in found.out
    assert "prompts/support/bundle.yaml" in found.out
    assert "prod" in found.out


def test_every_spelling_of_a_version_resolves(ready, cli):
    old = cli.digest("support@prod")
    head = ready.git("rev-parse", "--short", "HEAD~1")
    cli("promote", "support", "prod")
    new = cli.digest("support@prod")
    assert old != new
    for spelling, expected in {
        "support": new,
        "@prod": new,
        "support@prod": new,
        "support@prod~1": old,
        "support@prod@{2999-01-01}": new,
        f"support@{old[:11]}": old,
        f"support@{old}": old,
        f"support@git:{head}": old,
        "support@git:main": new,
    }.items():
        assert cli.digest(spelling) == expected, spelling
    assert cli.json("resolve", "support@prod")["release"]["seq"] == 2
    early = cli("resolve", "support@prod@{2020-01-01}", code=4)
    assert "served nothing at 2020-01-01" in early.err


def test_resolve_prints_the_exact_bytes_that_the_digest_is_of(repo, cli):
    from llmvc.core import digest

    data = repo.git("cat-file", "blob", "refs/llmvc/env/support/prod:bundle.json")
    assert digest.of_bytes(data.encode()) == cli.digest("support@prod")


def test_diff_shows_sections_and_text_and_ends_as_asked(repo, cli):
    assert "same bundle" in cli("diff").err
    assert cli("diff", "--exit-code").out == ""
    repo.prompt("Say it again.")
    shown = cli("diff").out
    assert "messages" in shown
    assert "Say it again." in shown
    cli("diff", "--exit-code", code=1)
    change = cli.json("diff", "support@prod", "support")["changes"][0]
    assert change["section"] == "messages"
    assert change["path"] == ["messages", 0, "content"]


def test_checkout_refuses_to_lose_edits_unless_forced(ready, cli):
    path = ready.root / "prompts/support/system.md"
    ready.prompt("An edit that was never committed.")
    before = ready.state()
    refused = cli("checkout", "support@prod", code=4)
    assert "prompts/support/bundle.yaml" in refused.err
    assert "--force" in refused.err
    assert ready.state() == before
    assert cli.json("checkout", "support@prod", "--force")["written"] == [
        "prompts/support/system.md"
    ]
    assert path.read_text() == "Repeat the number.\n"
    assert cli.digest() == cli.digest("support@prod")


def test_show_prints_versions_releases_reports_and_suites(repo, cli):
    tip = cli.json("show", "support@prod")
    assert tip["release"]["kind"] == "promote"
    assert "Repeat the number." in cli("show", "support@prod").out
    report = cli.json("show", tip["release"]["report"][:15])
    assert report["kind"] == "report/1"
    assert cli.json("show", tip["release"]["suite"])["kind"] == "suite/1"
    assert "quality" in cli("show", tip["release"]["report"]).out


def test_log_lists_newest_first_and_as_many_as_asked(ready, cli):
    cli("promote", "prod")
    assert [item["seq"] for item in cli.json("log", "support@prod")["releases"]] == [2, 1]
    assert [item["seq"] for item in cli.json("log", "support@prod", "-n", "1")["releases"]] == [2]
    versions = cli.json("log")["versions"]
    assert [item["message"] for item in versions] == ["reword", "first"]
    assert "[prod]" in cli("log").out


def test_the_gate_says_pass_fail_or_inconclusive_of_a_stored_report(ready, cli):
    reports = {0: cli.json("eval")["report"]["digest"]}
    for code, misses in ((1, FAILING), (3, UNCLEAR)):
        worse(ready, cli, f"miss {misses}")
        reports[code] = cli.json("eval", code=code)["report"]["digest"]
    for code, report in reports.items():
        shown = cli("gate", report, code=code)
        assert "verdict: " + {0: "pass", 1: "fail", 3: "inconclusive"}[code] in shown.out
        assert cli.json("gate", report[:15], code=code)["report"]["digest"] == report


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


def test_a_dry_run_of_migrate_leaves_the_manifest_as_it_was(repo, cli):
    before = repo.state()
    done = cli("migrate", "--model", "fake/fake-2", "--promote", "prod", "--dry-run")
    assert cli.digest("support@prod")[:15] in done.out
    assert cli.json("migrate", "--model", "fake/fake-2", "--dry-run")["moved"] is None
    assert repo.state() == before


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
    assert "--again" in refused.err
    cli("promote", "prod", "--again", code=4)
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


def test_a_migration_changes_the_model_lines_alone_and_carries_its_report(repo, cli):
    done = cli.json("migrate", "--model", "fake/fake-2", "--promote", "prod", "--reason", "cheaper")
    text = (repo.root / "prompts/support/bundle.yaml").read_text()
    assert "# A manifest as people write it: with comments." in text
    assert "provider: fake  # answers from fake.py" in text
    assert "id: fake-2" in text
    assert done["moved"]["release"]["kind"] == "migrate"
    assert done["moved"]["release"]["report"] == done["measured"]["report"]["digest"]
    stored = json.loads(repo.git("cat-file", "blob", "refs/llmvc/env/support/prod:report.json"))
    assert stored["candidate"] == cli.digest("support@prod")
    assert cli.digest() == cli.digest("support@prod")


def test_a_migration_that_fails_leaves_the_environment_alone(repo, cli):
    served = cli.digest("support@prod")
    fake = repo.root / "fake.py"
    fake.write_text(
        fake.read_text().replace("wrong = ", 'wrong = request["model"]["id"] == "bad" or ')
    )
    assert "verdict: fail" in cli("migrate", "--model", "fake/bad", "--promote", "prod", code=1).out
    assert cli.digest("support@prod") == served


def test_a_migration_refuses_uncommitted_edits_and_odd_models(repo, cli):
    assert "PROVIDER/ID" in cli("migrate", "--model", "gpt", code=2).err
    repo.prompt("An edit.")
    before = repo.state()
    assert "not committed" in cli("migrate", "--model", "fake/fake-2", code=4).err
    assert repo.state() == before


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


def test_a_measured_question_is_not_asked_again(ready, cli, tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    monkeypatch.setenv("FAKE_CALLS", str(calls))
    refs = ready.refs()
    assert "stored evidence" in cli("eval").err
    assert "dry run" in cli("eval", "--fresh", "--dry-run").err
    assert not calls.exists()
    assert ready.refs() == refs
    fresh = cli.json("eval", "--fresh")
    assert fresh["calls"]["called"] > 0
    assert len(fresh["report"]["merges"]) == 2
    assert cli.json("eval", "--merge-only")["report"]["digest"] == fresh["report"]["digest"]


def test_what_is_served_already_needs_no_measurement(repo, cli):
    done = cli("eval")
    assert "nothing to compare" in done.err
    assert cli.json("eval")["report"] is None


def test_fsck_and_doctor_find_nothing_wrong_and_say_what_is(repo, cli):
    assert cli.json("fsck")["problems"] == []
    assert {item["state"] for item in cli.json("doctor")["findings"]} <= {"ok", "hint"}
    tree = repo.git("rev-parse", "refs/llmvc/env/support/prod^{tree}")
    forged = repo.git("commit-tree", tree, "-p", "refs/llmvc/env/support/prod", "-m", "forged")
    repo.git("update-ref", "refs/llmvc/env/support/prod", forged)
    problems = cli.json("fsck", code=4)["problems"]
    assert any("refs/llmvc/env/support/prod" in item["where"] for item in problems)
    (repo.root / ".llmvc/config.yaml").write_text("llmvc: 1\nbundles: [\n")
    bad = [item for item in cli.json("doctor", code=4)["findings"] if item["state"] == "bad"]
    assert any(".llmvc/config.yaml" in item["what"] for item in bad)


def test_git_diff_shows_a_manifest_in_canonical_order(repo, cli, tmp_path, monkeypatch):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    import sys

    script = bin_folder / "llmvc"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m llmvc "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
    import os

    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    path = repo.root / "prompts/support/bundle.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:1], lines[2], lines[1], *lines[3:]]))
    assert repo.git("diff") == ""
    path.write_text(path.read_text().replace("max_output_tokens: 8", "max_output_tokens: 9"))
    shown = repo.git("diff")
    assert "max_output_tokens: 9" in shown
    assert "max_output_tokens: 8" in shown
