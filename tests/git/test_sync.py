import subprocess
import sys

import pytest

from llmvc.core.names import STORE_REF
from llmvc.errors import NotFoundError
from llmvc.store import sync
from llmvc.store.transport import Pushed, Transport
from llmvc.store.union import absorb
from tests.store.build import adopt, bundle, clone, commit, git, healthy, opened

PROD = "refs/llmvc/env/support/prod"
TRACKING = "refs/llmvc-remote/origin/env/support/prod"
SEEN = "refs/llmvc-seen/origin/env/support/prod"


def prod(repo):
    return repo.chain("support", "prod")


def served(repo):
    return [release.to for release in prod(repo).releases()]


def test_store_and_environments_travel_through_a_bare_remote(world):
    origin, ours, theirs = world
    made = commit(ours, "one")
    adopt(prod(ours), "one")
    pushed = sync.push(ours)
    assert (pushed.remote, pushed.store, pushed.notices) == ("origin", "pushed", ())
    assert [(outcome.env, outcome.status) for outcome in pushed.envs] == [("prod", "pushed")]
    fetched = sync.fetch(theirs)
    assert [moved.ref for moved in fetched.moved] == [PROD, STORE_REF]
    assert theirs.versions.history("support") == (made,)
    assert served(theirs) == [bundle("one").digest]
    assert healthy(origin)
    assert healthy(theirs.git_dir)


def test_pushing_and_fetching_again_moves_nothing(world):
    _, ours, theirs = world
    commit(ours, "one")
    adopt(prod(ours), "one")
    sync.push(ours)
    sync.fetch(theirs)
    again = sync.push(ours)
    assert (again.store, [outcome.status for outcome in again.envs]) == ("current", ["current"])
    fetched = sync.fetch(theirs)
    assert (fetched.moved, fetched.diverged, fetched.notices) == ((), (), ())


def test_two_clones_that_both_commit_end_with_the_union(world):
    origin, ours, theirs = world
    commit(ours, "zero")
    sync.push(ours)
    sync.fetch(theirs)
    commit(ours, "one")
    commit(theirs, "two")
    assert sync.push(ours).store == "pushed"
    assert sync.push(theirs).store == "pushed"
    sync.fetch(ours)
    texts = {"say zero", "say one", "say two"}
    for repo in (ours, theirs):
        assert {found.message for found in repo.versions.history("support")} == texts
    assert git(origin, "rev-parse", STORE_REF) == git(ours.git_dir, "rev-parse", STORE_REF)
    assert healthy(origin)


def test_both_sides_make_the_same_union(world):
    _, ours, theirs = world
    for mine, other, text in ((ours, theirs, "one"), (theirs, ours, "two")):
        commit(mine, text)
        git(mine.git_dir, "remote", "add", "peer", str(other.git_dir))
    for mine in (ours, theirs):
        git(mine.git_dir, "fetch", "-q", "peer", f"{STORE_REF}:refs/peer")
    united = {
        absorb(mine.backend, git(mine.git_dir, "rev-parse", "refs/peer")) for mine in (ours, theirs)
    }
    assert len(united) == 1
    (tip,) = united
    assert git(ours.git_dir, "show", "-s", "--format=%an %ae", tip) == "llmvc llmvc@localhost"
    parents = git(ours.git_dir, "show", "-s", "--format=%P", tip).split()
    assert parents == sorted(parents)
    assert len(parents) == 2


def test_a_store_that_holds_nothing_new_of_ours_is_taken_without_a_merge(world):
    origin, ours, theirs = world
    commit(ours, "one")
    sync.push(ours)
    commit(theirs, "one")  # the same content, another commit
    commit(ours, "two")
    sync.push(ours)
    sync.fetch(theirs)
    assert git(theirs.git_dir, "rev-parse", STORE_REF) == git(origin, "rev-parse", STORE_REF)


def test_of_two_promotes_the_second_is_refused_and_shown_the_winner(world):
    _, ours, theirs = world
    adopt(prod(ours), "zero")
    sync.push(ours)
    sync.fetch(theirs)
    adopt(prod(ours), "winner")
    adopt(prod(theirs), "loser")
    sync.push(ours)
    (outcome,) = sync.push(theirs).envs
    assert (outcome.status, outcome.reason) == ("refused", "the remote has another release")
    assert outcome.winner is not None
    assert outcome.winner.to == bundle("winner").digest
    assert served(theirs)[-1] == bundle("loser").digest  # nothing of ours is lost silently


def test_a_rollback_that_is_pushed_alone_learns_of_the_winner_too(world):
    _, ours, theirs = world
    adopt(prod(ours), "winner")
    assert sync.push_env(ours, None, "support", "prod").status == "pushed"
    adopt(prod(theirs), "loser")
    outcome = sync.push_env(theirs, None, "support", "prod")
    assert outcome.status == "refused"
    assert outcome.winner is not None
    assert outcome.winner.to == bundle("winner").digest


def test_the_loser_may_drop_its_releases_and_sees_which(world):
    _, ours, theirs = world
    adopt(prod(ours), "winner")
    sync.push(ours)
    for text in ("mine", "mine too"):
        adopt(prod(theirs), text)
    with pytest.raises(NotFoundError, match="never seen"):
        sync.drop(theirs, None, "support", "prod")
    (lost,) = sync.fetch(theirs).diverged
    assert [release.to for release in lost.ours] == [
        bundle("mine").digest,
        bundle("mine too").digest,
    ]
    assert sync.drop(theirs, None, "support", "prod") == lost.ours
    assert served(theirs) == [bundle("winner").digest]
    assert sync.drop(theirs, None, "support", "prod") == ()


def test_a_push_whose_answer_was_lost_counts_once_the_remote_has_it(world, monkeypatch):
    _, ours, _ = world
    commit(ours, "one")
    adopt(prod(ours), "one")
    real = Transport.push

    def lost(self, refs):
        return {ref: Pushed(ok=False, before=None, said="lost") for ref in real(self, refs)}

    monkeypatch.setattr(Transport, "push", lost)
    pushed = sync.push(ours)
    assert (pushed.store, pushed.envs[0].status) == ("pushed", "pushed")


@pytest.mark.race
def test_three_clones_racing_lose_no_version(world, tmp_path):
    origin, _, _ = world
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.store.build import commit\n"
        "from llmvc.store.repository import Repository\n"
        "from llmvc.store import sync\n"
        "with Repository.open(Path(sys.argv[1])) as repo:\n"
        "    for number in range(2):\n"
        "        commit(repo, f'{sys.argv[2]} {number}')\n"
        "        sync.push(repo)\n"
    )
    clones = [clone(origin, tmp_path / f"racer{number}") for number in range(3)]
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(place), place.name]) for place in clones
    ]
    assert [child.wait(60) for child in children] == [0] * 3
    with opened(clones[0]) as repo:
        sync.fetch(repo)
        found = {version.message for version in repo.versions.history("support")}
    assert found == {f"say racer{a} {b}" for a in range(3) for b in range(2)}
    assert healthy(origin)
