"""Tokens and the context used, on recorded answers of a real model."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from llmvc.core import context, request
from llmvc.core.metric import Metric
from llmvc.evals import windows
from llmvc.evals.estimates import Design
from llmvc.evals.plan import Arm
from llmvc.evals.prices import Prices
from llmvc.evals.providers.recorded import Recorded
from llmvc.evals.summary import summarize
from llmvc.files.suite import load_suite
from llmvc.files.tree import WorkTree
from llmvc.gate.decide import decide
from tests.unit.evals.world import measure

SUPPORT = Path(__file__).resolve().parents[3] / "examples" / "support"
CASES = 80
METRICS = (
    Metric("tokens", "tokens", limit=1.5),
    Metric("context", "context", quantile=0.95, ceiling=0.5),
    Metric("low", "score", ("team",), margin=0.2, gate=False, used=(0, 25)),
    Metric("high", "score", ("team",), margin=0.2, gate=False, used=(75, 100)),
)


def bundle(variant):
    spec = importlib.util.spec_from_file_location("support_record", SUPPORT / "record.py")
    record = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(record)
    return record.manifest_of(variant, None).bundle


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    loaded = load_suite(WorkTree(SUPPORT), "evals/support/suite.yaml")
    rows = loaded.cases[:CASES]
    suite = replace(loaded.suite, metrics=METRICS, runs=3)
    provider = Recorded.connect(
        "local",
        {"file": "recordings.jsonl", "priced_as": "local", "self_hosted": True},
        folder=SUPPORT,
    )
    arms = [
        Arm(name, bundle(variant), provider)
        for name, variant in (("candidate", "better"), ("baseline", "base"))
    ]
    found = measure(arms, tmp_path_factory.mktemp("runs"), rows=rows, by=suite)
    return suite, arms, found


def test_the_windows_come_from_the_price_table_and_the_shares_from_the_usage(measured):
    _, arms, found = measured
    assert {windows.window_of(arm, Prices.load()) for arm in arms} == {8192}
    for case in found.cases:
        for run in (*case.candidate, *case.baseline):
            assert run.context_share == (run.input_tokens + run.output_tokens) / 8192
            assert run.truncated is False


def test_a_longer_prompt_is_seen_in_tokens_and_context_and_fits_all_the_same(measured):
    suite, _, found = measured
    tokens, used, low, high = summarize(found.cases, suite, Design(0.05, seed=1))
    assert 1.0 < tokens.low < tokens.estimate < tokens.high < 1.5
    assert tokens.candidate == pytest.approx(8192 * 0.053, rel=0.1)
    assert used.baseline < used.candidate < 0.1
    assert used.details["truncated"] == {"baseline": 0.0, "candidate": 0.0}
    assert (low.n, high.n, high.reason) == (CASES, 0, "there are no cases")
    assert decide((tokens, used, low, high), suite, has_baseline=True).verdict == "pass"


def test_the_estimate_of_a_requests_length_is_above_what_the_model_counted_and_the_bound_below(
    measured,
):
    _, arms, found = measured
    counted = {case.id: case.candidate[0].input_tokens for case in found.cases}
    loaded = load_suite(WorkTree(SUPPORT), "evals/support/suite.yaml")
    for case in loaded.cases[:CASES]:
        built = request.build(arms[0].bundle, case.vars)
        assert context.least(built) < counted[case.id] < context.size(built)
