"""The `git` program: how its child processes are started and what their failures mean.

- Children speak English (`LC_ALL=C`), take no optional locks, see no replaced objects, and find
  the repository by the `GIT_*` variables that a hook was given, made absolute.
- What a user or a remote named goes behind `--` or `--end-of-options`, or over standard input.
- A failure becomes one line: what was asked for and what git said.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, NamedTuple

from llmvc.errors import ConfigError, FormatError, LlmvcError, StoreError

MINIMUM: Final = "2.36"
# Git reads these relative to the folder it runs in; ours runs elsewhere than the hook did.
_PATHS: Final = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_QUARANTINE_PATH",
    "GIT_INDEX_FILE",
)
_USAGE: Final = 129  # git's exit code for an option it does not know
_SAID = re.compile(rb"^(?:fatal|error): (.*)$", re.MULTILINE)
_DISK: Final = ("No space left", "Read-only file system", "Permission denied", "Disk quota")


class Result(NamedTuple):
    """How a child ended: its exit code and what it wrote."""

    code: int
    out: bytes
    err: bytes


def environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Returns the variables that every child gets.

    Args:
        environ: the variables of this process.
        folder: what relative paths in `GIT_*` are relative to.
    """
    child = dict(environ)
    for name in _PATHS:
        if child.get(name):
            child[name] = str(folder / child[name])
    return child | {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1"}


def reason(err: bytes) -> str:
    """Returns the line in which git says why it failed."""
    said = _SAID.findall(err)
    lines = said or [line for line in err.splitlines() if line.strip()] or [b"no reason given"]
    return str(lines[0].decode("utf-8", "replace").strip())


def trouble(what: str, result: Result) -> LlmvcError:
    """Returns the error that a failed child stands for.

    Args:
        what: what was asked of git, such as `git update-ref`.
        result: how the child ended.
    """
    said = reason(result.err)
    if result.code == _USAGE:
        return ConfigError(
            f"{what} failed: this git is too old", hint=f"install git {MINIMUM} or newer"
        )
    if "not a git repository" in said:
        return ConfigError(
            "this is not a git repository", hint="run git init here, or change into a repository"
        )
    if "dubious ownership" in said:
        return ConfigError(
            f"git does not trust this repository: {said}",
            hint="if you do, run: git config --global --add safe.directory <its path>",
        )
    if any(text in said for text in _DISK):
        return StoreError(f"{what} failed: {said}", hint="check the disk and its permissions")
    return StoreError(f"{what} failed: {said}")


@dataclass(frozen=True, slots=True)
class Git:
    """Starts `git` in one folder with one set of variables.

    Attributes:
        folder: where children run.
        env: their variables.
    """

    folder: Path
    env: Mapping[str, str]

    def call(
        self,
        *args: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Result:
        """Runs git to its end and returns how it ended, good or bad."""
        try:
            done = subprocess.run(
                ["git", *args],
                cwd=folder or self.folder,
                env={**self.env, **(env or {})},
                input=stdin,
                capture_output=True,
                check=False,
            )
        except OSError as err:
            raise _unstartable(folder or self.folder, err) from err
        return Result(done.returncode, done.stdout, done.stderr)

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> bytes:
        """Runs git to its end and returns what it printed.

        Raises:
            StoreError: it failed and `check` is set.
            ConfigError: there is no git, no repository, or git is too old.
        """
        result = self.call(*args, stdin=stdin, env=env)
        if check and result.code:
            raise trouble(f"git {_verb(args)}", result)
        return result.out

    def start(self, *args: str, stderr: IO[bytes] | int | None = None) -> subprocess.Popen[bytes]:
        """Starts git with pipes to talk through; the caller ends it."""
        try:
            return subprocess.Popen(
                ["git", *args],
                cwd=self.folder,
                env=dict(self.env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        except OSError as err:
            raise _unstartable(self.folder, err) from err

    def read_at_most(self, limit: int, name: str, *args: str) -> bytes:
        """Returns what git prints, unless that is more than `limit` bytes.

        Raises:
            FormatError: there is more; `name` says of what.
            StoreError: git failed.
        """
        with self.start(*args, stderr=subprocess.PIPE) as child:
            assert child.stdin is not None  # noqa: S101 (Popen was asked for these pipes)
            assert child.stdout is not None  # noqa: S101
            assert child.stderr is not None  # noqa: S101
            child.stdin.close()
            data = child.stdout.read(limit + 1)
            if len(data) > limit:
                child.kill()
                raise too_large(name, limit)
            err = child.stderr.read()
        if child.returncode:
            raise trouble(f"git {_verb(args)}", Result(child.returncode, data, err))
        return data


def too_large(name: str, limit: int, size: int | None = None) -> FormatError:
    """Returns the error for something that is not read because it is too large."""
    found = f"{size} bytes" if size is not None else "more"
    return FormatError(f"{name} is too large: {found}, the limit is {limit} bytes")


def _verb(args: tuple[str, ...]) -> str:
    rest = iter(args)
    for arg in rest:
        if arg == "-c":
            next(rest, None)
        elif not arg.startswith("-"):
            return arg
    return "?"


def _unstartable(folder: Path, err: OSError) -> LlmvcError:
    if isinstance(err, FileNotFoundError) and folder.is_dir():
        return ConfigError("the git program is not on PATH", hint=f"install git {MINIMUM} or newer")
    if not folder.is_dir():
        return ConfigError(f"there is no folder {os.fspath(folder)!r}")
    return StoreError(f"git cannot be started: {err.strerror}")
