"""What tests of judges share: the example with fewer cases, and the steps of its story."""

import json
import shutil
from pathlib import Path
from typing import Any

from llmvc.files.shipped import shipped
from tests.support.build import RepoBuilder
from tests.support.cli import Cli

ANCHORS = "prompts/helpful-judge/anchors.jsonl"
SUITE = "evals/replies/suite.yaml"
JUDGE = "prompts/helpful-judge/bundle.yaml"
CASES = 60


def example(root: Path) -> RepoBuilder:
    shutil.copytree(shipped("examples", "judge"), root)
    repo = RepoBuilder(root)
    repo.git("init", "-q", "-b", "main", ".")
    cases = (root / "evals/replies/cases.jsonl").read_text().splitlines()[:CASES]
    repo.write("evals/replies/cases.jsonl", "\n".join(cases) + "\n")
    suite = (root / SUITE).read_text().replace("margin: 0.1", "margin: 0.2")
    repo.write(SUITE, suite.replace("floor: 0.5", "floor: 0.4"))
    repo.write(".gitignore", "__pycache__/\n")
    repo.save("start")
    return repo


def calibrate(cli: Cli, *more: str, code: int = 0) -> dict[str, Any]:
    return cli.json("judge", "calibrate", "helpful-judge", "--anchors", ANCHORS, *more, code=code)


def better(repo: RepoBuilder, cli: Cli) -> None:
    repo.write("prompts/replies/system.md", "Reply, and always name the next step.\n")
    cli("commit", "replies", "-m", "better")


def swap(repo: RepoBuilder, path: str, old: str, new: str) -> None:
    text = (repo.root / path).read_text()
    assert old in text
    repo.write(path, text.replace(old, new))


def sheet(cli: Cli, *more: str) -> list[dict[str, Any]]:
    Path("labels.jsonl").unlink(missing_ok=True)
    cli("judge", "label", "replies", "--out", "labels.jsonl", *more)
    return [json.loads(line) for line in Path("labels.jsonl").read_text().splitlines()]


def filled(rows: list[dict[str, Any]], good: str = "tap|number|days|Friday|tomorrow|night") -> None:
    for row in rows[1:]:
        for side in ("A", "B"):
            helps = any(word in row[side]["output"] for word in good.split("|"))
            row[side]["grade"] = "good" if helps else "poor"
    save(rows)


def save(rows: list[dict[str, Any]]) -> None:
    Path("labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
