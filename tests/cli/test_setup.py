"""`init` and `new`: what they write, and what of a repository they leave as it is."""

import pytest

CONFIG = """llmvc: 1
bundles: ["prompts/*/bundle.yaml"]
suites: ["evals/*/suite.yaml"]
environments: {prod: {}}
"""
TOY = 'providers:\n  toy: {kind: python, function: "toy.py:answer", self_hosted: true}\n'


def config(root, text):
    (root / ".llmvc").mkdir()
    (root / ".llmvc/config.yaml").write_text(text)


def test_the_stand_in_comes_with_the_configuration_that_names_it(git_repo, cli):
    told = cli("init").out
    assert "wrote .llmvc/config.yaml" in told
    assert "wrote .llmvc/stand_in.py" in told
    assert cli("init").out == "everything was set up already\n"
    cli("new", "orders")
    assert "verdict: pass" in cli("eval").out


@pytest.mark.parametrize("providers", [TOY, ""], ids=["toy", "none"])
def test_where_other_providers_answer_no_stand_in_is_written(git_repo, cli, providers):
    config(git_repo, CONFIG + providers)
    assert "stand_in" not in cli("init").out
    known = "toy" if providers else "none yet"
    told = cli("new", "orders").err
    assert f"name a provider in prompts/orders/bundle.yaml, known: {known}" in told
    assert not (git_repo / ".llmvc/stand_in.py").exists()


def test_a_stand_in_that_was_lost_comes_back_with_the_next_bundle(git_repo, cli):
    cli("init")
    lost = git_repo / ".llmvc/stand_in.py"
    lost.unlink()
    cli("init")
    assert not lost.exists()
    assert "no stand-in" not in cli("new", "orders").err
    assert lost.exists()


def test_a_configuration_that_cannot_be_read_is_named_before_a_bundle_is_written(git_repo, cli):
    config(git_repo, "llmvc: 1\nproviders: 3\n")
    assert ".llmvc/config.yaml" in cli("new", "orders", code=4).err
    assert not (git_repo / "prompts").exists()
