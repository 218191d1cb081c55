"""A migration as GitHub-flavoured Markdown, for a comment on a pull request.

- Everything that somebody else wrote is escaped.
"""

from typing import TYPE_CHECKING, Final

from llmvc.core.digest import short
from llmvc.core.migration import Migration, Parameter
from llmvc.render import migration, report_markdown
from llmvc.render.report_markdown import MOST, escape

if TYPE_CHECKING:
    from llmvc.app.migrating.planning import Planned
    from llmvc.app.reporting import Reading

_LONG: Final = 2_000
_SIGNS: Final = {"refused": "❌", "warning": "⚠️", "note": "\u2139\ufe0f"}


def markdown(record: Migration, planned: "Planned | None" = None) -> str:
    """Shows a record, or a plan, as GitHub-flavoured Markdown.

    Args:
        record: of the migration.
        planned: the plan that it is of, if it was not measured yet.
    """
    what = "Plan of a migration" if planned is not None else "Migration"
    models = f"{_code(record.models.from_ or migration.NONE)} → {_code(record.models.to)}"
    lines = [f"### {what}: {escape(record.bundle)}, {models}", ""]
    lines += [f"{escape(record.env)}: {_code(short(record.from_))} → {_code(short(record.to))}", ""]
    if record.findings:
        lines += [
            f"- {_SIGNS[one.level]} **{escape(one.where)}**: {escape(one.says)}"
            for one in record.findings
        ]
        lines.append("")
    if record.changed:
        lines += ["| parameter | before | now | decision | why |", "|---|---|---|---|---|"]
        lines += [*map(_row, record.changed), ""]
    told = [*migration.facts(record), *(migration.measuring(planned.calls) if planned else ())]
    for label, said in told:
        lines.append(f"- **{label}**: {escape(said, _LONG)}".replace("-&gt;", "→"))
    if record.report is not None:
        lines.append(f"- **report**: {_code(short(record.report))} says **{record.verdict}**")
    return "\n".join(lines) + "\n"


def with_report(reading: "Reading") -> str:
    """Shows a report and the migration that it is about, no longer than a comment may be."""
    head = "" if reading.migration is None else markdown(reading.migration) + "\n"
    return head + report_markdown.markdown(reading, most=max(2_000, MOST - len(head)))


def _row(one: Parameter) -> str:
    told = f"**{one.decision}**" if one.decision == "undecided" else one.decision
    before, now = (_code(migration.value(value)) for value in (one.from_, one.to))
    cells = (_code(one.name), before, now, told)
    return f"| {' | '.join(cells)} | {escape(one.why)} |"


def _code(text: str) -> str:
    return f"<code>{escape(text, 120)}</code>"
