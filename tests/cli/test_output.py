"""What goes where: data and talk, colour, control characters, pipes and interrupts."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from llmvc.cli.main import COMMANDS, HIDDEN
from tests.support.build import environ
from tests.support.cli import child

ESCAPES = "\x1b[2Jgone\u202e"


def llmvc(*args, **options):
    """Starts llmvc as a process of its own."""
    env = environ(PYTHONPATH=":".join(filter(None, sys.path)), **options.pop("env", {}))
    return subprocess.Popen([sys.executable, "-m", "llmvc", *args], env=env, text=True, **options)


def test_unknown_commands_and_options_are_wrong_usage(cli):
    for args, said in {
        ("frobnicate",): "frobnicate",
        ("status", "--frobnicate"): "--frobnicate",
        ("promote",): "[REV] ENV",
        ("override", "support", "prod"): "--reason",
        ("log", "-n", "0"): "0",
        ("--color", "pink", "status"): "pink",
        ("-C", "/no/such/folder", "status"): "/no/such/folder",
    }.items():
        done = cli(*args, code=2)
        assert done.out == ""
        assert said in done.err
    assert "Commands:" in cli(code=2).err


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in HIDDEN])
def test_every_command_has_help_with_an_example(cli, name):
    text = cli(name, "--help").out
    assert "Example" in text
    assert f"llmvc {name}" in text
    assert COMMANDS[name][1].endswith(".")


def test_data_goes_to_stdout_and_talk_to_stderr(repo, cli):
    repo.prompt("Say the number again.")
    done = cli("eval")
    assert "verdict: pass" in done.out
    assert "24 cases x 1 run:" in done.err
    assert "24 cases x 1 run:" not in done.out
    assert cli("-q", "eval").err == ""
    assert cli("-q", "status").out == cli("status").out


def test_a_cost_that_nobody_knows_is_never_shown_as_nothing(started, cli):
    config = started.root / ".llmvc/config.yaml"
    config.write_text(config.read_text().replace(", self_hosted: true", ""))
    told = cli("eval", "--allow-unpriced").err
    assert "24 new calls, 0 reused, of unknown cost" in told
    assert "24 calls, 0 reused, of unknown cost" in told


def test_an_eval_that_stops_says_what_it_made_and_spent(started, cli):
    fake = (started.root / "fake.py").read_text()
    costly = '"output_tokens": 1, "cost_usd": 0.01'
    started.write("fake.py", fake.replace('"output_tokens": 1', costly))
    config = (started.root / ".llmvc/config.yaml").read_text()
    started.write(".llmvc/config.yaml", config.replace(", self_hosted: true", ""))
    told = cli("eval", "--max-usd", "0.01", "--concurrency", "1", code=4).err
    assert "are spent; 1 call made and kept, $0.0100 spent" in told


def test_a_shard_of_unknown_cost_says_so(started, cli):
    config = started.root / ".llmvc/config.yaml"
    config.write_text(config.read_text().replace(", self_hosted: true", ""))
    part = ("eval", "--allow-unpriced", "--shard", "1/1", "--out", "one.jsonl")
    assert "shard 1/1: 24 calls, 0 reused, of unknown cost" in cli(*part).out
    assert "shard 1/1: 0 calls, 24 reused, $0.0000" in cli(*part).out
    (started.root / ".git/llmvc").rename(started.root / ".git/gone")
    assert cli.json(*part)["cost_usd"] is None


def test_colour_follows_the_flag_and_json_is_never_coloured(repo, cli, monkeypatch):
    repo.prompt("Say the number again.")
    cli("eval")
    assert "\x1b[32mpass\x1b[0m" in cli("--color", "always", "eval").out
    assert "\x1b" not in cli("--color", "never", "eval").out
    assert "\x1b" not in cli("eval").out
    assert "\x1b" not in cli("--color", "always", "eval", "--json").out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "\x1b" not in cli("eval").out
    monkeypatch.delenv("NO_COLOR")


def test_what_a_channel_cannot_write_is_escaped(repo, cli):
    repo.prompt("Say \u2026 \U0001f600 \xe9.")
    shown = child("show", "support", cwd=repo.root, PYTHONIOENCODING="ascii")
    assert (shown.code, "\\u2026 \\U0001f600" in shown.out) == (0, True), shown
    told = child("show", "support", "--json", cwd=repo.root, PYTHONIOENCODING="ascii")
    assert json.loads(told.out) == cli.json("show", "support")


def test_control_characters_are_made_visible_except_in_json(repo, cli):
    repo.prompt(f"Repeat {ESCAPES} it.")
    cli("commit", "-m", f"message {ESCAPES}")
    cli(
        "override",
        "support",
        "prod",
        "--reason",
        f"reason {ESCAPES}",
        "--actor",
        f"Eve {ESCAPES} <e@x>",
    )
    for command in (
        ("log",),
        ("log", "@prod"),
        ("show", "@prod"),
        ("diff", "@prod~1", "@prod"),
        ("status",),
    ):
        for options in ((), ("--color", "always")):
            shown = cli(*options, *command)
            for text in (shown.out, shown.err):
                assert "\x1b[2J" not in text, command
                assert "\u202e" not in text, command
    assert "\\u001b[2Jgone\\u202e" in cli("log", "@prod").out
    release = cli.json("log", "@prod")["releases"][0]
    assert release["reason"] == f"reason {ESCAPES}"
    assert cli.json("log")["versions"][0]["message"] == f"message {ESCAPES}"


def test_names_in_errors_are_made_visible_too(repo, cli):
    done = cli("resolve", f"support@git:{ESCAPES}", code=4)
    assert "\x1b" not in done.err


def test_a_reader_that_has_enough_is_no_error(repo):
    for command in (["log", "@prod"], ["log", "@prod", "--json"], ["show", "@prod"]):
        reader, writer = os.pipe()
        os.close(reader)
        process = llmvc(*command, cwd=repo.root, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        said = process.communicate(timeout=30)[1]
        assert (process.returncode, said) == (0, "")


def test_an_interrupted_eval_exits_130_and_goes_on_where_it_stopped(
    repo, cli, tmp_path, monkeypatch
):
    calls = tmp_path / "calls"
    repo.prompt("Say the number again.")
    before = repo.refs()
    process = llmvc(
        "eval",
        "--concurrency",
        "1",
        cwd=repo.root,
        env={"FAKE_CALLS": str(calls), "FAKE_SECONDS": "0.05"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not calls.exists() or calls.read_text().count("call") < 5:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "\nllmvc: interrupted\n  -> finished runs are kept" in f"\n{err}"
    assert "Traceback" not in err
    assert repo.refs() == before
    made = calls.read_text().count("call")
    assert made < 24
    monkeypatch.setenv("FAKE_CALLS", str(calls))
    done = cli.json("eval")
    assert done["verdict"]["verdict"] == "pass"
    # A call under way when the signal came may be made again; finished ones are not.
    assert calls.read_text().count("call") <= 24 + 2
    assert done["calls"]["reused"] >= 24 + made - 2


def test_an_interrupted_promote_leaves_the_old_or_the_new_state(ready, cli, tmp_path):
    served = {"old": cli.digest("support@prod"), "new": cli.digest()}
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(
        '#!/bin/sh\ncase "$*" in *update-ref*) kill -INT $PPID; sleep 0.2;; esac\n'
        f'exec {subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()} "$@"\n'
    )
    wrapper.chmod(0o755)
    done = child("promote", "prod", PATH=f"{wrapper.parent}:{os.environ['PATH']}")
    assert done.code == 130
    assert "Traceback" not in done.err
    assert cli.digest("support@prod") in served.values()
    cli("promote", "prod")
    assert cli.digest("support@prod") == served["new"]
    assert cli.json("fsck")["problems"] == []


def test_a_bug_is_told_from_an_expected_failure(repo, cli, monkeypatch):
    from llmvc.app import revisions

    def broken(*args):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(revisions, "resolve", broken)
    done = cli("resolve", "support@prod", code=70)
    assert "this is a bug in llmvc" in done.err
    found = json.loads(cli("resolve", "support@prod", "--json", code=70).out)
    assert found["code"] == "bug"


def test_an_error_shows_its_traceback_only_when_asked(repo):
    quiet = child("resolve", "support@nowhere")
    loud = child("--debug", "resolve", "support@nowhere")
    assert "Traceback" not in quiet.err
    assert "Traceback" in loud.err
    assert quiet.code == loud.code == 4


def test_foreign_code_that_ends_the_process_never_looks_like_a_pass(cli, monkeypatch):
    def end(*_args, **_more):
        raise SystemExit(0)

    monkeypatch.setattr("llmvc.cli.main.cli.main", end)
    done = cli("status", code=4)
    assert "sys.exit(0)" in done.err
