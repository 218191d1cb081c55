"""A report as GitHub-flavoured Markdown, short enough for a comment on a pull request.

- Outputs are never in it: a comment is read by more people than a run cache is.
- Everything that somebody else wrote is escaped, so that it cannot become a link, a mention, the
  end of a table or HTML.
- Blocks are left out whole, and it is said how much is.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from llmvc.render import facts, report_text, spans, views
from llmvc.render.text import safe

if TYPE_CHECKING:
    from llmvc.app.reporting import Reading
    from llmvc.evals.changes import CaseChange, Changes, Kind

MOST: Final = 65_000
"""Characters; GitHub refuses a comment of 65,536."""
_SIGNS: Final = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}
_SPECIAL: Final = re.compile(r"([\\`*_\[\]|~$])")
_LONG: Final = 300
_LEFT_OUT: Final = "\nNot all of it has room here: `llmvc report` shows the rest.\n"


def markdown(reading: "Reading", *, most: int = MOST) -> str:
    """Shows a report; lists as many changed cases as fit.

    Args:
        reading: the report and what stands beside it.
        most: characters that it may have, at least 2,000.
    """
    text, whole = "", True
    for block in (_head(reading), _metrics(reading), _bars(reading), _rests_on(reading)):
        if len(text) + len(block) + len(_LEFT_OUT) <= most:
            text += block
        else:
            whole = False
    for changed in reading.changes:
        for kind in changed.counts:
            block = _cases(reading, changed, kind, most - len(text) - len(_LEFT_OUT))
            text += block
            whole = whole and bool(block)
    return text if whole else text + _LEFT_OUT


def escape(text: str, limit: int = _LONG) -> str:
    """Returns foreign text as one line of Markdown that says just that text."""
    line = facts.line(safe(text))
    if len(line) > limit:
        line = line[: limit - 1] + "…"
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _SPECIAL.sub(r"\\\1", line)
    # GitHub looks for mentions, issues and addresses in the text as shown; a comment parts it.
    return re.sub(r"(@|#|:(?=//)|www(?=\.))", r"\1<!-- -->", line)


def _head(reading: "Reading") -> str:
    judged = reading.verdict
    lines = [
        f"### {_SIGNS.get(judged.verdict, '')} {judged.verdict}: {escape(facts.title(reading))}",
        "",
        f"Why: {escape(judged.reason, 4 * _LONG)}",
    ]
    if judged.settle:
        lines += ["", f"What would settle it: {escape(judged.settle)}"]
    return "\n".join([*lines, ""])


def _metrics(reading: "Reading") -> str:
    judged = {item.metric: item for item in reading.verdict.metrics}
    rows: list[tuple[str, ...]] = []
    for item in reading.report.estimates:
        found = judged.get(item.metric)
        before = views.value(item, item.baseline) if item.baseline is not None else ""
        rule = escape(found.rule) if found else ""
        told = facts.outcome(found)
        told = f"**{told}**" if told != "watched" else told
        name, now = escape(item.metric), views.value(item, item.candidate)
        rows.append((name, before, now, views.effect(item), rule, told))
    head = ("metric", "baseline", "candidate", "difference", "rule", "verdict")
    return "\n".join(["", *_table(head, rows), ""])


def _bars(reading: "Reading") -> str:
    panels = spans.panels(reading.report, reading.suite, reading.verdict)
    drawn = safe(report_text.bars(panels, spans.UNICODE)).replace("`", "'")
    return f"\n```text\n{drawn}\n```\n" if drawn else ""


def _rests_on(reading: "Reading") -> str:
    rules = {item.name: item for item in reading.suite.metrics}
    judged = {item.metric: item for item in reading.verdict.metrics}
    lines = [f"- {label}: {escape(said)}" for label, said in facts.head(reading)]
    for item in reading.report.estimates:
        lines.append(f"- **{escape(item.metric)}**")
        told = facts.metric(rules.get(item.metric), item, judged.get(item.metric))
        lines += [f"  - {label}: {escape(said)}" for label, said in told]
    return _folded("What it rests on", lines)


def _cases(reading: "Reading", changed: "Changes", kind: "Kind", room: int) -> str:
    """Returns the cases of one kind, as many as have room; empty if not even their number has."""
    total = changed.counts[kind]
    summary = f"{escape(changed.metric)}: {total:,} {kind} ({facts.MEANING[kind]})"
    frame = len(_folded(summary, ["", _more(total)]))
    head = ("case", "baseline", "candidate", "change", "see", "labels")
    top = list(_table(head, ()))
    taken: list[str] = []
    left = room - frame - sum(len(line) + 1 for line in top)
    for item in changed.of(kind, reading.listed):
        row = " | ".join(("", *_row(item), "")).strip()
        left -= len(row) + 1
        if left < 0:
            break
        taken.append(row)
    note = ["", _more(total - len(taken))] if len(taken) < total else []
    block = _folded(summary, [*(top if taken else ()), *taken, *note])
    return block if len(block) <= room else ""


def _more(n: int) -> str:
    return f"{n:,} more are not listed here."


def _row(item: "CaseChange") -> tuple[str, ...]:
    candidate, baseline = item.telling
    seen = _code(facts.run(candidate))
    if item.case.baseline:
        seen += f", was {_code(facts.run(baseline))}"
    before = facts.scores(item.baseline) if item.case.baseline else ""
    now, change = facts.scores(item.candidate), facts.change(item)
    return _code(item.case.id), before, now, change, seen, escape(facts.labels(item), 120)


def _code(text: str) -> str:
    return f"<code>{escape(text, 120)}</code>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _folded(summary: str, lines: Iterable[str]) -> str:
    opened = ["", "<details>", f"<summary>{summary}</summary>", ""]
    return "\n".join([*opened, *lines, "", "</details>", ""])
