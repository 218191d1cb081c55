"""A report as one HTML file: no script, nothing from the network, readable in light and dark."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from llmvc.core.digest import hex_of, short
from llmvc.render import charts, facts, migration, spans, views
from llmvc.render.markup import Markup, element, join
from llmvc.render.style import CSS

if TYPE_CHECKING:
    from llmvc.app.reporting import Reading
    from llmvc.core.migration import Migration
    from llmvc.core.report import Run
    from llmvc.evals.changes import CaseChange, Changes, Scores

MOST_OUTPUT: Final = 20_000
"""Characters of an output that a page shows."""
WIDTHS: Final = {"wide": 740, "narrow": 210}
"""Pixels of a plot, for screens and for phones; the page shows one of them."""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def html(reading: "Reading", *, plot: bool) -> str:
    """Shows a report.

    Args:
        reading: the report and what stands beside it.
        plot: whether to draw the intervals; it needs the extra `report`.

    Raises:
        ConfigError: plots are wanted and the extra is not installed.
    """
    judged = reading.verdict
    body = [
        element("h1", facts.title(reading)),
        element(
            "p",
            element("strong", judged.verdict, class_=f"badge {judged.verdict}"),
            f" {judged.reason}",
        ),
    ]
    if judged.settle:
        body.append(element("p", f"What would settle it: {judged.settle}"))
    body.append(_table(reading))
    if plot:
        body += _plots(reading)
    body.append(_facts(facts.head(reading)))
    if reading.migration is not None:
        body.append(_migration(reading.migration))
    body += _metrics(reading)
    if reading.outputs is not None:
        body.append(_outputs(reading))
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{judged.verdict}: {facts.title(reading)}"),
        element("style", Markup(CSS)),
    ]
    page = element("html", element("head", *head), element("body", *body), lang="en")
    return f"<!doctype html>\n{page}\n"


def _facts(listed: facts.Facts) -> Markup:
    return element(
        "dl",
        *(element("div", element("dt", label), element("dd", said)) for label, said in listed),
    )


def _scrolled(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Returns a table that scrolls by itself where the screen is narrow."""
    top = element("thead", element("tr", *(element("th", name) for name in head)))
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    return element("div", element("table", top, element("tbody", *body)), class_="scroll")


def _table(reading: "Reading") -> Markup:
    judged = {item.metric: item for item in reading.verdict.metrics}
    rows: list[tuple[str, ...]] = []
    for item in reading.report.estimates:
        found = judged.get(item.metric)
        before = views.value(item, item.baseline) if item.baseline is not None else ""
        rule = found.rule if found else ""
        now, told = views.value(item, item.candidate), _outcome(facts.outcome(found))
        name = element("a", item.metric, href=f"#{_anchor(item.metric)}")
        rows.append((name, told, before, now, views.effect(item), rule))
    return _scrolled(("metric", "verdict", "baseline", "candidate", "difference", "rule"), rows)


def _outcome(told: str) -> Markup:
    return element("span", told, class_=f"told {told.partition(',')[0]}")


def _plots(reading: "Reading") -> list[Markup]:
    panels = spans.panels(reading.report, reading.suite, reading.verdict)
    drawn = [
        element(
            "figure",
            element("figcaption", f"{panel.what}; {panel.better} is better"),
            *(
                # What vl-convert drew is markup; it escapes the names in it.
                element("div", Markup(charts.svg(panel, width=width)), class_=name)
                for name, width in WIDTHS.items()
            ),
            role="img",
            aria_label=f"{panel.what}: "
            + ", ".join(f"{s.metric} {panel.unit.format(s.point)}" for s in panel.spans),
        )
        for panel in panels
    ]
    legend = [
        element("span", element("i", class_=name), meaning)
        for name, meaning in spans.marks(panels).items()
    ]
    return [*drawn, element("p", *legend, class_="legend")] if drawn else []


def _metrics(reading: "Reading") -> list[Markup]:
    rules = {item.name: item for item in reading.suite.metrics}
    judged = {item.metric: item for item in reading.verdict.metrics}
    changed = {item.metric: item for item in reading.changes}
    sections: list[Markup] = []
    for item in reading.report.estimates:
        found = judged.get(item.metric)
        head = element("h2", f"{item.metric} ", _outcome(facts.outcome(found)))
        parts = [head, _facts(facts.metric(rules.get(item.metric), item, found))]
        if item.metric in changed:
            parts += _changes(reading, changed[item.metric])
        sections.append(element("section", *parts, id=_anchor(item.metric)))
    return sections


def _migration(record: "Migration") -> Markup:
    """Shows what became of each parameter, and what else moving to another model changed."""
    head = element("h2", f"Migration to {record.models.to}")
    found = [
        (element("strong", one.level, class_=f"told {one.level}"), one.where, one.says)
        for one in record.findings
    ]
    changed = [
        (element("code", one.name), one.decision, migration.move(one), one.why)
        for one in record.changed
    ]
    parts = [_scrolled(("parameter", "decision", "value", "why"), changed)] if changed else []
    parts += [_scrolled(("finding", "where", "says"), found)] if found else []
    model = ("model", f"{record.models.from_ or migration.NONE} -> {record.models.to}")
    return element("section", head, *parts, _facts([model, *migration.facts(record)]))


def _anchor(metric: str) -> str:
    return f"metric-{metric.encode().hex()}"


def _changes(reading: "Reading", changed: "Changes") -> list[Markup]:
    """Shows the cases that changed by one metric, a part that folds for each kind."""
    if not changed.cases:
        return [element("p", facts.counts(changed))]
    parts: list[Markup] = []
    for kind, n in changed.counts.items():
        listed = changed.of(kind, reading.listed)
        summary = element("summary", element("strong", f"{n:,} {kind}"), f" {facts.MEANING[kind]}")
        inside: list[Markup] = []
        if listed:
            head = ("case", "baseline", "candidate", "change", "labels")
            inside.append(_scrolled(head, (_row(reading, item) for item in listed)))
        if n > len(listed):
            inside.append(element("p", f"and {n - len(listed):,} more: --cases {n}"))
        opened = "" if kind in ("broken", "wrong") else None
        parts.append(element("details", summary, *inside, open=opened))
    return parts


def _row(reading: "Reading", item: "CaseChange") -> tuple[str, ...]:
    case = item.case
    return (
        element("code", case.id),
        join(_runs(reading, case.baseline, item.baseline)),
        join(_runs(reading, case.candidate, item.candidate)),
        facts.change(item),
        facts.labels(item),
    )


def _runs(reading: "Reading", runs: "Sequence[Run]", scores: "Scores") -> Iterable[Markup]:
    """Shows the score of each run; it leads to the output, or says how to see it."""
    for run, score in zip(runs, scores, strict=True):
        shown = "-" if score is None else f"{score:.3g}"
        if run.run_id is None:
            yield element("span", shown, class_="run", title=run.error)
        elif run.run_id in (reading.outputs or {}):
            yield element("a", shown, class_="run", href=f"#run-{hex_of(run.run_id)}")
        else:
            title = f"llmvc show {short(run.run_id)}"
            yield element("span", shown, class_="run", title=title)


def _outputs(reading: "Reading") -> Markup:
    """Shows the outputs of every listed case, once each; the scores lead to them."""
    listed = {
        item.case.id: item.case for one in reading.changes for item in one.first(reading.listed)
    }
    parts: list[Markup] = []
    for name, case in sorted(listed.items()):
        inside = [
            element(
                "div",
                element("h4", f"{arm}, run {run.run}, ", element("code", facts.run(run))),
                element("pre", _output(reading, run)),
                id=f"run-{hex_of(run.run_id)}" if run.run_id else None,
            )
            for arm, runs in (("baseline", case.baseline), ("candidate", case.candidate))
            for run in runs
        ]
        parts.append(element("details", element("summary", element("code", name)), *inside))
    return element("section", element("h2", "Outputs of the listed cases"), *parts)


def _output(reading: "Reading", run: "Run") -> str:
    entry = (reading.outputs or {}).get(run.run_id) if run.run_id else None
    output = entry.answer.output if entry is not None else None
    if output is None:
        return run.error or "not in the run cache of this clone"
    left = len(output) - MOST_OUTPUT
    more = f"\n({left:,} more characters: llmvc show {facts.run(run)})" if left > 0 else ""
    return output[:MOST_OUTPUT] + more
