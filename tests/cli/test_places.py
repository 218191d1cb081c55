"""Kinds of repositories that Git offers, and places inside them."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import released
from tests.support.build import RepoBuilder, remote_at


def bare_copy(repo, path):
    """Returns a bare repository with everything in it."""
    remote_at(path)
    repo.git("push", "-q", str(path), "main", "refs/llmvc/*:refs/llmvc/*")
    return RepoBuilder(path)


def test_two_worktrees_share_versions_and_keep_their_own_place(repo, cli, tmp_path, monkeypatch):
    other = RepoBuilder(tmp_path / "other")
    repo.git("worktree", "add", "-q", str(other.root))
    repo.prompt("Here.")
    cli("commit", "-m", "here")
    monkeypatch.chdir(other.root)
    other.prompt("There.")
    cli("commit", "-m", "there")
    history = {item["message"]: item for item in cli.json("log")["versions"]}
    assert set(history) == {"first", "here", "there"}
    assert history["there"]["parents"] == history["here"]["parents"] == [history["first"]["digest"]]
    cli("eval")
    cli("promote", "prod")
    monkeypatch.chdir(repo.root)
    assert cli.digest("support@prod") != cli.digest("support")
    assert cli.json("fsck")["problems"] == []


def test_a_bare_repository_serves_and_rolls_back_and_measures_nothing(
    ready, cli, tmp_path, monkeypatch
):
    cli("promote", "prod")
    served, before = cli.digest("support@prod"), cli.digest("support@prod~1")
    bare = bare_copy(ready, tmp_path / "bare.git")
    monkeypatch.chdir(bare.root)
    assert cli.digest("support@prod") == served
    assert cli.digest("support@git:main") == served
    assert cli.json("log", "@prod")["releases"][0]["seq"] == 2
    cli("show", "support@prod")
    cli("status")
    assert cli.json("fsck")["problems"] == []
    cli("rollback", "prod", "--reason", "from the server")
    assert cli.digest("support@prod") == before
    for command in (("checkout", "support@prod"), ("init",), ("migrate", "--model", "a/b")):
        refused = cli(*command, code=4)
        assert "bare" in refused.err
    cli("promote", "support@git:main", "prod", "--again", "--reason", "from the server")
    assert cli.digest("support@prod") == served


def test_packed_refs_are_refs(ready, cli):
    ready.git("pack-refs", "--all")
    cli("promote", "prod")
    ready.git("pack-refs", "--all")
    cli("rollback", "prod")
    cli("commit")
    assert [item["seq"] for item in cli.json("log", "@prod")["releases"]] == [3, 2, 1]
    assert cli.json("fsck")["problems"] == []


def test_a_sha256_repository_works_throughout(tmp_path, cli, monkeypatch):
    repo = RepoBuilder(tmp_path / "repo").start("--object-format=sha256")
    monkeypatch.chdir(repo.root)
    released(cli)
    repo.prompt("Say the number again.")
    repo.save()
    cli("ship", "prod")
    cli("rollback", "prod")
    assert len(cli.json("log", "@prod")["releases"][0]["source"]["commit"]) == 64
    assert cli.json("fsck")["problems"] == []


def test_git_dir_and_subfolders_and_odd_paths_lead_to_the_same_repository(
    repo, cli, tmp_path, monkeypatch
):
    served = cli.digest("support@prod")
    monkeypatch.chdir(repo.root / "prompts/support")
    assert cli.digest("support@prod") == served
    assert cli.digest() == served
    assert "same bundle" in cli("diff").err
    assert cli.json("eval", "--suite", "../../evals/support/suite.yaml")["report"] is None
    monkeypatch.chdir(tmp_path)
    assert cli("-C", str(repo.root), "resolve", "support@prod").out.strip() == served
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_DIR", str(repo.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repo.root))
    assert cli.digest("support@prod") == served
    assert cli.digest() == served
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    odd = repo.copy(tmp_path / "Bücher und Ähnliches 'x'")
    monkeypatch.chdir(odd.root)
    odd.prompt("Say the number again.")
    cli("ship", "prod")
    cli("rollback", "prod")
    cli("hook", "install")
    assert cli.digest("support@prod") == served


def test_a_shallow_clone_works_or_says_what_is_missing(ready, cli, tmp_path, monkeypatch):
    cli("promote", "prod")
    served = cli.digest("support@prod")
    bare = bare_copy(ready, tmp_path / "bare.git")
    shallow = tmp_path / "shallow"
    url = f"file://{bare.root}"
    subprocess.run(["git", "clone", "-q", "--depth=1", url, str(shallow)], check=True)
    monkeypatch.chdir(shallow)
    cli("fetch")
    assert cli.digest("support@prod") == served
    cli("rollback", "prod", "--no-push")
    subprocess.run(
        ["git", "fetch", "-q", "--depth=1", url, "+refs/llmvc/env/*:refs/llmvc/env/*"], check=True
    )
    cut = cli("log", "support@prod", code=None)
    assert cut.code == 4
    assert "shallow" in cut.err
    assert "git fetch --unshallow" in cut.err
    assert cli.digest("support@prod") == served


def test_a_repository_without_commits_can_commit_versions(tmp_path, cli, monkeypatch):
    repo = RepoBuilder(tmp_path / "repo").start()
    repo.git("update-ref", "-d", "HEAD")
    monkeypatch.chdir(repo.root)
    cli("commit", "-m", "before the first commit")
    assert cli.json("log")["versions"][0]["source"] == {"commit": None, "dirty": True}


@pytest.mark.parametrize("name", ["nested/deeper"])
def test_init_in_a_subfolder_sets_up_the_whole_repository(tmp_path, cli, monkeypatch, name):
    repo = RepoBuilder(tmp_path / "repo")
    folder = Path(repo.root / name)
    folder.mkdir(parents=True)
    repo.git("init", "-q")
    monkeypatch.chdir(folder)
    cli("new", "orders")
    assert (repo.root / "prompts/orders/bundle.yaml").exists()
    assert not list(folder.iterdir())
