import json
import os
import subprocess
from pathlib import Path

import pytest

from llmvc.core import canon, digest
from llmvc.core.estimate import Verdict
from llmvc.core.names import STORE_REF
from llmvc.core.release import Move, append
from llmvc.core.report import Report
from llmvc.core.version import Source
from llmvc.store import sync
from llmvc.store.fsck import canonical, fsck
from llmvc.store.versions import object_path
from tests.store.build import (
    ADA,
    NOW,
    POLICY,
    SHAPES,
    adopt,
    bundle,
    clone,
    commit,
    files,
    git,
    make,
    opened,
    replace_blob,
)

PROD = "refs/llmvc/env/support/prod"


def whats(place: Path) -> list[str]:
    with opened(place) as repo:
        return [f"{problem.where}: {problem.what}" for problem in fsck(repo)]


@pytest.fixture
def place(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        made = commit(repo, "one")
        commit(repo, "two", made)
        for text in ("one", "two"):
            adopt(repo.chain("support", "prod"), text)
    return place


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sound_repository_has_no_problems(tmp_path, shape):
    place = make(tmp_path, shape)
    assert whats(place) == []
    with opened(place) as repo:
        commit(repo, "one")
        adopt(repo.chain("support", "prod"), "one")
    assert whats(place) == []


def test_an_asset_need_not_be_json(place):
    data = b'{"not": "ours",   "spaced": 1}'
    with opened(place) as repo:
        repo.versions.add(
            objects=[data, b"\xff\x00", b"{broken"], subject="assets", author=ADA, time=NOW
        )
    assert whats(place) == []


def test_other_bytes_at_a_path_of_the_store_are_found(place):
    path = object_path(bundle("one").digest)
    replace_blob(place, path, b"evil")
    (what,) = whats(place)
    assert what.startswith(f"{STORE_REF}:{path}: holds b3:")


def test_a_path_that_the_format_does_not_know_is_found(place):
    replace_blob(place, "readme.txt", b"hello")
    (what,) = whats(place)
    assert "no path of this format" in what


def test_an_unknown_format_is_found(place):
    replace_blob(place, "FORMAT", b"2")
    (what,) = whats(place)
    assert "unknown format" in what


def test_an_object_of_ours_in_another_spelling_is_found(place):
    data = json.dumps(json.loads(bundle("one").data), indent=1).encode()
    with opened(place) as repo:
        repo.versions.add(objects=[data], subject="spelled", author=ADA, time=NOW)
    (what,) = whats(place)
    assert what.endswith("is not in canonical form")


@pytest.mark.parametrize(
    ("data", "right"),
    [
        (b'{"llmvc":"x/1"}', True),
        (b'{"llmvc": "x/1"}', False),
        (b'{"llmvc":"x/1","llmvc":"x/1"}', False),
        (b'{"llmvc":"x/1","n":1e400}', False),
        (b'{"a": 1}', True),
        (b"{broken", True),
        (b"plain text", True),
        (b"", True),
    ],
)
def test_only_our_own_objects_must_be_canonical(data, right):
    assert canonical(data) is right


@pytest.mark.parametrize("name", ["bundle.json", "policy.json"])
def test_a_file_that_a_release_does_not_name_is_found(place, name):
    tree = git(place, "ls-tree", PROD).replace(
        git(place, "rev-parse", f"{PROD}:{name}"),
        git(place, "hash-object", "-w", "--stdin", stdin=b"{}"),
    )
    new = git(
        place,
        "commit-tree",
        "-m",
        "x",
        "-p",
        f"{PROD}~1",
        git(place, "mktree", stdin=f"{tree}\n".encode()),
    )
    git(place, "update-ref", PROD, new)
    (what,) = whats(place)
    assert what.startswith(f"{PROD}:{name}: release 2: holds b3:")


def test_a_file_that_is_missing_from_a_release_is_found(place):
    tree = "\n".join(
        line for line in git(place, "ls-tree", PROD).splitlines() if "policy" not in line
    )
    new = git(
        place,
        "commit-tree",
        "-m",
        "x",
        "-p",
        f"{PROD}~1",
        git(place, "mktree", stdin=f"{tree}\n".encode()),
    )
    git(place, "update-ref", PROD, new)
    assert whats(place) == [f"{PROD}: release 2 lacks its policy.json"]


def test_a_record_that_breaks_the_chain_is_found(place):
    git(place, "update-ref", PROD, git(place, "commit-tree", "-m", "x", f"{PROD}^{{tree}}"))
    (what,) = whats(place)
    assert "seq is 2, its parent says 1" in what


def test_a_report_on_another_question_is_found(place):
    suite = b'{"llmvc":"suite/1"}'
    report = Report(
        bundle="support",
        candidate=bundle("three").digest,
        baseline=bundle("one").digest,  # prod serves "two"
        suite=digest.of_bytes(suite),
        seed=0,
        cases=(),
        estimates=(),
        verdict=Verdict("pass", "it does"),
        started="2026-11-20T12:00:00Z",
        finished="2026-11-20T12:00:00Z",
        actor=ADA,
        tool="llmvc 0",
    )
    move = Move(
        "promote",
        bundle("three").digest,
        POLICY.digest,
        Source(None, dirty=False),
        "2026-11-20T12:00:00Z",
        ADA,
        suite=report.suite,
        report=report.digest,
        proven=True,
    )
    with opened(place) as repo:
        chain = repo.chain("support", "prod")
        tip = chain.tip()
        assert tip is not None
        made = append(tip.release, move, bundle="support", env="prod")
        blobs = {**files("three"), "suite.json": suite, "report.json": report.data_bytes}
        chain.append(tip, made, blobs, author=ADA, time=NOW)
    (what,) = whats(place)
    assert "report.json: release 3: the report answers another question" in what


def test_a_ref_that_names_no_environment_is_found(place):
    git(place, "update-ref", "refs/llmvc/env/support/Prod", PROD)
    assert "refs/llmvc/env/support/Prod: is no environment of a bundle" in whats(place)


def test_a_local_ref_that_went_back_or_left_what_was_seen_is_found(tmp_path, place):
    origin = clone(place, tmp_path / "origin.git", "--bare")
    git(place, "remote", "add", "origin", str(origin))
    with opened(place) as repo:
        sync.push(repo)
    git(place, "update-ref", PROD, f"{PROD}~1")
    assert [what.split(": ")[1].split(" what")[0] for what in whats(place)] == [
        "was moved back behind"
    ]
    with opened(place) as repo:
        adopt(repo.chain("support", "prod"), "three")
    assert [what.split(": ")[1].split(" what")[0] for what in whats(place)] == ["has left"]


def test_leftover_locks_are_found(place):
    locks = [
        place / ".git" / "packed-refs.lock",
        place / ".git" / f"{STORE_REF}.lock",
        place / ".git" / f"{PROD}.lock",
        place / ".git" / "objects" / "aa" / ("b" * 38 + ".lock"),
    ]
    for lock in locks:
        lock.parent.mkdir(exist_ok=True)
        lock.touch()
    assert {what.split(": ")[0] for what in whats(place)} == {str(lock) for lock in locks}


def reachable(place: Path) -> list[Path]:
    ids = git(place, "rev-list", "--objects", "--no-object-names", STORE_REF, PROD).split()
    return [place / ".git" / "objects" / oid[:2] / oid[2:] for oid in ids]


def test_a_flipped_byte_in_any_object_is_found(place):
    """Every object in turn, a byte of each in turn."""
    for number, path in enumerate(reachable(place)):
        good = path.read_bytes()
        at = (number * 7) % len(good)
        path.chmod(0o644)
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        assert whats(place), f"{path} with byte {at} flipped"
        path.write_bytes(good)
    assert whats(place) == []


def test_an_object_put_in_the_place_of_another_is_found(place):
    """A loose file that inflates well but is not what its name says: git itself would read it."""
    paths = reachable(place)
    kinds = {path: git(place, "cat-file", "-t", path.parent.name + path.name) for path in paths}
    for kind in ("blob", "tree", "commit"):
        first, second = [path for path in paths if kinds[path] == kind][-2:]
        good = first.read_bytes()
        first.chmod(0o644)
        first.write_bytes(second.read_bytes())
        assert whats(place), kind
        first.write_bytes(good)
    assert whats(place) == []


def test_a_missing_object_is_found(place):
    for path in reachable(place)[::3]:
        good = path.read_bytes()
        path.unlink()
        assert whats(place), path
        path.write_bytes(good)


def put(place: Path, ref: str, path: str, data: bytes | None) -> None:
    """Replaces, adds or removes one file of a ref's tree, by a commit in the tip's place."""

    def run(*args: str, stdin: bytes = b"") -> str:
        index = {**os.environ, "GIT_INDEX_FILE": str(place / "by-hand")}
        done = subprocess.run(
            ["git", *args], cwd=place, input=stdin, env=index, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    run("read-tree", ref)
    if data is None:
        run("update-index", "--force-remove", path)
    else:
        oid = run("hash-object", "-w", "--stdin", stdin=data)
        run("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}")
    said = run("log", "-1", "--format=%B", ref)
    parents = [word for oid in run("log", "-1", "--format=%P", ref).split() for word in ("-p", oid)]
    run("update-ref", ref, run("commit-tree", run("write-tree"), *parents, "-m", said))


def stored_paths(place: Path, kind: str) -> list[str]:
    names = git(place, "ls-tree", "-r", "--name-only", STORE_REF).split()
    return [name for name in names if name.startswith(f"{kind}/")]


@pytest.mark.parametrize("kind", ["o", "a", "v"])
def test_a_file_that_the_rest_of_the_store_needs_is_missed(place, kind):
    gone = stored_paths(place, kind)[0]
    put(place, STORE_REF, gone, None)
    assert any(what.startswith(f"{STORE_REF}:{gone}: is missing") for what in whats(place))


@pytest.mark.parametrize(
    ("kind", "what"), [("a", "is about something else"), ("v", "is no version of other")]
)
def test_a_record_that_is_filed_under_something_else_is_found(place, kind, what):
    path = stored_paths(place, kind)[0]
    data = git(place, "cat-file", "blob", f"{STORE_REF}:{path}").encode()
    folders = path.split("/")
    elsewhere = ["a", "11", "11", "1" * 60] if kind == "a" else ["v", "other", folders[2]]
    moved = "/".join((*elsewhere, folders[-1]))
    put(place, STORE_REF, moved, data)
    assert f"{STORE_REF}:{moved}: {what}" in whats(place)


def test_a_record_that_is_not_canonical_is_found(place):
    body = json.loads(git(place, "cat-file", "blob", f"{PROD}:release.json"))
    put(place, PROD, "release.json", json.dumps(body, indent=1).encode())
    assert f"{PROD}:release.json: release 2: is not in canonical form" in whats(place)


def test_a_commit_that_says_otherwise_than_its_record_is_found(place):
    tree = git(place, "rev-parse", f"{PROD}^{{tree}}")
    made = git(place, "commit-tree", tree, "-p", f"{PROD}~1", "-m", "Llmvc-Kind: promote")
    git(place, "update-ref", PROD, made)
    assert f"{PROD}: release 2: its commit does not say 'Llmvc-Kind: adopt'" in whats(place)


def test_a_record_whose_time_is_none_is_found(place):
    body = json.loads(git(place, "cat-file", "blob", f"{PROD}:release.json"))
    body["time"] = "yesterday"
    put(place, PROD, "release.json", canon.encode(body))
    assert f"{PROD}: release 2: its time 'yesterday' is no time" in whats(place)
