"""The sentences of a verdict: short, with the numbers that they rest on."""

from llmvc.core.report import Estimate
from llmvc.core.suite import Metric


def margin(metric: Metric) -> str:
    """Says what a metric is held against beside a baseline; empty if it is not."""
    if metric.kind == "score":
        return "" if metric.margin is None else f"margin {_margin(metric)}"
    return "" if metric.limit is None else f"limit {_limit(metric)}"


def floor(metric: Metric) -> str:
    """Says what a first release is held against; empty if there is nothing."""
    if metric.kind == "score":
        return "" if metric.floor is None else f"floor {metric.floor:g}"
    return "" if metric.ceiling_usd is None else f"ceiling ${metric.ceiling_usd:g}"


def within(metric: Metric, estimate: Estimate, *, worse: bool) -> str:
    """Says that a metric is within its margin or limit."""
    if metric.kind == "score":
        note = "worse, yet" if worse else "at worst"
        return (
            f"{_change(estimate)}, {note} {_score(estimate.low)}, "
            f"within the margin of {_margin(metric)}"
        )
    note = "dearer, yet" if worse else "at worst"
    return f"{_ratio(estimate)}, {note} x{estimate.high:.2f}, within the limit of {_limit(metric)}"


def beyond(metric: Metric, estimate: Estimate) -> str:
    """Says that a metric is not shown to be within its margin or limit."""
    if metric.kind == "score":
        if estimate.low is None:
            return "there is no comparison with a baseline"
        if metric.margin is None:
            return f"{_change(estimate)}, and the suite sets no margin"
        return f"{_change(estimate)}, which may be beyond the margin of {_margin(metric)}"
    if estimate.high is None:
        return "there is no comparison with a baseline"
    if metric.limit is None:
        return f"{_ratio(estimate)}, and the suite sets no limit"
    return f"{_ratio(estimate)}, which may be beyond the limit of {_limit(metric)}"


def worse(metric: Metric, estimate: Estimate) -> str:
    """Says that a metric is shown to be worse."""
    if metric.kind == "score":
        return f"{_change(estimate)}: worse than the baseline; margin {_margin(metric)}"
    return f"{_ratio(estimate)}: beyond the limit of {_limit(metric)}"


def few_changed(metric: Metric, estimate: Estimate) -> str:
    """Says that too few cases changed to call a metric worse."""
    cases = "case differs" if estimate.n_changed == 1 else "cases differ"
    return (
        f"{_change(estimate)}, but only {estimate.n_changed} {cases} between the arms: "
        f"look at them; margin {_margin(metric)}"
    )


def chance(metric: Metric, estimate: Estimate) -> str:
    """Says that a metric looks worse by no more than several metrics do by chance."""
    change = _change(estimate) if metric.kind == "score" else _ratio(estimate)
    return f"{change}: worse alone (p = {estimate.p_fail:.3f}), not among all gating metrics"


def watched(estimate: Estimate) -> str:
    """Describes latency, which has no test."""
    if estimate.candidate is None:
        return "no latency was measured"
    if estimate.baseline is None or estimate.estimate is None:
        return f"median {estimate.candidate:.3g} s, watched only"
    return (
        f"median {estimate.baseline:.3g} s -> {estimate.candidate:.3g} s, "
        f"x{estimate.estimate:.2f}, watched only"
    )


def no_floor(metric: Metric, estimate: Estimate) -> str:
    """Says that a first release has nothing to be judged by."""
    if metric.kind == "latency":
        return watched(estimate)
    what = "floor" if metric.kind == "score" else "ceiling_usd"
    return f"there is no baseline, and the suite sets no {what}"


def reached(metric: Metric, estimate: Estimate, rule: float, result: str) -> str:
    """Compares one arm with its floor or ceiling."""
    low, high = estimate.arm_low, estimate.arm_high
    if metric.kind == "score":
        name, text = "floor", f"{estimate.candidate:.3f} [{low:.3f}, {high:.3f}]"
        rule_text = f"{rule:g}"
        verb = {"pass": "reaches", "fail": "is below"}.get(result, "may be below")
    else:
        name, text = "ceiling", f"${estimate.candidate:.3g} a case [{low:.3g}, {high:.3g}]"
        rule_text = f"${rule:g}"
        verb = {"pass": "is under", "fail": "is above"}.get(result, "may be above")
    return f"{text} {verb} the {name} of {rule_text}"


def _change(estimate: Estimate) -> str:
    return f"{_score(estimate.estimate)} [{_score(estimate.low)}, {_score(estimate.high)}]"


def _ratio(estimate: Estimate) -> str:
    return f"x{estimate.estimate:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _score(value: float | None) -> str:
    return "unknown" if value is None else f"{value + 0.0:+.3f}"


def _margin(metric: Metric) -> str:
    return "none" if metric.margin is None else f"-{metric.margin:g}"


def _limit(metric: Metric) -> str:
    return "none" if metric.limit is None else f"x{metric.limit:.2f}"
