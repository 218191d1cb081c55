"""What is known of a judge: its calibration, the checks since, and labels by people.

- A judge is a bundle; whatever is said of it is said of its digest, and of no other.
- Each record is a stored object of its own, filed under what it speaks of (`version.keys_of`).
- What a figure cannot say is None, with a reason; a judge is trusted only by what stands here.
- Anchors, the answers that a judge is held against, are in `core.anchors`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from llmvc.core import canon
from llmvc.core.anchors import Anchor, AnchorSet, lineage, same_family
from llmvc.core.digest import Digest
from llmvc.core.judge import ProtocolName
from llmvc.core.record import Record, members, read
from llmvc.errors import FormatError

__all__ = [
    "RETIRED",
    "STATES",
    "SUSPECT",
    "TRUSTED",
    "UNCALIBRATED",
    "Anchor",
    "AnchorSet",
    "Calibration",
    "Check",
    "Evidence",
    "Figure",
    "Identity",
    "Labels",
    "Shift",
    "State",
    "Tombstone",
    "identities_of",
    "lineage",
    "same_family",
]

State = Literal["UNCALIBRATED", "TRUSTED", "SUSPECT", "RETIRED"]
Identity = tuple[str | None, str | None]
"""Model and fingerprint as the provider named them."""

UNCALIBRATED: Final[State] = "UNCALIBRATED"
TRUSTED: Final[State] = "TRUSTED"
SUSPECT: Final[State] = "SUSPECT"
RETIRED: Final[State] = "RETIRED"
STATES: Final[tuple[State, ...]] = (UNCALIBRATED, TRUSTED, SUSPECT, RETIRED)
"""Of two states seen at one time under one calibration, the later one here counts."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its interval of level 90%; None, with a reason, where it cannot be told."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Calibration(Record):
    """How a judge did on answers that people labelled.

    Attributes:
        judge: digest of the judge bundle.
        anchors: digest of the anchor set.
        connection: digest of what tells the connection that it was asked through from others.
        attempt: which calibration of this judge on these anchors it is, of those stored then; from
            1, whatever the connection.
        family: training lineage of the judge's model, as its bundle states it.
        protocol: how it judges.
        n: anchors with a label by most people and a grade by the judge.
        raters: people who labelled.
        figures: `sensitivity`, `specificity`, `balanced_accuracy`, `kappa`, `ac1`, `alpha` (the
            people among themselves), `position_flips`, `self_noise` (how often a grade differs from
            the usual one of the same answer), `length_slope`, `injection`, and the balanced
            accuracies of the trivial rules `always_pass`, `always_first`, `longest`.
        families: who wrote answers -> `sensitivity`, `specificity` and `leniency` (its score minus
            people's) on theirs; only families that anchors name.
        reference: anchor id -> the judge's usual score in [0, 1]; None where it has none.
        human: normal anchor id -> people's usual score; only those that most of them agree on.
        admitted: whether the judge is good enough to be used at all.
        why: why not; empty if it is.
        identities: what the provider said that it called.
        made: RFC 3339, UTC.
        expires: the same; from then on it counts no more.
        actor: who calibrated.
        tool: `llmvc <version>`.
    """

    TYPE: ClassVar[str] = "calibration/1"
    judge: Digest
    anchors: Digest
    connection: Digest
    attempt: int
    family: str
    protocol: ProtocolName
    n: int
    raters: int
    figures: Mapping[str, Figure]
    families: Mapping[str, Mapping[str, Figure]]
    reference: Mapping[str, float | None]
    human: Mapping[str, float]
    admitted: bool
    why: tuple[str, ...]
    identities: tuple[Identity, ...]
    made: str
    expires: str
    actor: str
    tool: str

    def __post_init__(self) -> None:
        """Refuses what no calibration can hold."""
        _check_times(self.made, self.expires)
        _check_scores((*self.reference.values(), *self.human.values()), self.TYPE)


@dataclass(frozen=True, slots=True)
class Check(Record):
    """Whether a judge still grades the anchors as it did.

    Attributes:
        judge: digest of the judge bundle.
        calibration: digest of the calibration compared with.
        connection: digest of that which it was asked through, as in the calibration.
        n: anchors compared.
        flips: how many of them got another verdict.
        alarm: flips from which on the judge is suspect.
        p: chance of so many flips or more if the judge is what it was; None if nothing was
            compared.
        injected: adversarial anchors with a good grade that had none at calibration.
        identities: what the provider said that it called.
        state: TRUSTED, SUSPECT, or UNCALIBRATED where it could not be checked.
        why: what made it so; empty if it is trusted.
        made: RFC 3339, UTC.
        expires: the same; from then on the judge is to be checked again.
    """

    TYPE: ClassVar[str] = "check/1"
    judge: Digest
    calibration: Digest
    connection: Digest
    n: int
    flips: int
    alarm: int
    p: float | None
    injected: int
    identities: tuple[Identity, ...]
    state: State
    why: tuple[str, ...]
    made: str
    expires: str

    def __post_init__(self) -> None:
        """Refuses what no check can hold."""
        _check_times(self.made, self.expires)


@dataclass(frozen=True, slots=True)
class Labels(Record):
    """What people say of both arms' answers to some cases, chosen at random.

    Attributes:
        judge: digest of the judge bundle that graded the same answers.
        scorer: its scorer in the suite.
        suite: digest of the suite.
        candidate: digest of the bundle that gave the answers.
        baseline: digest of the other; None on a first release.
        cases: case id -> (score of the baseline's answer or None, score of the candidate's), each
            in [0, 1].
        raters: people who labelled.
        made: RFC 3339, UTC.
        actor: who read them in.
    """

    TYPE: ClassVar[str] = "labels/1"
    judge: Digest
    scorer: str
    suite: Digest
    candidate: Digest
    baseline: Digest | None
    cases: Mapping[str, tuple[float | None, float]]
    raters: int
    made: str
    actor: str

    def __post_init__(self) -> None:
        """Refuses what no labels can hold."""
        _check_times(self.made)
        _check_scores((score for pair in self.cases.values() for score in pair), self.TYPE)


@dataclass(frozen=True, slots=True)
class Shift(Record):
    """What changes if one judge takes another's place, seen on the same outputs.

    Attributes:
        old: digest of the judge bundle that goes.
        new: digest of the one that comes.
        n: outputs graded by both.
        outputs: digest of the list of their run ids.
        mean_old: mean grade in [0, 1] under the old judge; None where nothing was graded.
        mean_new: the same under the new one.
        shift: new minus old.
        low: lower end of its interval of level 90%; None where there are too few outputs.
        high: its upper end.
        flips: outputs with another verdict.
        made: RFC 3339, UTC.
    """

    TYPE: ClassVar[str] = "shift/1"
    old: Digest
    new: Digest
    n: int
    outputs: Digest
    mean_old: float | None
    mean_new: float | None
    shift: float | None
    low: float | None
    high: float | None
    flips: int
    made: str

    def __post_init__(self) -> None:
        """Refuses what no shift can hold."""
        _check_times(self.made)


@dataclass(frozen=True, slots=True)
class Tombstone(Record):
    """A judge that is to be used no more, and why; it cannot be taken back."""

    TYPE: ClassVar[str] = "tombstone/1"
    of: Digest
    reason: str
    made: str
    actor: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a report says of one judge.

    Attributes:
        name: the judge's name, for people.
        scorers: the suite's scorers that it grades.
        family: training lineage of its model.
        protocol: how it judges.
        votes: grades taken of each answer.
        state: whether it could be trusted when it graded.
        why: what made it so.
        calibration: digest of its calibration; None without one.
        calibrated: when that was made, RFC 3339, UTC.
        check: digest of its last check.
        connection: digest of what tells the connection that it graded through from others.
        identities: what the provider said that it called, sorted.
        flips: answers on which the two orders disagreed.
        graded: answers graded.
        flagged: answers that were aimed at it, see `evals.fence.flags`.
        usd: what it cost; None if that is not known.
        migration: whether the candidate differs from the baseline in its model section.
        same_family: whether an arm's model is of the judge's family.
        length_control: whether its preference is held against what it is at equal lengths.
        panel_votes: how many independent votes the judges are worth that share a metric with it;
            None if it is alone, or if that is not known.
        warnings: codes of `gate.judged.lint`.
        labels: scorer -> case id -> (baseline's score or None, candidate's) as people see it.
    """

    name: str
    scorers: tuple[str, ...] = ()
    family: str = ""
    protocol: ProtocolName = "pointwise"
    votes: int = 1
    state: State = UNCALIBRATED
    why: tuple[str, ...] = ()
    calibration: Digest | None = None
    calibrated: str | None = None
    check: Digest | None = None
    connection: Digest | None = None
    identities: tuple[Identity, ...] = ()
    flips: int = 0
    graded: int = 0
    flagged: int = 0
    usd: float | None = None
    migration: bool = False
    same_family: bool = False
    length_control: bool = True
    panel_votes: float | None = None
    warnings: tuple[str, ...] = ()
    labels: Mapping[str, Mapping[str, tuple[float | None, float]]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, canon.Json]:
        """Returns the JSON form that `Report.judges` holds."""
        return members(self)

    @classmethod
    def from_dict(cls, value: canon.Json) -> "Evidence":
        """Reads the JSON form.

        Raises:
            FormatError: it is not what a report says of a judge.
        """
        found = read(cls, value, "what the report says of a judge")
        for cases in found.labels.values():
            _check_scores((score for pair in cases.values() for score in pair), "labels")
        return found


def identities_of(seen: Iterable[Identity]) -> tuple[Identity, ...]:
    """Returns the identities seen, each once, in an order that does not depend on theirs."""
    return tuple(sorted(set(seen), key=lambda one: (one[0] or "", one[1] or "")))


def _check_times(*times: str) -> None:
    for time in times:
        if not _TIME.match(time):
            raise FormatError(f"{time!r:.40} is not a time", hint="write 2026-11-20T08:30:00Z")


def _check_scores(scores: Iterable[float | None], where: str) -> None:
    for score in scores:
        if score is not None and not 0.0 <= score <= 1.0:
            raise FormatError(f"{where} holds a score of {score:g}, outside [0, 1]")
