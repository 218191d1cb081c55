import pytest

from llmvc.core.names import STORE_REF
from llmvc.errors import ConfigError
from llmvc.store import sync
from tests.store.build import adopt, bundle, clone, commit, git, opened, replace_blob

PROD = "refs/llmvc/env/support/prod"
TRACKING = "refs/llmvc-remote/origin/env/support/prod"
SEEN = "refs/llmvc-seen/origin/env/support/prod"


def prod(repo):
    return repo.chain("support", "prod")


def served(repo):
    return [release.to for release in prod(repo).releases()]


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
    _, ours, theirs = world
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
