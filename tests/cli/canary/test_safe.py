"""The safe version of an environment: written into every release, so that going there needs no more."""

import json

import pytest

from tests.support.build import CONFIG

PROD = "refs/llmvc/env/support/prod"
CANNED = """\
llmvc: 1
name: canned
model: {provider: canned, id: canned}
messages:
  - {role: assistant, content: "A person will answer you shortly."}
"""


@pytest.fixture
def safe(ready, cli):
    ready.write("prompts/canned/bundle.yaml", CANNED)
    ready.write(".llmvc/config.yaml", CONFIG.replace("prod: {}", "prod: {safe: canned}"))
    ready.save("safe")
    return ready


def test_a_safe_version_must_be_committed_and_then_lies_in_every_release(safe, cli):
    refused = cli("promote", "support", "prod", code=4)
    assert "canned" in refused.err
    assert "is not a committed version" in refused.err
    cli("commit", "canned", "-m", "hand over")
    cli("promote", "support", "prod")
    canned = cli.digest("canned")
    policy = json.loads(safe.git("cat-file", "blob", f"{PROD}:policy.json"))
    assert policy["safe"] == canned
    held = safe.git("cat-file", "blob", f"{PROD}:o/{canned[3:]}")
    assert "A person will answer you shortly." in held
    cli("rollback", "support", "prod", "--reason", "x")
    assert safe.git("cat-file", "blob", f"{PROD}:o/{canned[3:]}") == held
    assert cli.json("fsck")["problems"] == []


def test_a_safe_version_that_is_no_bundle_is_refused(ready, cli):
    ready.write(".llmvc/config.yaml", CONFIG.replace("prod: {}", "prod: {safe: nobody}"))
    assert "no bundle named 'nobody'" in cli("promote", "support", "prod", code=4).err
