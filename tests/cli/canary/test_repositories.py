"""The whole story of a canary in every kind of repository that Git has."""

import shutil
from pathlib import Path

import pytest

from llmvc import runtime
from tests.cli.conftest import released
from tests.store.build import clone, git
from tests.support.build import RepoBuilder, remote_at
from tests.support.canary import WITH_CANARY, judged, kinds

PROD = "refs/llmvc/env/support/prod"


def packed(root):
    """Does what `git gc` does one day, and more than it dares."""
    git(root, "pack-refs", "--all", "--prune")
    git(root, "reflog", "expire", "--expire=now", "--all")
    git(root, "gc", "--quiet", "--prune=now")


def served(root, unit=None, pin=None):
    """Returns what a service reads there that opens the repository itself."""
    with runtime.open(str(root)) as client:
        return client.resolve("support", env="prod", unit=unit, pin=pin)


def story(cli, root, candidate, tmp_path, between=lambda root: None):
    """Starts, aborts, starts again, steps, promotes and rolls back, and looks at each step."""
    before = cli.digest("support@prod")
    cli("canary", "start", candidate)
    between(root)
    judged(root)
    cli("canary", "abort", "--reason", "odd answers")
    between(root)
    cli("canary", "start", candidate, "--again", "--reason", "it was the network")
    between(root)
    judged(root)
    cli("canary", "step")
    between(root)
    arms = {served(root, unit=f"u{number}").arm for number in range(50)}
    assert arms == {"baseline", "canary"}
    judged(root)
    cli("canary", "promote")
    between(root)
    after = served(root, unit="u1")
    assert after.digest == cli.digest("support@prod") != before
    cli("snapshot", "--to", str(tmp_path / "served"))
    cli("rollback", "support", "prod", "--reason", "users complain")
    between(root)
    for source in (root, tmp_path / "served"):
        if source != root:
            cli("snapshot", "--to", str(source))
        now = served(source, unit="u1", pin=after.pin)
        assert (now.digest, now.pinned) == (before, False), "the pin is revoked"
    assert kinds(cli) == ["start", "abort", "start", "step", "close"]
    assert kinds(cli, "support@prod") == ["promote", "promote", "rollback"]
    assert cli.json("fsck")["problems"] == []


def test_in_a_linked_worktree(ready, cli, tmp_path, monkeypatch):
    ready.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    monkeypatch.chdir(tmp_path / "side")
    story(cli, tmp_path / "side", "support", tmp_path)
    monkeypatch.chdir(ready.root)
    assert kinds(cli, "support@prod") == ["promote", "promote", "rollback"]


def test_while_refs_are_packed_and_garbage_is_collected_between_all_moves(ready, cli, tmp_path):
    story(cli, ready.root, "support", tmp_path, between=packed)


def test_with_sha256_objects(cli, tmp_path, monkeypatch):
    repo = RepoBuilder(tmp_path / "repo").start("--object-format=sha256")
    monkeypatch.chdir(repo.root)
    released(cli)
    repo.prompt("Say the number again.")
    repo.write(".llmvc/config.yaml", WITH_CANARY)
    repo.save("reword")
    cli("commit", "-m", "reword")
    cli("eval")
    story(cli, repo.root, "support", tmp_path)


def test_in_a_bare_repository_whose_head_has_the_files(ready, cli, tmp_path, monkeypatch):
    candidate = cli.digest()[:15]
    bare = RepoBuilder(tmp_path / "bare.git")
    shutil.copytree(ready.root / ".git", bare.root)
    bare.git("config", "core.bare", "true")
    monkeypatch.chdir(bare.root)
    story(cli, bare.root, f"support@{candidate}", tmp_path)


@pytest.fixture
def remote(ready, cli, tmp_path):
    """A remote that has all that the repository has, and serves parts of it."""
    path = remote_at(tmp_path / "remote.git")
    git(path, "config", "uploadpack.allowFilter", "true")
    ready.git("remote", "add", "origin", str(path))
    ready.git("push", "-q", "origin", "main")
    cli("push")
    return path


def test_in_a_shallow_clone(remote, cli, tmp_path, monkeypatch):
    there = clone(remote, tmp_path / "shallow", "--depth=1")
    monkeypatch.chdir(there)
    cli("fetch")
    assert git(there, "rev-parse", "--is-shallow-repository") == "true"
    story(cli, there, "support", tmp_path)


def test_in_a_clone_without_blobs(remote, cli, tmp_path, monkeypatch):
    there = clone(remote, tmp_path / "partial", "--filter=blob:none")
    monkeypatch.chdir(there)
    cli("fetch")
    story(cli, there, "support", tmp_path)


def test_a_clone_without_blobs_says_so_where_its_remote_is_gone(remote, cli, tmp_path, monkeypatch):
    there = clone(remote, tmp_path / "partial", "--filter=blob:none", "--no-checkout")
    monkeypatch.chdir(there)
    git(there, "fetch", "-q", "origin", "refs/llmvc/*:refs/llmvc/*")
    Path(remote).rename(tmp_path / "gone.git")
    refused = cli("rollback", "support", "prod", code=4)
    assert "is not in this partial clone, and its remote does not hand it out" in refused.err


def test_a_chain_that_was_cut_off_serves_and_says_how_to_get_the_rest(
    remote, cli, tmp_path, monkeypatch
):
    cli("override", "support", "prod", "--reason", "a test")
    cli("push")
    there = clone(remote, tmp_path / "cut", "--depth=1")
    monkeypatch.chdir(there)
    git(there, "fetch", "-q", "--depth=1", "origin", "refs/llmvc/*:refs/llmvc/*")
    assert served(there).digest == cli.digest("support@prod")
    refused = cli("rollback", "support", "prod", "--no-push", code=4)
    assert "was cut off by a shallow fetch" in refused.err
    assert "git fetch --unshallow" in refused.err
    git(there, "fetch", "-q", "--unshallow")
    cli("rollback", "support", "prod", "--no-push")
