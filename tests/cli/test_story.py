"""The whole path as one person walks it: version, measure, promote, roll back."""

from tests.cli.conftest import worse
from tests.support.build import FAILING, UNCLEAR


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


def test_diff_names_each_side_as_it_was_asked_for_and_each_digest_once(ready, cli):
    cli("promote", "prod")
    first, second = (cli.digest(f"support@prod{back}")[:15] for back in ("~1", ""))
    head = cli("diff", "support@prod~1", "support@prod").out.splitlines()[0]
    assert head == f"support@prod~1 {first} -> support@prod {second}"
    head = cli("diff", f"support@{first}", "support").out.splitlines()[0]
    assert head == f"support@{first} -> support {second}"


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


def test_a_measured_question_is_not_asked_again(ready, cli, tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    monkeypatch.setenv("FAKE_CALLS", str(calls))
    refs = ready.refs()
    assert "stored evidence" in cli("eval").err
    assert "answers this already" in cli("eval", "--fresh", code=3).err
    assert not calls.exists()
    assert ready.refs() == refs


def test_a_question_decided_early_says_what_was_saved_and_is_not_asked_again(ready, cli):
    ready.two_looks()
    first = cli("eval")
    assert "decided at look 1 of 2: 4 calls saved" in first.err
    assert "stored evidence" in cli("eval").err
    assert "answers this already" in cli("eval", "--fresh", code=3).err


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
