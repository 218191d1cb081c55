"""Sets of bundles, and manifests beside others."""

import pytest


def write_set(repo, name, *members):
    listed = ", ".join(f"{member}: {member}" for member in members)
    repo.write(
        f"prompts/{name}/bundle.yaml", f"llmvc: 1\nkind: set\nname: {name}\nmembers: {{{listed}}}\n"
    )


@pytest.mark.parametrize(
    ("sets", "asked", "cycle"),
    [
        ({"a": ["support", "a"]}, "a", "a > a"),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, "b", "b > c > a > b"),
        ({"a": ["b"], "b": ["support", "b"]}, "a", "b > b"),
    ],
)
def test_a_set_that_contains_itself_is_refused_with_the_way_round(repo, cli, sets, asked, cycle):
    for name, members in sets.items():
        write_set(repo, name, *members)
    before = repo.state()
    refused = cli("commit", asked, code=4)
    assert f"contains itself: {cycle}\n" in refused.err
    assert repo.state() == before
    states = {state["name"]: state["problem"] for state in cli.json("status")["bundles"]}
    assert "contains itself" in states[asked]
    assert states["support"] is None


def test_a_set_may_hold_a_bundle_twice_by_different_ways(repo, cli):
    write_set(repo, "inner", "support")
    write_set(repo, "outer", "inner", "support")
    cli("commit", "inner")
    cli("commit", "outer")
    assert cli.digest("outer") != cli.digest("inner")


def test_a_set_at_a_commit_has_the_members_of_that_commit(repo, cli):
    write_set(repo, "pair", "support")
    first = repo.save()
    then = cli.digest("pair")
    repo.prompt("Say it again.")
    assert cli.digest("pair") != then
    assert cli.digest(f"pair@git:{first}") == then


@pytest.mark.parametrize("text", ["", "model: [", "llmvc: 1\nname: No Name\n"])
def test_a_manifest_that_cannot_be_read_does_not_stop_the_other_bundles(repo, cli, text):
    digest = cli.digest("support")
    repo.write("prompts/broken/bundle.yaml", text)
    states = {state["name"]: state for state in cli.json("status")["bundles"]}
    assert "prompts/broken/bundle.yaml" in states["broken"]["problem"]
    assert states["support"]["problem"] is None
    assert cli.digest("support") == digest
    repo.prompt("Say it again.")
    cli("commit", "support", "-m", "reword")
    assert "prompts/broken/bundle.yaml" in cli("commit", "broken", code=4).err
