"""Laws of the store and of chains, on real repositories."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvc.core.names import STORE_REF
from llmvc.core.release import Move, append, rollback_target
from llmvc.core.version import Source
from llmvc.errors import NotFoundError
from llmvc.store.fsck import fsck
from llmvc.store.repository import Repository
from llmvc.store.union import absorb
from llmvc.store.versions import VersionStore
from tests.store.build import ADA, NOW, POLICY, bundle, files, git, healthy, make

few = settings(max_examples=5)
texts = st.sets(st.sampled_from("abcdef"), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    with Repository.open(make(tmp_path_factory.mktemp("laws"))) as found:
        yield found
        assert fsck(found) == ()
        assert healthy(found.git_dir)


def grown(repo: Repository, words: set[str], ref: str) -> str:
    """Returns a store that holds these words, made word by word."""
    store = VersionStore(repo.backend, ref)
    for word in sorted(words):
        store.add(objects=[bundle(word).data], subject=word, author=ADA, time=NOW)
    tip = store.tip()
    git(repo.git_dir, "update-ref", "-d", ref)
    assert tip is not None
    return tip


def united(repo: Repository, ours: str, theirs: str) -> str:
    git(repo.git_dir, "update-ref", STORE_REF, ours)
    return absorb(repo.backend, theirs)


def tree(repo: Repository, commit: str) -> str:
    return repo.backend.trees.tree_id(commit)


@few
@given(one=texts, two=texts, three=texts)
def test_a_union_is_commutative_associative_idempotent_and_loses_nothing(repo, one, two, three):
    a, b, c = (
        grown(repo, words, f"refs/made/{name}")
        for name, words in zip("abc", (one, two, three), strict=True)
    )
    ab, ba = united(repo, a, b), united(repo, b, a)
    assert tree(repo, ab) == tree(repo, ba) == tree(repo, grown(repo, one | two, "refs/made/x"))
    assert united(repo, ab, b) == ab
    assert united(repo, ab, ab) == ab
    assert tree(repo, united(repo, ab, c)) == tree(repo, united(repo, a, united(repo, b, c)))
    if not (one <= two or two <= one):
        assert ab == ba


moves = st.lists(st.sampled_from(["a", "b", "c", "back"]), min_size=1, max_size=7)
counter = iter(range(10_000))


@few
@given(steps=moves)
def test_every_prefix_of_a_chain_is_a_chain_and_reads_the_same(repo, steps):
    chain = repo.chain("support", f"env-{next(counter)}")
    served = []
    oids = []
    for step in steps:
        tip, releases = chain.tip(), chain.releases()
        parent = tip.release if tip else None
        kind, to, target = "override", bundle(step).digest, None
        if step == "back":
            try:
                found = rollback_target(releases)
            except NotFoundError:
                continue
            kind, to, target = "rollback", found.to, found.digest
        move = Move(
            kind, to, POLICY.digest, Source(None, dirty=False), NOW.isoformat(), ADA, target=target
        )
        made = append(parent, move, bundle="support", env=chain.env)
        word = next(word for word in "abc" if bundle(word).digest == to)
        oids.append(chain.append(tip, made, files(word), author=ADA, time=NOW))
        served.append(made)
    for length, oid in enumerate(oids, start=1):
        assert chain.releases(oid) == tuple(served[:length])
        assert tuple(tip.release for tip in chain.newest(2, oid)) == tuple(
            served[max(0, length - 2) : length]
        )
