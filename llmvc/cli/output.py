"""Where results go: data to stdout, talk to stderr, never a control character to a terminal."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import click

from llmvc.errors import StoreError
from llmvc.render.text import safe


@dataclass(frozen=True, slots=True)
class Output:
    """The two channels of one command.

    Attributes:
        quiet: drop talk.
        verbose: show more talk.
        color: `auto`, `always` or `never`.
        debug: show tracebacks.
    """

    quiet: bool
    verbose: bool
    color: str
    debug: bool

    @property
    def colored(self) -> bool:
        """Whether data may carry colour: the flag wins, then NO_COLOR, then the terminal."""
        if self.color != "auto":
            return self.color == "always"
        return not os.environ.get("NO_COLOR") and sys.stdout.isatty()

    def data(self, text: str) -> None:
        """Prints what was asked for."""
        sys.stdout.write(safe(text, keep_color=self.colored).rstrip("\n") + "\n")

    def raw(self, data: bytes) -> None:
        """Prints exact bytes."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def json(self, kind: str, members: Mapping[str, object]) -> None:
        """Prints one versioned object, keys sorted, never coloured."""
        # JSON has an escape of its own for what the channel cannot write; Python's is none.
        wide = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
        sys.stdout.write(versioned(kind, members, ascii_only=not wide))

    def save(self, path: str, text: str, *, private: bool = False) -> None:
        """Writes what was asked for to a file instead; a new private one is its owner's alone.

        Raises:
            StoreError: the disk refused it.
        """
        try:
            mode = 0o600 if private else 0o666
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text.rstrip("\n") + "\n")
        except OSError as err:
            raise StoreError(f"cannot write {path}: {err.strerror}") from err
        self.talk(f"wrote {path}")

    def talk(self, text: str) -> None:
        """Says something that is not data."""
        if not self.quiet and text:
            sys.stdout.flush()
            sys.stderr.write(safe(text).rstrip("\n") + "\n")
            sys.stderr.flush()

    def failure(self, code: str, message: str, hint: str, exit_code: int, *, as_json: bool) -> int:
        """Reports an error and returns its exit code."""
        if as_json:
            members = {
                "code": code,
                "message": message,
                "hint": hint or None,
                "exit_code": exit_code,
            }
            self.json("error/1", members)
        lines = f"llmvc: {message}" + (f"\n  -> {hint}" if hint else "")
        sys.stdout.flush()
        sys.stderr.write(safe(lines) + "\n")
        return exit_code


def versioned(kind: str, members: Mapping[str, object], *, ascii_only: bool = False) -> str:
    """Returns one versioned object, keys sorted, as lines of JSON."""
    text = json.dumps({"llmvc": kind, **members}, indent=2, sort_keys=True, ensure_ascii=ascii_only)
    return text + "\n"


def current() -> Output:
    """Returns the output of the command that runs now."""
    found: Output = click.get_current_context().find_root().obj
    return found
