"""A report for the terminal: verdict, table, bars, and what changed case by case."""

from collections.abc import Iterable
from textwrap import fill
from typing import TYPE_CHECKING, Final

from llmvc.render import facts, migration, spans, views
from llmvc.render.spans import Glyphs, Panel
from llmvc.render.text import paint, table

if TYPE_CHECKING:
    from llmvc.app.reporting import Reading
    from llmvc.core.report import Run
    from llmvc.evals.changes import CaseChange, Changes

WIDTH: Final = 100
"""Characters of a line of prose; rows of a table are as wide as they must be."""
MOST_OUTPUT: Final = 600
"""Characters of an output that a terminal shows."""
_LABEL: Final = 14


def text(reading: "Reading", glyph: Glyphs, *, colored: bool) -> str:
    """Shows a report.

    Args:
        reading: the report and what stands beside it.
        glyph: what bars are drawn with.
        colored: whether verdicts are coloured.
    """
    judged = reading.verdict
    told = paint(judged.verdict, judged.verdict, colored=colored)
    lines = [facts.title(reading), f"verdict: {told}  {judged.reason}"]
    if judged.settle:
        lines.append(f"  next step: {judged.settle}")
    lines.append(_facts(facts.head(reading)))
    lines += ["", views.metrics(reading.report.estimates, judged, colored=colored)]
    drawn = bars(spans.panels(reading.report, reading.suite, judged), glyph)
    lines += ["", drawn] if drawn else []
    lines += _metrics(reading, colored=colored)
    if reading.migration is not None:
        lines += ["", "migration", migration.record_text(reading.migration)]
    if any(changed.cases for changed in reading.changes) and reading.listed:
        lines += ["", "llmvc show b3:... shows an output, where the run cache of this clone has it"]
    return "\n".join(lines)


def bars(panels: tuple[Panel, ...], glyph: Glyphs) -> str:
    """Draws every panel below the other, with one legend; empty if there is none."""
    if not panels:
        return ""
    names = max(len(facts.line(span.metric)) for panel in panels for span in panel.spans)
    lines: list[str] = []
    for panel in panels:
        lines.append(f"{panel.what}; {panel.better} is better")
        lines += [
            f"  {facts.line(span.metric):<{names}}  {spans.bar(span, panel, glyph)}".rstrip()
            for span in panel.spans
        ]
        lines.append(f"  {'':<{names}}  {spans.ticks(panel)}")
    lines.append(spans.legend(panels, glyph))
    return "\n".join(lines)


def _facts(listed: facts.Facts) -> str:
    return "\n".join(
        fill(
            f"  {label:<{_LABEL}}  {said}",
            WIDTH,
            subsequent_indent=" " * (_LABEL + 4),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for label, said in listed
    )


def _metrics(reading: "Reading", *, colored: bool) -> list[str]:
    rules = {item.name: item for item in reading.suite.metrics}
    judged = {item.metric: item for item in reading.verdict.metrics}
    changed = {item.metric: item for item in reading.changes}
    lines: list[str] = []
    for item in reading.report.estimates:
        found = judged.get(item.metric)
        told = facts.outcome(found)
        color = told.partition(",")[0]
        head = f"{item.metric}: {paint(told, color, colored=colored)}"
        lines += ["", head, _facts(facts.metric(rules.get(item.metric), item, found))]
        if item.metric in changed:
            lines += _changes(reading, changed[item.metric])
    return lines


def _changes(reading: "Reading", changed: "Changes") -> list[str]:
    """Shows the cases that changed by one metric, a block for each kind."""
    lines = [_facts([("case by case", facts.counts(changed))])]
    for kind, n in changed.counts.items():
        listed = changed.of(kind, reading.listed)
        if not listed:
            continue
        lines.append(f"  {kind} ({facts.MEANING[kind]})")
        if reading.outputs is None:
            lines.append(table((_row(item) for item in listed), indent="    "))
        else:
            lines += [line for item in listed for line in _with_outputs(reading, item)]
        if n > len(listed):
            lines.append(f"    and {n - len(listed):,} more: --cases {n}")
    return lines


def _row(item: "CaseChange") -> tuple[str, ...]:
    candidate, baseline = item.telling
    arms = facts.scores(item.candidate)
    seen = f"see {facts.run(candidate)}"
    if item.case.baseline:
        arms = f"{facts.scores(item.baseline)} -> {arms}"
        seen += f", was {facts.run(baseline)}"
    labels = facts.cut(facts.labels(item))
    return facts.cut(item.case.id), arms, facts.change(item), seen, labels


def _with_outputs(reading: "Reading", item: "CaseChange") -> Iterable[str]:
    """Shows one case with the output of every run."""
    yield "    " + "  ".join(filter(None, _row(item)))
    for arm, runs in (("baseline", item.case.baseline), ("candidate", item.case.candidate)):
        for run in runs:
            yield f"      {arm} run {run.run}  {facts.run(run)}"
            yield from (f"        {line}" for line in _output(reading, run).splitlines())


def _output(reading: "Reading", run: "Run") -> str:
    entry = (reading.outputs or {}).get(run.run_id) if run.run_id else None
    if entry is None or entry.answer.output is None:
        return "(not in the run cache of this clone)" if run.error is None else "(no output)"
    output = entry.answer.output
    if len(output) <= MOST_OUTPUT:
        return output
    left = len(output) - MOST_OUTPUT
    return f"{output[:MOST_OUTPUT]}\n({left:,} more characters: llmvc show {facts.run(run)})"
