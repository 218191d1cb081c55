import pytest

from llmvc.errors import ConfigError, NotFoundError, StoreError
from llmvc.store import sync
from tests.store.build import adopt, bundle, commit, git

PROD = "refs/llmvc/env/support/prod"
TRACKING = "refs/llmvc-remote/origin/env/support/prod"
SEEN = "refs/llmvc-seen/origin/env/support/prod"


def prod(repo):
    return repo.chain("support", "prod")


def served(repo):
    return [release.to for release in prod(repo).releases()]


def test_a_plain_fetch_moves_tracking_refs_only_and_behind_says_so(world):
    _, ours, theirs = world
    assert sync.setup_remote(theirs) == ("+refs/llmvc/*:refs/llmvc-remote/origin/*",)
    assert sync.setup_remote(theirs) == ()
    adopt(prod(ours), "one")
    sync.push(ours)
    git(theirs.git_dir, "fetch", "-q", "--prune")
    (found,) = sync.behind(theirs)
    assert (found.bundle, found.env, found.remote, found.local) == (
        "support",
        "prod",
        "origin",
        None,
    )
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


@pytest.mark.parametrize(
    "prefix", ["heads/x", "refs/heads/../x", "refs/he ads/", "refs/-x", "refs/heads/*"]
)
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
    for action in (
        sync.fetch,
        sync.push,
        lambda repo: sync.push_env(repo, None, "support", "prod"),
    ):
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
