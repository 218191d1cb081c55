"""The pre-push hook, fired by a real `git push` to a bare remote."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.build import FAILING, UNCLEAR, RepoBuilder, environ, remote_at


@dataclass
class Pushed:
    code: int
    said: str


@dataclass
class Place:
    """A repository with the hook installed, its remote, and the calls that its model got."""

    repo: RepoBuilder
    remote: Path
    calls: Path

    def push(self, *args: str) -> Pushed:
        done = subprocess.run(
            ["git", "push", "-q", *(args or ("origin", "main"))],
            cwd=self.repo.root,
            capture_output=True,
            text=True,
            check=False,
            env=environ(PYTHONPATH=":".join(filter(None, sys.path))),
        )
        assert "Traceback" not in done.stderr
        return Pushed(done.returncode, done.stdout + done.stderr)

    def has(self, ref: str) -> str:
        found = subprocess.run(
            ["git", "-C", str(self.remote), "rev-parse", "-q", "--verify", ref],
            capture_output=True,
            text=True,
            check=False,
        )
        return found.stdout.strip()

    def count(self) -> int:
        return self.calls.read_text().count("call") if self.calls.exists() else 0


@pytest.fixture
def place(repo, cli, tmp_path, monkeypatch):
    remote = remote_at(tmp_path / "remote.git")
    repo.git("remote", "add", "origin", str(remote))
    repo.git("push", "-q", "origin", "main")
    cli("hook", "install")
    monkeypatch.setenv("FAKE_CALLS", str(tmp_path / "calls"))
    return Place(repo, remote, tmp_path / "calls")


def test_a_push_without_a_changed_bundle_is_silent(place):
    place.repo.write("README.md", "nothing to do with prompts\n")
    head = place.repo.save()
    assert place.push() == Pushed(0, "")
    assert place.has("main") == head
    place.repo.git("tag", "v1")
    assert place.push("origin", "v1") == Pushed(0, "")
    assert place.push("origin", "main:other") == Pushed(0, "")
    assert place.push("origin", ":other") == Pushed(0, "")
    assert place.push() == Pushed(0, "")
    assert place.count() == 0


def test_a_changed_bundle_that_passes_is_pushed_and_stored_evidence_is_used_first(place, cli):
    place.repo.prompt("Say the number again.")
    head = place.repo.save()
    versions = len(cli.json("log")["versions"])
    done = place.push()
    assert done.code == 0
    assert "verdict: pass" in done.said
    assert place.has("main") == head
    assert place.has("refs/llmvc/store") == ""
    made = place.count()
    assert made > 0
    assert len(cli.json("log")["versions"]) == versions
    again = place.push("origin", "main:refs/heads/copy-of-it")
    assert "verdict: pass" not in again.said
    third = place.push("origin", "+main~1:main")
    fourth = place.push()
    assert (again.code, third.code, fourth.code) == (0, 0, 0)
    assert "stored evidence" in fourth.said
    assert place.count() == made


def test_a_changed_bundle_that_fails_stops_the_push_with_the_verdict_table(place):
    before = place.has("main")
    place.repo.prompt(f"miss {FAILING}")
    head = place.repo.save()
    done = place.push()
    assert done.code != 0
    assert "quality" in done.said
    assert "verdict: fail" in done.said
    assert "git push --no-verify" in done.said
    assert place.has("main") == before
    place.push("--no-verify", "origin", "main")
    assert place.has("main") == head


def test_what_is_unclear_warns_or_blocks_as_configured(place):
    place.repo.prompt(f"miss {UNCLEAR}")
    place.repo.save()
    warned = place.push()
    assert warned.code == 0
    assert "verdict: inconclusive" in warned.said
    assert "next step" in warned.said
    config = place.repo.root / ".llmvc/config.yaml"
    config.write_text(config.read_text().replace("on_inconclusive: warn", "on_inconclusive: block"))
    place.repo.prompt(f"miss {UNCLEAR} now")
    place.repo.save()
    assert place.push().code != 0


def test_code_runs_only_where_head_is_the_pushed_commit_and_clean(place):
    place.repo.prompt(f"miss {FAILING}")
    place.repo.save("worse")
    place.repo.write("notes.txt", "work in progress")
    dirty = place.push()
    assert (dirty.code, place.count()) == (0, 0)
    assert "not measured: provider fake would run, and the working tree has edits" in dirty.said
    assert "llmvc eval support@git:" in dirty.said


def test_the_pushed_commit_is_read_and_not_the_working_tree(place):
    place.repo.git("checkout", "-q", "-b", "side")
    place.repo.prompt(f"miss {FAILING}")
    worse = place.repo.save("worse")
    place.repo.prompt("Say it well.")
    place.repo.save("better")
    old = place.push("origin", f"{worse}:refs/heads/old")
    assert "not measured: provider fake would run, and this commit is not checked out" in old.said
    assert worse[:10] in old.said
    good = place.push("origin", "side")
    assert "verdict: pass" in good.said


def test_over_budget_it_says_what_to_run_by_hand(place):
    config = place.repo.root / ".llmvc/config.yaml"
    text = config.read_text().replace(", self_hosted: true", "")
    config.write_text(text.replace("max_usd: 1.0", "max_usd: 0.0"))
    place.repo.prompt("Say the number again.")
    head = place.repo.save()
    done = place.push()
    assert done.code == 0
    assert "not measured" in done.said
    assert f"llmvc eval support@git:{head[:12]} --env prod" in done.said
    assert place.count() == 0


def test_it_stops_at_its_seconds_and_keeps_what_was_done(place, monkeypatch):
    config = place.repo.root / ".llmvc/config.yaml"
    config.write_text(config.read_text().replace("max_seconds: 60", "max_seconds: 1"))
    place.repo.prompt("Say the number again.")
    place.repo.save()
    monkeypatch.setenv("FAKE_SECONDS", "0.3")
    done = place.push()
    assert done.code == 0
    assert "not measured" in done.said
    assert 0 < place.count() < 48


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        (
            '{kind: openai, base_url: "http://127.0.0.1:9/v1", self_hosted: true}',
            "not measured: no answer from",
        ),
        ("{kind: openai, api_key_env: NO_SUCH_KEY, self_hosted: true}", "not measured"),
    ],
)
def test_an_unreachable_provider_or_a_missing_key_lets_the_push_go(place, provider, said):
    config = place.repo.root / ".llmvc/config.yaml"
    config.write_text(config.read_text().replace("hook: {", f"  far: {provider}\nhook: {{"))
    manifest = place.repo.root / "prompts/support/bundle.yaml"
    manifest.write_text(manifest.read_text().replace("provider: fake", "provider: far"))
    suite = place.repo.root / "evals/support/suite.yaml"
    head = place.repo.save()
    assert suite.exists()
    done = place.push()
    assert done.code == 0, done.said
    assert said in done.said
    assert place.has("main") == head


def test_a_commit_whose_files_cannot_be_read_is_not_measured_and_goes(place):
    place.repo.write("prompts/support/bundle.yaml", "llmvc: 1\nmodel: [\n")
    head = place.repo.save()
    done = place.push()
    assert done.code == 0
    assert "not measured" in done.said
    assert "prompts/support/bundle.yaml" in done.said
    place.repo.write(".llmvc/config.yaml", "llmvc: 1\nbundles: [\n")
    head = place.repo.save()
    done = place.push()
    assert done.code == 0
    assert "not measured" in done.said
    assert ".llmvc/config.yaml" in done.said
    assert place.has("main") == head


def test_pushes_of_llmvc_refs_are_let_through(place):
    place.repo.prompt(f"miss {FAILING}")
    place.repo.save()
    assert place.push("origin", "refs/llmvc/*:refs/llmvc/*").code == 0
    assert place.has("refs/llmvc/store")
    assert place.count() == 0


def test_the_users_own_hook_is_kept_runs_first_and_may_stop_the_push(repo, cli, tmp_path):
    remote = remote_at(tmp_path / "remote.git")
    repo.git("remote", "add", "origin", str(remote))
    hook = repo.root / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    own = "#!/bin/sh\necho own hook $1\nwc -l\ntest ! -e stop\n"
    hook.write_text(own)
    hook.chmod(0o755)
    done = cli.json("hook", "install")
    assert done["kept"] == f"{hook}.before-llmvc"
    assert cli.json("hook", "install")["kept"] is None
    place = Place(repo, remote, tmp_path / "calls")
    first = place.push()
    assert first.code == 0
    assert "own hook origin" in first.said
    assert "1\n" in first.said
    repo.write("stop", "")
    assert place.push("origin", "main:other").code != 0
    assert "removed" in cli("hook", "uninstall").err
    assert hook.read_text() == own
    assert hook.stat().st_mode & 0o111
    assert "nothing was done" in cli("hook", "uninstall").err


def test_without_a_hook_of_the_users_uninstall_leaves_none(repo, cli):
    cli("hook", "install")
    assert cli.json("hook", "uninstall")["changed"] is True
    assert not (repo.root / ".git/hooks/pre-push").exists()
    assert cli.json("hook", "uninstall")["changed"] is False


def test_a_hooks_path_of_the_users_is_respected(repo, cli):
    repo.git("config", "core.hooksPath", "team-hooks")
    refused = cli("hook", "install", code=4)
    assert "core.hooksPath is team-hooks" in refused.err
    assert "llmvc hook run pre-push" in refused.err
    assert not (repo.root / "team-hooks").exists()


def test_empty_and_odd_input_from_git_is_taken_calmly(repo, cli, monkeypatch):
    import io

    for text, code in (("", 0), ("\n", 0), ("one two\n", 2)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        cli("hook", "run", "pre-push", "origin", "url", code=code)
