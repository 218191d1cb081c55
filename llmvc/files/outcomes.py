"""What any harness says of its runs, brought to one form: cases, their runs and their scores.

- A row is one run of one case; rows of one case may stand anywhere in a file.
- A run that failed has its error and no scores; one with an error and scores did give an outcome.
- Numbers are finite; costs and latencies are at least 0. Anything else is refused, never mended.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeVar

from llmvc.core.report import Run
from llmvc.errors import FormatError

Format = Literal["jsonl", "promptfoo", "inspect"]
Raw = TypeVar("Raw")

_LARGEST: Final = 1e12
"""No run costs more dollars, or takes more seconds; totals of what is larger overflow."""
_LONGEST_ID: Final = 200


@dataclass(frozen=True, slots=True)
class ResultCase:
    """What a file says of one case.

    Attributes:
        group: cases that share a document or conversation; None if it stands alone.
        tags: labels for slices, sorted.
        runs: in the order of their numbers; without `run_id`, for no output is kept.
    """

    group: str | None
    tags: tuple[str, ...]
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """One arm of a comparison: everything that a result file says.

    Attributes:
        name: how messages call the file.
        format: who wrote it.
        cases: case id -> case, in the file's order; never empty.
    """

    name: str
    format: Format
    cases: Mapping[str, ResultCase]


class Row(NamedTuple):
    """One run of one case; `number` is None where the file does not number runs."""

    case: str
    scores: Mapping[str, float | None]
    number: int | None = None
    error: str | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    group: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(slots=True)
class _Open:
    """A case whose rows are still being read."""

    at: int
    group: str | None
    tags: tuple[str, ...]
    runs: dict[int, Run] = field(default_factory=dict[int, Run])

    def in_order(self) -> tuple[Run, ...]:
        return tuple([self.runs[number] for number in sorted(self.runs)])


def collect(
    items: Iterable[tuple[int, Raw]], read: Callable[[Raw], Row], place: str
) -> dict[str, ResultCase]:
    """Reads rows one by one and unites those of one case.

    Args:
        items: where each row stands, from 1, and its value.
        read: makes a row of a value.
        place: how errors call a row's place, with `{}` for the number.

    Raises:
        FormatError: a row is malformed or contradicts another; the message starts with its place.
    """
    found: dict[str, _Open] = {}
    for at, value in items:
        try:
            case, scores, number, error, cost_usd, latency_s, group, tags = row = read(value)
            known = found.get(case)
            if known is None:
                known = found[case_id(case)] = _Open(at, group, tags)
            elif known.group != group or known.tags != tags:
                raise _contradiction(known, row)
            runs = known.runs
            if number is None:
                number = len(runs)
            if number in runs:
                raise _twice(row, number)
            runs[number] = Run(number, None, scores, error, cost_usd, latency_s)
        except FormatError as err:
            raise FormatError(f"{place.format(at)}: {err}", hint=err.hint) from err
    return {case: ResultCase(one.group, one.tags, one.in_order()) for case, one in found.items()}


def _twice(row: Row, number: int) -> FormatError:
    return FormatError(
        f"run {number} of case {row.case} stands there already",
        hint="number the runs of a case 0, 1, 2 and so on, each once",
    )


def _contradiction(known: _Open, row: Row) -> FormatError:
    what = "another group" if known.group != row.group else "other tags"
    return FormatError(
        f"case {row.case} has {what} than at {known.at}",
        hint="all runs of a case have the same group and tags",
    )


def case_id(value: object) -> str:
    """Reads a case's id: printable text, or a whole number.

    Raises:
        FormatError: it is neither.
    """
    if type(value) is int:
        return str(value)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise FormatError("the id of a case must be printable text or a whole number")
    if len(value) > _LONGEST_ID:
        raise FormatError(f"the id of a case is longer than {_LONGEST_ID} characters")
    return value


def scores(value: object) -> dict[str, float | None]:
    """Reads a run's scores; true counts as 1, null as a score that could not be had.

    Raises:
        FormatError: it is no object of finite numbers.
    """
    if not isinstance(value, dict):
        raise FormatError("scores must be an object", hint='write "scores": {"quality": 0.8}')
    found: dict[str, float | None] = {}
    for name, score in value.items():
        kind = type(score)
        # The exact types first: this runs once a score of a large file.
        if kind is float or kind is int or kind is bool:
            if not -_LARGEST <= score <= _LARGEST:
                raise FormatError(f"score {name} is not finite")
            found[name] = float(score)
        elif score is None:
            found[name] = None
        else:
            raise FormatError(
                f"score {name} is {_shown(score)}, not a number",
                hint="write a number, true, false or null",
            )
    return found


def amount(value: object, what: str) -> float | None:
    """Reads a cost or a latency; None if there is none.

    Raises:
        FormatError: it is no finite number of at least 0.
    """
    if value is None:
        return None
    if type(value) not in (float, int):
        raise FormatError(f"{what} is {_shown(value)}, not a number")
    number: Any = value
    if not 0 <= number <= _LARGEST:
        shown = number if isinstance(number, float) or number < 0 else "huge"
        raise FormatError(f"{what} is {shown}: it must be at least 0, and no more than 1e12")
    return float(number)


def text(value: object, what: str) -> str | None:
    """Reads a text or a whole number, such as a group; None if there is none.

    Raises:
        FormatError: it is something else.
    """
    if value is None or isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    raise FormatError(f"{what} is {_shown(value)}, not text")


def tags(value: object) -> tuple[str, ...]:
    """Reads a list of labels.

    Raises:
        FormatError: it is none.
    """
    listed: Any = [] if value is None else value
    if not isinstance(listed, list) or not all(isinstance(tag, str) for tag in listed):
        raise FormatError("tags must be a list of texts")
    return tuple(sorted({str(tag) for tag in listed}))


def member(row: Mapping[str, Any], path: str) -> str | None:
    """Returns the member that cases are grouped by.

    Args:
        row: one row.
        path: its name, or names with dots between them, such as `metadata.document`.

    Raises:
        FormatError: the row has no such member, or it is no text.
    """
    value: Any = row
    for step in (path,) if path in row else path.split("."):
        if not isinstance(value, Mapping) or step not in value:
            raise FormatError(
                f"there is no {path} to group by", hint="write null where a case stands alone"
            )
        value = value[step]
    return text(value, path)


def _shown(value: object) -> str:
    return f"the text {value[:40]!r}" if isinstance(value, str) else f"a {type(value).__name__}"
