"""Inspect's logs, as JSON.

- A sample is a case and an epoch a run; `(id, epoch)` names a run.
- Grades are numbers as in Inspect: C, yes and true are 1, P is 0.5, I, N, no and false are 0. A
  scorer that could not tell (NaN) has no score there; text that is no grade is not taken for one.
- A log has no costs. Latency is the working time, without waiting for other samples.
"""

from collections.abc import Iterator, Mapping
from math import isnan
from typing import Any, Final

from llmvc.errors import FormatError
from llmvc.files import outcomes
from llmvc.files.outcomes import Row

_GRADES: Final = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_WORDS: Final = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


def is_log(value: Any) -> bool:
    """Tells whether a JSON document is a log of Inspect."""
    return isinstance(value, dict) and isinstance(value.get("eval"), dict) and "status" in value


def samples(log: Mapping[str, Any], name: str) -> Iterator[tuple[int, Any]]:
    """Returns where each sample stands, from 1, and the sample.

    Raises:
        FormatError: the log holds none.
    """
    listed = log.get("samples")
    if not isinstance(listed, list) or not listed:
        raise FormatError(
            f"{name} holds no samples", hint="export it with them: inspect log dump FILE"
        )
    return enumerate(listed, 1)


def row(group_by: str | None, sample: Any) -> Row:
    """Reads one sample.

    Raises:
        FormatError: it is malformed.
    """
    if not isinstance(sample, dict) or not {"id", "epoch"} <= sample.keys():
        raise FormatError("a sample needs an id and an epoch")
    epoch, scored, error = sample["epoch"], sample.get("scores"), sample.get("error")
    if type(epoch) is not int or epoch < 1:
        raise FormatError("the epoch must be a whole number from 1")
    if error is not None:
        told = error.get("message") if isinstance(error, dict) else error
        error = str(told or "no answer")
    working = sample.get("working_time")
    latency = outcomes.amount(
        sample.get("total_time") if working is None else working, "working_time"
    )
    return Row(
        outcomes.case_id(sample["id"]),
        _scores(scored or {}),
        epoch - 1,
        error,
        latency_s=None if error is not None else latency,
        group=None if group_by is None else outcomes.member(sample, group_by),
    )


def _scores(scored: Any) -> dict[str, float | None]:
    """Returns a number a scorer, and `scorer/part` for those that give several."""
    if not isinstance(scored, dict):
        raise FormatError("scores must be an object")
    values: dict[str, Any] = {}
    for name, score in scored.items():
        value = score.get("value") if isinstance(score, dict) else None
        parts = value if isinstance(value, dict) else {}
        values |= {f"{name}/{part}": item for part, item in parts.items()} or {name: value}
    found = {name: _grade(value) for name, value in values.items()}
    return outcomes.scores(
        {name: value for name, value in found.items() if not isinstance(value, str | list)}
    )


def _grade(value: Any) -> Any:
    """Returns the number that a grade stands for; everything else as it is."""
    if isinstance(value, float) and isnan(value):
        return None
    if not isinstance(value, str):
        return value
    grade = _GRADES.get(value, _WORDS.get(value.lower()))
    if grade is not None:
        return grade
    try:
        return float(value)
    except ValueError:
        return value
