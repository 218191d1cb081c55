"""Two bundles on a real model: what is sent, counted, estimated and released, never what it says.

Answers of a model change with its engine, so that no text and no accuracy is expected here.
"""

import asyncio
import json
from pathlib import Path

import pytest

from llmvc.core import digest
from llmvc.core.bundle import Bundle
from llmvc.core.report import Report
from llmvc.core.request import build
from llmvc.core.suite import Case
from llmvc.evals.providers import connect
from llmvc.evals.providers.base import Answer, Call
from llmvc.files.shipped import shipped
from tests.support.cli import Cli

pytestmark = pytest.mark.live

CASES, RUNS = 30, 2
# Short on purpose: one thread reads about 100 tokens of a prompt in a second, and a variant begins
# where the user's message does, so that the system's stays in the server's slot.
BUNDLE = """\
llmvc: 1
kind: app
name: support
model: {provider: local, id: smollm2-135m-instruct-q4_1}
decoding: {temperature: 0.7, max_output_tokens: 3, seed: 7}
messages:
  - {role: system, content: "Is this about money? Answer yes or no."}
  - {role: user, content: "Ticket: {{ticket}}"}
"""
SUITE = f"""\
llmvc: 1
bundle: support
dataset: cases.jsonl
runs: {RUNS}
variants: [label-case]
scorers:
  - {{name: money, type: icontains}}
  - {{name: short, type: regex, value: '^.{{0,40}}$'}}
metrics:
  quality: {{scorers: [money], margin: 0.3, floor: 0.1}}
  short: {{scorers: [short], gate: false}}
  latency: {{}}
"""
CONFIG = """\
llmvc: 1
environments:
  prod: {{}}
providers:
  local:
    kind: openai
    base_url: {base_url}
    self_hosted: true
"""


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture
def repo(git_repo: Path, served: dict[str, str], cli: Cli) -> Path:
    cases = shipped("examples", "support") / "evals" / "support" / "cases.jsonl"
    rows = sorted(map(json.loads, cases.read_text().splitlines()), key=lambda row: len(str(row)))
    about = [
        {**row, "expected": "yes" if row["expected"]["team"] == "billing" else "no"}
        for row in rows[:CASES]
    ]
    for path, text in {
        "prompts/support/bundle.yaml": BUNDLE,
        "evals/support/suite.yaml": SUITE,
        "evals/support/cases.jsonl": "".join(json.dumps(row) + "\n" for row in about),
    }.items():
        (git_repo / path).parent.mkdir(parents=True, exist_ok=True)
        (git_repo / path).write_text(text)
    cli("init")
    (git_repo / ".llmvc" / "config.yaml").write_text(CONFIG.format(**served))
    return git_repo


def check_runs(report: Report, arms: tuple[str, ...]) -> None:
    assert len(report.cases) == CASES
    for case in report.cases:
        for arm in arms:
            runs = getattr(case, arm)
            assert [run.run for run in runs] == list(range(RUNS))
            for run in runs:
                assert run.error is None
                assert run.run_id is not None
                assert run.scores["money"] in (0.0, 1.0)
                assert run.input_tokens is not None
                assert run.input_tokens > 20
                assert run.output_tokens is not None
                assert 1 <= run.output_tokens <= 3
                assert run.latency_s is not None
                assert run.latency_s > 0
                assert run.cost_usd == 0.0


def check_estimates(report: Report, *, baseline: bool) -> None:
    quality, short, latency = report.estimates
    for item in (quality, short):
        assert item.reason is None
        assert item.n == CASES
        assert item.candidate is not None
        assert 0 <= item.candidate <= 1
        told = item.details["variants"]
        halves = (told["written"], told["label-case"])
        assert None not in halves
        assert sum(halves) / 2 == pytest.approx(item.candidate)
        assert 0 <= told["spread_low"] <= told["spread"] <= told["spread_high"] <= 1
    assert latency.candidate is not None
    if baseline:
        assert quality.low is not None
        assert quality.high is not None
        assert quality.low <= quality.estimate <= quality.high
        assert "variants_baseline" in quality.details


def stored(cli: Cli, done: dict[str, object]) -> Report:
    shown = cli.json("show", done["report"]["digest"])
    return Report.from_bytes(json.dumps(shown["value"], separators=(",", ":")).encode())


def test_two_bundles_are_measured_and_released_on_a_real_model(repo: Path, cli: Cli) -> None:
    calls = CASES * RUNS
    cli("commit", "support", "-m", "first")
    first = cli.json("eval", "support", "--concurrency", "2", code=None)
    assert first["calls"] == {"called": calls, "reused": 0, "cost_usd": 0.0}
    check_runs(stored(cli, first), ("candidate",))
    check_estimates(stored(cli, first), baseline=False)
    cli("promote", "support", "prod", "--adopt", "--reason", "whatever it scores, it runs")
    served = cli.digest("support@prod")

    manifest = repo / "prompts" / "support" / "bundle.yaml"
    manifest.write_text(manifest.read_text().replace("this about", "it a question of"))
    cli("commit", "support", "-m", "other words")
    done = cli.json("eval", "support", "--concurrency", "2", code=None)
    assert done["calls"]["called"] == calls
    assert done["calls"]["reused"] == calls
    report = stored(cli, done)
    assert (report.baseline, report.candidate) == (served, cli.digest("support"))
    check_runs(report, ("baseline", "candidate"))
    check_estimates(report, baseline=True)
    (seen,) = {(one["model"], one["fingerprint"]) for one in report.providers}
    assert seen[0]

    verdict = done["verdict"]["verdict"]
    code = {"pass": 0, "fail": 1, "inconclusive": 3}[verdict]
    cli("gate", report.digest, "--recompute", code=code)
    assert cli("report", report.digest).out.count("variants") >= 2
    cli("promote", "support", "prod", code=code)
    assert cli.digest("support@prod") == (cli.digest("support") if code == 0 else served)
    if code:
        cli("override", "support", "prod", "--reason", "the test goes on")
    cli("rollback", "support", "prod", "--no-push", "--reason", "the test ends")
    assert cli.digest("support@prod") == served


def answered(served: dict[str, str], case: str = "c1", **members: object) -> Answer:
    """One call through the provider for such endpoints, as an eval makes it."""
    options = {"base_url": served["base_url"]}
    provider = connect("local", "openai", options, mode="chat", folder=Path.cwd(), environ={})
    body = Bundle.of(
        "app",
        {
            "messages": [{"role": "user", "content": "Say {{what}}."}],
            "model": {"provider": "local", "id": served["model"]},
            "decoding": {"max_output_tokens": 8, "seed": 7},
            **members,
        },
    )
    made = build(body, {"what": "hello"})
    call = Call(made, digest.of_value(made), Case(case, {}), 0, 7, body, None)

    async def once() -> Answer:
        try:
            return await provider.answer(call)
        finally:
            await provider.aclose()

    return asyncio.run(once())


def test_an_answer_has_its_usage_and_says_who_gave_it(served: dict[str, str]) -> None:
    found = answered(served)
    assert found.error is None
    assert found.output
    assert found.model == served["model"]
    assert found.input_tokens is not None
    assert found.output_tokens == 8 or found.finish_reason == "stop"


def test_one_seed_gives_one_answer_while_nothing_else_is_asked(served: dict[str, str]) -> None:
    warm = {"max_output_tokens": 8, "temperature": 1.0, "seed": 7}
    assert answered(served, decoding=warm).output == answered(served, decoding=warm).output


def test_a_response_schema_binds_the_model(served: dict[str, str]) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    found = answered(
        served,
        decoding={"max_output_tokens": 40},
        response={"format": "json_schema", "schema": {**schema, "additionalProperties": False}},
    )
    assert isinstance(json.loads(found.output)["ok"], bool)


def test_a_prompt_beyond_the_window_is_the_bundles_failure(served: dict[str, str]) -> None:
    found = answered(served, messages=[{"role": "user", "content": "word " * 9_000}])
    assert found.output is None
    assert found.fault == "application"
    assert "400" in str(found.error)
