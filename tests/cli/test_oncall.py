"""The on-call check: each line is one thing that would go wrong on the bad day."""

import os
import shutil

import pytest

from llmvc.runtime.heart import Heart
from tests.cli.test_rollback import override, safe, served  # noqa: F401 (fixtures)
from tests.serving.build import tips
from tests.support.build import remote_at


def found(cli, *args, code=0):
    return cli.json("doctor", "--oncall", *args, code=code)["findings"]


def states(cli, word, code=0):
    return [item["state"] for item in found(cli, code=code) if word in item["what"]]


def test_everything_in_place_is_one_good_line_each(repo, safe, cli, served, tmp_path):  # noqa: F811
    repo.git("remote", "add", "origin", str(remote_at(tmp_path / "remote.git")))
    cli("push")
    Heart(served).beat(tips(served))
    lines = found(cli)
    assert [item["state"] for item in lines] == ["ok"] * 5
    for word in (
        "a rollback serves",
        "--to safe serves",
        "takes a push",
        "fleet answers",
        "is current",
    ):
        assert any(word in item["what"] for item in lines), word


def test_what_is_not_set_up_is_a_hint(repo, cli):
    lines = found(cli, "support")
    assert {item["state"] for item in lines} == {"hint", "ok"}
    for word in ("no earlier release", "no safe version", "no remote", "heartbeats"):
        assert any(word in item["what"] for item in lines), word


def test_a_remote_that_takes_no_push_is_bad(repo, cli, tmp_path):
    repo.git("remote", "add", "origin", str(tmp_path / "gone.git"))
    assert states(cli, "takes no push", code=4) == ["bad"]


def test_a_target_that_is_damaged_is_bad(repo, cli):
    override(cli, repo, "bad")
    oid = repo.git("rev-parse", "refs/llmvc/env/support/prod~1:bundle.json")
    path = repo.root / ".git" / "objects" / oid[:2] / oid[2:]
    path.unlink()
    assert states(cli, "a rollback is not possible", code=4) == ["bad"]


def test_a_snapshot_that_cannot_be_written_is_bad(repo, cli, served):  # noqa: F811
    cli("snapshot")
    shutil.rmtree(served)
    served.write_text("a file")
    assert states(cli, "cannot write", code=4) == ["bad"]


def test_a_snapshot_that_is_not_current_is_a_hint(repo, cli, served):  # noqa: F811
    cli("snapshot")
    repo.git("config", "--unset", "llmvc.snapshot")
    override(cli, repo, "bad")
    repo.git("config", "llmvc.snapshot", str(served))
    assert states(cli, "is not current") == ["hint"]


def test_a_process_that_is_behind_is_a_hint_and_one_that_cannot_be_read_is_bad(
    repo,
    cli,
    served,  # noqa: F811
):
    override(cli, repo, "bad")
    Heart(served).beat({"support/prod": (1, "an older one")})
    assert states(cli, "1 of 1 process not known to serve release 2") == ["hint"]
    (served / "fleet" / "x.json").write_text("{")
    assert states(cli, "x.json", code=4) == ["bad"]


def test_a_process_that_moved_and_fell_silent_does_not_answer(repo, cli, served):  # noqa: F811
    override(cli, repo, "bad")
    Heart(served).beat(tips(served))
    assert states(cli, "the fleet answers") == ["ok"]
    (beat,) = (served / "fleet").iterdir()
    os.utime(beat, (1, 1))
    assert states(cli, "1 of 1 process fell silent") == ["hint"]


@pytest.mark.parametrize(
    ("args", "code"), [(("--oncall", "other"), 4), (("support",), 2)], ids=["unknown", "no-card"]
)
def test_a_bundle_that_was_not_released_is_an_error(repo, cli, args, code):
    cli("doctor", *args, code=code)
