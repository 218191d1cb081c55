"""The configuration file."""

import subprocess
import sys

import pytest

from llmvc.core.canary import Budget, Guardrail, Plan
from llmvc.core.policy import Policy
from llmvc.errors import ConfigError, FormatError
from llmvc.files.config import CONFIG_PATH, Config, Connection, Hook, bundle_globs, load_config
from llmvc.files.rollout import Rollout
from tests.unit.files.memory import MemoryFiles


def config(text):
    return load_config(MemoryFiles({CONFIG_PATH: text}))


def test_everything_has_a_default():
    assert config("llmvc: 1\n") == Config(
        bundles=("**/bundle.yaml",),
        suites=("**/suite.yaml",),
        environments={},
        providers={},
        hook=Hook(),
        prices=None,
    )


def test_every_field_is_read():
    assert config(
        """\
llmvc: 1
bundles: [prompts/**/bundle.yaml]
suites: [evals/*/suite.yaml]
environments:
  staging:
  prod: {source_branch: main, allow_inconclusive: false}
providers:
  openai: {kind: openai, base_url: "http://127.0.0.1:1", api_key_env: KEY}
  app: {kind: command, mode: app, argv: [./answer]}
hook: {environment: prod, max_usd: 2, max_seconds: 30, on_inconclusive: block}
prices: prices.json
"""
    ) == Config(
        bundles=("prompts/**/bundle.yaml",),
        suites=("evals/*/suite.yaml",),
        environments={"staging": Policy(), "prod": Policy("main", allow_inconclusive=False)},
        providers={
            "openai": Connection(
                "openai", "openai", {"base_url": "http://127.0.0.1:1", "api_key_env": "KEY"}
            ),
            "app": Connection("app", "command", {"argv": ["./answer"]}, "app"),
        },
        hook=Hook("prod", max_usd=2.0, max_seconds=30, on_inconclusive="block"),
        prices="prices.json",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ".llmvc/config.yaml:1: the file must be a mapping"),
        ("llmvc: 1\nbundle: [x]\n", ".llmvc/config.yaml:2: bundle is not a field; write bundles instead"),
        ("llmvc: 1\nenvironments:\n  Prod:\n", ".llmvc/config.yaml:3: environments.Prod is not a valid name"),
        ("llmvc: 1\nenvironments:\n  prod: {branch: x}\n", ".llmvc/config.yaml:3: environments.prod.branch is not a field; write source_branch"),
        ("llmvc: 1\nproviders:\n  x: {}\n", ".llmvc/config.yaml:3: providers.x.kind is missing"),
        ("llmvc: 1\nproviders:\n  x: {kind: opnai}\n", ".llmvc/config.yaml:3: providers.x.kind may not be 'opnai'; write openai"),
        ("llmvc: 1\nhook: {environment: prod}\n", ".llmvc/config.yaml:2: hook.environment 'prod' is not among environments"),
        ("llmvc: 1\nhook: {on_inconclusive: block!}\n", ".llmvc/config.yaml:2: hook.on_inconclusive may not be"),
        ("llmvc: 1\nhook: {max_usd: -1}\n", ".llmvc/config.yaml:2: hook.max_usd must be at least 0"),
        ("llmvc: 1\nbundles: []\n", ".llmvc/config.yaml:2: bundles is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text, said):
    with pytest.raises(FormatError) as caught:
        config(text)
    assert str(caught.value).startswith(said)


CANARY = """\
llmvc: 1
environments:
  prod: {safe: canned}
  canary:
    canary:
      steps: [0.5%, 5%, 25%]
      guardrails: [{metric: errors, margin: 0.01}]
"""


def test_a_canary_is_read_with_its_defaults():
    found = config(CANARY)
    assert found.canaries == {
        "canary": Rollout(
            "prod",
            "conversation",
            Plan((5_000, 50_000, 250_000)),
            (Guardrail("errors", margin=0.01),),
        )
    }
    assert found.environments == {"prod": Policy(), "canary": Policy(canary_of="prod")}
    assert found.safe == {"prod": "canned"}


def test_every_field_of_a_canary_is_read():
    text = """\
llmvc: 1
environments:
  live: {}
  try:
    source_branch: main
    canary:
      of: live
      unit: user
      steps: [99.9999%]
      min_units: 40
      min_duration: 2d
      looks: 5
      alpha: 0.1
      test: spending
      on_inconclusive: abort
      on_invalid: hold
      guardrails:
        - {metric: latency, at: 0.95, limit: 1.2}
        - {metric: latency, limit: 1.1}
      budget: {max_usd_per_unit: 0.2, max_usd_per_day: 50}
"""
    plan = Plan((999_999,), 40, 172_800, 5, 0.1, "spending", "abort", "hold")
    rails = (Guardrail("latency", limit=1.2, at=0.95), Guardrail("latency", limit=1.1))
    found = config(text)
    assert found.canaries == {"try": Rollout("live", "user", plan, rails, Budget(0.2, 50))}
    assert found.environments["try"] == Policy("main", canary_of="live")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("5%, 25%", "5%, 5%", ":6: a canary's steps do not rise"),
        ("5%, 25%", "25%, 5%", ":6: a canary's steps do not rise"),
        ("[0.5%, 5%, 25%]", "[0%]", ":6: a canary's step is not above 0%"),
        ("25%", "100%", ":6: a canary's step is not above 0% and below 100%"),
        ("25%", "101%", ":6: a canary's step is not above 0% and below 100%"),
        ("25%", "25", ":6: environments.canary.canary.steps[2] must be text"),
        ("25%", "0.25", ":6: environments.canary.canary.steps[2] must be text"),
        ("25%", "quarter", ":6: environments.canary.canary.steps[2] may not be 'quarter'; write a share such as 5%"),
        ("[0.5%, 5%, 25%]", "[]", ":6: environments.canary.canary.steps is empty"),
        ("margin: 0.01", "limit: 1.1", ":7: guardrail errors needs a margin between 0 and 1"),
        ("errors, margin: 0.01", "latency, margin: 0.01", ":7: guardrail latency needs a limit between 1 and 100"),
        ("errors, margin: 0.01", "cost, at: 0.5, limit: 1.1", ":7: guardrail cost p50: only latency has a quantile"),
        ("0.01}]", "0.01}, {metric: errors, margin: 0.02}]", ":7: guardrail errors stands twice"),
        ("metric: errors", "metric: eror", ":7: environments.canary.canary.guardrails[0].metric may not be 'eror'; write errors"),
        ("[{metric: errors, margin: 0.01}]", "[]", ":7: environments.canary.canary.guardrails is empty"),
        ("      steps: [0.5%, 5%, 25%]\n", "", ":5: environments.canary.canary.steps is missing"),
        ("steps:", "of: staging\n      steps:", ":5: environments.canary.canary stands beside 'staging', which is no environment"),
        ("steps:", "of: canary\n      steps:", ":5: environments.canary.canary stands beside 'canary'"),
        ("steps:", "min_duration: 1 hour\n      steps:", ":6: environments.canary.canary.min_duration may not be '1 hour'"),
        ("steps:", "on_invalid: ignore\n      steps:", ":6: environments.canary.canary.on_invalid may not be 'ignore'"),
        ("steps:", "alpha: 0.5\n      steps:", ":6: environments.canary.canary.alpha must be below 0.5"),
        ("steps:", "budget: {usd: 3}\n      steps:", ":6: environments.canary.canary.budget.usd is not a field"),
        ("  canary:\n    canary", "  canary:\n    safe: x\n    canary", ":5: environments.canary.safe: a canary is aborted"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_canary_is_named_with_its_line(old, new, said):
    with pytest.raises(FormatError) as caught:
        config(CANARY.replace(old, new))
    assert str(caught.value).startswith(CONFIG_PATH + said)


def test_a_missing_configuration_says_what_to_run():
    with pytest.raises(
        ConfigError, match=r"^\.llmvc/config\.yaml is not there in git:main$"
    ) as caught:
        load_config(MemoryFiles({}, "git:main"))
    assert caught.value.hint == "run llmvc init"
    with pytest.raises(ConfigError, match=r"is not there in git:main$"):
        bundle_globs(MemoryFiles({}, "git:main"))


@pytest.mark.parametrize("text", ["llmvc: 1\n", "llmvc: 1\nbundles: [a/*.yaml, b/*.yaml]\n"])
def test_the_globs_of_bundles_alone_are_those_of_the_configuration(text):
    assert bundle_globs(MemoryFiles({CONFIG_PATH: text})) == config(text).bundles


def test_the_globs_of_bundles_are_read_although_the_rest_is_not_valid():
    files = MemoryFiles({CONFIG_PATH: "bundles: [a/*.yaml]\nhook: 3\n"})
    assert bundle_globs(files) == ("a/*.yaml",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1: the file must be a mapping"),
        ("[]", ":1: the file must be a mapping"),
        ("bundles: [", ":1: not YAML"),
        ("llmvc: 1\nbundles: x\n", ":2: bundles must be a list"),
        ("llmvc: 1\nbundles: []\n", ":2: bundles is empty"),
        ("llmvc: 1\nbundles: [1]\n", ":2: bundles[0] must be text"),
        ("llmvc: 1\nbundles: ['']\n", ":2: bundles[0] is empty"),
    ],
)
def test_globs_that_cannot_be_read_are_the_error_that_the_whole_configuration_is(text, said):
    with pytest.raises(FormatError) as caught:
        bundle_globs(MemoryFiles({CONFIG_PATH: text}))
    assert str(caught.value).startswith(CONFIG_PATH + said)


def test_reading_the_globs_of_bundles_does_not_load_the_schema_checker():
    code = (
        "import sys\n"
        "from llmvc.files.config import CONFIG_PATH, bundle_globs\n"
        "class Files:\n"
        "    label = ''\n"
        "    def read(self, path):\n"
        "        return b'llmvc: 1'\n"
        "print(bundle_globs(Files()), 'jsonschema' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "('**/bundle.yaml',) False\n"
