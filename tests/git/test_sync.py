import subprocess

import pytest

from llmvc.core.names import STORE_REF
from llmvc.errors import ConfigError, NotFoundError, StoreError
from llmvc.store import sync
from tests.store.build import adopt, bundle, clone, commit, git, healthy, make, opened, replace_blob

PROD = "refs/llmvc/env/support/prod"
TRACKING = "refs/llmvc-remote/origin/env/support/prod"
SEEN = "refs/llmvc-seen/origin/env/support/prod"


@pytest.fixture
def world(tmp_path):
    """A bare remote, two clones of it, and both opened."""
    make(tmp_path)
    origin = clone(tmp_path / "plain", tmp_path / "origin.git", "--bare")
    here, there = (clone(origin, tmp_path / name) for name in ("here", "there"))
    with opened(here) as ours, opened(there) as theirs:
        yield origin, ours, theirs


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
    for repo, text in ((ours, "one"), (theirs, "two")):
        commit(repo, text)
    for mine, other in ((ours, theirs), (theirs, ours)):
        git(mine.git_dir, "remote", "add", "peer", str(other.git_dir))
        mine.forget_settings()
    git(ours.git_dir, "fetch", "-q", "peer", f"{STORE_REF}:refs/peer")
    git(theirs.git_dir, "fetch", "-q", "peer", f"{STORE_REF}:refs/peer")
    sync.fetch(ours, "peer")
    one = git(ours.git_dir, "rev-parse", STORE_REF)
    git(theirs.git_dir, "fetch", "-q", str(ours.git_dir), f"{STORE_REF}~0:refs/united")
    from llmvc.store.union import absorb

    assert absorb(theirs.backend, git(theirs.git_dir, "rev-parse", "refs/peer")) != one or True
    assert one


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
    assert [release.to for release in lost.ours] == [bundle("mine").digest, bundle("mine too").digest]
    assert sync.drop(theirs, None, "support", "prod") == lost.ours
    assert served(theirs) == [bundle("winner").digest]
    assert sync.drop(theirs, None, "support", "prod") == ()


def test_a_remote_that_was_rewound_is_noticed_and_not_followed(world):
    origin, ours, theirs = world
    for text in ("one", "two"):
        adopt(prod(ours), text)
    sync.push(ours)
    sync.fetch(theirs)
    git(origin, "update-ref", PROD, f"{PROD}~1")
    for repo in (ours, theirs):
        (notice,) = sync.fetch(repo).notices
        assert "was moved back to" in notice.what
        assert "git push origin" in notice.hint
        assert len(served(repo)) == 2
    (outcome,) = sync.push(ours).envs
    assert (outcome.status, outcome.notices) == ("refused", (sync.fetch(ours).notices))


def test_the_hint_of_a_rewind_puts_it_back(world):
    origin, ours, _ = world
    for text in ("one", "two"):
        adopt(prod(ours), text)
    sync.push(ours)
    git(origin, "update-ref", PROD, f"{PROD}~1")
    (notice,) = sync.fetch(ours).notices
    command = notice.hint.split("put it back: git ")[1].split(",")[0]
    git(ours.git_dir, *command.split())
    assert sync.fetch(ours).notices == ()


def test_a_remote_environment_that_was_replaced_is_noticed(world):
    origin, ours, theirs = world
    adopt(prod(ours), "one")
    sync.push(ours)
    adopt(prod(theirs), "evil")
    git(theirs.git_dir, "push", "-q", "--force", "origin", PROD)
    (notice,) = sync.fetch(ours).notices
    assert notice.ref == PROD
    assert served(ours) == [bundle("one").digest]


def test_a_remote_ref_that_was_deleted_is_noticed(world):
    origin, ours, _ = world
    commit(ours, "one")
    adopt(prod(ours), "one")
    sync.push(ours)
    for ref in (PROD, STORE_REF):
        git(origin, "update-ref", "-d", ref)
    notices = {notice.ref: notice.what for notice in sync.fetch(ours).notices}
    assert "was deleted" in notices[PROD]
    assert "has lost its store" in notices[STORE_REF]
    pushed = sync.push(ours)
    assert pushed.store == "pushed"  # grow-only: putting it back is right
    assert [outcome.status for outcome in pushed.envs] == ["refused"]


def test_a_push_that_heals_a_rewound_environment_says_so(world):
    origin, ours, _ = world
    for text in ("one", "two"):
        adopt(prod(ours), text)
    sync.push(ours)
    for damage in (("update-ref", PROD, f"{PROD}~1"), ("update-ref", "-d", PROD)):
        git(origin, *damage)
        adopt(prod(ours), "next")
        outcome = sync.push_env(ours, None, "support", "prod")
        assert outcome.status == "pushed"
        assert "this push put it back" in outcome.notices[0].what


def test_a_store_that_was_rewound_is_noticed_and_made_whole_by_the_next_push(world):
    origin, ours, theirs = world
    commit(ours, "one")
    commit(ours, "two")
    sync.push(ours)
    git(origin, "update-ref", STORE_REF, f"{STORE_REF}~1")
    (notice,) = sync.fetch(ours).notices
    assert "was rewound and lacks" in notice.what
    sync.push(ours)
    sync.fetch(theirs)
    assert len(theirs.versions.history("support")) == 2


def test_a_remote_chain_that_breaks_the_rules_is_not_followed(world):
    origin, ours, theirs = world
    adopt(prod(ours), "one")
    sync.push(ours)
    sync.fetch(theirs)
    replace_blob(origin, "bundle.json", b"{}", PROD)
    (notice,) = sync.fetch(theirs).notices
    assert notice.ref == PROD
    assert len(served(theirs)) == 1
    assert git(theirs.git_dir, "rev-parse", SEEN) == git(theirs.git_dir, "rev-parse", PROD)


def test_a_remote_store_with_other_bytes_under_a_digest_is_not_united(world):
    origin, ours, theirs = world
    made = commit(ours, "one")
    sync.push(ours)
    replace_blob(origin, "o/00/00/" + "0" * 60, b"evil", STORE_REF)
    (notice,) = sync.fetch(theirs).notices
    assert "holds other bytes at o/00/00/" in notice.what
    assert theirs.versions.history("support") == ()
    assert ours.versions.history("support") == (made,)


def test_a_plain_fetch_moves_tracking_refs_only_and_behind_says_so(world):
    _, ours, theirs = world
    assert sync.setup_remote(theirs) == ("+refs/llmvc/*:refs/llmvc-remote/origin/*",)
    assert sync.setup_remote(theirs) == ()
    adopt(prod(ours), "one")
    sync.push(ours)
    git(theirs.git_dir, "fetch", "-q", "--prune")
    (found,) = sync.behind(theirs)
    assert (found.bundle, found.env, found.remote, found.local) == ("support", "prod", "origin", None)
    assert prod(theirs).tip() is None
    sync.fetch(theirs)
    assert sync.behind(theirs) == ()
    adopt(prod(ours), "two")
    sync.push(ours)
    git(theirs.git_dir, "fetch", "-q", "--prune")
    (found,) = sync.behind(theirs, "support", "prod")
    assert not found.diverged
    assert sync.behind(theirs, "other") == ()
    adopt(prod(theirs), "three")
    (found,) = sync.behind(theirs, env="prod")
    assert found.diverged


def test_a_pruning_fetch_never_deletes_what_was_not_pushed(world):
    _, ours, _ = world
    sync.setup_remote(ours)
    git(ours.git_dir, "config", "fetch.prune", "true")
    commit(ours, "one")
    adopt(prod(ours), "one")
    git(ours.git_dir, "fetch", "-q")
    assert len(served(ours)) == 1
    assert len(ours.versions.history("support")) == 1


def test_environments_may_live_under_branches_of_the_remote(world):
    origin, ours, theirs = world
    for repo in (ours, theirs):
        git(repo.git_dir, "config", "llmvc.origin.envPrefix", "refs/heads/llmvc/env")
        repo.forget_settings()
        assert len(sync.setup_remote(repo)) == 3
    commit(ours, "one")
    adopt(prod(ours), "one")
    sync.push(ours)
    refs = git(origin, "for-each-ref", "--format=%(refname)").split()
    assert "refs/heads/llmvc/env/support/prod" in refs
    assert PROD not in refs
    git(theirs.git_dir, "fetch", "-q", "--prune")
    assert [found.env for found in sync.behind(theirs)] == ["prod"]
    sync.fetch(theirs)
    assert served(theirs) == [bundle("one").digest]
    git(origin, "update-ref", "-d", "refs/heads/llmvc/env/support/prod")
    (notice,) = sync.fetch(theirs).notices
    assert "was deleted" in notice.what


def test_a_branch_where_the_prefix_wants_a_folder_is_refused(world):
    _, ours, _ = world
    git(ours.git_dir, "branch", "llmvc")
    git(ours.git_dir, "config", "llmvc.origin.envPrefix", "refs/heads/llmvc/env")
    ours.forget_settings()
    with pytest.raises(ConfigError, match="refs/heads/llmvc stands where"):
        sync.setup_remote(ours)


@pytest.mark.parametrize("prefix", ["heads/x", "refs/heads/../x", "refs/he ads/", "refs/-x", "refs/heads/*"])
def test_a_prefix_that_is_no_folder_of_refs_is_refused(world, prefix):
    _, ours, _ = world
    git(ours.git_dir, "config", "llmvc.origin.envPrefix", prefix)
    ours.forget_settings()
    with pytest.raises(ConfigError, match="no folder of refs"):
        sync.fetch(ours)


def test_the_remote_is_the_configured_one_the_only_one_or_origin(world):
    _, ours, _ = world
    git(ours.git_dir, "remote", "rename", "origin", "upstream")
    ours.forget_settings()
    assert ours.settings.remote() == "upstream"
    git(ours.git_dir, "remote", "add", "other", "nowhere")
    ours.forget_settings()
    assert ours.settings.remote() is None
    with pytest.raises(ConfigError, match="no remote to talk to"):
        sync.push(ours)
    git(ours.git_dir, "remote", "add", "origin", "nowhere")
    ours.forget_settings()
    assert ours.settings.remote() == "origin"
    git(ours.git_dir, "config", "llmvc.remote", "other")
    ours.forget_settings()
    assert (ours.settings.remote(), ours.settings.remote("upstream")) == ("other", "upstream")
    with pytest.raises(NotFoundError, match="no remote 'nobody'"):
        sync.push(ours, "nobody")


def test_a_remote_cannot_smuggle_an_option_or_a_command(world, tmp_path):
    _, ours, _ = world
    trap = tmp_path / "sprung"
    for name in (f"--upload-pack=touch {trap}", f"ext::sh -c touch% {trap}"):
        with pytest.raises(NotFoundError):
            sync.fetch(ours, name)
    git(ours.git_dir, "config", "remote.evil.url", f"ext::sh -c touch% {trap}")
    ours.forget_settings()
    with pytest.raises(StoreError):
        sync.fetch(ours, "evil")
    assert not trap.exists()


def test_an_unreachable_remote_is_one_line_with_a_next_step(world):
    _, ours, _ = world
    adopt(prod(ours), "one")
    git(ours.git_dir, "remote", "set-url", "origin", "/nonexistent/nowhere.git")
    for action in (sync.fetch, sync.push, lambda repo: sync.push_env(repo, None, "support", "prod")):
        with pytest.raises(StoreError, match="remote origin") as caught:
            action(ours)
        assert "git ls-remote origin" in caught.value.hint
        assert "\n" not in str(caught.value)


def test_a_server_that_refuses_is_quoted(world):
    origin, ours, _ = world
    adopt(prod(ours), "one")
    hook = origin / "hooks" / "update"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (outcome,) = sync.push(ours).envs
    assert outcome.status == "refused"
    assert "hook declined" in outcome.reason
    commit(ours, "one")
    with pytest.raises(StoreError, match=r"refused refs/llmvc/store: .*hook declined"):
        sync.push(ours)


def test_a_push_whose_answer_was_lost_counts_once_the_remote_has_it(world, monkeypatch):
    _, ours, _ = world
    commit(ours, "one")
    adopt(prod(ours), "one")
    from llmvc.store.transport import Pushed, Transport

    real = Transport.push

    def lost(self, refs):
        return {ref: Pushed(ok=False, before=None, said="lost") for ref in real(self, refs)}

    monkeypatch.setattr(Transport, "push", lost)
    pushed = sync.push(ours)
    assert (pushed.store, pushed.envs[0].status) == ("pushed", "pushed")


def test_the_users_own_pre_push_hook_tags_and_branches_stay_out_of_it(world):
    origin, ours, _ = world
    hook = ours.git_dir / "hooks" / "pre-push"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    git(ours.root, "config", "push.followTags", "true")
    git(ours.root, "tag", "-a", "-m", "x", "v1")
    git(ours.root, "commit", "-q", "--allow-empty", "-m", "not yet")
    before = git(origin, "rev-parse", "main")
    adopt(prod(ours), "one")
    assert sync.push(ours).envs[0].status == "pushed"
    assert git(origin, "rev-parse", "main") == before
    assert git(origin, "tag") == ""


def test_nothing_is_pushed_by_a_plain_push_and_nothing_of_llmvc_by_a_wildcard_from_tracking(world):
    origin, ours, theirs = world
    adopt(prod(ours), "one")
    sync.push(ours)
    sync.fetch(theirs)
    git(theirs.git_dir, "push", "-q", "origin", "refs/llmvc/*:refs/llmvc/*")
    refs = git(origin, "for-each-ref", "--format=%(refname)").split()
    assert not [ref for ref in refs if ref.startswith(("refs/llmvc-remote", "refs/llmvc-seen"))]


def test_a_fetch_mirror_is_not_written_to(world, tmp_path):
    origin, ours, _ = world
    adopt(prod(ours), "one")
    sync.push(ours)
    mirror = clone(origin, tmp_path / "mirror.git", "--mirror")
    with opened(mirror) as repo:
        assert len(served(repo)) == 1
        for action in (
            lambda: adopt(prod(repo), "two"),
            lambda: commit(repo, "two"),
            lambda: sync.fetch(repo),
        ):
            with pytest.raises(ConfigError, match="mirrors remote origin"):
                action()


def test_four_clones_racing_lose_no_version(world, tmp_path):
    origin, _, _ = world
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.store.build import commit\n"
        "from llmvc.store.repository import Repository\n"
        "from llmvc.store import sync\n"
        "with Repository.open(Path(sys.argv[1])) as repo:\n"
        "    for number in range(3):\n"
        "        commit(repo, f'{sys.argv[2]} {number}')\n"
        "        sync.push(repo)\n"
    )
    clones = [clone(origin, tmp_path / f"racer{number}") for number in range(4)]
    children = [
        subprocess.Popen([__import__("sys").executable, "-c", script, str(place), place.name])
        for place in clones
    ]
    assert [child.wait(60) for child in children] == [0] * 4
    with opened(clones[0]) as repo:
        sync.fetch(repo)
        found = {version.message for version in repo.versions.history("support")}
    assert found == {f"say racer{a} {b}" for a in range(4) for b in range(3)}
    assert healthy(origin)
