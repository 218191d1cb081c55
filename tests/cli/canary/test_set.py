"""A canary of a set: its members are tried, revoked and promoted as one."""

import json

import pytest

from tests.cli.conftest import repo
from tests.cli.test_sets import flow
from tests.support.canary import PLAN

__all__ = ["flow", "repo"]
CANARY = "refs/llmvc/env/flow/canary"


@pytest.fixture
def tried(flow, cli):
    config = (flow.root / ".llmvc/config.yaml").read_text()
    flow.write(".llmvc/config.yaml", config.replace("  prod: {}\n", f"  prod: {{}}\n{PLAN}"))
    flow.prompt("Say the number again.")
    flow.save("second")
    for name in ("support", "flow"):
        cli("commit", name, "-m", "second")
    cli("eval", "flow", "--env", "prod", "--allow-unpriced", code=None)
    cli("canary", "start", "flow")
    return flow


def test_an_abort_revokes_the_set_and_the_member_that_differs(tried, cli):
    left = sorted([cli.digest("flow"), cli.digest("support")])
    names = tried.git("ls-tree", "-r", "--name-only", CANARY).split()
    assert sum(name.startswith("o/") for name in names) == 3  # the member and its two assets
    cli("canary", "abort", "--reason", "x")
    record = json.loads(tried.git("cat-file", "blob", f"{CANARY}:release.json"))
    assert record["rolled_back"] == left
    assert cli.digest("flow@canary") == cli.digest("flow@prod")
    again = ("canary", "start", "flow", "--again", "--reason", "y")
    cli(*again)
    record = json.loads(tried.git("cat-file", "blob", f"{CANARY}:release.json"))
    assert record["rolled_back"] == []
    assert cli.json("fsck")["problems"] == []
