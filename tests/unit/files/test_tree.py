"""Which paths may be named, and how files are read from the working tree."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from llmvc.errors import FormatError, NotFoundError
from llmvc.files import config, tree
from llmvc.files.tree import WorkTree


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "./a",
        "a//b",
        "a/",
        "a\\b",
        "c:/x",
        "c:x",
        "a\0b",
        "a\nb",
        ".git/config",
        "a/.GIT/x",
        ".Git",
        "git~1",
        "GIT~2/x",
        ".g\u200cit/x",
        "CON",
        "con.txt",
        "a/Nul.md",
        "COM1",
        "lpt9.x",
        "a.",
        "a /b",
        "a. ",
        "e\u0301.md",
        "a\u202eb",
        "a\u2028b",
        "x*",
        "a?b",
        "a|b",
        'a"b',
        "<a>",
        "a" * 256,
        "/".join(["abc"] * 300),
        "\ud800",
    ],
)
def test_a_path_that_leaves_or_means_something_else_elsewhere_is_refused(path, tmp_path):
    with pytest.raises(FormatError, match=r"^path "):
        tree.check_path(path)
    with pytest.raises(FormatError):
        WorkTree(tmp_path).read(path)


@pytest.mark.parametrize(
    "path",
    [
        "system.md",
        "texts/system.md",
        "a b.md",
        "\u00e9.md",
        ".hidden",
        ".github/x",
        "console.md",
        "..a",
        "git~x",
    ],
)
def test_an_ordinary_path_is_read(path, tmp_path):
    target = tmp_path / path
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(b"x\r\n")
    assert WorkTree(tmp_path).read(path) == b"x\r\n"


def test_links_folders_and_devices_are_refused_without_being_opened(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_text("x")
    (tmp_path / "file").symlink_to("real/x")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder").symlink_to("real")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # a socket's path may not be long
        server.bind("sock")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("file", "dangling", "folder/x", "pipe", "sock", "real", "zero", "real/x/y"):
        with pytest.raises(FormatError, match=name.partition("/")[0]):
            WorkTree(tmp_path).read(name)


def test_a_missing_file_is_not_found(tmp_path):
    for name in ("x", "a/b"):
        with pytest.raises(NotFoundError, match=f"^{name} is not there$"):
            WorkTree(tmp_path).read(name)


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "big").open("wb") as stream:
        stream.truncate(tree.MAX_BYTES + 1)
    with pytest.raises(FormatError, match="larger than 256 MiB"):
        WorkTree(tmp_path).read("big")


def test_no_file_handle_is_left_open(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("a/x", "a", "nothing", "a/x/y"):
        try:
            WorkTree(tmp_path).read(name)
        except (FormatError, NotFoundError):
            continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_names_skip_git_package_folders_nested_repositories_and_links(tmp_path):
    for path in (
        "a/bundle.yaml",
        ".git/x",
        "node_modules/p/bundle.yaml",
        ".venv/x",
        ".llmvc/config.yaml",
        "sub/x",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "sub" / ".git").write_text("gitdir: elsewhere\n")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.yaml").symlink_to("a/bundle.yaml")
    assert WorkTree(tmp_path).names() == (".llmvc/config.yaml", "a/bundle.yaml")


def test_the_top_itself_may_be_a_worktree_whose_git_is_a_file(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path / "main")], check=True)
    subprocess.run(
        ["git", "-C", str(tmp_path / "main"), "commit", "-q", "--allow-empty", "-m", "x"],
        check=True,
    )
    subprocess.run(
        ["git", "-C", str(tmp_path / "main"), "worktree", "add", "-q", "../other"], check=True
    )
    (tmp_path / "other" / "bundle.yaml").write_text("")
    assert WorkTree(tmp_path / "other").names() == ("bundle.yaml",)


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("**/bundle.yaml", ["a/b/bundle.yaml", "a/bundle.yaml", "bundle.yaml"]),
        ("a/*/bundle.yaml", ["a/b/bundle.yaml"]),
        ("*.yaml", ["bundle.yaml"]),
        ("a/**", ["a/b/bundle.yaml", "a/bundle.yaml"]),
        ("a/?/*", ["a/b/bundle.yaml"]),
        ("a/**/bundle.yaml", ["a/b/bundle.yaml", "a/bundle.yaml"]),
        ("xbundle.yaml", []),
        ("bundle[.]yaml", []),
    ],
)
def test_globs_match_whole_paths(glob, found, tmp_path):
    for path in ("bundle.yaml", "a/bundle.yaml", "a/b/bundle.yaml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    assert list(config.matching(WorkTree(tmp_path), [glob])) == found


def test_names_that_differ_only_in_case_are_refused():
    tree.check_collisions(["a.md", "b.md", "a.md"], "f")
    with pytest.raises(FormatError, match=r"^f: A\.md and a\.md differ only in case"):
        tree.check_collisions(["A.md", "a.md"], "f")
