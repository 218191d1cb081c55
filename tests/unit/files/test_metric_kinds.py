"""Metrics of tokens, context and time as a suite file writes them."""

import pytest

from llmvc.core.metric import Metric
from llmvc.core.suite import Suite
from llmvc.errors import FormatError
from tests.unit.files.test_suite import SUITE, load


def metrics(*lines):
    head, _, rest = SUITE.partition("metrics:\n")
    tail = rest[rest.index("alpha") :]
    return load(head + "metrics:\n" + "".join(f"  {line}\n" for line in lines) + tail).suite


def test_what_is_counted_has_the_kind_of_its_name_and_gates_by_its_rule():
    found = metrics(
        "tokens: {limit: 1.2, ceiling: 4000}",
        "context: {ceiling: 0.9}",
        "first: {kind: latency, of: first-token}",
        "watched: {kind: context}",
        "many: {kind: tokens}",
    )
    assert found.metrics == (
        Metric("tokens", "tokens", limit=1.2, ceiling=4000.0),
        Metric("context", "context", quantile=0.95, ceiling=0.9),
        Metric("first", "latency", of="first-token", gate=False),
        Metric("watched", "context", quantile=0.95, gate=False),
        Metric("many", "tokens", gate=False),
    )
    assert Suite.from_bytes(found.to_bytes()) == found


def test_quality_by_context_is_watched_in_four_buckets():
    found = metrics(
        "quality: {scorers: [team], margin: 0.1, by_context: true, severity: {drop: 1}}"
    )
    whole, *parts = found.metrics
    assert (whole.used, whole.gate) == (None, True)
    assert [(one.name, one.used) for one in parts] == [
        (f"quality/context-{low}-{low + 25}", (low, low + 25)) for low in (0, 25, 50, 75)
    ]
    for one in parts:
        assert (one.gate, one.severity, one.must_pass) == (False, None, ())
        assert (one.scorers, one.margin) == (whole.scorers, whole.margin)
    assert Suite.from_bytes(found.to_bytes()) == found
    assert len(metrics("quality: {scorers: [team], margin: 0.1, by_context: false}").metrics) == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("tokens: {limit: 1.2, ceiling_usd: 1}", "ceiling_usd means nothing for a metric of kind"),
        ("tokens: {gate: true}", "metrics.tokens.limit is missing"),
        ("context: {gate: true}", "metrics.context.ceiling is missing"),
        ("context: {ceiling: 1.5}", "metrics.context.ceiling is 1.5, more than the whole window"),
        ("context: {ceiling: 0}", "metrics.context.ceiling"),
        ("context: {limit: 1.2}", "metrics.context.limit means nothing"),
        ("cost: {limit: 1.2, of: total}", "metrics.cost.of means nothing"),
        ("latency: {of: last-token}", "metrics.latency.of"),
        ("latency: {by_context: true}", "metrics.latency.by_context means nothing"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(line, says):
    with pytest.raises(FormatError, match=says):
        metrics("quality: {scorers: [team], margin: 0.05}", line)
