"""Two people and a bare remote, with the real git."""

import shutil
import subprocess

import pytest

from tests.support.build import RepoBuilder, remote_at

_made = []


def met(repo, cli, folder, monkeypatch):
    """Makes Ada's repository, its remote, and Bob's clone that has fetched, all in a folder."""
    ada, remote = repo.copy(folder / "ada"), remote_at(folder / "remote.git")
    ada.git("remote", "add", "origin", str(remote))
    ada.git("push", "-q", "origin", "main")
    bob = RepoBuilder(folder / "bob").clone(remote)
    with monkeypatch.context() as here:
        here.chdir(ada.root)
        cli("init")
        cli("push")
        here.chdir(bob.root)
        cli("fetch")
    return folder


@pytest.fixture
def pair(repo, cli, tmp_path, tmp_path_factory, monkeypatch):
    """Ada's repository, Bob's clone of it and the remote of both; Ada's is the current folder."""
    if not _made:
        _made.append(met(repo, cli, tmp_path_factory.mktemp("pair"), monkeypatch))
    shutil.copytree(_made[0], tmp_path / "pair", symlinks=True)
    ada, bob, remote = (tmp_path / "pair" / name for name in ("ada", "bob", "remote.git"))
    for place in (RepoBuilder(ada), RepoBuilder(bob)):
        place.git("remote", "set-url", "origin", str(remote))
    monkeypatch.chdir(ada)
    return RepoBuilder(ada), RepoBuilder(bob), remote


def at(remote, ref):
    done = subprocess.run(
        ["git", "-C", str(remote), "rev-parse", "--verify", "-q", ref],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


PROD = "refs/llmvc/env/support/prod"


def promoted(cli, repo, monkeypatch, text, who):
    """Commits, measures and promotes a version as somebody."""
    monkeypatch.chdir(repo.root)
    monkeypatch.setenv("LLMVC_ACTOR", f"{who} <{who.lower()}@example.org>")
    repo.prompt(text)
    cli("commit", "-m", text)
    cli("eval")
    cli("promote", "prod")
    monkeypatch.delenv("LLMVC_ACTOR")
    return cli.digest("support@prod")


def test_a_clone_sees_versions_and_releases_after_fetch(pair, cli, monkeypatch):
    ada, bob, _ = pair
    monkeypatch.chdir(bob.root)
    assert bob.refs()[PROD] == ada.refs()[PROD]
    assert cli.digest("support@prod") == cli.digest()
    assert cli.json("log")["versions"]
    assert cli.json("fsck")["problems"] == []


def test_two_people_commit_and_the_store_is_their_union(pair, cli, monkeypatch):
    ada, bob, _ = pair
    for repo, text in ((ada, "Ada's."), (bob, "Bob's.")):
        monkeypatch.chdir(repo.root)
        repo.prompt(text)
        cli("commit", "-m", text)
        assert cli.json("push")["store"] == "pushed"
    monkeypatch.chdir(ada.root)
    cli("fetch")
    assert ada.refs()["refs/llmvc/store"] == bob.refs()["refs/llmvc/store"]
    messages = {item["message"] for item in cli.json("log")["versions"]}
    assert messages == {"first", "Ada's.", "Bob's."}


def test_who_promotes_second_is_shown_the_winner_and_may_go_on_from_it(pair, cli, monkeypatch):
    ada, bob, remote = pair
    won = promoted(cli, bob, monkeypatch, "Bob's.", "Bob")
    cli("push")
    promoted(cli, ada, monkeypatch, "Ada's.", "Ada")
    lost = cli("push", code=5)
    assert "NOT PUSHED" in lost.out
    assert "release 2 by Bob <bob@example.org>" in lost.out
    assert "llmvc fetch --drop support/prod" in lost.out
    refused = cli.json("push", code=5)
    assert refused["envs"][0]["winner"]["to"] == won
    assert at(remote, PROD) == bob.refs()[PROD]
    assert cli.json("fetch", code=5)["diverged"][0]["winner"]["to"] == won
    given_up = cli.json("fetch", "--drop", "support/prod")
    assert [item["actor"] for item in given_up["dropped"]] == ["Ada <ada@example.org>"]
    assert cli.digest("support@prod") == won
    cli("eval")
    cli("promote", "prod")
    assert cli.json("push")["envs"][0]["status"] == "pushed"


def test_a_promote_that_lost_is_refused_before_and_after_the_push(pair, cli, monkeypatch):
    ada, bob, _ = pair
    promoted(cli, bob, monkeypatch, "Bob's.", "Bob")
    cli("push")
    monkeypatch.chdir(ada.root)
    ada.git("fetch", "-q", "origin")
    assert "BEHIND" in cli("status").out
    seen = cli("resolve", "support@prod")
    assert "BEHIND" in seen.err
    assert cli.json("status")["bundles"][0]["environments"][0]["behind"] is True


def test_a_rewound_or_deleted_remote_ref_is_noticed_and_not_followed(pair, cli, monkeypatch):
    ada, _, remote = pair
    promoted(cli, ada, monkeypatch, "Ada's.", "Ada")
    cli("push")
    kept = ada.refs()[PROD]
    git = ["git", "-C", str(remote), "update-ref"]
    subprocess.run([*git, PROD, f"{kept}~1"], check=True)
    told = cli("fetch", code=4)
    assert "PROBLEM" in told.out
    assert PROD in told.out
    assert "was moved back" in told.out
    subprocess.run([*git, "-d", PROD], check=True)
    assert "was deleted" in cli.json("fetch", code=4)["notices"][0]["what"]
    assert ada.refs()[PROD] == kept


def test_a_rollback_pushes_its_one_ref_and_says_when_it_could_not(pair, cli, monkeypatch):
    ada, _, remote = pair
    promoted(cli, ada, monkeypatch, "Ada's.", "Ada")
    cli("push")
    ada.prompt("Not for the rollback to publish.")
    cli("commit")
    store = at(remote, "refs/llmvc/store")
    assert "pushed to origin" in cli("rollback", "prod", "--reason", "refund tone").out
    assert at(remote, PROD) == ada.refs()[PROD]
    assert at(remote, "refs/llmvc/store") == store
    cli("rollback", "support@prod~1", "prod", "--no-push")
    assert at(remote, PROD) != ada.refs()[PROD]
    remote.rename(f"{remote}.gone")
    gone = cli("rollback", "support@prod~1", "prod")
    assert "NOT PUSHED" in gone.out
    assert cli.json("status")["bundles"][0]["environments"][0]["kind"] == "rollback"


def test_a_rollback_goes_on_top_of_a_winner_that_still_serves_the_fault(pair, cli, monkeypatch):
    ada, bob, remote = pair
    bad = promoted(cli, ada, monkeypatch, "Bad.", "Ada")
    cli("push")
    monkeypatch.chdir(bob.root)
    cli("fetch")
    monkeypatch.chdir(ada.root)
    cli("rollback", "prod")
    cli("override", f"support@{bad}", "prod", "--reason", "it looked well")
    cli("push")
    monkeypatch.chdir(bob.root)
    done = cli.json("rollback", "prod", "--reason", "refund tone")
    assert done["pushed"] == "pushed to origin"
    assert [item["kind"] for item in cli.json("log", "@prod")["releases"]] == [
        "rollback",
        "override",
        "rollback",
        "promote",
        "promote",
    ]
    assert at(remote, PROD) == bob.refs()[PROD]
    assert cli.digest("support@prod") != bad
    assert done["release"]["seq"] == 5


def test_a_rollback_that_meets_another_move_shows_the_winner(pair, cli, monkeypatch):
    ada, bob, remote = pair
    promoted(cli, ada, monkeypatch, "Bad.", "Ada")
    cli("push")
    monkeypatch.chdir(bob.root)
    cli("fetch")
    monkeypatch.chdir(ada.root)
    ada.prompt("Other.")
    cli("commit")
    cli("override", "support", "prod", "--reason", "a test")
    cli("push")
    monkeypatch.chdir(bob.root)
    before = at(remote, PROD)
    lost = cli("rollback", "prod", code=5)
    assert "override to" in lost.err
    assert at(remote, PROD) == before
    assert bob.refs()[PROD] == before


def test_an_override_is_pushed_at_once_unless_the_remote_has_moved_or_is_gone(
    pair, cli, monkeypatch
):
    ada, bob, remote = pair
    back = ["override", "support@prod~1", "prod", "--reason", "old model shut down"]
    promoted(cli, ada, monkeypatch, "New.", "Ada")
    cli("push")
    before = at(remote, PROD)
    assert "pushed to" not in cli(*back, "--no-push").out
    assert at(remote, PROD) == before
    assert cli.json(*back)["pushed"] == "pushed to origin"
    assert at(remote, PROD) == ada.refs()[PROD]
    monkeypatch.chdir(bob.root)
    bob.prompt("Other.")
    cli("commit")
    other = ["override", "support", "prod", "--reason", "a test"]
    assert "override to" in cli(*other, code=5).err
    assert at(remote, PROD) == bob.refs()[PROD]
    remote.rename(f"{remote}.gone")
    assert "NOT PUSHED" in cli(*other).out


def test_pushing_and_fetching_without_a_remote_says_what_to_do(repo, cli):
    for command in ("push", "fetch"):
        done = cli(command, code=4)
        assert "remote" in done.err
        assert "->" in done.err
    cli("push", "nowhere", code=4)


def test_ship_pushes_and_says_who_won(pair, cli, monkeypatch):
    ada, bob, remote = pair
    monkeypatch.chdir(bob.root)
    bob.prompt("Bob's.")
    assert cli.json("ship", "prod")["pushed"]["store"] == "pushed"
    assert at(remote, PROD) == bob.refs()[PROD]
    monkeypatch.chdir(ada.root)
    ada.prompt("Ada's.")
    assert "moved meanwhile" in cli("ship", "prod", code=5).err
    assert at(remote, PROD) == bob.refs()[PROD]


def test_gc_and_git_fsck_leave_everything_intact(pair, cli, monkeypatch):
    ada, _, remote = pair
    promoted(cli, ada, monkeypatch, "Ada's.", "Ada")
    cli("push")
    for place in (ada.root, remote):
        subprocess.run(
            ["git", "-C", str(place), "reflog", "expire", "--expire=now", "--all"], check=True
        )
        subprocess.run(["git", "-C", str(place), "gc", "-q", "--prune=now"], check=True)
        subprocess.run(
            ["git", "-C", str(place), "fsck", "--strict"], check=True, capture_output=True
        )
    assert cli.json("fsck")["problems"] == []
    cli("rollback", "prod")
