import os

import pytest

from llmvc.core.version import Source
from llmvc.errors import FormatError, NotFoundError
from llmvc.store.source import changed_between
from tests.store.build import bundle, clone, commit, git, make, opened, version


@pytest.fixture
def place(tmp_path):
    place = make(tmp_path)
    (place / "prompts" / "support").mkdir(parents=True)
    (place / "prompts" / "support" / "bundle.yaml").write_text("kind: app\n")
    (place / "prompts" / "support" / "ein wort.txt").write_text("Grüße\n")
    (place / "prompts" / "support" / "link.yaml").symlink_to("bundle.yaml")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "prompts")
    return place


def test_files_of_a_revision_are_read_whatever_the_working_tree_holds(place):
    (place / "prompts" / "support" / "bundle.yaml").write_text("kind: judge\n")
    with opened(place) as repo:
        files = repo.files_at("HEAD")
        assert files.label == "git:HEAD"
        assert files.root() is None
        assert files.read("prompts/support/bundle.yaml") == b"kind: app\n"
        assert files.read("prompts/support/ein wort.txt").decode() == "Grüße\n"
        assert files.names() == (
            "a.txt",
            "prompts/support/bundle.yaml",
            "prompts/support/ein wort.txt",
            "prompts/support/link.yaml",
        )
        assert repo.files_at("HEAD~1").names() == ("a.txt",)


@pytest.mark.parametrize(
    ("path", "error", "match"),
    [
        ("nothing.txt", NotFoundError, "git:HEAD has no file nothing.txt"),
        ("prompts/support/link.yaml", FormatError, "is a symbolic link"),
        ("prompts/support", FormatError, "is a folder"),
        ("prompts/support/link.yaml/x", NotFoundError, "has no file"),
        ("../a.txt", NotFoundError, "has no file"),
        ("", FormatError, "is a folder"),
    ],
)
def test_what_is_no_plain_file_of_the_revision_is_refused(place, path, error, match):
    with opened(place) as repo, pytest.raises(error, match=match):
        repo.files_at("HEAD").read(path)


def test_a_submodule_is_refused_and_not_listed(place):
    head = git(place, "rev-parse", "HEAD")
    git(place, "update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    git(place, "commit", "-q", "-m", "sub")
    with opened(place) as repo:
        files = repo.files_at("HEAD")
        assert "sub" not in files.names()
        with pytest.raises(FormatError, match="is a submodule"):
            files.read("sub")


def test_filters_are_applied_as_a_checkout_would(place):
    git(place, "config", "filter.up.smudge", "tr a-z A-Z")
    git(place, "config", "filter.up.clean", "tr A-Z a-z")
    (place / ".gitattributes").write_text("*.yaml filter=up\n")
    with opened(place) as repo:
        files = repo.files_at("HEAD")
        assert files.read("prompts/support/bundle.yaml") == b"KIND: APP\n"
        assert files.raw("prompts/support/bundle.yaml") == b"kind: app\n"


def test_a_file_over_the_limit_is_refused_before_it_is_read_whole(place):
    (place / "big.bin").write_bytes(bytes(17 * 2**20))
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "big")
    with opened(place) as repo, pytest.raises(FormatError, match=r"big\.bin .*too large"):
        repo.files_at("HEAD").read("big.bin")


@pytest.mark.parametrize(
    "rev", ["nowhere", "--all", "", "HEAD^{tree}", "HEAD:a.txt", "a\nb", "HEAD~99"]
)
def test_a_revision_that_names_no_commit_is_refused(place, rev):
    with opened(place) as repo, pytest.raises(NotFoundError, match="names no commit"):
        repo.files_at(rev)


def test_a_working_tree_is_dirty_if_content_differs_and_not_for_line_endings(place):
    path = "prompts/support/bundle.yaml"
    with opened(place) as repo:
        head = git(place, "rev-parse", "HEAD")
        assert repo.source([path]) == Source(head, dirty=False)
        (place / path).write_bytes(b"kind: app\r\n")
        assert repo.source([path]) == Source(head, dirty=False)
        assert repo.source() == Source(head, dirty=False)
        (place / path).write_bytes(b"kind: judge\n")
        assert repo.source([path]) == Source(head, dirty=True)
        assert repo.source(["a.txt"]) == Source(head, dirty=False)
        (place / path).unlink()
        assert repo.source([path]) == Source(head, dirty=True)
        (place / "new.txt").write_text("x")
        assert repo.source(["new.txt"]) == Source(head, dirty=True)


def test_a_filtered_file_that_was_not_touched_is_not_dirty(place):
    git(place, "config", "filter.up.smudge", "tr a-z A-Z")
    (place / ".gitattributes").write_text("*.yaml filter=up\n")
    (place / "prompts" / "support" / "bundle.yaml").write_bytes(b"KIND: APP\n")
    with opened(place) as repo:
        assert not repo.source(["prompts/support/bundle.yaml"]).dirty


def test_an_unborn_head_has_no_commit(tmp_path):
    git(tmp_path, "init", "-q", "fresh")
    with opened(tmp_path / "fresh") as repo:
        assert repo.source(["a"]) == Source(None, dirty=True)
        assert repo.commit_at("HEAD") is None
        commit(repo, "one")
        repo.remember("support", version("one").digest)
        assert repo.parents_for("support", None) == (version("one").digest,)


def test_a_folder_changed_if_its_tree_differs(place):
    (place / "prompts" / "support" / "bundle.yaml").write_text("kind: judge\n")
    git(place, "commit", "-q", "-a", "-m", "edit")
    (place / "a.txt").write_text("two\n")
    git(place, "commit", "-q", "-a", "-m", "elsewhere")
    with opened(place) as repo:
        head, before, two = (repo.commit_at(rev) for rev in ("HEAD", "HEAD~1", "HEAD~2"))
        files = repo.files_at("HEAD")
        assert repo.tree_id("HEAD", "prompts/support") == repo.tree_id("HEAD~1", "prompts/support/")
        assert repo.tree_id("HEAD", "nowhere") is None
        assert not changed_between(files, before, "prompts/support")
        assert changed_between(files, two, "prompts/support")
        assert changed_between(files, two, ".")
        assert changed_between(files, None, "prompts/support")
        assert not changed_between(files, head, "prompts")


def test_a_push_is_compared_with_what_the_remote_has_or_where_history_left_it(tmp_path, place):
    origin = clone(place, tmp_path / "origin.git", "--bare")
    work = clone(origin, tmp_path / "work")
    base = git(work, "rev-parse", "HEAD")
    git(work, "checkout", "-q", "-b", "feature")
    for text in ("one", "two"):
        git(work, "commit", "-q", "--allow-empty", "-m", text)
    zeros = "0" * 40
    with opened(work) as repo:
        tip, middle = repo.commit_at("HEAD"), repo.commit_at("HEAD~1")
        assert tip is not None
        assert repo.pushed_base(tip, middle, "origin") == middle
        for unknown in (zeros, None, "f" * 40):
            assert repo.pushed_base(tip, unknown, "origin") == base
        assert repo.pushed_base(base, zeros, "origin") == base
        assert repo.pushed_base(tip, zeros, "elsewhere") is None
        assert repo.pushed_base(tip, zeros, origin.as_uri()) is None
        assert repo.pushed_base(tip, zeros, str(origin)) is None
    git(work, "checkout", "-q", "--orphan", "other")
    git(work, "commit", "-q", "-m", "unrelated")
    with opened(work) as repo:
        assert repo.pushed_base(repo.commit_at("HEAD") or "", zeros, "origin") is None


def test_the_last_version_counts_while_its_head_is_still_behind_us(place):
    with opened(place) as repo:
        one = commit(repo, "one")
        repo.remember("support", one.digest)
        git(place, "commit", "-q", "--allow-empty", "-m", "on")
        assert repo.parents_for("support", None) == (one.digest,)
        git(place, "checkout", "-q", "--orphan", "other")
        git(place, "commit", "-q", "-m", "unrelated")
        assert repo.last("support") is None
        assert repo.parents_for("support", None) == ()
        two = commit(repo, "two", one)
        assert repo.parents_for("support", bundle("two").digest) == (two.digest,)
        assert repo.parents_for("support", bundle("three").digest) == ()


def test_in_a_merge_the_other_side_is_a_parent_too(place):
    with opened(place) as repo:
        one, two = commit(repo, "one"), commit(repo, "two")
        repo.remember("support", one.digest)
        git(place, "checkout", "-q", "-b", "side")
        git(place, "commit", "-q", "--allow-empty", "-m", "side")
        git(place, "checkout", "-q", "main")
        git(place, "commit", "-q", "--allow-empty", "-m", "main")
        assert repo.merge_heads() == ()
        git(place, "merge", "-q", "--no-commit", "--no-ff", "side")
        assert repo.merge_heads() == (git(place, "rev-parse", "side"),)
        both = tuple(sorted((one.digest, two.digest)))
        assert repo.parents_for("support", None, (bundle("two").digest,)) == both
        assert repo.parents_for("support", None, (bundle("one").digest,)) == (one.digest,)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version":"b3:1","HEAD":null}', '{"HEAD":null}'])
def test_a_note_that_cannot_be_read_costs_nothing_but_the_link(place, text):
    with opened(place) as repo:
        repo.remember("support", commit(repo, "one").digest)
        (repo.git_dir / "llmvc" / "last" / "support").write_text(text)
        assert repo.last("support") is None
        assert repo.parents_for("support", None) == ()


def test_a_note_on_a_version_that_the_store_lacks_does_not_count(place):
    with opened(place) as repo:
        repo.remember("support", version("gone").digest)
        assert repo.parents_for("support", None) == ()


def test_identity_is_gits_and_else_user_at_host(place, monkeypatch):
    with opened(place) as repo:
        assert repo.identity() == "Ada <ada@example.org>"
    for name in (
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
        "EMAIL",
    ):
        monkeypatch.delenv(name, raising=False)
    git(place, "config", "user.useConfigOnly", "true")
    monkeypatch.setenv("USER", "eve")
    with opened(place) as repo:
        assert repo.identity() == f"eve@{os.uname().nodename}"
        commit(repo, "one")  # needs no identity of Git's
