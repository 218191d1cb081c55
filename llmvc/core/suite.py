"""Suites: what a bundle is measured by, fixed and hashed before any result is seen.

- A dataset is the sorted list of (case id, digest of the case's row); where the rows lie is not
  part of it.
- A suite names datasets, scorers, runs per case and metrics with their margins. Whoever changes a
  margin has another suite, and a report made under the old one is no evidence for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.metric import Metric, Scorer, number
from llmvc.errors import FormatError

TYPE: Final = "suite/1"
DATASET: Final = "dataset/1"
CASE: Final = "case/1"

LooksBy = Literal["cases", "runs", "any-time"]
Beyond = Literal["divide", "new-cases"]

LOOKS_BY: Final[tuple[LooksBy, ...]] = ("cases", "runs", "any-time")


@dataclass(frozen=True)
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

    @cached_property
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
class Looks:
    """When a verdict may be read, fixed beforehand.

    Attributes:
        by: what is added between looks: `cases`, or `runs` of all cases; `any-time` may stop after
            any case, at a price in power.
        at: the share of all cases or runs at each look, increasing, the last one 1.
    """

    by: LooksBy = "cases"
    at: tuple[float, ...] = (1.0,)

    def to_dict(self) -> dict[str, canon.Json]:
        """Returns the JSON form."""
        return {"by": self.by, "at": list(self.at)}

    @classmethod
    def from_dict(cls, value: canon.Json) -> "Looks":
        """Reads the JSON form.

        Raises:
            FormatError: it is not a plan of looks.
        """
        body = value if isinstance(value, Mapping) else {}
        names = [str(name) for name in LOOKS_BY]
        listed, by = body.get("at"), str(body.get("by"))
        at = tuple(number(one) or 0.0 for one in listed) if isinstance(listed, list) else ()
        if by not in names or not at:
            raise FormatError("suite holds malformed looks")
        return cls(LOOKS_BY[names.index(by)], at)


@dataclass(frozen=True)
class Suite:
    """What a bundle is measured by.

    Attributes:
        datasets: digests, in the order of the suite file.
        scorers: in the order of the suite file.
        runs: runs per case and arm, at least 1.
        metrics: in the order of the suite file.
        alpha: one-sided error rate of each verdict, in (0, 0.5).
        looks: when a verdict may be read; they share alpha.
        max_age_s: how old a baseline's cached runs may be, in seconds.
        judges: digests of judge bundles.
        golden: a pinned version that a release is compared with too, so that allowed losses
            cannot add up unseen; None for no such version.
        candidates: how many candidates may be tried on one baseline at the full alpha.
        variants: spellings of the prompt that mean the same, of `core.variants`; run r is made with
            number r modulo (their count + 1), 0 being the prompt as written.
        beyond: what more of them meet: `divide` divides alpha, `new-cases` asks for new cases.
    """

    datasets: tuple[Digest, ...]
    scorers: tuple[Scorer, ...]
    runs: int
    metrics: tuple[Metric, ...]
    alpha: float = 0.05
    looks: Looks = Looks()
    max_age_s: int = 86_400
    judges: tuple[Digest, ...] = ()
    golden: Digest | None = None
    candidates: int = 10
    beyond: Beyond = "divide"
    variants: tuple[str, ...] = ()

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
                "looks": self.looks.to_dict(),
                "max_age_s": self.max_age_s,
                "golden": self.golden,
                "candidates": self.candidates,
                "beyond": self.beyond,
                "variants": list(self.variants),
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
        judges, golden, beyond = body.get("judges"), body.get("golden"), body.get("beyond")
        variants = body.get("variants")
        runs, age, candidates = body.get("runs"), body.get("max_age_s"), body.get("candidates")
        if not (
            isinstance(datasets, list) and isinstance(scorers, list) and isinstance(metrics, list)
        ):
            raise FormatError("suite lacks datasets, scorers or metrics")
        if not (isinstance(runs, int) and isinstance(age, int) and isinstance(candidates, int)):
            raise FormatError(
                "suite lacks runs, max_age_s or candidates",
                hint="it was stored by an older llmvc: measure again with the suite file of today",
            )
        return cls(
            datasets=tuple(digest.parse(item) for item in datasets),
            scorers=tuple(Scorer.from_dict(item) for item in scorers),
            runs=runs,
            metrics=tuple(Metric.from_dict(item) for item in metrics),
            alpha=number(body.get("alpha")) or 0.05,
            looks=Looks.from_dict(body.get("looks")),
            max_age_s=age,
            judges=tuple(digest.parse(item) for item in judges) if isinstance(judges, list) else (),
            golden=None if golden is None else digest.parse(golden),
            candidates=candidates,
            beyond="new-cases" if beyond == "new-cases" else "divide",
            variants=tuple(str(one) for one in variants) if isinstance(variants, list) else (),
        )


def added_cases(old: Suite, new: Suite, datasets: Mapping[Digest, Dataset]) -> int | None:
    """Returns how many cases `new` adds if that is all it changes; None if it changes more."""
    if _without_data(old).to_bytes() != _without_data(new).to_bytes():
        return None
    before = {pair for key in old.datasets for pair in datasets[key].cases}
    after = {pair for key in new.datasets for pair in datasets[key].cases}
    return len(after) - len(before) if before <= after else None


def _without_data(suite: Suite) -> Suite:
    return replace(suite, datasets=())
