"""The demo: the whole story, played with the real commands on recorded outputs of real models.

Nothing of it is known beforehand: verdicts come from the recordings, and a step that is refused is
shown as refused.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llmvc.errors import ConfigError, LlmvcError, StoreError
from llmvc.files.shipped import shipped

FOLDER: Final = "llmvc-demo"

# What a step of the story may end with: done, refused by the gate, or inconclusive.
TOLD: Final = (0, 1, 3)

GIT: Final[Mapping[str, str]] = {
    "user.name": "llmvc demo",
    "user.email": "demo@llmvc.invalid",
    "core.hooksPath": ".git/hooks",
    "commit.gpgSign": "false",
    "core.autocrlf": "false",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the story.

    Attributes:
        command: as a person would type it.
        before: what is said before it; empty for nothing.
        copy: folder under `variants` whose files are copied over the prompt first.
    """

    command: tuple[str, ...]
    before: str = ""
    copy: str = ""


def _llmvc(line: str, *more: str, before: str = "", copy: str = "") -> Step:
    return Step(("llmvc", *line.split(), *more), before, copy)


STORY: Final = (
    _llmvc(
        "commit support -m",
        "first prompt",
        before="A support bundle: prompt, examples, schema and a 135M model, as one digest.",
    ),
    _llmvc("eval support", before="Nothing is released yet, so the suite's floor decides."),
    _llmvc("promote support prod"),
    _llmvc("promote support staging"),
    _llmvc(
        "diff support",
        before="An edit to save tokens. It reads well, and every answer is still valid JSON.",
        copy="worse",
    ),
    _llmvc("commit support -m", "shorter prompt"),
    _llmvc("eval support"),
    _llmvc("promote support prod", before="May it be released?"),
    _llmvc("checkout support@prod", before="Back to what prod serves, and another edit."),
    _llmvc("commit support -m", "clearer teams, stricter schema", copy="better"),
    _llmvc("eval support"),
    _llmvc("promote support prod"),
    _llmvc(
        "checkout support@staging", before="Would another model do? staging has the first prompt."
    ),
    _llmvc("migrate support --model local/gemma-3-270m-q4_k_m --promote staging"),
    _llmvc(
        "rollback support prod --reason", "refund tone", before="Somebody calls: roll prod back."
    ),
    _llmvc("log support@prod", before="What happened, and on which evidence?"),
    _llmvc("status"),
)


def play(folder: Path | None, *, say: Callable[[str], None]) -> int:
    """Plays the story in a new repository, and leaves it there.

    Args:
        folder: where; None for `llmvc-demo`, or the next free name, in the current folder.
        say: prints a line.

    Returns:
        0; a step that ends with an error stops the demo.

    Raises:
        ConfigError: the folder is there already.
        StoreError: the repository cannot be made.
    """
    root = (folder if folder is not None else _free_folder()).absolute()
    environ = _environment()
    _make(root, environ)
    say(f"a new Git repository: {root}")
    for step in STORY:
        _play(step, root, environ, say)
    say(
        f"\nThe repository is yours: cd {_shown(root)}\n"
        "  llmvc show support@prod         what is served, and why\n"
        "  llmvc diff support@prod~1 support@prod\n"
        "  git log refs/llmvc/env/support/prod\n"
        "  llmvc new NAME                  a bundle of your own, in your own repository"
    )
    return 0


def _play(step: Step, root: Path, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
    if step.before:
        say(f"\n# {step.before}")
    if step.copy:
        variant = root / "variants" / step.copy
        shutil.copytree(variant, root / "prompts" / "support", dirs_exist_ok=True)
        say(f"$ cp variants/{step.copy}/* prompts/support/")
    say("$ " + " ".join(_quoted(step.command)))
    sys.stdout.flush()
    command = [sys.executable, "-m", *step.command]
    code = subprocess.run(command, cwd=root, env=dict(environ), check=False).returncode
    if code not in TOLD:
        raise _StoppedError(f"the demo stopped: {' '.join(step.command)} ended with {code}")
    if code:
        say(f"(exit {code})")


class _StoppedError(LlmvcError):
    """A step of the demo ended with an error, which it has explained."""

    code = "demo"


def _make(root: Path, environ: Mapping[str, str]) -> None:
    """Makes the repository: the example's files, one commit, llmvc set up."""
    if root.exists() and any(root.iterdir()):
        raise ConfigError(
            f"{root} is there already", hint="name a folder that is not: llmvc demo FOLDER"
        )
    source = shipped("examples", "support")
    try:
        shutil.copytree(
            source, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    except OSError as err:
        raise StoreError(f"cannot write {root}: {err.strerror}") from err
    commands = [["init", "--quiet", "--initial-branch=main", "--template="]]
    commands += [["config", key, value] for key, value in GIT.items()]
    for command in commands:
        _git(root, environ, command)
    subprocess.run(
        [sys.executable, "-m", "llmvc", "-q", "init"],
        cwd=root,
        env=dict(environ),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for command in (["add", "--all"], ["commit", "--quiet", "--message", "support example"]):
        _git(root, environ, command)


def _git(root: Path, environ: Mapping[str, str], arguments: list[str]) -> None:
    done = subprocess.run(
        ["git", *arguments],
        cwd=root,
        env=dict(environ),
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise StoreError(f"git {arguments[0]} failed in {root}: {done.stderr.strip()}")


def _environment() -> dict[str, str]:
    """Returns the environment without what would lead Git or llmvc elsewhere."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "LLMVC_"))
    }
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, kept.get("PYTHONPATH", "")]
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}


def _free_folder() -> Path:
    return next(path for path in _names() if not path.exists())


def _names() -> Iterator[Path]:
    yield Path(FOLDER)
    at = 2
    while True:
        yield Path(f"{FOLDER}-{at}")
        at += 1


def _quoted(words: tuple[str, ...]) -> list[str]:
    return [f'"{word}"' if " " in word else word for word in words]


def _shown(root: Path) -> str:
    try:
        return str(root.relative_to(Path.cwd()))
    except ValueError:
        return str(root)
