"""Writing snapshots: whole or not at all, and never backwards."""

import json
import subprocess
import sys

import pytest

from llmvc import places
from llmvc.errors import FormatError, IntegrityError, LlmvcError, StoreError
from llmvc.places import Folder, place_at
from llmvc.runtime import heart
from llmvc.runtime.export import export
from tests.serving.build import PROD, digests, load, python, seqs, tree, until
from tests.store.build import adopt, git, make, opened


def test_what_is_written_is_what_a_reader_takes(served):
    found = load(served)
    assert found.seqs == {("support", "prod"): 2}
    assert set(found.served) == digests("one", "two")


def test_the_same_refs_give_the_same_files_anywhere(served, source, tmp_path):
    export(source, Folder(tmp_path / "other"))
    assert tree(tmp_path / "other") == tree(served)


def test_writing_again_touches_nothing(served, source):
    before = {path: path.stat().st_mtime_ns for path in served.rglob("*")}
    done = export(source, Folder(served))
    assert (done.moved, done.objects) == ((), 0)
    assert {path: path.stat().st_mtime_ns for path in served.rglob("*")} == before


def test_only_what_is_new_is_written(served, source, moves):
    moves("three")
    done = export(source, Folder(served))
    assert (done.seqs, done.moved, done.objects) == ({"support/prod": 3}, ("support/prod",), 2)


def test_a_url_gets_the_same_bytes(served, source):
    place = place_at("memory://serving/here")
    export(source, place)
    found = {"snapshot.json": place.read("snapshot.json")}
    found |= {f"objects/{name}": place.read(f"objects/{name}") for name in place.names("objects")}
    assert found == tree(served)


class Dies(Folder):
    """A folder whose writer is killed before the write of this number."""

    def __init__(self, top, at):
        super().__init__(top)
        self.left = at

    def write(self, path, data):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        super().write(path, data)


@pytest.mark.parametrize("at", range(5))
def test_a_writer_that_is_stopped_anywhere_leaves_the_old_snapshot_whole(served, source, moves, at):
    moves("three")
    moves("four", "staging")
    old = load(served)
    with pytest.raises(KeyboardInterrupt):
        export(source, Dies(served, at))
    assert load(served).pointer == old.pointer
    assert export(source, Folder(served)).objects == 4 - at
    assert load(served).seqs == {("support", "prod"): 3, ("support", "staging"): 1}


KILLED = """
import os, signal, sys
from pathlib import Path
from llmvc.runtime.export import export
from llmvc.places import Folder
from llmvc.store.serving import GitSource
left = int(sys.argv[3])
replace = Path.replace
def meet(self, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = meet
export(GitSource(sys.argv[1]), Folder(Path(sys.argv[2])))
"""


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_writer_that_is_killed_holds_no_lock_and_leaves_no_half(
    served, origin, source, moves, at
):
    moves("three")
    old = load(served)
    child = python(KILLED, origin, served, at)
    child.communicate(timeout=30)
    assert child.returncode == -9
    assert load(served).pointer == old.pointer
    done = export(source, Folder(served), prune=True)
    assert done.moved == ("support/prod",)
    assert list(served.rglob("*.part")) == []
    assert load(served).seqs == {("support", "prod"): 3}


def test_an_object_that_was_damaged_or_lost_is_written_again(served, source):
    whole = tree(served)
    first, second, *_ = sorted((served / "objects").iterdir())
    first.write_bytes(b"damaged")
    second.unlink()
    with pytest.raises(LlmvcError):
        load(served)
    assert export(source, Folder(served)).objects == 2
    assert tree(served) == whole


def test_a_source_with_a_damaged_object_changes_nothing(served, source, moves, monkeypatch):
    moves("three")
    before = tree(served)
    monkeypatch.setattr(source, "object", lambda _: b"damaged")
    with pytest.raises(IntegrityError, match="not what its name says"):
        export(source, Folder(served))
    assert tree(served) == before


def rewound(origin, tmp_path):
    git(origin, "update-ref", PROD, f"{PROD}~1")
    return "went back from release 2 to 1"


def forked(origin, tmp_path):
    git(origin, "update-ref", PROD, f"{PROD}~1")
    with opened(origin) as repo:
        for text in ("another", "three"):
            adopt(repo.chain("support", "prod"), text)
    return "is forked: there is another release 2"


def replaced(origin, tmp_path):
    git(origin, "update-ref", "-d", PROD)
    with opened(origin) as repo:
        for text in ("another", "other"):
            adopt(repo.chain("support", "prod"), text)
    return "is forked: there is another release 2"


def lost(origin, tmp_path):
    git(origin, "update-ref", "-d", PROD)
    return "is gone"


@pytest.mark.parametrize("happens", [rewound, forked, replaced, lost])
def test_an_environment_that_went_back_or_aside_is_refused(
    opening, served, origin, tmp_path, happens
):
    before = tree(served)
    message = happens(origin, tmp_path)
    with pytest.raises(IntegrityError, match=message):
        export(opening(origin), Folder(served))
    assert tree(served) == before


def test_something_else_that_lies_there_is_not_overwritten(source, tmp_path):
    (tmp_path / "snapshot.json").write_text('{"mine": true}')
    with pytest.raises(FormatError, match="is no snapshot"):
        export(source, Folder(tmp_path))
    assert json.loads((tmp_path / "snapshot.json").read_text()) == {"mine": True}


def test_pruning_leaves_what_a_reader_of_the_last_pointer_needs(served, source, moves, monkeypatch):
    from llmvc.runtime import snapshot
    from llmvc.store import serving

    for module in (snapshot, serving):
        monkeypatch.setattr(module, "WINDOW", 1)
    heart.Heart(served).beat({})
    old = load(served)
    moves("three")
    export(source, Folder(served), prune=True)
    read = {path.name for path in (served / "objects").iterdir()}
    assert {one[3:] for one in old.objects} <= read
    moves("four")
    assert export(source, Folder(served), prune=True).pruned > 0
    assert len(list((served / "fleet").iterdir())) == 1
    load(served)


@pytest.mark.parametrize("private", [False, True])
def test_what_a_killed_writer_left_behind_keeps_nobody_from_writing(tmp_path, private):
    """In a container the next process has the same number, and does the same first."""
    script = (
        "import os, sys; from pathlib import Path; from llmvc import places\n"
        "os.getpid = lambda: 1\n"
        "if sys.argv[2] == 'killed': Path.replace = lambda *_: os._exit(9)\n"
        f"places.put(Path(sys.argv[1]) / 'x', b'whole', private={private})"
    )
    for how, code in (("killed", 9), ("", 0)):
        ran = subprocess.run([sys.executable, "-c", script, str(tmp_path), how], check=False)
        assert ran.returncode == code
    assert (tmp_path / "x").read_bytes() == b"whole"


def test_a_place_that_cannot_be_written_says_so(source, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot write"):
        export(source, Folder(tmp_path / "file" / "below"))


def test_a_writer_that_hangs_is_not_waited_for_for_ever(served, source, moves, monkeypatch):
    monkeypatch.setattr(places, "TURN_S", 0.1)
    moves("three")
    with Folder(served).turn(), pytest.raises(StoreError, match="another writer has held"):
        export(source, Folder(served))
    assert export(source, Folder(served)).moved == ("support/prod",)


@pytest.mark.race
def test_two_writers_and_a_mover_leave_every_state_whole(origin, source, tmp_path):
    top = tmp_path / "shared"
    export(source, Folder(top))
    writer = """
import sys
from pathlib import Path
from llmvc.runtime.export import export
from llmvc.places import Folder
from llmvc.store.serving import GitSource
source = GitSource(sys.argv[1])
while not Path(sys.argv[3]).exists():
    export(source, Folder(Path(sys.argv[2])))
"""
    stop = tmp_path / "stop"
    writers = [python(writer, origin, top, stop) for _ in range(2)]
    seen = 0
    with opened(origin) as repo:
        for number in range(8):
            adopt(repo.chain("support", "prod"), f"text {number}")
            until(lambda wanted=number + 3: seqs(top)["support/prod"] >= wanted)
            now = load(top).seqs["support", "prod"]
            assert now >= seen
            seen = now
    stop.touch()
    for child in writers:
        assert child.communicate(timeout=30)[1] == ""
        assert child.returncode == 0


def test_a_folder_of_a_fresh_repository_is_an_empty_snapshot(opening, tmp_path):
    done = export(opening(make(tmp_path)), Folder(tmp_path / "served"))
    assert (done.seqs, load(tmp_path / "served").seqs) == ({}, {})


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/serve", "https://a:secret@example.com/serve"])
def test_over_http_a_snapshot_is_only_read_and_that_is_said(origin, cli, monkeypatch, url):
    monkeypatch.chdir(origin)
    error = cli.json("snapshot", "--to", url, code=4)
    assert "cannot be written: over HTTP files are only read" in error["message"]
    assert "secret" not in str(error)
    assert "pip" not in error["hint"]
