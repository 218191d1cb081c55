"""Intervals drawn against what they are held to, as bars of text; plots draw the same spans.

- Metrics of one kind and scale share an axis, so that their bars stand under each other.
- Ratios are drawn on a logarithmic axis: twice and half are equally far from no change.
- A metric without an interval has no span: a bar that is not drawn cannot mislead.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmvc.core.estimate import Estimate, Verdict
    from llmvc.core.metric import Metric
    from llmvc.core.report import Report
    from llmvc.core.suite import Suite

WIDTH: Final = 40
"""Characters of a bar."""
_PAD: Final = 0.05


@dataclass(frozen=True, slots=True)
class Span:
    """One metric's interval.

    Attributes:
        metric: its name.
        low: lower end.
        point: the estimate.
        high: upper end.
        same: where nothing changed; None if there is nothing to compare with.
        rule: the margin, limit, floor, ceiling or budget; None if the suite sets none.
        outcome: the metric's verdict, or `watched`.
    """

    metric: str
    low: float
    point: float
    high: float
    same: float | None
    rule: float | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Panel:
    """Spans that share an axis.

    Attributes:
        what: what the axis measures, such as `difference of scores`.
        better: which side is better, `left` or `right`.
        rule: what the rule is called.
        ratio: whether the axis is logarithmic, and numbers are factors.
        unit: how numbers are written, such as `{:+.2f}`.
        spans: at least one.
    """

    what: str
    better: str
    rule: str
    ratio: bool
    unit: str
    spans: tuple[Span, ...]

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the axis, a little beyond everything that is drawn."""
        drawn = [
            self.scaled(value)
            for span in self.spans
            for value in (span.low, span.point, span.high, span.same, span.rule)
            if value is not None
        ]
        low, high = min(drawn), max(drawn)
        pad = _PAD * (high - low) or 1e-3
        return self._back(low - pad), self._back(high + pad)

    def scaled(self, value: float) -> float:
        """Returns where a value lies on the axis, in the axis's own measure."""
        return log(max(value, 1e-9)) if self.ratio else value

    def _back(self, value: float) -> float:
        return exp(value) if self.ratio else value


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What a bar is drawn with."""

    line: str
    left: str
    right: str
    point: str
    same: str
    rule: str
    same_inside: str
    rule_inside: str


UNICODE: Final = Glyphs("─", "├", "┤", "●", "│", "┊", "┼", "╪")
ASCII: Final = Glyphs("-", "[", "]", "o", "|", ":", "+", "#")


def glyphs(encoding: str | None) -> Glyphs:
    """Returns what an output of this encoding can show."""
    return UNICODE if (encoding or "").lower().replace("-", "") == "utf8" else ASCII


def panels(report: "Report", suite: "Suite", judged: "Verdict") -> tuple[Panel, ...]:
    """Returns what can be drawn of a report, one panel for each kind of metric and scale."""
    metrics = {metric.name: metric for metric in suite.metrics}
    outcomes = {item.metric: item.verdict if item.gate else "watched" for item in judged.metrics}
    paired = report.baseline is not None
    found: dict[tuple[str, tuple[float, float]], list[Span]] = {}
    for estimate in report.estimates:
        metric = metrics.get(estimate.metric)
        outcome = outcomes.get(estimate.metric, "watched")
        span = _span(metric, estimate, outcome, paired=paired) if metric else None
        if metric is not None and span is not None:
            found.setdefault((metric.kind, metric.scale), []).append(span)
    return tuple(
        Panel(*_axis(kind, scale, paired=paired), tuple(spans))
        for (kind, scale), spans in found.items()
    )


def _span(metric: "Metric", item: "Estimate", outcome: str, *, paired: bool) -> Span | None:
    compared = paired and metric.kind != "severe" and not metric.alone
    low, high = (item.low, item.high) if compared else (item.arm_low, item.arm_high)
    point = item.estimate if compared else item.candidate
    if low is None or high is None or point is None:
        return None
    return Span(item.metric, low, point, high, *_marks(metric, item, paired=paired), outcome)


def _marks(
    metric: "Metric", item: "Estimate", *, paired: bool
) -> tuple[float | None, float | None]:
    """Returns where nothing changed, and the rule."""
    if metric.kind == "severe" or metric.alone:
        return (item.baseline if paired else None), metric.rule(has_baseline=paired)
    if metric.kind == "score":
        margin = None if metric.margin is None else -metric.margin
        return (0.0, margin) if paired else (None, metric.floor)
    return (1.0 if paired else None), metric.rule(has_baseline=paired)


def _axis(
    kind: str, scale: tuple[float, float], *, paired: bool
) -> tuple[str, str, str, bool, str]:
    """Returns the members of a panel that its kind settles."""
    if kind == "severe":
        return "cases with a severe failure", "left", "budget", False, "{:.1%}"
    if kind == "score":
        what = "scores" if scale == (0.0, 1.0) else f"scores from {scale[0]:g} to {scale[1]:g}"
        if paired:
            return f"{what}, candidate minus baseline", "right", "margin", False, "{:+.2f}"
        return what, "right", "floor", False, "{:.2f}"
    if kind == "context":
        return "share of the context window used", "left", "ceiling", False, "{:.1%}"
    if paired:
        return f"{kind}, candidate over baseline", "left", "limit", True, "x{:.2f}"
    unit = {"cost": "${:.4g}", "tokens": "{:,.0f}"}.get(kind, "{:.2f}s")
    return kind, "left", "ceiling", False, unit


def bar(span: Span, panel: Panel, glyph: Glyphs, width: int = WIDTH) -> str:
    """Draws one span.

    Args:
        span: what to draw.
        panel: the axis that it shares.
        glyph: what to draw with.
        width: characters.
    """
    cells = [" "] * width
    low, high = _cell(span.low, panel, width), _cell(span.high, panel, width)
    cells[low : high + 1] = glyph.line * (high - low + 1)
    cells[low], cells[high] = glyph.left, glyph.right
    for value, alone, inside in (
        (span.same, glyph.same, glyph.same_inside),
        (span.rule, glyph.rule, glyph.rule_inside),
    ):
        if value is not None:
            at = _cell(value, panel, width)
            cells[at] = inside if low < at < high else alone
    cells[_cell(span.point, panel, width)] = glyph.point
    return "".join(cells)


def ticks(panel: Panel, width: int = WIDTH) -> str:
    """Returns the line of numbers below the bars of a panel."""
    first, last = panel.ends
    cells = [" "] * width
    same = {span.same for span in panel.spans if span.same is not None}
    values = [*((next(iter(same)),) if len(same) == 1 else ()), first, last]
    for value in values:
        plain = "x1" if panel.ratio else "0"
        text = plain if value in same and value in (0, 1) else panel.unit.format(value)
        at = min(max(0, _cell(value, panel, width) - len(text) // 2), width - len(text))
        around = cells[max(0, at - 1) : at + len(text) + 1]
        if all(cell == " " for cell in around):
            cells[at : at + len(text)] = text
    return "".join(cells).rstrip()


def marks(shown: Iterable[Panel]) -> dict[str, str]:
    """Returns what the marks `same` and `rule` mean, those that are drawn."""
    listed = list(shown)
    rules = {panel.rule for panel in listed if any(s.rule is not None for s in panel.spans)}
    found: dict[str, str] = {}
    if any(span.same is not None for panel in listed for span in panel.spans):
        found["same"] = "no change"
    if rules:
        *most, last = sorted(rules, reverse=True)
        found["rule"] = " or ".join(filter(None, [", ".join(most), last]))
    return found


def legend(shown: Iterable[Panel], glyph: Glyphs) -> str:
    """Returns what the signs in the bars mean."""
    parts = [f"{glyph.left}{glyph.line}{glyph.point}{glyph.line}{glyph.right} estimate, interval"]
    signs = {"same": glyph.same, "rule": glyph.rule}
    parts += [f"{signs[name]} {meaning}" for name, meaning in marks(shown).items()]
    return "   ".join(parts)


def _cell(value: float, panel: Panel, width: int) -> int:
    first, last = (panel.scaled(end) for end in panel.ends)
    share = (panel.scaled(value) - first) / (last - first)
    return min(width - 1, max(0, round(share * (width - 1))))
