"""Setting up: a repository for llmvc, and a bundle to start from."""

import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmvc.app.workspace import Workspace
from llmvc.core import names
from llmvc.core.suite import Case
from llmvc.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from llmvc.evals.planner import Fitting

CONFIG = ".llmvc/config.yaml"
ATTRIBUTES = ".gitattributes"
DRIVER = "bundle.yaml diff=llmvc"

# A `git diff` must not die with the virtual environment that llmvc was installed in.
TEXTCONV = """sh -c 'if [ -x {python} ]; then {python} -P -m llmvc textconv "$1"; \
elif command -v llmvc >/dev/null; then llmvc textconv "$1"; else cat "$1"; fi' --"""
STAND_IN = ".llmvc/stand_in.py"
NEW = (
    ("prompts/{name}/bundle.yaml", "bundle.yaml"),
    ("prompts/{name}/system.md", "system.md"),
    ("prompts/{name}/user.md", "user.md"),
    ("evals/{name}/suite.yaml", "suite.yaml"),
    ("evals/{name}/cases.jsonl", "cases.jsonl"),
)

# What the suite of a new bundle says: `examples/new/suite.yaml`.
NEW_RUNS = 3


@dataclass(frozen=True, slots=True)
class Started:
    """A bundle to start from.

    Attributes:
        written: the paths.
        fitting: the margin of its suite, and what it is worth.
        note: the same in words.
    """

    written: tuple[str, ...]
    fitting: "Fitting"
    note: str


def init(ws: Workspace) -> tuple[str, ...]:
    """Sets the repository up; whatever is there already is left as it is.

    Returns:
        A line for everything that was done.
    """
    from llmvc.store import sync  # noqa: PLC0415 (not needed to read this module's constants)

    done: list[str] = []
    # A configuration that was there already has providers of its own.
    if _write(ws, CONFIG, _template("config.yaml")):
        done += [f"wrote {CONFIG}"]
        done += [f"wrote {STAND_IN}"] * _write(ws, STAND_IN, _template("stand_in.py"))
    if _attribute(ws):
        done.append(f"added `{DRIVER}` to {ATTRIBUTES}")
    textconv = TEXTCONV.format(python=f'"{sys.executable}"')
    for key, value in (("diff.llmvc.textconv", textconv), ("diff.llmvc.cachetextconv", "true")):
        if ws.repo.git.call("config", "--get", key).code != 0:
            ws.repo.git.run("config", key, value)
            done += [f"set {key} in this clone's Git configuration"]
    for remote in ws.repo.settings.remotes():
        if sync.setup_remote(ws.repo, remote):
            done.append(
                f"fetches from {remote} now bring refs/llmvc/* to refs/llmvc-remote/{remote}/*"
            )
    return tuple(done) or ("everything was set up already",)


def new(ws: Workspace, name: str) -> Started:
    """Writes a bundle with a suite and cases, answered by a stand-in instead of a model.

    The margin is the smallest one that an unchanged bundle passes with 80% power; a suite with too
    few cases for any gets none, and only watches.

    Raises:
        ConfigError: a file is there already; nothing was written.
    """
    from llmvc.evals import planner  # noqa: PLC0415 (loads numpy)

    names.check_name(name, "bundle")
    init(ws)
    paths = [(path.format(name=name), template) for path, template in NEW]
    for path, _ in paths:
        if (ws.root / path).exists():
            raise ConfigError(
                f"{path} is there already", hint="choose another name, or edit that bundle"
            )
    cases = [Case(str(at), {}) for at, _ in enumerate(_template("cases.jsonl").splitlines())]
    fitting = planner.smallest_fitting(cases, NEW_RUNS)
    note = fitting.told(len(cases), NEW_RUNS)
    answers = _answers(ws, paths[0][0])
    filled = {
        "NAME": name,
        "RUNS": str(NEW_RUNS),
        "RULE": "gate: false" if fitting.margin is None else f"margin: {fitting.margin:g}",
        "# NOTE": textwrap.fill(note, 88, initial_indent="# ", subsequent_indent="# "),
    }
    for path, template in paths:
        text = _template(template)
        for place, value in filled.items():
            text = text.replace(place, value)
        _write(ws, path, text)
    return Started(tuple(path for path, _ in paths), fitting, "\n".join((note, *answers)))


def _answers(ws: Workspace, manifest: str) -> tuple[str, ...]:
    """Sees that the stand-in is there if it answers here; else returns what to do instead."""
    found = ws.config.providers.get("stand-in")
    if found is None:
        known = ", ".join(sorted(ws.config.providers)) or "none yet"
        return (f"no stand-in answers here: name a provider in {manifest}, known: {known}",)
    if str(found.options.get("function", "")).startswith(f"{STAND_IN}:"):
        _write(ws, STAND_IN, _template("stand_in.py"))
    return ()


def _template(name: str) -> str:
    from llmvc.files.shipped import shipped  # noqa: PLC0415

    return shipped("examples", f"new/{name}").read_text(encoding="utf-8")


def _write(ws: Workspace, path: str, text: str) -> bool:
    target = ws.root / path
    try:
        if target.exists():
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
    except OSError as err:
        raise StoreError(f"cannot write {path}: {err.strerror}") from err
    return True


def _attribute(ws: Workspace) -> bool:
    target = ws.root / ATTRIBUTES
    try:
        text = target.read_text(encoding="utf-8") if target.exists() else ""
        if DRIVER in text.splitlines():
            return False
        gap = "" if not text or text.endswith("\n") else "\n"
        target.write_text(f"{text}{gap}{DRIVER}\n", encoding="utf-8", newline="\n")
    except OSError as err:
        raise StoreError(f"cannot write {ATTRIBUTES}: {err.strerror}") from err
    return True
