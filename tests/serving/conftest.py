"""A repository with releases, and what is written of it."""

import shutil
from pathlib import Path

import pytest

from llmvc.places import Folder
from llmvc.runtime.export import export
from llmvc.store.serving import GitSource
from tests.store.build import adopt, make, opened
from tests.support.cli import Cli

_made: dict[str, Path] = {}


@pytest.fixture
def origin(tmp_path, tmp_path_factory):
    """Where a repository with two releases of support/prod lies; made once, copied for each."""
    if "origin" not in _made:
        folder = make(tmp_path_factory.mktemp("origin"))
        with opened(folder) as repo:
            for text in ("one", "two"):
                adopt(repo.chain("support", "prod"), text)
        _made["origin"] = folder
    return shutil.copytree(_made["origin"], tmp_path / "plain", symlinks=True)


@pytest.fixture
def cli(capsys):
    """The command line, in this process."""
    return Cli(capsys)


@pytest.fixture
def moves(origin):
    """Releases a text in support/prod, or another environment, of the repository."""

    def move(text, env="prod"):
        with opened(origin) as repo:
            return adopt(repo.chain("support", env), text)

    return move


@pytest.fixture
def opening():
    """Opens repositories as sources, and closes them at the end."""
    held = []

    def open_(folder, **more):
        held.append(GitSource(folder, **more))
        return held[-1]

    yield open_
    for one in held:
        one.close()


@pytest.fixture
def source(opening, origin):
    return opening(origin)


@pytest.fixture
def served(tmp_path, source):
    """The folder that the repository was written to."""
    place = Folder(tmp_path / "served")
    export(source, place)
    return place.top
