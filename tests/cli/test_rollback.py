"""What a rollback does beyond its move: pins, the safe version, snapshots, the fleet."""

import json

import pytest

from llmvc.runtime.heart import Heart
from tests.cli.conftest import worse
from tests.serving.build import tips
from tests.store.build import git
from tests.support.build import remote_at
from tests.support.canary import WITH_CANARY
from tests.support.cli import child

PROD = "refs/llmvc/env/support/prod"
SAFE = """\
llmvc: 1
kind: app
name: sorry
model: {provider: canned, id: none}
messages: [{role: assistant, content: "We are having trouble. Please call us."}]
"""


def override(cli, repo, text):
    """Releases a version without evidence, and returns its digest."""
    repo.prompt(text)
    cli("commit", "support", "-m", text)
    found = cli.digest()
    cli("override", "support", "prod", "--reason", "a test")
    return found


def pointer(top):
    return json.loads((top / "snapshot.json").read_bytes())


@pytest.fixture
def served(repo, tmp_path):
    """The folder that Git's configuration names as snapshot."""
    top = tmp_path / "served"
    repo.git("config", "llmvc.snapshot", str(top))
    return top


def test_a_rollback_writes_the_snapshot_at_once(repo, cli, served):
    bad = override(cli, repo, "bad")
    assert pointer(served)["environments"]["support"]["prod"]["seq"] == 2
    assert bad in pointer(served)["bundles"]["support"]
    done = cli("rollback", "prod")
    assert f"snapshot written to {served}" in done.out
    assert pointer(served)["environments"]["support"]["prod"]["seq"] == 3
    assert bad not in pointer(served)["bundles"]["support"]


def test_a_dry_run_writes_no_snapshot(repo, cli, served):
    override(cli, repo, "bad")
    before = pointer(served)
    cli("rollback", "prod", "--dry-run")
    assert pointer(served) == before


def test_conversations_may_finish_if_the_rollback_lets_them(repo, cli, served):
    bad = override(cli, repo, "bad")
    release = cli.json("rollback", "prod", "--drain")["release"]
    assert (release["rolled_back"], release["drain"]) == ([bad], [bad])
    assert bad in pointer(served)["bundles"]["support"]
    cli("rollback", "prod", code=4)


def test_a_snapshot_that_cannot_be_written_does_not_stop_a_rollback(repo, cli, tmp_path):
    (tmp_path / "file").write_text("x")
    repo.git("config", "llmvc.snapshot", str(tmp_path / "file"))
    override(cli, repo, "bad")
    done = cli("rollback", "prod")
    assert "NOT WRITTEN" in done.out
    assert "llmvc snapshot" in done.out
    assert cli.json("status")["bundles"][0]["environments"][0]["kind"] == "rollback"


def test_what_is_not_pushed_reaches_no_snapshot_but_by_a_rollback(repo, cli, served, tmp_path):
    repo.git("remote", "add", "origin", str(remote_at(tmp_path / "remote.git")))
    cli("push")
    assert pointer(served)["environments"]["support"]["prod"]["seq"] == 1
    repo.prompt("Other.")
    cli("commit")
    cli("eval")
    done = cli("promote", "prod")
    assert "not pushed to origin: llmvc push" in done.err
    assert "snapshot waits: support/prod is not pushed" in done.err
    assert pointer(served)["environments"]["support"]["prod"]["seq"] == 1
    cli("push")
    assert pointer(served)["environments"]["support"]["prod"]["seq"] == 2
    repo.git("remote", "set-url", "origin", str(tmp_path / "gone"))
    done = cli.json("rollback", "prod")
    assert done["pushed"].startswith("NOT PUSHED")
    assert done["snapshot"] == f"snapshot written to {served}"
    assert pointer(served)["environments"]["support"]["prod"]["seq"] == 3


def test_a_lost_race_never_reaches_the_snapshot(repo, cli, served, tmp_path, monkeypatch):
    remote = remote_at(tmp_path / "remote.git")
    repo.git("remote", "add", "origin", str(remote))
    override(cli, repo, "bad")
    cli("push")
    other = repo.copy(tmp_path / "other")
    other.git("config", "--unset", "llmvc.snapshot")
    with monkeypatch.context() as there:
        there.chdir(other.root)
        cli("rollback", "prod", "--reason", "first")
        cli("push")
    before = pointer(served)
    cli("rollback", "prod", "--reason", "second", code=5)
    assert pointer(served) == before
    cli("snapshot")
    assert pointer(served)["environments"]["support"]["prod"]["seq"] == 3


def test_waiting_ends_when_the_fleet_has_moved(repo, cli, served, monkeypatch):
    override(cli, repo, "bad")
    heart = Heart(served)
    heart.beat(tips(served))
    late = cli.json("rollback", "prod", "--wait=0", code=3)
    assert (late["fleet"]["proven"], late["written"]) == (False, True)
    assert [item["state"] for item in late["fleet"]["processes"]] == ["behind"]
    heart.beat(tips(served))
    assert cli.json("fleet")["proven"]
    override(cli, repo, "worse still")
    heart.beat({"support/prod": (6, "a later one")})
    done = cli("rollback", "prod", "--wait")
    assert "all 1 process moved, the last at" in done.out


def test_waiting_without_knowing_where_heartbeats_are_rolls_back_and_proves_nothing(repo, cli):
    good = cli.digest("support@prod")
    override(cli, repo, "bad")
    done = cli("rollback", "prod", "--wait", code=3)
    assert "NOT PROVEN" in done.err
    assert "llmvc.fleet" in done.err
    assert cli.digest("support@prod") == good
    override(cli, repo, "bad again")
    assert cli.json("rollback", "prod", "--wait", code=3)["fleet"] is None
    cli("rollback", "--wait", "soon", "prod", code=2)


@pytest.fixture
def safe(repo, cli):
    """A safe version, named by the configuration and in force; returns its digest."""
    repo.write("prompts/sorry/bundle.yaml", SAFE)
    config = (repo.root / ".llmvc/config.yaml").read_text()
    repo.write(".llmvc/config.yaml", config.replace("prod: {}", "prod: {safe: sorry}"))
    cli("commit", "sorry", "-m", "hand-off")
    override(cli, repo, "bad")
    return cli.digest("sorry")


def test_a_rollback_can_go_to_the_safe_version(repo, safe, cli, served):
    done = cli.json("rollback", "support", "prod", "--to", "safe", "--reason", "all is lost")
    release = done["release"]
    assert (release["to"], release["target"], release["proven"]) == (safe, None, False)
    assert cli.json("rollback", "support", "prod", "--to", "safe")["written"] is False
    cli("fsck")
    after = cli.json("rollback", "support", "prod")["release"]
    assert after["kind"] == "rollback"
    assert after["proven"]
    assert safe in after["rolled_back"]


def test_the_safe_version_is_reached_with_the_environments_ref_alone(repo, safe, cli):
    repo.write(".llmvc/config.yaml", "{ broken")
    repo.git("update-ref", "-d", "refs/llmvc/store")
    assert cli.json("rollback", "support", "prod", "--to", "safe")["release"]["to"] == safe


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("prod", "--to", "safe"), 4, "names no safe version"),
        (("support@prod~1", "prod", "--to", "safe"), 2, "exclude each other"),
        (("prod", "--to", "anything"), 2, "anything"),
    ],
    ids=["none", "both", "other"],
)
def test_a_safe_version_that_is_not_there_moves_nothing(repo, cli, options, code, said):
    override(cli, repo, "bad")
    before = repo.refs()
    assert said in cli("rollback", *options, code=code).err
    assert repo.refs() == before


def test_a_rollback_loads_nothing_that_measures_or_reads_files(repo, cli, served):
    override(cli, repo, "bad")
    loaded = child("rollback", "prod", cwd=repo.root, PYTHONPROFILEIMPORTTIME="1").err
    names = {line.rpartition("|")[2].strip() for line in loaded.splitlines()}
    assert "llmvc.runtime.export" in names
    assert not names & {"scipy", "numpy", "yaml", "jsonschema", "httpx", "fsspec", "http.server"}


def test_a_rollback_upon_a_rollback_names_the_colleague_who_was_faster(repo, cli):
    override(cli, repo, "bad")
    override(cli, repo, "worse still")
    assert cli("rollback", "prod", "--actor", "Ada").err == ""
    again = cli("rollback", "prod", "--actor", "Ben")
    assert "release 4 by Ada at " in again.err
    assert "was a rollback, too: this goes back further" in again.err


def test_where_nothing_earlier_is_left_the_safe_version_is_named(repo, safe, cli):
    cli("rollback", "support", "prod")
    refused = cli("rollback", "support", "prod", code=4)
    assert "llmvc rollback support prod --to safe" in refused.err
    cli("rollback", "support", "prod", "--to", "safe")
    assert "--to safe" not in cli("rollback", "support", "prod", code=4).err


def test_a_disk_that_refuses_in_its_own_words_does_not_stop_a_rollback(
    repo, cli, served, monkeypatch
):
    override(cli, repo, "bad")

    def full(*_, **__):
        raise PermissionError(13, "no")

    monkeypatch.setattr("llmvc.runtime.export.export", full)
    done = cli("rollback", "prod")
    assert f"snapshot NOT WRITTEN to {served}: " in done.out
    assert cli.json("log", "@prod")["releases"][0]["kind"] == "rollback"


def test_a_snapshot_place_with_a_password_is_named_without_it(repo, cli):
    repo.git("config", "llmvc.snapshot", "s3://key:hunter2@bucket/x")
    done = cli("override", f"support@{worse(repo, cli)[:15]}", "prod", "--reason", "a test")
    assert "NOT WRITTEN" in done.err
    assert "hunter2" not in done.err + done.out


def test_a_snapshot_in_the_home_of_nobody_is_one_clear_line(repo, cli):
    repo.git("config", "llmvc.snapshot", "~nobody-here/x")
    done = cli("override", f"support@{worse(repo, cli)[:15]}", "prod", "--reason", "a test")
    assert "snapshot NOT WRITTEN: Git's llmvc.snapshot" in done.err


def test_a_rollback_that_puts_back_what_somebody_rewound_says_so(repo, cli, tmp_path):
    remote = remote_at(tmp_path / "remote.git")
    repo.git("remote", "add", "origin", str(remote))
    override(cli, repo, "bad")
    cli("push")
    git(remote, "update-ref", PROD, f"{PROD}~1")
    done = cli.json("rollback", "prod")["pushed"]
    assert done.startswith("pushed to origin; ")
    assert "had been moved back to" in done
    assert "find out who did it" in done


def test_a_rollback_that_a_hook_of_the_remote_refuses_passes_its_words_on(repo, cli, tmp_path):
    remote = remote_at(tmp_path / "remote.git")
    repo.git("remote", "add", "origin", str(remote))
    override(cli, repo, "bad")
    hook = remote / "hooks/update"
    hook.write_text("#!/bin/sh\necho 'blocked: ask Ben' >&2\nexit 1\n")
    hook.chmod(0o755)
    done = cli.json("rollback", "prod")
    assert "NOT PUSHED" in done["pushed"]
    assert "(hook declined): blocked: ask Ben" in done["pushed"]
    assert "blocked: ask Ben" in cli("push", code=4).err, "the store is refused, and not for a race"


def test_a_broken_ref_of_a_neighbour_stops_no_rollback(repo, cli):
    override(cli, repo, "bad")
    (repo.root / ".git" / PROD).with_name("stage").write_text("no commit\n")
    done = cli("rollback", "support", "prod", "--no-push")
    assert "release 3, rollback" in done.out


def test_a_rollback_that_reached_no_remote_says_how_to_go_on(repo, cli, served, tmp_path):
    override(cli, repo, "bad")
    Heart(served).beat(tips(served))
    repo.git("remote", "add", "origin", str(tmp_path / "gone"))
    done = cli("rollback", "prod", "--wait=0", code=3)
    assert "NOT PUSHED" in done.out
    assert "-> mend the network, then llmvc push" in done.out
    assert "restart" not in done.out


@pytest.mark.parametrize("verb", ["promote", "override"])
def test_another_move_under_an_open_canary_says_that_it_is_void(ready, cli, verb):
    ready.write(".llmvc/config.yaml", WITH_CANARY)
    cli("canary", "start", "support", "canary")
    reason = ["--reason", "a test"] if verb == "override" else []
    done = cli(verb, "support", "prod", *reason)
    assert "the canary in support/canary is void by this; llmvc canary abort" in done.err


def test_a_rollback_under_an_open_canary_says_that_it_is_void(ready, cli):
    good, candidate = cli.digest("support@prod"), cli.digest()
    override(cli, ready, "bad")
    cli("override", f"support@{good}", "prod", "--reason", "a test")
    ready.write(".llmvc/config.yaml", WITH_CANARY)
    cli("canary", "start", f"support@{candidate}", "canary")
    done = cli("rollback", "support", "prod")
    assert "the canary in support/canary is void by this" in done.err
    override(cli, ready, "worse still")
    assert "is void" not in cli("rollback", "support", "prod").err, "it was void before"
