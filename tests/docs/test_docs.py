"""The documents: what they show runs, what they link to is there, and no command is left out."""

import re
from pathlib import Path

import pytest

from llmvc.cli.main import COMMANDS, HIDDEN, cli
from tests.docs import blocks

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
RUN = sorted([ROOT / "README.md", *PAGES, *(ROOT / "examples").rglob("README.md")])
ALL = sorted({*RUN, *(ROOT / "docs" / "adr").glob("*.md"), *ROOT.glob("*.md")})
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _anchors(text: str) -> set[str]:
    """The names that a forge gives to headings."""
    found: set[str] = set()
    inside = False
    for line in text.splitlines():
        inside ^= line.startswith("```")
        if line.startswith("#") and not inside:
            title = re.sub(r"[`*]|\]\([^)]*\)|\[", "", line.lstrip("#").strip()).lower()
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


@pytest.mark.parametrize("path", RUN, ids=_name)
def test_what_a_document_shows_runs_and_prints_what_it_says(path: Path, tmp_path: Path) -> None:
    problems = blocks.run(path.read_text(encoding="utf-8"), tmp_path)
    assert not problems, "\n\n".join([_name(path), *problems])


@pytest.mark.parametrize("path", ALL, ids=_name)
def test_a_block_that_is_not_run_says_why(path: Path) -> None:
    for block in blocks.blocks(path.read_text(encoding="utf-8")):
        if block.skipped:
            why = f"{_name(path)}:{block.line}: give the reason in a comment above"
            assert block.above.startswith("<!--"), why
            assert len(block.above) > len("<!-- not run: -->"), why


@pytest.mark.parametrize("path", ALL, ids=_name)
def test_links_between_documents_resolve(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in LINK.findall(text):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        goal = (path.parent / name).resolve() if name else path
        assert goal.exists(), f"{_name(path)} links to {target}, which is not there"
        if anchor and goal.suffix == ".md":
            known = _anchors(goal.read_text(encoding="utf-8"))
            assert anchor in known, f"{_name(path)} links to {target}: no such heading"


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in HIDDEN])
def test_every_command_has_its_place_in_the_reference(command: str) -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert f"`{command}`" in [line.removeprefix("### ") for line in text.splitlines()]


def test_every_option_of_a_command_stands_in_the_reference() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        if name in HIDDEN:
            continue
        section = text.split(f"### `{name}`\n")[1].split("\n### ")[0].split("\n## ")[0]
        command = cli.get_command(None, name)  # it looks at the name alone
        assert command is not None
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--"):
                    assert option in section, f"{name} has {option}"


def test_every_kind_of_json_object_stands_in_the_reference() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for source in (ROOT / "llmvc" / "cli").rglob("*.py"):
        for kind in re.findall(r'\.json\("([a-z]+/[0-9]+)"', source.read_text(encoding="utf-8")):
            assert f"`{kind}`" in text, f"{source.name} prints {kind}"


def test_every_page_is_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / target).resolve() for target in LINK.findall(index)}
    linked |= {(ROOT / target).resolve() for target in LINK.findall(front)}
    for page in PAGES:
        if page.name != "README.md":
            assert page in linked, f"{_name(page)} is linked from neither README"


def test_every_decision_is_reached_from_its_index() -> None:
    folder = ROOT / "docs" / "adr"
    linked = set(LINK.findall((folder / "README.md").read_text(encoding="utf-8")))
    for page in folder.glob("*.md"):
        assert page.name == "README.md" or page.name in linked


# The runner itself: a documentation test that cannot fail would be worth nothing.

REFUSED = {
    "another output": "```console\n$ echo one\ntwo\n```",
    "a failing command": "```console\n$ false\n```",
    "a command that should fail": "```console\n$ true\n(exit 1)\n```",
    "a line too few": "```console\n$ printf 'a\\nb\\n'\na\n```",
    "a line too many": "```console\n$ echo a\na\nb\n```",
    "a command after exit": "```console\n$ exit 0\n$ echo a\n```",
    "a script that raises": "```python\nassert 1 == 2\n```",
}
TAKEN = {
    "the same output": "```console\n$ echo one\none\n```",
    "a gap in a line": "```console\n$ echo one two three\none … three\n```",
    "a gap of lines": "```console\n$ seq 5\n1\n...\n5\n```",
    "a gap of no lines": "```console\n$ seq 2\n1\n...\n2\n```",
    "an exit code": "```console\n$ echo no; false\nno\n(exit 1)\n```",
    "a file that is written": "```yaml a/b.yaml\nx: 1\n```\n```console\n$ cat a/b.yaml\nx: 1\n```",
    "a command over two lines": "```console\n$ cat <<'END'\n> a\n> END\na\n```",
    "a folder that is kept": "```console\n$ mkdir a && cd a\n$ basename $PWD\na\n```",
    "an installation, skipped": "```console\n$ python3 -m venv nowhere && false\nnot compared\n```",
    "a block that is not run": "<!-- needs a key -->\n```console no-run\n$ false\n```",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_the_runner_refuses(text: str, tmp_path: Path) -> None:
    assert blocks.run(text, tmp_path)


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_the_runner_takes(text: str, tmp_path: Path) -> None:
    assert blocks.run(text, tmp_path) == []
