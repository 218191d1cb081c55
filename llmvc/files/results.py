"""Result files of any harness: JSON lines, promptfoo's output and Inspect's logs.

- A file is one arm. JSON lines have one line a (case, run): `case`, `scores`, and where there are
  any `run`, `group`, `tags`, `error`, `cost_usd`, `latency_s`; further members are left alone.
- Who wrote a file is seen from its contents, never from its name.
- A file is read whole or refused: no line is skipped.
"""

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from llmvc.errors import FormatError
from llmvc.files import inspect_log, outcomes, promptfoo
from llmvc.files.outcomes import ResultCase, Results, Row
from llmvc.files.reading import normalize_text

__all__ = ["ResultCase", "Results", "read_results"]

_HINT: Final = 'write one line a case and run, such as {"case": "a", "scores": {"quality": 0.8}}'
_ZIP: Final = b"PK\x03\x04"


def read_results(data: bytes, name: str, *, group_by: str | None = None) -> Results:
    """Reads a result file.

    Args:
        data: its bytes.
        name: how messages call it.
        group_by: the member that says which cases belong together, with dots for members inside
            members; None takes `group` of JSON lines.

    Raises:
        FormatError: it is of no known format, or not sound; the message names the place.
    """
    if data.startswith(_ZIP):
        raise FormatError(
            f"{name} is a zip archive, not text",
            hint=f"a log of Inspect is read as JSON: inspect log dump {name} > log.json",
        )
    text = normalize_text(data, name)
    if not text.strip():
        raise FormatError(f"{name} is empty", hint=_HINT)
    lines = text.rstrip().split("\n")
    whole, first = _first(lines, name)
    if inspect_log.is_log(first):
        samples = inspect_log.samples(first, name)
        read = partial(inspect_log.row, group_by)
        return Results(name, "inspect", outcomes.collect(samples, read, f"{name}: sample {{}}"))
    if promptfoo.is_output(first):
        listed = list(enumerate(first["results"]["results"], 1))
        return Results(
            name, "promptfoo", promptfoo.read(listed, name, f"{name}: result {{}}", group_by)
        )
    if whole and len(lines) > 1:
        raise FormatError(
            f"{name} is neither JSON lines, nor an output of promptfoo, nor a log of Inspect",
            hint=_HINT,
        )
    rows = _rows(lines, name)
    if promptfoo.is_result(first):
        found = promptfoo.read(list(rows), name, f"{name}:{{}}", group_by)
        return Results(name, "promptfoo", found)
    return Results(name, "jsonl", outcomes.collect(rows, partial(_row, group_by), f"{name}:{{}}"))


def _first(lines: list[str], name: str) -> tuple[bool, Any]:
    """Returns the first line's value, or the document's where a line is none by itself."""
    start = next(at for at, line in enumerate(lines) if line.strip())
    try:
        return start == len(lines) - 1, _DECODER.decode(lines[start].strip())
    except (ValueError, RecursionError):
        return True, _decode("\n".join(lines), name, 1, len(lines))


def _rows(lines: list[str], name: str) -> Iterator[tuple[int, Any]]:
    """Returns the number and the value of each line that is not blank."""
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    try:
        # All lines in one go take two thirds of the time; what is wrong is then looked for.
        values = _DECODER.decode(f"[{','.join([line for _, line in numbered])}]")
    except (ValueError, RecursionError):
        values = []
    if len(values) == len(numbered):
        return zip([number for number, _ in numbered], values, strict=True)
    return ((number, _decode(line, name, number, len(lines))) for number, line in numbered)


def _decode(text: str, name: str, line: int, last: int) -> Any:
    """Reads one value; an error at the very end of the file says that it is cut off."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as err:
        at = line + err.lineno - 1
        if at == last and (err.pos >= len(text.rstrip()) or err.msg.startswith("Unterminated")):
            raise FormatError(
                f"{name}:{at}: the file is cut off here",
                hint="was the harness stopped? let it write the file to its end",
            ) from err
        raise FormatError(f"{name}:{at}: not JSON: {err.msg}", hint=_HINT) from err
    except ValueError as err:
        raise FormatError(f"{name}:{line}: not JSON: {err}") from err
    except RecursionError as err:
        raise FormatError(f"{name}:{line}: nested too deep to be read") from err


def _row(group_by: str | None, value: Any) -> Row:
    """Reads one line of llmvc's own form."""
    if not isinstance(value, dict):
        raise FormatError("a line must be a JSON object", hint=_HINT)
    get = value.get
    if "case" not in value:
        what = "an output of promptfoo" if promptfoo.is_result(value) else "there is no case"
        raise FormatError(what, hint=_HINT)
    case, number, error, scored = value["case"], get("run"), get("error"), get("scores")
    if number is not None and (type(number) is not int or number < 0):
        raise FormatError("run must be a whole number from 0")
    if error is not None and not isinstance(error, str):
        error = json.dumps(error)
    cost, latency = get("cost_usd"), get("latency_s")
    if error is None and scored is None and cost is None and latency is None:
        raise FormatError("there is neither a score nor an error", hint=_HINT)
    return Row(
        case if type(case) is str else outcomes.case_id(case),
        {} if scored is None else outcomes.scores(scored),
        number,
        error,
        None if cost is None else outcomes.amount(cost, "cost_usd"),
        None if latency is None else outcomes.amount(latency, "latency_s"),
        outcomes.text(get("group"), "group")
        if group_by is None
        else outcomes.member(value, group_by),
        outcomes.tags(get("tags")) if "tags" in value else (),
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        raise ValueError(f"duplicate key {twice!r}")
    return result


# NaN and numbers out of range are read here, and refused where a score or an amount is one.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object)
