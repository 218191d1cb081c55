import pytest

from llmvc.core import digest
from llmvc.core.names import STORE_REF
from llmvc.errors import FormatError, IntegrityError, RefMoved
from llmvc.store.versions import FORMAT, VersionStore, digest_at, object_path
from tests.store.build import (
    ADA,
    NOW,
    SHAPES,
    Waits,
    bundle,
    commit,
    git,
    healthy,
    make,
    meddled,
    opened,
    replace_blob,
    version,
)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_version_is_found_by_digest_prefix_name_and_bundle_in_every_shape(tmp_path, shape):
    place = make(tmp_path, shape)
    with opened(place) as repo:
        made = commit(repo, "hello")
        own, data = bundle("hello").digest, bundle("hello").data
    with opened(place) as repo:
        assert repo.versions.read(own) == data
        assert repo.versions.read(made.digest) == made.to_bytes()
        assert repo.versions.find(own[:11]) == (own,)
        assert repo.versions.about(own) == (made.to_bytes(),)
        assert repo.versions.history("support") == (made,)
    assert healthy(place)


def test_a_stored_object_is_exactly_the_bytes_that_were_hashed(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        commit(repo, "hello")
    path = object_path(bundle("hello").digest)
    done = git(place, "cat-file", "blob", f"{STORE_REF}:{path}")
    assert digest.of_bytes(done.encode()) == bundle("hello").digest
    assert git(place, "cat-file", "blob", f"{STORE_REF}:FORMAT").encode() == FORMAT


def test_adding_what_is_there_writes_nothing(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        commit(repo, "hello")
        before = git(place, "rev-parse", STORE_REF)
        again = repo.versions.add(
            objects=[bundle("hello").data], subject="again", author=ADA, time=NOW
        )
        assert again is None
    assert git(place, "rev-parse", STORE_REF) == before


def test_the_root_commit_is_the_same_in_every_repository(tmp_path):
    roots = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        place = make(tmp_path / name)
        with opened(place) as repo:
            commit(repo, name)
        roots.add(git(place, "rev-list", "--max-parents=0", STORE_REF))
    assert len(roots) == 1


def test_an_empty_store_answers_with_nothing(tmp_path):
    with opened(make(tmp_path)) as repo:
        own = bundle("x").digest
        assert repo.versions.tip() is None
        assert repo.versions.read(own) is None
        assert (repo.versions.find(own[:11]), repo.versions.about(own)) == ((), ())
        assert repo.versions.history("support") == ()


def test_history_puts_parents_before_children_whatever_the_clocks_say(tmp_path):
    with opened(make(tmp_path)) as repo:
        one = version("one", time="2026-03-01T00:00:00Z")
        two = version("two", one, time="2026-02-01T00:00:00Z")
        three = version("three", one, time="2026-01-01T00:00:00Z")
        four = version("four", two, three, time="2025-01-01T00:00:00Z")
        for versions in ([four, two], [one], [three]):
            repo.versions.add(versions=versions, subject="add", author=ADA, time=NOW)
        assert repo.versions.history("support") == (one, three, two, four)
        assert repo.versions.history("other") == ()


def test_what_is_said_about_an_object_is_listed_under_it_sorted_by_digest(tmp_path):
    with opened(make(tmp_path)) as repo:
        key = bundle("x").digest
        said = [f'{{"llmvc":"labels/1","n":{n}}}'.encode() for n in range(5)]
        repo.versions.add(
            about=[(key, data) for data in said], subject="label", author=ADA, time=NOW
        )
        assert repo.versions.about(key) == tuple(sorted(said, key=digest.of_bytes))
        assert repo.versions.read(digest.of_bytes(said[3])) == said[3]


def test_a_prefix_that_is_too_short_or_not_hex_is_refused(tmp_path):
    with opened(make(tmp_path)) as repo:
        for text in ("b3:1234567", "1234567890", "b3:zzzzzzzz", ""):
            with pytest.raises(FormatError, match="no prefix"):
                repo.versions.find(text)


def test_an_ambiguous_prefix_yields_every_digest_it_may_mean(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        own = commit(repo, "hello").bundle
    twin = own[:-1] + ("0" if own[-1] != "0" else "1")
    replace_blob(place, object_path(twin), b"{}")
    with opened(place) as repo:
        assert repo.versions.find(own[:11]) == tuple(sorted((own, twin)))
        assert repo.versions.find(own) == (own,)


def test_other_bytes_under_a_digest_are_found_on_reading(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        made = commit(repo, "hello")
    path = object_path(made.bundle)
    replace_blob(place, path, b"evil")
    with opened(place) as repo:
        with pytest.raises(IntegrityError, match="holds other bytes"):
            repo.versions.read(made.bundle)
        with pytest.raises(IntegrityError, match=f"{path} holds two values"):
            repo.versions.add(objects=[bundle("hello").data], subject="x", author=ADA, time=NOW)


def test_what_lies_about_an_object_is_hashed_too(tmp_path):
    place = make(tmp_path)
    with opened(place) as repo:
        made = commit(repo, "hello")
    listed = [
        line
        for line in git(place, "ls-tree", "-r", "--name-only", STORE_REF).splitlines()
        if line[0] in "av"
    ]
    for path in listed:
        replace_blob(place, path, b"evil")
    with opened(place) as repo:
        with pytest.raises(IntegrityError, match="holds other bytes"):
            repo.versions.about(made.bundle)
        with pytest.raises(IntegrityError, match="holds other bytes"):
            repo.versions.history("support")


@pytest.mark.parametrize(
    "path",
    [
        "x",
        "o/aa/bb/cc",
        "v/../aa/bb",
        "o/AA/bb/" + "c" * 60,
        "a/aa/bb/" + "c" * 60,
        "v/UP/aa/" + "c" * 62,
    ],
)
def test_a_path_that_the_format_does_not_know_is_refused(path):
    with pytest.raises(IntegrityError, match="no path of this format"):
        digest_at(path)


def test_adding_goes_on_top_of_what_another_process_added_meanwhile(tmp_path):
    place = make(tmp_path)
    with opened(place) as other, opened(place) as repo:
        commit(repo, "zero")
        store = VersionStore(meddled(repo.backend, lambda: commit(other, "theirs")))
        store.add(versions=[version("ours")], subject="ours", author=ADA, time=NOW)
        messages = {found.message for found in store.history("support")}
    assert messages == {"say zero", "say theirs", "say ours"}
    assert healthy(place)


def test_a_lock_that_stays_is_named_with_its_age_and_nothing_changes(tmp_path):
    place = make(tmp_path)
    waits = Waits()
    with opened(place, waits.retry()) as repo:
        commit(repo, "hello")
        before = git(place, "rev-parse", STORE_REF)
        lock = place / ".git" / (STORE_REF + ".lock")
        lock.touch()
        with pytest.raises(RefMoved, match=r"store\.lock is locked since \d+ s") as caught:
            commit(repo, "more")
        assert "remove it" in caught.value.hint
        assert len(waits.pauses) == 3
        assert git(place, "rev-parse", STORE_REF) == before
        lock.unlink()
        commit(repo, "more")
        assert len(repo.versions.history("support")) == 2


def test_a_lock_that_goes_away_is_waited_for(tmp_path):
    place = make(tmp_path)
    lock = place / ".git" / (STORE_REF + ".lock")
    waits = Waits({2: lock.unlink})
    with opened(place, waits.retry()) as repo:
        commit(repo, "hello")
        lock.touch()
        commit(repo, "more")
        assert len(waits.pauses) == 2
        assert len(repo.versions.history("support")) == 2
