"""Label sheets and what they changed, as text for people and as plain values for `--json`."""

from typing import TYPE_CHECKING, Any

from llmvc.core.digest import short
from llmvc.core.plural import count
from llmvc.render.asjson import measured, plain, plain_object
from llmvc.render.text import table
from llmvc.render.views import effect

if TYPE_CHECKING:
    from llmvc.app.labelling import Made, Read


def made(found: "Made") -> str:
    """Says what a sheet holds, and what to do with it."""
    sheet = found.sheet
    what = "one grade a row: what A is beside B" if sheet.compared else "a grade for each answer"
    return (
        f"{count(found.shown, 'case')} of report {short(sheet.report)}, drawn from "
        f"{found.drawable} with seed {sheet.seed}\n"
        f"write {what}, one of {', '.join(sheet.grades)}"
    )


def read(done: "Read") -> str:
    """Shows the estimates of the judge alone beside those that labels corrected."""
    filled = done.filled
    lines = [
        f"{count(len(filled.grades), 'case')} labelled, {filled.empty} without a grade"
        + (f", {filled.half} with one grade of two, which do not count" if filled.half else "")
    ]
    report = done.measured.report
    corrected = {one.metric: one for one in report.estimates} if report else {}
    rows = [
        row
        for one in done.judged
        for row in (
            (one.metric, "by the judge alone", effect(one)),
            ("", "with the labels", effect(corrected.get(one.metric, one))),
        )
    ]
    return "\n".join((*lines, table(rows, indent="  ")))


def made_members(found: "Made", path: str) -> dict[str, Any]:
    """Returns the members of a `sheet/1` object."""
    return {
        "sheet": plain_object(found.sheet),
        "path": path,
        "cases": found.shown,
        "drawable": found.drawable,
    }


def read_members(done: "Read") -> dict[str, Any]:
    """Returns the members of a `labelled/1` object."""
    return {
        "labels": {**plain_object(done.labels), "digest": done.labels.digest},
        "labelled": len(done.filled.grades),
        "empty": done.filled.empty,
        "half": done.filled.half,
        "judged": plain(done.judged),
        "measured": measured(done.measured),
    }
