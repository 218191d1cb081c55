"""Sets of bundles, and manifests beside others."""

import json

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


def test_a_member_that_was_never_committed_is_named(repo, cli):
    repo.prompt("Say it again.")
    repo.write(
        "prompts/flow/bundle.yaml", "llmvc: 1\nkind: set\nname: flow\nmembers: {pay: support}\n"
    )
    refused = cli("commit", "flow", code=4).err
    assert "prompts/flow/bundle.yaml: member pay (support) is not a committed version" in refused


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


APP = """\
import json


def answer(snapshot, variables):
    \"\"\"Plays the first member, read from the snapshot alone.\"\"\"
    flow = json.loads((snapshot / "bundle.json").read_bytes())
    member = flow["members"]["support"]
    bundle = json.loads((snapshot / "o" / member[3:]).read_bytes())
    number = variables["message"].split()[-1]
    return "wrong" if "miss" in bundle["messages"][0]["content"] else number
"""


@pytest.fixture
def flow(repo, cli):
    """A set of one bundle with an asset, measured as an application."""
    config = (repo.root / ".llmvc/config.yaml").read_text()
    app = 'providers:\n  flow: {kind: python, mode: app, function: "app.py:answer"}\n'
    repo.write(".llmvc/config.yaml", config.replace("providers:\n", app))
    repo.write("app.py", APP)
    repo.bundle("flow")
    write_set(repo, "flow", "support")
    manifest = (repo.root / "prompts/support/bundle.yaml").read_text()
    repo.write("prompts/support/bundle.yaml", manifest + "assets: [tone.txt, empty.txt]\n")
    repo.write("prompts/support/tone.txt", "friendly\n")
    repo.write("prompts/support/empty.txt", "")
    repo.save("flow")
    release(repo, cli, "first")
    return repo


def release(repo, cli, message, *options, code=0):
    if repo.git("status", "--porcelain"):
        repo.save(message)
    cli("commit", "support", "-m", message)
    cli("commit", "flow", "-m", message)
    cli("eval", "flow", "--allow-unpriced", code=None)
    return cli("promote", "flow", "prod", *options, code=code)


def record(repo):
    return json.loads(repo.git("cat-file", "blob", "refs/llmvc/env/flow/prod:release.json"))


def test_an_application_reads_the_members_of_a_set_from_its_snapshot(flow, cli):
    flow.prompt("miss them all")
    assert "says fail" in release(flow, cli, "worse", code=1).err


def test_the_ref_of_a_set_holds_its_members_and_their_assets(flow, cli):
    names = flow.git("ls-tree", "-r", "--name-only", "refs/llmvc/env/flow/prod").split()
    assert sum(name.startswith("o/") for name in names) == 3  # the member and its two assets


def test_rolling_a_set_back_lists_the_member_it_leaves_until_that_is_served_again(flow, cli):
    flow.prompt("Say the number again.")
    release(flow, cli, "second")
    left = [cli.digest("flow"), cli.digest("support")]
    cli("rollback", "flow", "prod")
    assert record(flow)["rolled_back"] == sorted(left)

    other = "llmvc: 1\nkind: set\nname: other\nmembers: {inner: support}\n"
    flow.write("prompts/other/bundle.yaml", other)
    write_set(flow, "flow", "support", "other")  # another set, with the member that was left
    flow.save("nested")
    cli("commit", "other", "-m", "other")
    assert "was rolled back from flow/prod" in release(flow, cli, "third", code=4).err
    release(flow, cli, "fourth", "--again", "--reason", "it was not its fault")
    assert record(flow)["rolled_back"] == [left[0]]
    cli("rollback", "flow", "prod")
    cli("log", "flow@prod")
    cli("fsck")


def test_a_member_that_is_missing_from_the_ref_is_found(flow, cli):
    ref = "refs/llmvc/env/flow/prod"
    tree = flow.git("ls-tree", ref).splitlines()
    kept = "".join(f"{line}\n" for line in tree if not line.endswith("\to"))
    (flow.root / "kept").write_text(kept)
    made = flow.git("-c", "alias.t=!git mktree < kept", "t")
    message = flow.git("log", "-1", "--format=%B", ref)
    flow.git("update-ref", ref, flow.git("commit-tree", made, "-m", message))
    (flow.root / "kept").unlink()
    assert "lacks its o/" in cli("fsck", code=4).out
