"""Suites: what a bundle is measured by, fixed and hashed before any result is seen.

- A dataset is the sorted list of (case id, digest of the case's row); where the rows lie is not
  part of it.
- A suite names datasets, scorers, runs per case and metrics with their margins. Whoever changes a
  margin has another suite, and a report made under the old one is no evidence for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.errors import FormatError

TYPE: Final = "suite/1"
DATASET: Final = "dataset/1"
CASE: Final = "case/1"

MetricKind = Literal["score", "cost", "latency"]


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a dataset in its normal form.

    Attributes:
        id: unique in the suite.
        vars: what the bundle's templates are filled with.
        expected: what scorers compare with; None if the row has nothing.
        group: cases that share a document or conversation; None if it stands alone.
        tags: labels for slices, sorted.
        checks: further scorers for this case alone, as the dataset wrote them.
    """

    id: str
    vars: Mapping[str, canon.Json]
    expected: canon.Json = None
    group: str | None = None
    tags: tuple[str, ...] = ()
    checks: tuple[Mapping[str, canon.Json], ...] = ()

    def to_dict(self) -> dict[str, canon.Json]:
        """Returns the canonical row."""
        return {
            "llmvc": CASE,
            "id": self.id,
            "vars": dict(self.vars),
            "expected": self.expected,
            "group": self.group,
            "tags": list(self.tags),
            "checks": [dict(check) for check in self.checks],
        }

    @property
    def digest(self) -> Digest:
        """The row's identity."""
        return digest.of_value(self.to_dict())


@dataclass(frozen=True)
class Dataset:
    """The identity of a set of cases.

    Attributes:
        cases: (id, digest of the row), sorted by id, ids unique.
    """

    cases: tuple[tuple[str, Digest], ...]

    @classmethod
    def of(cls, cases: Iterable[Case]) -> "Dataset":
        """Builds it from cases in any order."""
        return cls(tuple(sorted((case.id, case.digest) for case in cases)))

    def to_bytes(self) -> bytes:
        """Returns the canonical `dataset/1` bytes."""
        return canon.encode({"llmvc": DATASET, "cases": [list(pair) for pair in self.cases]})

    @cached_property
    def digest(self) -> Digest:
        """The dataset's identity."""
        return digest.of_bytes(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> "Dataset":
        """Reads a stored dataset."""
        rows = canon.decode_object(data, DATASET).get("cases")
        if not isinstance(rows, list):
            raise FormatError("dataset has no list of cases")
        return cls(
            tuple((str(row[0]), digest.parse(row[1])) for row in rows if isinstance(row, list))
        )


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
class Metric:
    """One number that a release is judged by, and the rule for it.

    Attributes:
        name: unique in the suite.
        kind: `score` (in [0, 1], more is better), `cost` (USD) or `latency` (seconds).
        scorers: names of the scorers whose weighted mean it is; empty for cost and latency.
        margin: for scores, the largest drop that may pass, absolute, in (0, 1).
        limit: for cost and latency, the largest allowed ratio to the baseline, above 1.
        floor: for scores, what a first release must reach.
        ceiling_usd: for cost, the mean USD a case that a first release must stay below.
        gate: whether it decides; a metric that does not is only watched.
    """

    name: str
    kind: MetricKind
    scorers: tuple[str, ...] = ()
    margin: float | None = None
    limit: float | None = None
    floor: float | None = None
    ceiling_usd: float | None = None
    gate: bool = True

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
            "gate": self.gate,
        }

    @classmethod
    def from_dict(cls, value: canon.Json) -> "Metric":
        """Reads the JSON form."""
        if not isinstance(value, Mapping) or value.get("kind") not in ("score", "cost", "latency"):
            raise FormatError("suite holds a malformed metric")
        kind: MetricKind = (
            "cost"
            if value["kind"] == "cost"
            else "latency"
            if value["kind"] == "latency"
            else "score"
        )
        scorers = value.get("scorers")
        return cls(
            name=str(value.get("name")),
            kind=kind,
            scorers=tuple(str(item) for item in scorers) if isinstance(scorers, list) else (),
            margin=number(value.get("margin")),
            limit=number(value.get("limit")),
            floor=number(value.get("floor")),
            ceiling_usd=number(value.get("ceiling_usd")),
            gate=bool(value.get("gate")),
        )


@dataclass(frozen=True)
class Suite:
    """What a bundle is measured by.

    Attributes:
        datasets: digests, in the order of the suite file.
        scorers: in the order of the suite file.
        runs: runs per case and arm, at least 1.
        metrics: in the order of the suite file.
        alpha: one-sided error rate of each verdict, in (0, 0.5).
        looks: how many reports on one question may decide; alpha is divided by it.
        max_age_s: how old a baseline's cached runs may be, in seconds.
        judges: digests of judge bundles.
    """

    datasets: tuple[Digest, ...]
    scorers: tuple[Scorer, ...]
    runs: int
    metrics: tuple[Metric, ...]
    alpha: float = 0.05
    looks: int = 1
    max_age_s: int = 86_400
    judges: tuple[Digest, ...] = ()

    def to_bytes(self) -> bytes:
        """Returns the canonical `suite/1` bytes."""
        return canon.encode(
            {
                "llmvc": TYPE,
                "datasets": list(self.datasets),
                "scorers": [scorer.to_dict() for scorer in self.scorers],
                "judges": list(self.judges),
                "runs": self.runs,
                "metrics": [metric.to_dict() for metric in self.metrics],
                "alpha": self.alpha,
                "looks": self.looks,
                "max_age_s": self.max_age_s,
            }
        )

    @cached_property
    def digest(self) -> Digest:
        """The suite's identity."""
        return digest.of_bytes(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> "Suite":
        """Reads a stored suite.

        Raises:
            FormatError: the bytes are not a suite.
        """
        body = canon.decode_object(data, TYPE)
        datasets, scorers, metrics = body.get("datasets"), body.get("scorers"), body.get("metrics")
        judges, runs, looks, age = (
            body.get("judges"),
            body.get("runs"),
            body.get("looks"),
            body.get("max_age_s"),
        )
        if not (
            isinstance(datasets, list) and isinstance(scorers, list) and isinstance(metrics, list)
        ):
            raise FormatError("suite lacks datasets, scorers or metrics")
        if not (isinstance(runs, int) and isinstance(looks, int) and isinstance(age, int)):
            raise FormatError("suite lacks runs, looks or max_age_s")
        return cls(
            datasets=tuple(digest.parse(item) for item in datasets),
            scorers=tuple(Scorer.from_dict(item) for item in scorers),
            runs=runs,
            metrics=tuple(Metric.from_dict(item) for item in metrics),
            alpha=number(body.get("alpha")) or 0.05,
            looks=looks,
            max_age_s=age,
            judges=tuple(digest.parse(item) for item in judges) if isinstance(judges, list) else (),
        )


def added_cases(old: Suite, new: Suite, datasets: Mapping[Digest, Dataset]) -> int | None:
    """Returns how many cases `new` adds if that is all it changes; None if it changes more."""
    if Suite.to_bytes(_without_data(old)) != Suite.to_bytes(_without_data(new)):
        return None
    before = {pair for key in old.datasets for pair in datasets[key].cases}
    after = {pair for key in new.datasets for pair in datasets[key].cases}
    return len(after) - len(before) if before <= after else None


def _without_data(suite: Suite) -> Suite:
    return Suite(
        (),
        suite.scorers,
        suite.runs,
        suite.metrics,
        suite.alpha,
        suite.looks,
        suite.max_age_s,
        suite.judges,
    )


def number(value: canon.Json) -> float | None:
    """Returns a JSON number as float; None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
