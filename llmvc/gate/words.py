"""The sentences of a verdict: short, with the numbers that they rest on."""

from collections.abc import Sequence
from typing import Final

from llmvc.core.estimate import Estimate
from llmvc.core.metric import Metric, Severity
from llmvc.core.plural import count

SHOWN: Final = 3
"""How many case ids a sentence names."""
TOP_CASES: Final = 2
"""So many of the dearest cases may not hold over a quarter of a cost."""
_COMPARED: Final = {"cost": ("cheaper", "dearer"), "latency": ("faster", "slower")}
_SOURCES: Final = {
    "cost": "let the provider state costs, or give the model a price under prices:",
    "tokens": "let the provider state its usage",
    "context": "write context.window in the bundle, or give the model max_input_tokens under "
    "prices:, and let the provider state its usage",
}


def rule(metric: Metric, *, has_baseline: bool) -> str:
    """Says what a metric is held against; empty if it is not."""
    if metric.kind == "severe":
        return "no new case" if metric.budget is None else f"budget {metric.budget:g}"
    if metric.kind == "score":
        if has_baseline:
            return "" if metric.margin is None else f"margin {_margin(metric)}"
        return "" if metric.floor is None else f"floor {metric.floor:g}"
    if has_baseline and not metric.alone:
        meant = f" (meant: {metric.meant})" if metric.meant else ""
        return "" if metric.limit is None else f"limit {_limit(metric)}{meant}"
    ceiling = metric.rule(has_baseline=False)
    return "" if ceiling is None else f"ceiling {_amount(metric, ceiling)}"


def within(metric: Metric, estimate: Estimate, *, worse: bool) -> str:
    """Says that a metric is within its margin or limit."""
    if metric.kind == "score":
        if (estimate.low or 0.0) > 0:
            return f"{_change(estimate)}, better than the baseline"
        note = "worse, yet" if worse else "at worst"
        return (
            f"{_change(estimate)}, {note} {_score(estimate.low)}, "
            f"within the margin of {_margin(metric)}"
        )
    better, above = _COMPARED.get(metric.kind, ("lower", "higher"))
    if estimate.high is not None and estimate.high < 1:
        return f"{_ratio(estimate)}, {better} than the baseline"
    note = f"{above}, yet" if worse else "at worst"
    return f"{_ratio(estimate)}, {note} x{estimate.high:.2f}, within the limit of {_limit(metric)}"


def beyond(metric: Metric, estimate: Estimate) -> str:
    """Says that a metric is not shown to be within its margin or limit."""
    score = metric.kind == "score"
    what, rule = ("margin", metric.margin) if score else ("limit", metric.limit)
    if estimate.low is None:
        return "there is no comparison with a baseline"
    change = _change(estimate) if score else _ratio(estimate)
    if rule is None:
        return f"{change}, and no {what} is set"
    allowed = _margin(metric) if score else _limit(metric)
    return f"{change}, which may be beyond the {what} of {allowed}"


def strict(metric: Metric, estimate: Estimate, level: float) -> str:
    """Says that a metric is within its rule, yet not as surely as is asked now."""
    change = _change(estimate) if metric.kind == "score" else _ratio(estimate)
    p = "unknown" if estimate.p_pass is None else f"{estimate.p_pass:.2g}"
    return f"{change}: within the rule with p = {p}, and {level:.2g} is asked"


def worse(metric: Metric, estimate: Estimate) -> str:
    """Says that a metric is shown to be worse."""
    if metric.kind == "severe":
        return rare(metric, estimate)
    if metric.kind == "score":
        far = metric.margin is not None and (estimate.high or 0.0) < -metric.margin
        how = "far worse than the baseline, beyond" if far else "worse than the baseline;"
        return f"{_change(estimate)}: {how} margin {_margin(metric)}"
    if metric.alone and metric.ceiling is not None:
        return reached(metric, estimate, metric.ceiling, "fail")
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
    if metric.kind == "severe":
        change = rare(metric, estimate)
    elif metric.alone:
        change = _arm(metric, estimate)
    else:
        change = _change(estimate) if metric.kind == "score" else _ratio(estimate)
    among = "gating" if metric.gate else "watched"
    return f"{change}: worse alone (p = {estimate.p_fail:.3f}), not among all {among} metrics"


def watched(metric: Metric, estimate: Estimate) -> str:
    """Describes a latency or a share of the window without a rule."""
    if estimate.candidate is None:
        return estimate.reason or f"no {metric.kind} was measured"
    after = _amount(metric, estimate.candidate)
    if estimate.baseline is None or estimate.estimate is None:
        return f"{after}, watched only"
    before = _amount(metric, estimate.baseline)
    return f"{before} -> {after}, x{estimate.estimate:.2f}, watched only"


def must_pass(cases: Sequence[str]) -> str:
    """Says which cases failed that must not."""
    return f"{count(len(cases), 'case')} must pass and did not: {_listed(cases)}"


def fallen(cases: Sequence[str], severity: Severity) -> str:
    """Says which cases fell further than the severity rule allows."""
    return (
        f"{count(len(cases), 'case')} fell by {severity.drop:g} or more and "
        f"{severity.cases} may: {_listed(cases)}"
    )


def severe(cases: Sequence[str], *, has_baseline: bool) -> str:
    """Says which cases failed severely for the first time."""
    new = " and never did under the baseline" if has_baseline else ""
    return (
        f"{count(len(cases), 'case')} failed severely{new}: {_listed(cases)}; "
        "a person must look at them"
    )


def rare(metric: Metric, estimate: Estimate) -> str:
    """Compares the share of cases with a severe failure with its budget."""
    rate, high = estimate.candidate, estimate.arm_high
    if rate is None or high is None:
        return "the share of severe failures is not known"
    text = f"severe in {rate:.2%} of {count(estimate.n, 'case')}, at most {high:.2%}"
    return text if metric.budget is None else f"{text}; budget {metric.budget:.2%}"


def no_floor(metric: Metric) -> str:
    """Says that a first release has nothing to be judged by."""
    if metric.kind == "latency":
        return "there is no baseline to compare with yet"
    if metric.alone:
        return "the suite sets no ceiling"
    return f"there is no baseline, and the suite sets no {_first_rule(metric)}"


def reached(metric: Metric, estimate: Estimate, rule: float, result: str) -> str:
    """Compares one arm with its floor or ceiling."""
    low, high = estimate.arm_low, estimate.arm_high
    if metric.kind == "score":
        text = f"{estimate.candidate:.3f} [{low:.3f}, {high:.3f}]"
        verb = {"pass": "reaches", "fail": "is below"}.get(result, "may be below")
        return f"{text} {verb} the floor of {rule:g}"
    verb = {"pass": "is under", "fail": "is above"}.get(result, "may be above")
    return f"{_arm(metric, estimate)} {verb} the ceiling of {_amount(metric, rule)}"


def look_at_severe() -> str:
    """Says who settles a new severe failure."""
    return "see the outputs with llmvc report, then promote with --clear-severe"


def look_at_changed(estimate: Estimate) -> str:
    """Says what to do where too few cases changed for a number to mean anything."""
    differ = "case that differs" if estimate.n_changed == 1 else "cases that differ"
    return f"see the {estimate.n_changed} {differ} with llmvc report"


def cases_that_differ(cases: Sequence[str]) -> str:
    """Says the same of two files, which hold no outputs."""
    differ = "case that differs" if len(cases) == 1 else "cases that differ"
    return f"look at the {differ}: {', '.join(cases)}"


def more_groups(missing: int) -> str:
    """Says that cases of the present groups tell nothing new."""
    return f"cases of about {count(missing, 'further group')}, or groups of more even size"


def set_rule(metric: Metric, *, has_baseline: bool) -> str:
    """Says which rule the suite has to set."""
    if metric.kind == "severe":
        return f"give {metric.name} a budget in the suite"
    if metric.alone:
        return f"give {metric.name} a ceiling in the suite"
    if has_baseline:
        what = "margin" if metric.kind == "score" else "limit"
        return f"give {metric.name} a {what} in the suite"
    if metric.kind == "latency":
        return f"{metric.name} has nothing to be compared with yet: promote with --adopt --reason"
    what = _first_rule(metric)
    return f"give {metric.name} a {what} in the suite, or promote with --adopt --reason"


def mend(metric: Metric, estimate: Estimate) -> str:
    """Says what to do about a metric that is undefined for another reason than too few cases."""
    watch = f"watch {metric.name} only, with gate: false"
    total = metric.kind in ("cost", "tokens")
    if total and estimate.baseline is not None and estimate.candidate is not None:
        what = "cost" if metric.kind == "cost" else "total"
        if not (estimate.baseline > 0 and estimate.candidate > 0):
            return f"a {what} of nothing has no ratio: {watch}"
        return f"more cases, so that no {TOP_CASES} of them hold so much of the {what}; or {watch}"
    if metric.kind in _SOURCES:
        return f"{_SOURCES[metric.kind]}; or {watch}"
    if metric.kind == "latency" and metric.of == "first-token":
        return f"stream the answers, with stream: true on the provider; or {watch}"
    what = "latency" if metric.kind == "latency" else "score"
    return f"see why runs of {metric.name} have no usable {what}, then llmvc eval again; or {watch}"


def mend_files(metric: Metric, estimate: Estimate) -> str:
    """Says the same as `mend` of two files, which have no suite."""
    told = estimate.baseline is not None and estimate.candidate is not None
    if metric.kind == "cost":
        leave = "leave out --cost-limit"
        if not told:
            return f"give every line its cost_usd, or {leave}"
        if not estimate.baseline:
            return f"a baseline that costs nothing has no ratio: {leave}"
        return f"more cases, so that no {TOP_CASES} of them hold so much of the cost; or {leave}"
    if metric.kind == "latency":
        return "give every line a latency_s above 0, or leave out --latency-limit"
    return f"give every line a score {metric.name}, and run it again"


def measure_again(metric: Metric) -> str:
    """Says that a report lacks what a verdict on a metric rests on."""
    return f"the report holds no usable interval for {metric.name}: llmvc eval again"


def over_budget(metric: Metric) -> str:
    """Says that more cases do not help where too many fail severely."""
    return (
        f"{metric.name} fails more often than its budget allows: mend that, or fix a wider budget "
        "before measuring"
    )


def too_near() -> str:
    """Says that no affordable number of cases decides."""
    return "more cases of this kind hardly settle it: the difference is too near the rule"


def _first_rule(metric: Metric) -> str:
    """Names the rule that a first release is held against."""
    return {"score": "floor", "cost": "ceiling_usd"}.get(metric.kind, "ceiling")


def _amount(metric: Metric, value: float) -> str:
    """Shows a value of what is counted or timed, in its unit."""
    if metric.kind == "cost":
        return f"${value:g}"
    if metric.kind == "context":
        return f"{value:.1%}"
    return f"{value:,.0f} tokens" if metric.kind == "tokens" else f"{value:.3g} s"


def _arm(metric: Metric, estimate: Estimate) -> str:
    """Shows the candidate alone with its interval."""
    mean, low, high = estimate.candidate or 0.0, estimate.arm_low or 0.0, estimate.arm_high or 0.0
    if metric.kind == "cost":
        return f"${mean:.3g} a case [{low:.3g}, {high:.3g}]"
    if metric.kind == "tokens":
        return f"{mean:,.0f} tokens a case [{low:,.0f}, {high:,.0f}]"
    return f"p{100 * metric.quantile:g} {mean:.1%} of the window [{low:.1%}, {high:.1%}]"


def _listed(cases: Sequence[str]) -> str:
    more = f" and {len(cases) - SHOWN} more" if len(cases) > SHOWN else ""
    return ", ".join(cases[:SHOWN]) + more


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
