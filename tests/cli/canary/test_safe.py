"""The safe version of an environment: written into every release, so that going there needs no more."""

import json

import pytest

from llmvc.store.repository import Repository
from tests.support.build import CONFIG, SUITE, RepoBuilder, remote_at
from tests.support.canary import WITH_CANARY
from tests.support.cli import validator

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


def test_a_safe_version_that_is_no_bundle_is_refused_by_file_and_key(ready, cli):
    ready.write(".llmvc/config.yaml", CONFIG.replace("prod: {}", "prod: {safe: nobody}"))
    says = ".llmvc/config.yaml: environments.prod.safe: no bundle named 'nobody'"
    assert says in cli("promote", "support", "prod", code=4).err
    found = cli.json("doctor", code=4)["findings"]
    assert [item["what"] for item in found if item["state"] == "bad"] == [says]


def test_the_doctor_wants_a_safe_version_committed_and_no_suite_for_it(safe, cli):
    bad = [item for item in cli.json("doctor", code=4)["findings"] if item["state"] == "bad"]
    assert "environments.prod.safe: canned" in bad[0]["what"]
    assert "is not a committed version" in bad[0]["what"]
    assert len(bad) == 1
    cli("commit", "canned", "-m", "hand over")
    found = [item["what"] for item in cli.json("doctor")["findings"] if item["state"] == "ok"]
    assert any(what.startswith("safe version of prod: canned b3:") for what in found)


@pytest.fixture
def fallen(safe, cli):
    """Prod serves the canned bundle; what it served before is in the working tree."""
    cli("commit", "canned", "-m", "hand over")
    cli("promote", "support", "prod")
    cli("rollback", "support", "prod", "--to", "safe", "--reason", "nothing is good")
    assert cli.digest("support@prod") == cli.digest("canned")
    return safe


def test_from_a_safe_version_a_measured_way_leads_back(fallen, cli):
    assert "no evidence" in again(cli, code=3).err
    assert "verdict: pass" in cli("eval", "support").out
    again(cli)
    assert cli.digest("support@prod") == cli.digest("support")
    newest = cli.json("log", "support@prod")["releases"][0]
    assert (newest["kind"], newest["proven"]) == ("promote", True)
    assert cli.json("fsck")["problems"] == []


def test_a_canned_baseline_makes_no_call_costs_nothing_and_has_no_latency(fallen, cli):
    cli("eval", "support")
    with Repository.open(fallen.root) as repo:
        found = json.loads(repo.versions.read(cli.json("report", "support")["digest"]))
    validator("urn:llmvc:schema:report:1").validate(found)
    arm = [item for item in found["providers"] if item["arm"] == "baseline"]
    assert [item["kind"] for item in arm] == ["canned"]
    runs = [run for case in found["cases"] for run in case["baseline"]]
    assert {(run["cost_usd"], run["latency_s"], run["input_tokens"]) for run in runs} == {
        (0.0, None, 0)
    }


@pytest.mark.parametrize("metric", ["cost: {limit: 2}", "latency: {limit: 2, gate: true}"])
def test_a_ratio_to_nothing_is_inconclusive_and_a_person_may_accept_that(
    tmp_path, monkeypatch, cli, metric
):
    repo = RepoBuilder(tmp_path / "repo").start(cases=60)
    monkeypatch.chdir(repo.root)
    repo.write("prompts/canned/bundle.yaml", CANNED)
    costly = CONFIG.replace("prod: {}", "prod: {safe: canned}").replace(", self_hosted: true", "")
    repo.write(".llmvc/config.yaml", costly)
    fake = (repo.root / "fake.py").read_text()
    repo.write("fake.py", fake.replace('"output_tokens": 1', '"output_tokens": 1, "cost_usd": 0.1'))
    repo.write("evals/support/suite.yaml", f"{SUITE.format(name='support')}  {metric}\n")
    repo.save("safe")
    cli("commit", "canned", "-m", "hand over")
    cli("commit", "support", "-m", "first")
    cli("promote", "support", "prod", "--adopt", "--reason", "it runs")
    cli("rollback", "support", "prod", "--to", "safe", "--reason", "nothing is good")
    assert "verdict: inconclusive" in cli("eval", "support", code=3).out
    again(cli, "--accept-inconclusive")
    assert cli.digest("support@prod") == cli.digest("support")


def test_the_hook_and_a_planned_migration_measure_against_a_safe_version(fallen, cli, tmp_path):
    fallen.git("remote", "add", "origin", str(remote_at(tmp_path / "remote.git")))
    fallen.git("push", "-q", "origin", "main")
    cli("hook", "install")
    fallen.prompt("Say it once more.")
    fallen.save("reword")
    assert "verdict: pass" in fallen.git("push", "-q", "origin", "main")
    cli("commit", "support", "-m", "reword")
    told = cli("migrate", "support", "--model", "fake/fake-2", "--plan").out
    assert "canned/canned -> fake/fake-2" in told
    assert "a pass leads to a promote in prod" in told


def test_a_canary_stands_beside_a_safe_version(fallen, cli):
    fallen.write(".llmvc/config.yaml", WITH_CANARY.replace("prod: {}", "prod: {safe: canned}"))
    fallen.save("canary")
    start = ("canary", "start", "support", "canary", "--again", "--reason", "mended")
    assert "no evidence" in cli(*start, code=3).err
    cli("eval", "support", "--env", "prod")
    cli(*start)
    assert cli.digest("support@canary") == cli.digest("support")


def test_a_canned_bundle_can_be_the_candidate(ready, cli):
    ready.write("prompts/support/bundle.yaml", CANNED.replace("canned\nm", "support\nm"))
    ready.save("canned")
    assert "verdict: fail" in cli("eval", "support", code=1).out


def test_a_canned_bundle_of_another_shape_is_refused_before_any_call(ready, cli):
    text = CANNED.replace("canned\nm", "support\nm").replace("role: assistant", "role: user")
    ready.write("prompts/support/bundle.yaml", text)
    assert "does not consist of one message of the assistant" in cli("eval", code=4).err


def test_the_name_of_the_canned_provider_is_taken(fallen, cli):
    path = fallen.root / ".llmvc/config.yaml"
    path.write_text(path.read_text().replace("  fake:", "  canned: {kind: openai}\n  fake:"))
    assert "the name is taken" in cli("eval", "support", code=4).err


def again(cli, *options, code=0):
    given = ("promote", "support", "prod", "--again", "--reason", "mended", *options)
    return cli(*given, code=code)
