"""What a reader of a report wants to know beside the numbers, as labelled sentences.

Terminal, Markdown and HTML show the same ones.
"""

from typing import TYPE_CHECKING, Final

from llmvc.core.digest import short
from llmvc.core.judging import Evidence
from llmvc.core.plural import count
from llmvc.core.report import ARMS
from llmvc.errors import FormatError
from llmvc.gate.level import note
from llmvc.render import spellings, views

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmvc.app.reporting import Reading
    from llmvc.core.estimate import Estimate, MetricVerdict
    from llmvc.core.metric import Metric
    from llmvc.core.report import Report, Run
    from llmvc.evals.changes import CaseChange, Changes, Scores

Facts = list[tuple[str, str]]

MEANING: Final = {
    "broken": "right under the baseline, wrong under the candidate",
    "fixed": "wrong under the baseline, right under the candidate",
    "flaky": "runs of one arm disagree",
    "lower": "lower, on the same side of right and wrong",
    "higher": "higher, on the same side of right and wrong",
    "wrong": "wrong, and there is no baseline to compare with",
}
"""What became of a case, in words."""
CHECKS: Final = {
    "mcnemar": "no change (McNemar, exact)",
    "mcnemar_mid_p": "no change (McNemar, mid-p)",
    "wilcoxon": "no change (Wilcoxon)",
    "changed": "nothing changed on any case",
}
_RULES: Final = {
    "must_pass": ("must pass", "must pass and did not"),
    "severity": ("fell far", "fell as far as the severity rule names"),
    "severe": ("severe", "failed severely, and never did under the baseline"),
}
_LONG: Final = 60
_IDS: Final = 20
_SCORES: Final = 10


def title(reading: "Reading") -> str:
    """Names the two versions."""
    report = reading.report
    against = f"against {short(report.baseline)}" if report.baseline else "with no baseline"
    return f"{report.bundle} {short(report.candidate)} {against}"


def head(reading: "Reading") -> Facts:
    """Returns what holds for the whole report."""
    report, suite, standing = reading.report, reading.suite, reading.standing
    runs = {len(runs) for case in report.cases for runs in (case.candidate, case.baseline) if runs}
    each = count(max(runs, default=0), "run")
    each = f"{min(runs)} to {each}" if len(runs) > 1 else each
    planned = report.planned.get("cases", len(report.cases))
    of = f" of {planned:,} planned" if planned != len(report.cases) else ""
    by = f" by {report.actor}" if report.actor else ""
    facts = [
        ("report", short(report.digest)),
        ("measured", f"{count(len(report.cases), 'case')}{of} x {each}, {report.finished}{by}"),
        ("suite", short(report.suite)),
        ("look", _look(reading)),
        ("tried", _tried(reading)),
        ("alpha", _alpha(reading)),
    ]
    stricter = note(suite, standing)
    if stricter:
        facts.append(("stricter", stricter))
    if report.merges:
        facts.append(("unites", ", ".join(short(item) for item in report.merges)))
    facts += _judges(report)
    errors = _errors(reading)
    if errors:
        facts.append(("errors", errors))
    if report.recorded:
        facts.append(("recorded", "outputs were replayed from recordings of real calls"))
    return facts + [("note", item) for item in reading.notes]


def _judges(report: "Report") -> Facts:
    """Says who graded, and what could be said of them then; the verdict tells what came since."""
    facts: Facts = []
    for own, value in sorted(report.judges.items()):
        try:
            told = Evidence.from_dict(value)
        except FormatError:
            continue
        labelled = {case for cases in told.labels.values() for case in cases}
        who = f"{told.name} {short(own)}, {told.state} then, for {', '.join(told.scorers)}"
        parts = [f"{who}: {count(told.graded, 'answer')}"]
        if told.protocol != "pointwise":
            parts.append(f"on {told.flips:,} of them the two orders disagreed")
        if told.usd:
            parts.append(f"${told.usd:.4f}")
        if told.flagged:
            parts.append(f"{told.flagged:,} of them aimed at it")
        if labelled:
            parts.append(f"people labelled {count(len(labelled), 'case')}")
        if told.warnings:
            parts.append(f"warnings: {', '.join(told.warnings)}")
        facts.append(("judge", "; ".join(parts)))
    return facts


def _look(reading: "Reading") -> str:
    looks, at = reading.suite.looks, reading.standing.look or 1
    if looks.by == "any-time":
        return "at any time: the verdict may be read after any case"
    text = f"{at} of {len(looks.at)}"
    if len(looks.at) > 1:
        text += f", {looks.by} are added between looks"
    return text + (", of measurements that were united" if reading.standing.merged else "")


def _alpha(reading: "Reading") -> str:
    """Says at which error rate the report was made, and why not at the suite's."""
    made, whole = reading.report.alpha, reading.suite.alpha
    if made >= whole:
        return f"{made:.3g}, one-sided"
    looks = len(reading.suite.looks.at)
    share = "this look's share" if looks > 1 else "a share"
    return f"{made:.3g}, {share} of {whole:g}; one-sided"


def _tried(reading: "Reading") -> str:
    tried, most = reading.standing.tried, reading.suite.candidates
    so_far = f"{count(tried, 'candidate')} so far on this baseline and suite"
    return f"{so_far}; {most} may be tried at the full alpha"


def _errors(reading: "Reading") -> str:
    runs = [
        (case, arm, run)
        for case in reading.report.cases
        for arm in ARMS
        for run in getattr(case, arm)
        if run.error is not None
    ]
    if not runs:
        return ""
    case, arm, run = runs[0]
    such = f"case {case.id} run {run.run}, {arm}: {run.error}"
    return f"{count(len(runs), 'run')} with an error, such as {such}"


def outcome(judged: "MetricVerdict | None") -> str:
    """Returns what became of a metric: its verdict, or that it is only watched."""
    if judged is None or not judged.gate:
        return "watched"
    return f"{judged.verdict}, degraded" if judged.degraded else judged.verdict


def metric(rule: "Metric | None", item: "Estimate", judged: "MetricVerdict | None") -> Facts:
    """Returns what holds for one metric."""
    facts: Facts = []
    if judged is not None and judged.reason:
        facts.append(("why", judged.reason))
    if item.reason is not None and (judged is None or item.reason not in judged.reason):
        facts.append(("undefined", item.reason))
    facts.append(("cases", _cases(item)))
    facts += _judge_alone(item)
    spread = _spread(item)
    if spread:
        facts.append(("spread", spread))
    if item.fixed_low is not None and item.fixed_high is not None:
        ends = f"[{item.fixed_low:+.3f}, {item.fixed_high:+.3f}]"
        facts.append(("these cases", f"{ends} on exactly these cases; says nothing about others"))
    if item.arm_low is not None and item.arm_high is not None and item.baseline is not None:
        ends = f"[{views.value(item, item.arm_low)}, {views.value(item, item.arm_high)}]"
        facts.append(("alone", f"the candidate alone: {views.value(item, item.candidate)} {ends}"))
    if quantiles := item.details.get("quantiles"):
        facts.append(("quantiles", _quantiles(item, quantiles)))
    if truncated := item.details.get("truncated"):
        facts.append(("truncated", _truncated(truncated)))
    facts += spellings.told(item)
    if item.method:
        facts.append(("method", _method(item)))
    if item.checks:
        told = ", ".join(
            f"p {p:.2g} for {CHECKS.get(name, name)}" for name, p in item.checks.items()
        )
        facts.append(("describes only", told))
    if rule is not None and rule.meant:
        facts.append(("meant", rule.meant))
    for name, ids in item.cases.items():
        label, what = _RULES.get(name, (name, "broke it"))
        facts.append((label, f"{count(len(ids), 'case')} {what}: {_listed(ids)}"))
    return facts


def _cases(item: "Estimate") -> str:
    text = count(item.n, "case")
    if item.n_effective is not None and abs(item.n_effective - item.n) > 0.5:
        text += f", worth {item.n_effective:.0f} independent ones"
    labels = item.details.get("judge", {}).get("labels")
    if labels:
        # What differs is counted where people said so: the judge's grades are what they correct.
        text += f", {labels:,.0f} of them labelled, of which"
        return f"{text} {item.n_worse} are lower, {item.n_better} higher than under the baseline"
    if item.baseline is not None and item.kind in ("score", "cost", "tokens"):
        text += f"; {item.n_worse} lower, {item.n_better} higher than under the baseline"
    return text


def _judge_alone(item: "Estimate") -> Facts:
    """Says what the judge's grades show without the labels that corrected them."""
    told = item.details.get("judge", {})
    value, low, high = (told.get(f"reported{end}") for end in ("", "_low", "_high"))
    if not told.get("labels") or value is None or low is None or high is None:
        return []
    said = f"{value:+.3f} [{low:+.3f}, {high:+.3f}], without the labels"
    return [("judge alone", f"{said}; single cases are listed by its grades")]


def _spread(item: "Estimate") -> str:
    """Says how much of the variance repeated runs make: no more than that can more runs remove."""
    if item.var_case is None or item.var_run is None:
        return ""
    whole = item.var_case + item.var_run
    if whole <= 0:
        return "none: every case and every run agrees"
    return (
        f"{item.var_run / whole:.0%} of the variance comes from repeated runs (var_run "
        f"{_tidy(item.var_run)}), the rest from the cases (var_case {_tidy(item.var_case)})"
    )


def _tidy(variance: float) -> str:
    """Shows a variance without the noise of rounding."""
    return f"{round(variance, 12):.3g}"


def _method(item: "Estimate") -> str:
    parts = [item.method]
    if item.p_pass is not None:
        parts.append(f"chance of a result this good at the {_bound(item)}: p {item.p_pass:.2g}")
    if item.p_fail is not None:
        compared = item.kind == "score" and item.baseline is not None
        where = "if nothing were worse" if compared else f"at the {_bound(item)}"
        parts.append(f"of one this bad {where}: p {item.p_fail:.2g}")
    if item.alpha is not None:
        parts.append(f"interval of level {1 - 2 * item.alpha:.4g}")
    return "; ".join(parts)


def _bound(item: "Estimate") -> str:
    """Names what an estimate is held against."""
    if item.kind == "severe":
        return "budget"
    if item.baseline is None or item.kind == "context":
        return "floor" if item.kind == "score" else "ceiling"
    return "margin" if item.kind == "score" else "limit"


def _quantiles(item: "Estimate", told: "Mapping[str, float | None]") -> str:
    """Shows median and tails of both arms over all runs."""
    names = dict.fromkeys(name.rpartition(" ")[2] for name in told)
    return ", ".join(
        " ".join((name, " -> ".join(views.value(item, told[arm]) for arm in _both(told, name))))
        for name in names
    )


def _truncated(told: "Mapping[str, float | None]") -> str:
    """Says in what share of an arm's runs messages were left out to fit the window."""
    shares = (f"{told[arm]:.1%}" for arm in _both(told))
    return f"{' -> '.join(shares)} of the runs left out messages to fit the window"


def _both(told: "Mapping[str, float | None]", name: str = "") -> list[str]:
    """Returns the members of a group for the baseline and the candidate, as far as it has them."""
    listed = (f"{arm} {name}".rstrip() for arm in ARMS)
    return [arm for arm in listed if told.get(arm) is not None]


def _listed(ids: "tuple[str, ...]") -> str:
    more = f" and {len(ids) - _IDS:,} more" if len(ids) > _IDS else ""
    return ", ".join(map(cut, ids[:_IDS])) + more


def counts(changed: "Changes") -> str:
    """Says how many cases there are of each kind."""
    found = changed.counts
    if not found:
        return "no case changed"
    return ", ".join(f"{n:,} {kind}" for kind, n in found.items())


def line(text: str) -> str:
    """Returns foreign text on one line."""
    return " ".join(text.split())


def cut(text: str, most: int = _LONG) -> str:
    """Returns the beginning of a foreign text, on one line."""
    whole = line(text)
    return whole if len(whole) <= most else f"{whole[: most - 3]}..."


def scores(values: "Scores") -> str:
    """Shows the score of each run, the first few."""
    shown = ["-" if value is None else f"{value:.3g}" for value in values[:_SCORES]]
    return " ".join(shown) + (" ..." if len(values) > _SCORES else "")


def change(item: "CaseChange") -> str:
    """Shows the change of one case's mean."""
    return "" if item.change is None else f"{item.change + 0.0:+.3f}"


def labels(item: "CaseChange") -> str:
    """Shows a case's group and tags."""
    group = [f"group {item.case.group}"] if item.case.group else []
    return line(", ".join((*group, *item.case.tags)))


def run(one: "Run | None") -> str:
    """Shows which run of the run cache an output is."""
    if one is None:
        return "-"
    return line(one.error) if one.error is not None else short(one.run_id)
