"""Migrations: what moving a bundle to another model changed, and what was found of it.

- A record says of every parameter what became of it, so that none is lost without a word.
- What nobody knows of a model stands under `unknown`; it is never guessed.
- It is about one pair of bundles and one report, and is filed under the candidate and the report.
- A plan is the same record before the measurement: `report` and `verdict` are null, and it is not
  stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from llmvc.core import canon
from llmvc.core.digest import Digest
from llmvc.core.record import Record

Decision = Literal["kept", "respelt", "dropped", "set", "undecided"]
Part = Literal["model", "messages", "tools", "response", "context", "judges", "suite"]
Level = Literal["refused", "warning", "note"]

ESTIMATED: Final = "estimated"
MEASURED: Final = "measured"


@dataclass(frozen=True, slots=True)
class Models:
    """Which model goes and which comes, as `provider/id`, with its snapshot where it has one.

    Attributes:
        from_: None if nothing was served and the manifest named none.
        to: the target.
    """

    from_: str | None
    to: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter that either bundle has.

    Attributes:
        name: as the manifest calls it, such as `decoding.seed`.
        from_: its value before; None where it has none.
        to: its value now; None where it has none.
        decision: `kept`; `respelt` where only the API's name for it differs; `dropped` or `set` by
            a person, or because it belonged to the old model; `undecided` in a plan alone.
        why: what made a decision necessary, or the two names; empty if nothing did.
    """

    name: str
    from_: canon.Json
    to: canon.Json
    decision: Decision
    why: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the candidate that a person should know, or that the new API refuses.

    Attributes:
        part: of the bundle or its measurement.
        level: `refused` stops a migration.
        where: such as `tools.lookup.input_schema`.
        says: in words.
    """

    part: Part
    level: Level
    where: str
    says: str


@dataclass(frozen=True, slots=True)
class Room:
    """How the requests of the whole dataset fit a context window, in tokens.

    Attributes:
        window: input and output together; None if nobody names one.
        worst: size of the largest request; None without requests.
        case: the id of its case.
        fits: requests that fit; None without a window.
        beyond: requests that surely do not fit; None without a window.
        of: requests.
    """

    window: int | None
    worst: int | None
    case: str | None
    fits: int | None
    beyond: int | None
    of: int


@dataclass(frozen=True, slots=True)
class Context:
    """The room before and after, and what counted the tokens."""

    from_: Room | None
    to: Room | None
    estimator: str


@dataclass(frozen=True, slots=True)
class Amount:
    """What one run of a case costs on average, and one run of each case, in USD; None: unknown."""

    usd_case: float | None
    usd_dataset: float | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What both bundles cost.

    Attributes:
        from_: before.
        to: after.
        basis: `estimated` before the calls, `measured` from those of the report.
        estimator: how tokens were counted.
        prices: digest of the price table.
        dated: when the target's price was known, else the newest part of the table; empty if
            nothing says.
    """

    from_: Amount
    to: Amount
    basis: str
    estimator: str
    prices: Digest
    dated: str


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge of the suite beside the models that it compares.

    Attributes:
        name: of the judge.
        judge: digest of its bundle.
        family: training lineage of its model.
        kin: whether one of the models is of that family.
        state: whether it is trusted, such as `TRUSTED`; None in a plan before it was checked.
        warnings: codes of `gate.judged.lint`.
    """

    name: str
    judge: Digest
    family: str
    kin: bool
    state: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variants:
    """The spellings of the prompt that the suite names.

    Attributes:
        names: empty if the prompt is measured as it is written alone.
        unchanged: those that find nothing to change in the candidate.
    """

    names: tuple[str, ...]
    unchanged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """Where what the target takes is known from.

    Attributes:
        table: digest of the table of models.
        family: the entry that fits the target; None if none does.
        dated: when it was known; empty if the entry does not say.
    """

    table: Digest
    family: str | None
    dated: str


@dataclass(frozen=True, slots=True)
class Migration(Record):
    """One migration; see the module's docstring.

    Attributes:
        bundle: its name.
        env: the environment that it was measured against.
        from_: digest served there; None on a first release.
        to: digest of the candidate.
        suite: digest of what both were measured by.
        models: the old one and the new one.
        parameters: every one that either bundle has, sorted by name.
        findings: refused ones first.
        unknown: what could not be checked, each a sentence.
        context: None for an application that makes its own requests.
        cost: what both cost.
        judges: of the suite.
        variants: of the suite.
        known: where what the target takes is known from.
        report: digest of the evidence; None in a plan.
        verdict: what the gate said of it; None in a plan.
        made: RFC 3339, UTC.
        actor: who migrated.
        tool: `llmvc <version>`.
    """

    TYPE: ClassVar[str] = "migration/1"
    bundle: str
    env: str
    from_: Digest | None
    to: Digest
    suite: Digest
    models: Models
    parameters: tuple[Parameter, ...]
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]
    context: Context | None
    cost: Cost
    judges: tuple[Judge, ...]
    variants: Variants
    known: Known
    report: Digest | None
    verdict: str | None
    made: str
    actor: str
    tool: str

    @property
    def changed(self) -> tuple[Parameter, ...]:
        """The parameters that are not kept as they were."""
        return tuple(one for one in self.parameters if one.decision != "kept")

    @property
    def undecided(self) -> tuple[Parameter, ...]:
        """The parameters that a person has to decide on first."""
        return tuple(one for one in self.parameters if one.decision == "undecided")

    @property
    def refused(self) -> tuple[Finding, ...]:
        """What the new API refuses, and only an edit of the manifest mends."""
        return tuple(one for one in self.findings if one.level == "refused")

    def about(self, from_: Digest | None, to: Digest, report: Digest | None) -> bool:
        """Says whether it is about these bundles and this report."""
        return (self.from_, self.to, self.report) == (from_, to, report)


def newest(records: Iterable[Migration]) -> Migration | None:
    """Returns the newest of some records; None if there is none."""
    return max(records, key=lambda one: (one.made, one.digest), default=None)
