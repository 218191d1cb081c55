"""Repositories that are not quite ordinary: partial, shallow, packed, collected, in hooks."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from llmvc.core.names import STORE_REF
from llmvc.errors import ConfigError, IntegrityError, StoreError
from llmvc.store import sync
from llmvc.store.fsck import fsck
from llmvc.store.repository import Repository
from tests.store.build import adopt, bundle, clone, commit, git, healthy, make, opened

PROD = "refs/llmvc/env/support/prod"


@pytest.fixture
def origin(tmp_path):
    """A bare remote that holds a store and a chain of three releases."""
    make(tmp_path)
    origin = clone(tmp_path / "plain", tmp_path / "origin.git", "--bare")
    git(origin, "config", "uploadpack.allowFilter", "true")
    first = clone(origin, tmp_path / "first")
    with opened(first) as repo:
        made = commit(repo, "one")
        commit(repo, "two", made)
        for text in ("one", "two", "one"):
            adopt(repo.chain("support", "prod"), text)
        sync.push(repo)
    return origin


@pytest.mark.parametrize(
    "options",
    [
        ("--filter=blob:none",),
        ("--depth=1",),
        ("--filter=tree:0", "--no-checkout"),
        ("--single-branch",),
    ],
    ids=str,
)
def test_partial_and_shallow_clones_fetch_read_write_and_push(origin, tmp_path, options):
    place = clone(origin, tmp_path / "odd", *options)
    with opened(place) as repo:
        sync.setup_remote(repo)
        sync.fetch(repo)
        chain = repo.chain("support", "prod")
        assert len(chain.releases()) == 3
        assert chain.blob("bundle.json") == bundle("one").data
        assert len(repo.versions.history("support")) == 2
        commit(repo, "three")
        adopt(chain, "three")
        pushed = sync.push(repo)
        assert (pushed.store, pushed.envs[0].status) == ("pushed", "pushed")
        assert fsck(repo) == ()
    assert healthy(origin)


def test_a_partial_clone_reads_what_a_plain_filtered_fetch_left_out(origin, tmp_path):
    place = clone(origin, tmp_path / "partial", "--filter=blob:none")
    git(place, "fetch", "-q", "origin", f"{PROD}:{PROD}", f"{STORE_REF}:{STORE_REF}")
    with opened(place) as repo:
        assert len(repo.chain("support", "prod").releases()) == 3
        assert len(repo.versions.history("support")) == 2


def test_a_chain_cut_by_a_shallow_fetch_is_named_with_the_way_out(origin, tmp_path):
    place = clone(origin, tmp_path / "shallow")
    git(place, "fetch", "-q", "--depth=1", "origin", f"{PROD}:{PROD}")
    with opened(place) as repo:
        assert repo.chain("support", "prod").tip() is not None
        with pytest.raises(StoreError, match="cut off by a shallow fetch") as caught:
            repo.chain("support", "prod").releases()
    assert "--unshallow" in caught.value.hint


def test_collecting_garbage_at_once_leaves_everything_readable(origin, tmp_path):
    place = tmp_path / "first"
    git(place, "gc", "-q", "--prune=now")
    git(place, "reflog", "expire", "--expire=now", "--all")
    git(place, "gc", "-q", "--prune=now", "--aggressive")
    with opened(place) as repo:
        assert len(repo.chain("support", "prod").releases()) == 3
        assert len(repo.versions.history("support")) == 2
        adopt(repo.chain("support", "prod"), "two")
        assert fsck(repo) == ()
    assert healthy(place)


def test_packed_refs_and_many_foreign_refs_change_nothing(tmp_path):
    place = make(tmp_path)
    head = git(place, "rev-parse", "HEAD")
    packed = "".join(f"{head} refs/foreign/{number:06}\n" for number in range(100_000))
    (place / ".git" / "packed-refs").write_text(
        f"# pack-refs with: peeled fully-peeled sorted \n{packed}"
    )
    with opened(place) as repo:
        commit(repo, "one")
        adopt(repo.chain("support", "prod"), "one")
    git(place, "pack-refs", "--all")
    with opened(place) as repo:
        adopt(repo.chain("support", "prod"), "two")
        assert len(repo.chain("support", "prod").releases()) == 2
        assert repo.environments() == (("support", "prod"),)


def test_worktrees_share_refs_and_keep_their_own_notes(tmp_path):
    side = make(tmp_path, "worktree")
    with opened(side) as repo, opened(tmp_path / "plain") as main:
        made = commit(repo, "one")
        repo.remember("support", made.digest)
        assert main.versions.history("support") == (made,)
        assert main.last("support") is None
        seen = repo.last("support")
        assert seen is not None
        assert seen.version == made.digest
        assert repo.common_dir == main.common_dir
        assert repo.git_dir != main.git_dir


def test_a_submodule_is_a_repository_of_its_own(tmp_path):
    make(tmp_path)
    (tmp_path / "other").mkdir()
    inner = make(tmp_path / "other")
    git(
        tmp_path / "plain",
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        str(inner),
        "sub",
    )
    with opened(tmp_path / "plain" / "sub") as repo:
        commit(repo, "one")
        assert repo.root == tmp_path / "plain" / "sub"
    with opened(tmp_path / "plain") as repo:
        assert repo.versions.history("support") == ()


def test_a_hook_run_elsewhere_finds_the_repository_by_its_variables(tmp_path, monkeypatch):
    place = make(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_WORK_TREE", ".")
    with Repository.open(elsewhere) as repo:
        assert (repo.root, repo.git_dir) == (place, place / ".git")
        commit(repo, "one")
    assert git(place, "rev-parse", STORE_REF)


def test_a_server_hook_sees_what_is_pushed_before_it_is_accepted(origin, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    seen = tmp_path / "seen"
    script = tmp_path / "hook.py"
    script.write_text(
        "import sys\n"
        "from llmvc.store.repository import Repository\n"
        "new = sys.stdin.read().split()[1]\n"
        "with Repository.open() as repo:\n"
        "    found = repo.chain('support', 'prod').at(new).release\n"
        f"    open({str(seen)!r}, 'w').write(str(found.seq))\n"
    )
    hook = origin / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{script}'\n")
    hook.chmod(0o755)
    with opened(tmp_path / "first") as repo:
        adopt(repo.chain("support", "prod"), "two")
        assert sync.push_env(repo, None, "support", "prod").status == "pushed"
    assert seen.read_text() == "4"


@pytest.mark.parametrize("where", ["nothing", "missing"])
def test_outside_a_repository_one_line_says_what_to_do(tmp_path, where):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ConfigError) as caught:
        Repository.open(tmp_path / where)
    assert "\n" not in str(caught.value)


def test_a_repository_that_git_does_not_trust_is_one_line_with_the_way_out(tmp_path, monkeypatch):
    place = make(tmp_path)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(ConfigError, match="dubious ownership") as caught:
        Repository.open(place)
    assert "safe.directory" in caught.value.hint


def test_without_git_one_line_says_what_to_install(tmp_path, monkeypatch):
    place = make(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="git program is not on PATH"):
        Repository.open(place)


def test_a_git_that_is_too_old_is_one_line_with_the_version_needed(tmp_path, monkeypatch):
    place = make(tmp_path)
    with opened(place) as repo:
        commit(repo, "one")
    real = shutil.which("git")
    old = tmp_path / "bin" / "git"
    old.parent.mkdir()
    old.write_text(
        f'#!/bin/sh\ncase "$*" in *batch-command*) echo "usage: git cat-file" >&2; exit 129;; esac\nexec {real} "$@"\n'
    )
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:{os.environ['PATH']}")
    with opened(place) as repo, pytest.raises(ConfigError, match="too old") as caught:
        repo.versions.history("support")
    assert "2.36" in caught.value.hint


def test_a_broken_ref_of_ours_is_named(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        adopt(repo.chain("support", "prod"), "one")
    (place / ".git" / PROD).write_text("garbage\n")
    with opened(place) as repo, pytest.raises(IntegrityError, match=f"broken ref {PROD}"):
        repo.chain("support", "prod").tip()


def test_a_ref_whose_commit_is_gone_is_named(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        oid = adopt(repo.chain("support", "prod"), "one")
    (place / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    with opened(place) as repo:
        with pytest.raises(IntegrityError, match=oid):
            repo.chain("support", "prod").tip()
        assert any("misses objects" in problem.what for problem in fsck(repo))
