"""Reads the fenced blocks of a document, and runs them in a folder of their own.

- ```console runs: a line `$ …` is a command for bash (`> …` goes on with it), the lines below it are
  what it must print. No lines: its output is not compared. `(exit N)` says how it ends; else 0.
  `…` or `...` in a line stands for any text in that line; alone in a line, for any lines.
- A language and a path, such as ```yaml evals/orders/suite.yaml: the block is written to that file.
- ```python runs as a script.
- `path/to/llmvc` in a command stands for the checkout.
- `no-run` after the language: the block is skipped, and an HTML comment above it says why.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import llmvc

FENCE = re.compile(r"^```(\S*)[ \t]*(.*)$")
EXIT = re.compile(r"\(exit (\d+)\)\Z")
GAPS = ("...", "…")
# What makes a virtual environment and installs from a registry is run by .ci/run.
NOT_HERE = "python3 -m venv"
CHECKOUT = "path/to/llmvc"


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its info string, its lines, and what stands above it."""

    language: str
    rest: str
    lines: tuple[str, ...]
    line: int
    above: str

    @property
    def skipped(self) -> bool:
        return self.rest == "no-run"

    @property
    def path(self) -> str:
        return "" if self.language in ("console", "") or self.skipped else self.rest


@dataclass(frozen=True, slots=True)
class Command:
    """A command, what it must print, and how it must end."""

    text: str
    expected: tuple[str, ...]
    exit_code: int
    line: int


def blocks(text: str) -> list[Block]:
    found: list[Block] = []
    opened: tuple[str, str, int, str] | None = None
    inside: list[str] = []
    above = ""
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if opened is None and fence:
            opened, inside = (fence[1], fence[2].strip(), number, above), []
        elif opened is not None and line == "```":
            language, rest, at, before = opened
            found.append(Block(language, rest, tuple(inside), at, before))
            opened, above = None, ""
        elif opened is not None:
            inside.append(line)
        elif line.strip():
            above = line
    assert opened is None, f"the block of line {opened[2] if opened else 0} is not closed"
    return found


def commands(block: Block) -> list[Command]:
    found: list[Command] = []
    text, expected, at = "", list[str](), 0

    def close() -> None:
        if not text or text.startswith(NOT_HERE):
            return
        code = EXIT.match(expected[-1]) if expected else None
        told = expected[:-1] if code else expected
        found.append(Command(text, tuple(told), int(code[1]) if code else 0, at))

    for number, line in enumerate(block.lines, start=block.line + 1):
        if line.startswith("$ "):
            close()
            text, expected, at = line[2:], [], number
        elif line.startswith("> ") and not expected:
            text += "\n" + line[2:]
        else:
            assert text, f"line {number}: output without a command"
            expected.append(line.rstrip())
    close()
    return found


def matches(expected: tuple[str, ...], printed: list[str]) -> bool:
    if not expected:
        return not printed
    if expected[0] in GAPS:
        return any(matches(expected[1:], printed[at:]) for at in range(len(printed) + 1))
    return (
        bool(printed)
        and _pattern(expected[0]).fullmatch(printed[0]) is not None
        and matches(expected[1:], printed[1:])
    )


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in re.split(r"…|\.\.\.", line)))


def script(text: str, folder: Path) -> tuple[str, list[Command]]:
    """Returns one bash script for a document, each command's output in a file of its own."""
    lines: list[str] = []
    listed: list[Command] = []
    for number, block in enumerate(blocks(text)):
        if block.skipped:
            continue
        if block.path:
            source = folder / f"block{number}"
            source.write_text("\n".join(block.lines) + "\n", encoding="utf-8")
            target = shlex.quote(block.path)
            lines.append(
                f'mkdir -p "$(dirname {target})" && cp {shlex.quote(str(source))} {target}'
            )
        elif block.language == "python":
            source = folder / f"block{number}.py"
            source.write_text("\n".join(block.lines) + "\n", encoding="utf-8")
            listed.append(Command(f"python {shlex.quote(str(source))}", (), 0, block.line))
            lines.append(_guarded(listed[-1], len(listed) - 1, folder))
        elif block.language == "console":
            for command in commands(block):
                listed.append(command)
                lines.append(_guarded(command, len(listed) - 1, folder))
    return "\n".join(lines) + "\n", listed


def _guarded(command: Command, at: int, folder: Path) -> str:
    out = shlex.quote(str(folder / str(at)))
    text = command.text.replace(CHECKOUT, shlex.quote(str(Path(llmvc.__file__).parents[1])))
    return f"{{\n{text}\n}} </dev/null >{out} 2>&1; echo $? >{out}.code"


def run(text: str, tmp_path: Path) -> list[str]:
    """Runs a document and returns what is wrong with it, by line."""
    repo, folder, tools = tmp_path / "repo", tmp_path / "out", tmp_path / "bin"
    for path in (repo, folder, tools):
        path.mkdir()
    _tool(tools / "llmvc", "-m llmvc")
    _tool(tools / "python", "")
    subprocess.run(["git", "init", "-q", "-b", "main", str(repo)], check=True)
    source, listed = script(text, folder)
    environ = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(llmvc.__file__).parents[1]),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    subprocess.run(["bash", "-c", source], cwd=repo, env=environ, check=False, timeout=400)
    return [problem for at, one in enumerate(listed) if (problem := _wrong(one, folder / str(at)))]


def _wrong(command: Command, out: Path) -> str:
    where = f"line {command.line}: $ {command.text}"
    code = out.with_name(f"{out.name}.code")
    if not code.exists():
        return f"{where}\nwas not reached"
    printed = out.read_text(encoding="utf-8").rstrip("\n")
    ended = int(code.read_text())
    if ended != command.exit_code:
        return f"{where}\nended with {ended} instead of {command.exit_code}:\n{printed}"
    while command.expected and not command.expected[-1]:
        command = Command(command.text, command.expected[:-1], command.exit_code, command.line)
    lines = [line.rstrip() for line in printed.split("\n")]
    if command.expected and not matches(command.expected, lines):
        wanted = "\n".join(command.expected)
        return f"{where}\nprinted:\n{printed}\n-- instead of --\n{wanted}"
    return ""


def _tool(path: Path, arguments: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n')
    path.chmod(0o755)
