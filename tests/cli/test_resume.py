"""An eval that is killed, or cut into shards, ends with the bytes of one that was left alone."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmvc.evals.runs import Ledger
from tests.support.build import environ
from tests.support.recorded import FAKE, RECORDED, recorded, standing_still

ROOT = Path(__file__).parents[2]
CALLS = 80
MOMENTS = 10

# stdin: one line a run with the folder, and before, within or after which line of the ledger it
# kills itself. Each run is a fork of one warm process: start-up is not what is tested.
WARM = """
import os, signal, sys
from llmvc.cli.main import run
from llmvc.evals.runs import Ledger
from tests.support.recorded import standing_still
import llmvc.app.measuring, llmvc.evals.reports, llmvc.files.suite, llmvc.store.packs

append = Ledger._append
lines = 0

def killing(self, line):
    global lines
    lines += 1
    if lines == at:
        if when == "after":
            append(self, line)
        if when == "within":
            append(self, line)
            os.ftruncate(self._file, os.fstat(self._file).st_size - len(line) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    append(self, line)

print("ready", flush=True)
for line in sys.stdin:
    folder, at, when = line.split()
    at = int(at)
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        Ledger._append = killing
        with standing_still():
            os._exit(run(["eval"]))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """A repository on recorded answers where nothing was measured yet."""
    return recorded(tmp_path_factory.mktemp("story") / "repo")


@pytest.fixture
def place(story, tmp_path, monkeypatch):
    """Gives copies of it, each with the working directory inside."""
    numbers = iter(range(100))

    def copy():
        made = story.copy(tmp_path / f"repo{next(numbers)}")
        monkeypatch.chdir(made.root)
        return made

    with standing_still():
        yield copy


def report(repo):
    """Returns the bytes of all reports in a repository."""
    refs = repo.git("for-each-ref", "--format=%(refname)", "refs/llmvc").splitlines()
    listed = {
        line.split()[2] for ref in refs for line in repo.git("ls-tree", "-r", ref).splitlines()
    }
    blobs = (repo.git("cat-file", "blob", blob) for blob in sorted(listed))
    return [text for text in blobs if '"llmvc":"report/1"' in text]


def test_an_eval_killed_at_ten_random_moments_ends_with_the_bytes_of_one_that_was_not(place, cli):
    alone = place()
    assert cli.json("eval")["calls"]["called"] == CALLS
    wanted = report(alone)
    assert len(wanted) == 1
    with subprocess.Popen(
        [sys.executable, "-c", WARM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ(PYTHONPATH=":".join(filter(None, [str(ROOT), *sys.path]))),
    ) as warm:
        assert warm.stdout.readline() == "ready\n"
        for moment in range(MOMENTS):
            repo = place()
            drawn = hashlib.sha256(f"ten moments, {moment}".encode()).digest()
            at, when = 1 + drawn[0] % CALLS, ("before", "within", "after")[drawn[1] % 3]
            warm.stdin.write(f"{repo.root} {at} {when}\n")
            warm.stdin.flush()
            assert int(warm.stdout.readline()) == -signal.SIGKILL
            resumed = cli.json("eval")["calls"]
            # At most the calls that were under way are made again.
            kept = at if when == "after" else at - 1
            assert (resumed["reused"], resumed["called"]) == (kept, CALLS - kept)
            assert report(repo) == wanted, (at, when)
        warm.stdin.close()


@pytest.mark.parametrize("of", [1, 3])
def test_shards_merged_give_the_bytes_of_one_eval(place, cli, tmp_path, of):
    alone = place()
    cli("eval")
    wanted = report(alone)
    files = [str(tmp_path / f"shard-{at}.jsonl") for at in range(1, of + 1)]
    for at, file in enumerate(files, 1):
        place()
        told = cli.json("eval", "--shard", f"{at}/{of}", "--out", file)
        assert told["called"] in range(CALLS // of - 2, CALLS // of + 3)
    elsewhere = place()
    done = cli.json("eval", "merge", *reversed(files))
    assert (done["calls"]["called"], done["calls"]["reused"]) == (0, CALLS)
    assert report(elsewhere) == wanted


@pytest.fixture
def shards(place, cli, tmp_path):
    """Three shard files, and a repository where none of it was measured."""
    files = [tmp_path / f"shard-{at}.jsonl" for at in (1, 2, 3)]
    place()
    for at, file in enumerate(files, 1):
        cli("eval", "--shard", f"{at}/3", "--out", str(file))
    place()
    return files


def lines_of(file):
    return file.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: file.unlink(), "cannot read shard"),
        (lambda file: file.write_bytes(b""), "shard-2.jsonl:1: not the header of a shard"),
        (lambda file: file.write_bytes(b"{}\n"), "shard-2.jsonl:1: not the header"),
        (lambda file: file.write_bytes(b"".join(lines_of(file)[:-3])), "half-written: it ends after"),
        (lambda file: file.write_bytes(file.read_bytes()[:-20]), "half-written"),
        (lambda file: file.write_bytes(file.read_bytes().replace(b'"output":"1', b'"output":"9')),
         "it is not what its digest says"),
        (lambda file: file.write_bytes(file.read_bytes().replace(b'"entry":{', b'"entry":[{')),
         "shard-2.jsonl:2: it is no run"),
    ],
)  # fmt: skip
def test_a_damaged_shard_is_named_and_nothing_of_it_is_taken(shards, cli, spoil, said):
    spoil(shards[1])
    assert said in cli("eval", "merge", *map(str, shards), code=4).err
    assert cli.json("eval", "--dry-run")["calls"] is None
    assert "80 new calls, 0 reused" in cli("eval", "--dry-run").err


def test_a_dry_run_of_a_shard_names_no_file(place, cli, tmp_path):
    place()
    done = cli("eval", "--shard", "1/2", "--out", str(tmp_path / "s.jsonl"), "--dry-run")
    assert done.out == ""
    assert "dry run: nothing was called" in done.err
    assert not (tmp_path / "s.jsonl").exists()


def test_a_missing_shard_is_named(shards, cli):
    told = cli("eval", "merge", str(shards[0]), str(shards[2]), code=4).err
    assert "missing: shard 2/3" in told


def test_shards_of_a_dataset_that_changed_in_between_are_refused(shards, cli, story, tmp_path):
    changed = shards[2].read_bytes()
    first = json.loads(changed.splitlines()[0])
    question = next(iter(first["plans"]))
    other = changed.replace(first["plans"][question].encode(), b"b3:" + b"0" * 64)
    shards[2].write_bytes(other)
    assert "a shard of another plan" in cli("eval", "merge", *map(str, shards), code=4).err


def test_shards_of_two_cuts_are_told_apart_from_two_datasets(shards, cli, tmp_path):
    other = tmp_path / "quarter.jsonl"
    cli("eval", "--shard", "2/4", "--out", str(other))
    told = cli("eval", "merge", str(shards[0]), str(other), code=4).err
    assert "quarter.jsonl is a shard of another cut: 2/4 beside 1/3" in told
    assert "dataset" not in told


def test_shards_of_a_suite_that_is_not_here_are_refused_and_their_runs_kept(shards, cli):
    suite = Path("evals/support/suite.yaml")
    suite.write_text(suite.read_text() + "candidates: 3\n")
    told = cli("eval", "merge", *map(str, shards), code=4).err
    assert "the shards answer another question than support" in told
    assert "0 new calls, 80 reused" in cli("eval", "--dry-run").err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--shard", "0/3"), "is no part of a whole"),
        (("--shard", "4/3"), "is no part of a whole"),
        (("--shard", "x"), "is no part of a whole"),
        (("--shard", "1/41"), "41 shards are more than the suite has cases or groups, 40"),
        (("--out", "x.jsonl"), "--out goes with --shard"),
        (("support", "x.jsonl"), "unexpected x.jsonl"),
        (("--on", "spark"), "--on spark is no cluster"),
        (("--on", "dask://host"), "--on dask://host is no cluster"),
        (("--on", ""), "--on  is no cluster"),
    ],
)
def test_what_cannot_be_asked_for_is_said(place, cli, given, said):
    place()
    assert said in cli("eval", *given, code=2).err


def test_a_cluster_that_is_none_is_refused_where_stored_evidence_answers_too(place, cli):
    place()
    cli("eval")
    assert "--on spark is no cluster" in cli("eval", "--on", "spark", code=2).err
    assert "stored evidence" in cli("eval", "--on", "dask").err


@pytest.mark.parametrize("more", [(), ("--shard", "1/1", "--out", "shard.jsonl")])
def test_a_dataset_that_changes_while_the_eval_runs_stops_it_and_the_runs_are_kept(
    place, cli, monkeypatch, more
):
    repo = place()
    append = Ledger._append
    file = repo.root / "evals/support/cases.jsonl"

    def changing(self, line):
        append(self, line)
        if b"number 50" not in file.read_bytes():
            row = '{"id": "c050", "vars": {"message": "number 50"}, "expected": "50"}\n'
            file.write_text(file.read_text() + row)

    text = file.read_text()
    monkeypatch.setattr(Ledger, "_append", changing)
    told = cli("eval", *more, code=4).err
    assert "evals/support/cases.jsonl was changed while the eval ran" in told
    assert report(repo) == []
    assert not (repo.root / "shard.jsonl").exists()
    monkeypatch.undo()
    monkeypatch.chdir(repo.root)
    file.write_text(text)
    assert cli.json("eval")["calls"]["reused"] == CALLS


def test_a_failed_run_of_a_shard_is_not_put_among_the_finished_ones(place, cli, tmp_path):
    file = tmp_path / "shard.jsonl"
    fails = '\n    assert "number 5" not in request["messages"][-1]["content"]\n'

    def failing():
        repo = place()
        for path, old, new in (
            (".llmvc/config.yaml", RECORDED, FAKE),
            ("fake.py", "request):\n", f"request):{fails}"),
        ):
            repo.write(path, (repo.root / path).read_text().replace(old, new))
        return repo

    failing()
    cli("eval", "--shard", "1/1", "--out", str(file))
    repo = failing()
    done = cli.json("eval", "merge", str(file), code=None)
    assert done["calls"]["called"] == 0
    kept = [
        json.loads(line)
        for ledger in (repo.root / ".git/llmvc/runs").glob("*.jsonl")
        for line in ledger.read_text().splitlines()
    ]
    assert kept
    assert len(kept) < CALLS
    assert all(line["entry"]["output"] is not None for line in kept)


@pytest.mark.parametrize("more", [(), ("--shard", "1/1", "--out", "shard.jsonl")])
def test_a_run_that_was_changed_in_the_cache_is_called_again_with_a_word(place, cli, more):
    alone = place()
    cli("eval")
    wanted = report(alone)
    repo = place()
    cli("eval", "--shard", "1/1", "--out", "first.jsonl")
    for ledger in (repo.root / ".git/llmvc/runs").glob("*.jsonl"):
        ledger.write_bytes(ledger.read_bytes().replace(b'"output":"1"', b'"output":"91"'))
    told = cli("eval", *more)
    assert "run cache: 1 damaged line passed over; what is missing is called again" in told.err
    assert ": 1 call, 79 reused" in told.out + told.err
    assert report(repo) == (wanted if not more else [])


def test_a_shared_cache_pays_for_a_call_once(place, cli, tmp_path):
    cache = str(tmp_path / "shared")
    laptop = place()
    cli("eval", "--cache", cache)
    wanted = report(laptop)
    runner = place()
    done = cli.json("eval", "--cache", f"file://{cache}")
    assert (done["calls"]["called"], done["calls"]["reused"]) == (0, CALLS)
    assert report(runner) == wanted
    shutil.rmtree(cache)
    repo = place()
    repo.write(
        ".llmvc/config.yaml",
        repo.root.joinpath(".llmvc/config.yaml").read_text() + f"cache: {cache}\n",
    )
    assert cli.json("eval")["calls"]["called"] == CALLS
    assert len(list((tmp_path / "shared").rglob("*.jsonl"))) == 1
