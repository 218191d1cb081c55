"""Metrics as a suite file writes them: which rules each kind takes, and what they may say.

- A rule that could not decide anything is refused where it is written, before any call.
- `slices` is shorthand: each tag becomes a metric of its own, watched unless it says otherwise.
- `by_context` adds four watched metrics, of the cases that use so much of the context window.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from llmvc.core.metric import Metric, MetricKind, Scorer, ScoreTest, Severity
from llmvc.core.suite import Case, Looks
from llmvc.errors import FormatError
from llmvc.files.check import unknown
from llmvc.files.reading import Document, Path

_IMPLIED: Final[Mapping[str, MetricKind]] = {
    "cost": "cost",
    "tokens": "tokens",
    "latency": "latency",
    "context": "context",
}
_BUCKETS: Final = ((0, 25), (25, 50), (50, 75), (75, 100))
"""Percent of the context window, the bounds of the metrics that `by_context` adds."""
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "score": frozenset(
        {
            "scorers",
            "margin",
            "floor",
            "scale",
            "test",
            "pass_k",
            "slice",
            "slices",
            "must_pass",
            "severity",
            "by_context",
        }
    ),
    "severe": frozenset({"scorers", "budget", "slice"}),
    "cost": frozenset({"limit", "ceiling_usd", "slice", "meant"}),
    "tokens": frozenset({"limit", "ceiling", "slice", "meant"}),
    "latency": frozenset({"limit", "quantile", "of", "slice", "meant"}),
    "context": frozenset({"ceiling", "quantile", "slice"}),
}
_WHOLE: Final = (0.0, 1.0)
_NEEDED: Final[Mapping[str, str]] = {
    "score": "margin",
    "cost": "limit",
    "tokens": "limit",
    "latency": "limit",
    "context": "ceiling",
}
"""What a metric that gates is held against."""


def read_metrics(
    document: Document,
    listed: Mapping[str, Any],
    scorers: Sequence[Scorer],
    cases: Sequence[Case],
    *,
    runs: int,
    looks: Looks,
) -> tuple[Metric, ...]:
    """Returns the metrics of a suite, in the order of its file.

    Args:
        document: the suite file.
        listed: metric name -> rules.
        scorers: the suite's.
        cases: the suite's; a tag that none of them has is an error.
        runs: runs per case and arm.
        looks: when a verdict may be read.

    Raises:
        FormatError: a rule means nothing, or could never decide.
    """
    tags = frozenset(tag for case in cases for tag in case.tags)
    found: list[Metric] = []
    for name, rules in listed.items():
        reader = _Reader(document, name, rules, {scorer.name: scorer for scorer in scorers}, tags)
        found += reader.metrics(runs, looks)
    names = [metric.name for metric in found]
    for name in names:
        if names.count(name) > 1:
            raise document.error(("metrics",), f"there are two metrics {name!r}")
    return tuple(found)


class _Reader:
    """Reads one metric."""

    def __init__(
        self,
        document: Document,
        name: str,
        rules: Mapping[str, Any],
        scorers: Mapping[str, Scorer],
        tags: frozenset[str],
    ) -> None:
        self._document = document
        self._name = name
        self._rules = rules
        self._scorers = scorers
        self._tags = tags
        self._kind: MetricKind = rules.get("kind", _IMPLIED.get(name, "score"))

    def metrics(self, runs: int, looks: Looks) -> list[Metric]:
        """Returns the metric, and one for each of its slices."""
        self._check_fields()
        whole = self.metric()
        self._check(whole, runs, looks)
        listed = self._rules.get("slices", {})
        slices = listed if isinstance(listed, Mapping) else {tag: {} for tag in listed}
        found = [whole]
        for tag, rules in slices.items():
            own = {**self._rules, "slice": tag, "gate": False, **(rules or {})}
            del own["slices"]
            # A rule on single cases is not asked twice, and a part of a part has few cases.
            for rule in ("must_pass", "severity", "by_context"):
                own.pop(rule, None)
            one = _Reader(
                self._document, f"{self._name}/{tag}", own, self._scorers, self._tags
            ).metric()
            self._known((tag,), "slices")
            self._check(one, runs, looks)
            found.append(one)
        return found + (self._by_context(whole) if self._rules.get("by_context") else [])

    def _by_context(self, whole: Metric) -> list[Metric]:
        """Returns the metric once more for the cases of each bucket, to be watched."""
        return [
            replace(
                whole,
                name=f"{self._name}/context-{low}-{high}",
                used=(low, high),
                gate=False,
                must_pass=(),
                severity=None,
            )
            for low, high in _BUCKETS
        ]

    def metric(self) -> Metric:
        """Returns the metric itself."""
        rules, kind = self._rules, self._kind
        scale = self._scale()
        severity = rules.get("severity")
        test: ScoreTest = rules.get("test", "el-score")
        return Metric(
            name=self._name,
            kind=kind,
            scorers=tuple(rules.get("scorers", ())),
            margin=self._number("margin"),
            limit=self._number("limit"),
            floor=self._number("floor"),
            ceiling_usd=self._number("ceiling_usd"),
            ceiling=self._number("ceiling"),
            gate=bool(rules.get("gate", self._gates())),
            scale=scale,
            test=test,
            pass_k=rules.get("pass_k"),
            slice=rules.get("slice"),
            must_pass=_listed(rules.get("must_pass", ())),
            severity=None
            if severity is None
            else Severity(float(severity["drop"]), int(severity.get("cases", 0))),
            budget=self._number("budget"),
            quantile=float(rules.get("quantile", 0.95 if kind == "context" else 0.5)),
            of=rules.get("of", "total"),
            meant=rules.get("meant"),
        )

    def _gates(self) -> bool:
        """Says whether the metric gates unless the file says otherwise."""
        rule = {"cost": "limit", "tokens": "limit", "context": "ceiling"}.get(self._kind)
        return self._kind in ("score", "severe") or rule in self._rules

    def _scale(self) -> tuple[float, float]:
        """Returns the metric's range: its own, or the one that all of its scorers share."""
        written: Any = self._rules.get("scale")
        if written is None:
            shared: list[Any] = [
                self._scorers[name].options.get("scale")
                for name in self._rules.get("scorers", ())
                if name in self._scorers
            ]
            same = shared and all(item == shared[0] for item in shared)
            written = shared[0] if same and isinstance(shared[0], list) else _WHOLE
        ends = [float(end) for end in written]
        if len(ends) != 2 or ends[0] >= ends[1]:
            raise self._error("scale", "is no range", "write its two ends, such as [1, 5]")
        return ends[0], ends[1]

    def _check_fields(self) -> None:
        allowed = _FIELDS[self._kind] | {"kind", "gate"}
        for field in self._rules:
            if field not in allowed:
                what = f"means nothing for a metric of kind {self._kind}"
                raise self._error(field, what, f"remove {field}")
        if "slice" in self._rules and "must_pass" in self._rules:
            raise self._error(
                "must_pass", "stands beside slice", "give it to a metric of all cases"
            )
        if "slice" in self._rules and "slices" in self._rules:
            raise self._error("slices", "stands beside slice", "write one of them")
        known = list(self._scorers)
        for scorer in self._rules.get("scorers", ()):
            if scorer not in known:
                what = f"metrics.{self._name} names scorer {scorer!r}, which is not among scorers"
                told = unknown(what, scorer, known) if known else what
                raise self._document.error(("metrics", self._name), told)
        if self._kind in ("score", "severe") and not self._rules.get("scorers"):
            raise self._error("scorers", "is missing", "name its scorers")

    def _check(self, metric: Metric, runs: int, looks: Looks) -> None:
        needed = _NEEDED.get(metric.kind)
        if metric.gate and needed and getattr(metric, needed) is None:
            raise self._error(needed, "is missing", f"write {needed}:, or gate: false")
        if metric.margin is not None and metric.margin >= metric.span:
            what = f"must be below {metric.span:g}, not {metric.margin:g}"
            raise self._error("margin", what, "a margin as wide as the scale allows anything")
        low, high = metric.scale
        if metric.floor is not None and not low <= metric.floor <= high:
            raise self._error("floor", f"is outside the scale [{low:g}, {high:g}]", "move it in")
        if metric.severity is not None and metric.severity.drop > metric.span:
            what = f"is {metric.severity.drop:g}, more than the scale allows"
            raise self._error("severity", what, f"write a drop of at most {metric.span:g}")
        if metric.pass_k is not None and (metric.pass_k > runs or metric.scale != _WHOLE):
            what = f"is {metric.pass_k}, and a case has {runs} runs on a scale of 0 to 1"
            raise self._error("pass_k", what, "raise runs, or write a smaller number")
        if metric.alone and metric.ceiling is not None and metric.ceiling > 1:
            what = f"is {metric.ceiling:g}, more than the whole window"
            raise self._error("ceiling", what, "write a share of the window, such as 0.9")
        if metric.meant is not None and metric.limit is None:
            raise self._error("meant", "declares no limit", "write limit: beside it")
        if metric.slice is not None:
            self._known((metric.slice,), "slice")
        self._known(metric.must_pass, "must_pass")
        if looks.by == "any-time" and metric.gate and metric.kind != "score":
            raise self._error("gate", "cannot be true with looks: any-time", "write gate: false")
        if looks.by == "any-time" and "test" in self._rules:
            raise self._error("test", "is not used with looks: any-time", "remove test")

    def _known(self, wanted: Iterable[str], field: str) -> None:
        for tag in wanted:
            if tag not in self._tags:
                what = f"metrics.{self._name}.{field} names tag {tag!r}, which no case has"
                known = sorted(self._tags)
                told = unknown(what, tag, known) if known else what
                raise self._document.error(("metrics", self._name), told)

    def _number(self, name: str) -> float | None:
        return float(self._rules[name]) if name in self._rules else None

    def _error(self, field: str, what: str, hint: str) -> FormatError:
        here: Path = ("metrics", self._name.partition("/")[0])
        if field in self._rules:
            here = (*here, field)
        return self._document.error(here, f"metrics.{self._name}.{field} {what}", hint=hint)


def _listed(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
