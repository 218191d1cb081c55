"""The example at three stages, copied from one that was made once, and a clock."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.build import RepoBuilder
from tests.support.cli import Cli
from tests.support.judges import better, calibrate, example

_made: dict[str, RepoBuilder] = {}


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RepoBuilder:
    """The example with fewer cases, nothing of it in llmvc."""
    repo = example(tmp_path / "repo")
    monkeypatch.chdir(repo.root)
    return repo


@pytest.fixture
def repo(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    cli: Cli,
) -> RepoBuilder:
    """The same with a calibrated judge, and both bundles released."""
    if "released" not in _made:
        made = example(tmp_path_factory.mktemp("judge") / "released")
        with monkeypatch.context() as here:
            here.chdir(made.root)
            calibrate(cli)
            cli("commit", "replies", "-m", "first")
            cli("commit", "helpful-judge", "-m", "first")
            cli("eval", "replies")
            cli("promote", "replies", "prod")
            cli("promote", "helpful-judge", "prod")
        _made["released"] = made
    found = _made["released"].copy(tmp_path / "repo")
    monkeypatch.chdir(found.root)
    return found


@pytest.fixture
def measured(
    repo: RepoBuilder,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    cli: Cli,
) -> RepoBuilder:
    """The same, and a better version that was measured."""
    if "measured" not in _made:
        better(repo, cli)
        cli("eval", "replies")
        _made["measured"] = repo.copy(tmp_path_factory.mktemp("judge") / "measured")
    found = _made["measured"].copy(tmp_path / "measured")
    monkeypatch.chdir(found.root)
    return found


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets days pass."""
    days = [0.0]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            moment = datetime.now(tz or UTC)  # noqa: TID251 (the clock that is moved on)
            return moment + timedelta(days=days[0])

    def wait(more: float) -> None:
        days[0] += more

    monkeypatch.setattr("llmvc.app.workspace.datetime", Clock)
    return wait
