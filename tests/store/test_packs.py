"""What is built is what Git itself would build."""

import pytest

from llmvc.store.objects import NOBODY, Stamp
from llmvc.store.packs import Pack
from llmvc.store.trees import FILE, FOLDER, Entry
from tests.store.build import git, make

# Around each point at which the header of an object in a pack takes one byte more.
SIZES = (0, 1, 15, 16, 17, 2047, 2048, 2049, 262_143, 262_144, 300_000)


@pytest.mark.parametrize("shape", ["plain", "sha256"])
def test_git_unpacks_what_was_packed_and_gives_it_the_same_ids(tmp_path, shape):
    place = make(tmp_path, shape)
    pack = Pack("sha256" if shape == "sha256" else "sha1")
    blobs = {bytes(at % 251 for at in range(size)): size for size in SIZES}
    ids = {size: pack.blob(data) for data, size in blobs.items()}
    # Git orders a folder as if a slash ended its name: "a" the folder comes after "a.b".
    inner = pack.tree({"ü": Entry(FILE, ids[1])})
    names = {"a.b": FILE, "a": FOLDER, "a0": FILE, "a b": FILE}
    tree = pack.tree(
        {name: Entry(mode, inner if mode == FOLDER else ids[0]) for name, mode in names.items()}
    )
    first = pack.commit(tree, (), Stamp(NOBODY, 0), "one\n")
    last = pack.commit(tree, (first,), Stamp("Ada <ada@example.org>", 1_700_000_000), "two\0\n")
    git(place, "unpack-objects", "-q", "--strict", stdin=pack.stream())
    git(place, "update-ref", "refs/heads/made", last)
    assert git(place, "fsck", "--strict", "--no-dangling") == ""
    for data, size in blobs.items():
        assert git(place, "hash-object", "--stdin", stdin=data) == ids[size]
        assert git(place, "cat-file", "-s", ids[size]) == str(size)
    listed = git(place, "ls-tree", "--name-only", last).split("\n")
    assert listed == ["a b", "a.b", "a", "a0"]
    told = git(place, "log", "--format=%an <%ae> %at %s", "made")
    assert told == f"Ada <ada@example.org> 1700000000 two\n{NOBODY} 0 one"


def test_the_same_object_is_packed_once():
    pack = Pack("sha1")
    first, second = pack.blob(b"x"), pack.blob(b"x")
    assert (first,) == (second,) == pack.ids
