"""Rules of the house that a program can check: sizes, layers and what a command loads."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import llmvc
from llmvc.cli.commands.judge import COMMANDS as JUDGE
from llmvc.cli.main import COMMANDS
from tests.support.build import environ

PACKAGE = Path(llmvc.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

HEAVY = ("numpy", "scipy", "httpx", "rich", "jsonschema", "jinja2", "email", "pytest")

# Runs a command and prints what it has loaded; the rest of its output goes elsewhere.
LOADED = """
import contextlib, io, json, sys
from llmvc.cli.main import run
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    code = run(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""


def loaded(*args, cwd=None):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
        env=environ(PYTHONPATH=":".join(filter(None, sys.path))),
    )
    code, modules = json.loads(done.stdout)
    assert code == 0, args
    return set(modules)


def test_no_module_is_longer_than_400_lines():
    long = {
        path.name: count for path in MODULES if (count := len(path.read_text().splitlines())) > 400
    }
    assert long == {}


def test_no_function_is_longer_than_60_lines():
    long = {
        f"{path.relative_to(PACKAGE)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > 60
    }
    assert long == {}


def test_every_command_of_the_table_has_its_module_and_the_other_way_round():
    for table, folder in ((COMMANDS, "cli/commands"), (JUDGE, "cli/commands/judge")):
        paths = [*(PACKAGE / folder).glob("*.py"), *(PACKAGE / folder).glob("*/__init__.py")]
        modules = {path.parent.stem if path.stem == "__init__" else path.stem for path in paths}
        assert modules - {Path(folder).name} == {module for module, _ in table.values()}


def test_command_modules_do_not_import_each_other():
    for path in (PACKAGE / "cli/commands").rglob("*.py"):
        assert "from llmvc.cli.commands" not in path.read_text(), path.name


def test_who_catches_every_exception_raises_or_returns_it():
    for path in MODULES:
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "BaseException"
                if caught in ("Exception", "BaseException"):
                    ends = any(
                        isinstance(inner, ast.Raise | ast.Return) for inner in ast.walk(node)
                    )
                    assert ends, f"{name}:{node.lineno}"


def test_help_and_version_load_no_command_and_nothing_heavy(tmp_path):
    for option in ("--help", "--version"):
        modules = loaded(option, cwd=tmp_path)
        assert not [name for name in modules if name.startswith("llmvc.cli.commands.")]
        assert not [
            name for name in modules if name.startswith(("llmvc.store", "llmvc.files", "llmvc.app"))
        ]
        assert not modules & {*HEAVY, "yaml"}


@pytest.mark.parametrize(
    "command",
    [
        ("resolve", "support@prod"),
        ("rollback", "prod", "--no-push"),
        ("log", "support@prod"),
        ("show", "support@prod"),
        ("status",),
    ],
)
def test_what_must_be_quick_loads_nothing_heavy(ready, cli, command):
    cli("promote", "prod")
    modules = loaded(*command, cwd=ready.root)
    may = {"jsonschema"} if command[0] == "status" else {"yaml"} if command[0] == "log" else set()
    assert not modules & (set(HEAVY) - may)
    if command[0] != "status":
        assert "yaml" not in modules - may
