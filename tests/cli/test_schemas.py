"""Schemas of what is stored and printed, against real objects."""

import json

import click
import pytest
from jsonschema import Draft202012Validator

from llmvc.cli.main import COMMANDS
from tests.cli.test_tampering import measured, measured_elsewhere
from tests.support.build import FAILING, UNCLEAR
from tests.support.cli import OUTPUT, schemas, validator


def test_every_schema_is_a_schema_with_an_id_and_a_version():
    for name, schema in schemas().items():
        Draft202012Validator.check_schema(schema)
        assert name.startswith("urn:llmvc:schema:")
        assert schema["version"] == int(name.rpartition(":")[2])


def test_every_kind_of_output_is_listed_once():
    schema = schemas()[OUTPUT]
    listed = [item["$ref"].removeprefix("#/$defs/").replace("~1", "/") for item in schema["oneOf"]]
    assert sorted(listed) == sorted(name for name in schema["$defs"] if "/" in name)
    for kind in listed:
        assert schema["$defs"][kind]["properties"]["llmvc"] == {"const": kind}


def test_every_command_that_prints_data_has_json():
    silent = {"demo", "textconv", "agent"}
    for name in sorted(set(COMMANDS) - silent):
        from importlib import import_module

        command = import_module(f"llmvc.cli.commands.{name}").command
        group = isinstance(command, click.Group)
        names = command.list_commands(None) if group else [name]
        for part in (command.get_command(None, one) if group else command for one in names):
            if part.name in {"run", "flagd"}:  # all of flagd is JSON of its own
                continue
            assert "--json" in {flag for option in part.params for flag in option.opts}, part.name


def test_an_error_is_an_object_too_and_said_on_stderr(repo, cli):
    done = cli("resolve", "support@nowhere", "--json", code=4)
    found = json.loads(done.out)
    assert (found["llmvc"], found["code"], found["exit_code"]) == ("error/1", "not-found", 4)
    assert found["message"] in done.err
    assert cli.json("promote", "a", "b", "c", code=2)["code"] == "usage"
    assert cli.json("resolve", code=2)["code"] == "usage"


@pytest.mark.parametrize("misses", [0, UNCLEAR, FAILING])
def test_stored_reports_follow_their_schema(repo, cli, misses):
    repo.prompt(f"miss {misses}, please")
    cli("commit")
    done = cli.json("eval", code=None)
    shown = cli.json("show", done["report"]["digest"])
    validator("urn:llmvc:schema:report:1").validate(shown["value"])


def test_stored_releases_and_versions_follow_their_schemas(ready, cli):
    cli("promote", "prod")
    cli("rollback", "prod", "--reason", "refund tone")
    cli("override", "support", "prod", "--reason", "it was the cache")
    cli("promote", "staging", "--adopt", "--reason", "runs there")
    releases = ready.git("rev-list", "--all", "--glob=refs/llmvc/env/*").split()
    found = set()
    for commit in releases:
        data = ready.git("cat-file", "blob", f"{commit}:release.json", check=False)
        if data.startswith("{"):
            record = json.loads(data)
            found.add(record["kind"])
            validator("urn:llmvc:schema:release:1").validate(record)
    assert found == {"promote", "rollback", "override", "adopt"}
    paths = ready.git("ls-tree", "-r", "--name-only", "refs/llmvc/store", "v/support").splitlines()
    assert len(paths) == 2
    for path in paths:
        record = json.loads(ready.git("cat-file", "blob", f"refs/llmvc/store:{path}"))
        validator("urn:llmvc:schema:version:1").validate(record)


def test_a_merged_report_follows_its_schema(ready, cli):
    (leaf,) = measured(ready, cli.digest())
    measured_elsewhere(ready, leaf)
    merged = cli.json("eval", "--merge-only", code=3)["report"]["digest"]
    value = cli.json("show", merged)["value"]
    assert value["actor"] is None
    validator("urn:llmvc:schema:report:1").validate(value)
