"""Scorers and metrics: how an output is scored, and the number and rule a release is judged by.

- A metric's `margin`, `floor` and estimates are in the units of its `scale`; the scores in a report
  are in [0, 1] whatever the scale.
- A rule that is not set is None. Nothing here knows a default that a verdict could hang on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.errors import FormatError

MetricKind = Literal["severe", "score", "cost", "tokens", "latency", "context"]
ScoreTest = Literal["el-score", "el-ratio"]
Timed = Literal["total", "first-token"]

KINDS: Final[tuple[MetricKind, ...]] = ("severe", "score", "cost", "tokens", "latency", "context")
"""In the order in which a verdict speaks of them."""
TESTS: Final[tuple[ScoreTest, ...]] = ("el-score", "el-ratio")


@dataclass(frozen=True, slots=True)
class Scorer:
    """One way to score an output.

    Attributes:
        name: unique in the suite; reports carry scores under it.
        type: such as `equals` or `json-field`.
        options: what the type needs, such as `value`, `field`, `tolerance`.
        weight: its share in a metric.
        negate: whether 1 - score counts.
        code: digest of the LF bytes of external scorer code; None for built-in types.
    """

    name: str
    type: str
    options: Mapping[str, canon.Json]
    weight: float = 1.0
    negate: bool = False
    code: Digest | None = None

    def to_dict(self) -> dict[str, canon.Json]:
        """Returns the JSON form."""
        return {
            "name": self.name,
            "type": self.type,
            "options": dict(self.options),
            "weight": self.weight,
            "negate": self.negate,
            "code": self.code,
        }

    @classmethod
    def from_dict(cls, value: canon.Json) -> "Scorer":
        """Reads the JSON form."""
        if not isinstance(value, Mapping) or not isinstance(value.get("options"), Mapping):
            raise FormatError("suite holds a malformed scorer")
        options, weight, code = value["options"], value.get("weight"), value.get("code")
        return cls(
            name=str(value.get("name")),
            type=str(value.get("type")),
            options=options if isinstance(options, Mapping) else {},
            weight=float(weight) if isinstance(weight, int | float) else 1.0,
            negate=bool(value.get("negate")),
            code=None if code is None else digest.parse(code),
        )


@dataclass(frozen=True, slots=True)
class Severity:
    """How many cases may fall far, whatever the mean does.

    Attributes:
        drop: a case whose mean falls by this much or more has fallen far; in the metric's scale.
        cases: how many such cases a candidate may have.
    """

    drop: float
    cases: int = 0


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that a release is judged by, and the rule for it.

    Attributes:
        name: unique in the suite.
        kind: `score` (more is better), `severe` (cases with a severe failure), `cost` (USD),
            `tokens` (input and output), `latency` (seconds) or `context` (share of the window).
        scorers: names of the scorers whose weighted mean it is; none for what is counted or timed.
            A run is a severe failure if one of a `severe` metric's scorers is below one half.
        margin: for scores, the largest drop that may pass, absolute, in (0, span of the scale).
        limit: for cost, tokens and latency, the largest allowed ratio to the baseline, above 1.
        floor: for scores, what a first release must reach.
        ceiling_usd: for cost, the mean USD a case that a first release must stay below.
        ceiling: for tokens, the mean number a case that a first release must stay below; for
            context, the share in (0, 1] that the quantile of any release must stay below.
        gate: whether it decides; a metric that does not is only watched.
        scale: the declared range of a score, such as (1, 5) for a rubric.
        test: the test of a score.
        pass_k: for scores, estimate the chance that this many runs of a case all pass.
        slice: the tag of the cases that count; None for all cases.
        must_pass: tags of the cases that every run of the candidate must pass.
        severity: how many cases may fall far; None for no such rule.
        budget: for `severe`, the largest share of cases that may pass.
        quantile: for latency and context, which quantile counts.
        of: for latency, the time to the whole answer or to its first token.
        used: only cases that use so many percent of the context window count, from the first number
            to below the second; None for all cases.
        meant: why a limit allows an increase, declared before it is measured.
    """

    name: str
    kind: MetricKind
    scorers: tuple[str, ...] = ()
    margin: float | None = None
    limit: float | None = None
    floor: float | None = None
    ceiling_usd: float | None = None
    gate: bool = True
    scale: tuple[float, float] = (0.0, 1.0)
    test: ScoreTest = "el-score"
    pass_k: int | None = None
    slice: str | None = None
    must_pass: tuple[str, ...] = ()
    severity: Severity | None = None
    budget: float | None = None
    quantile: float = 0.5
    of: Timed = "total"
    used: tuple[int, int] | None = None
    ceiling: float | None = None
    meant: str | None = None

    @property
    def span(self) -> float:
        """The width of the scale: what a score of 1 is worth in the metric's units."""
        return self.scale[1] - self.scale[0]

    @property
    def alone(self) -> bool:
        """Whether it is held against its ceiling, whatever the baseline does."""
        return self.kind == "context"

    def rule(self, *, has_baseline: bool) -> float | None:
        """Returns the number that it is held against; None if the suite sets none."""
        if self.kind == "severe":
            return self.budget
        if self.kind == "score":
            return self.margin if has_baseline else self.floor
        if has_baseline and not self.alone:
            return self.limit
        return self.ceiling_usd if self.kind == "cost" else self.ceiling

    def to_dict(self) -> dict[str, canon.Json]:
        """Returns the JSON form."""
        return {
            "name": self.name,
            "kind": self.kind,
            "scorers": list(self.scorers),
            "margin": self.margin,
            "limit": self.limit,
            "floor": self.floor,
            "ceiling_usd": self.ceiling_usd,
            "ceiling": self.ceiling,
            "gate": self.gate,
            "scale": list(self.scale),
            "test": self.test,
            "pass_k": self.pass_k,
            "slice": self.slice,
            "must_pass": list(self.must_pass),
            "severity": None
            if self.severity is None
            else {"drop": self.severity.drop, "cases": self.severity.cases},
            "budget": self.budget,
            "quantile": self.quantile,
            "of": self.of,
            "used": None if self.used is None else list(self.used),
            "meant": self.meant,
        }

    @classmethod
    def from_dict(cls, value: canon.Json) -> "Metric":
        """Reads the JSON form.

        Raises:
            FormatError: a member is missing or not as it should be.
        """
        if not isinstance(value, Mapping):
            raise FormatError("suite holds a malformed metric")
        try:
            kind = KINDS[[str(one) for one in KINDS].index(str(value["kind"]))]
            test = TESTS[[str(one) for one in TESTS].index(str(value["test"]))]
            low, high = (_end(end) for end in _list(value["scale"]))
            severity, pass_k, quantile = value["severity"], value["pass_k"], value["quantile"]
        except (KeyError, ValueError) as err:
            raise FormatError(f"metric {value.get('name')} lacks or misspells {err}") from err
        return cls(
            name=str(value.get("name")),
            kind=kind,
            scorers=tuple(str(item) for item in _list(value.get("scorers"))),
            margin=number(value.get("margin")),
            limit=number(value.get("limit")),
            floor=number(value.get("floor")),
            ceiling_usd=number(value.get("ceiling_usd")),
            ceiling=number(value.get("ceiling")),
            gate=bool(value.get("gate")),
            scale=(low, high),
            test=test,
            pass_k=pass_k if isinstance(pass_k, int) else None,
            slice=_text(value.get("slice")),
            must_pass=tuple(str(item) for item in _list(value.get("must_pass"))),
            severity=_severity(severity),
            budget=number(value.get("budget")),
            quantile=number(quantile) or 0.5,
            of="first-token" if value.get("of") == "first-token" else "total",
            used=_used(value.get("used")),
            meant=_text(value.get("meant")),
        )


def number(value: canon.Json) -> float | None:
    """Returns a JSON number as float; None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _end(value: canon.Json) -> float:
    found = number(value)
    if found is None:
        raise ValueError("scale")
    return found


def _severity(value: canon.Json) -> Severity | None:
    if not isinstance(value, Mapping):
        return None
    cases = value.get("cases")
    return Severity(number(value.get("drop")) or 1.0, cases if isinstance(cases, int) else 0)


def _used(value: canon.Json) -> tuple[int, int] | None:
    ends = [end for end in _list(value) if isinstance(end, int)]
    return (ends[0], ends[1]) if len(ends) == 2 else None


def _list(value: canon.Json) -> list[canon.Json]:
    return value if isinstance(value, list) else []


def _text(value: canon.Json) -> str | None:
    return value if isinstance(value, str) else None
