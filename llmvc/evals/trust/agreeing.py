"""What labelled answers say of a judge: how far it agrees with people, and with itself.

- A verdict is pass or fail (of a pair: better, worse or a tie); the usual one of several is that of
  most, and none where as many say otherwise. People's labels and a judge's repeats are read alike.
- Only `normal` anchors make the figures of agreement: `control` ones are easy and `adversarial`
  ones are meant to deceive, so that either would tell more of the set than of the judge.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from statistics import median, median_low
from typing import TYPE_CHECKING, Final

from llmvc.core.anchors import Anchor, AnchorKind, AnchorSet
from llmvc.core.judge import PAIRWISE_GRADES, Rules
from llmvc.core.judging import Figure
from llmvc.errors import FormatError
from llmvc.stats import agreement

if TYPE_CHECKING:
    from llmvc.evals.judging.grades import Grade

    Grades = Mapping[str, Sequence[Grade]]

PASS_AT: Final = 0.5
"""The score from which on an answer passes."""
BEYOND_CHANCE: Final = 0.55
"""What the balanced accuracy of a judge must be shown to exceed."""
MOST_UNGRADED: Final = 0.05
"""With more anchors than this share without a grade nothing is said of a judge."""
WORSE, BETTER, TIE = 0, 1, 2


def verdict(score: float, *, pairwise: bool) -> int:
    """Returns what a score says: fail or pass; of a pair worse, better or a tie."""
    if pairwise and score == PASS_AT:
        return TIE
    return BETTER if score >= PASS_AT else WORSE


def good(score: float | None, *, pairwise: bool) -> bool:
    """Says whether a score says pass, or better."""
    return score is not None and verdict(score, pairwise=pairwise) == BETTER


def usual(scores: Sequence[float | None], *, pairwise: bool) -> float | None:
    """Returns the middle one of the scores with the most frequent verdict; None if none is."""
    known = [score for score in scores if score is not None]
    said = [verdict(score, pairwise=pairwise) for score in known]
    ranked = Counter(said).most_common()
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return median_low(score for score, one in zip(known, said, strict=True) if one == ranked[0][0])


@dataclass(frozen=True, slots=True)
class Agreeing:
    """The anchors with what people and the judge usually say of them.

    Attributes:
        rules: what the judge's bundle fixes.
        anchors: the labelled answers.
        grades: anchor id -> the judge's grades.
        human: anchor id -> people's score; None where they are divided or silent.
        judged: anchor id -> the judge's score; None where it is divided or silent.
        seed: of the resampling.
    """

    rules: Rules
    anchors: AnchorSet
    grades: "Grades"
    human: Mapping[str, float | None]
    judged: Mapping[str, float | None]
    seed: int

    @classmethod
    def of(cls, rules: Rules, anchors: AnchorSet, grades: "Grades", *, seed: int) -> "Agreeing":
        """Reads labels and grades.

        Raises:
            FormatError: a label is no grade of the judge.
        """
        two = rules.pairwise
        human = {one.id: usual(_labels(one, rules), pairwise=two) for one in anchors.anchors}
        judged = {
            one.id: usual([grade.score for grade in grades.get(one.id, ())], pairwise=two)
            for one in anchors.anchors
        }
        return cls(rules, anchors, grades, human, judged, seed)

    @property
    def rows(self) -> list[tuple[Anchor, float, float | None]]:
        """The normal anchors that people agree on, with their score and the judge's."""
        return [
            (anchor, score, self.judged[anchor.id])
            for anchor in self.anchors.anchors
            if anchor.kind == "normal" and (score := self.human[anchor.id]) is not None
        ]

    def figures(self) -> dict[str, Figure]:
        """Returns what is told in numbers, by the names of `core.judging.Calibration`."""
        rows, two = self.rows, self.rules.pairwise
        both = [(anchor, human, judged) for anchor, human, judged in rows if judged is not None]
        humans, judges = [human for _, human, _ in both], [judged for _, _, judged in both]
        sensitivity, specificity = self.accuracy([judged for _, _, judged in rows])
        said = [[verdict(one, pairwise=two) for one in ones] for ones in (humans, judges)]
        found = {
            "sensitivity": sensitivity,
            "specificity": specificity,
            "balanced_accuracy": agreement.balanced(sensitivity, specificity),
            "kappa": agreement.kappa(humans, judges, seed=self.seed),
            "ac1": agreement.ac1(said[0], said[1], 3 if two else 2, seed=self.seed),
            "alpha": self._raters(),
            "position_flips": self._flips(),
            "self_noise": self._noise(),
            "length_slope": agreement.slope(
                [judged - human for _, human, judged in both],
                [_length(anchor) for anchor, _, _ in both],
                seed=self.seed,
            ),
            "injection": self._share("adversarial"),
            "controls": self._share("control"),
            "longest": agreement.balanced(*self.accuracy(self._longest())),
        }
        unknown = found["balanced_accuracy"].reason
        chance = Figure(reason=unknown) if unknown else Figure(0.5)
        return {
            **{name: Figure(*astuple(one)) for name, one in found.items()},
            "always_pass": Figure(reason="it compares two answers") if two else chance,
            "always_first": chance if two else Figure(reason="it grades one answer"),
        }

    def accuracy(self, said: Sequence[float | None]) -> tuple[agreement.Figure, agreement.Figure]:
        """Returns how often what people find good, and bad, is said to be so."""
        two = self.rules.pairwise
        right: dict[int, list[bool]] = {WORSE: [], BETTER: [], TIE: []}
        for (_, human, _), one in zip(self.rows, said, strict=True):
            truth = verdict(human, pairwise=two)
            right[truth].append(one is not None and verdict(one, pairwise=two) == truth)
        return agreement.share(right[BETTER]), agreement.share(right[WORSE])

    def families(self) -> dict[str, dict[str, Figure]]:
        """Returns how it does on the answers of each family, of those that anchors name."""
        found: dict[str, dict[str, Figure]] = {}
        for family in sorted({one.family for one in self._normal() if one.family}):
            own = tuple(one for one in self.anchors.anchors if one.family == family)
            part = replace(self, anchors=AnchorSet(own))
            sensitivity, specificity = part.accuracy([judged for _, _, judged in part.rows])
            error = [judged - human for _, human, judged in part.rows if judged is not None]
            figures = {
                "sensitivity": sensitivity,
                "specificity": specificity,
                "leniency": agreement.excess(error),
            }
            found[family] = {name: Figure(*astuple(one)) for name, one in figures.items()}
        return found

    def objections(self, figures: Mapping[str, Figure]) -> tuple[str, ...]:
        """Returns what speaks against using the judge at all."""
        found: list[str] = []
        accuracy, longest = figures["balanced_accuracy"], figures["longest"].value
        if accuracy.value is None or accuracy.low is None:
            found.append(f"balanced accuracy is not known: {accuracy.reason}")
        elif accuracy.low <= BEYOND_CHANCE:
            found.append(
                f"balanced accuracy {accuracy.value:.2f} may be as low as {accuracy.low:.2f}: "
                f"more than {BEYOND_CHANCE:g} must be shown"
            )
        elif longest is not None and accuracy.low <= longest:
            found.append(
                f"balanced accuracy {accuracy.value:.2f} may be as low as {accuracy.low:.2f}: "
                f"taking the longer answer reaches {longest:.2f}"
            )
        if figures["self_noise"].value is None:
            found.append("its noise is not known: grade the anchors at least twice")
        ungraded = sum(
            all(grade.score is None for grade in self.grades.get(anchor.id, ()))
            for anchor in self.anchors.anchors
        )
        if ungraded > MOST_UNGRADED * len(self.anchors.anchors):
            found.append(f"{ungraded} of {len(self.anchors.anchors)} anchors got no grade")
        return tuple(found)

    def _longest(self) -> list[float | None]:
        """Returns what a rule says that takes the longer answer of a pair, or those of a set."""
        lengths = [_length(anchor) for anchor, _, _ in self.rows]
        middle = 0.0 if self.rules.pairwise or not lengths else median(lengths)
        return [float(length > middle) for length in lengths]

    def _normal(self) -> list[Anchor]:
        return [anchor for anchor in self.anchors.anchors if anchor.kind == "normal"]

    def _raters(self) -> agreement.Figure:
        """Returns how far people agree among themselves."""
        scores = [_labels(anchor, self.rules) for anchor in self._normal()]
        grades = sorted(set(_scale(self.rules).values()))
        return agreement.alpha_of(
            [[grades.index(score) for score in ones] for ones in scores],
            len(grades),
            metric="nominal" if len(grades) == 2 else "ordinal",
            seed=self.seed,
        )

    def _flips(self) -> agreement.Figure:
        """Returns how often the two orders of a pair disagree, at the first time of asking."""
        flipped = [
            self.grades[one.id][0].flipped for one in self._normal() if one.id in self.grades
        ]
        known = [flag for flag in flipped if flag is not None]
        if not self.rules.pairwise:
            return agreement.Figure(reason="it grades one answer")
        return agreement.share(known)

    def _noise(self) -> agreement.Figure:
        repeats = [
            [
                verdict(one.score, pairwise=self.rules.pairwise)
                for one in ones
                if one.score is not None
            ]
            for ones in self.grades.values()
        ]
        return agreement.self_noise(repeats)

    def _share(self, kind: AnchorKind) -> agreement.Figure:
        """Returns how many adversarial anchors get a good grade, or controls the one of people."""
        two = self.rules.pairwise
        flags = [
            good(self.judged[one.id], pairwise=two) if kind == "adversarial" else self._agrees(one)
            for one in self.anchors.anchors
            if one.kind == kind
        ]
        if not flags:
            return agreement.Figure(reason=f"there are no {kind} anchors")
        return agreement.share(flags)

    def _agrees(self, anchor: Anchor) -> bool:
        human, judged = self.human[anchor.id], self.judged[anchor.id]
        if human is None or judged is None:
            return False
        two = self.rules.pairwise
        return verdict(human, pairwise=two) == verdict(judged, pairwise=two)


def _scale(rules: Rules) -> Mapping[str, float]:
    """Returns what people may say: the judge's grades, of a pair a tie in any case."""
    return PAIRWISE_GRADES if rules.pairwise else rules.grades


def _labels(anchor: Anchor, rules: Rules) -> list[float]:
    """Returns the scores of an anchor's labels.

    Raises:
        FormatError: a label is no grade of the judge.
    """
    scale = _scale(rules)
    for rater, label in anchor.labels.items():
        if label not in scale:
            raise FormatError(
                f"anchor {anchor.id}: {rater} says {label!r}, which is no grade of the judge",
                hint=f"its grades are {', '.join(scale)}",
            )
    return [scale[anchor.labels[rater]] for rater in sorted(anchor.labels)]


def _length(anchor: Anchor) -> float:
    """Returns an answer's length in characters, or by how much it is the longer one of a pair."""
    return float(len(anchor.output) - len(anchor.other or ""))
