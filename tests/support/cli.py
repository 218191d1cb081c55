"""The command line in tests: in this process where that will do, as a child where it will not."""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from llmvc.cli.main import run
from llmvc.files.shipped import shipped
from tests.support.build import environ

OUTPUT = "urn:llmvc:schema:output:1"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Cli:
    """Runs llmvc in this process, in the current folder."""

    capsys: pytest.CaptureFixture[str]

    def __call__(self, *args: str, code: int | None = 0) -> Done:
        """Runs a command and demands its exit code; None takes any."""
        self.capsys.readouterr()
        found = run(args)
        done = Done(found, *self.capsys.readouterr())
        assert "Traceback" not in done.err, done.err
        assert code in (None, found), f"llmvc {' '.join(args)}: {done}"
        return done

    def json(self, *args: str, code: int | None = 0) -> dict[str, Any]:
        """Runs a command with --json and returns the object, which its schema must allow."""
        found = json.loads(self(*args, "--json", code=code).out)
        check_output(found)
        return found

    def digest(self, revision: str = "support") -> str:
        """Returns the digest that a revision names."""
        return self("resolve", revision).out.strip()


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Returns every shipped schema by its `$id`."""
    folder = shipped("schemas", "output.schema.json").parent
    read = (json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json"))
    return {schema["$id"]: schema for schema in read}


@cache
def validator(name: str) -> Draft202012Validator:
    """Returns the validator for a schema, or with `#/...` for a part of one."""
    known = [(key, Resource.from_contents(schema)) for key, schema in schemas().items()]
    return Draft202012Validator({"$ref": name}, registry=Registry().with_resources(known))


def check_output(found: dict[str, Any]) -> None:
    """Validates what --json printed by the schema of its kind."""
    kind = found["llmvc"]
    assert kind in schemas()[OUTPUT]["$defs"], f"{kind} has no schema"
    validator(f"{OUTPUT}#/$defs/{kind.replace('/', '~1')}").validate(found)


def child(*args: str, cwd: object = None, stdin: str = "", **env: str) -> Done:
    """Runs llmvc as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "llmvc", *args],
        cwd=str(cwd) if cwd is not None else None,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=environ(PYTHONPATH=":".join(filter(None, sys.path)), **env),
        timeout=60,
    )
    return Done(done.returncode, done.stdout, done.stderr)
