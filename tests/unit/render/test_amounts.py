"""How tokens, the context used and their quantiles are shown."""

from dataclasses import replace

import pytest

from llmvc.app.fitting import Fit
from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric
from llmvc.render import facts, spans, views
from tests.unit.render.readings import many, reading, suite

TOKENS = Metric("tokens", "tokens", limit=1.2)
CONTEXT = Metric("context", "context", quantile=0.5, ceiling=0.5)
USED = Estimate(
    "context",
    "context",
    baseline=0.25,
    candidate=0.3,
    estimate=1.2,
    arm_low=0.28,
    arm_high=0.312,
    p_pass=0.001,
    method="p50 over all runs",
    p_fail=1.0,
    alpha=0.05,
    details={
        "quantiles": {"baseline p50": 0.2, "candidate p50": 0.25, "candidate p99": 0.5},
        "truncated": {"baseline": 0.0, "candidate": 0.125},
    },
)


def test_shares_and_tokens_have_their_units():
    assert views.value(USED, 0.3125) == "31.2%"
    assert views.value(replace(USED, kind="tokens"), 12345.6) == "12,346"
    assert views.effect(USED) == "[28.0%, 31.2%]"


def test_quantiles_and_truncated_runs_are_told_of_both_arms_as_far_as_they_are_known():
    told = dict(facts.metric(CONTEXT, USED, None))
    assert told["quantiles"] == "p50 20.0% -> 25.0%, p99 50.0%"
    assert told["truncated"] == "0.0% -> 12.5% of the runs left out messages to fit the window"
    assert "at the ceiling: p 0.001" in told["method"]
    alone = replace(USED, baseline=None, details={"truncated": {"candidate": 0.5}})
    told = dict(facts.metric(CONTEXT, alone, None))
    assert told["truncated"].startswith("50.0% of the runs")
    assert "quantiles" not in told


def test_the_context_is_drawn_as_a_share_with_its_ceiling_and_tokens_as_a_ratio():
    rows = tuple(
        replace(
            case,
            **{
                arm: tuple(
                    replace(run, input_tokens=80 + at % 7, output_tokens=20, context_share=0.1)
                    for run in getattr(case, arm)
                )
                for arm in ("candidate", "baseline")
            },
        )
        for at, case in enumerate(many(60))
    )
    found = reading(rows, suite(TOKENS, CONTEXT))
    tokens, context = spans.panels(found.report, found.suite, found.verdict)
    assert (tokens.what, tokens.ratio, tokens.rule) == (
        "tokens, candidate over baseline",
        True,
        "limit",
    )
    assert (tokens.spans[0].same, tokens.spans[0].rule) == (1.0, 1.2)
    assert context.what == "share of the context window used"
    assert (context.ratio, context.rule) == (False, "ceiling")
    assert (context.spans[0].same, context.spans[0].rule) == (0.1, 0.5)


FIT = Fit("refund-17", 3812, 1000, 8192, 512, 7680, 0, "bytes / 3 and 4 a message")


@pytest.mark.parametrize(
    ("fit", "text"),
    [
        (
            FIT,
            (
                "  context  worst case about 3,812 of 8,192 tokens (512 reserved for output), "
                "case refund-17: fits"
            ),
        ),
        (
            replace(FIT, reserved=0, most=8192, dropped=3),
            (
                "  context  worst case about 3,812 of 8,192 tokens, case refund-17: fits, "
                "once 3 of its turns and examples are left out"
            ),
        ),
        (
            replace(FIT, tokens=7700),
            (
                "  context  worst case about 7,700 of 8,192 tokens (512 reserved for output), "
                "case refund-17: may not fit, 20 too many by bytes / 3 and 4 a message"
            ),
        ),
        (
            replace(FIT, tokens=20000, least=7681),
            (
                "  context  worst case about 20,000 of 8,192 tokens (512 reserved for output), "
                "case refund-17: does not fit, 12,320 too many by bytes / 3 and 4 a message; "
                "at least 7,681 for certain"
            ),
        ),
    ],
)
def test_the_longest_case_of_a_commit_in_words(fit, text):
    assert views.fit(fit) == text
