"""Canaries and processes: ticks at once, a promote that is killed, an abort in the midst of one."""

import pytest

from llmvc.core.times import milliseconds
from llmvc.store.repository import Repository
from tests.cli.canary.test_run import at_once, operators
from tests.cli.test_kill import killed
from tests.support.canary import PLAN, WITH_CANARY, judged, kinds
from tests.support.traffic import Traffic

__all__ = ["killed", "operators"]

MANY = """\
      steps: [1%, 2%, 3%, 4%, 5%, 6%, 7%, 8%, 9%, 10%, 11%, 12%, 13%, 14%, 15%, 16%, 17%, 18%, 19%, 20%, 21%, 22%, 23%]
      min_units: 2
      min_duration: 0s
      guardrails: [{metric: tokens, limit: 90}]
"""
ROUNDS = 3
PROD = "refs/llmvc/env/support/prod"


@pytest.fixture
def last(opened, cli):
    """A canary whose last step has passed."""
    judged(opened.root)
    cli("canary", "step")
    judged(opened.root)
    return opened


@pytest.mark.race
def test_of_two_ticks_at_once_one_steps_and_the_other_does_nothing(ready, cli, operators):
    many = PLAN[: PLAN.index("      steps")] + MANY
    ready.write(".llmvc/config.yaml", WITH_CANARY.replace(PLAN, many))
    cli("canary", "start", "support")
    logs = str(ready.root.parent / "events-*.jsonl")
    for number in range(ROUNDS):
        with Repository.open(ready.root) as repo:
            release = repo.chain("support", "canary").tip().release
            served = repo.chain("support", "prod").tip().release
        log = Traffic(
            ready.root.parent / f"events-{number}.jsonl",
            now=milliseconds(release.time) / 1000 + 1,
            salt=release.canary.salt,
            seq=release.seq,
            versions=(served.to, release.to),
            share_ppm=release.canary.share_ppm,
        )
        log.units(4000, calls=1, seconds=1)
        tick = ("run", "--logs", logs, "--json")
        ended = at_once(ready.root, operators, (*tick, "--actor", "Ada"), (*tick, "--actor", "Ben"))
        assert len(kinds(cli)) == number + 2, ended
        assert sorted(code for code, _ in ended) in ([0, 0], [0, 5]), ended
    assert set(kinds(cli)[1:]) == {"step"}
    assert cli.json("fsck")["problems"] == []


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_promote_killed_anywhere_is_finished_by_the_next(last, cli, killed, when, monkeypatch):
    seen = set()
    for copy in killed(last, when, "canary", "promote", "support@canary"):
        monkeypatch.chdir(copy.root)
        moved = (kinds(cli), cli.digest("support@prod") == cli.digest("support"))
        seen.add((moved[0][-1], moved[1]))
        cli("canary", "promote", "support@canary", code=4 if moved[0][-1] == "close" else 0)
        assert kinds(cli) == ["start", "step", "close"]
        assert cli.json("log", "@prod")["releases"][0]["kind"] == "promote"
        assert cli.digest("support@prod") == cli.digest("support")
        assert cli.json("fsck")["problems"] == []
    assert {("step", False), ("step", True)} <= seen


def test_an_abort_in_the_midst_of_a_promote_leaves_prod_with_what_it_serves(last, cli, monkeypatch):
    from llmvc.app.canary import moving

    whole = moving._move

    def move(ws, scene, kind, *rest, **more):
        if kind == "close":
            # The abort has looked at prod before the promote moved it.
            kept = last.git("rev-parse", PROD)
            last.git("update-ref", PROD, f"{kept}^")
            cli("canary", "abort", "--reason", "bad")
            last.git("update-ref", PROD, kept)
        return whole(ws, scene, kind, *rest, **more)

    monkeypatch.setattr(moving, "_move", move)
    refused = cli("canary", "promote", code=5)
    assert "prod serves the candidate by now: llmvc rollback support prod" in refused.err
    assert kinds(cli) == ["start", "step", "abort"]
    candidate = cli.digest("support")
    assert cli.digest("support@prod") == candidate
    ended, served = (cli.json("log", name)["releases"][0] for name in ("@canary", "@prod"))
    assert (ended["rolled_back"], served["rolled_back"]) == ([candidate], [])
    assert cli.json("fsck")["problems"] == []
    cli("rollback", "support", "prod", "--reason", "bad")
    assert cli.digest("support@prod") != candidate


def test_an_abort_that_comes_after_prod_moved_says_so(last, cli, monkeypatch):
    from llmvc.app.canary import moving

    whole = moving._move

    def move(ws, scene, kind, *rest, **more):
        if kind == "abort":
            cli("promote", "support", "prod")
        return whole(ws, scene, kind, *rest, **more)

    monkeypatch.setattr(moving, "_move", move)
    done = cli("canary", "abort", "--reason", "bad")
    assert (
        "a promote came first, prod serves the candidate: llmvc rollback support prod" in done.err
    )
    assert kinds(cli) == ["start", "step", "abort"]
