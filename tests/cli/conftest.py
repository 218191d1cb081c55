"""Repositories at three stages of a story, copied from one that was made once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.build import FAILING, RepoBuilder
from tests.support.cli import Cli

_made: dict[str, RepoBuilder] = {}


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command line, in this process."""
    return Cli(capsys)


@pytest.fixture
def stage(
    cli: Cli,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], RepoBuilder]:
    """Gives a repository at a stage, and the working directory inside it."""

    def build(name: str) -> RepoBuilder:
        if name not in _made:
            root = tmp_path_factory.mktemp("stages") / name
            if name == "started":
                _made[name] = RepoBuilder(root).start()
            else:
                before = "started" if name == "released" else "released"
                repo = build(before).copy(root)
                with monkeypatch.context() as here:
                    here.chdir(root)
                    if name == "released":
                        released(cli)
                    else:
                        repo.prompt("Say the number again.")
                        repo.save("reword")
                        cli("commit", "-m", "reword")
                        cli("eval")
                _made[name] = repo
        return _made[name]

    def give(name: str) -> RepoBuilder:
        repo = build(name).copy(tmp_path / "repo")
        monkeypatch.chdir(repo.root)
        return repo

    return give


def released(cli: Cli) -> None:
    """Commits, measures and promotes what stands in the working tree."""
    cli("init")
    cli("commit", "-m", "first")
    cli("eval")
    cli("promote", "prod")


@pytest.fixture
def started(stage: Callable[[str], RepoBuilder]) -> RepoBuilder:
    """A bundle in files, nothing in llmvc."""
    return stage("started")


@pytest.fixture
def repo(stage: Callable[[str], RepoBuilder]) -> RepoBuilder:
    """A bundle that prod serves."""
    return stage("released")


@pytest.fixture
def ready(stage: Callable[[str], RepoBuilder]) -> RepoBuilder:
    """The same, and a reworded version that was measured and passed."""
    return stage("measured")


def worse(repo: RepoBuilder, cli: Cli, text: str = f"miss {FAILING}") -> str:
    """Commits a worse prompt and returns its digest."""
    repo.prompt(text)
    repo.save(text)
    cli("commit", "-m", text)
    return cli.digest()
