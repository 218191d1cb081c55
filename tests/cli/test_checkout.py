"""What a checkout may overwrite."""

import pytest

MANIFEST = "prompts/support/bundle.yaml"
RULES = "prompts/support/rules.md"


@pytest.fixture
def ruled(repo, cli):
    """The served bundle is checked out; a newer version of it has an asset."""
    repo.write(RULES, "Be kind.\n")
    repo.write(MANIFEST, (repo.root / MANIFEST).read_text() + "assets: [rules.md]\n")
    cli("commit", "-m", "rules")
    newer = f"support@{cli.digest()[:15]}"
    cli("checkout", "support@prod")
    assert "assets" not in (repo.root / MANIFEST).read_text()
    return repo, newer


def test_a_file_that_is_none_of_the_bundles_is_not_overwritten_unless_forced(ruled, cli):
    repo, newer = ruled
    repo.write(RULES, "My own notes.\n")
    before = repo.state()
    refused = cli("checkout", newer, code=4)
    assert RULES in refused.err
    assert "--force" in refused.err
    assert repo.state() == before
    cli("checkout", newer, "--force")
    assert (repo.root / RULES).read_text() == "Be kind.\n"
    assert cli.digest()[:15] in newer


def test_a_file_that_an_earlier_checkout_left_there_unchanged_is_no_obstacle(ruled, cli):
    repo, newer = ruled
    assert (repo.root / RULES).read_text() == "Be kind.\n"
    cli("checkout", newer)
    assert cli.digest()[:15] in newer


def test_a_link_in_the_way_is_not_replaced_unless_forced(ruled, cli):
    repo, newer = ruled
    (repo.root / RULES).unlink()
    (repo.root / RULES).symlink_to("elsewhere.md")
    assert RULES in cli("checkout", newer, code=4).err
    assert (repo.root / RULES).is_symlink()


def test_a_file_that_is_not_there_is_made_again(ruled, cli):
    repo, newer = ruled
    (repo.root / RULES).unlink()
    cli("checkout", newer)
    assert (repo.root / RULES).read_text() == "Be kind.\n"


def test_a_changed_text_asset_is_shown_as_text(repo, cli):
    manifest = repo.root / "prompts/support/bundle.yaml"
    repo.write("prompts/support/rules.md", "be kind\nbe brief\n")
    manifest.write_text(manifest.read_text() + "assets: [rules.md]\n")
    cli("commit", "-m", "rules")
    repo.write("prompts/support/rules.md", "be kind\nbe quick\n")
    shown = cli("diff").out
    assert "-be brief" in shown
    assert "+be quick" in shown
    assert [change["section"] for change in cli.json("diff")["changes"]] == ["assets"]
