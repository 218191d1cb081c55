import json
from dataclasses import replace

import pytest

from llmvc.core import digest
from llmvc.core.release import Move, append
from llmvc.core.version import Source
from llmvc.errors import IntegrityError, RefMoved, StoreError
from llmvc.store.chain import EnvChain
from tests.store.build import (
    ADA,
    NOW,
    POLICY,
    SHAPES,
    adopt,
    bundle,
    files,
    git,
    healthy,
    make,
    meddled,
    opened,
    release,
    replace_blob,
)

PROD = "refs/llmvc/env/support/prod"


@pytest.mark.parametrize("shape", SHAPES)
def test_releases_are_appended_and_read_back_in_every_shape(tmp_path, shape):
    place = make(tmp_path, shape)
    with opened(place) as repo:
        chain = repo.chain("support", "prod")
        assert (chain.tip(), chain.releases(), chain.newest(3)) == (None, (), ())
        oids = [adopt(chain, text) for text in ("one", "two", "three")]
        assert [found.seq for found in chain.releases()] == [1, 2, 3]
        assert chain.newest(2) == chain.tips()[1:]
        assert chain.since(oids[0], oids[2]) == chain.releases()[1:]
    with opened(place) as repo:
        tip = repo.chain("support", "prod").tip()
        assert tip is not None
        assert (tip.oid, tip.release.to) == (oids[2], bundle("three").digest)
        assert repo.chain("support", "prod").blob("bundle.json") == bundle("three").data
        assert repo.chain("support", "prod").blob("report.json") is None
        assert repo.environments() == (("support", "prod"),)
        assert repo.environments("other") == ()
    assert healthy(place)


def test_the_commit_tells_a_reader_of_git_log_what_moved(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        adopt(repo.chain("support", "prod"), "one")
        adopt(repo.chain("support", "prod"), "two")
    one, two = bundle("one").digest, bundle("two").digest
    message = git(place, "log", "-1", "--format=%B%an %ae %aI", PROD)
    assert message.splitlines() == [
        f"support/prod 2: adopt {one[:15]} -> {two[:15]}",
        "",
        "Llmvc-Kind: adopt",
        "Llmvc-Seq: 2",
        f"Llmvc-From: {one}",
        f"Llmvc-To: {two}",
        "Ada ada@example.org 2026-11-20T12:00:00+00:00",
    ]
    assert (
        git(place, "reflog", "--format=%gs", PROD).splitlines()[0] == "llmvc: support/prod 2: adopt"
    )


def test_an_append_from_a_tip_that_is_no_longer_the_tip_is_refused(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        chain = repo.chain("support", "prod")
        adopt(chain, "one")
        old = chain.tip()
        adopt(chain, "two")
        assert old is not None
        with pytest.raises(RefMoved, match=f"{PROD} was moved by somebody else"):
            chain.append(old, release(old.release, "x"), files("x"), author=ADA, time=NOW)
        with pytest.raises(RefMoved):
            chain.append(None, release(None, "x"), files("x"), author=ADA, time=NOW)
        assert [found.to for found in chain.releases()] == [
            bundle(text).digest for text in ("one", "two")
        ]


def test_who_moves_between_the_look_and_the_move_wins(tmp_path):
    place = make(tmp_path)
    with opened(place) as other, opened(place) as repo:
        adopt(other.chain("support", "prod"), "one")
        backend = meddled(repo.backend, lambda: adopt(other.chain("support", "prod"), "theirs"))
        with pytest.raises(RefMoved):
            adopt(EnvChain(backend, "support", "prod"), "ours")
        assert repo.chain("support", "prod").releases()[-1].to == bundle("theirs").digest


def test_a_ref_that_was_deleted_meanwhile_is_not_brought_back(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        adopt(repo.chain("support", "prod"), "one")
        backend = meddled(repo.backend, lambda: git(place, "update-ref", "-d", PROD))
        with pytest.raises(RefMoved):
            adopt(EnvChain(backend, "support", "prod"), "two")
        assert repo.environments() == ()


@pytest.mark.parametrize(
    ("break_it", "blobs"),
    [
        (lambda r: replace(r, seq=7), files("two")),
        (lambda r: replace(r, previous=None), files("two")),
        (lambda r: replace(r, from_=None), files("two")),
        (lambda r: replace(r, env="stage"), files("two")),
        (lambda r: r, files("one")),
        (lambda r: r, {"bundle.json": files("two")["bundle.json"]}),
        (lambda r: r, {**files("two"), "report.json": b"{}"}),
        (lambda r: r, {**files("two"), "notes.txt": b"hi"}),
        (lambda r: r, {**files("two"), "o/" + "0" * 64: b"not that"}),
    ],
    ids=[
        "seq",
        "previous",
        "from",
        "env",
        "other-bundle",
        "no-policy",
        "unnamed-report",
        "unknown",
        "asset",
    ],
)
def test_a_release_that_does_not_fit_is_never_written(tmp_path, break_it, blobs):
    with opened(make(tmp_path)) as repo:
        chain = repo.chain("support", "prod")
        adopt(chain, "one")
        tip = chain.tip()
        assert tip is not None
        with pytest.raises(IntegrityError):
            chain.append(tip, break_it(release(tip.release, "two")), blobs, author=ADA, time=NOW)
        assert chain.tip() == tip


def test_assets_travel_with_the_release(tmp_path):
    data = b"\x00\x01 not JSON"
    name = "o/" + digest.hex_of(digest.of_bytes(data))
    with opened(make(tmp_path)) as repo:
        chain = repo.chain("support", "prod")
        chain.append(None, release(None, "one"), {**files("one"), name: data}, author=ADA, time=NOW)
        assert chain.blob(name) == data


def test_other_bytes_than_the_record_names_are_found_on_reading(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        adopt(repo.chain("support", "prod"), "one")
    tree = git(place, "rev-parse", f"{PROD}^{{tree}}")
    evil = git(place, "hash-object", "-w", "--stdin", stdin=b"{}")
    lines = git(place, "ls-tree", tree).replace(
        git(place, "rev-parse", f"{PROD}:bundle.json"), evil
    )
    new = git(place, "commit-tree", "-m", "x", git(place, "mktree", stdin=lines.encode() + b"\n"))
    git(place, "update-ref", PROD, new)
    with opened(place) as repo:
        chain = repo.chain("support", "prod")
        with pytest.raises(IntegrityError, match=r"release 1: bundle\.json is not b3:"):
            chain.blob("bundle.json")
        with pytest.raises(IntegrityError):
            chain.verify(new)


def test_a_merge_in_a_chain_is_a_fork_and_refused(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        adopt(repo.chain("support", "prod"), "one")
        adopt(repo.chain("support", "prod"), "two")
    merge = git(place, "commit-tree", "-m", "x", "-p", PROD, "-p", "main", f"{PROD}^{{tree}}")
    git(place, "update-ref", PROD, merge)
    with opened(place) as repo, pytest.raises(IntegrityError, match="has 2 parents"):
        repo.chain("support", "prod").releases()


def test_a_chain_of_another_environment_under_this_ref_is_refused(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        adopt(repo.chain("support", "prod"), "one")
    git(place, "update-ref", "refs/llmvc/env/support/stage", PROD)
    with opened(place) as repo:
        chain = repo.chain("support", "stage")
        for look in (chain.tip, chain.releases, lambda: chain.newest(1)):
            with pytest.raises(IntegrityError, match="holds a release of support/prod"):
                look()


def test_a_ref_that_holds_no_release_is_refused(tmp_path):
    place = make(tmp_path)
    git(place, "update-ref", PROD, "main")
    with opened(place) as repo:
        chain = repo.chain("support", "prod")
        for look in (chain.tip, chain.releases, lambda: chain.newest(1)):
            with pytest.raises(IntegrityError, match=r"holds no release\.json"):
                look()


def test_a_tag_or_branch_that_looks_like_an_environment_is_not_one(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        adopt(repo.chain("support", "prod"), "one")
    oid = git(place, "rev-parse", PROD)
    git(place, "update-ref", "-d", PROD)
    git(place, "update-ref", f"refs/tags/{PROD}", oid)
    git(place, "update-ref", f"refs/heads/{PROD}", oid)
    with opened(place) as repo:
        assert repo.chain("support", "prod").tip() is None
        assert repo.environments() == ()
        adopt(repo.chain("support", "prod"), "two")
        assert repo.chain("support", "prod").releases()[-1].seq == 1


def test_a_record_with_unknown_members_is_refused_not_guessed_at(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        adopt(repo.chain("support", "prod"), "one")
    record = json.loads(git(place, "cat-file", "blob", f"{PROD}:release.json"))
    replace_blob(place, "release.json", json.dumps({**record, "extra": 1}).encode(), PROD)
    with opened(place) as repo, pytest.raises(IntegrityError, match="members that this version"):
        repo.chain("support", "prod").tip()


def test_a_file_where_the_refs_folder_belongs_is_one_clear_line(tmp_path):
    place = make(tmp_path)
    git(place, "update-ref", "refs/llmvc/env/support", "main")
    with opened(place) as repo, pytest.raises(StoreError, match="refs/llmvc/env/support"):
        adopt(repo.chain("support", "prod"), "one")


def test_rolling_back_twice_reads_as_written(tmp_path):
    with opened(make(tmp_path)) as repo:
        chain = repo.chain("support", "prod")
        adopt(chain, "one")
        adopt(chain, "two")
        tip, first = chain.tip(), chain.releases()[0]
        assert tip is not None
        move = Move(
            "rollback",
            first.to,
            POLICY.digest,
            Source(None, dirty=False),
            "2026-11-20T13:00:00Z",
            ADA,
            target=first.digest,
        )
        back = append(tip.release, move, bundle="support", env="prod")
        chain.append(tip, back, files("one"), author=ADA, time=NOW)
        assert chain.releases()[-1].rolled_back == (bundle("two").digest,)
