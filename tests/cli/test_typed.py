"""What people type: numbers, reasons, places and patterns are read as meant, or refused in words."""

import click
import pytest

from llmvc.app import fleet, measuring
from llmvc.cli.main import cli as root
from llmvc.cli.types import Finite
from tests.cli.test_bad_input import refused
from tests.support.canary import WITH_CANARY

FLOATS = [
    (("eval", "support"), "--max-usd"),
    (("eval", "support"), "--max-judge-usd"),
    (("eval", "support"), "--max-seconds"),
    (("ship", "prod"), "--max-usd"),
    (("migrate", "--model", "fake/fake-2"), "--max-usd"),
    (("judge", "calibrate", "support"), "--max-judge-usd"),
    (("plan",), "--margin"),
    (("gate", "a", "b"), "--alpha"),
    (("gate", "a", "b"), "--latency-limit"),
    (("aa", "--file", "a"), "--margin"),
    (("fleet",), "--wait"),
    (("rollback", "prod"), "--wait"),
    (("canary", "plan"), "--traffic"),
    (("canary", "plan", "--traffic", "9"), "--power"),
]


@pytest.mark.parametrize("value", ["nan", "inf", "1e999"])
@pytest.mark.parametrize(("command", "option"), FLOATS)
def test_no_number_of_an_option_is_nan_or_infinite(repo, cli, command, option, value):
    refused(repo, cli, (*command, f"{option}={value}"), option, code=2)


def commands(group):
    """Yields every command below a group."""
    for name in group.list_commands(None):
        found = group.get_command(None, name)
        yield from commands(found) if isinstance(found, click.Group) else (found,)


def test_every_option_that_takes_a_fraction_refuses_nan_by_its_type():
    numbers = [
        parameter.type
        for command in commands(root)
        for parameter in command.params
        if isinstance(parameter.type, click.FloatRange | click.types.FloatParamType)
    ]
    assert len(numbers) > 10
    assert all(isinstance(found, Finite) for found in numbers)


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e999", "-1"])
def test_a_budget_of_the_configuration_is_a_number_too(repo, cli, value):
    path = repo.root / ".llmvc/config.yaml"
    path.write_text(path.read_text().replace("max_usd: 1.0", f"max_usd: {value}"))
    refused(repo, cli, ("eval",), ".llmvc/config.yaml:")


REASONED = [
    ("override", "support", "prod"),
    ("promote", "prod", "--adopt"),
    ("promote", "prod"),
    ("rollback", "prod"),
    ("ship", "prod"),
    ("migrate", "--model", "fake/fake-2"),
    ("judge", "retire", "support"),
    ("canary", "start", "support", "--again"),
    ("canary", "abort"),
    ("canary", "pause"),
    ("canary", "step"),
    ("canary", "promote"),
]


@pytest.mark.parametrize("reason", ["", "  ", "\t\n"])
@pytest.mark.parametrize("command", REASONED)
def test_an_empty_reason_is_none(repo, cli, command, reason):
    refused(repo, cli, (*command, "--reason", reason), "--reason", "needs a reason", code=2)


@pytest.mark.parametrize("option", [("--again",), ("--accept-inconclusive",)])
@pytest.mark.parametrize("command", [("promote", "prod"), ("canary", "start", "support")])
def test_what_needs_a_reason_says_that_it_is_missing(ready, cli, command, option):
    refused(ready, cli, (*command, *option), f"{option[0]} needs a reason", "--reason", code=2)


def test_a_reason_is_kept_without_the_space_around_it(repo, cli):
    repo.prompt("Another.")
    cli("commit", "-m", "x")
    cli("override", "support", "prod", "--reason", "  why not \n")
    assert cli.json("log", "@prod")["releases"][0]["reason"] == "why not"


@pytest.fixture
def canary(ready, cli):
    """A canary that is open."""
    ready.write(".llmvc/config.yaml", WITH_CANARY)
    ready.save("canary")
    cli("canary", "start", "support", "canary")
    return ready


@pytest.mark.parametrize("name", ["support/canary", "support@canary", "@canary", "support"])
def test_a_canary_is_named_as_it_is_printed(canary, cli, name):
    assert cli.json("canary", "status", name)["release"]["env"] == "canary"


def test_a_log_is_named_as_it_is_printed(repo, cli):
    assert cli("log", "support/prod").out == cli("log", "support@prod").out


@pytest.mark.parametrize("where", ["support/prod", "support@prod"])
def test_a_rollback_takes_one_name_for_bundle_and_environment(ready, cli, where):
    cli("promote", "support/prod")
    assert cli.json("rollback", where)["release"]["kind"] == "rollback"


@pytest.mark.parametrize("where", ["support/prod", "support@prod"])
def test_so_does_the_list_of_processes(repo, cli, tmp_path, where):
    beats = ("--heartbeats", str(tmp_path))
    assert cli("fleet", where, *beats, code=None).err == ""
    assert cli("fleet", where.replace("prod", "nowhere"), *beats, code=4)


def test_one_name_serves_for_an_override_and_a_start(ready, cli):
    cli("override", "support/prod", "--reason", "in a hurry", "--dry-run")
    ready.write(".llmvc/config.yaml", WITH_CANARY)
    ready.save("canary")
    assert cli.json("canary", "start", "support/canary")["release"]["env"] == "canary"


MISSING = [
    (("rollback", "support"), "llmvc rollback support prod"),
    (("promote", "support"), "llmvc promote support prod"),
    (("ship", "support"), "llmvc ship support prod"),
    (("override", "support", "--reason", "x"), "llmvc override support prod"),
    (("judge", "shift", "support"), "llmvc judge shift support prod"),
    (("promote", "support@prod"), "llmvc promote support@prod prod"),
    (("rollback", "support@prod~1"), "llmvc rollback support@prod~1 prod"),
    (("promote", "support@git:HEAD"), "llmvc promote support@git:HEAD prod"),
]


@pytest.mark.parametrize(("command", "hint"), MISSING)
def test_an_environment_that_is_missing_is_said_to_be(ready, cli, command, hint):
    refused(ready, cli, command, "the environment is missing", hint, code=2)


@pytest.mark.parametrize("command", [("resolve",), ("show",), ("checkout",)])
def test_where_a_version_is_wanted_the_printed_name_leads_to_it(repo, cli, command):
    refused(repo, cli, (*command, "support/prod"), "support@prod", code=2)


def test_a_folder_of_logs_asks_for_its_files(canary, cli, tmp_path):
    (tmp_path / "logs").mkdir()
    said = f"name files: '{tmp_path}/logs/*.jsonl'"
    refused(canary, cli, ("canary", "analyze", "--logs", f"{tmp_path}/logs"), said)
    refused(canary, cli, ("logs", "validate", f"{tmp_path}/logs/"), said)


@pytest.mark.parametrize("name", [(), ("support@canary",)])
@pytest.mark.parametrize("more", [("b.jsonl",), ("b.jsonl", "c.jsonl")])
def test_a_pattern_that_the_shell_has_spread_is_to_be_quoted(canary, cli, name, more):
    for each in ("a", "b", "c"):
        canary.write(f"{each}.jsonl", "")
    command = ("canary", "analyze", *name, "--logs", "a.jsonl", *more)
    refused(canary, cli, command, "quote the pattern: --logs '*.jsonl'", code=2)


def test_an_eval_with_an_environment_as_second_name_is_told_of_its_option(repo, cli):
    refused(repo, cli, ("eval", "support", "prod"), "llmvc eval support --env prod", code=2)


@pytest.mark.parametrize("where", [("support", "prod"), ("prod",)])
def test_an_option_that_takes_the_next_word_says_how_to_write_it(repo, cli, where):
    refused(repo, cli, ("rollback", "--wait", *where), "--wait takes seconds", "--wait=60", code=2)


def test_an_interrupted_wait_says_that_the_release_stands(ready, cli, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    cli("promote", "prod")
    ready.git("config", "llmvc.fleet", str(tmp_path))
    monkeypatch.setattr(fleet, "fleet", interrupt)
    done = cli("rollback", "prod", "--wait", code=130)
    assert "interrupted\n  -> the release stands" in done.err
    assert "who has moved is not proven: llmvc fleet support prod" in done.err
    assert cli.json("log", "@prod")["releases"][0]["kind"] == "rollback"


@pytest.mark.parametrize("command", [("eval",), ("ship", "prod")])
def test_an_interrupted_measurement_says_that_finished_runs_are_kept(
    repo, cli, monkeypatch, command
):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    repo.prompt("Say the number again.")
    monkeypatch.setattr("llmvc.app.job.run", interrupt, raising=False)
    monkeypatch.setattr(measuring, "measure", interrupt)
    done = cli(*command, code=130)
    assert "llmvc: interrupted\n  -> finished runs are kept" in done.err
