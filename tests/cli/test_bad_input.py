"""Bad input: one clear line that names the culprit, a next step, the right exit code, no change."""

import os
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from llmvc.store import repository
from llmvc.store.retry import Retry

MANIFEST = "prompts/support/bundle.yaml"
PROMPT = "prompts/support/system.md"
CASES = "evals/support/cases.jsonl"
SUITE = "evals/support/suite.yaml"
CONFIG = ".llmvc/config.yaml"

# A file with its line is a next step of its own: edit it there.
LINE = re.compile(r"\.(yaml|jsonl):\d+: ")


def refused(repo, cli, command, *said, code=4):
    """Demands a refusal that says all this, gives a next step and changes nothing."""
    before = repo.state()
    done = cli(*command, code=code)
    assert done.out == ""
    lines = done.err.strip().splitlines()
    first, *rest = lines[next(at for at, line in enumerate(lines) if line.startswith("llmvc: ")) :]
    for part in said:
        assert part in done.err, done.err
    assert rest or LINE.search(first), f"no next step: {done.err}"
    assert all(line.startswith("  -> ") for line in rest), done.err
    assert repo.state() == before


def replace(repo, path, old, new):
    text = (repo.root / path).read_text()
    assert old in text
    repo.write(path, text.replace(old, new, 1))


def link(repo, path, target):
    (repo.root / path).unlink()
    (repo.root / path).symlink_to(target)


NAMES = [
    (("resolve", "unknown"), "'unknown'", 4),
    (("resolve", "unknown@prod"), "unknown has no release in prod", 4),
    (("resolve", "support@nowhere"), "support has no release in nowhere", 4),
    (("resolve", "support@b3:00000000"), "b3:00000000", 4),
    (("resolve", "support@b3:0000"), "b3:0000", 2),
    (("resolve", "support@b3:xyz"), "b3:xyz", 2),
    (("resolve", "support@git:no-such-branch"), "no-such-branch", 4),
    (("resolve", "support@prod~7"), "support@prod has only 1 release\n", 4),
    (("resolve", "support@prod@{yesterday}"), "yesterday", 2),
    (("resolve", "Support"), "'Support'", 2),
    (("resolve", "../etc"), "'../etc'", 2),
    (("resolve", "support@"), "support@", 2),
    (("promote", "prod2"), "'prod2'", 4),
    (("promote", "unknown", "prod"), "'unknown'", 4),
    (("rollback", "nowhere"), "support has no release in nowhere", 4),
    (("show", "b3:00000000"), "b3:00000000", 4),
    (("show", "b3:12"), "b3:12", 2),
    (("gate", "b3:00000000"), "b3:00000000", 4),
    (("gate", "nonsense"), "nonsense", 2),
    (("log", "unknown"), "unknown", 4),
    (("log", "support@b3:00000000"), "support@b3:00000000", 2),
    (("status", "unknown"), "'unknown'", 4),
    (("commit", "unknown"), "'unknown'", 4),
    (("checkout", "support@nowhere"), "nowhere", 4),
    (("eval", "unknown"), "'unknown'", 4),
    (("eval", "--env", "prdo"), "'prdo'", 4),
    (("eval", "--suite", "no/such.yaml"), "no/such.yaml", 4),
    (("eval", "--suite", "/etc/passwd"), "/etc/passwd", 2),
    (("diff", "support@nowhere"), "nowhere", 4),
    (("fetch", "--drop", "support"), "'support'", 2),
    (("new", "Bad Name"), "'Bad Name'", 2),
]


@pytest.mark.parametrize(("command", "said", "code"), NAMES)
def test_a_name_that_is_wrong_or_unknown_is_named(repo, cli, command, said, code):
    if "--suite" in command:
        repo.prompt("An edit, so that there is something to measure.")
    refused(repo, cli, command, said, code=code)


FILES = {
    "no manifest": (lambda r: (r.root / MANIFEST).unlink(), ("llmvc new",)),
    "no config": (lambda r: (r.root / CONFIG).unlink(), (CONFIG, "llmvc init")),
    "config that is no YAML": (lambda r: r.write(CONFIG, "llmvc: [\n"), (CONFIG,)),
    "config with an unknown field": (
        lambda r: replace(r, CONFIG, "hook:", "hooks:"),
        (CONFIG, "hooks"),
    ),
    "manifest outside limits": (lambda r: r.write(MANIFEST, b"#" * (17 << 20)), (MANIFEST,)),
    "manifest too deep": (lambda r: r.write(MANIFEST, "a: " + "[" * 200 + "]" * 200), (MANIFEST,)),
    "manifest with an unknown field": (
        lambda r: replace(r, MANIFEST, "decoding:", "decode:"),
        (f"{MANIFEST}:", "decode"),
    ),
    "manifest with an anchor": (
        lambda r: replace(r, MANIFEST, "kind: app", "kind: &a app"),
        (f"{MANIFEST}:",),
    ),
    "manifest with a key twice": (
        lambda r: replace(r, MANIFEST, "kind: app", "kind: app\nkind: app"),
        (f"{MANIFEST}:", "kind"),
    ),
    "prompt missing": (lambda r: (r.root / PROMPT).unlink(), (f"{MANIFEST}:10", "system.md")),
    "prompt outside the folder": (
        lambda r: replace(r, MANIFEST, "file: system.md", "file: ../../../../etc/passwd"),
        (MANIFEST, "passwd"),
    ),
    "prompt by an absolute path": (
        lambda r: replace(r, MANIFEST, "file: system.md", "file: /etc/passwd"),
        (MANIFEST, "/etc/passwd"),
    ),
    "prompt a symlink": (lambda r: link(r, PROMPT, "/etc/passwd"), (PROMPT, "symbolic link")),
    "prompt not UTF-8": (lambda r: r.write(PROMPT, b"caf\xe9\n"), (PROMPT, "UTF-8")),
    "prompt with a byte order mark": (lambda r: r.write(PROMPT, b"\xef\xbb\xbfHi\n"), (PROMPT,)),
    "two manifests of one name": (
        lambda r: r.write("prompts/other/bundle.yaml", (r.root / MANIFEST).read_text()),
        ("prompts/other/bundle.yaml", MANIFEST),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_bundle_that_cannot_be_read_is_refused_with_its_file(repo, cli, name):
    spoil, said = FILES[name]
    spoil(repo)
    refused(repo, cli, ("commit", "support", "-m", "x"), *said)


DATA = {
    "duplicate ids": (lambda r: replace(r, CASES, '"c001"', '"c000"'), (f"{CASES}:2", "c000")),
    "an empty dataset": (lambda r: r.write(CASES, ""), (CASES,)),
    "NaN": (lambda r: replace(r, CASES, '"expected": "1"', '"expected": NaN'), (f"{CASES}:2",)),
    "a row that is no JSON": (
        lambda r: replace(r, CASES, '{"id": "c001"', '{"id": c001'),
        (f"{CASES}:2",),
    ),
    "a row without variables": (
        lambda r: replace(r, CASES, '"vars": {"message": "number 1"}', '"vars": {}'),
        ("c001", "message"),
    ),
    "no dataset": (lambda r: (r.root / CASES).unlink(), (f"{SUITE}:3", "cases.jsonl")),
    "no suite": (lambda r: (r.root / SUITE).unlink(), ("suite", "support")),
    "a suite with an unknown scorer": (
        lambda r: replace(r, SUITE, "equals", "equal"),
        (SUITE, "equal"),
    ),
    "a metric of no scorer": (
        lambda r: replace(r, SUITE, "[exact]", "[exactly]"),
        (SUITE, "exactly"),
    ),
    "a provider that is not configured": (
        lambda r: replace(r, CONFIG, "  fake:", "  other:"),
        ("'fake'", CONFIG),
    ),
    "a provider whose function is missing": (
        lambda r: replace(r, CONFIG, "fake.py:answer", "fake.py:reply"),
        ("fake.py", "reply"),
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_a_measurement_that_cannot_be_made_is_refused_with_its_file(repo, cli, name):
    repo.prompt("Say the number again.")
    spoil, said = DATA[name]
    spoil(repo)
    refused(repo, cli, ("eval",), *said)


def test_a_design_that_cannot_pass_is_refused_before_any_call(repo, cli, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_CALLS", str(tmp_path / "calls"))
    repo.prompt("Say the number again.")
    repo.cases(3)
    refused(repo, cli, ("eval",), "3 cases", code=3)
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("judge", "calibrate", "x"), "try llmvc judge calibrate --help"),
        (("judge", "chek"), "try llmvc judge --help"),
        (("eval", "--shrad", "1/2"), "try llmvc eval --help"),
        (("--nope",), "try llmvc --help"),
        (("eval", "merge"), "llmvc eval merge shard-*.jsonl"),
    ],
)
def test_wrong_usage_names_the_help_of_the_command_that_was_meant(repo, cli, words, hint):
    assert hint in cli(*words, code=2).err


def test_init_names_a_next_step_only_where_there_is_no_bundle(repo, cli):
    assert "llmvc new" not in cli("init").err
    (repo.root / "prompts/support/bundle.yaml").unlink()
    assert "llmvc new" in cli("init").err


def test_outside_a_repository_it_says_so(tmp_path, cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (
        ("status",),
        ("resolve", "support@prod"),
        ("init",),
        ("rollback", "prod"),
        ("fsck",),
    ):
        done = cli(*command, code=4)
        assert "git repository" in done.err
        assert "git init" in done.err
    assert list(tmp_path.iterdir()) == []


def test_in_a_folder_that_is_gone_it_says_so(tmp_path, cli, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "folder" in cli("status", code=4).err


def test_a_prefix_that_fits_two_objects_is_called_ambiguous(repo, cli, monkeypatch):
    from llmvc.store.versions import VersionStore

    digests = tuple("b3:4f2a91c0" + f"{n:056x}" for n in range(2))
    monkeypatch.setattr(VersionStore, "find", lambda self, prefix: digests)
    refused(repo, cli, ("show", "b3:4f2a91c0"), "b3:4f2a91c0", "fits 2 objects", code=2)


def test_an_object_that_was_tampered_with_is_not_believed(repo, cli):
    tip = repo.git("rev-parse", "refs/llmvc/env/support/prod")
    forged = repo.write("forged", '{"llmvc":"bundle/1","kind":"app"}')
    blob = repo.git("hash-object", "-w", str(forged))
    forged.unlink()
    tree = repo.git("ls-tree", tip).replace(repo.git("rev-parse", f"{tip}:bundle.json"), blob)
    import subprocess

    made = subprocess.run(
        ["git", "mktree"], input=tree + "\n", text=True, capture_output=True, check=True
    )
    commit = repo.git("commit-tree", made.stdout.strip(), "-m", "forged")
    repo.git("update-ref", "refs/llmvc/env/support/prod", commit)
    before = repo.state()
    done = cli("resolve", "support@prod", code=4)
    assert "refs/llmvc/env/support/prod" in done.err
    assert "bundle.json" in done.err
    assert cli("fsck", code=4).out
    assert repo.state() == before


def test_a_stale_lock_is_named_and_nothing_moves(ready, cli, monkeypatch):
    monkeypatch.setattr(repository, "Retry", lambda: Retry(tries=2))
    lock = ready.root / ".git/refs/llmvc/env/support/prod.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    refused(ready, cli, ("promote", "prod"), "prod.lock", code=5)
    lock.unlink()
    cli("promote", "prod")


@pytest.mark.parametrize("fault", ["Read-only file system", "No space left on device"])
def test_a_disk_that_takes_no_objects_is_an_expected_failure(
    ready, cli, tmp_path, monkeypatch, fault
):
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f'#!/bin/sh\ncase "$*" in *unpack-objects*) echo "fatal: unable to write file: {fault}" >&2; exit 128;; esac\n'
        f'exec {shutil.which("git")} "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    refused(ready, cli, ("promote", "prod"), fault)


def test_a_full_disk_is_an_expected_failure(ready, cli, monkeypatch):
    import errno

    def full(self, *args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    ready.git("commit", "-q", "--allow-empty", "-m", "x")
    before = ready.state()
    monkeypatch.setattr(Path, "replace", full)  # what was written takes its name at last
    done = cli("checkout", "support@prod", "--force", code=4)
    assert "No space left on device" in done.err
    assert PROMPT in done.err
    assert ready.state() == before


def test_files_that_nobody_may_read_are_named(repo, cli):
    (repo.root / PROMPT).unlink()
    (repo.root / PROMPT).mkdir()
    refused(repo, cli, ("commit", "-m", "x"), PROMPT)
    (repo.root / PROMPT).rmdir()
    os.mkfifo(repo.root / PROMPT)
    before = repo.refs()
    assert PROMPT in cli("commit", "-m", "x", code=4).err
    assert repo.refs() == before


class Answers(BaseHTTPRequestHandler):
    """An endpoint that is out of order in a way that the server's `fault` says."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status, body = self.server.fault
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def endpoint():
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def reach(repo, url):
    replace(
        repo,
        CONFIG,
        "hook: {",
        f'  far: {{kind: openai, base_url: "{url}", self_hosted: true, tries: 1}}\nhook: {{',
    )
    replace(repo, MANIFEST, "provider: fake", "provider: far")


def test_an_endpoint_that_is_down_is_named_before_any_report_is_made(repo, cli):
    reach(repo, "http://127.0.0.1:9/v1")
    refused(repo, cli, ("eval",), "http://127.0.0.1:9/v1")


def test_a_wrong_key_is_said_once_with_what_to_do(repo, cli, endpoint):
    endpoint.fault = (401, b'{"error": {"message": "bad key"}}')
    reach(repo, f"http://127.0.0.1:{endpoint.server_port}/v1")
    refused(repo, cli, ("eval",), "401")


def test_malformed_responses_end_the_eval_without_a_report(repo, cli, endpoint):
    endpoint.fault = (200, b"<html>it works</html>")
    reach(repo, f"http://127.0.0.1:{endpoint.server_port}/v1")
    refused(repo, cli, ("eval",), "malformed answer")
