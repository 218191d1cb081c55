"""Setting up: a repository for llmvc, and a bundle to start from."""

import sys
from math import ceil

from llmvc.app.workspace import Workspace
from llmvc.core import names
from llmvc.errors import ConfigError, StoreError

CONFIG = ".llmvc/config.yaml"
ATTRIBUTES = ".gitattributes"
DRIVER = "bundle.yaml diff=llmvc"

# A `git diff` must not die with the virtual environment that llmvc was installed in.
TEXTCONV = """sh -c 'if [ -x {python} ]; then {python} -P -m llmvc textconv "$1"; \
elif command -v llmvc >/dev/null; then llmvc textconv "$1"; else cat "$1"; fi' --"""
STARTED = (
    (CONFIG, "config.yaml"),
    (".llmvc/stand_in.py", "stand_in.py"),
)
NEW = (
    ("prompts/{name}/bundle.yaml", "bundle.yaml"),
    ("prompts/{name}/system.md", "system.md"),
    ("prompts/{name}/user.md", "user.md"),
    ("evals/{name}/suite.yaml", "suite.yaml"),
    ("evals/{name}/cases.jsonl", "cases.jsonl"),
)

# What two runs of one bundle typically differ by, before anything was measured: variance between
# cases of the true difference, and variance that one run in each arm adds.
TYPICAL_VAR_CASE = 0.016
TYPICAL_VAR_RUN = 0.16


def init(ws: Workspace) -> tuple[str, ...]:
    """Sets the repository up; whatever is there already is left as it is.

    Returns:
        A line for everything that was done.
    """
    from llmvc.store import sync  # noqa: PLC0415 (not needed to read this module's constants)

    done = [f"wrote {path}" for path, name in STARTED if _write(ws, path, _template(name))]
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


def new(ws: Workspace, name: str) -> tuple[str, ...]:
    """Writes a bundle with a suite and cases, answered by a stand-in instead of a model.

    The margin is the smallest one that an unchanged bundle passes with 80% power.

    Returns:
        The paths written.

    Raises:
        ConfigError: a file is there already; nothing was written.
    """
    names.check_name(name, "bundle")
    init(ws)
    paths = [(path.format(name=name), template) for path, template in NEW]
    for path, _ in paths:
        if (ws.root / path).exists():
            raise ConfigError(
                f"{path} is there already", hint="choose another name, or edit that bundle"
            )
    cases = len(_template("cases.jsonl").splitlines())
    for path, template in paths:
        text = _template(template).replace("NAME", name).replace("MARGIN", _margin(cases, runs=3))
        _write(ws, path, text)
    return tuple(path for path, _ in paths)


def _margin(cases: int, *, runs: int) -> str:
    from llmvc.stats.power import smallest_margin  # noqa: PLC0415 (loads numpy)

    margin = smallest_margin(cases, runs, TYPICAL_VAR_CASE, TYPICAL_VAR_RUN)
    return f"{ceil(margin * 100) / 100:.2f}" if margin is not None else "0.5"


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
