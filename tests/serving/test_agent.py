"""The agent: a folder follows a remote, and no further than it may."""

import json
import signal
import socket
import threading
from datetime import datetime

import pytest

from llmvc.errors import ConfigError, IntegrityError, StoreError
from llmvc.places import Folder
from llmvc.runtime.agent import Agent, Stopped, stop
from llmvc.runtime.sources import Directory
from llmvc.store import sync
from llmvc.store.following import Follower, may_push, patient, unpushed
from llmvc.store.repository import Repository
from llmvc.store.serving import GitSource
from tests.serving.build import PROD, llmvc, load, seqs, tree, until
from tests.store.build import adopt, bundle, clone, git, make, opened, replace_blob


class Watch:
    """Stands in for clock, sleep and chance; hears what is said."""

    def __init__(self):
        self.now = 1_800_000_000.0
        self.said = []
        self.slept = []
        self.chance = 0.5

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        if len(self.slept) == 3:
            raise Stopped

    def agent(self, source, top, **more):
        return Agent(
            source,
            Folder(top),
            name="remote origin",
            tell=self.said.append,
            clock=lambda: self.now,
            sleep=self.sleep,
            fraction=lambda: self.chance,
            **more,
        )


def checked(top):
    try:
        return datetime.fromisoformat((top / "checked").read_text()).timestamp()
    except FileNotFoundError:
        return None


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def world(tmp_path, origin):
    """A bare remote with two releases, an operator's clone, and a node's bare repository."""
    remote = clone(origin, tmp_path / "remote.git", "--bare")
    git(remote, "fetch", "-q", str(origin), f"{PROD}:{PROD}")
    node = tmp_path / "node.git"
    git(tmp_path, "init", "-q", "--bare", str(node))
    git(node, "remote", "add", "origin", remote.as_uri())
    here = clone(remote, tmp_path / "here")
    with opened(here) as operator, Repository.open(node) as repo:
        sync.fetch(operator)
        yield remote, operator, repo


def pushed(operator, text, env="prod"):
    adopt(operator.chain("support", env), text)
    assert all(one.status != sync.REFUSED for one in sync.push(operator).envs)


def following(watch, repo, top, **limits):
    source = GitSource(repo)
    follower = Follower(repo, **limits)
    return watch.agent(source, top, follow=follower.follow)


def test_a_folder_follows_a_remote(world, tmp_path, watch):
    _, operator, node = world
    top = tmp_path / "served"
    agent = following(watch, node, top)
    assert agent.look().seqs == {"support/prod": 2}
    assert checked(top) == watch.now
    watch.now += 2
    assert agent.look() is None
    assert checked(top) == watch.now
    pushed(operator, "three")
    assert agent.look().moved == ("support/prod",)
    assert load(top).seqs == {("support", "prod"): 3}
    assert watch.said == ["support/prod: release 2", "support/prod: release 3, was 2"]


def test_a_remote_that_lists_the_same_is_not_fetched(world, tmp_path, watch, monkeypatch):
    from llmvc.store import following as module

    _, operator, node = world
    agent = following(watch, node, tmp_path / "served")
    agent.look()
    fetches = []
    fetch = module.fetching.fetch
    monkeypatch.setattr(module.fetching, "fetch", lambda *args: fetches.append(1) or fetch(*args))
    agent.look()
    assert fetches == []
    pushed(operator, "three")
    fetches.clear()  # pushing fetches, too
    agent.look()
    assert fetches == [1]


def test_a_remote_that_is_down_leaves_the_folder_and_its_age_alone(world, tmp_path, watch):
    remote, _, node = world
    top = tmp_path / "served"
    agent = following(watch, node, top)
    agent.look()
    began, before = watch.now, tree(top)
    remote.rename(tmp_path / "away")
    for _ in range(3):
        watch.now += 60
        agent.look()
    assert (tree(top), checked(top)) == (before, began)
    assert len(watch.said) == 2
    assert "what was good is kept" in watch.said[1]
    (tmp_path / "away").rename(remote)
    agent.look()
    assert watch.said[2:] == ["remote origin is well again"]
    assert checked(top) == watch.now


def rewound(remote, operator):
    git(remote, "update-ref", PROD, f"{PROD}~1")
    return "was moved back to"


def deleted(remote, operator):
    git(remote, "update-ref", "-d", PROD)
    return "was deleted"


def replaced(remote, operator):
    git(remote, "update-ref", PROD, f"{PROD}~1")
    sync.fetch(operator)
    git(operator.git_dir, "update-ref", PROD, f"{PROD}~1")
    adopt(operator.chain("support", "prod"), "another")
    git(operator.git_dir, "push", "-q", "origin", PROD)
    return "was moved back to"


def tampered(remote, operator):
    replace_blob(remote, "bundle.json", bundle("evil").data, PROD)
    return "does not follow|its parent says|as its record says"


@pytest.mark.parametrize("happens", [rewound, deleted, replaced, tampered])
def test_what_must_not_be_followed_is_said_once_and_not_followed(world, tmp_path, watch, happens):
    remote, operator, node = world
    top = tmp_path / "served"
    agent = following(watch, node, top)
    agent.look()
    began, before = watch.now, tree(top)
    what = happens(remote, operator)
    for _ in range(2):
        watch.now += 60
        agent.look()
    with pytest.raises(IntegrityError, match=what):
        raise agent.trouble
    assert (tree(top), checked(top), len(watch.said)) == (before, began, 2)


def test_one_environment_that_was_rewound_does_not_hold_up_another(world, tmp_path, watch):
    remote, operator, node = world
    top = tmp_path / "served"
    pushed(operator, "one", "staging")
    agent = following(watch, node, top)
    agent.look()
    git(remote, "update-ref", PROD, f"{PROD}~1")
    adopt(operator.chain("support", "staging"), "two")
    git(operator.git_dir, "push", "-q", "origin", "refs/llmvc/env/support/staging")
    agent.look()
    assert seqs(top) == {"support/prod": 2, "support/staging": 2}
    assert "was moved back to" in str(agent.trouble)


def test_releases_of_this_node_alone_are_a_fork(world, tmp_path, watch):
    _, operator, node = world
    agent = following(watch, node, tmp_path / "served")
    agent.look()
    pushed(operator, "three")
    adopt(node.chain("support", "prod"), "of my own")
    agent.look()
    assert "is forked: it has release 3" in str(agent.trouble)


@pytest.fixture
def silent():
    """The URL of a Git server that never says a word, and the connections that it has taken."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []
        ended = threading.Event()

        def accept():
            while not ended.is_set():
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"git://127.0.0.1:{server.getsockname()[1]}/repo", held
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for one in held:
            one.close()


def test_a_remote_that_hangs_is_given_up(world, tmp_path, watch, silent):
    _, _, node = world
    top = tmp_path / "served"
    following(watch, node, top).look()
    git(node.git_dir, "remote", "set-url", "origin", silent[0])
    agent = following(watch, node, top, answer_s=0.3)
    agent.look()
    assert "did not get an answer within 0.3 s" in str(agent.trouble)
    assert seqs(top) == {"support/prod": 2}


def test_a_fetch_that_hangs_is_given_up_with_all_its_children(world, tmp_path, watch):
    _, _, node = world
    git(node.git_dir, "config", "protocol.ext.allow", "always")
    git(node.git_dir, "remote", "set-url", "origin", "ext::sh -c 'sleep 987654 & wait'")
    agent = following(watch, node, tmp_path / "served", answer_s=0.3)
    agent.look()
    assert isinstance(agent.trouble, StoreError)
    running = git(tmp_path, "-c", "alias.ps=!ps -eo args", "ps")
    assert "sleep 987654" not in running


def test_a_push_that_hangs_is_given_up(world, silent):
    _, operator, _ = world
    git(operator.git_dir, "remote", "set-url", "origin", silent[0])
    operator.forget_settings()
    with patient(operator, 0.3), pytest.raises(StoreError, match=r"within 0\.3 s"):
        sync.push_env(operator, "origin", "support", "prod")
    assert "within 0.3 s" in may_push(operator, "support", "prod", limit_s=0.3)


def test_a_push_that_would_be_taken_is_told_from_one_that_would_not(world):
    remote, operator, _ = world
    assert may_push(operator, "support", "prod", limit_s=20) is None
    git(operator.git_dir, "remote", "set-url", "origin", f"{remote.as_uri()}/gone")
    operator.forget_settings()
    assert may_push(operator, "support", "prod", limit_s=20)


def test_what_the_remote_lacks_is_known(world):
    _, operator, _ = world
    assert unpushed(operator) == ()
    adopt(operator.chain("support", "prod"), "three")
    assert unpushed(operator) == ("support/prod",)
    sync.push(operator)
    assert unpushed(operator) == ()


def test_a_repository_without_a_remote_cannot_be_followed(tmp_path):
    with opened(make(tmp_path)) as repo, pytest.raises(ConfigError):
        Follower(repo)


def test_a_folder_that_was_emptied_is_filled_again(source, tmp_path, watch):
    top = tmp_path / "served"
    agent = watch.agent(source, top)
    agent.look()
    (top / "snapshot.json").unlink()
    agent.look()
    assert seqs(top) == {"support/prod": 2}


def test_the_age_of_a_chain_of_folders_is_that_of_its_first(served, tmp_path, watch):
    (served / "checked").write_text("2026-11-20T12:00:00Z")
    watch.agent(Directory(served), tmp_path / "next").look()
    assert (tmp_path / "next" / "checked").read_text() == "2026-11-20T12:00:00.000Z"
    assert tree(tmp_path / "next") == tree(served)


def test_an_agent_looks_until_it_is_told_to_stop(source, tmp_path, watch):
    agent = watch.agent(source, tmp_path / "served")
    with pytest.raises(Stopped):
        agent.run()
    assert len(watch.slept) == 3
    with pytest.raises(Stopped):
        stop(signal.SIGTERM, None)


def test_a_full_disk_does_not_end_an_agent(source, tmp_path, watch, monkeypatch):
    agent = watch.agent(source, tmp_path / "served")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(agent.place, "write", full)
    agent.look()
    assert "No space left" in str(agent.trouble)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_agent_cleanly_even_while_the_remote_hangs(
    world, silent, tmp_path, number
):
    _, _, node = world
    top = tmp_path / "served"
    with llmvc("agent", "--to", top, "--every", "100ms", cwd=node.git_dir) as child:
        until(lambda: checked(top))
        git(node.git_dir, "remote", "set-url", "origin", silent[0])
        until(lambda: silent[1])
        child.send_signal(number)
        _, said = child.communicate(timeout=30)
    assert child.returncode == 0, said
    assert said.endswith("ended\n")
    assert load(top).seqs == {("support", "prod"): 2}


def test_two_agents_of_one_folder_agree(world, tmp_path):
    _, operator, node = world
    other = tmp_path / "other.git"
    git(tmp_path, "init", "-q", "--bare", str(other))
    git(other, "remote", "add", "origin", git(node.git_dir, "remote", "get-url", "origin"))
    top = tmp_path / "served"
    children = [
        llmvc("agent", "--to", top, "--every", "100ms", cwd=cwd) for cwd in (node.git_dir, other)
    ]
    until(lambda: seqs(top) == {"support/prod": 2})
    for number in range(3, 6):
        pushed(operator, f"text {number}")
        until(lambda wanted=number: seqs(top)["support/prod"] == wanted)
        load(top)
    for child in children:
        child.terminate()
        _, said = child.communicate(timeout=30)
        assert child.returncode == 0
        assert "refused" not in said
        assert "forked" not in said


def test_once_says_how_it_went(world, tmp_path, cli, monkeypatch):
    remote, _, node = world
    monkeypatch.chdir(node.git_dir)
    top = tmp_path / "served"
    assert "support/prod: release 2" in cli("agent", "--to", str(top), "--once").err
    git(remote, "update-ref", PROD, f"{PROD}~1")
    assert "was moved back" in cli("agent", "--to", str(top), "--once", code=4).err


@pytest.mark.parametrize(
    "options",
    [
        ("--to", ""),
        ("--every", "0"),
        ("--every", "soon"),
        ("--every", "2h"),
        ("--from", "/x", "--remote", "origin"),
        ("--once", "--http", "8900"),
        ("--http", "nowhere"),
        ("--http", "127.0.0.1:99999"),
    ],
)
def test_options_that_make_no_sense_are_refused(origin, tmp_path, cli, monkeypatch, options):
    monkeypatch.chdir(origin)
    cli("agent", "--to", str(tmp_path / "served"), *options, code=2)
    assert not (tmp_path / "served").exists()


def test_a_place_that_does_not_answer_is_one_line(tmp_path, cli):
    cli("agent", "--from", "ftp://127.0.0.1:1/x", "--to", str(tmp_path / "served"), code=4)


def test_another_snapshot_can_be_followed_without_a_repository(served, tmp_path, cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    top = tmp_path / "next"
    cli("agent", "--from", str(served), "--to", str(top), "--once")
    assert tree(top) == tree(served)
    assert json.loads((top / "snapshot.json").read_bytes())["llmvc"] == "snapshot/1"
