import hashlib
import os
import subprocess

import pytest

from llmvc.errors import FormatError, IntegrityError, StoreError
from llmvc.store.git import Git, environment
from llmvc.store.reader import Reader
from llmvc.store.retry import Retry
from llmvc.store.trees import parse
from tests.store.build import git, make, opened


@pytest.fixture
def place(tmp_path):
    return make(tmp_path)


def reader(place, limit=2**20):
    return Reader(Git(place, environment(os.environ, place)), limit=limit)


def test_many_objects_come_in_the_order_asked_for_and_none_where_there_is_none(place):
    with opened(place) as repo:
        pack = repo.backend.new_pack()
        oids = [pack.blob(f"{n}".encode()) for n in range(250)]
        git(place, "unpack-objects", "-q", stdin=pack.stream())
    asked = [oid for pair in zip(oids, ["f" * 40] * 250, strict=True) for oid in pair]
    read = reader(place)
    found = [item and item.data for item in read.many(asked)]
    assert found == [data for n in range(250) for data in (f"{n}".encode(), None)]
    read.close()


def test_a_question_may_be_asked_while_answers_are_still_being_handed_out(place):
    oids = [git(place, "hash-object", "-w", "--stdin", stdin=f"{n}".encode()) for n in range(3)]
    read = reader(place)
    for number, item in enumerate(read.many(oids)):
        again = read.get(oids[0])
        assert item is not None
        assert again is not None
        assert (item.data, again.data) == (str(number).encode(), b"0")
    read.close()


def test_an_object_over_the_limit_is_never_read_and_the_reader_goes_on(place):
    big = git(place, "hash-object", "-w", "--stdin", stdin=bytes(3_000_000))
    read = reader(place)
    with pytest.raises(FormatError, match=r"too large: 3000000 bytes, the limit is 1048576"):
        read.get(big)
    assert read.info(big).size == 3_000_000
    assert read.get("HEAD").kind == "commit"
    read.close()


def test_a_damaged_object_is_named_and_the_reader_goes_on(place):
    oid = git(place, "hash-object", "-w", "--stdin", stdin=b"some content that is long enough")
    path = place / ".git" / "objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-9])
    read = reader(place)
    with pytest.raises(IntegrityError, match=f"{oid} is damaged"):
        read.get(oid)
    assert read.get("HEAD") is not None
    read.close()


def test_a_name_that_would_be_two_questions_is_refused(place):
    read = reader(place)
    for name in ("HEAD\nHEAD", "a\0b"):
        with pytest.raises(StoreError, match="not an object's name"):
            read.get(name)
    read.close()


def test_an_ambiguous_name_is_refused(place):
    heads: dict[str, bytes] = {}
    twins: tuple[bytes, bytes] | None = None
    for number in range(2000):
        data = str(number).encode()
        head = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()[:4]
        if head in heads:
            twins = (heads[head], data)
            break
        heads[head] = data
    assert twins is not None
    for data in twins:
        oid = git(place, "hash-object", "-w", "--stdin", stdin=data)
    read = reader(place)
    with pytest.raises(StoreError, match=f"git cannot name {oid[:4]}"):
        read.get(oid[:4])
    read.close()


def test_a_reader_that_was_closed_starts_again(place):
    read = reader(place)
    assert read.get("HEAD") is not None
    read.close()
    assert read.get("HEAD") is not None
    read.close()


def test_replaced_objects_are_not_followed(place):
    oid = git(place, "hash-object", "-w", "--stdin", stdin=b"true")
    lie = git(place, "hash-object", "-w", "--stdin", stdin=b"false")
    git(place, "replace", oid, lie)
    assert git(place, "cat-file", "blob", oid) == "false"
    with opened(place) as repo:
        assert repo.backend.reader.blob(oid) == b"true"


@pytest.mark.parametrize("data", [b"100644", b"100644 a", b"x a\0" + b"0" * 20, b"\0"])
def test_a_malformed_tree_is_refused(data):
    with pytest.raises(IntegrityError, match="malformed"):
        parse(data, 20)


def test_children_get_absolute_paths_and_speak_english(tmp_path):
    env = environment(
        {"GIT_DIR": ".git", "GIT_INDEX_FILE": "/x/index", "LC_ALL": "de_DE"}, tmp_path
    )
    assert env["GIT_DIR"] == str(tmp_path / ".git")
    assert env["GIT_INDEX_FILE"] == "/x/index"
    assert (env["LC_ALL"], env["GIT_OPTIONAL_LOCKS"]) == ("C", "0")


def test_pauses_grow_are_jittered_and_bounded():
    pauses: list[float] = []
    retry = Retry(tries=8, sleep=pauses.append, fraction=lambda: 0.5)
    assert list(retry.rounds()) == list(range(8))
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.32, 0.4, 0.4]


def test_the_default_jitter_differs_from_call_to_call():
    fraction = Retry().fraction
    drawn = {fraction() for _ in range(20)}
    assert len(drawn) > 1
    assert all(0 <= number < 1 for number in drawn)


def test_no_child_outlives_the_repository(place):
    with opened(place) as repo:
        repo.backend.reader.get("HEAD")
        child = repo.backend.reader._child
    assert isinstance(child, subprocess.Popen)
    assert child.poll() is not None
