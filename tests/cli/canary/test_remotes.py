"""Canaries and remotes: what is pushed, what a clone can tell, and who wins."""

import json

import pytest

from llmvc.core import canon
from tests.cli.conftest import worse
from tests.store.build import git
from tests.support.build import RepoBuilder, remote_at
from tests.support.canary import judged, kinds

CANARY = "refs/llmvc/env/support/canary"
PROD = "refs/llmvc/env/support/prod"


@pytest.fixture
def shared(ready, cli, tmp_path):
    """A repository with a remote that has everything, and the remote's folder."""
    remote = remote_at(tmp_path / "remote.git")
    ready.git("remote", "add", "origin", str(remote))
    ready.git("push", "-q", "origin", "main")
    cli("push")
    return ready, remote


def other(cli, remote, tmp_path, monkeypatch):
    """Clones the remote, fetches, and goes there."""
    clone = RepoBuilder(tmp_path / "clone").clone(remote)
    monkeypatch.chdir(clone.root)
    cli("fetch")
    return clone


def theirs(remote):
    return RepoBuilder(remote).refs()


def test_each_move_pushes_its_one_ref_and_a_clone_tells_the_story(
    shared, cli, tmp_path, monkeypatch
):
    repo, remote = shared
    assert "pushed to origin" in cli("canary", "start", "support").out
    assert theirs(remote)[CANARY] == repo.refs()[CANARY]
    judged(repo.root)
    cli("canary", "step")
    judged(repo.root)
    cli("canary", "promote")
    assert theirs(remote)[CANARY] == repo.refs()[CANARY]
    assert theirs(remote)[PROD] == repo.refs()[PROD]
    told = cli.json("canary", "explain", "conversation-1", "support@canary", "--at", "2")
    other(cli, remote, tmp_path, monkeypatch)
    assert kinds(cli) == ["start", "step", "close"]
    assert cli.json("canary", "explain", "conversation-1", "support@canary", "--at", "2") == told
    assert cli.json("fsck")["problems"] == []


def test_a_remote_that_is_gone_stops_nothing(ready, cli, tmp_path):
    ready.git("remote", "add", "origin", str(tmp_path / "gone.git"))
    assert "NOT PUSHED" in cli("canary", "start", "support").out
    judged(ready.root)
    assert "NOT PUSHED" in cli("canary", "step").out
    assert "NOT PUSHED" not in cli("canary", "pause", "--no-push").out
    assert "NOT PUSHED" in cli("canary", "abort", "--reason", "x").out
    assert kinds(cli) == ["start", "step", "pause", "abort"]


def test_who_steps_second_is_told_who_won_and_nothing_of_theirs_stays(
    shared, cli, tmp_path, monkeypatch
):
    repo, remote = shared
    cli("canary", "start", "support")
    clone = other(cli, remote, tmp_path, monkeypatch)
    cli("canary", "pause", "--actor", "Ben", "--reason", "look at this")
    monkeypatch.chdir(repo.root)
    judged(repo.root)
    refused = cli("canary", "step", code=5)
    assert "Ben made release 2, pause" in refused.err
    assert "llmvc canary status" in refused.err
    assert kinds(cli) == ["start", "pause"]
    assert repo.refs()[CANARY] == clone.refs()[CANARY] == theirs(remote)[CANARY]


def test_an_abort_goes_on_top_of_whatever_became_of_the_same_rollout(
    shared, cli, tmp_path, monkeypatch
):
    repo, remote = shared
    cli("canary", "start", "support")
    other(cli, remote, tmp_path, monkeypatch)
    cli("canary", "pause", "--reason", "look at this")
    monkeypatch.chdir(repo.root)
    assert "pushed to origin" in cli("canary", "abort", "--reason", "bad").out
    assert kinds(cli) == ["start", "pause", "abort"]
    assert theirs(remote)[CANARY] == repo.refs()[CANARY]


def test_a_promote_that_loses_prod_is_refused_and_leaves_the_canary_open(
    shared, cli, tmp_path, monkeypatch
):
    repo, remote = shared
    cli("canary", "start", "support")
    judged(repo.root)
    cli("canary", "step")
    judged(repo.root)
    clone = other(cli, remote, tmp_path, monkeypatch)
    worse(clone, cli, "Another wording.")
    cli("override", "support", "prod", "--reason", "hotfix", "--actor", "Ben")
    cli("push")
    monkeypatch.chdir(repo.root)
    refused = cli("canary", "promote", code=5)
    assert "Ben made release 2, override" in refused.err
    assert kinds(cli) == ["start", "step"]
    assert repo.refs()[PROD] == theirs(remote)[PROD]
    assert "VOID" in cli("canary", "status").out


def test_a_canary_beside_what_is_not_pushed_says_what_readers_of_the_remote_get(
    ready, cli, tmp_path
):
    ready.git("remote", "add", "origin", str(remote_at(tmp_path / "remote.git")))
    unpushed = "support/prod is not pushed: readers of origin serve no canary until llmvc push"
    started = cli("canary", "start", "support")
    assert "pushed to origin" in started.out
    assert unpushed in started.err
    judged(ready.root)
    assert unpushed in cli("canary", "step").err
    cli("push")
    assert unpushed not in cli("canary", "pause").err


def passed_its_last_step(repo, cli, served):
    """Brings a canary to where it may be promoted, in a repository that writes a snapshot."""
    cli("canary", "start", "support")
    judged(repo.root)
    cli("canary", "step")
    judged(repo.root)
    repo.git("config", "llmvc.snapshot", str(served))


def test_a_promote_publishes_once_after_both_pushes_and_calls_nothing_void(shared, cli, tmp_path):
    passed_its_last_step(shared[0], cli, tmp_path / "served")
    done = cli("canary", "promote")
    assert done.out.count("pushed to origin") == 2
    assert "void" not in done.err, "it is its own canary that it closes"
    assert done.err.count("snapshot") == done.err.count("snapshot written to") == 1
    held = json.loads((tmp_path / "served/snapshot.json").read_bytes())["environments"]["support"]
    assert {env: held[env]["seq"] for env in held} == {"canary": 3, "prod": 2}


def test_a_promote_that_is_not_to_push_names_all_that_a_snapshot_waits_for(shared, cli, tmp_path):
    passed_its_last_step(shared[0], cli, tmp_path / "served")
    done = cli("canary", "promote", "--no-push")
    assert done.err.count("snapshot") == 1
    assert "waits: support/canary, support/prod are not pushed; run llmvc push" in done.err


def forged(repo, change):
    """Replaces the newest release of the canary by one that somebody made by hand."""
    record = json.loads(repo.git("cat-file", "blob", f"{CANARY}:release.json"))
    change(record)
    blob = git(repo.root, "hash-object", "-w", "--stdin", stdin=canon.encode(record))
    held = repo.git("rev-parse", f"{CANARY}:release.json")
    tree = repo.git("ls-tree", CANARY).replace(held, blob)
    made = git(repo.root, "mktree", stdin=f"{tree}\n".encode())
    said = repo.git("log", "-1", "--format=%B", CANARY)
    commit = repo.git("commit-tree", "-m", said, "-p", f"{CANARY}^", made)
    repo.git("update-ref", CANARY, commit)


FORGED = {
    "a step that stays": (lambda record: record["canary"].update(share_ppm=50_000), "share"),
    "another salt": (lambda record: record["canary"].update(salt="0" * 16), "changes more"),
    "another environment": (lambda record: record["canary"].update(of="staging"), "changes more"),
    "no evidence": (lambda record: record.update(report=None), "carries no report"),
}


def test_a_fetch_does_not_follow_a_canary_that_breaks_the_rules(shared, cli, tmp_path, monkeypatch):
    repo, remote = shared
    cli("canary", "start", "support")
    judged(repo.root)
    clone = other(cli, remote, tmp_path, monkeypatch)
    before = clone.refs()[CANARY]
    monkeypatch.chdir(repo.root)
    cli("canary", "step", "--no-push")
    step = repo.refs()[CANARY]
    for change, says in FORGED.values():
        repo.git("update-ref", CANARY, step)
        forged(repo, change)
        repo.git("push", "-q", "--force", "origin", CANARY)
        monkeypatch.chdir(clone.root)
        refused = cli("fetch", code=4)
        assert says in refused.out + refused.err
        assert clone.refs()[CANARY] == before


def test_an_abort_that_claims_another_baseline_is_found_where_both_chains_are(opened, cli):
    cli("canary", "abort", "--reason", "x")
    assert cli.json("fsck")["problems"] == []
    forged(opened, lambda record: record.update(proven=False))
    said = [item["what"] for item in cli.json("fsck", code=4)["problems"]]
    assert said == ["release 2: the abort goes back to something else than the baseline"]


def test_a_step_on_an_analysis_of_something_else_is_found(opened, cli):
    old = judged(opened.root)
    cli("canary", "step")
    cli("canary", "pause")
    forged(opened, lambda record: record.update(report=old.digest))
    assert "lacks its report.json" in str(cli.json("fsck", code=4)["problems"])
