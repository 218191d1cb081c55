"""Migrations: planned without a call, decided on, measured, and told by the release."""

import json
import signal
import subprocess
import sys
import time

import pytest

from llmvc.app import measuring
from llmvc.core.migration import Migration
from tests.support.build import CONFIG, RepoBuilder, environ

OWN = "fake: {kind: python"
PROVIDERS = f'two: {{kind: python, function: "fake.py:answer", self_hosted: true}}\n  {OWN}'
MODELS = {
    "llmvc": "models/1",
    "date": "2026-11-01",
    "families": [
        {"name": "strict", "match": ["two/strict*"], "refuses": ["decoding.temperature"]},
        {
            "name": "small",
            "match": ["two/small"],
            "limits": {"decoding.max_output_tokens": {"most": 4}},
        },
    ],
}
PRICES = {
    "models": {
        "two/tiny": {
            "litellm_provider": "two",
            "max_input_tokens": 12,
            "max_output_tokens": 4,
            "deprecation_date": "2999-01-31",
        },
        "two/gone": {"litellm_provider": "two", "deprecation_date": "2020-01-31"},
    }
}
MANIFEST = "prompts/support/bundle.yaml"
ENV = "refs/llmvc/env/support/prod"
FULL = ("--drop", "decoding.temperature", "--promote", "prod", "--reason", "cheaper")


@pytest.fixture
def two(repo: RepoBuilder) -> RepoBuilder:
    """The repository with a second provider, and tables of its own."""
    config = CONFIG.replace(OWN, PROVIDERS) + "models: models.json\nprices: prices.json\n"
    repo.write(".llmvc/config.yaml", config)
    repo.write("models.json", json.dumps(MODELS))
    repo.write("prices.json", json.dumps(PRICES))
    repo.save("two providers")
    return repo


def carried(repo: RepoBuilder) -> Migration:
    """Returns the record that prod's release carries."""
    return Migration.from_bytes(repo.git("cat-file", "blob", f"{ENV}:migration.json").encode())


def manifest(repo: RepoBuilder, old: str, new: str) -> None:
    """Changes the manifest and commits it."""
    text = (repo.root / MANIFEST).read_text()
    assert old in text
    repo.write(MANIFEST, text.replace(old, new))
    repo.save("edit")


def test_a_plan_shows_all_of_it_calls_nobody_and_writes_nothing(repo, cli, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_CALLS", str(tmp_path / "calls"))
    before = repo.state()
    for option in ("--plan", "--dry-run"):
        done = cli("migrate", "--model", "fake/fake-2", "--promote", "prod", option)
        assert f"support/prod  {cli.digest('support@prod')[:15]} -> b3:" in done.out
        assert "fake/fake-1 -> fake/fake-2" in done.out
        assert "24 new calls, 24 reused" in done.out
        assert "a pass leads to a migrate in prod" in done.out
    told = cli.json("migrate", "--model", "fake/fake-2", "--plan")
    assert (told["kind"], told["nothing"], told["calls"]["new"]) == ("migrate", None, 24)
    assert (told["record"]["report"], told["record"]["verdict"]) == (None, None)
    assert repo.state() == before
    assert not (tmp_path / "calls").exists()


def test_a_migration_changes_the_model_lines_alone_and_carries_report_and_record(repo, cli):
    done = cli.json("migrate", "--model", "fake/fake-2", "--promote", "prod", "--reason", "cheaper")
    text = (repo.root / MANIFEST).read_text()
    assert "# A manifest as people write it: with comments." in text
    assert "provider: fake  # answers from fake.py" in text
    assert "id: fake-2" in text
    released = done["moved"]["release"]
    assert released["kind"] == "migrate"
    assert released["report"] == done["measured"]["report"]["digest"]
    stored = json.loads(repo.git("cat-file", "blob", f"{ENV}:report.json"))
    assert stored["candidate"] == cli.digest("support@prod") == cli.digest()
    record = carried(repo)
    assert record.about(released["from"], released["to"], released["report"])
    assert record.verdict == "pass"
    assert record.cost.basis == "measured"
    assert "problem" not in cli("fsck").out


def test_a_parameter_that_the_model_does_not_take_is_decided_on_and_told_for_good(two, cli):
    before = two.state()
    command = ("migrate", "--model", "two/strict-1")
    for more in ((), ("--plan",)):
        refused = cli(*command, *more, code=2)
        assert "does not take decoding.temperature" in refused.err
        assert "--drop decoding.temperature" in refused.err
        assert two.state() == before
    assert cli(*command, *FULL).err
    one = next(one for one in carried(two).parameters if one.name == "decoding.temperature")
    assert (one.from_, one.to, one.decision) == (0, None, "dropped")
    assert one.why == "strict does not take it"
    text = (two.root / MANIFEST).read_text()
    assert "decoding: {max_output_tokens: 8}" in text
    shown = cli("show", "support@prod").out
    assert "two/strict-1" in shown
    assert "decoding.temperature  0 -> -  dropped" in shown
    assert cli.json("show", "support@prod")["migration"]["to"] == cli.digest("support@prod")
    assert cli.json("show", "support@prod~1")["migration"] is None


def test_a_value_that_is_set_stands_in_the_record_and_in_the_manifest(two, cli):
    assert "small takes 4 at most" in cli("migrate", "--model", "two/small", "--plan", code=2).out
    cli("migrate", "--model", "two/small", "--set", "decoding.max_output_tokens=4")
    assert "max_output_tokens: 4" in (two.root / MANIFEST).read_text()
    cli("promote", "prod")
    (one,) = (one for one in carried(two).parameters if one.decision == "set")
    assert (one.name, one.from_, one.to) == ("decoding.max_output_tokens", 8, 4)


def test_a_window_and_a_limit_beyond_the_models_own_are_decided_on(two, cli):
    manifest(two, "decoding:", "context: {window: 4000}\ndecoding:")
    cli("commit", "-m", "a window")
    planned = cli("migrate", "--model", "two/tiny", "--plan", code=2)
    for said in ("two/tiny has 16 at most by the price table", "two/tiny has 4 at most by"):
        assert said in planned.out
    assert "its maker retires it on 2999-01-31" in planned.out
    decided = ("--set", "context.window=12", "--set", "decoding.max_output_tokens=4")
    told = cli.json("migrate", "--model", "two/tiny", *decided, "--plan")["record"]
    assert (told["context"]["from"]["window"], told["context"]["from"]["fits"]) == (None, None)
    assert (told["context"]["to"]["window"], told["context"]["to"]["fits"]) == (12, 0)
    assert any("may not fit" in one["says"] for one in told["findings"])


def test_a_later_promote_carries_the_record_of_the_migration(repo, cli):
    cli("migrate", "--model", "fake/fake-2")
    assert cli.json("promote", "prod")["release"]["kind"] == "migrate"
    assert carried(repo).models.to == "fake/fake-2"
    cli("rollback", "prod", "--no-push")
    assert cli.json("show", "support@prod")["migration"] is None


def test_measuring_again_stores_no_second_record(repo, cli):
    first = cli.json("migrate", "--model", "fake/fake-2")["record"]
    store = repo.refs()["refs/llmvc/store"]
    assert cli.json("migrate", "--model", "fake/fake-2")["record"] == first
    assert repo.refs()["refs/llmvc/store"] == store


def test_a_record_about_something_else_is_found(repo, cli):
    cli("migrate", "--model", "fake/fake-2", "--promote", "prod")
    data = repo.git("cat-file", "blob", f"{ENV}:migration.json")
    other = data.replace(json.loads(data)["report"], "b3:" + "0" * 64)
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"],
        cwd=repo.root,
        input=other,
        text=True,
        capture_output=True,
        check=True,
    ).stdout.strip()
    tree = repo.git("ls-tree", ENV).replace(repo.git("rev-parse", f"{ENV}:migration.json"), blob)
    made = subprocess.run(
        ["git", "mktree"],
        cwd=repo.root,
        input=tree + "\n",
        text=True,
        capture_output=True,
        check=True,
    ).stdout.strip()
    message = repo.git("log", "-1", "--format=%B", ENV)
    commit = repo.git("commit-tree", made, "-p", f"{ENV}~1", "-m", message)
    repo.git("update-ref", ENV, commit)
    assert "migration.json" in cli("fsck", code=4).out


def test_a_migration_that_fails_leaves_the_environment_alone(repo, cli):
    served = cli.digest("support@prod")
    fake = repo.root / "fake.py"
    fake.write_text(
        fake.read_text().replace("wrong = ", 'wrong = request["model"]["id"] == "bad" or ')
    )
    done = cli("migrate", "--model", "fake/bad", "--promote", "prod", code=1)
    assert "verdict: fail" in done.out
    assert "says fail" in done.out
    assert cli.digest("support@prod") == served


def test_a_release_that_cannot_be_is_refused_before_anything_is_paid_for(repo, cli):
    config = (repo.root / ".llmvc/config.yaml").read_text()
    repo.write(".llmvc/config.yaml", config.replace("prod: {}", "prod: {source_branch: main}"))
    repo.save("from main alone")
    before = repo.state()
    command = ("migrate", "--model", "fake/fake-2")
    refused = cli(*command, "--promote", "prod", code=4)
    assert "prod takes releases from branch main only, and" in refused.err
    assert "stopped    prod takes releases" in cli(*command, "--promote", "prod", "--plan").out
    assert repo.state() == before
    cli(*command)
    assert "stopped    prod takes" in cli(*command, "--promote", "prod", "--plan").out
    repo.save("the edit")
    assert cli.json("promote", "support", "prod")["release"]["kind"] == "migrate"


def test_a_suite_that_is_not_in_force_is_told_before_anything_is_paid_for(repo, cli):
    suite = repo.root / "evals/support/suite.yaml"
    suite.write_text(suite.read_text().replace("margin: 0.25", "margin: 0.4"))
    repo.save("a wider margin")
    before = repo.state()
    refused = cli("migrate", "--model", "fake/fake-2", "--promote", "prod", code=4)
    assert "is not the one in force" in refused.err
    assert repo.state() == before


def test_what_was_rolled_back_does_not_come_back_by_a_migration(repo, cli):
    cli("migrate", "--model", "fake/fake-2", "--promote", "prod")
    cli("rollback", "prod", "--no-push")
    cli("checkout", "support@prod")
    before = repo.state()
    again = cli("migrate", "--model", "fake/fake-2", "--promote", "prod", code=4)
    assert "was rolled back from support/prod" in again.err
    assert repo.state() == before


def test_an_environment_that_moves_meanwhile_costs_nobody_the_result(repo, cli, monkeypatch):
    measure = measuring.evaluate_comparison

    def meanwhile(*given, **more):
        found = measure(*given, **more)
        if not more["choices"].dry_run:
            cli("override", "support@prod~1", "prod", "--reason", "an accident")
        return found

    repo.prompt("Say it.")
    cli("ship", "-m", "another", "prod", "--no-push")
    monkeypatch.setattr(measuring, "evaluate_comparison", meanwhile)
    done = cli("migrate", "--model", "fake/fake-2", "--promote", "prod", code=3)
    assert "verdict: pass" in done.out
    assert "no evidence for support" in done.err


def test_a_report_on_a_migration_tells_it_in_each_of_its_forms(two, cli):
    cli("migrate", "--model", "two/strict-1", *FULL)
    for form in ("text", "markdown", "html"):
        told = cli("report", "support@prod", "--format", form, "--no-plot").out
        assert "strict does not take it" in told
        assert "two/strict-1" in told
    read = cli.json("report", "support@prod")
    assert read["migration"]["report"] == read["digest"]
    first = cli.json("report", "support@prod~1")
    assert first["migration"] is None


def test_the_tokens_of_a_report_tell_the_cost_of_the_cases_that_it_is_on_alone(repo, cli):
    command = ("migrate", "--model", "openai/gpt-4o-2024-08-06", "--plan")
    assert "(estimated: tokens of " in cli(*command).out
    cases = repo.root / "evals/support/cases.jsonl"
    cases.write_text(cases.read_text().replace('"c001"', '"another"'))
    assert "(estimated: request size by " in cli(*command).out


def test_a_set_has_no_model_to_migrate(repo, cli):
    repo.write("prompts/all/bundle.yaml", "llmvc: 1\nkind: set\nname: all\nmembers: {a: support}\n")
    cli("commit", "all", "-m", "a set")
    refused = cli("migrate", "all", "--model", "fake/fake-2", code=2)
    assert "all is a set: its members have models of their own" in refused.err


REFUSED = {
    "no provider": (("gpt",), 2, "PROVIDER/ID"),
    "an unknown provider": (("nowhere/m",), 4, "provider 'nowhere' is not in .llmvc/config.yaml"),
    "no key": (("openai/gpt-4o-2024-08-06",), 4, "OPENAI_API_KEY is not set"),
    "a value without value": (("fake/m", "--set", "decoding.seed"), 2, "has no value"),
    "null": (("fake/m", "--set", "decoding.seed=null"), 2, "--drop decoding.seed"),
    "two decisions": (
        ("fake/m", "--drop", "decoding.seed", "--set", "decoding.seed=1"), 2, "two decisions",
    ),
    "what is not there": (("fake/m", "--drop", "decoding.seed"), 2, "no such parameter"),
    "no parameter": (("fake/m", "--drop", "messages"), 2, "no parameter"),
    "the schema": (("fake/m", "--drop", "response.schema"), 2, "no parameter"),
    "the model itself": (("fake/m", "--set", "model.id=x"), 2, "no parameter"),
    "a value of another kind": (
        ("fake/m", "--set", "decoding.max_output_tokens=many"), 4, "max_output_tokens",
    ),
    "an unknown member": (("fake/m", "--set", "decoding.sead=1"), 4, "sead"),
    "the same model": (("fake/fake-1", "--drop", "decoding.temperature"), 2, "the model stays"),
    "another environment": (
        ("fake/m", "--env", "staging", "--promote", "prod"), 2, "leave out --env",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused_in_a_line_and_changes_nothing(repo, cli, monkeypatch, case):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    arguments, code, said = case
    before = repo.state()
    refused = cli("migrate", "--model", *arguments, code=code)
    assert said in refused.err.splitlines()[0] + "".join(refused.err.splitlines()[1:2])
    assert repo.state() == before


def test_a_version_that_cannot_be_stored_leaves_the_manifest_as_it_was(repo, cli, monkeypatch):
    def refuse(*_, **__):
        raise KeyboardInterrupt

    before = repo.state()
    monkeypatch.setattr("llmvc.app.versioning.commit", refuse)
    assert cli("migrate", "--model", "fake/fake-2", code=130)
    assert repo.state() == before


def test_edits_that_are_not_committed_are_refused(repo, cli):
    repo.prompt("An edit.")
    before = repo.state()
    assert "not committed" in cli("migrate", "--model", "fake/fake-2", code=4).err
    assert repo.state() == before


def test_the_same_model_is_nothing_to_do(repo, cli):
    before = repo.state()
    assert "nothing to migrate" in cli("migrate", "--model", "fake/fake-1").out
    assert cli.json("migrate", "--model", "fake/fake-1", "--promote", "prod")["record"] is None
    assert repo.state() == before


def test_other_edits_beside_the_model_are_told(repo, cli):
    repo.prompt("Say the number again.")
    cli("commit", "-m", "reword")
    planned = cli.json("migrate", "--model", "fake/fake-2", "--plan")
    assert planned["kind"] == "promote"
    (one,) = (one for one in planned["record"]["findings"] if one["where"] == "messages")
    assert one["level"] == "warning"
    assert "differs from what prod serves in messages, too" in one["says"]


def test_without_a_key_the_calls_of_a_plan_are_an_upper_bound(repo, cli, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    done = cli("migrate", "--model", "openai/gpt-4o-2024-08-06", "--plan")
    assert "at most 48 new calls" in done.out
    assert "OPENAI_API_KEY is not set" in done.out
    assert "gpt-4o-2024-08-06 is an alias" not in done.out


ALIASES = {
    "pinned": ((), "warning"),
    "floating": (("--set", "model.alias_policy=floating"), "note"),
}


@pytest.mark.parametrize("case", ALIASES.values(), ids=ALIASES)
def test_an_alias_without_a_date_is_told(repo, cli, case):
    decided, level = case
    planned = cli.json("migrate", "--model", "openai/gpt-4o", *decided, "--plan")
    (one,) = (one for one in planned["record"]["findings"] if "alias" in one["says"])
    assert one["level"] == level
    assert ("name gpt-4o-2024-11-20, or" in one["says"]) == (level == "warning")


def test_a_model_that_has_no_name_with_a_date_is_no_warning(repo, cli):
    command = ("migrate", "--model", "anthropic/claude-opus-5-5", "--drop", "decoding.temperature")
    planned = cli.json(*command, "--plan")
    (one,) = (one for one in planned["record"]["findings"] if "no date" in one["says"])
    assert (one["level"], one["where"]) == ("note", "model.id")


def test_a_model_that_was_retired_is_told_so(two, cli):
    told = cli("migrate", "--model", "two/gone", "--plan").out
    assert "its maker retired it on 2020-01-31, by the price table" in told


def test_a_model_that_thinks_is_told_with_what_it_costs(repo, cli):
    command = ("migrate", "--model", "openai/gpt-5.5-2026-04-23", "--plan")
    told = cli(*command, code=2).out
    assert "gpt-5.5 does not take it while it reasons" in told
    assert "output tokens that no estimate of cost knows, and that count towards these 8" in told
    quiet = cli(*command, "--set", "decoding.reasoning.effort=none").out
    assert "thinks before it answers" not in quiet


def test_the_messages_api_needs_a_limit_and_names_what_it_has_no_place_for(repo, cli):
    manifest(
        repo,
        "{temperature: 0, max_output_tokens: 8}",
        "{temperature: 1.5, seed: 7, logprobs: true}",
    )
    cli("commit", "-m", "more of it")
    command = ("migrate", "--model", "anthropic/claude-haiku-4-5-20251001", "--plan")
    refused = cli(*command, code=2)
    assert "--set decoding.max_output_tokens=…" in refused.err
    decided = [
        *("--drop", "decoding.seed", "--drop", "decoding.logprobs"),
        *("--set", "decoding.max_output_tokens=400", "--set", "decoding.temperature=1"),
    ]
    told = cli.json(*command, *decided)["record"]
    decisions = {one["name"]: (one["decision"], one["why"]) for one in told["parameters"]}
    assert decisions == {
        "decoding.logprobs": ("dropped", "the messages API has no place for it"),
        "decoding.max_output_tokens": ("set", "the messages API needs it"),
        "decoding.seed": ("dropped", "the messages API has no place for it"),
        "decoding.temperature": ("set", "claude-haiku-4-5 takes 1 at most"),
    }


def test_a_decision_beyond_the_parameters_makes_the_release_a_promote(repo, cli):
    manifest(repo, "variables:", "parallel_tool_calls: true\nvariables:")
    cli("commit", "-m", "one at a time")
    cli("eval")
    cli("promote", "prod")
    decided = ("--drop", "parallel_tool_calls")
    done = cli.json("migrate", "--model", "fake/fake-2", *decided, "--promote", "prod")
    assert done["moved"]["release"]["kind"] == "promote"
    (one,) = (one for one in carried(repo).findings if one.where == "tools")
    assert (one.level, "release is a promote" in one.says) == ("note", True)
    assert carried(repo).about(
        *(done["moved"]["release"][name] for name in ("from", "to", "report"))
    )


def test_a_tool_that_the_new_api_refuses_stops_before_anything_changes(repo, cli):
    schema = "{type: object, properties: {n: {type: string}}}"
    manifest(
        repo,
        "variables:",
        f"tools: [{{name: look, strict: true, input_schema: {schema}}}]\nvariables:",
    )
    cli("commit", "-m", "a tool")
    before = repo.state()
    refused = cli("migrate", "--model", "openai/gpt-4o-2024-08-06", code=2)
    assert "tools.look.input_schema: the root lacks additionalProperties: false" in refused.err
    assert repo.state() == before


def test_markdown_is_for_a_pull_request_and_escapes_what_others_wrote(repo, cli):
    planned = cli("migrate", "--model", "fake/a_b|c", "--plan", "--format", "markdown").out
    assert planned.startswith("### Plan of a migration: support")
    assert r"fake/a\_b\|c" in planned
    done = cli("migrate", "--model", "fake/fake-2", "--format", "markdown").out
    assert "### Migration: support" in done
    assert "### ✅ pass" in done


def test_an_interrupted_migration_says_what_it_leaves_and_goes_on(repo, cli, tmp_path):
    calls = tmp_path / "calls"
    command = [
        sys.executable,
        "-m",
        "llmvc",
        "migrate",
        "--model",
        "fake/fake-2",
        "--concurrency",
        "1",
    ]
    running = subprocess.Popen(
        command,
        cwd=repo.root,
        env=environ(PYTHONPATH=":".join(sys.path), FAKE_CALLS=str(calls), FAKE_SECONDS="0.1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    limit = time.monotonic() + 30
    while not calls.exists() and time.monotonic() < limit and running.poll() is None:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert f"{MANIFEST} names the new model: the same command goes on from here" in err
    back = f"llmvc checkout support@{cli.digest('support@prod')[:15]}"
    assert back in err
    done = cli.json("migrate", "--model", "fake/fake-2", "--promote", "prod")
    assert done["moved"]["release"]["kind"] == "migrate"
    assert done["measured"]["calls"]["reused"] >= 24
