"""A repository as a source of snapshots."""

import json
import os

import pytest

from llmvc.core import digest
from llmvc.errors import IntegrityError, NotFoundError
from llmvc.runtime import snapshot
from llmvc.store import serving
from llmvc.store.serving import GitSource
from tests.serving.build import PROD, a_set, digests, pinnable, roll_back
from tests.store.build import (
    ADA,
    NOW,
    SHAPES,
    adopt,
    bundle,
    clone,
    git,
    make,
    opened,
    release,
    replace_blob,
)


def whole(source):
    """Loads all that a source tells of."""
    pointer, _ = source.pointer(None)
    return snapshot.load(pointer, source.object, history=True)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_repository_of_any_shape_gives_a_whole_snapshot(opening, tmp_path, shape):
    folder = make(tmp_path, shape)
    with opened(folder) as repo:
        for text in ("one", "two"):
            adopt(repo.chain("support", "prod"), text)
        newest = repo.chain("support", "prod").tip().release
    source = opening(folder)
    found = whole(source)
    source.close()
    assert found.tips["support", "prod"].release == newest
    assert set(found.served) == digests("one", "two")


def test_the_same_refs_give_the_same_bytes_and_a_tag_that_says_so(opening, source, origin):
    pointer, tag = source.pointer(None)
    assert source.pointer(tag) is None
    assert digest.of_bytes(pointer) == f"b3:{tag}"
    assert opening(origin).pointer("another") == (pointer, tag)


def test_a_repository_without_releases_gives_an_empty_snapshot(opening, tmp_path):
    pointer, _ = opening(make(tmp_path)).pointer(None)
    assert json.loads(pointer) == {"llmvc": "snapshot/1", "environments": {}, "bundles": {}}


def test_only_an_environment_that_moved_is_read_again(source, moves, monkeypatch):
    moves("one", "staging")
    source.pointer(None)
    read = []
    monkeypatch.setattr(
        source, "_read", lambda oid, *name: read.append(name) or GitSource._read(source, oid, *name)
    )
    moves("three")
    source.pointer(None)
    assert read == [("support", "prod")]


def test_bundles_and_environments_can_be_chosen(opening, origin, moves):
    moves("one", "staging")
    pointer, _ = opening(origin, bundles=["support"], envs=["staging"]).pointer(None)
    assert list(json.loads(pointer)["environments"]["support"]) == ["staging"]
    assert pinnable(opening(origin, envs=["staging"])) == digests("one")
    assert opening(origin, bundles=["other"]).pointer(None)[0].count(b"seq") == 0


def test_a_pin_may_name_what_was_served_lately_unless_it_was_rolled_back(source, origin, moves):
    moves("three")
    assert pinnable(source) == digests("one", "two", "three")
    with opened(origin) as repo:
        roll_back(repo.chain("support", "prod"), "two")
    assert pinnable(source) == digests("one", "two")


def test_a_rollback_that_drains_leaves_what_it_left_to_pins(source, origin, moves):
    moves("three")
    with opened(origin) as repo:
        roll_back(repo.chain("support", "prod"), "two", drain=True)
    assert pinnable(source) == digests("one", "two", "three")


def test_only_the_last_releases_of_a_long_chain_are_told(source, moves, monkeypatch):
    monkeypatch.setattr(serving, "WINDOW", 3)
    for text in ("three", "four"):
        moves(text)
    assert pinnable(source) == digests("two", "three", "four")


def test_a_set_comes_with_its_members(source, origin):
    made, beside = a_set(answer="one", judge="five")
    with opened(origin) as repo:
        chain = repo.chain("support", "prod")
        tip = chain.tip()
        named = release(tip.release, "one")
        from dataclasses import replace

        named = replace(named, to=made.digest)
        held = {"bundle.json": made.data, "policy.json": chain.blob("policy.json"), **beside}
        chain.append(tip, named, held, author=ADA, time=NOW)
    served = whole(source).served[made.digest]
    assert {served.member(name).digest for name in ("answer", "judge")} == digests("one", "five")


def test_a_shallow_clone_tells_of_what_it_has(opening, origin, tmp_path, moves):
    moves("three")
    shallow = clone(origin, tmp_path / "shallow", "--depth=1")
    git(shallow, "fetch", "-q", "--depth=1", "origin", f"{PROD}:{PROD}")
    assert pinnable(opening(shallow)) == digests("three")


def test_a_record_of_another_chain_is_refused(source, origin):
    with opened(origin) as repo:
        adopt(repo.chain("support", "staging"), "one")
    git(origin, "update-ref", PROD, "refs/llmvc/env/support/staging")
    with pytest.raises(IntegrityError, match="support/prod release 1 is not of its chain"):
        source.pointer(None)


def test_a_bundle_that_was_swapped_is_refused(source, origin):
    replace_blob(origin, "bundle.json", bundle("evil").data, PROD)
    with pytest.raises(IntegrityError, match=r"release 2 is not of its chain|as its record says"):
        source.pointer(None)


def test_an_object_that_nothing_leads_to_is_not_given(source):
    source.pointer(None)
    with pytest.raises(NotFoundError):
        source.object("0" * 64)


def test_a_child_of_a_fork_reads_by_itself(source):
    pointer, tag = source.pointer(None)
    name = json.loads(pointer)["environments"]["support"]["prod"]["release"][3:]
    child = os.fork()
    if not child:
        os._exit(0 if source.pointer(tag) is None and source.object(name) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert digest.of_bytes(source.object(name)) == f"b3:{name}"
