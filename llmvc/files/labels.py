"""Label sheets: answers of two versions for a person to grade, without saying which is which.

The first line says what the sheet is about; each other line is one case:

    {"id": "c07", "vars": {…}, "A": {"output": "…", "grade": null}, "B": {…}, "check": "…"}

- Which arm is A is drawn anew for every case from the sheet's seed. Cases stand in the order in
  which they were drawn, so that the first rows of a sheet are a random choice too.
- A person writes grades and nothing else: `check` tells whether an answer was changed.
- For a judge that compares, a row has one `grade`, which says what A is beside B.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llmvc.core import digest
from llmvc.core.canon import Json
from llmvc.core.digest import Digest
from llmvc.errors import FormatError
from llmvc.files.reading import Row, read_jsonl

TYPE: Final = "sheet/1"
SIDES: Final = ("A", "B")
_CHECK: Final = 16
# Line breaks to some readers only; they can stand in texts alone, where an escape is the same.
_BREAKS: Final = str.maketrans({char: f"\\u{ord(char):04x}" for char in "\x85\u2028\u2029"})


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a label sheet is about.

    Attributes:
        report: the report whose answers it shows.
        scorer: the judged scorer.
        judge: digest of its judge.
        grades: what a person may write, in the judge's order.
        seed: what the cases and the order of the arms were drawn with.
        compared: whether one grade compares A with B.
        cases: how many it holds.
    """

    report: Digest
    scorer: str
    judge: Digest
    grades: tuple[str, ...]
    seed: int
    compared: bool
    cases: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One case of a sheet, the same run of both versions; `baseline` is None if there is none."""

    case: str
    run: int
    vars: Mapping[str, Json]
    candidate: str
    baseline: str | None


@dataclass(frozen=True, slots=True)
class Filled:
    """What people wrote into a sheet.

    Attributes:
        sheet: what it is about.
        grades: case id -> grade of (baseline, candidate). For one that compares, the candidate's
            grade is what it would be if the candidate came first, and the baseline's is None.
        swapped: cases of a sheet that compares whose A was the baseline.
        empty: rows without a grade.
        half: rows with one grade of two, which do not count.
    """

    sheet: Sheet
    grades: Mapping[str, tuple[str | None, str]]
    swapped: frozenset[str]
    empty: int
    half: int


def drawn(seed: int, what: str) -> str:
    """Returns a text to sort or choose by, random to whoever does not know the seed."""
    return digest.hex_of(digest.of_bytes(f"label/{seed}/{what}".encode()))


def candidate_first(seed: int, case: str) -> bool:
    """Tells whether the candidate's answer is A."""
    return int(drawn(seed, f"order/{case}")[:8], 16) % 2 == 0


def write(sheet: Sheet, pairs: Sequence[Pair]) -> str:
    """Returns a sheet's lines, no grade filled in."""
    head = {
        "llmvc": TYPE,
        "report": sheet.report,
        "scorer": sheet.scorer,
        "judge": sheet.judge,
        "grades": list(sheet.grades),
        "seed": sheet.seed,
        "compared": sheet.compared,
        "cases": len(pairs),
        "how": "write one of `grades` in place of each null, then: llmvc judge label --read FILE",
    }
    lines = [head, *(_row(sheet, pair) for pair in pairs)]
    return "".join(json.dumps(line, ensure_ascii=False).translate(_BREAKS) + "\n" for line in lines)


def _row(sheet: Sheet, pair: Pair) -> dict[str, Any]:
    outputs = [pair.candidate]
    if pair.baseline is not None:
        outputs.append(pair.baseline)
        if not candidate_first(sheet.seed, pair.case):
            outputs.reverse()
    row: dict[str, Any] = {"id": pair.case, "run": pair.run, "vars": pair.vars}
    for side, output in zip(SIDES, outputs, strict=False):
        row[side] = {"output": output} if sheet.compared else {"output": output, "grade": None}
    if sheet.compared:
        row["grade"] = None
    return {**row, "check": _check(row)}


def _check(row: Mapping[str, Any]) -> str:
    """Returns a short digest of what a person may not change."""
    shown = [row[side].get("output") if side in row else None for side in SIDES]
    return digest.hex_of(digest.of_value([row["id"], row["run"], row["vars"], *shown]))[:_CHECK]


def head(data: bytes, name: str) -> Sheet:
    """Reads what a sheet is about from its first line.

    Raises:
        FormatError: it is no label sheet.
    """
    return _head(list(read_jsonl(data, name)), name)


def _head(rows: Sequence[Row], name: str) -> Sheet:
    body: Any = rows[0].value if rows else None
    try:
        return Sheet(
            report=digest.parse(body["report"]),
            scorer=str(body["scorer"]),
            judge=digest.parse(body["judge"]),
            grades=tuple(str(grade) for grade in body["grades"]),
            seed=int(body["seed"]),
            compared=bool(body["compared"]),
            cases=int(body["cases"]),
        )
    except (KeyError, TypeError, ValueError, FormatError) as err:
        raise FormatError(
            f"{name}:1: not the first line of a label sheet",
            hint="make one: llmvc judge label REPORT --out labels.jsonl",
        ) from err


def read(data: bytes, name: str, known: Collection[str] | None = None) -> Filled:
    """Reads a sheet that people filled in, all of it or a part.

    Args:
        data: its bytes.
        name: how messages call it.
        known: ids of the report's cases; None takes any.

    Raises:
        FormatError: a row is not one of the sheet, was changed, stands twice, or holds a grade
            that is not offered.
    """
    rows = list(read_jsonl(data, name))
    sheet = _head(rows, name)
    lines: dict[str, int] = {}
    grades: dict[str, tuple[str | None, str]] = {}
    swapped: set[str] = set()
    empty = half = 0
    for row in rows[1:]:
        body = _checked(row, name, lines, known)
        case, sides = str(body["id"]), [side for side in SIDES if side in body]
        holders = [body] if sheet.compared else [body[side] for side in sides]
        given = [_grade(holder.get("grade"), sheet, f"{name}:{row.line}") for holder in holders]
        if None in given:
            empty += not any(given)
            half += any(given)
            continue
        if len(sides) == len(SIDES) and not candidate_first(sheet.seed, case):
            given.reverse()
            swapped.add(case)
        candidate, baseline = given[0] or "", given[1] if len(given) == len(SIDES) else None
        grades[case] = (baseline, candidate)
    return Filled(sheet, grades, frozenset(swapped) if sheet.compared else frozenset(), empty, half)


def _checked(
    row: Row, name: str, lines: dict[str, int], known: Collection[str] | None
) -> dict[str, Any]:
    """Returns a row of which nothing but grades was changed."""
    where = f"{name}:{row.line}"
    body: Any = row.value
    try:
        right, case = _check(body), str(body["id"])
    except (KeyError, TypeError, AttributeError, FormatError) as err:
        raise FormatError(f"{where}: not a row of a label sheet", hint="write grades only") from err
    if known is not None and case not in known:
        raise FormatError(f"{where}: case {case!r} is not in the report")
    if case in lines:
        raise FormatError(f"{where}: case {case!r} is also that of line {lines[case]}")
    if body.get("check") != right:
        raise FormatError(
            f"{where}: the answers of case {case!r} are not those that were to be graded",
            hint="write grades only; make the sheet again if it was damaged",
        )
    lines[case] = row.line
    return dict(body)


def _grade(value: Json, sheet: Sheet, where: str) -> str | None:
    text = value.strip() if isinstance(value, str) else value
    if text in (None, ""):
        return None
    if text not in sheet.grades:
        offered = ", ".join(sheet.grades)
        raise FormatError(f"{where}: {value!r} is no grade of this judge", hint=f"write {offered}")
    return str(text)
