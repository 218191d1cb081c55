"""A service beside the command line: it reads the repository or the folder that llmvc writes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llmvc import runtime
from tests.support.build import RepoBuilder
from tests.support.cli import Cli


@pytest.mark.parametrize("place", ["repository", "folder"])
def test_a_service_follows_a_release_and_its_rollback(
    place: str, stage: Callable[[str], RepoBuilder], cli: Cli, tmp_path: Path
) -> None:
    repo = stage("released")
    source = repo.root if place == "repository" else tmp_path / "serve"

    def written() -> None:
        if place == "folder":
            cli("snapshot", "--to", str(source))

    written()
    with runtime.open(source, every_s=3600) as client:
        first = client.resolve("support", unit="u")
        repo.prompt("Repeat the number, please.")
        cli("commit", "support", "-m", "polite")
        cli("override", "support", "prod", "--reason", "try")
        written()
        assert client.refresh().ok
        second = client.resolve("support", unit="u")
        assert (second.seq, second.digest != first.digest) == (first.seq + 1, True)
        assert "please" in str(second.render({"message": "7"})["messages"])
        assert client.resolve("support", unit="u", pin=first.pin).digest == first.digest
        cli("rollback", "support", "prod", "--reason", "tone", "--no-push")
        written()
        assert client.refresh().ok
        third = client.resolve("support", unit="u", pin=second.pin)
        assert (third.digest, third.pinned, third.seq) == (first.digest, False, first.seq + 2)


def test_a_rewound_repository_is_refused_by_a_service_that_runs(
    stage: Callable[[str], RepoBuilder], cli: Cli
) -> None:
    repo = stage("released")
    before = repo.git("rev-parse", "refs/llmvc/env/support/prod")
    repo.prompt("Repeat the number, please.")
    cli("commit", "support", "-m", "polite")
    cli("override", "support", "prod", "--reason", "try")
    with runtime.open(repo.root, every_s=3600) as client:
        served = client.resolve("support").digest
        repo.git("update-ref", "refs/llmvc/env/support/prod", before)
        assert client.refresh().older == 1  # an alarm once it stays so
        assert client.resolve("support").digest == served


def test_a_snapshot_that_leaves_out_what_lies_there_names_the_option_that_does(
    stage: Callable[[str], RepoBuilder], cli: Cli, tmp_path: Path
) -> None:
    stage("released")
    served = str(tmp_path / "served")
    cli("override", "support", "staging", "--reason", "try")
    cli("snapshot", "--to", served)
    refused = cli("snapshot", "--to", served, "--env", "prod", code=2)
    assert f"{served} holds support/staging, which --env leaves out" in refused.err
    assert "rewound" not in refused.err
    cli("snapshot", "--to", served, "--env", "prod", "--env", "staging", "--bundle", "support")
